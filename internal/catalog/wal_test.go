package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
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
	n := 0
	write := func() {
		t.Helper()
		for range 20 {
			var changes []catalog.Change
			for range 100 {
				n++
				changes = append(changes, regular(fmt.Sprintf("more/%d", n), "two"))
			}
			f.record(t, f.run, changes...)
		}
	}
	write()
	wal := func() int64 {
		info, err := os.Stat(path + "-wal")
		check(t, err)
		return info.Size()
	}
	before := wal()
	for _, err := range f.Current(t.Context(), f.tree.ID) {
		check(t, err)
		write()
		if n > 20_000 {
			break
		}
	}
	for _, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID, All: true}) {
		check(t, err)
		write()
		if n > 40_000 {
			break
		}
	}
	if after := wal(); after > max(2*before, 16<<20) {
		t.Errorf("the log grew from %d to %d bytes", before, after)
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
