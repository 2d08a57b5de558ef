package retrieval_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
)

// fill stores archives, and lets the store's inventory have them.
func (r *rig) fill(n int) {
	r.T.Helper()
	for range n {
		r.put("a", 7)
	}
	r.Clock.Advance(25 * time.Hour)
}

// stagedNow gives the inventory that a run has staged.
func (r *rig) stagedNow(run catalog.Run) (catalog.Inventory, bool) {
	r.T.Helper()
	inv, ok, err := r.Catalog.StagedInventory(r.T.Context(), run)
	r.check(err)
	return inv, ok
}

// TestStageInventory: it is waited for where that is wanted, read in batches, and
// its job is not waited for any more when it is worked in.
func TestStageInventory(t *testing.T) {
	for _, archives := range []int{1, 3, 4, 10} {
		r := newRig(t, slow)
		r.fill(archives)
		o := r.options()
		a := retrieval.New(o)
		var told []firn.Count
		how := retrieval.Staging{Batch: 3, Progress: func(n firn.Count) { told = append(told, n) }}
		_, job, ok, err := a.StageInventory(t.Context(), how)
		r.check(err)
		if ok || job.ID == "" || job.State != firn.JobRunning {
			t.Errorf("without waiting: %t, %+v", ok, job)
		}
		how.Wait = true
		inv, ready, ok, err := a.StageInventory(t.Context(), how)
		r.check(err)
		if !ok || ready.ID != job.ID || inv.Archives != int64(archives) || inv.Info.Archives != inv.Archives || inv.Bytes != 7*inv.Archives || !inv.Dated.Equal(inv.Info.Date) {
			t.Errorf("%t, %+v of %+v", ok, inv, ready)
		}
		if all := (firn.Count{Files: int64(archives), Bytes: 7 * int64(archives)}); len(told) < archives/3 || told[len(told)-1] != all {
			t.Errorf("told %v", told)
		}
		if now, ok := r.stagedNow(o.Run); !ok || now != inv.Inventory {
			t.Errorf("staged: %t, %+v", ok, now)
		}
		strangers, err := storetest.Collect(r.Catalog.Strangers(t.Context(), inv.ID))
		r.check(err)
		if len(strangers) != archives {
			t.Errorf("%d archives are staged", len(strangers))
		}
		if open := r.open(); len(open) != 1 {
			t.Errorf("before it is worked in the catalog waits for %+v", open)
		}
		r.check(r.Catalog.EndInventory(t.Context(), inv.ID))
		if open := r.open(); len(open) != 0 {
			t.Errorf("the catalog waits for %+v", open)
		}
		r.asked(1)
	}
}

// TestStageOtherPeoplesInventory: there is no job of ours to wait for.
func TestStageOtherPeoplesInventory(t *testing.T) {
	r := newRig(t, slow)
	r.fill(1)
	id, err := r.Memory.StartInventory(t.Context(), firn.InventorySpec{Description: "mtijob1 other"})
	r.check(err)
	r.Clock.Advance(5 * time.Hour)
	inv, job, ok, err := r.asker().StageInventory(t.Context(), retrieval.Staging{})
	r.check(err)
	if !ok || job.ID != id || inv.Archives != 1 {
		t.Errorf("%t, %+v of %+v", ok, inv, job)
	}
	r.check(r.Catalog.EndInventory(t.Context(), inv.ID))
}

// TestExpiredInventories: another one is asked for, a few times, and nothing waits
// for those that are gone.
func TestExpiredInventories(t *testing.T) {
	for times, gone := range map[int]bool{1: false, 2: false, 3: true} {
		r := newRig(t, slow, storetest.Fault{Op: "Inventory", Kind: firn.NotFound, Times: times})
		r.fill(2)
		o := r.options()
		inv, job, ok, err := retrieval.New(o).StageInventory(t.Context(), retrieval.Staging{Wait: true})
		if gone != (firn.KindOf(err) == firn.NotFound) || ok == gone || ok && inv.Archives != 2 {
			t.Errorf("gone %d times: %t, %+v, %v", times, ok, inv, err)
		}
		if _, staged := r.stagedNow(o.Run); staged == gone {
			t.Errorf("gone %d times: staged: %t", times, staged)
		}
		for _, j := range r.open() {
			if gone || j.Remote.ID != job.ID {
				t.Errorf("gone %d times: the catalog waits for %+v", times, j)
			}
		}
		jobs, err := storetest.Collect(r.Memory.Jobs(t.Context()))
		r.check(err)
		if len(jobs) != min(times+1, 3) {
			t.Errorf("gone %d times: %d were asked for", times, len(jobs))
		}
	}
}

// TestStageBreaksOff: nothing of half an inventory is left, and the output is read
// again without another job.
func TestStageBreaksOff(t *testing.T) {
	r := newRig(t, slow, storetest.Fault{Op: "Inventory", Kind: firn.Corrupt, After: 5})
	r.fill(9)
	o := r.options()
	a := retrieval.New(o)
	how := retrieval.Staging{Batch: 2, Wait: true}
	if inv, _, ok, err := a.StageInventory(t.Context(), how); ok || firn.KindOf(err) != firn.Corrupt {
		t.Errorf("%t, %+v, %v", ok, inv, err)
	}
	if inv, staged := r.stagedNow(o.Run); staged {
		t.Errorf("staged: %+v", inv)
	}
	inv, _, ok, err := a.StageInventory(t.Context(), how)
	r.check(err)
	if !ok || inv.Archives != 9 {
		t.Errorf("%t, %+v", ok, inv)
	}
	r.asked(1)
}

// TestStageStopped: what stops in the middle says why.
func TestStageStopped(t *testing.T) {
	r := newRig(t, slow)
	r.fill(9)
	ctx, cancel := context.WithCancelCause(t.Context())
	how := retrieval.Staging{Batch: 2, Wait: true, Progress: func(firn.Count) { cancel(errStop) }}
	if _, _, ok, err := r.asker().StageInventory(ctx, how); ok || !errors.Is(err, errStop) {
		t.Errorf("%t, %v", ok, err)
	}
	r.asked(1)
}

// TestStagedByAnother: where another program begins to read the inventory, this
// one ends, and doesn't take that for an output that is gone.
func TestStagedByAnother(t *testing.T) {
	r := newRig(t, slow)
	r.fill(9)
	begin := func() {
		_, err := r.Catalog.BeginInventory(t.Context(), catalog.Run{Store: r.Row.ID, ID: 1000}, 0)
		r.check(err)
	}
	first := true
	how := retrieval.Staging{Batch: 2, Wait: true, Progress: func(firn.Count) {
		if first {
			first = false
			begin()
		}
	}}
	_, job, ok, err := r.asker().StageInventory(t.Context(), how)
	if kind := firn.KindOf(err); ok || kind != firn.NotFound && kind != firn.Conflict {
		t.Errorf("%t, %v", ok, err)
	}
	r.asked(1)
	if open := r.open(); len(open) != 1 || open[0].Remote.ID != job.ID {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// TestStageFromElsewhere: an inventory that isn't the store's job, as a file is.
func TestStageFromElsewhere(t *testing.T) {
	r := newRig(t, slow)
	list := []firn.Archive{{ID: "a", Size: 1}, {ID: "b", Size: 2}, {ID: "a", Size: 1}, {}}
	read := func(claimed int64, err error) retrieval.Reading {
		return func(_ context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error) {
			for _, a := range list {
				if err := each(a); err != nil {
					return firn.InventoryInfo{}, err
				}
			}
			return firn.InventoryInfo{Archives: claimed}, err
		}
	}
	o := r.options()
	a := retrieval.New(o)
	for _, bad := range []retrieval.Reading{read(4, errStop), read(5, nil)} {
		if inv, err := a.Stage(t.Context(), retrieval.Staging{}, 0, bad); err == nil {
			t.Errorf("%+v", inv)
		}
		if inv, staged := r.stagedNow(o.Run); staged {
			t.Errorf("staged: %+v", inv)
		}
	}
	inv, err := a.Stage(t.Context(), retrieval.Staging{}, 0, read(4, nil))
	r.check(err)
	if inv.Archives != 2 || inv.Twice != 1 || inv.Nameless != 1 || inv.Bytes != 3 {
		t.Errorf("%+v", inv)
	}
	strangers, err := storetest.Collect(r.Catalog.Strangers(t.Context(), inv.ID))
	r.check(err)
	if !slices.EqualFunc(strangers, list[:2], func(a, b firn.Archive) bool { return a.ID == b.ID }) {
		t.Errorf("%+v", strangers)
	}
	r.asked(0)
}
