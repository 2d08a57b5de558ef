package catalog_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// TestLeftRuns: of runs that have no end it can be told what they stored, and whether
// anything is open.
func TestLeftRuns(t *testing.T) {
	f := newFixture(t)
	begin := func() catalog.Run {
		run, err := f.BeginRun(t.Context(), f.store.ID, 0, "upload one")
		check(t, err)
		return run
	}
	ended, left := begin(), begin()
	check(t, f.EndRun(t.Context(), ended, catalog.Outcome{}))
	intend := func(name string) int64 {
		intents := []catalog.Intent{{
			Store: f.store.ID, Run: left.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: "words of " + name,
			File: firn.File{Path: name, Kind: firn.Regular}, Size: 3, TreeHash: treehash.Sum([]byte(name)),
		}}
		check(t, f.Intend(t.Context(), intents))
		return intents[0].ID
	}
	stored, open := intend("one"), intend("two")
	archive := firn.Archive{ID: "ONE", Size: 3, Tree: treehash.Sum([]byte("one"))}
	check(t, f.Stored(t.Context(), stored, archive, left, nil))
	archive.Description = "words of one"

	runs, err := f.LeftRuns(t.Context(), f.store.ID, "upload one")
	if err != nil || len(runs) != 1 || runs[0].ID != left.ID || !runs[0].Started.Equal(left.Started) {
		t.Fatalf("%+v, %v", runs, err)
	}
	for _, want := range []bool{true, false} {
		var all []firn.Archive
		unsettled, err := f.LooseOf(t.Context(), runs[0], func(a firn.Archive) error {
			all = append(all, a)
			return nil
		})
		if err != nil || unsettled != want || len(all) != 1 || all[0] != archive {
			t.Errorf("%+v, %t, %v", all, unsettled, err)
		}
		if want {
			check(t, f.Drop(t.Context(), open, "it came to nothing"))
		}
	}
	check(t, f.EndRun(t.Context(), left, catalog.Outcome{}))
	if runs, err := f.LeftRuns(t.Context(), f.store.ID, "upload one"); err != nil || len(runs) != 0 {
		t.Errorf("%+v, %v", runs, err)
	}
}
