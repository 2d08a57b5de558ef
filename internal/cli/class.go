package cli

import (
	"context"

	"github.com/firn-archive/firn/internal/config"
)

// seeClass finds out the storage class of a store in S3, by which its prices and
// times go, before anything is asked of it. That it can't be seen is no error here:
// whatever is done next shows it.
func (s *session) seeClass(ctx context.Context) {
	if s.loc.Scheme == config.S3 {
		s.store.Look(ctx)
	}
}
