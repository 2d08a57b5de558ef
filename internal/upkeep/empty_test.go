package upkeep_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// An askedStore counts how often it was asked to delete each archive, and answers as
// answer says, after it was done unless answer says before.
type askedStore struct {
	firn.Store
	mu     sync.Mutex
	asked  map[firn.ArchiveID]int
	before func(n int, id firn.ArchiveID) error // nil: the archive is deleted
	after  func(n int, id firn.ArchiveID) error

	describe func() error  // nil: it says what it is
	ahead    time.Duration // of its inventories is the clock that it answers by
}

func (s *askedStore) Describe(ctx context.Context) (firn.StoreInfo, error) {
	if s.describe != nil {
		if err := s.describe(); err != nil {
			return firn.StoreInfo{}, err
		}
	}
	info, err := s.Store.Describe(ctx)
	info.Now = info.Now.Add(s.ahead)
	return info, err
}

func (s *askedStore) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	s.mu.Lock()
	s.asked[id]++
	n := len(s.asked)
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(n, id); err != nil {
			return err
		}
	}
	if err := s.Store.DeleteArchive(ctx, id); err != nil {
		return err
	}
	if s.after != nil {
		return s.after(n, id)
	}
	return nil
}

// An emptyBench is a bench whose store is emptied.
type emptyBench struct {
	*worktest.Bench
	store *askedStore
}

func newEmptyBench(t *testing.T, o storetest.MemoryOptions) *emptyBench {
	b := worktest.New(t, o)
	return &emptyBench{b, &askedStore{Store: b.Memory, asked: map[firn.ArchiveID]int{}}}
}

// fill stores archives that nobody knows of here.
func (b *emptyBench) fill(n int) (ids []firn.ArchiveID) {
	b.T.Helper()
	for i := range n {
		content := fmt.Sprint("content ", i)
		id, err := b.Memory.UploadArchive(b.T.Context(), fmt.Sprint("of others ", i), io.NewSectionReader(strings.NewReader(content), 0, int64(len(content))), treehash.Sums{Tree: treehash.Sum([]byte(content)), Linear: sha256.Sum256([]byte(content))})
		must(b.T, err)
		ids = append(ids, id)
	}
	return ids
}

// agree records that somebody wants the store emptied.
func (b *emptyBench) agree(pays, vault bool) {
	b.T.Helper()
	info, err := b.Memory.Describe(b.T.Context())
	must(b.T, err)
	must(b.T, b.Catalog.Empty(b.T.Context(), catalog.Emptying{Store: b.Row.ID, Agreed: info.Now, Pays: pays, Vault: vault}))
}

// empty goes on, as a call of the command does.
func (b *emptyBench) empty(change ...func(*upkeep.EmptyOptions)) (upkeep.EmptyResult, error) {
	b.T.Helper()
	ctx := b.T.Context()
	run, err := b.Catalog.BeginRun(ctx, b.Row.ID, 0, "store empty")
	must(b.T, err)
	info, err := b.Memory.Describe(ctx)
	must(b.T, err)
	asker := retrieval.New(retrieval.Options{Catalog: b.Catalog, Row: b.Row.ID, Store: b.store, Clock: b.Clock, Events: b.Events, Run: run})
	e, ok, err := b.Catalog.EmptyingOf(ctx, b.Row.ID)
	must(b.T, err)
	if !ok {
		b.T.Fatal("nothing is being emptied")
	}
	if e.Inventory == 0 {
		inv, job, ok, err := asker.StageInventory(ctx, retrieval.Staging{})
		must(b.T, err)
		if !ok {
			return upkeep.EmptyResult{Pending: true, Ready: retrieval.Expected(job)}, nil
		}
		must(b.T, b.Catalog.EmptyBy(ctx, inv.ID))
		e, _, err = b.Catalog.EmptyingOf(ctx, b.Row.ID)
		must(b.T, err)
	}
	o := upkeep.EmptyOptions{
		Catalog: b.Catalog, Row: b.Row, Store: b.store, Info: info, Asker: asker, Clock: b.Clock, Events: b.Events, Run: run, Concurrency: 4, Batch: 16,
	}
	for _, fn := range change {
		fn(&o)
	}
	return upkeep.Empty(ctx, o, e)
}

// asks counts the archives that were asked for so often.
func (b *emptyBench) asks() map[int]int {
	n := map[int]int{}
	for times := range maps.Values(b.store.asked) {
		n[times]++
	}
	return n
}

func (b *emptyBench) isOver() bool {
	b.T.Helper()
	_, open, err := b.Catalog.EmptyingOf(b.T.Context(), b.Row.ID)
	must(b.T, err)
	return !open
}

func TestEmptyDeletesEverythingOnce(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{})
	ids := b.fill(100)
	b.Write("own/a", "a")
	b.Write("own/b", "b")
	b.Maker = b.Snapshots()
	b.Sync()
	b.Maker = nil
	b.agree(true, false)
	res, err := b.empty()
	must(t, err)
	if left := b.Memory.Archives(); len(left) > 0 || res.Deleted.Files < 102 || !res.Done(catalog.Emptying{}) {
		t.Errorf("%d archives are left, result %+v", len(left), res)
	}
	if asks := b.asks(); asks[1] != int(res.Deleted.Files) || len(asks) != 1 {
		t.Errorf("archives by how often they were asked for: %v", asks)
	}
	row, err := b.Catalog.StoreByURL(t.Context(), b.Row.URL)
	must(t, err)
	if row.Archives != 0 || row.Bytes != 0 || !b.isOver() {
		t.Errorf("the catalog has %d archives with %d bytes", row.Archives, row.Bytes)
	}
	a, err := b.Catalog.AccountOf(t.Context(), b.Row.ID, ids[0])
	must(t, err)
	if a.State != catalog.Deleted {
		t.Errorf("an archive of others that is gone is %v", a.State)
	}
	var faults []catalog.Fault
	_, err = b.Catalog.Check(t.Context(), func(f catalog.Fault) error { faults = append(faults, f); return nil })
	must(t, err)
	if len(faults) > 0 {
		t.Errorf("faults in the catalog: %v", faults)
	}
	// A further sync sends all of it again.
	b.Maker = b.Snapshots()
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 2})
}

// TestEmptyAsksNobodyTwice: answers that were lost are settled by an inventory that
// is dated later, and only what that lists is asked for again.
func TestEmptyAsksNobodyTwice(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour})
	b.fill(100)
	b.Clock.Advance(25 * time.Hour)
	b.agree(true, true)
	lost := &firn.Error{Op: "delete", Kind: firn.Lost, Err: errors.New("no answer")}
	if res, err := b.empty(); err != nil || !res.Pending {
		t.Fatalf("%+v, %v", res, err) // the inventory
	}
	b.Clock.Advance(5 * time.Hour)
	b.store.before = func(n int, _ firn.ArchiveID) error {
		if n == 30 {
			return lost
		}
		return nil
	}
	b.store.after = func(n int, _ firn.ArchiveID) error {
		if n == 60 {
			return lost
		}
		return nil
	}
	for range 2 {
		if _, err := b.empty(); firn.KindOf(err) != firn.Lost {
			t.Fatalf("%v, want the lost answer", err)
		}
	}
	b.store.before, b.store.after = nil, nil
	res, err := b.empty()
	must(t, err)
	if !res.Pending || res.Doubtful < 2 || b.asks()[2] > 0 {
		t.Fatalf("%+v; archives by how often they were asked for: %v", res, b.asks())
	}
	left := len(b.Memory.Archives())
	if left == 0 {
		t.Fatal("the first lost answer was one of a deletion that never was")
	}
	days := 0
	for ; !b.isOver() && days < 10; days++ {
		b.Clock.Advance(12 * time.Hour)
		if res, err = b.empty(); err != nil {
			t.Fatal(err)
		}
	}
	if !res.Gone || b.asks()[2] != left {
		t.Errorf("%+v; %d were left, and by how often they were asked for: %v", res, left, b.asks())
	}
	if _, err := b.Memory.Describe(t.Context()); firn.KindOf(err) != firn.NotFound {
		t.Errorf("the store: %v", err)
	}
	if _, err := b.Catalog.StoreByURL(t.Context(), b.Row.URL); firn.KindOf(err) != firn.NotFound {
		t.Errorf("the catalog knows it: %v", err)
	}
}

func TestEmptyWaitsUntilItIsFree(t *testing.T) {
	const least = 90 * 24 * time.Hour
	b := newEmptyBench(t, storetest.MemoryOptions{MinDuration: least})
	old := b.fill(20)
	b.Clock.Advance(30 * 24 * time.Hour)
	b.fill(30)
	b.agree(false, false)
	for _, step := range []struct {
		advance       time.Duration
		deleted, left int64
	}{{0, 0, 50}, {59 * 24 * time.Hour, 0, 50}, {25 * time.Hour, 20, 30}, {29 * 24 * time.Hour, 0, 30}, {25 * time.Hour, 30, 0}} {
		b.Clock.Advance(step.advance)
		res, err := b.empty()
		must(t, err)
		if res.Deleted.Files != step.deleted || res.Young.Files != step.left || res.Pending != (step.left > 0) {
			t.Fatalf("%+v, want %+v", res, step)
		}
		if res.Pending && !res.Ready.After(b.Clock.Now()) {
			t.Errorf("it is ready at %v, and it is %v", res.Ready, b.Clock.Now())
		}
		if step.deleted > 0 && b.store.asked[old[0]] != 1 {
			t.Errorf("the old ones go first")
		}
	}
}

// TestEmptySurveyTellsTheFee: of what is young, by what is left of its time.
func TestEmptySurveyTellsTheFee(t *testing.T) {
	const least = 90 * 24 * time.Hour
	b := newEmptyBench(t, storetest.MemoryOptions{MinDuration: least})
	b.fill(2)
	b.agree(true, false)
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "store empty")
	must(t, err)
	inv, _, _, err := retrieval.New(retrieval.Options{Catalog: b.Catalog, Row: b.Row.ID, Store: b.Memory, Clock: b.Clock, Run: run}).StageInventory(t.Context(), retrieval.Staging{})
	must(t, err)
	prices := price.Tariff{Table: price.Table{Prices: map[price.Item]price.Price{price.EarlyDelete: {Amount: price.Dollar, Per: 1, Confidence: price.Confirmed}}}}
	now := b.Clock.Now().Add(45 * 24 * time.Hour)
	s, err := upkeep.SurveyEmptying(t.Context(), b.Catalog, catalog.Emptying{Inventory: inv.ID, Agreed: now}, now, least, prices)
	must(t, err)
	var want price.Sum
	want.Known = true
	for _, a := range b.Memory.Archives() {
		want = want.Plus(prices.EarlyDeletion(1, a.Size, a.Created.Add(least).Sub(now)))
	}
	if s.Todo.Files != 2 || s.Young.Files != 2 || s.Fee != want || s.Fee.Amount == 0 {
		t.Errorf("%+v, want the fee %v", s, want)
	}
	s, err = upkeep.SurveyEmptying(t.Context(), b.Catalog, catalog.Emptying{Inventory: inv.ID, Agreed: b.Clock.Now().Add(-time.Hour)}, now, least, prices)
	if must(t, err); s.Later.Files != 2 || s.Todo.Files != 0 {
		t.Errorf("what came after it was agreed to: %+v", s)
	}
}

// TestEmptyGoesOnBehindWhatIsRefused, as by a vault's lock.
func TestEmptyGoesOnBehindWhatIsRefused(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{})
	locked := b.fill(50)[10:20]
	b.store.before = func(_ int, id firn.ArchiveID) error {
		if slices.Contains(locked, id) {
			return &firn.Error{Op: "delete archive", Subject: string(id), Kind: firn.Denied, Err: errors.New("a lock says no")}
		}
		return nil
	}
	b.agree(true, true)
	res, err := b.empty()
	must(t, err)
	if res.Deleted.Files != 40 || res.Refused != 10 || res.Why != "a lock says no" || res.Gone || !b.isOver() {
		t.Errorf("%+v", res)
	}
	if b.asks()[1] != 50 {
		t.Errorf("archives by how often they were asked for: %v", b.asks())
	}
}

// TestEmptyEndsWhereNothingMayGo, and not after a million refusals.
func TestEmptyEndsWhereNothingMayGo(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{})
	b.fill(1200)
	b.store.before = func(int, firn.ArchiveID) error {
		return &firn.Error{Op: "delete archive", Kind: firn.Denied, Err: errors.New("not allowed")}
	}
	b.agree(true, false)
	_, err := b.empty()
	if firn.KindOf(err) != firn.Denied || !strings.Contains(err.Error(), "not allowed") || len(b.store.asked) > 1100 {
		t.Errorf("%v, after %d", err, len(b.store.asked))
	}
}

// TestEmptyLeavesAStoreThatOthersUse: what came meanwhile stays, and so does the
// store, and an upload that goes on.
func TestEmptyLeavesAStoreThatOthersUse(t *testing.T) {
	for name, meanwhile := range map[string]func(*emptyBench){
		"archive": func(b *emptyBench) { b.fill(3) },
		"upload": func(b *emptyBench) {
			_, err := b.Memory.StartUpload(b.T.Context(), "theirs", 1<<20)
			must(b.T, err)
		},
		"nothing": func(*emptyBench) {},
	} {
		t.Run(name, func(t *testing.T) {
			b := newEmptyBench(t, storetest.MemoryOptions{})
			b.fill(10)
			_, err := b.Memory.StartUpload(t.Context(), "an old one", 1<<20)
			must(t, err)
			b.Clock.Advance(time.Minute)
			b.agree(true, true)
			b.Clock.Advance(time.Minute)
			meanwhile(b)
			res, err := b.empty()
			must(t, err)
			if want := name == "nothing"; res.Gone != want || res.Done(catalog.Emptying{Vault: true}) != want || !b.isOver() {
				t.Errorf("%+v", res)
			}
			if name == "archive" && (res.Others.Files != 3 || len(b.Memory.Archives()) != 3) || name == "upload" && res.Uploads != 1 {
				t.Errorf("%+v", res)
			}
		})
	}
}

// TestIsYoung: where nothing is charged for, nothing waits, also what was stored in
// the second that the store's clock tells.
func TestIsYoung(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 700_000_000, time.UTC)
	now := created.Truncate(time.Second)
	for least, want := range map[time.Duration]bool{0: false, time.Second: true, 90 * 24 * time.Hour: true} {
		if got := upkeep.IsYoung(created, least, now); got != want {
			t.Errorf("of %v: %v", least, got)
		}
	}
	if upkeep.IsYoung(created, time.Hour, now.Add(2*time.Hour)) {
		t.Error("young after its time")
	}
}
