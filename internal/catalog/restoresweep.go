package catalog

import (
	"context"
	"database/sql"
)

// How much is remembered of a store's restores that have ended.
const (
	keptRestores = 100
	keptRanges   = 1_000_000 // of theirs, beside those of the one that began last
)

// DropRestore lets a restore go, with all that belongs to it, as if it had
// never been: for one that was planned and not agreed to. It is gone at once;
// its rows go in batches, and where that fails the rest is done by whoever plans
// or ends one next. Errors: NotFound.
func (c *Catalog) DropRestore(ctx context.Context, id int64) error {
	subject := restoreSubject(id)
	err := c.write(ctx, "drop restore", subject, func(tx tx) error {
		err := tx.row("UPDATE restore SET state = 20 WHERE id = ? AND state < 20 RETURNING id", id).Scan(&id)
		return notThere(err, "drop restore", subject, "there is no such restore")
	})
	if err != nil {
		return err
	}
	return c.sweepRestores(ctx)
}

// dropOld lets the restores of a store go that ended long ago.
func dropOld(tx tx, store int64) error {
	var old []int64
	var restores, ranges int64
	err := tx.each(func(rows *sql.Rows) error {
		var id, n int64
		err := rows.Scan(&id, &n)
		if restores > 0 {
			ranges += n
		}
		if restores++; restores > keptRestores || ranges > keptRanges {
			old = append(old, id)
		}
		return err
	}, `SELECT id, (SELECT coalesce(sum(ranges), 0) FROM restore_total t WHERE t.restore = r.id)
		FROM restore r WHERE store = ? AND state >= 10 AND state < 20 ORDER BY id DESC`, store)
	for _, id := range old {
		if err == nil {
			err = tx.exec("UPDATE restore SET state = 20 WHERE id = ?", id)
		}
	}
	return err
}

// The tables whose rows belong to a restore, but for the few sums.
var (
	ofRanges = belonging{
		bound:  "SELECT archive, from_byte FROM restore_range WHERE restore = ? ORDER BY archive, from_byte LIMIT 1 OFFSET ?",
		delete: "DELETE FROM restore_range WHERE restore = ? AND (archive, from_byte) <= (?, ?)",
		last:   "DELETE FROM restore_range WHERE restore = ?",
	}
	ofFiles = belonging{
		bound:  "SELECT tree, path FROM restore_file WHERE restore = ? ORDER BY tree, path LIMIT 1 OFFSET ?",
		delete: "DELETE FROM restore_file WHERE restore = ? AND (tree, path) <= (?, ?)",
		last:   "DELETE FROM restore_file WHERE restore = ?",
	}
	ofPieces = belonging{
		bound:  "SELECT archive, offset FROM piece WHERE restore = ? ORDER BY archive, offset LIMIT 1 OFFSET ?",
		delete: "DELETE FROM piece WHERE restore = ? AND (archive, offset) <= (?, ?)",
		last:   "DELETE FROM piece WHERE restore = ?",
	}
)

// A belonging is how the rows of a table are deleted that belong to a restore:
// the last key of a batch, all up to that, and all.
type belonging struct{ bound, delete, last string }

// empty deletes the rows of one restore.
func (c *Catalog) empty(ctx context.Context, restore int64, of belonging) error {
	for more := true; more; {
		err := c.write(ctx, "tidy up", restoreSubject(restore), func(tx tx) error {
			var first, second any
			err := tx.row(of.bound, restore, c.sizes.batch-1).Scan(&first, &second)
			if isNoRows(err) {
				more = false
				return tx.exec(of.last, restore)
			}
			if err != nil {
				return err
			}
			return tx.exec(of.delete, restore, first, second)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepRestores deletes the rows of restores that were dropped, and the pieces of
// those that have ended.
func (c *Catalog) sweepRestores(ctx context.Context) error {
	dropped, ended, err := c.toSweep(ctx)
	if err != nil {
		return err
	}
	for _, id := range ended {
		if err := c.empty(ctx, id, ofPieces); err != nil {
			return err
		}
	}
	for _, id := range dropped {
		for _, of := range []belonging{ofPieces, ofFiles, ofRanges} {
			if err := c.empty(ctx, id, of); err != nil {
				return err
			}
		}
		err := c.write(ctx, "tidy up", restoreSubject(id), func(tx tx) error {
			if err := tx.exec("DELETE FROM restore_total WHERE restore = ?", id); err != nil {
				return err
			}
			return tx.exec("DELETE FROM restore WHERE id = ?", id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// toSweep lists the restores that were dropped, and those that have ended and
// still have pieces.
func (c *Catalog) toSweep(ctx context.Context) (dropped, ended []int64, err error) {
	err = c.read(ctx, "tidy up", "restores", func(tx tx) error {
		err := tx.each(func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			dropped = append(dropped, id)
			return err
		}, "SELECT id FROM restore WHERE id > 0 AND state = 20")
		if err != nil {
			return err
		}
		for last := int64(0); ; {
			var state RestoreState
			err := tx.row("SELECT r.id, r.state FROM piece p CROSS JOIN restore r ON r.id = p.restore WHERE p.restore > ? ORDER BY p.restore LIMIT 1", last).Scan(&last, &state)
			if err != nil {
				return ignoreNoRows(err)
			}
			if !state.Open() && state != restoreDropped {
				ended = append(ended, last)
			}
		}
	})
	return dropped, ended, err
}
