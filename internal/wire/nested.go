package wire

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/s3cold"
)

// Create makes the store. Besides what the store itself finds, one in S3 is not made
// where the catalog knows another one above or below it.
// Errors: Conflict, and those of firn.Keeper.
func (s *Store) Create(ctx context.Context) error {
	if s.cold != nil && s.catalog != nil {
		known, err := s.catalog.Stores(ctx)
		if err != nil {
			return err
		}
		for _, one := range known {
			if err := s.cold.CheckBeside(one.Identity, true); err != nil {
				return err
			}
		}
	}
	return s.Store.Create(ctx)
}

// checkToFill is Check for a command that fills a store: one in S3 that lies in another
// takes nothing new. What is in it can be read, moved and deleted. Of a store that the
// catalog knows nobody is asked.
func (s *Store) checkToFill(ctx context.Context, cat *catalog.Catalog) (catalog.Store, error) {
	if s.cold == nil {
		return s.Check(ctx, cat)
	}
	known, err := cat.Stores(ctx)
	if err != nil {
		return catalog.Store{}, err
	}
	if _, err := s.Look(ctx); err != nil {
		return catalog.Store{}, err
	}
	seen := false
	for _, one := range known {
		if err := s.cold.CheckBeside(one.Identity, false); err != nil {
			return catalog.Store{}, err
		}
		seen = seen || one.Reached && one.Identity == s.Info.Identity // rows of others are no look at it
	}
	if !seen {
		if err := s.cold.CheckAlone(ctx); err != nil {
			return catalog.Store{}, err
		}
	}
	return cat.Register(ctx, s.spec())
}

var _ firn.Store = (*Store)(nil)

// IsOthers reports whether what a list of archives that are to go has is an object in S3
// that another program stored: it is not deleted.
func (s *Store) IsOthers(item *catalog.EmptyItem) bool {
	return s.cold != nil && s3cold.IsStrange(item.Archive, item.Description, item.Hashed)
}
