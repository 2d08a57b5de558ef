package reconcile_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestInventoryInCSVDecidesNothing: it doesn't say of when it is. While one is made,
// another in JSON is asked for, and settles what is in doubt.
func TestInventoryInCSVDecidesNothing(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour}, large)
	if err := l.Catalog.Doubtful(t.Context(), l.intent.ID, l.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	l.arrive()
	l.Clock.Advance(30 * time.Hour)
	if _, err := l.Memory.StartInventory(t.Context(), firn.InventorySpec{Format: firn.InventoryCSV}); err != nil {
		t.Fatal(err)
	}
	l.reconcile()
	l.Clock.Advance(5 * time.Hour)
	l.reconcile()
	l.settled(1)
}
