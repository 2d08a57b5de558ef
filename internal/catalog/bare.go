package catalog

import (
	"context"
	"database/sql"
	"iter"

	"github.com/firn-archive/firn"
)

// Bare gives the archives of an inventory of which the catalog knows that they are
// there, and no more, with the descriptions that are kept of them: a program that
// understands these may take them in. It holds no lock while the consumer works,
// and sees no archive twice. It ends with the first error: Conflict, NotFound as
// Stage.
func (c *Catalog) Bare(ctx context.Context, inventory int64) iter.Seq2[firn.Archive, error] {
	return inventoryPages(ctx, c, inventory, func() inventoryPager[firn.Archive] {
		last := int64(0)
		return func(tx tx, inv Inventory, page []firn.Archive) (_ []firn.Archive, more bool, err error) {
			page, last, more, err = bare(tx, page, inv, last, c.sizes.page)
			return page, more, err
		}
	})
}

// bare reads a page of archives, behind the row last, and gives those that an
// inventory lists.
func bare(tx tx, page []firn.Archive, inv Inventory, last int64, rows int) (_ []firn.Archive, end int64, more bool, err error) {
	var ids []hashedID
	err = tx.each(func(r *sql.Rows) error {
		var a firn.Archive
		var remote string
		var tree sql.RawBytes
		var created, createdNs int64
		err := r.Scan(&last, &remote, &a.Description, &created, &createdNs, &a.Size, &tree)
		copy(a.Tree[:], tree)
		a.ID, a.Created = firn.ArchiveID(remote), at(created, createdNs)
		ids = append(ids, hashedID{len(page), remote64(a.ID), remote})
		page = append(page, a)
		return err
	}, `SELECT a.id, a.remote, coalesce(d.text, ''), coalesce(a.created, -62135596800), coalesce(a.created_ns, 0), a.size, a.tree
		FROM archive a LEFT JOIN description d ON d.archive = a.id WHERE a.store = ? AND a.state = 11 AND a.id > ? ORDER BY a.id LIMIT ?`, inv.Store, last, rows)
	more = len(page) == rows
	if err != nil || len(page) == 0 {
		return nil, last, more, err
	}
	listed, err := areStaged(tx, ids, inv.ID)
	kept := page[:0]
	for i := range listed {
		if listed[i] {
			kept = append(kept, page[i])
		}
	}
	return kept, last, more, err
}
