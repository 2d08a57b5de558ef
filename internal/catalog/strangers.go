package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/firn-archive/firn"
)

// KnowsArchives reports whether there is anything to say of any archive of a
// store, also that it is gone.
func (c *Catalog) KnowsArchives(ctx context.Context, store int64) (known bool, err error) {
	err = c.read(ctx, "look for archives", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.row("SELECT EXISTS (SELECT 1 FROM store WHERE id = ?1 AND archives > 0) OR EXISTS (SELECT 1 FROM archive WHERE store = ?1)", store).Scan(&known)
	})
	return known, err
}

// Strangers gives the archives of an inventory of which the catalog knows
// nothing, not even that they are deleted, in the order of the list. It holds no
// lock while the consumer works, who may take them in, and sees no archive twice.
// It ends with the first error: Conflict, NotFound as Stage.
func (c *Catalog) Strangers(ctx context.Context, inventory int64) iter.Seq2[firn.Archive, error] {
	return inventoryPages(ctx, c, inventory, func() inventoryPager[firn.Archive] {
		query := ""
		first, _ := rowsOf(inventory)
		last := first - 1
		return func(tx tx, inv Inventory, page []firn.Archive) (_ []firn.Archive, more bool, err error) {
			if query == "" {
				query, err = strangersQuery(tx)
			}
			if err == nil {
				page, last, more, err = strangers(tx, page, query, inv, last, c.sizes.page)
			}
			return page, more, err
		}
	})
}

// An inventoryPager is a pager through something that has to do with an inventory.
type inventoryPager[T any] func(tx tx, inv Inventory, page []T) (_ []T, more bool, err error)

// inventoryPages is paged while an inventory is staged. Errors: Conflict, NotFound
// as Stage.
func inventoryPages[T any](ctx context.Context, c *Catalog, inventory int64, begin func() inventoryPager[T]) iter.Seq2[T, error] {
	return paged(ctx, c, "compare inventory", fmt.Sprint(inventory), func() pager[T] {
		next := begin()
		return func(tx tx, page []T) ([]T, bool, error) {
			inv, err := findInventory(tx, inventory, inventoryStaged)
			if err != nil {
				return nil, false, err
			}
			return next(tx, inv, page)
		}
	})
}

// Queries for strangers. In a catalog that knows no archive at all everything is
// one, and what is taken in while they are read need not be looked for.
const (
	anyStaged = "SELECT s.remote, s.description, s.created, s.size, s.tree, s.class FROM staged s WHERE s.id > ? AND s.id <= ?"
	inOrder   = " ORDER BY s.id"
	unknown   = anyStaged + `
		AND NOT EXISTS (SELECT 1 FROM by_remote b CROSS JOIN archive a ON a.id = b.archive WHERE b.h64 = s.h64 AND a.remote = s.remote AND a.store = ?3)
		AND NOT EXISTS (SELECT 1 FROM by_remote_new b CROSS JOIN archive a ON a.id = b.archive WHERE b.h64 = s.h64 AND a.remote = s.remote AND a.store = ?3)` + inOrder
	allStaged = anyStaged + " AND ?3 > 0" + inOrder
)

func strangersQuery(tx tx) (string, error) {
	var known bool
	err := tx.row("SELECT EXISTS (SELECT 1 FROM by_remote WHERE h64 >= ?1) OR EXISTS (SELECT 1 FROM by_remote_new WHERE h64 >= ?1)", math.MinInt64).Scan(&known)
	if known {
		return unknown, err
	}
	return allStaged, err
}

// strangers reads a page of an inventory, behind the row last, and appends what of
// it the catalog doesn't know.
func strangers(tx tx, page []firn.Archive, query string, inv Inventory, last int64, rows int) (_ []firn.Archive, end int64, more bool, err error) {
	_, end = rowsOf(inv.ID)
	err = tx.row("SELECT id FROM staged WHERE id > ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?", last, end, rows-1).Scan(&end)
	if ignoreNoRows(err) != nil {
		return nil, last, false, err
	}
	more = err == nil
	err = tx.each(func(r *sql.Rows) error {
		a, err := scanStaged(r)
		page = append(page, a)
		return err
	}, query, last, end, inv.Store)
	return page, end, more, err
}

// scanStaged takes an archive as Stage wrote it. Its strings are scanned as
// such, since database/sql takes ten times as long over types that it must ask.
func scanStaged(rows *sql.Rows) (a firn.Archive, err error) {
	var remote string
	var tree sql.RawBytes
	var created int64
	err = rows.Scan(&remote, &a.Description, &created, &a.Size, &tree, &a.Class)
	copy(a.Tree[:], tree)
	a.ID, a.Created = firn.ArchiveID(remote), time.UnixMicro(created).UTC()
	return a, err
}

// missingMargin is how much older than an inventory an archive must be for its
// absence to mean anything: an inventory is made over hours, and what was stored
// shows in one within a day or so. Source: Amazon Glacier developer guide, "Vault
// inventory", with time to spare.
const missingMargin = 48 * time.Hour

// Missing gives the archives that the catalog has as stored and that an
// inventory doesn't list, though they are older than it by two days or more; by
// the end of the run that stored them where the store didn't say when it made
// them. It holds no lock while the consumer works, who may mark them as lost.
// It ends with the first error: Conflict, NotFound as Stage.
func (c *Catalog) Missing(ctx context.Context, inventory int64) iter.Seq2[Holding, error] {
	return inventoryPages(ctx, c, inventory, func() inventoryPager[Holding] {
		last := int64(0)
		return func(tx tx, inv Inventory, page []Holding) (_ []Holding, more bool, err error) {
			after := last
			if last, more, err = endOfPage(tx, after, c.sizes.page); err == nil {
				page, err = missing(tx, page, inv, after, last)
			}
			return page, more, err
		}
	})
}

// missing appends the archives, in some range, that an inventory lacks.
func missing(tx tx, page []Holding, inv Inventory, after, to int64) ([]Holding, error) {
	ids, archives, err := olderThan(tx, inv, after, to)
	if err != nil {
		return nil, err
	}
	listed, err := areStaged(tx, ids, inv.ID)
	for i, archive := range archives {
		if err == nil && !listed[i] {
			page, err = holdings(tx, page, inv.Store, archive-1, archive)
		}
	}
	return page, err
}

// olderThan gives the rows, in some range, of archives that an inventory should
// list, and their ids, with the place of their row.
func olderThan(tx tx, inv Inventory, after, to int64) (ids []hashedID, archives []int64, err error) {
	err = tx.each(func(r *sql.Rows) error {
		id := hashedID{place: len(ids)}
		var archive int64
		err := r.Scan(&archive, &id.remote)
		id.h64 = remote64(firn.ArchiveID(id.remote))
		ids, archives = append(ids, id), append(archives, archive)
		return err
	}, `SELECT a.id, a.remote FROM archive a LEFT JOIN run r ON r.id = a.settled
		WHERE a.id > ? AND a.id <= ? AND a.store = ? AND a.state = 10 AND coalesce(nullif(a.created, -62135596800), r.ended) < ? ORDER BY a.id`,
		after, to, inv.Store, inv.Dated.Add(-missingMargin).Unix())
	return ids, archives, err
}

// anID is a row of lookups of ids.
const anID = "(?, ?, ?)"

// inStaged looks ids up in an inventory, and gives those found by their place in
// what is asked for.
var inStaged = newBulk("SELECT v.column1 FROM (VALUES ", anID, `) v CROSS JOIN by_staged k ON k.h64 = v.column2
	CROSS JOIN staged s ON s.id = k.staged AND s.remote = v.column3 WHERE k.inventory = ?`)

// areStaged reports which of some ids, by their places, an inventory lists.
func areStaged(tx tx, ids []hashedID, inventory int64) ([]bool, error) {
	listed := make([]bool, len(ids))
	err := inStaged.lookUp(tx, ids, inventory, func(r *sql.Rows) error {
		var place int
		err := r.Scan(&place)
		listed[place] = true
		return err
	})
	return listed, err
}

// A hashedID is an archive's id with its key in indexes.
type hashedID struct {
	place  int // in what is asked for
	h64    int64
	remote string
}

// sortHashed brings ids into the order of indexes.
func sortHashed(ids []hashedID) {
	slices.SortFunc(ids, func(a, b hashedID) int { return cmp.Compare(a.h64, b.h64) })
}

// lookUp runs a query of ids for as many as there are, in the order of the
// index, so that no page of that is read twice. Of is its last parameter.
func (b *bulk) lookUp(tx tx, ids []hashedID, of int64, each func(*sql.Rows) error) error {
	sortHashed(ids)
	q := b.batch(tx, of)
	for i, id := range ids {
		q.args = append(q.args, id.place, id.h64, id.remote)
		if !q.full() && i < len(ids)-1 {
			continue
		}
		if err := q.query(each); err != nil {
			return err
		}
	}
	return nil
}
