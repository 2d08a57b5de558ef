package catalog_test

import (
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// emptying makes a list of some archives what is to go.
func (f *fixture) emptying(tb testing.TB, archives ...firn.Archive) catalog.Emptying {
	tb.Helper()
	inv := f.staged(tb, epoch.Add(time.Hour), archives...)
	check(tb, f.Empty(tb.Context(), catalog.Emptying{Store: f.run.Store, Agreed: epoch.Add(2 * time.Hour), Pays: true, Vault: true}))
	check(tb, f.EmptyBy(tb.Context(), inv.ID))
	e, ok, err := f.EmptyingOf(tb.Context(), f.run.Store)
	check(tb, err)
	if !ok || e.Inventory != inv.ID || !e.Dated.Equal(epoch.Add(time.Hour).Truncate(time.Second)) || !e.Pays || !e.Vault || e.Leaving {
		tb.Fatalf("%+v", e)
	}
	return e
}

// items gives what is to go, by its state.
func (f *fixture) items(tb testing.TB, e catalog.Emptying) map[catalog.EmptyState][]catalog.EmptyItem {
	tb.Helper()
	all := map[catalog.EmptyState][]catalog.EmptyItem{}
	for item, err := range f.EmptyItems(tb.Context(), e.Inventory, 0) {
		check(tb, err)
		all[item.State] = append(all[item.State], item)
	}
	return all
}

// outcomes gives all items one outcome.
func outcomes(items []catalog.EmptyItem, state catalog.EmptyState, left time.Duration) (all []catalog.EmptyOutcome) {
	for _, item := range items {
		item.State = state
		all = append(all, catalog.EmptyOutcome{EmptyItem: item, Left: left})
	}
	return all
}

// TestEmptying follows ten archives of others, of which the catalog knows four, by
// small pages: what was asked for, what became of it, and what a later inventory says.
func TestEmptying(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(3, 3, 4)
	ctx := t.Context()
	var archives []firn.Archive
	for i := range 10 {
		archives = append(archives, foreignArchive(i))
	}
	var finds []catalog.Find
	for _, a := range archives[:4] {
		finds = append(finds, catalog.Find{Archive: a, Kind: catalog.ForeignArchive, Members: []catalog.FoundMember{{
			Tree: "tree", Content: firn.Content{Size: a.Size, Tree: a.Tree}, File: firn.File{Path: string(a.ID), Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1, Stamp: firn.Stamp{Size: a.Size}},
		}}})
	}
	_, err := f.TakeIn(ctx, f.run, finds)
	check(t, err)
	e := f.emptying(t, archives...)

	todo := f.items(t, e)[catalog.EmptyTodo]
	if len(todo) != 10 || todo[3].Archive != archives[3].ID || !todo[3].Created.Equal(archives[3].Created) {
		t.Fatalf("%+v", todo)
	}
	asked := epoch.Add(3 * time.Hour).Truncate(time.Second)
	check(t, f.EmptyAsks(ctx, e.Store, asked, todo[:9]))
	// Two are gone, one is refused, one was never asked for, of five nobody knows.
	known := slices.Concat(outcomes(todo[:2], catalog.EmptyGone, 36*time.Hour), outcomes(todo[2:3], catalog.EmptyRefused, 0), outcomes(todo[8:9], catalog.EmptyTodo, 0))
	check(t, f.Emptied(ctx, f.run, asked.Add(time.Minute), known))
	check(t, f.Emptied(ctx, f.run, asked, known)) // said twice it changes nothing
	f.wantEmptying(t, e, map[catalog.EmptyState]int{catalog.EmptyTodo: 2, catalog.EmptyAsked: 5, catalog.EmptyGone: 2, catalog.EmptyRefused: 1}, 2)
	if e, _, err = f.EmptyingOf(ctx, e.Store); err != nil || !e.Asked.Equal(asked.Add(time.Minute)) {
		t.Errorf("asked last at %v, %v", e.Asked, err)
	}
	ledger, err := f.Ledger(ctx, e.Store, epoch.Add(-time.Hour), f.clock.Now().Add(time.Hour))
	check(t, err)
	if want := []catalog.Charge{{Op: catalog.EarlyOp, Rest: 36 * time.Hour, Calls: 2, Bytes: archives[0].Size + archives[1].Size}}; !slices.Equal(ledger.Charges, want) {
		t.Errorf("charged %+v, want %+v", ledger.Charges, want)
	}

	// A later inventory lists one that was gone, the refused one, one in doubt, one to
	// do, and two that are of others.
	stranger, late := foreignArchive(20), archives[9]
	late.ID += "late"
	inv := f.staged(t, asked.Add(time.Hour), archives[1], archives[2], archives[4], archives[8], stranger, late)
	got, err := f.CheckEmpty(ctx, f.run, e, inv.ID, 0)
	check(t, err)
	want := catalog.EmptyCheck{Gone: 4, Again: 2, Others: firn.Count{Files: 2, Bytes: stranger.Size + late.Size}, Examples: []firn.ArchiveID{stranger.ID, late.ID}}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	check(t, f.ForgetInventory(ctx, inv.ID))
	f.wantEmptying(t, e, map[catalog.EmptyState]int{catalog.EmptyTodo: 4, catalog.EmptyGone: 5, catalog.EmptyRefused: 1}, 1)
	if e, _, err = f.EmptyingOf(ctx, e.Store); err != nil || !e.Checked.Equal(asked.Add(time.Hour)) {
		t.Errorf("checked by that of %v, %v", e.Checked, err)
	}

	// Then all is gone. What the catalog never knew is remembered all the same.
	left := f.items(t, e)[catalog.EmptyTodo]
	check(t, f.EmptyAsks(ctx, e.Store, asked, left))
	n, err := f.AllGone(ctx, f.run, e, 0)
	check(t, err)
	if n != 5 {
		t.Errorf("%d are gone now, want 5", n)
	}
	f.wantEmptying(t, e, map[catalog.EmptyState]int{catalog.EmptyGone: 10}, 0)
	check(t, f.BuryEmptied(ctx, f.run, e))
	check(t, f.BuryEmptied(ctx, f.run, e))
	check(t, f.EndEmptying(ctx, e.Store))
	check(t, f.EndEmptying(ctx, e.Store))
	lagging := f.staged(t, asked.Add(2*time.Hour), archives...)
	if strangers := f.strangers(t, lagging.ID); len(strangers) > 0 {
		t.Errorf("an inventory that lags brings back %v", strangers)
	}
	f.wantEmptiedBefore(t, lagging, 10)
	f.wantEmptiedBefore(t, lagging, 0) // they are marked
	check(t, f.ForgetInventory(ctx, lagging.ID))
	// What came since is there, and so is what is listed after days.
	f.wantEmptiedBefore(t, f.staged(t, asked.Add(2*time.Hour), append(archives[:5:5], stranger)...), 5)
	f.wantEmptiedBefore(t, f.staged(t, f.clock.Now().Add(catalog.InventoryMargin+time.Hour), archives...), 0)
	if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
		t.Errorf("faults %q", lines)
	}
}

func (f *fixture) wantEmptiedBefore(tb testing.TB, inv catalog.Inventory, want int64) {
	tb.Helper()
	if got, err := f.EmptiedBefore(tb.Context(), inv); err != nil || got != want {
		tb.Errorf("%d were deleted before, %v; want %d", got, err, want)
	}
}

// wantEmptying checks how many archives are in which state, and how many the catalog
// has as stored.
func (f *fixture) wantEmptying(tb testing.TB, e catalog.Emptying, want map[catalog.EmptyState]int, stored int64) {
	tb.Helper()
	got := map[catalog.EmptyState]int{}
	for state, items := range f.items(tb, e) {
		got[state] = len(items)
	}
	if d := gocmp.Diff(want, got); d != "" {
		tb.Errorf("-want +got:\n%s", d)
	}
	stores, err := f.Stores(tb.Context())
	check(tb, err)
	if i := slices.IndexFunc(stores, func(s catalog.Store) bool { return s.ID == e.Store }); stores[i].Archives != stored {
		tb.Errorf("the catalog has %d archives as stored, want %d", stores[i].Archives, stored)
	}
}

// TestEmptyingLeavesOtherInventories: while a store is being emptied its inventories
// can be read and worked in, and two stores are emptied side by side.
func TestEmptyingLeavesOtherInventories(t *testing.T) {
	f := newFixture(t)
	e := f.emptying(t, foreignArchive(1), foreignArchive(2))
	check(t, f.EmptyAsks(t.Context(), e.Store, epoch, f.items(t, e)[catalog.EmptyTodo]))
	inv := f.staged(t, epoch.Add(3*time.Hour), foreignArchive(1), foreignArchive(3))
	check(t, f.EndInventory(t.Context(), inv.ID))
	if items := f.items(t, e); len(items[catalog.EmptyAsked]) != 2 {
		t.Errorf("%+v", items)
	}
	if err := f.EmptyBy(t.Context(), inv.ID); firn.KindOf(err) != firn.Conflict {
		t.Errorf("a second list: %v", err)
	}
	check(t, f.EndEmptying(t.Context(), e.Store))
	if _, open, err := f.EmptyingOf(t.Context(), e.Store); open || err != nil {
		t.Errorf("it goes on: %v", err)
	}
}
