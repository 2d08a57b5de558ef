package upkeep_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
)

// A putBack store was put back from a copy that is older than some of its archives:
// its inventories are of the day of the copy.
type putBack struct {
	firn.Store
	dated time.Time
}

func (p *putBack) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	info, err := p.Store.Inventory(ctx, id, each)
	info.Date = p.dated
	return info, err
}

// TestStoreFromAnOldCopy: what came after the copy was made is gone, and not too new
// for a store's inventory that is made at once.
func TestStoreFromAnOldCopy(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("before", "before the copy")
	b.Sync()
	b.Clock.Advance(time.Hour)
	copied := b.Clock.Now().Truncate(time.Second)
	b.Clock.Advance(time.Hour)
	b.Write("after", "after the copy")
	b.Sync()
	b.Clock.Advance(time.Hour)
	lose(b, "after")
	b.Store = &putBack{b.Store, copied}

	if res := verifyStore(b); res.Differ[catalog.Vanished].Files != 1 || res.TooNew.Files != 0 {
		t.Errorf("verify: %+v", res)
	}
	res, err := refresh(b, fix)
	classes(b, res, err, 1, 0, map[upkeep.Class]int64{upkeep.Vanished: 1})
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 1})
}

// TestNothingIsSafeInAStoreThatIsEmptied, though nothing was deleted yet.
func TestNothingIsSafeInAStoreThatIsEmptied(t *testing.T) {
	r := newRounds(t, 3)
	o := r.options(1, 1)
	r.verify(o)
	r.Clock.Advance(time.Hour)
	store := verifyStore(r.Bench)
	safe := 0
	list := func() error {
		_, err := upkeep.SafeToDelete(t.Context(), o, &store, func(upkeep.SafeFile) error {
			safe++
			return nil
		})
		return err
	}
	if err := list(); err != nil || safe != 3 {
		t.Fatalf("%d, %v", safe, err)
	}
	must(t, r.Catalog.Empty(t.Context(), catalog.Emptying{Store: r.Row.ID, Agreed: r.Clock.Now()}))
	if err := list(); err != nil || safe != 3 {
		t.Errorf("%d more, %v", safe-3, err)
	}
}

// TestReadInTheFuture: a clock that was ahead, and was set right, leaves hashes that
// nobody should believe for years, and rounds that would never end.
func TestReadInTheFuture(t *testing.T) {
	r := newRounds(t, 4)
	r.Clock.Advance(4 * 365 * day)
	o := r.options(1, 1)
	o.Batch = 1
	r.verify(o)
	r.Clock.Advance(-4*365*day + time.Hour)

	o = r.options(1, 1)
	if o.Round.Resumed || o.Round.Began.After(r.Clock.Now()) {
		t.Errorf("goes on with %+v at %v", o.Round, r.Clock.Now())
	}
	wantHashes(t, r.verify(o), 4, 0)
	r.Clock.Advance(time.Minute)
	wantHashes(t, r.verify(r.options(1, 1)), 0, 4)
}

// TestAgreedBefore: after an inventory that disagreed nobody is content with an older
// one that agreed.
func TestAgreedBefore(t *testing.T) {
	b := synced(t)
	res, err := refresh(b, nil)
	classes(b, res, err, 3, 0, nil)
	lose(b, "a")
	b.Clock.Advance(3 * day)
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.New = true })
	classes(b, res, err, 2, 1, map[upkeep.Class]int64{upkeep.Vanished: 1})
	res, err = refresh(b, func(o *upkeep.RefreshOptions) { o.Fix, o.MaxAge = true, 100*day })
	classes(b, res, err, 2, 0, map[upkeep.Class]int64{upkeep.Vanished: 1})
	if res.Young {
		t.Error("the inventory that agreed before was good enough")
	}
}

// TestAgreedForFilesOnly: verify looks at what files are in, and so an inventory with
// which it is content may list what a refresh has to tell.
func TestAgreedForFilesOnly(t *testing.T) {
	b := synced(t)
	res := verifyAndRecord(b)
	if !res.Clean() {
		t.Fatalf("%+v", res)
	}
	others(b, "of another program", "content")
	b.Clock.Advance(2 * day)
	verifyAndRecord(b)
	refreshed, err := refresh(b, func(o *upkeep.RefreshOptions) { o.MaxAge = 80 * time.Hour })
	must(t, err)
	if refreshed.Young || refreshed.Of(upkeep.Strange).Files != 1 {
		t.Errorf("%+v", refreshed)
	}
}

// verifyAndRecord verifies as the command does.
func verifyAndRecord(b *worktest.Bench) upkeep.StoreResult {
	b.T.Helper()
	res, err := upkeep.VerifyStore(b.T.Context(), storeOptions(b, true))
	must(b.T, err)
	must(b.T, b.Catalog.SetAgreed(b.T.Context(), b.Row.ID, res.Dated, false))
	return res
}

// TestVerifyStoreTellsOfLosses: files whose archives are known to be lost are not in
// the store, whatever else agrees.
func TestVerifyStoreTellsOfLosses(t *testing.T) {
	b := synced(t)
	lose(b, "a")
	b.Clock.Advance(4 * day)
	res, err := refresh(b, fix)
	classes(b, res, err, 2, 0, map[upkeep.Class]int64{upkeep.Vanished: 1})
	b.Files("")
	if res := verifyStore(b); res.Clean() || res.Files != 1 {
		t.Errorf("%+v", res)
	}
	if got := b.Files(firn.Differs); !slices.Equal(got, []string{"a"}) {
		t.Errorf("told of %q", got)
	}
	b.Sync() // sends it again
	b.Clock.Advance(4 * day)
	if res, err := upkeep.VerifyStore(t.Context(), storeOptions(b, true)); err != nil || !res.Clean() || res.Same.Files != 3 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestOwnSnapshotUnknown: a snapshot that this catalog made and has no record of is
// told, and leaves nothing that anybody could put right.
func TestOwnSnapshotUnknown(t *testing.T) {
	b := synced(t)
	words, err := describe.Encode(describe.Archive{Kind: describe.Snapshot, Token: firn.NewToken(), Catalog: b.Catalog.ID(), Seq: 7, Made: b.Clock.Now()})
	must(t, err)
	others(b, words, "snapshot")
	b.Clock.Advance(4 * day)
	res, err := refresh(b, fix)
	classes(b, res, err, 3, 0, map[upkeep.Class]int64{upkeep.Orphan: 1})
}
