package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// What may happen between the calls of a restore that takes days.

// TestWhatWasAskedForIsFetched: where the limit of what it may cost is reached,
// what runs is paid for, and is waited for.
func TestWhatWasAskedForIsFetched(t *testing.T) {
	b := worktest.New(t, slow)
	for i := range 4 {
		b.Write(fmt.Sprint("f", i), fmt.Sprint("content ", i))
	}
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Wait, o.Concurrency = true, 1
	o.Afford = func(_ firn.Tier, all restore.Spent) error {
		if all.Requests > 2 {
			return &firn.Error{Op: "retrieve", Kind: firn.Usage, Err: errors.New("too dear")}
		}
		return nil
	}
	res, err := restore.Run(t.Context(), o)
	if res.Counts[firn.Restored].Files != 2 || firn.KindOf(err) != firn.Usage || retrievals(b) != 2 {
		t.Errorf("%+v, %v, %d jobs", res, err, retrievals(b))
	}
}

// A shortStore has no capacity for expedited retrievals after some.
type shortStore struct {
	firn.Store
	left int
}

func (s *shortStore) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	if spec.Tier == firn.Expedited {
		if s.left--; s.left < 0 {
			return "", &firn.Error{Op: "retrieve", Kind: firn.Capacity, Err: errors.New("no capacity")}
		}
	}
	return s.Store.StartRetrieval(ctx, spec)
}

// TestTheDearestTierCounts: what was asked for by it stays dear when another one
// takes over.
func TestTheDearestTierCounts(t *testing.T) {
	price := map[firn.Tier]int64{firn.Expedited: 10, firn.Standard: 1}
	b := worktest.New(t, slow)
	for i := range 60 {
		b.Write(fmt.Sprintf("f%02d", i), fmt.Sprint("content ", i))
	}
	b.Sync()
	b.Store = &shortStore{b.Store, 9}
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Concurrency, o.Tiers = 1, []firn.Tier{firn.Expedited, firn.Standard}
	const limit = 110
	o.Afford = func(tier firn.Tier, all restore.Spent) error {
		if price[tier]*all.Requests > limit {
			return &firn.Error{Op: "retrieve", Kind: firn.Usage, Err: errors.New("too dear")}
		}
		return nil
	}
	run(b, o)
	spent := int64(0)
	for _, j := range jobsOf(b) {
		spent += price[j.Tier]
	}
	if spent == 0 || spent > limit {
		t.Errorf("spent %d of %d", spent, limit)
	}
}

// TestAnotherTierIsAgreedTo: what is left is asked for by a tier whose price was
// told.
func TestAnotherTierIsAgreedTo(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("a", "one")
	b.Write("b", "three")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.RetrieveRate, o.Concurrency = 1, 1 // so that one waits
	planned(b, o)
	o.Tiers = []firn.Tier{firn.Expedited}
	refused := errors.New("no")
	o.Agree = func(_ context.Context, p restore.Plan) error {
		if p.Tier != firn.Expedited || p.Requests != 1 {
			t.Errorf("%+v", p)
		}
		return refused
	}
	if _, err := restore.Run(t.Context(), o); !errors.Is(err, refused) || retrievals(b) != 1 {
		t.Errorf("%v, %d jobs", err, retrievals(b))
	}
	if p, _ := planned(b, o); p.Requests != 1 {
		t.Errorf("%+v", p)
	}
	if p, _ := planned(b, o); p.Requests != 0 {
		t.Errorf("asked again: %+v", p)
	}
}

// TestForgottenVersions: what a sync retires meanwhile can't come, and is told of.
func TestForgottenVersions(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("f", "old")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	run(b, o)
	var old []catalog.Entry
	for e, err := range b.Catalog.Files(t.Context(), catalog.ListQuery{Tree: b.Tree().ID, Path: "f"}) {
		must(t, err)
		old = append(old, e)
	}
	b.Clock.Advance(time.Hour)
	b.Write("f", "newer")
	b.Sync()
	r, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, b.Tree().ID, "sync")
	must(t, err)
	_, err = b.Catalog.Retire(t.Context(), r, catalog.Retirement{Why: "test"}, old)
	must(t, err)
	b.Clock.Advance(6 * time.Hour)
	if res := run(b, o); !res.Done || res.Counts[firn.Failed].Files != 1 {
		t.Errorf("%+v", res)
	}
}

// TestContentThatMoved: an archive is lost, and its content sent again, while a
// restore waits for it.
func TestContentThatMoved(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("f", "one")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	res := run(b, o)
	r, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "inventory")
	must(t, err)
	var rows []int64
	for rg, err := range b.Catalog.RestoreRanges(t.Context(), res.ID) {
		must(t, err)
		rows = append(rows, rg.Archive)
	}
	must(t, b.Catalog.MarkLost(t.Context(), r, rows))
	must(t, b.Memory.DeleteArchive(t.Context(), b.Memory.Archives()[0].ID))
	b.Sync()
	for range 6 {
		b.Clock.Advance(48 * time.Hour)
		if res = run(b, o); res.Done {
			break
		}
	}
	if !res.Done || !res.Failed() {
		t.Errorf("%+v", res)
	}
	o.Wait = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
}

// TestTheLastPartComesFirst: a file of which parts are missing is pending.
func TestTheLastPartComesFirst(t *testing.T) {
	const size = 5<<20 + 7
	b := worktest.New(t, slow)
	b.Write("large", string(storetest.Data(1, size)))
	b.Sync()
	_, err := b.Memory.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: b.Memory.Archives()[0].ID, Range: &firn.Range{Start: 4 << 20, End: size}, Tier: firn.Bulk})
	must(t, err)
	b.Clock.Advance(6 * time.Hour)
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.MaxRange = 1 << 20
	if res := run(b, o); res.Done || !res.Pending() {
		t.Errorf("%+v", res)
	}
	o.Wait = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
}

// TestLimitsAreRemembered by the call that ends the restore.
func TestLimitsAreRemembered(t *testing.T) {
	b := worktest.New(t, slow)
	for i := range 5 {
		b.Write(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 100))
	}
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.MaxFiles = 2
	run(b, o)
	b.Clock.Advance(6 * time.Hour)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2, firn.Left: 3})
}

// TestRemovedPathsComeBack: that a sync records the removal of what is being
// restored doesn't end the restore.
func TestRemovedPathsComeBack(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("d/f", "old")
	b.Write("g", "g")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Paths = []string{"d"}
	run(b, o)
	must(t, os.RemoveAll(filepath.Join(b.Root, "d")))
	b.Clock.Advance(6 * time.Hour)
	b.Sync()
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
}

// TestAMissingIdentity costs nothing: what is ready is not asked for again.
func TestAMissingIdentity(t *testing.T) {
	b := worktest.New(t, slow)
	identities(b)
	b.Write("f", "secret")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Identities = func(context.Context) (seal.Identities, error) {
		return seal.Identities{}, &firn.Error{Op: "read the identity file", Kind: firn.NotFound, Err: os.ErrNotExist}
	}
	run(b, o)
	for range 3 {
		b.Clock.Advance(6 * time.Hour)
		if _, err := restore.Run(t.Context(), o); firn.KindOf(err) != firn.Denied {
			t.Errorf("%v", err)
		}
	}
	if n := retrievals(b); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

// A partRefuser refuses one range.
type partRefuser struct{ firn.Store }

func (p *partRefuser) StartRetrieval(ctx context.Context, s firn.RetrievalSpec) (firn.JobID, error) {
	if s.Range != nil && s.Range.Start == 1<<20 {
		return "", &firn.Error{Op: "retrieve", Kind: firn.Invalid, Err: errors.New("refused")}
	}
	return p.Store.StartRetrieval(ctx, s)
}

// TestAPartThatCantBeHad ends the others, and nothing of the file stays.
func TestAPartThatCantBeHad(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("large", string(storetest.Data(1, 5<<20+7)))
	b.Sync()
	b.Store = &partRefuser{b.Store}
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.MaxRange, o.RetrieveRate, o.Wait = 1<<20, 1<<20, true
	res := run(b, o)
	left, err := filepath.Glob(filepath.Join(o.To, ".firn-*"))
	if err != nil || len(left) > 1 || !res.Done || !res.Failed() || retrievals(b) != 1 { // the folder's own mark stays
		t.Errorf("%+v, left %v, %d jobs, %v", res, left, retrievals(b), err)
	}
}
