package storetest_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/storetest"
)

// worlds are stores with and without waiting.
var worlds = map[string]storetest.MemoryOptions{
	"instant": {},
	"slow":    {JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour},
}

// memory gives a harness of a memory store, which decorate changes.
func memory(o storetest.MemoryOptions, decorate func(firn.Store) firn.Store) storetest.Harness {
	m := storetest.NewMemory(o)
	o.Clock, o.Missing, o.Name = m.Clock(), true, "missing"
	return storetest.Harness{
		Store:      decorate(m),
		Missing:    decorate(storetest.NewMemory(o)),
		Advance:    m.Clock().Advance,
		Ripe:       o.JobDelay,
		Lag:        o.InventoryEvery,
		OutputLife: 24 * time.Hour,
	}
}

// run runs the suite on memory in both worlds.
func run(t *testing.T, decorate func(firn.Store) firn.Store) {
	for name, o := range worlds {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) storetest.Harness { return memory(o, decorate) })
		})
	}
}

// retry is guard.Retry on a clock of its own, so that its pauses don't make
// jobs ripe.
func retry(s firn.Store) firn.Store {
	return guard.Retry(s, guard.RetryOptions{Clock: clock.NewManual(time.Now())})
}

func TestMemory(t *testing.T) {
	run(t, func(s firn.Store) firn.Store { return s })
}

// TestDecorated: what stands between a store and the works keeps the contract.
func TestDecorated(t *testing.T) {
	fast := guard.LimitOptions{Upload: config.Steady(1 << 30), Download: config.Steady(1 << 30), Clock: clock.NewManual(time.Now())}
	run(t, func(s firn.Store) firn.Store {
		return retry(guard.Limit(guard.Count(s, guard.NewCounter()), fast))
	})
}

// The calls that may be made twice without harm, and those that may not.
var (
	repeatable = []string{
		"UploadPart", "CompleteUpload", "AbortUpload", "Uploads", "Parts", "Job", "Jobs", "Output", "Inventory",
		"DeleteArchive", "Describe", "Create", "Delete", "Tags", "SetTags", "RemoveTags",
		"Notifications", "SetNotifications", "RemoveNotifications",
	}
	unique = []string{"UploadArchive", "StartUpload", "StartRetrieval", "StartInventory"}
)

// TestRetried: beneath guard.Retry, a store whose calls fail at first passes
// the suite as if they hadn't.
func TestRetried(t *testing.T) {
	plans := map[string]func() []storetest.Fault{
		"network":     func() []storetest.Fault { return each(firn.Network, 2, false, repeatable, unique) },
		"unavailable": func() []storetest.Fault { return each(firn.Unavailable, 3, false, repeatable, unique) },
		"throttled":   func() []storetest.Fault { return each(firn.Throttled, 2, false, repeatable, unique) },
		"slow body": func() []storetest.Fault {
			return each(firn.SlowBody, 2, false, []string{"UploadPart", "UploadArchive"})
		},
		"skew":        func() []storetest.Fault { return each(firn.Skew, 3, false, repeatable, unique) },
		"lost":        func() []storetest.Fault { return each(firn.Lost, 1, false, repeatable) },
		"lost answer": func() []storetest.Fault { return each(firn.Lost, 2, true, repeatable) },
		"broken off": func() []storetest.Fault {
			faults := each(firn.Network, 2, false, []string{"Uploads", "Parts", "Jobs", "Inventory", "UploadPart", "UploadArchive"})
			for i := range faults {
				faults[i].After = 1
			}
			return faults
		},
	}
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "network" && name != "lost answer" {
				t.Skip("the whole suite, as often as there are kinds of faults")
			}
			faults := storetest.NewFaults(t, plan()...)
			run(t, func(s firn.Store) firn.Store { return retry(faults.Store(s)) })
		})
	}
}

// each plans the same fault for the first calls of each op.
func each(kind firn.Kind, times int, late bool, ops ...[]string) (faults []storetest.Fault) {
	for _, some := range ops {
		for _, op := range some {
			faults = append(faults, storetest.Fault{Op: op, Kind: kind, Times: times, Late: late})
		}
	}
	return faults
}
