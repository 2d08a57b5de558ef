package catalog

import (
	"context"
	"fmt"

	"github.com/firn-archive/firn"
)

// ArchiveState says what became of an archive; the store's id is empty until it
// is stored. Errors: NotFound.
func (c *Catalog) ArchiveState(ctx context.Context, archive int64) (id firn.ArchiveID, state State, err error) {
	err = c.read(ctx, "look up archive", fmt.Sprint(archive), func(tx tx) error {
		s, err := readState(tx, archive)
		id, state = s.Remote, s.State
		return err
	})
	return id, state, err
}
