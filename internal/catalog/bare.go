package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/firn-archive/firn"
)

// Bare gives the archives of an inventory of which the catalog knows that they are
// there, and no more, with the descriptions that are kept of them: a program that
// understands these may take them in. It holds no lock while the consumer works,
// and sees no archive twice. It ends with the first error: Conflict, NotFound as
// Stage.
func (c *Catalog) Bare(ctx context.Context, inventory int64) iter.Seq2[firn.Archive, error] {
	return func(yield func(firn.Archive, error) bool) {
		for last, more := int64(0), true; more; {
			var page []firn.Archive
			err := c.read(ctx, "compare inventory", fmt.Sprint(inventory), func(tx tx) error {
				inv, err := findInventory(tx, inventory, inventoryStaged)
				if err == nil {
					page, last, more, err = bare(tx, inv, last, c.sizes.page)
				}
				return err
			})
			if err != nil {
				yield(firn.Archive{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
		}
	}
}

// bare reads a page of archives, behind the row last, and gives those that an
// inventory lists.
func bare(tx tx, inv Inventory, last int64, rows int) (page []firn.Archive, end int64, more bool, err error) {
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
	listed := make([]bool, len(page))
	err = inStaged.lookUp(tx, ids, inv.ID, func(r *sql.Rows) error {
		var place int
		err := r.Scan(&place)
		listed[place] = true
		return err
	})
	kept := page[:0]
	for i := range listed {
		if listed[i] {
			kept = append(kept, page[i])
		}
	}
	return kept, last, more, err
}
