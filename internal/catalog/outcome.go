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

// MemberContent says which content an archive holds, or is to hold, as member
// number n; zero where it has none.
func (c *Catalog) MemberContent(ctx context.Context, archive, n int64) (content firn.Content, err error) {
	err = c.read(ctx, "look up member", fmt.Sprint(archive), func(tx tx) error {
		var tree []byte
		err := tx.row("SELECT size, tree FROM location WHERE archive = ? AND member = ?", archive, n).Scan(&content.Size, &tree)
		copy(content.Tree[:], tree)
		return ignoreNoRows(err)
	})
	return content, err
}
