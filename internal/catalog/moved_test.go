package catalog_test

import (
	"testing"

	"github.com/firn-archive/firn/internal/catalog"
)

// TestWriteRowsMoved: what is found in an older archive, since its own one was
// dropped or lost, is in the rows that add to those of before.
func TestWriteRowsMoved(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	b := f.intendBundle(t, f.run, bundled(regular("f", "one"))...)
	check(t, f.Drop(t.Context(), b.ID, "no reason"))
	check(t, f.EndRun(t.Context(), f.run, catalog.Outcome{}))
	dead := func(catalog.Run) bool { return false }
	base := newRowSet()
	through := f.writeRows(t, base, catalog.RowsOptions{Alive: dead}).Through
	run := f.begin(t)
	f.record(t, run, regular("f", "one"))
	added := newRowSet()
	f.writeRows(t, added, catalog.RowsOptions{Alive: dead, Base: through, Seq: 2, BaseSeq: 1})
	if got := added.over(base).at(f.tree.ID, run.ID); len(got) != 1 {
		t.Errorf("there is %q, through %d", got, through)
	}
}
