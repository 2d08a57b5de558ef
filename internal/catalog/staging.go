package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// An Inventory is a list of all archives of a store that was read into the
// catalog, to be compared with what that knows.
type Inventory struct {
	ID, Store int64
	Dated     time.Time // by the store's clock, whole seconds
	Archives  int64     // in the list, each id once
	Bytes     int64     // of these together; it ends at the largest int64
	// What the list had beside these; only StagedAll says it.
	Twice    int64 // archives that were listed before, under the same id
	Nameless int64 // archives without an id, which nobody can ask for
}

// The states of an inventory.
const (
	inventoryBegun    = 1
	inventoryStaged   = 2
	inventoryDone     = 3
	inventoryForsaken = 4
)

// maxStaged is how many archives one inventory may list: the numbers of its
// rows begin with its own.
const maxStaged = 1 << 32

// rowsOf gives the first of the numbers that the rows of an inventory may have,
// and the last one.
func rowsOf(inventory int64) (first, last int64) {
	return inventory * maxStaged, inventory*maxStaged + maxStaged - 1
}

// BeginInventory makes room for an inventory of the run's store that is about to
// be read, and gives its number. What an earlier reading staged that was not
// worked in is forgotten, whoever did it: who goes on with that one is told.
// Job is the row of the job that brings it; 0: none.
func (c *Catalog) BeginInventory(ctx context.Context, run Run, job int64) (id int64, err error) {
	subject := fmt.Sprint("of store ", run.Store)
	err = c.write(ctx, "begin inventory", subject, func(tx tx) (err error) {
		if err := tx.exec("UPDATE inventory SET state = 4 WHERE store = ? AND state IN (1, 2)", run.Store); err != nil {
			return err
		}
		var bringer any
		if job != 0 {
			bringer = job
		}
		id, err = tx.insert("INSERT INTO inventory (store, run, job, dated, archives, bytes, state) VALUES (?, ?, ?, 0, 0, 0, 1)", run.Store, run.ID, bringer)
		return err
	})
	if err != nil {
		return 0, err
	}
	return id, c.emptyInventories(ctx, run.Store)
}

// emptyInventories deletes what is left of inventories that were given up, or
// whose end was cut short.
func (c *Catalog) emptyInventories(ctx context.Context, store int64) error {
	subject := fmt.Sprint("of store ", store)
	var left []int64
	err := c.read(ctx, "list inventories", subject, func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			left = append(left, id)
			return err
		}, `SELECT i.id FROM inventory i WHERE i.store = ? AND (i.state = 4 OR i.state = 3
			AND EXISTS (SELECT 1 FROM staged s WHERE s.id >= i.id << 32 AND s.id < (i.id + 1) << 32))`, store)
	})
	for _, id := range left {
		if err == nil {
			err = c.emptyInventory(ctx, id)
		}
	}
	if err != nil || len(left) == 0 {
		return err
	}
	return c.write(ctx, "forget inventories", subject, func(tx tx) error {
		return tx.exec("DELETE FROM inventory WHERE store = ? AND state = 4", store)
	})
}

var insertStaged = newBulk("INSERT INTO staged (id, h64, remote, description, created, size, tree, class) VALUES ", "(?, ?, ?, ?, ?, ?, ?, ?)", "")

// Stage appends archives to an inventory that was begun, some thousands at a
// time. They are taken as they come: one that is listed twice counts once, one
// without an id not at all, and one of less than no bytes as empty.
// Errors: Conflict (another reading of the store's inventory has begun), NotFound.
func (c *Catalog) Stage(ctx context.Context, inventory int64, archives []firn.Archive) error {
	if len(archives) == 0 {
		return nil
	}
	return c.write(ctx, "read inventory", string(archives[0].ID), func(tx tx) error {
		inv, err := findInventory(tx, inventory, inventoryBegun)
		if err != nil {
			return err
		}
		if int64(len(archives)) > maxStaged-inv.Archives {
			return &firn.Error{Op: "read inventory", Subject: string(archives[0].ID), Kind: firn.Invalid, Err: errors.New("it lists more archives than there can be")}
		}
		if err := stage(tx, &inv, archives); err != nil {
			return err
		}
		return tx.exec("UPDATE inventory SET archives = ?, bytes = ? WHERE id = ?", inv.Archives, inv.Bytes, inventory)
	})
}

// stage appends rows, and counts them.
func stage(tx tx, inv *Inventory, archives []firn.Archive) error {
	first, last := rowsOf(inv.ID)
	var newest sql.NullInt64
	if err := tx.row("SELECT max(id) FROM staged WHERE id BETWEEN ? AND ?", first, last).Scan(&newest); err != nil {
		return err
	}
	next := first
	if newest.Valid {
		next = newest.Int64 + 1
	}
	inv.Archives += int64(len(archives))
	rows := insertStaged.batch(tx)
	for i := range archives {
		a := &archives[i]
		if a.ID == "" {
			continue
		}
		size := max(a.Size, 0)
		inv.Bytes += min(size, math.MaxInt64-inv.Bytes)
		if err := rows.add(next, remote64(a.ID), string(a.ID), a.Description, a.Created.UnixMicro(), size, treeColumn(a.Tree), told(a.Receipt).Class); err != nil {
			return err
		}
		next++
	}
	return rows.flush()
}

// treeColumn is a tree hash as a row of staged has it.
func treeColumn(h treehash.Hash) []byte {
	if h.IsZero() {
		return []byte{}
	}
	return h[:]
}

// findInventory reads an inventory, which must be in a state.
func findInventory(tx tx, id int64, want int) (inv Inventory, err error) {
	var dated int64
	var state int
	refuse := func(kind firn.Kind, why, hint string) error {
		return &firn.Error{Op: "read inventory", Subject: fmt.Sprint(id), Kind: kind, Err: errors.New(why), Hint: hint}
	}
	err = tx.row("SELECT id, store, dated, archives, bytes, state FROM inventory WHERE id = ?", id).
		Scan(&inv.ID, &inv.Store, &dated, &inv.Archives, &inv.Bytes, &state)
	inv.Dated = at(dated, 0)
	switch {
	case isNoRows(err):
		return inv, refuse(firn.NotFound, "it was given up, and another one begun", "let one program at a time read a store's inventory")
	case err != nil || state == want:
		return inv, err
	case state == inventoryForsaken:
		return inv, refuse(firn.Conflict, "another program reads the store's inventory", "let it finish")
	case state == inventoryBegun:
		return inv, refuse(firn.Conflict, "not all of it was read", "")
	}
	return inv, refuse(firn.Conflict, "all of it was read already", "")
}

// StagedAll says that all archives of an inventory are staged: from now on it
// can be compared. It sorts their ids, at about a million a second, while no one
// else can write.
// Errors: as Stage, and Invalid (it has not as many archives as info says).
func (c *Catalog) StagedAll(ctx context.Context, inventory int64, info firn.InventoryInfo) (inv Inventory, err error) {
	subject := fmt.Sprint(inventory)
	err = c.write(ctx, "sort inventory", subject, func(tx tx) error {
		if inv, err = findInventory(tx, inventory, inventoryBegun); err != nil {
			return err
		}
		if inv.Archives != info.Archives {
			return &firn.Error{Op: "sort inventory", Subject: subject, Kind: firn.Invalid, Err: fmt.Errorf("it lists %d archives, of which %d were read", info.Archives, inv.Archives)}
		}
		first, last := rowsOf(inventory)
		r, err := tx.Exec(tx.ctx, "INSERT INTO by_staged SELECT id >> 32, h64, id FROM staged WHERE id BETWEEN ? AND ? ORDER BY h64, id", first, last)
		if err != nil {
			return err
		}
		named, err := r.RowsAffected()
		if err != nil {
			return err
		}
		inv.Nameless, inv.Archives = inv.Archives-named, named
		if err := unstageTwins(tx, &inv); err != nil {
			return err
		}
		inv.Dated = at(info.Date.Unix(), 0)
		return tx.exec("UPDATE inventory SET state = 2, dated = ?, archives = ?, bytes = ? WHERE id = ?", inv.Dated.Unix(), inv.Archives, inv.Bytes, inventory)
	})
	if err != nil {
		return Inventory{}, err
	}
	return inv, nil
}

// unstageTwins deletes rows whose id an earlier row has too.
func unstageTwins(tx tx, inv *Inventory) error {
	var shared []int64
	err := tx.each(func(rows *sql.Rows) error {
		var h64 int64
		err := rows.Scan(&h64)
		shared = append(shared, h64)
		return err
	}, "SELECT h64 FROM by_staged WHERE inventory = ? GROUP BY h64 HAVING count(*) > 1", inv.ID)
	if err != nil {
		return err
	}
	for _, h64 := range shared {
		if err := unstageSame(tx, inv, h64); err != nil {
			return err
		}
	}
	return nil
}

// unstageSame is unstageTwins among the rows of one hash, which need not be those
// of one id.
func unstageSame(tx tx, inv *Inventory, h64 int64) error {
	var twins []int64
	seen := map[string]bool{}
	err := tx.each(func(rows *sql.Rows) error {
		var id, size int64
		var remote string
		if err := rows.Scan(&id, &remote, &size); err != nil {
			return err
		}
		if seen[remote] {
			twins = append(twins, id)
			inv.Bytes -= min(size, inv.Bytes)
		}
		seen[remote] = true
		return nil
	}, `SELECT s.id, s.remote, s.size FROM by_staged k CROSS JOIN staged s ON s.id = k.staged
		WHERE k.inventory = ? AND k.h64 = ? ORDER BY k.staged`, inv.ID, h64)
	if err != nil {
		return err
	}
	inv.Twice += int64(len(twins))
	inv.Archives -= int64(len(twins))
	for _, id := range twins {
		if err := tx.exec("DELETE FROM by_staged WHERE inventory = ? AND h64 = ? AND staged = ?", inv.ID, h64, id); err != nil {
			return err
		}
		if err := tx.exec("DELETE FROM staged WHERE id = ?", id); err != nil {
			return err
		}
	}
	return nil
}

// EndInventory says that an inventory was worked in: it is the newest one that
// the store's rows were compared with, what was staged of it goes, and nothing
// waits for its job any more. Said twice it changes nothing.
// Errors: Conflict, NotFound as Stage.
func (c *Catalog) EndInventory(ctx context.Context, inventory int64) error {
	err := c.write(ctx, "end inventory", fmt.Sprint(inventory), func(tx tx) error {
		if _, err := findInventory(tx, inventory, inventoryDone); err == nil {
			return nil
		}
		inv, err := findInventory(tx, inventory, inventoryStaged)
		if err != nil {
			return err
		}
		return endInventory(tx, inv)
	})
	if err != nil {
		return err
	}
	return c.emptyInventory(ctx, inventory)
}

// EndUnstaged is EndInventory of one that was begun, and worked in without being
// staged. Of inv the number, the date and the counts are looked at.
func (c *Catalog) EndUnstaged(ctx context.Context, inv Inventory) error {
	return c.write(ctx, "end inventory", fmt.Sprint(inv.ID), func(tx tx) error {
		begun, err := findInventory(tx, inv.ID, inventoryBegun)
		if err != nil {
			return err
		}
		inv.Store = begun.Store
		if err := tx.exec("UPDATE inventory SET dated = ?, archives = ?, bytes = ? WHERE id = ?", inv.Dated.Unix(), inv.Archives, inv.Bytes, inv.ID); err != nil {
			return err
		}
		return endInventory(tx, inv)
	})
}

// endInventory makes an inventory the newest one that was worked in.
func endInventory(tx tx, inv Inventory) error {
	if err := tx.exec("UPDATE inventory SET state = 3 WHERE id = ?", inv.ID); err != nil {
		return err
	}
	if err := tx.exec("UPDATE job SET state = 11, message = 'worked in' WHERE id = (SELECT job FROM inventory WHERE id = ?) AND state < 10", inv.ID); err != nil {
		return err
	}
	return tx.exec("UPDATE store SET inventory = max(inventory, ?) WHERE id = ?", inv.Dated.Unix(), inv.Store)
}

// emptyInventory deletes what was staged of an inventory: all at once where no
// other is staged, which is quick however much it is, else a batch at a time. The
// rows themselves go last, since by them emptyInventories finds what is left.
func (c *Catalog) emptyInventory(ctx context.Context, inventory int64) error {
	for _, step := range []func(tx, int64, int64) (bool, error){emptyAll, emptyIndex, emptyRows} {
		for more := true; more; {
			err := c.write(ctx, "empty inventory", fmt.Sprint(inventory), func(tx tx) (err error) {
				more, err = step(tx, inventory, c.sizes.batch)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// emptyAll empties the tables if there is nothing else in them.
func emptyAll(tx tx, inventory, _ int64) (more bool, err error) {
	first, last := rowsOf(inventory)
	var lowest, highest sql.NullInt64
	err = tx.row("SELECT (SELECT min(id) FROM staged), (SELECT max(id) FROM staged)").Scan(&lowest, &highest)
	if err != nil || lowest.Int64 < first || highest.Int64 > last {
		return false, err
	}
	if err := tx.exec("DELETE FROM by_staged"); err != nil {
		return false, err
	}
	return false, tx.exec("DELETE FROM staged")
}

// emptyIndex deletes the next n rows of by_staged, and says whether there are
// more.
func emptyIndex(tx tx, inventory, n int64) (more bool, err error) {
	var h64, row int64
	err = tx.row("SELECT h64, staged FROM by_staged WHERE inventory = ? ORDER BY h64, staged LIMIT 1 OFFSET ?", inventory, n-1).Scan(&h64, &row)
	if isNoRows(err) {
		return false, tx.exec("DELETE FROM by_staged WHERE inventory = ?", inventory)
	}
	if err != nil {
		return false, err
	}
	return true, tx.exec("DELETE FROM by_staged WHERE inventory = ? AND (h64, staged) <= (?, ?)", inventory, h64, row)
}

// emptyRows is emptyIndex of the rows.
func emptyRows(tx tx, inventory, n int64) (more bool, err error) {
	first, last := rowsOf(inventory)
	bound := last
	err = tx.row("SELECT id FROM staged WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1 OFFSET ?", first, last, n-1).Scan(&bound)
	if ignoreNoRows(err) != nil {
		return false, err
	}
	return err == nil, tx.exec("DELETE FROM staged WHERE id BETWEEN ? AND ?", first, bound)
}
