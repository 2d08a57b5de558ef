package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/firn-archive/firn"
)

// inventoryEmptying is the state of an inventory whose archives are being deleted:
// its rows stay until that is done.
const inventoryEmptying = 5

// An Emptying is a store that is being emptied: all archives of one inventory of it
// are to go. It lasts over processes and days.
type Emptying struct {
	Store     int64
	Inventory int64 // 0: it isn't there yet
	// Dated is of that inventory, by the store's clock.
	Dated time.Time
	// Agreed is when somebody agreed to it, by the store's clock, whole seconds: what
	// came later stays.
	Agreed time.Time
	Pays   bool // fees for what is young were agreed to
	Vault  bool // the store itself goes as well
	// Leaving: the store was asked to go, and its answer isn't known.
	Leaving bool
	// Checked is the date of the last inventory that CheckEmpty looked into; zero: none.
	Checked time.Time
	// Asked is when the store was last asked to delete anything, by its clock, whole
	// seconds; zero: never.
	Asked time.Time
}

// Covers reports whether an archive that was made at a time by the store's clock is
// to go, if it is listed.
func (e *Emptying) Covers(created time.Time) bool { return created.Before(e.until()) }

// until is the end of the second in which it was agreed to.
func (e *Emptying) until() time.Time { return e.Agreed.Add(time.Second) }

// EmptyingOf gives the emptying of a store; false where there is none.
func (c *Catalog) EmptyingOf(ctx context.Context, store int64) (e Emptying, ok bool, err error) {
	err = c.read(ctx, "look up emptying", fmt.Sprint("of store ", store), func(tx tx) error {
		e, err = readEmptying(tx, store)
		ok = err == nil
		return ignoreNoRows(err)
	})
	return e, ok, err
}

func readEmptying(tx tx, store int64) (e Emptying, err error) {
	var dated, agreed, asked, checked int64
	var vault int
	err = tx.row(`SELECT e.store, coalesce(e.inventory, 0), coalesce(i.dated, 0), e.agreed, e.pays, e.vault, e.asked, e.checked
		FROM emptying e LEFT JOIN inventory i ON i.id = e.inventory WHERE e.store = ?`, store).
		Scan(&e.Store, &e.Inventory, &dated, &agreed, &e.Pays, &vault, &asked, &checked)
	e.Dated, e.Agreed, e.Vault, e.Leaving = at(dated, 0), at(agreed, 0), vault > 0, vault > 1
	if asked > 0 {
		e.Asked = at(asked, 0)
	}
	if checked > 0 {
		e.Checked = at(checked, 0)
	}
	return e, err
}

// Empty records what somebody agreed to: that a store is to be emptied. Of one that
// is being emptied it changes Pays, Vault and Leaving, and nothing else.
func (c *Catalog) Empty(ctx context.Context, e Emptying) error {
	vault := 0
	switch {
	case e.Leaving:
		vault = 2
	case e.Vault:
		vault = 1
	}
	return c.write(ctx, "begin to empty", fmt.Sprint("store ", e.Store), func(tx tx) error {
		return tx.exec(`INSERT INTO emptying (store, agreed, pays, vault, asked) VALUES (?, ?, ?, ?, 0)
			ON CONFLICT (store) DO UPDATE SET pays = excluded.pays, vault = excluded.vault`, e.Store, e.Agreed.Unix(), e.Pays, vault)
	})
}

// EmptyBy makes an inventory that was staged the list of what is to go. Its rows
// stay until EndEmptying; nothing else can be compared with it from now on. What was
// saved in the store is no base for more.
// Errors: Conflict, NotFound as Stage; NotFound too where nothing is to be emptied.
func (c *Catalog) EmptyBy(ctx context.Context, inventory int64) error {
	subject := fmt.Sprint("inventory ", inventory)
	return c.write(ctx, "begin to empty", subject, func(tx tx) error {
		inv, err := findInventory(tx, inventory, inventoryStaged)
		if err != nil {
			return err
		}
		err = tx.row("UPDATE emptying SET inventory = ? WHERE store = ? AND inventory IS NULL RETURNING store", inventory, inv.Store).Scan(&inv.Store)
		if isNoRows(err) {
			return &firn.Error{Op: "begin to empty", Subject: subject, Kind: firn.NotFound, Err: errors.New("nobody agreed to that, or by another inventory")}
		}
		if err != nil {
			return err
		}
		if err := tx.exec("UPDATE inventory SET state = ? WHERE id = ?", inventoryEmptying, inventory); err != nil {
			return err
		}
		return disown(tx, inv.Store)
	})
}

// An EmptyState says what became of an archive that is to go.
type EmptyState uint8

// The states of archives that are to go.
const (
	EmptyTodo    EmptyState = 0
	EmptyAsked   EmptyState = 1 // the store was asked to delete it, and nobody knows the answer
	EmptyGone    EmptyState = 2
	EmptyRefused EmptyState = 3
)

// An EmptyItem is an archive that is to go.
type EmptyItem struct {
	Row     int64 // of the list
	Archive firn.ArchiveID
	Created time.Time
	Size    int64
	Class   string // storage class of S3, as it was listed; empty elsewhere
	// Description and Hashed, whether its tree hash is known, are as it was listed.
	Description string
	Hashed      bool
	State       EmptyState
	Why         string // it was refused
}

// EmptyItems gives the archives of an inventory that was staged, or is the list of
// an emptying, in the order of the list, from behind a row on (0: all), with what
// became of them. It holds no lock while the consumer works, and ends with the first
// error.
func (c *Catalog) EmptyItems(ctx context.Context, inventory, after int64) iter.Seq2[EmptyItem, error] {
	return paged(ctx, c, "list what is to go", fmt.Sprint("inventory ", inventory), func() pager[EmptyItem] {
		first, end := rowsOf(inventory)
		last := max(after, first-1)
		return func(tx tx, page []EmptyItem) (_ []EmptyItem, more bool, err error) {
			err = tx.each(func(rows *sql.Rows) error {
				item, err := scanEmptyItem(rows)
				page, last = append(page, item), item.Row
				return err
			}, `SELECT s.id, s.remote, s.created, s.size, s.class, s.description, length(s.tree) = 32, coalesce(m.state, 0), coalesce(m.why, '') FROM staged s LEFT JOIN emptied m ON m.staged = s.id
				WHERE s.id > ? AND s.id <= ? ORDER BY s.id LIMIT ?`, last, end, c.sizes.page)
			return page, len(page) == c.sizes.page, err
		}
	})
}

func scanEmptyItem(rows *sql.Rows) (i EmptyItem, err error) {
	var remote string // a type of its own would cost ten times as much
	var created int64
	err = rows.Scan(&i.Row, &remote, &created, &i.Size, &i.Class, &i.Description, &i.Hashed, &i.State, &i.Why)
	i.Archive, i.Created = firn.ArchiveID(remote), time.UnixMicro(created).UTC()
	return i, err
}

var insertEmptied = newBulk("INSERT OR REPLACE INTO emptied (staged, state, why) VALUES ", "(?, ?, ?)", "")

// EmptyAsks records that the store is about to be asked to delete archives, at a
// time by its clock.
func (c *Catalog) EmptyAsks(ctx context.Context, store int64, asked time.Time, items []EmptyItem) error {
	return c.write(ctx, "delete", fmt.Sprint("archives of store ", store), func(tx tx) error {
		marks := insertEmptied.batch(tx)
		for i := range items {
			if err := marks.add(items[i].Row, int64(EmptyAsked), ""); err != nil {
				return err
			}
		}
		if err := marks.flush(); err != nil {
			return err
		}
		return tx.exec("UPDATE emptying SET asked = max(asked, ?) WHERE store = ?", asked.Unix(), store)
	})
}

// EndEmptying says that a store is no longer being emptied, and forgets the list.
// Where there is no emptying it changes nothing.
func (c *Catalog) EndEmptying(ctx context.Context, store int64) error {
	err := c.write(ctx, "end emptying", fmt.Sprint("of store ", store), func(tx tx) error {
		return endEmptying(tx, store)
	})
	if err != nil {
		return err
	}
	return c.emptyInventories(ctx, store)
}

// endEmptying is EndEmptying, but that it leaves the list to emptyInventories.
func endEmptying(tx tx, store int64) error {
	var inventory sql.NullInt64
	err := tx.row("DELETE FROM emptying WHERE store = ? RETURNING inventory", store).Scan(&inventory)
	if err != nil || !inventory.Valid {
		return ignoreNoRows(err)
	}
	if err := tx.exec("UPDATE inventory SET state = 4 WHERE id = ?", inventory.Int64); err != nil {
		return err
	}
	return forgetMarks(tx, inventory.Int64)
}

// forgetMarks deletes the marks of a list, all pages at once where they are the only
// ones.
func forgetMarks(tx tx, inventory int64) error {
	var others bool
	first, last := rowsOf(inventory)
	err := tx.row("SELECT EXISTS (SELECT 1 FROM emptied WHERE staged < ?1) OR EXISTS (SELECT 1 FROM emptied WHERE staged > ?2)", first, last).Scan(&others)
	if err != nil {
		return err
	}
	if !others {
		return tx.exec("DELETE FROM emptied")
	}
	return tx.exec("DELETE FROM emptied WHERE staged BETWEEN ? AND ?", first, last)
}
