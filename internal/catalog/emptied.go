package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/price"
)

// An EmptyOutcome is what became of an archive that the store was to be asked to
// delete.
type EmptyOutcome struct {
	EmptyItem // State: EmptyTodo where it surely wasn't asked, EmptyGone, or EmptyRefused with Why
	// Left is for how long the archive would still be charged for, as for its fee; 0
	// where it is free of that.
	Left time.Duration
}

// emptiedNote is the note of archives that were deleted with their store's others:
// versions may refer to these, and to no others that were deleted.
const emptiedNote = "the store was emptied"

var (
	dropEmptied    = newBulk("DELETE FROM emptied WHERE staged IN (SELECT column1 FROM (VALUES ", "(?)", "))")
	markGone       = newBulk("UPDATE archive SET state = 22, settled = ?, ended = ?, note = '"+emptiedNote+"' WHERE id IN (SELECT column1 FROM (VALUES ", "(?)", "))")
	unqueueGone    = newBulk("DELETE FROM deletion WHERE archive IN (SELECT column1 FROM (VALUES ", "(?)", "))")
	emptiedMissing = newBulk("SELECT v.column1 FROM (VALUES ", anID, `) v WHERE NOT EXISTS (SELECT 1 FROM by_staged k CROSS JOIN staged s ON s.id = k.staged
		WHERE k.inventory = ? AND k.h64 = v.column2 AND s.remote = v.column3)`)
)

// Emptied records what became of archives that EmptyAsks was said of, some hundreds
// at a time. Of those that are gone the rows that the catalog has are deleted ones
// from now on, and fees go into the ledger. The last of them was asked for at a time by
// the store's clock.
func (c *Catalog) Emptied(ctx context.Context, run Run, asked time.Time, outcomes []EmptyOutcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	return c.write(ctx, "record deletion", string(outcomes[0].Archive), func(tx tx) error {
		if err := c.emptied(tx, run, outcomes); err != nil {
			return err
		}
		return tx.exec("UPDATE emptying SET asked = max(asked, ?) WHERE store = ?", asked.Unix(), run.Store)
	})
}

// emptied is Emptied within a transaction.
func (c *Catalog) emptied(tx tx, run Run, outcomes []EmptyOutcome) error {
	marks, unmarks := insertEmptied.batch(tx), dropEmptied.batch(tx)
	var gone []*EmptyOutcome
	for i := range outcomes {
		o := &outcomes[i]
		var err error
		switch o.State {
		case EmptyTodo:
			err = unmarks.add(o.Row)
		case EmptyGone:
			gone = append(gone, o)
			fallthrough
		default:
			err = marks.add(o.Row, int64(o.State), o.Why)
		}
		if err != nil {
			return err
		}
	}
	if err := marks.flush(); err != nil {
		return err
	}
	if err := unmarks.flush(); err != nil {
		return err
	}
	return c.bringOut(tx, run, gone)
}

// bringOut takes archives that are gone out of what the catalog says of the store,
// and adds what that costs to the ledger.
func (c *Catalog) bringOut(tx tx, run Run, gone []*EmptyOutcome) error {
	if len(gone) == 0 {
		return nil
	}
	ids := make([]hashedID, len(gone))
	for i, o := range gone {
		ids[i] = hashedID{i, remote64(o.Archive), string(o.Archive)}
	}
	states := make([]State, len(gone))
	now := c.clock.Now()
	ends, unqueues := markGone.batch(tx, run.ID, now.Unix()), unqueueGone.batch(tx)
	for _, half := range inBothHalves {
		err := half.lookUp(tx, ids, run.Store, func(rows *sql.Rows) error {
			var place int
			var r recordedRow
			if err := r.scan(rows, &place); err != nil {
				return err
			}
			if states[place] != Stored { // of several of one id that one was there
				states[place] = r.state
			}
			if r.state != Deleted {
				ends.args, unqueues.args = append(ends.args, r.id), append(unqueues.args, r.id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := ends.flush(); err != nil {
		return err
	}
	if err := unqueues.flush(); err != nil {
		return err
	}
	return settleGone(tx, run.Store, now, gone, states)
}

// settleGone makes the sums of a store true, and adds fees to its ledger, for
// archives that are gone and were in these states before. What was recorded as
// deleted before was charged for then.
func settleGone(tx tx, store int64, now time.Time, gone []*EmptyOutcome, states []State) error {
	var stored firn.Count
	type sort struct {
		class string
		rest  time.Duration
	}
	fees := map[sort]Charge{}
	for i, o := range gone {
		if states[i] == Stored {
			stored.Files++
			stored.Bytes += o.Size
		}
		if o.Left <= 0 || states[i] == Deleted {
			continue
		}
		rest := (o.Left + time.Hour - 1) / time.Hour * time.Hour
		fee := fees[sort{o.Class, rest}]
		fees[sort{o.Class, rest}] = Charge{Op: EarlyOp, Class: o.Class, Rest: rest, Calls: fee.Calls + 1, Bytes: fee.Bytes + max(o.Size, price.Least(o.Class))}
	}
	for _, fee := range fees {
		if err := charge(tx, store, now, fee); err != nil {
			return err
		}
	}
	if stored.Files == 0 {
		return nil
	}
	return tx.exec("UPDATE store SET archives = archives - ?, bytes = bytes - ? WHERE id = ?", stored.Files, stored.Bytes, store)
}

// An EmptyCheck is what a later inventory says of a store that is being emptied.
type EmptyCheck struct {
	Gone  int64 // archives that the store was asked to delete, whose answer was lost, and that are gone
	Again int64 // archives that it was asked to delete and lists all the same: they are to be asked for again
	// Others are archives that are not to go: nobody knew of them when this was
	// agreed to. Examples are some of them.
	Others   firn.Count
	Examples []firn.ArchiveID
}

// maxExamples is how many archives a check names.
const maxExamples = 5

// CheckEmpty compares an inventory that was staged, dated after all that the store
// was asked to do, with the list of what is to go. The store charges for an archive
// for least. Errors: Conflict, NotFound as Stage.
func (c *Catalog) CheckEmpty(ctx context.Context, run Run, e Emptying, inventory int64, least time.Duration) (check EmptyCheck, err error) {
	if err := c.listedStill(ctx, e, inventory, &check); err != nil {
		return check, err
	}
	if err := c.goneSince(ctx, run, e, inventory, least, &check); err != nil {
		return check, err
	}
	return check, c.write(ctx, "compare inventory", fmt.Sprint(inventory), func(tx tx) error {
		return tx.exec("UPDATE emptying SET checked = max(checked, coalesce((SELECT dated FROM inventory WHERE id = ?), 0)) WHERE store = ?", inventory, e.Store)
	})
}

// listedStill goes through a later inventory: what of it was asked for is to be
// asked for again. What was refused stays refused.
func (c *Catalog) listedStill(ctx context.Context, e Emptying, inventory int64, check *EmptyCheck) error {
	first, end := rowsOf(inventory)
	for last, more := first-1, true; more; {
		err := c.write(ctx, "compare inventory", fmt.Sprint(inventory), func(tx tx) error {
			if _, err := findInventory(tx, inventory, inventoryStaged); err != nil {
				return err
			}
			var again []int64
			found := EmptyCheck{}
			read, at := 0, last
			err := tx.each(func(rows *sql.Rows) error {
				read++
				var row, state int64
				var size int64
				var remote string
				if err := rows.Scan(&at, &remote, &size, &row, &state); err != nil {
					return err
				}
				switch EmptyState(state) {
				case EmptyAsked, EmptyGone:
					again = append(again, row)
				}
				if row == 0 {
					found.Others.Files++
					found.Others.Bytes += size
					if len(check.Examples)+len(found.Examples) < maxExamples {
						found.Examples = append(found.Examples, firn.ArchiveID(remote))
					}
				}
				return nil
			}, `SELECT n.id, n.remote, n.size, coalesce(o.id, 0), coalesce(m.state, 0) FROM staged n
				LEFT JOIN staged o ON o.id = (SELECT x.id FROM by_staged k CROSS JOIN staged x ON x.id = k.staged
					WHERE k.inventory = ? AND k.h64 = n.h64 AND x.remote = n.remote AND x.created < ?)
				LEFT JOIN emptied m ON m.staged = o.id
				WHERE n.id > ? AND n.id <= ? ORDER BY n.id LIMIT ?`, e.Inventory, e.until().UnixMicro(), last, end, c.sizes.page)
			if err != nil {
				return err
			}
			unmarks := dropEmptied.batch(tx)
			for _, row := range again {
				if err := unmarks.add(row); err != nil {
					return err
				}
			}
			if err := unmarks.flush(); err != nil {
				return err
			}
			check.Again += int64(len(again))
			check.Others.Files += found.Others.Files
			check.Others.Bytes += found.Others.Bytes
			check.Examples = append(check.Examples, found.Examples...)
			last, more = at, read == c.sizes.page
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// goneSince records of what was asked for, or refused, and isn't listed any more
// that it is gone.
func (c *Catalog) goneSince(ctx context.Context, run Run, e Emptying, inventory int64, least time.Duration, check *EmptyCheck) error {
	last, _ := rowsOf(e.Inventory)
	last--
	for more := true; more; {
		err := c.write(ctx, "compare inventory", fmt.Sprint(inventory), func(tx tx) error {
			gone, to, full, err := openEmptied(tx, e, least, last, c.sizes.page)
			if err != nil {
				return err
			}
			if gone, err = unlisted(tx, inventory, gone); err != nil {
				return err
			}
			if err := c.emptied(tx, run, gone); err != nil {
				return err
			}
			check.Gone += int64(len(gone))
			last, more = to, full
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// openEmptied reads a page of what was asked for, or refused, as if it were gone.
func openEmptied(tx tx, e Emptying, least time.Duration, last int64, rows int) (page []EmptyOutcome, to int64, more bool, err error) {
	_, end := rowsOf(e.Inventory)
	to = last
	err = tx.each(func(r *sql.Rows) error {
		item, err := scanEmptyItem(r)
		o := EmptyOutcome{EmptyItem: item}
		if item.State == EmptyAsked {
			o.Left = item.Created.Add(price.ShortestOf(item.Class, least)).Sub(e.Asked)
		}
		o.State, o.Why, to = EmptyGone, "", item.Row
		page = append(page, o)
		return err
	}, `SELECT s.id, s.remote, s.created, s.size, s.class, s.description, length(s.tree) = 32, m.state, m.why FROM emptied m INDEXED BY emptied_open CROSS JOIN staged s ON s.id = m.staged
		WHERE m.state != 2 AND m.staged > ? AND m.staged <= ? ORDER BY m.staged LIMIT ?`, last, end, rows)
	return page, to, len(page) == rows, err
}

// unlisted gives those of some archives that an inventory doesn't list.
func unlisted(tx tx, inventory int64, all []EmptyOutcome) (gone []EmptyOutcome, err error) {
	ids := make([]hashedID, len(all))
	for i := range all {
		ids[i] = hashedID{i, remote64(all[i].Archive), string(all[i].Archive)}
	}
	err = emptiedMissing.lookUp(tx, ids, inventory, func(rows *sql.Rows) error {
		var place int
		err := rows.Scan(&place)
		gone = append(gone, all[place])
		return err
	})
	return gone, err
}

// AllGone records of everything that the store was asked to delete that it is gone:
// the store holds nothing any more. Least is as for CheckEmpty.
func (c *Catalog) AllGone(ctx context.Context, run Run, e Emptying, least time.Duration) (gone int64, err error) {
	last, _ := rowsOf(e.Inventory)
	last--
	for more := true; more && err == nil; {
		err = c.write(ctx, "record deletion", fmt.Sprint("inventory ", e.Inventory), func(tx tx) error {
			page, to, full, err := openEmptied(tx, e, least, last, c.sizes.page)
			if err == nil {
				err = c.emptied(tx, run, page)
			}
			if err == nil {
				gone += int64(len(page))
				last, more = to, full
			}
			return err
		})
	}
	return gone, err
}

// deletedLately holds for a row of staged whose archive was deleted from a store at a
// time or later, by half of the index.
const (
	deletedLately1 = "EXISTS (SELECT 1 FROM "
	deletedLately2 = ` b CROSS JOIN archive a ON a.id = b.archive WHERE b.h64 = s.h64 AND a.remote = s.remote AND a.store = ?3 AND a.state = 22
		AND coalesce(a.ended, (SELECT coalesce(r.ended, r.started) FROM run r WHERE r.id = a.settled)) >= ?4)`
)

// EmptiedBefore marks of an inventory that was staged, of a store whose inventories
// lag, what is listed in it still though it was deleted: that is gone, and nobody has to
// be asked for it again, nor to agree to its fees. Source: Amazon Glacier API reference,
// "Delete Archive": it is listed until the next inventory. What an inventory lists that
// is later by InventoryMargin was not deleted after all. It gives how many these are.
func (c *Catalog) EmptiedBefore(ctx context.Context, inv Inventory) (gone int64, err error) {
	first, end := rowsOf(inv.ID)
	for last, more := first-1, true; more; {
		err := c.write(ctx, "compare inventory", fmt.Sprint(inv.ID), func(tx tx) error {
			if _, err := findInventory(tx, inv.ID, inventoryStaged); err != nil {
				return err
			}
			to := end
			err := tx.row("SELECT id FROM staged WHERE id > ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?", last, end, c.sizes.page-1).Scan(&to)
			if ignoreNoRows(err) != nil {
				return err
			}
			full := err == nil
			res, err := tx.Exec(tx.ctx, "INSERT OR IGNORE INTO emptied (staged, state, why) SELECT s.id, 2, '' FROM staged s WHERE s.id > ?1 AND s.id <= ?2 AND ("+
				deletedLately1+"by_remote"+deletedLately2+" OR "+deletedLately1+"by_remote_new"+deletedLately2+")",
				last, to, inv.Store, inv.Dated.Add(-InventoryMargin).Unix())
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			gone, last, more = gone+n, to, full
			return err
		})
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// BuryEmptied makes tombstones of what is gone and the catalog never knew, so that
// an inventory made before, which lags, doesn't bring it back. It can be cut short,
// and called again.
func (c *Catalog) BuryEmptied(ctx context.Context, run Run, e Emptying) error {
	first, end := rowsOf(e.Inventory)
	for last, more := first-1, true; more; {
		if err := c.tidy(ctx); err != nil {
			return err
		}
		err := c.write(ctx, "record deletion", fmt.Sprint("inventory ", e.Inventory), func(tx tx) error {
			to := end
			err := tx.row("SELECT id FROM staged WHERE id > ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?", last, end, c.sizes.page-1).Scan(&to)
			if ignoreNoRows(err) != nil {
				return err
			}
			more = err == nil
			if err := c.bury(tx, run, last, to); err != nil {
				return err
			}
			last = to
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bury makes tombstones of a page of a list.
func (c *Catalog) bury(tx tx, run Run, after, to int64) error {
	var newest int64
	if err := tx.row("SELECT coalesce(max(id), 0) FROM archive").Scan(&newest); err != nil {
		return err
	}
	err := tx.exec(`INSERT INTO archive (store, kind, state, run, settled, ended, remote, size, tree, created, created_ns)
		SELECT ?3, ?4, 22, 0, ?5, ?6, s.remote, s.size, nullif(s.tree, x''), s.created / 1000000, s.created % 1000000 * 1000
		FROM staged s CROSS JOIN emptied m ON m.staged = s.id AND m.state = 2 WHERE s.id > ?1 AND s.id <= ?2
		AND NOT EXISTS (SELECT 1 FROM by_remote b CROSS JOIN archive a ON a.id = b.archive WHERE b.h64 = s.h64 AND a.remote = s.remote AND a.store = ?3)
		AND NOT EXISTS (SELECT 1 FROM by_remote_new b CROSS JOIN archive a ON a.id = b.archive WHERE b.h64 = s.h64 AND a.remote = s.remote AND a.store = ?3)
		ORDER BY s.id`, after, to, run.Store, string(ForeignArchive), run.ID, c.clock.Now().Unix())
	if err != nil {
		return err
	}
	index := insertBuried.batch(tx)
	n := int64(0)
	err = tx.each(func(rows *sql.Rows) error {
		var id int64
		var remote string
		if err := rows.Scan(&id, &remote); err != nil {
			return err
		}
		n++
		index.args = append(index.args, remote64(firn.ArchiveID(remote)), id)
		return nil
	}, "SELECT id, remote FROM archive WHERE id > ?", newest)
	if err != nil {
		return err
	}
	c.remotes.fresh.Add(n)
	return index.flush()
}

var insertBuried = newBulk("INSERT INTO by_remote_new (h64, archive) VALUES ", "(?, ?)", "")
