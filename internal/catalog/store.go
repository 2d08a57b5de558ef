package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A StoreSpec says what a store is called and what it is.
type StoreSpec struct {
	URL      string // as users write it: glacier:photos, local:/mnt/vault
	Kind     string // the part before the colon
	Identity string // as firn.StoreInfo has it
	Name     string
	Region   string
	Address  string
	Class    string // the storage class of its archives in S3; empty elsewhere, and where it wasn't looked at
	// Reached: the store itself said so, and not somebody else's rows about it. What
	// was reached once stays so.
	Reached bool
}

// A Store is one that the catalog knows.
type Store struct {
	ID         int64
	StoreSpec            // its URL is the one that Register saw last
	Registered time.Time // by the local clock
	Archives   int64     // stored in it, as far as this catalog knows
	Bytes      int64     // in those archives
}

const storeColumns = "id, url, kind, identity, name, region, address, registered, registered_ns, archives, bytes, class, reached"

func scanStore(row interface{ Scan(...any) error }) (s Store, err error) {
	var sec, nsec int64
	err = row.Scan(&s.ID, &s.URL, &s.Kind, &s.Identity, &s.Name, &s.Region, &s.Address, &sec, &nsec, &s.Archives, &s.Bytes, &s.Class, &s.Reached)
	s.Registered = at(sec, nsec)
	return s, err
}

// Register finds the store by its identity, or makes it known. What the spec
// says otherwise than before (name, region, address, class) is updated; URLs add up,
// so that a store answers to each one it was ever registered by.
// Errors: Conflict when the URL stands for a store of another identity: a
// vault or folder that was made anew, or another disk in the same place.
func (c *Catalog) Register(ctx context.Context, spec StoreSpec) (store Store, err error) {
	if spec.URL == "" || spec.Identity == "" {
		return Store{}, &firn.Error{Op: "register store", Subject: spec.URL, Kind: firn.Invalid, Err: errors.New("a store needs a URL and an identity")}
	}
	err = c.write(ctx, "register store", spec.URL, func(tx tx) error {
		id, err := register(tx, spec, c.clock.Now())
		if err != nil {
			return err
		}
		if err := claimURL(tx, spec, id); err != nil {
			return err
		}
		store, err = scanStore(tx.row("SELECT "+storeColumns+" FROM store WHERE id = ?", id))
		return err
	})
	return store, err
}

// register finds or makes the row of a store.
func register(tx tx, spec StoreSpec, now time.Time) (id int64, err error) {
	err = tx.row("SELECT id FROM store WHERE identity = ?", spec.Identity).Scan(&id)
	switch {
	case err == nil:
		return id, tx.exec("UPDATE store SET url = ?, kind = ?, name = ?, region = ?, address = ?, class = coalesce(nullif(?, ''), class), reached = max(reached, ?), gone = 0 WHERE id = ?",
			spec.URL, spec.Kind, spec.Name, spec.Region, spec.Address, spec.Class, spec.Reached, id)
	case !isNoRows(err):
		return 0, err
	}
	sec, nsec := instant(now)
	return tx.insert("INSERT INTO store (identity, kind, url, name, region, address, registered, registered_ns, class, reached) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		spec.Identity, spec.Kind, spec.URL, spec.Name, spec.Region, spec.Address, sec, nsec, spec.Class, spec.Reached)
}

// claimURL lets a URL stand for a store, unless it stands for another.
func claimURL(tx tx, spec StoreSpec, id int64) error {
	var owner int64
	err := tx.row("SELECT store FROM store_url WHERE url = ?", spec.URL).Scan(&owner)
	switch {
	case isNoRows(err):
		return tx.exec("INSERT INTO store_url (url, store) VALUES (?, ?)", spec.URL, id)
	case err != nil || owner == id:
		return err
	}
	before, err := scanStore(tx.row("SELECT "+storeColumns+" FROM store WHERE id = ?", owner))
	if err != nil {
		return err
	}
	return &firn.Error{
		Op: "open store", Subject: spec.URL, Kind: firn.Conflict,
		Err: fmt.Errorf("this is not the store that had this name since %s: it is %s, that was %s",
			before.Registered.Format(time.DateOnly), spec.Identity, before.Identity),
		Hint: "check account, region, endpoint or disk; if the old one is gone for good, take leave of it with: firn store forget " + spec.URL,
	}
}

// StoreByURL finds a store by any URL it was registered by. Errors: NotFound.
func (c *Catalog) StoreByURL(ctx context.Context, url string) (store Store, err error) {
	err = c.read(ctx, "find store", url, func(tx tx) error {
		store, err = scanStore(tx.row("SELECT "+storeColumns+" FROM store WHERE id = (SELECT store FROM store_url WHERE url = ?)", url))
		if isNoRows(err) {
			return &firn.Error{
				Op: "find store", Subject: url, Kind: firn.NotFound,
				Err:  errors.New("nothing was synced to this store from here"),
				Hint: "a store becomes known when a directory is synced to it: firn sync DIR " + url,
			}
		}
		return err
	})
	return store, err
}

// Stores lists all stores by URL.
func (c *Catalog) Stores(ctx context.Context) (stores []Store, err error) {
	err = c.read(ctx, "list stores", c.db.Path(), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			s, err := scanStore(rows)
			stores = append(stores, s)
			return err
		}, "SELECT "+storeColumns+" FROM store WHERE gone = 0 ORDER BY url")
	})
	return stores, err
}

// Forget takes leave of a store that was deleted: its URLs are free for
// another. Its rows stay, as history, but nothing lists them any more; when a
// store of the same identity is registered, they are back. It is not being emptied
// any more.
// Errors: NotFound.
func (c *Catalog) Forget(ctx context.Context, store int64) error {
	subject := fmt.Sprint("store ", store)
	err := c.write(ctx, "forget", subject, func(tx tx) error {
		var id int64
		if err := tx.row("UPDATE store SET gone = 1 WHERE id = ? AND gone = 0 RETURNING id", store).Scan(&id); err != nil {
			return err
		}
		if err := tx.exec("DELETE FROM store_url WHERE store = ?", store); err != nil {
			return err
		}
		if err := c.endMoves(tx, store); err != nil {
			return err
		}
		return endEmptying(tx, store)
	})
	if err != nil {
		return err
	}
	return c.emptyInventories(ctx, store)
}

// endMoves takes note that the source of migrations is gone: what was copied whole is
// done.
func (c *Catalog) endMoves(tx tx, store int64) error {
	sec, nsec := instant(c.clock.Now())
	return tx.exec("UPDATE migration SET state = ?, ended = ?, ended_ns = ? WHERE source = ? AND state IN (?, ?)",
		MigrationDone, sec, nsec, store, MigrationCopied, MigrationEmptying)
}
