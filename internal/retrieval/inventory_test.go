package retrieval_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
)

// inventory asks for one, as a new process.
func (r *rig) inventory(notBefore time.Time, wantReady bool) firn.Job {
	r.T.Helper()
	job, ready, err := r.asker().Inventory(r.T.Context(), notBefore)
	r.check(err)
	if ready != wantReady || ready != (job.State == firn.JobReady) || job.ID == "" {
		r.T.Errorf("ready: %t, %+v", ready, job)
	}
	return job
}

// TestInventory: one that runs or is ready is used, whoever asked for it, unless
// it is too old.
func TestInventory(t *testing.T) {
	r := newRig(t, slow)
	if _, _, err := r.asker().Inventory(t.Context(), time.Time{}); firn.KindOf(err) != firn.NotReady {
		t.Errorf("before the first inventory: %v", err)
	}
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
	r.Clock.Advance(25 * time.Hour)
	first := r.inventory(time.Time{}, false)
	if again := r.inventory(time.Time{}, false); again.ID != first.ID {
		t.Errorf("%s runs, and %s was asked for", first.ID, again.ID)
	}
	r.Clock.Advance(5 * time.Hour)
	if ready := r.inventory(first.Created, true); ready.ID != first.ID {
		t.Errorf("%s is ready, and it is %s", first.ID, ready.ID)
	}
	r.asked(1)
	second := r.inventory(r.Clock.Now(), false)
	if third := r.inventory(time.Time{}, true); third.ID != first.ID || second.ID == first.ID {
		t.Errorf("while %s runs, %s is ready, and it is %s", second.ID, first.ID, third.ID)
	}
	r.asked(2)
	r.Clock.Advance(5 * time.Hour)
	if newest := r.inventory(time.Time{}, true); newest.ID != second.ID {
		t.Errorf("the newest is %s, and it is %s", second.ID, newest.ID)
	}
}

// TestOtherPeoplesInventory, of which nothing is recorded.
func TestOtherPeoplesInventory(t *testing.T) {
	r := newRig(t, slow)
	r.Clock.Advance(25 * time.Hour)
	id, err := r.Memory.StartInventory(t.Context(), firn.InventorySpec{Description: "mtijob1 other"})
	r.check(err)
	if job := r.inventory(time.Time{}, false); job.ID != id {
		t.Errorf("%s runs, and it is %s", id, job.ID)
	}
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// TestFreshInventory: where it is made at once, an old one is of no use.
func TestFreshInventory(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	if first, second := r.inventory(time.Time{}, true), r.inventory(time.Time{}, true); first.ID == second.ID {
		t.Errorf("twice %s", first.ID)
	}
}

// TestLostInventories: an answer that was lost is found by its token, or asked
// for again, some times.
func TestLostInventories(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"started":       {Op: "StartInventory", Kind: firn.Lost, Late: true},
		"never started": {Op: "StartInventory", Kind: firn.Lost, Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slow, fault)
			r.Clock.Advance(25 * time.Hour)
			job := r.inventory(time.Time{}, false)
			r.asked(1)
			found := false
			for _, j := range r.open() {
				found = found || j.Remote.ID == job.ID && j.Remote.State == firn.JobRunning
			}
			if !found {
				t.Errorf("%s isn't among %+v", job.ID, r.open())
			}
		})
	}
	r := newRig(t, slow, storetest.Fault{Op: "StartInventory", Kind: firn.Lost, Times: -1})
	r.Clock.Advance(25 * time.Hour)
	if _, _, err := r.asker().Inventory(t.Context(), time.Time{}); firn.KindOf(err) != firn.Lost {
		t.Errorf("after many: %v", err)
	}
}

// TestAwaitInventory asks no earlier than it may be there.
func TestAwaitInventory(t *testing.T) {
	r := newRig(t, slow)
	r.Clock.Advance(25 * time.Hour)
	if _, ready, err := r.asker().AwaitInventory(t.Context(), time.Time{}, false); ready || err != nil {
		t.Errorf("without waiting: %t, %v", ready, err)
	}
	before := r.Clock.Now()
	job, ready, err := r.asker().AwaitInventory(t.Context(), time.Time{}, true)
	r.check(err)
	if took := r.Clock.Now().Sub(before); !ready || took < 5*time.Hour || took > 5*time.Hour+retrieval.DefaultPoll {
		t.Errorf("ready: %t after %v, %+v", ready, took, job)
	}
	r.asked(1)
}
