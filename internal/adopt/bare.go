package adopt

import (
	"context"

	"github.com/firn-archive/firn/describe"
)

// bare takes in, by their descriptions, archives that are recorded and of which
// nobody asked what they hold: firn store refresh records them so.
func (a *adopter) bare(ctx context.Context) error {
	if a.spool != nil {
		return nil // none was recorded before
	}
	a.taker.intake = a.Catalog.Intake(a.Run) // they aren't strangers to it
	for found, err := range a.Catalog.Bare(ctx, a.inventory.ID) {
		if err != nil {
			return err
		}
		d := guess(found.Description)
		_, fits := a.spotOf(d, packedBy(d, d), found.Size)
		if d.Format != describe.GlacierSyncDB && (d.Path == "" || !fits) {
			continue // a look at it tells no more than the last one
		}
		if err := a.stranger(ctx, found); err != nil {
			return err
		}
	}
	return nil
}
