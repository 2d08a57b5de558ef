package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/firn-archive/firn"
)

// A Snapshot is one of a store's rows, in an archive of the store.
type Snapshot struct {
	ID, Store int64
	Catalog   firn.Token // whose rows they are
	// Own snapshots are those that this database made: others can add to them.
	// What it had made before it was lost isn't, since its numbers are others now.
	Own     bool
	Seq     int64     // counts up in its catalog and store
	Base    int64     // the one that it adds to; 0: it is full
	Through int64     // the last run that is in it whole
	Made    time.Time // by the local clock; whole seconds

	Archive int64 // row
	// From Snapshots:
	State   State
	Remote  firn.ArchiveID
	Size    int64     // bytes as stored, or as expected
	Created time.Time // by the store's clock; zero: not known
}

// Snapshots gives the snapshots of all catalogs in a store, by catalog and
// number, also those on their way and those that are deleted, but for those
// that never came to be.
func (c *Catalog) Snapshots(ctx context.Context, store int64) (all []Snapshot, err error) {
	err = c.read(ctx, "list snapshots", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			s, err := scanSnapshot(rows)
			all = append(all, s)
			return err
		}, `SELECT s.id, s.store, c.token, s.own, s.seq, s.base, s.through, s.made, s.archive,
			a.state, coalesce(a.remote, ''), a.size, coalesce(a.created, -62135596800), coalesce(a.created_ns, 0)
			FROM snapshot s CROSS JOIN catalog c ON c.id = s.catalog CROSS JOIN archive a ON a.id = s.archive
			WHERE s.store = ? AND a.state != 20 ORDER BY s.catalog, s.seq`, store)
	})
	return all, err
}

func scanSnapshot(rows *sql.Rows) (s Snapshot, err error) {
	var token []byte
	var made, created, createdNs int64
	err = rows.Scan(&s.ID, &s.Store, &token, &s.Own, &s.Seq, &s.Base, &s.Through, &made, &s.Archive,
		&s.State, &s.Remote, &s.Size, &created, &createdNs)
	copy(s.Catalog[:], token)
	s.Made, s.Created = at(made, 0), at(created, createdNs)
	return s, err
}

// nextSnapshot counts also those that never came to be: one of these may have
// arrived all the same.
const nextSnapshot = "SELECT coalesce(max(seq), 0) + 1 FROM snapshot WHERE store = ? AND catalog = 1"

// NextSnapshot gives the number that this catalog's next snapshot of a store
// has. It is free until an intent is recorded under it.
func (c *Catalog) NextSnapshot(ctx context.Context, store int64) (seq int64, err error) {
	err = c.read(ctx, "number snapshot", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.row(nextSnapshot, store).Scan(&seq)
	})
	return seq, err
}

// IntendSnapshot records, in one commit, an intent of kind CatalogArchive and
// this catalog's snapshot that its archive will hold. It gives them their IDs,
// and the snapshot its number where that is 0, its store and its catalog. When
// it is stored, that is said with Stored and a nil change.
// Errors: Invalid (as Intend; it is of a tree, or adds to a snapshot that comes
// after it), Conflict (the number was used before).
func (c *Catalog) IntendSnapshot(ctx context.Context, in *Intent, s *Snapshot) error {
	if err := checkIntent(in); err != nil {
		return err
	}
	if in.Kind != CatalogArchive || in.Tree != 0 {
		return &firn.Error{Op: "record snapshot", Subject: in.Token.String(), Kind: firn.Invalid, Err: fmt.Errorf("an archive of kind %q and tree %d is no snapshot", in.Kind, in.Tree)}
	}
	return c.write(ctx, "record snapshot", in.Token.String(), func(tx tx) error {
		var next int64
		if err := tx.row(nextSnapshot, in.Store).Scan(&next); err != nil {
			return err
		}
		seq := s.Seq
		if seq == 0 {
			seq = next
		}
		refuse := func(kind firn.Kind, why string) error {
			return &firn.Error{Op: "record snapshot", Subject: fmt.Sprint(seq), Kind: kind, Err: errors.New(why)}
		}
		switch {
		case seq < next:
			return refuse(firn.Conflict, fmt.Sprintf("the number was used before; the next one is %d", next))
		case s.Base < 0 || s.Base >= seq:
			return refuse(firn.Invalid, fmt.Sprintf("it can't add to snapshot %d", s.Base))
		}
		if err := intend(tx, in); err != nil {
			return err
		}
		id, err := tx.insert("INSERT INTO snapshot (store, catalog, seq, base, through, archive, made, own) VALUES (?, 1, ?, ?, ?, ?, ?, 1)",
			in.Store, seq, s.Base, s.Through, in.ID, s.Made.Unix())
		if err != nil {
			return err
		}
		s.ID, s.Store, s.Catalog, s.Own, s.Seq, s.Archive, s.State, s.Size = id, in.Store, c.id, true, seq, in.ID, Intended, in.Size
		return nil
	})
}

// FirstSync gives the oldest run in which this catalog synced a tree. Runs that
// stand for times, and those of other catalogs, are none.
// Errors: NotFound (it never did).
func (c *Catalog) FirstSync(ctx context.Context, tree int64) (run Run, err error) {
	err = c.read(ctx, "find first sync", fmt.Sprint("of tree ", tree), func(tx tx) error {
		var id int64
		err := tx.row("SELECT id FROM run WHERE tree = ? AND catalog = 1 AND id > 0 AND command != 'found' ORDER BY id LIMIT 1", tree).Scan(&id)
		if err == nil {
			run, err = readRun(tx, id)
		}
		return notThere(err, "find first sync", fmt.Sprint("of tree ", tree), "the tree was never synced here")
	})
	return run, err
}

// Unsaved reports whether runs after the given one have changed a store's
// archives, snapshots apart, or versions. Where there are such runs, and none
// has changed anything, it reads through all versions, page by page: that takes
// a second for a million.
func (c *Catalog) Unsaved(ctx context.Context, store, through int64) (bool, error) {
	u := unsaved{cat: c, ctx: ctx, store: store, through: through}
	some := false
	err := u.read(func(tx tx) error {
		return tx.row("SELECT EXISTS (SELECT 1 FROM run WHERE id > ? AND +store = ?)", through, store).Scan(&some)
	})
	for _, step := range []func() (bool, error){u.archives, u.versions, u.files} {
		if err != nil || !some {
			return false, err
		}
		var found bool
		if found, err = step(); found {
			return true, err
		}
	}
	return false, err
}

// An unsaved is one Unsaved.
type unsaved struct {
	cat            *Catalog
	ctx            context.Context
	store, through int64
}

func (u *unsaved) read(fn func(tx) error) error {
	return u.cat.read(u.ctx, "look for what is not saved", fmt.Sprint("of store ", u.store), fn)
}

// archives looks for archives that came, or changed, the newest first.
func (u *unsaved) archives() (found bool, err error) {
	for before := int64(math.MaxInt64); before > 0 && !found && err == nil; {
		err = u.read(func(tx tx) error {
			const page = "(SELECT id, store, kind, state, settled FROM archive WHERE id < ? ORDER BY id DESC LIMIT ?)"
			args := []any{before, u.cat.sizes.batch}
			err := tx.row("SELECT EXISTS (SELECT 1 FROM "+page+" v WHERE store = ? AND kind != 'catalog' AND state >= 10 AND state != 20 AND settled > ?)",
				append(args, u.store, u.through)...).Scan(&found)
			if err != nil {
				return err
			}
			return tx.row("SELECT coalesce((SELECT id FROM archive WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?), 0)", before, u.cat.sizes.batch-1).Scan(&before)
		})
	}
	return found, err
}

// versions looks for versions that ended.
func (u *unsaved) versions() (bool, error) {
	return u.scan(`SELECT EXISTS (SELECT 1 FROM (SELECT dir, until FROM version WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name, since LIMIT ?) v
		CROSS JOIN dir d ON d.id = v.dir CROSS JOIN tree t ON t.id = d.tree WHERE v.until > ? AND t.store = ?)`, oldRows.last)
}

// files looks for versions that began.
func (u *unsaved) files() (bool, error) {
	return u.scan(`SELECT EXISTS (SELECT 1 FROM (SELECT dir, since FROM file WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name LIMIT ?) v
		CROSS JOIN dir d ON d.id = v.dir CROSS JOIN tree t ON t.id = d.tree WHERE v.since > ? AND t.store = ?)`, currentRows.last)
}

// scan asks a query of all pages of a table, in the order of its key; last gives
// a page's last one.
func (u *unsaved) scan(query, last string) (found bool, err error) {
	at := newPassage()
	for more := true; more && !found && err == nil; {
		err = u.read(func(tx tx) error {
			if err := tx.row(query, at.dir, at.name, at.since, u.cat.sizes.batch, u.through, u.store).Scan(&found); err != nil || found {
				return err
			}
			more, err = at.advance(tx, last, u.cat.sizes.batch)
			return err
		})
	}
	return found, err
}
