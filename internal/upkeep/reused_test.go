package upkeep_test

import (
	"context"
	"slices"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
)

// asked is a store that notes which archives it is asked to delete.
type asked struct {
	firn.Store
	ids []firn.ArchiveID
}

func (a *asked) DeleteArchive(_ context.Context, id firn.ArchiveID) error {
	a.ids = append(a.ids, id)
	return nil
}

// TestReusedNameIsNotDeleted: where ids are names, a deletion whose outcome was never
// recorded must not delete what was stored under the name since.
func TestReusedNameIsNotDeleted(t *testing.T) {
	for _, reused := range []bool{false, true} {
		b := worktest.New(t, storetest.MemoryOptions{MinDuration: quarter})
		b.Write("a", "first")
		b.Sync()
		b.Write("a", "second, and longer")
		b.Sync()
		prune(b, pruneOptions(b, plan.Keep{Last: 1}))
		var old firn.ArchiveID
		for d, err := range b.Catalog.Deletions(t.Context(), b.Row.ID, b.Clock.Now().Add(2*quarter)) {
			if err != nil {
				t.Fatal(err)
			}
			old = d.Remote
		}
		run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "resume")
		if err != nil {
			t.Fatal(err)
		}
		var want []firn.ArchiveID
		if !reused {
			want = append(want, old)
		} else {
			b.RecordUnder(run, old)
		}
		store := &asked{Store: b.Store}
		o := pruneOptions(b, plan.Keep{}).DeletionOptions
		o.Store, o.Run, o.Snapshots, o.PayEarly = store, run, nil, true
		res, err := upkeep.DeleteDue(t.Context(), o)
		if err != nil || res.Pending() || old == "" || !slices.Equal(store.ids, want) {
			t.Errorf("reused %v: asked to delete %q, want %q; %+v, %v", reused, store.ids, want, res, err)
		}
	}
}
