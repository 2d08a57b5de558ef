package catalog_test

import (
	"testing"

	"github.com/firn-archive/firn"
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
