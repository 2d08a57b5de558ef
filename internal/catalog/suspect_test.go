package catalog_test

import (
	"testing"
)

// TestSuspect: an archive whose content is sent again goes once nothing refers
// to it any more.
func TestSuspect(t *testing.T) {
	f := newFixture(t)
	first := f.upload(t, f.run, regular("f", "one"))
	loc, ok, err := f.ArchiveByRemote(t.Context(), f.store.ID, first)
	if check(t, err); !ok {
		t.Fatal("the archive is not known")
	}
	check(t, f.Suspect(t.Context(), f.run, retirement, []int64{loc.Archive}))
	if due := f.queue(t); len(due) != 0 {
		t.Fatalf("queued, though the file refers to it: %+v", due)
	}
	check(t, f.Suspect(t.Context(), f.run, retirement, []int64{loc.Archive}))
	f.upload(t, f.begin(t), regular("f", "one"))
	if due := f.queue(t); len(due) != 1 || due[0].Remote != first {
		t.Fatalf("queued %+v, want %s", due, first)
	}
}
