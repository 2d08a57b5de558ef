package catalog_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/catalog"
)

// TestMend: versions in a lost archive go where the same content is stored, also old
// ones; what is in no other archive stays lost, and what is sealed goes to nothing that
// others can open.
func TestMend(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.SetSizes(2, 3, 100)
	old := f.olds(t)
	want := []string{"a@1-0 1/0", "b@1-2 1/1", "b@2-3 1/0", "b@3-0 2/0", "c@2-0 2/0"}
	mends := func(n int64) {
		t.Helper()
		if got, err := f.Mend(ctx, f.run); err != nil || got != n {
			t.Fatalf("mended %d, %v, want %d", got, err, n)
		}
		if diff := gocmp.Diff(want, f.places(t)); diff != "" {
			t.Fatal(diff)
		}
		checkInvariants(t, f.Catalog)
	}
	mends(0) // nothing is lost
	check(t, f.MarkLost(ctx, f.run, []int64{old.ID}))
	mends(0) // it is nowhere else
	copies := f.copies(t, "a")
	f.snapshot(t, f.run, 0, f.run.ID)
	want[0], want[2] = "a@1-0 3/0", "b@2-3 3/0"
	mends(2)
	mends(0)
	if rows, err := f.Query(ctx, "SELECT count(*) FROM snapshot WHERE own != 0"); err != nil || rows[0][0] != int64(0) {
		t.Errorf("snapshots may be added to: %v, %v", rows, err)
	}
	if due := f.queue(t); len(due) != 0 {
		t.Errorf("to be deleted: %+v", due)
	}
	check(t, f.MarkLost(ctx, f.run, []int64{copies.ID}))
	sealed := newBundle()
	sealed.Seal = &catalog.Sealing{Header: []byte("h"), Recipients: catalog.Recipients{1}}
	run := f.run
	run.Recipients = sealed.Seal.Recipients
	check(t, f.IntendCopies(ctx, &sealed, run, retirement, bundled(regular("copy of a", "a"))))
	f.stored(t, run, sealed)
	mends(0)
}
