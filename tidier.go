package firn

import (
	"context"
	"time"
)

// A Tidier is a store that keeps notes of its own about open uploads, some of which a
// kill may leave behind. The decorators of stores are Tidiers, whatever is below
// them.
type Tidier interface {
	// Tidy removes the notes about uploads that are over, and tells how many these
	// were; with dryRun it only counts them. The note about an upload that is open
	// stays, and one that is younger than age, by the store's clock, unless the
	// archive that it was about is there: its upload may be about to begin.
	// Errors: Denied (who may only add can't remove them, which does no harm).
	Tidy(ctx context.Context, age time.Duration, dryRun bool) (removed int, err error)
}

// Tidy is that of a store that may be no Tidier: then there is nothing to be tidied.
func Tidy(ctx context.Context, s Store, age time.Duration, dryRun bool) (removed int, err error) {
	if t, ok := s.(Tidier); ok {
		return t.Tidy(ctx, age, dryRun)
	}
	return 0, nil
}
