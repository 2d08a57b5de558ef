package catalog

import (
	"context"
	"database/sql"
	"iter"

	"github.com/firn-archive/firn"
)

// A Kept is an archive that a store has, or had, as this catalog knows it.
type Kept struct {
	ID     int64 // row
	Remote firn.ArchiveID
	Kind   ArchiveKind
	State  State // Stored, Foreign, Lost or Deleted
	Run    int64 // that sent it; 0: it was found in the store
	Tree   int64 // of that run; 0: nobody knows
	// Packed: its maker compressed or encrypted it, so that its bytes are not those
	// of a file.
	Packed bool
}

// Kept gives all archives that a store was ever known to have, in the order in
// which they were recorded. It holds no lock while the consumer works, and ends
// with the first error.
func (c *Catalog) Kept(ctx context.Context, store int64) iter.Seq2[Kept, error] {
	return archivePages(ctx, c, store, func(tx tx, page []Kept, after, to int64) ([]Kept, error) {
		err := tx.each(func(rows *sql.Rows) error {
			page = append(page, Kept{})
			k := &page[len(page)-1]
			return rows.Scan(&k.ID, &k.Remote, &k.Kind, &k.State, &k.Run, &k.Tree, &k.Packed)
		}, `SELECT a.id, coalesce(a.remote, ''), a.kind, a.state, a.run, coalesce(r.tree, 0),
			coalesce(d.packed, '') != '' OR EXISTS (SELECT 1 FROM seal WHERE archive = a.id)
			FROM archive a LEFT JOIN run r ON r.id = a.run LEFT JOIN description d ON d.archive = a.id
			WHERE a.id > ? AND a.id <= ? AND a.store = ? AND a.state IN (10, 11, 21, 22) ORDER BY a.id`, after, to, store)
		return page, err
	})
}
