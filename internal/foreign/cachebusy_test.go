package foreign_test

import (
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/treehash"
)

// TestListKeepsNobodyWaiting: a listing that nobody reads to its end, such as in a
// pager, doesn't keep uploads from being recorded.
func TestListKeepsNobodyWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	c, other := openCache(t, path), openCache(t, path)
	add(t, c, "A", "a", "r", "KEY")
	add(t, c, "B", "b", "r", "KEY")
	began, seen := t.Context(), 0
	err := c.List(began, "r", "v", func(foreign.CacheRow) error {
		if seen++; seen == 1 {
			add(t, other, "C", "c", "r", "KEY")
		}
		return nil
	})
	if err != nil || seen != 2 {
		t.Errorf("%d rows, %v", seen, err)
	}
	if got := names(t, c, "r"); got != "a b c" {
		t.Error(got)
	}
}

// TestAddAfterInventory: what a sync brought first gets the name by which it was
// stored; what is recalled changes nothing that is known.
func TestAddAfterInventory(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "db"))
	add(t, c, "A", "%C3%BC", "r", "KEY")
	add(t, c, "A", "ü", "r", "KEY")
	add(t, c, "B", "b", "r", "KEY")
	if err := c.Deleted(t.Context(), "B", day); err != nil {
		t.Fatal(err)
	}
	for _, id := range []firn.ArchiveID{"A", "B", "N"} {
		if err := c.Recall(t.Context(), foreign.CacheRow{ID: id, Name: "new", Vault: "v", Region: "r", Key: "KEY", Created: day, Tree: treehash.Sum(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, c, "r"); got != "new ü" {
		t.Error(got)
	}
}
