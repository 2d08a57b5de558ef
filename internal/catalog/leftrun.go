package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// LeftRuns gives the runs of this catalog's own of a command on a whole store that
// have not ended: they go on, or were killed. The newest is the last.
func (c *Catalog) LeftRuns(ctx context.Context, store int64, command string) (runs []Run, err error) {
	err = c.read(ctx, "list runs", command, func(tx tx) error {
		var ids []int64
		err := tx.each(func(rows *sql.Rows) error {
			ids = append(ids, 0)
			return rows.Scan(&ids[len(ids)-1])
		}, "SELECT id FROM run WHERE store = ? AND tree = 0 AND command = ? AND complete = 0 AND ended IS NULL AND catalog = 1 ORDER BY id", store, command)
		if err != nil {
			return err
		}
		for _, id := range ids {
			run, err := readRun(tx, id)
			if err != nil {
				return err
			}
			runs = append(runs, run)
		}
		return nil
	})
	return runs, err
}

// LooseOf hands each archive that belongs to no tree and that a run stored to each,
// with its description, in the order in which they were begun. It reports whether
// of others it isn't settled yet what became of them. It reads all of the store's
// archives.
func (c *Catalog) LooseOf(ctx context.Context, run Run, each func(firn.Archive) error) (unsettled bool, err error) {
	err = c.read(ctx, "list archives", fmt.Sprint("of run ", run.ID), func(tx tx) error {
		err := tx.row("SELECT EXISTS (SELECT 1 FROM archive WHERE store = ? AND state < 10 AND run = ?)", run.Store, run.ID).Scan(&unsettled)
		if err != nil {
			return err
		}
		return tx.each(func(rows *sql.Rows) error {
			var a firn.Archive
			var tree []byte
			if err := rows.Scan(&a.ID, &a.Size, &tree, &a.Description); err != nil {
				return err
			}
			if len(tree) != treehash.Size {
				return errors.New("an archive has no tree hash")
			}
			a.Tree = treehash.Hash(tree)
			return each(a)
		}, `SELECT a.remote, a.size, a.tree, d.text FROM archive a CROSS JOIN description d ON d.archive = a.id
			WHERE a.run = ? AND a.store = ? AND a.kind = ? AND a.state = 10 ORDER BY a.id`, run.ID, run.Store, string(LooseArchive))
	})
	return unsettled, err
}
