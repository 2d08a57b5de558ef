package catalog_test

import (
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestSight: what is recorded and what is listed are told apart, in the order of
// what was asked, also where two ids have one hash.
func TestSight(t *testing.T) {
	f := newFixture(t)
	known := found("x", "one", epoch)
	bare := found("y", "two", epoch)
	bare.Members = nil
	f.takeIn(t, known, bare)
	check(t, f.Bury(t.Context(), f.run, firn.Archive{ID: "buried"}))
	listed := []firn.Archive{foreignArchive(1), foreignArchive(2), known.Archive, {ID: "bare words", Description: "a\x00b", Size: 7}}
	inv := f.staged(t, epoch, listed...)
	check(t, f.Exec(t.Context(), "UPDATE by_staged SET h64 = ? WHERE h64 = ?", catalog.Remote64("nobody"), catalog.Remote64("bare words")))

	ids := []firn.ArchiveID{"buried", listed[1].ID, known.Archive.ID, "nobody", bare.Archive.ID, listed[0].ID, listed[1].ID}
	got, err := f.Sight(t.Context(), f.store.ID, inv.ID, ids)
	check(t, err)
	known.Archive.Created = known.Archive.Created.Truncate(time.Microsecond)
	want := []catalog.Sighting{
		{State: catalog.Deleted}, {Listed: true, Archive: listed[1]}, {State: catalog.Stored, Listed: true, Archive: known.Archive}, {},
		{State: catalog.Foreign}, {Listed: true, Archive: listed[0]}, {Listed: true, Archive: listed[1]},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = f.Sight(t.Context(), f.store.ID, 0, ids)
	check(t, err)
	if slices.ContainsFunc(got, func(s catalog.Sighting) bool { return s.Listed }) || got[2].State != catalog.Stored {
		t.Errorf("without an inventory: %+v", got)
	}
	if got, err = f.Sight(t.Context(), f.store.ID+1, 0, ids); err != nil || got[2].State != catalog.NoArchive {
		t.Errorf("of another store: %+v, %v", got, err)
	}
}

// TestHoldersOf: all versions of a path count, and what others wrote on their
// archives is told.
func TestHoldersOf(t *testing.T) {
	f := newFixture(t)
	f.takeIn(t, found("dir/x", "one", epoch), found("dir/x", "three", epoch.Add(48*time.Hour)), found("dir/y", "other", epoch))
	all, err := f.HoldersOf(t.Context(), f.store.ID, "theirs", "dir/x")
	check(t, err)
	slices.SortFunc(all, func(a, b firn.Archive) int { return len(a.ID) - len(b.ID) })
	want := []firn.Archive{{ID: "found one", Description: "words"}, {ID: "found three", Description: "words"}}
	if diff := gocmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	for _, nothing := range []struct{ tree, path string }{{"theirs", "dir/z"}, {"theirs", "x"}, {"no", "dir/x"}} {
		if all, err := f.HoldersOf(t.Context(), f.store.ID, nothing.tree, nothing.path); err != nil || len(all) > 0 {
			t.Errorf("%v: %v, %v", nothing, all, err)
		}
	}
}

// TestForgetInventory leaves nothing of an inventory that was only looked at,
// whether it was read to its end or not.
func TestForgetInventory(t *testing.T) {
	f := newFixture(t)
	inv := f.staged(t, epoch, foreignArchive(1), foreignArchive(2))
	check(t, f.ForgetInventory(t.Context(), inv.ID))
	if got := f.left(t); got != "0 0 0" {
		t.Errorf("left: %s", got)
	}
	id, err := f.BeginInventory(t.Context(), f.run, 0)
	check(t, err)
	check(t, f.Stage(t.Context(), id, []firn.Archive{foreignArchive(1)}))
	check(t, f.ForgetInventory(t.Context(), id))
	check(t, f.ForgetInventory(t.Context(), id))
	if got := f.left(t); got != "0 0 0" {
		t.Errorf("left of one that was begun: %s", got)
	}
	if err := f.Stage(t.Context(), id, []firn.Archive{foreignArchive(1)}); firn.KindOf(err) != firn.NotFound {
		t.Errorf("staged into it all the same: %v", err)
	}
	done := f.staged(t, epoch, foreignArchive(3))
	check(t, f.EndInventory(t.Context(), done.ID))
	check(t, f.ForgetInventory(t.Context(), done.ID))
	if _, err := f.Sight(t.Context(), f.store.ID, done.ID, []firn.ArchiveID{"x"}); firn.KindOf(err) != firn.Conflict {
		t.Errorf("looked up in one that is worked in: %v", err)
	}
}
