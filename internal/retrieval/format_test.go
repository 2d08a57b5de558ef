package retrieval_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
)

// TestInventoryOfAnotherFormat: a list in CSV doesn't say of when it is, and one of
// some archives isn't one of all: neither is used in place of another, while it
// runs or once it is ready.
func TestInventoryOfAnotherFormat(t *testing.T) {
	for name, spec := range map[string]firn.InventorySpec{
		"in CSV":  {Format: firn.InventoryCSV},
		"of some": {Listing: firn.Listing{Limit: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slow)
			r.Clock.Advance(25 * time.Hour)
			other, err := r.Memory.StartInventory(t.Context(), spec)
			r.check(err)
			if job := r.inventory(time.Time{}, false); job.ID == other {
				t.Errorf("%+v is taken for a list of all, that can be read", job)
			}
			r.Clock.Advance(5 * time.Hour)
			if job := r.inventory(time.Time{}, true); job.ID == other {
				t.Errorf("%+v is taken for a list of all, that can be read", job)
			}
		})
	}
}
