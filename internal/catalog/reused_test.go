package catalog_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestReusedIDs: where an id is a name that is free again once its archive is gone,
// the archive that is there is the newest one of that id.
func TestReusedIDs(t *testing.T) {
	f := newFixture(t)
	first := f.held(t, f.run, "a", epoch)
	old := f.rowOf(t, first.ID)
	if is, err := f.Replaced(t.Context(), old); is || err != nil {
		t.Errorf("replaced by nothing: %v, %v", is, err)
	}
	for _, end := range []func(row int64) error{
		func(row int64) error { return f.MarkLost(t.Context(), f.run, []int64{row}) },
		func(row int64) error { return f.MarkDeleted(t.Context(), f.run, row) },
	} {
		check(t, end(old))
		next := f.held(t, f.run, "a", epoch) // another token
		m := f.NewComparison(f.store.ID)
		differs, err := m.Add(t.Context(), []firn.Archive{next})
		check(t, err)
		if len(differs) > 0 || m.Same.Files != 1 || m.Twice != 0 {
			t.Errorf("%+v; %+v, %d twice", differs, m.Same, m.Twice)
		}
		for d, err := range m.Unlisted(t.Context(), epoch.AddDate(1, 0, 0), 0) {
			check(t, err)
			t.Errorf("not listed: %+v", d)
		}
		if is, err := f.Replaced(t.Context(), old); !is || err != nil {
			t.Errorf("replaced: %v, %v", is, err)
		}
		old = f.newest(t, next.ID)
	}
}

// newest gives the row of the archive that was stored last under an id.
func (f *fixture) newest(t *testing.T, id firn.ArchiveID) (row int64) {
	t.Helper()
	other := firn.Archive{ID: id, Size: -1} // differs, whatever is recorded
	differs, err := f.NewComparison(f.store.ID).Add(t.Context(), []firn.Archive{other})
	check(t, err)
	if len(differs) != 1 || differs[0].State != catalog.Stored {
		t.Fatalf("%+v", differs)
	}
	return differs[0].Row
}

// TestReusedIDsAreLookedUp: who names such an id means the archive that is there.
func TestReusedIDsAreLookedUp(t *testing.T) {
	for _, order := range []string{"as stored", "as merged"} {
		f := newFixture(t)
		first := f.held(t, f.run, "a", epoch)
		old := f.rowOf(t, first.ID)
		next := f.held(t, f.run, "a", epoch)
		there, gone := f.newest(t, next.ID), old
		if order == "as merged" { // the older one came with another machine's snapshot, later
			there, gone, next = old, there, first
		} else {
			check(t, f.MarkDeleted(t.Context(), f.run, old))
			account, err := f.AccountOf(t.Context(), f.store.ID, next.ID)
			if err != nil || account.ID != there || account.State != catalog.Stored {
				t.Errorf("%+v, %v; want row %d", account, err, there)
			}
		}
		m := f.NewComparison(f.store.ID)
		differs, err := m.Add(t.Context(), []firn.Archive{next})
		if err != nil || len(differs) > 0 || m.Same.Files != 1 {
			t.Errorf("%s: %+v, %v; want row %d", order, differs, err, there)
		}
		for d, err := range m.Unlisted(t.Context(), epoch.AddDate(1, 0, 0), 0) {
			if err != nil || d.Row != gone {
				t.Errorf("%s: not listed: %+v, %v; want %d", order, d, err, gone)
			}
		}
	}
}

// TestReusedIDsAreTakenIn: an archive that was found is not taken for another that
// had its name before.
func TestReusedIDsAreTakenIn(t *testing.T) {
	f := newFixture(t)
	first := f.held(t, f.run, "a", epoch)
	old := f.rowOf(t, first.ID)
	found := catalog.Find{Archive: firn.Archive{ID: first.ID, Size: 7, Tree: content("another").Tree, Created: epoch}, Kind: catalog.FileArchive, Token: firn.NewToken()}
	f.takeIn(t, found)
	f.takeIn(t, found) // it is known by now
	m := f.NewComparison(f.store.ID)
	words, err := describe.Encode(describe.Archive{Kind: describe.File, Token: found.Token, Path: "a", ModTime: epoch, Made: epoch})
	check(t, err)
	found.Archive.Description = words
	differs, err := m.Add(t.Context(), []firn.Archive{found.Archive})
	if err != nil || len(differs) > 0 {
		t.Errorf("%+v, %v", differs, err)
	}
	for d, err := range m.Unlisted(t.Context(), epoch.AddDate(1, 0, 0), 0) {
		if err != nil || d.Row != old {
			t.Errorf("not listed: %+v, %v; want %d alone", d, err, old)
		}
	}
}
