package recovery_test

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// inventoriesSince counts the lists of everything that a store was asked for
// after a time.
func inventoriesSince(t *testing.T, s firn.Store, since time.Time) (n int) {
	t.Helper()
	for job, err := range s.Jobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if job.Kind == firn.InventoryJob && job.Created.After(since) {
			n++
		}
	}
	return n
}

// TestRecoverAgainMuchLater calls a recovery now and then: while it goes on it
// asks for no other inventory, and what it has read of one doesn't count a week
// later.
func TestRecoverAgainMuchLater(t *testing.T) {
	b := worktest.New(t, slow())
	b.Bundle(100, 1<<20)
	fill(b)
	b.Sync()
	m := newMachine(b, nil)
	m.wait = false
	step := func(wait time.Duration, pending bool) time.Time {
		t.Helper()
		m.clock.Advance(wait)
		res, err := m.try(t.Context())
		m.must(err)
		if (res.Pending > 0) != pending || res.Failed > 0 {
			t.Fatalf("%+v, want pending: %t", res, pending)
		}
		return res.Inventory
	}
	step(48*time.Hour, true) // the inventory is asked for
	step(5*time.Hour, true)  // and then the indexes
	staged := m.clock.Now()
	step(30*time.Hour, true) // their output has expired: they are asked for once more
	if n := inventoriesSince(t, b.Store, staged); n > 0 {
		t.Errorf("%d more inventories were asked for", n)
	}
	b.Write("later", "what came while jobs ran")
	b.Sync()
	began := m.clock.Now()
	step(8*24*time.Hour, true)
	step(5*time.Hour, true)
	if dated := step(5*time.Hour, false); dated.Before(began) {
		t.Errorf("the inventory is of %s", dated)
	}
	isLater := func(path string) bool { return filepath.Base(path) == "later" }
	if files := slices.Collect(maps.Keys(m.restored())); !slices.ContainsFunc(files, isLater) {
		t.Errorf("the newer file is missing: %v", files)
	}
}

// TestRecoverWithoutIdentity retrieves no bundle that it has nothing to open
// with, and goes on when it has.
func TestRecoverWithoutIdentity(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	ids := b.Seal()
	b.Bundle(100, 1<<20)
	fill(b)
	b.Sync()
	m := newMachine(b, nil)
	m.clock.Advance(48 * time.Hour)
	res, err := m.try(t.Context())
	m.must(err)
	if res.Failed == 0 || res.Bundles != 0 || len(m.asked) > 0 || len(m.warnings()) != 1 {
		t.Errorf("%+v, retrieved %+v, said %q", res, m.asked, m.warnings())
	}
	m.ids = ids
	if res := m.recover(); res.Bundles == 0 || len(m.restored()) == 0 {
		t.Errorf("%+v", res)
	}
}
