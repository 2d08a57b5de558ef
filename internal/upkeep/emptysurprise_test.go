package upkeep_test

import (
	"errors"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
)

// TestEmptyEndsWhereTheListIsEmpty, and the store isn't: what came since the
// inventory is told, and the store stays, however little was to go.
func TestEmptyEndsWhereTheListIsEmpty(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour})
	b.Clock.Advance(25 * time.Hour)
	b.fill(3) // no inventory has them
	b.agree(true, true)
	var res struct {
		pending bool
		others  int64
	}
	for range 20 {
		r, err := b.empty()
		must(t, err)
		if res.pending, res.others = r.Pending, r.Others.Files; b.isOver() {
			break
		}
		b.Clock.Advance(12 * time.Hour)
	}
	if !b.isOver() || res.pending || res.others != 3 || len(b.Memory.Archives()) != 3 {
		t.Errorf("after ten days: over %t, %+v, %d archives", b.isOver(), res, len(b.Memory.Archives()))
	}
}

// TestEmptyAnEmptyStore: nothing is in the way of deleting it.
func TestEmptyAnEmptyStore(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour})
	b.Clock.Advance(25 * time.Hour)
	b.agree(true, true)
	res, err := b.empty()
	must(t, err)
	if !res.Gone || !b.isOver() {
		t.Errorf("%+v", res)
	}
}

// TestEmptyTakesExpiredKeysForNoRefusal: what is refused since nobody may ask
// anything any more is as it was before.
func TestEmptyTakesExpiredKeysForNoRefusal(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{})
	b.fill(100)
	expired := &firn.Error{Op: "delete archive", Kind: firn.Denied, Err: errors.New("expired")}
	b.store.before = func(n int, _ firn.ArchiveID) error {
		if n > 50 {
			return expired
		}
		return nil
	}
	b.store.describe = func() error {
		if len(b.store.asked) > 50 {
			return expired
		}
		return nil
	}
	b.agree(true, true)
	if res, err := b.empty(); firn.KindOf(err) != firn.Denied || b.isOver() {
		t.Fatalf("%+v, %v; over: %t", res, err, b.isOver())
	}
	b.store.before, b.store.describe = nil, nil
	res, err := b.empty()
	must(t, err)
	if !res.Gone || !res.Done(catalog.Emptying{Vault: true}) || len(b.Memory.Archives()) > 0 {
		t.Errorf("%+v, with %d archives left", res, len(b.Memory.Archives()))
	}
}

// TestEmptyTakesLateAnswersForOld: the last archive that goes before the keys expire is
// answered for after others were refused. It doesn't show that those were refused for
// themselves.
func TestEmptyTakesLateAnswersForOld(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{})
	b.fill(100)
	expired := &firn.Error{Op: "delete archive", Kind: firn.Denied, Err: errors.New("expired")}
	refused := make(chan struct{})
	b.store.before = func(n int, _ firn.ArchiveID) error {
		switch {
		case n == 58: // by three workers: five at least of these are told
			close(refused)
		case n == 50:
			<-refused
		}
		if n > 50 {
			return expired
		}
		return nil
	}
	b.store.describe = func() error { return expired }
	b.agree(true, true)
	if res, err := b.empty(); firn.KindOf(err) != firn.Denied || res.Deleted.Files != 50 {
		t.Fatalf("%+v, %v", res, err)
	}
	b.store.before, b.store.describe = nil, nil
	res, err := b.empty()
	must(t, err)
	if !res.Gone || res.Deleted.Files != 50 || len(b.Memory.Archives()) > 0 {
		t.Errorf("%+v, with %d archives left", res, len(b.Memory.Archives()))
	}
}

// TestEmptyForgivesWhatWasForbidden: once the right to delete is there, all goes.
func TestEmptyForgivesWhatWasForbidden(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{})
	b.fill(1200)
	b.store.before = func(int, firn.ArchiveID) error {
		return &firn.Error{Op: "delete archive", Kind: firn.Denied, Err: errors.New("not allowed")}
	}
	b.agree(true, true)
	if _, err := b.empty(); firn.KindOf(err) != firn.Denied {
		t.Fatal(err)
	}
	b.store.before = nil
	res, err := b.empty()
	must(t, err)
	if !res.Gone || len(b.Memory.Archives()) > 0 {
		t.Errorf("%+v, with %d archives left", res, len(b.Memory.Archives()))
	}
}

// TestEmptyWaitsForDaysNotYears, though a server answers by another clock than that of
// its inventories.
func TestEmptyWaitsForDaysNotYears(t *testing.T) {
	b := newEmptyBench(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour})
	b.fill(20)
	b.Clock.Advance(25 * time.Hour)
	b.agree(true, true)
	b.store.ahead = -3 * 365 * 24 * time.Hour
	began := b.Clock.Now()
	res, err := b.empty(func(o *upkeep.EmptyOptions) {
		o.Wait = true
		o.Info.Now = o.Info.Now.Add(b.store.ahead)
	})
	must(t, err)
	if took := b.Clock.Now().Sub(began); !res.Gone || took > 5*24*time.Hour {
		t.Errorf("it took %v: %+v", took, res)
	}
}

// TestEmptyWaitsThroughTheFees until all is free, in one call.
func TestEmptyWaitsThroughTheFees(t *testing.T) {
	const least = 90 * 24 * time.Hour
	b := newEmptyBench(t, storetest.MemoryOptions{MinDuration: least})
	b.fill(5)
	b.Clock.Advance(30 * 24 * time.Hour)
	b.fill(5)
	b.agree(false, true)
	began := b.Clock.Now()
	res, err := b.empty(func(o *upkeep.EmptyOptions) { o.Wait = true })
	must(t, err)
	if took := b.Clock.Now().Sub(began); !res.Gone || took < least || took > least+time.Hour || b.asks()[1] != 10 {
		t.Errorf("it took %v: %+v", took, res)
	}
}
