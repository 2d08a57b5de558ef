package catalog_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
)

// TestNoGhosts reads what a catalog knows now, and what another one recovered from
// an older snapshot of it, in either order. What was removed meanwhile stays so,
// and what is in archives that were deleted is in no history any more.
func TestNoGhosts(t *testing.T) {
	a := newFixture(t)
	a.upload(t, a.run, regular("kept", "kept"))
	a.upload(t, a.run, regular("changed", "before"))
	a.upload(t, a.run, regular("removed", "removed"))
	a.upload(t, a.run, regular("d/mirrored", "mirrored"))
	older, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})

	b, store := another(t)
	take(t, b, store, older)
	forB, _ := stream(t, b, store, catalog.RowsOptions{Seq: 1})

	a.run = a.begin(t)
	a.upload(t, a.run, regular("changed", "after"))
	a.remove(t, "removed", "d/mirrored")
	a.retireOld(t, "changed")
	a.retireOld(t, "d/mirrored")
	for _, d := range a.queue(t) {
		check(t, a.MarkDeleted(t.Context(), a.run, d.Archive))
	}
	newer, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 2})

	bothWays(t, func(c *catalog.Catalog, store int64) { take(t, c, store, newer) }, func(c *catalog.Catalog, store int64) { take(t, c, store, forB) },
		func(t *testing.T, c *catalog.Catalog, store int64) {
			trees, err := c.Trees(t.Context(), store)
			check(t, err)
			if len(trees) != 1 || trees[0].Files != 2 {
				t.Fatalf("%+v", trees)
			}
			for path, want := range map[string][]string{"kept": {"kept+"}, "changed": {"after+"}, "removed": {"removed"}, "d/mirrored": nil} {
				if got := f(c).texts(t, trees[0].ID, path, "kept", "before", "after", "removed", "mirrored"); !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", path, got, want)
				}
			}
		})
}

// TestNoGhostsOfACutStream reads a stream that says that an archive is deleted, and
// ends early: what is in that one is let go all the same.
func TestNoGhostsOfACutStream(t *testing.T) {
	before, _ := written(goodRows())
	all := goodRows()
	rowOf(all, func(a *rows.Archive) bool { return a.ID == 2 }).State = uint8(catalog.Deleted)
	after, _ := written(all)
	c, store := another(t)
	c.SetSizes(10, 1, 3)
	take(t, c, store, before)
	if _, err := c.ReadRows(t.Context(), store, read(after[:bytes.LastIndex(after, []byte(`{"dir"`))])); err == nil {
		t.Error("no error")
	}
	wantWhole(t, c)
}
