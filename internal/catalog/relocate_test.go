package catalog_test

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// copies stores contents again, in a bundle that no version is in.
func (f *fixture) copies(tb testing.TB, texts ...string) catalog.Intent {
	tb.Helper()
	var changes []catalog.Change
	for _, text := range texts {
		changes = append(changes, regular("copy of "+text, text))
	}
	run, err := f.BeginRun(tb.Context(), f.store.ID, f.tree.ID, catalog.RepackRun)
	check(tb, err)
	in := newBundle()
	check(tb, f.IntendCopies(tb.Context(), &in, run, retirement, bundled(changes...)))
	f.stored(tb, run, in)
	return in
}

// places gives all versions with their places.
func (f *fixture) places(tb testing.TB) (all []string) {
	tb.Helper()
	for e, err := range f.Files(tb.Context(), catalog.ListQuery{Tree: f.tree.ID, All: true}) {
		check(tb, err)
		all = append(all, fmt.Sprintf("%s@%d-%d %d/%d", e.Path, e.Run, e.Until, e.Location.Archive, e.Location.Member))
	}
	return all
}

// olds is a bundle of which "a" is needed by a current version and an old one, "b"
// by an old one, and "c" by nothing.
func (f *fixture) olds(tb testing.TB) catalog.Intent {
	tb.Helper()
	old := f.intendBundle(tb, f.run, bundled(regular("a", "a"), regular("b", "b"), regular("c", "c"))...)
	f.stored(tb, f.run, old)
	run := f.begin(tb)
	f.record(tb, run, regular("b", "a"))
	f.upload(tb, run, regular("c", "newer"))
	run = f.begin(tb)
	f.record(tb, run, regular("b", "newer"))
	f.run = run
	f.retireOld(tb, "c")
	return old
}

func TestRelocate(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.SetSizes(2, 3, 100)
	old := f.olds(t)
	want := []string{"a@1-0 1/0", "b@1-2 1/1", "b@2-3 1/0", "b@3-0 2/0", "c@2-0 2/0"}
	if diff := gocmp.Diff(want, f.places(t)); diff != "" {
		t.Fatal(diff)
	}
	copies := f.copies(t, "b", "a")
	f.snapshot(t, f.run, 0, f.run.ID)
	moves := []catalog.Move{
		{From: catalog.Place{Archive: old.ID, Member: 0}, To: catalog.Place{Archive: copies.ID, Member: 1}},
		{From: catalog.Place{Archive: old.ID, Member: 1}, To: catalog.Place{Archive: copies.ID, Member: 0}},
	}
	for _, n := range []int64{3, 0} {
		if got, err := f.Relocate(ctx, f.run, retirement, moves); err != nil || got != n {
			t.Fatalf("moved %d, %v, want %d", got, err, n)
		}
		want = []string{"a@1-0 3/1", "b@1-2 3/0", "b@2-3 3/1", "b@3-0 2/0", "c@2-0 2/0"}
		if diff := gocmp.Diff(want, f.places(t)); diff != "" {
			t.Fatal(diff)
		}
	}
	if rows, err := f.Query(ctx, "SELECT count(*) FROM snapshot WHERE own != 0"); err != nil || fmt.Sprint(rows) != "[[0]]" {
		t.Errorf("snapshots may be added to: %v, %v", rows, err)
	}
	if due := f.queue(t); len(due) != 1 || due[0].Archive != old.ID {
		t.Errorf("to be deleted: %+v", due)
	}
	checkInvariants(t, f.Catalog)
}

// TestCopiesGoUnlessNeeded: what nothing came to refer to is let go, and found
// until it is about to be deleted.
func TestCopiesGoUnlessNeeded(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	old := f.olds(t)
	copies := f.copies(t, "a")
	isOld := func(archive int64) bool { return archive == old.ID }
	find := func(want catalog.Place) {
		t.Helper()
		got, err := f.FindCopies(ctx, f.run, []firn.Content{content("a"), content("none")}, isOld)
		if err != nil || got[0] != want || got[1] != (catalog.Place{}) {
			t.Errorf("found %v, %v, want %v", got, err, want)
		}
	}
	at := catalog.Place{Archive: copies.ID}
	find(at)
	if q, err := f.DeletionQueue(ctx, f.store.ID); err != nil || !q.Unsettled {
		t.Errorf("%+v, %v", q, err)
	}
	if due := f.queue(t); len(due) != 1 || due[0].Archive != copies.ID {
		t.Fatalf("to be deleted: %+v", due)
	}
	find(at)
	move := []catalog.Move{{From: catalog.Place{Archive: old.ID}, To: at}}
	check(t, f.DeletionAsked(ctx, copies.ID))
	find(catalog.Place{})
	if n, err := f.Relocate(ctx, f.run, retirement, move); n != 0 || err != nil {
		t.Errorf("moved %d into what is being deleted, %v", n, err)
	}

	// One that was queued, and not asked for, stays when it is needed again.
	copies = f.copies(t, "a")
	f.queue(t)
	move[0].To.Archive = copies.ID
	if n, err := f.Relocate(ctx, f.run, retirement, move); n != 2 || err != nil {
		t.Errorf("moved %d, %v", n, err)
	}
	for _, d := range f.queue(t) {
		if d.Archive == copies.ID {
			t.Error("it is to be deleted all the same")
		}
	}
	// What is a candidate for other reasons is no place for copies.
	check(t, f.Suspect(ctx, f.run, retirement, []int64{old.ID}))
	if got, err := f.FindCopies(ctx, f.run, []firn.Content{content("b")}, func(int64) bool { return false }); err != nil || got[0] != (catalog.Place{}) {
		t.Errorf("found %v, %v", got, err)
	}
	checkInvariants(t, f.Catalog)
}

// TestMovesThatCantBe are passed over.
func TestMovesThatCantBe(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	old := f.olds(t)
	copies := f.copies(t, "a", "other")
	from := catalog.Place{Archive: old.ID}
	onItsWay := newBundle()
	check(t, f.IntendCopies(ctx, &onItsWay, f.run, retirement, bundled(regular("a", "a"))))
	want := f.places(t)
	for name, to := range map[string]catalog.Place{
		"another content": {Archive: copies.ID, Member: 1},
		"no member":       {Archive: copies.ID, Member: 2},
		"no archive":      {Archive: 99},
		"not stored yet":  {Archive: onItsWay.ID},
	} {
		if n, err := f.Relocate(ctx, f.run, retirement, []catalog.Move{{From: from, To: to}}); n != 0 || err != nil {
			t.Errorf("%s: moved %d, %v", name, n, err)
		}
	}
	id := f.plan(t, "k")
	check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{{Archive: old.ID, Range: firn.Range{Start: 0, End: 1 << 20}, Files: 1, Bytes: 1}}))
	move := []catalog.Move{{From: from, To: catalog.Place{Archive: copies.ID}}}
	if n, err := f.Relocate(ctx, f.run, retirement, move); n != 0 || err != nil {
		t.Errorf("a restore waits for it: moved %d, %v", n, err)
	}
	if diff := gocmp.Diff(want, f.places(t)); diff != "" {
		t.Error(diff)
	}
	f.clock.Advance(8 * 24 * time.Hour) // nobody carries that plan out any more
	if n, err := f.Relocate(ctx, f.run, retirement, move); n != 2 || err != nil {
		t.Errorf("moved %d, %v", n, err)
	}
	checkInvariants(t, f.Catalog)
}
