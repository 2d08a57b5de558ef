package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/catalog"
)

// TestIteratorsHoldNothing: while somebody takes days over a listing, others
// write, and the write-ahead log must not grow with what they write.
func TestIteratorsHoldNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	f := openFixture(t, path)
	f.seed(t)
	f.SetSizes(2, 10_000, 100_000)
	for i := range 10 {
		f.record(t, f.run, regular(fmt.Sprint(i), "one"))
	}
	// In a page of its own each, so that a few rows write much.
	n := 0
	write := func() {
		t.Helper()
		for range 3 {
			var changes []catalog.Change
			for range 1000 {
				n++
				changes = append(changes, symlink(fmt.Sprintf("more/%d", n), strings.Repeat("x", 3500)))
			}
			f.record(t, f.run, changes...)
		}
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() > 20<<20 {
			t.Fatalf("after %d rows the log has %d MiB, %v", n, info.Size()>>20, err)
		}
	}
	write()
	pages := 0
	for _, err := range f.Current(t.Context(), f.tree.ID) {
		check(t, err)
		write()
		if pages++; pages == fewer(4, 2) {
			break
		}
	}
	for _, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID, All: true}) {
		check(t, err)
		write()
		if pages++; pages == fewer(8, 4) {
			break
		}
	}
}

// TestListingSurvivesWrites: entries that others don't touch are listed once
// each, however much changes around them.
func TestListingSurvivesWrites(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	f.SetSizes(3, 10_000, 100_000)
	for i := range 30 {
		f.record(t, f.run, regular(fmt.Sprintf("d/%03d", i), "one"), regular(fmt.Sprintf("d/%03d~", i), "one"))
	}
	at := f.run.ID
	seen := map[string]int{}
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID, At: at}) {
		check(t, err)
		seen[e.Path]++
		run := f.begin(t)
		i := len(seen) % 30
		f.record(t, run, regular(fmt.Sprintf("d/%03d~", i), "two"), regular(fmt.Sprintf("d/%03d~", 29-i), "three"), regular(fmt.Sprintf("d/%03dx", i), "one"))
	}
	for i := range 30 {
		for _, name := range []string{fmt.Sprintf("d/%03d", i), fmt.Sprintf("d/%03d~", i)} {
			if seen[name] != 1 {
				t.Errorf("%s was listed %d times", name, seen[name])
			}
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d entries listed, want 60", len(seen))
	}
}
