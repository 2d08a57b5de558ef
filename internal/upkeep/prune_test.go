package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
)

// quarter is what a vault charges for at the least.
const quarter = 90 * 24 * time.Hour

// pruneOptions are those of a prune of the bench's tree.
func pruneOptions(b *worktest.Bench, keep plan.Keep) upkeep.PruneOptions {
	b.T.Helper()
	return upkeep.PruneOptions{
		DeletionOptions: upkeep.DeletionOptions{Catalog: b.Catalog, Row: b.Row, Store: b.Store, Events: b.Events, Snapshots: b.Maker, Concurrency: 3},
		Trees:           []catalog.Tree{b.Tree()}, Keep: keep, Now: b.Clock.Now(), Prices: price.Vault("us-east-1"),
	}
}

// prune forgets, after it was foreseen, which must have been right.
func prune(b *worktest.Bench, o upkeep.PruneOptions) upkeep.PruneResult {
	b.T.Helper()
	seen, err := upkeep.Foresee(b.T.Context(), o)
	if err != nil {
		b.T.Fatal(err)
	}
	res, err := pruneOnce(b, o)
	if err != nil {
		b.T.Fatal(err)
	}
	now, later := seen.Now, seen.Later
	if o.PayEarly {
		now, later = firn.Count{Files: now.Files + later.Files, Bytes: now.Bytes + later.Bytes}, firn.Count{}
	}
	if seen.Versions != res.Versions || now != res.Deleted || later != res.Waiting || seen.Held != res.Held || seen.Dead != res.Dead {
		b.T.Errorf("foreseen %+v, done %+v", seen, res)
	}
	return res
}

// pruneOnce is a prune, however it ends.
func pruneOnce(b *worktest.Bench, o upkeep.PruneOptions) (res upkeep.PruneResult, err error) {
	b.T.Helper()
	if o.Run, err = b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, catalog.PruneRun); err != nil {
		b.T.Fatal(err)
	}
	return upkeep.Prune(b.T.Context(), o)
}

// finish is a round of firn resume.
func finish(b *worktest.Bench) upkeep.DeletionResult {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "resume")
	if err != nil {
		b.T.Fatal(err)
	}
	o := pruneOptions(b, plan.Keep{}).DeletionOptions
	o.Run = run
	res, err := upkeep.FinishPrune(b.T.Context(), o)
	if err != nil {
		b.T.Fatal(err)
	}
	return res
}

// versions gives the paths of all files, each as often as there are versions.
func versions(b *worktest.Bench) (paths []string) {
	b.T.Helper()
	for e, err := range b.Catalog.Files(b.T.Context(), catalog.ListQuery{Tree: b.Tree().ID, All: true}) {
		if err != nil {
			b.T.Fatal(err)
		}
		if e.Kind == firn.Regular {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

func wantVersions(b *worktest.Bench, want ...string) {
	b.T.Helper()
	if got := versions(b); !slices.Equal(got, want) {
		b.T.Errorf("versions of %v are left, want %v", got, want)
	}
}

func wantStored(b *worktest.Bench, want map[string]int) {
	b.T.Helper()
	got := b.Stored()
	delete(got, "") // snapshots
	if !maps.Equal(got, want) {
		b.T.Errorf("stored %v, want %v", got, want)
	}
}

func remove(b *worktest.Bench, paths ...string) {
	b.T.Helper()
	for _, p := range paths {
		if err := os.Remove(filepath.Join(b.Root, p)); err != nil {
			b.T.Fatal(err)
		}
	}
}

// history is a tree with a file of three versions, one that is gone, and one that
// has but one.
func history(t *testing.T, o storetest.MemoryOptions) *worktest.Bench {
	t.Helper()
	b := worktest.New(t, o)
	b.Write("changes", "one")
	b.Write("gone", "was here")
	b.Write("same", "always")
	b.Sync()
	for _, text := range []string{"second", "the third"} {
		b.Clock.Advance(24 * time.Hour)
		b.Write("changes", text)
		if text == "second" {
			b.Write("gone", "was here, and changed")
		} else {
			remove(b, "gone")
		}
		b.Sync()
	}
	return b
}

func TestPruneForgetsByRules(t *testing.T) {
	week := plan.Span{Days: 7}
	for _, tt := range []struct {
		name     string
		keep     plan.Keep
		versions []string
		stored   map[string]int
	}{
		{"the current one and the last of what is gone stay", plan.Keep{Last: 1},
			[]string{"changes", "gone", "same"}, map[string]int{"changes": 1, "gone": 1, "same": 1}},
		{"two", plan.Keep{Last: 2},
			[]string{"changes", "changes", "gone", "gone", "same"}, map[string]int{"changes": 2, "gone": 2, "same": 1}},
		{"gone, and not long enough", plan.Keep{RemovedOlderThan: &plan.Span{Days: 9}},
			[]string{"changes", "changes", "changes", "gone", "gone", "same"}, map[string]int{"changes": 3, "gone": 2, "same": 1}},
		{"gone for a week", plan.Keep{RemovedOlderThan: &week},
			[]string{"changes", "changes", "changes", "same"}, map[string]int{"changes": 3, "same": 1}},
		{"both", plan.Keep{Last: 1, RemovedOlderThan: &week},
			[]string{"changes", "same"}, map[string]int{"changes": 1, "same": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := history(t, storetest.MemoryOptions{})
			b.Clock.Advance(8 * 24 * time.Hour)
			b.Snapshots()
			res := prune(b, pruneOptions(b, tt.keep))
			if res.Pending() || res.Failed() {
				t.Errorf("%+v", res)
			}
			wantVersions(b, tt.versions...)
			wantStored(b, tt.stored)
		})
	}
}

// TestPruneKeepsWhatOthersNeed: paths that the rules aren't for, other trees and
// open restores.
func TestPruneKeepsWhatOthersNeed(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "shared with another tree")
	b.Write("b", "shared with another path")
	b.Write("c", "of its own")
	b.Write("d", "left out by the pattern")
	b.Sync()
	other := b.Options()
	other.Root, other.Tree = t.TempDir(), "other"
	if err := os.WriteFile(filepath.Join(other.Root, "x"), []byte("shared with another tree"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SyncWith(other); err != nil {
		t.Fatal(err)
	}
	b.Clock.Advance(time.Hour)
	b.Write("e", "shared with another path")
	for _, path := range []string{"a", "b", "c", "d"} {
		b.Write(path, "new content of "+path)
	}
	b.Sync()
	if err := os.Remove(filepath.Join(other.Root, "x")); err != nil {
		t.Fatal(err)
	}
	other.ExpectChanges = true
	if _, err := b.SyncWith(other); err != nil {
		t.Fatal(err)
	}
	o := pruneOptions(b, plan.Keep{Last: 1})
	o.Match = func(path string, _ bool) bool { return path != "d" }
	prune(b, o)
	wantVersions(b, "a", "b", "c", "d", "d", "e")
	wantStored(b, map[string]int{"a": 2, "b": 2, "c": 1, "d": 2})
}

// TestPruneWaitsForItsFeeFreeDay: what is charged for waits, and goes on its day,
// but for what came to be needed again; nothing else goes with it.
func TestPruneWaitsForItsFeeFreeDay(t *testing.T) {
	b := history(t, storetest.MemoryOptions{MinDuration: quarter})
	b.Snapshots()
	res := prune(b, pruneOptions(b, plan.Keep{Last: 1}))
	if res.Deleted.Files != 0 || res.Waiting.Files != 3 || !res.Until.After(b.Clock.Now().Add(80*24*time.Hour)) || !res.Next.Before(res.Until) {
		t.Fatalf("%+v", res)
	}
	wantVersions(b, "changes", "gone", "same")

	// One of them comes back, and another version gets old meanwhile.
	b.Clock.Advance(80 * 24 * time.Hour)
	b.Write("again", "second")
	b.Write("changes", "the fourth")
	b.Sync()
	if res := finish(b); res.Deleted.Files != 0 || res.Waiting.Files != 2 {
		t.Errorf("before its day: %+v", res)
	}
	b.Clock.Advance(9 * 24 * time.Hour)
	b.Snapshots()
	if res := finish(b); res.Deleted.Files != 2 || res.Pending() {
		t.Errorf("on its day: %+v", res)
	}
	wantVersions(b, "again", "changes", "changes", "gone", "same")
	wantStored(b, map[string]int{"changes": 3, "gone": 1, "same": 1})
	if res := finish(b); res.Pending() || res.Deleted.Files > 0 {
		t.Errorf("once more: %+v", res)
	}
}

// TestPruneThatPays: the price is that of what is left of the shortest time.
func TestPruneThatPays(t *testing.T) {
	b := history(t, storetest.MemoryOptions{MinDuration: quarter})
	b.Snapshots()
	o := pruneOptions(b, plan.Keep{Last: 1})
	seen, err := upkeep.Foresee(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var want price.Sum
	want.Known = true
	for _, a := range []struct {
		size int64
		age  time.Duration
	}{{3, 48 * time.Hour}, {8, 48 * time.Hour}, {6, 24 * time.Hour}} {
		want = want.Plus(o.Prices.EarlyDeletion(1, a.size, quarter-a.age))
	}
	diff := seen.Fees.Amount - want.Amount
	if !seen.Fees.Known || diff < -100 || diff > 100 { // of whole seconds
		t.Errorf("the fees are %v, want %v", seen.Fees, want)
	}
	o.PayEarly = true
	prune(b, o)
	wantStored(b, map[string]int{"changes": 1, "gone": 1, "same": 1})
}

// TestDeadSpace counts what in bundles no version needs.
func TestDeadSpace(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 64<<20)
	b.Write("a", "12345")
	b.Write("b", "1234567")
	b.Write("c", "123456789")
	b.Sync()
	b.Clock.Advance(time.Hour)
	b.Write("a", "another content")
	b.Write("c", "also another content")
	b.Sync()
	if res := prune(b, pruneOptions(b, plan.Keep{Last: 2})); res.Dead != (upkeep.DeadSpace{}) {
		t.Errorf("while all is kept: %+v", res.Dead)
	}
	res := prune(b, pruneOptions(b, plan.Keep{Last: 1}))
	if res.Dead.Bundles.Files != 1 || res.Dead.Bytes != 5+9 || res.Deleted.Files != 0 {
		t.Errorf("%+v", res)
	}
	b.Write("b", "the last one goes")
	b.Clock.Advance(time.Hour)
	b.Sync()
	if res = prune(b, pruneOptions(b, plan.Keep{Last: 1})); res.Deleted.Files != 1 || res.Dead != (upkeep.DeadSpace{}) {
		t.Errorf("%+v", res)
	}
}

// TestMirrorsInPartAreNotFinished: what a sync let go that could not store all
// there is stays, since a file that was moved may be in it.
func TestMirrorsInPartAreNotFinished(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content")
	b.Sync()
	remove(b, "a")
	b.Write("b", "new")
	b.Write("c", "newer")
	o := b.Options()
	o.Modes = syncer.Modes{New: true, ReplaceModified: true, DeleteRemoved: true}
	o.ExpectChanges = true
	o.Budget = syncer.NewBudget(syncer.Limits{Files: 1})
	if _, err := b.SyncWith(o); err != nil {
		t.Fatal(err)
	}
	if res := finish(b); res.Deleted.Files != 0 || res.Held.Files != 1 || !res.Pending() {
		t.Errorf("%+v", res)
	}
	o.Budget = nil
	if _, err := b.SyncWith(o); err != nil {
		t.Fatal(err)
	}
	if res := finish(b); res.Deleted.Files+res.Held.Files != 0 {
		t.Errorf("after it was whole: %+v", res)
	}
	wantStored(b, map[string]int{"b": 1, "c": 1})
}

// errKilled ends a work as a kill would: nothing is done behind it.
var errKilled = errors.New("killed")

// A fragile store breaks off at the nth step, before or after it is done.
type fragile struct {
	firn.Store
	mu    sync.Mutex
	steps int
	after bool
	order []string
}

func (f *fragile) step(name string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps--
	if f.steps < 0 || f.steps == 0 && !f.after {
		return errKilled
	}
	err := do()
	f.order = append(f.order, name)
	if f.steps == 0 {
		return errKilled
	}
	return err
}

func (f *fragile) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	return f.step("delete", func() error { return f.Store.DeleteArchive(ctx, id) })
}

func (f *fragile) Describe(ctx context.Context) (info firn.StoreInfo, err error) {
	return info, f.step("describe", func() error { info, err = f.Store.Describe(ctx); return err })
}

// TestPruneIsCutShortAnywhere: whatever it came to, the next round has all that
// the rules said gone, and nothing else.
func TestPruneIsCutShortAnywhere(t *testing.T) {
	for n := range 6 {
		for _, after := range []bool{false, true} {
			if testing.Short() && after {
				continue
			}
			t.Run(fmt.Sprint(n, after), func(t *testing.T) {
				b := history(t, storetest.MemoryOptions{})
				whole := b.Store
				b.Store = &fragile{Store: whole, steps: n, after: after}
				_, err := pruneOnce(b, pruneOptions(b, plan.Keep{Last: 1}))
				if n < 4 && !errors.Is(err, errKilled) {
					t.Fatalf("it was not cut short: %v", err)
				}
				b.Store = whole
				finish(b)
				wantVersions(b, "changes", "gone", "same")
				wantStored(b, map[string]int{"changes": 1, "gone": 1, "same": 1})
			})
		}
	}
}

// TestKilledBeforeTheQueue: versions were forgotten, and nobody looked yet whether
// others refer to their archives.
func TestKilledBeforeTheQueue(t *testing.T) {
	b := history(t, storetest.MemoryOptions{})
	b.Write("copy", "second")
	b.Sync()
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, catalog.PruneRun)
	if err != nil {
		t.Fatal(err)
	}
	old, err := b.Catalog.History(t.Context(), b.Tree().ID, "changes")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.Catalog.Retire(t.Context(), run, catalog.Retirement{Why: "firn prune"}, old); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if q, err := b.Catalog.DeletionQueue(t.Context(), b.Row.ID); err != nil || !q.Unsettled || q.Archives.Files != 0 {
		t.Fatalf("%+v, %v", q, err)
	}
	if res := finish(b); res.Deleted.Files != 1 || res.Pending() {
		t.Errorf("%+v", res)
	}
	if q, err := b.Catalog.DeletionQueue(t.Context(), b.Row.ID); err != nil || q != (catalog.DeletionQueue{}) {
		t.Errorf("%+v, %v", q, err)
	}
	wantStored(b, map[string]int{"changes": 2, "gone": 2, "same": 1})
}

// TestNothingGoesUnsaved: where the catalog can't be put into the store, nothing
// is deleted, and the snapshot comes before the first deletion.
func TestNothingGoesUnsaved(t *testing.T) {
	b := history(t, storetest.MemoryOptions{})
	b.Snapshots()
	o := pruneOptions(b, plan.Keep{Last: 1})
	so := b.SnapshotOptions()
	so.Lock = func() (func(), error) { return nil, &firn.Error{Op: "lock", Kind: firn.Local} }
	o.Snapshots = snapshot.NewMaker(so)
	res, err := pruneOnce(b, o)
	if err != nil || !res.Unsaved || res.Deleted.Files > 0 || !res.Failed() || res.Held.Files != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantStored(b, map[string]int{"changes": 3, "gone": 2, "same": 1})
	finish(b)
	wantStored(b, map[string]int{"changes": 1, "gone": 1, "same": 1})
}
