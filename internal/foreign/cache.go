package foreign

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/inventory"
	"github.com/firn-archive/firn/internal/sqldb"
	"github.com/firn-archive/firn/treehash"
)

// A Cache is glacier-cli's database, or its fork's, as the program glacier works
// with it: what it writes glacier-cli reads, and the other way round. Two columns
// are added that both programs ignore, or know, and leave empty: the tree hash,
// which is the fork's own column, and the region, in which alone a vault's name is
// unique.
//
// Rows belong to an access key. A vault's are those of all keys: accounts change
// theirs. It is not safe for concurrent use; processes may share the file.
type Cache struct {
	path string
	wait time.Duration // for others that have it locked
	db   *sqldb.Shared
	full bool // it has the two columns
	hash bool // it has that of the tree hash
}

// cacheSchema is glacier-cli's table with the two columns.
// Source: github.com/basak/glacier-cli, github.com/vbourachot/glacier-cli.
const cacheSchema = `CREATE TABLE IF NOT EXISTS archive (
	id VARCHAR NOT NULL,
	name VARCHAR,
	vault VARCHAR NOT NULL,
	"key" VARCHAR NOT NULL,
	last_seen_upstream INTEGER,
	created_here INTEGER,
	deleted_here INTEGER,
	hash VARCHAR,
	region VARCHAR,
	PRIMARY KEY (id)
)`

// A CacheRow is one archive in a Cache. Times are zero where there is none.
type CacheRow struct {
	ID       firn.ArchiveID
	Name     string
	Named    bool // it has a name, which may be empty
	Vault    string
	Region   string // empty: not known
	Key      string
	LastSeen time.Time // date of the last inventory that listed it, as glacier-cli reckons
	Created  time.Time // when the row was made
	Deleted  time.Time
	Tree     treehash.Hash // zero: not known, or recorded as that of nothing
}

// Seen is when the archive was last known to be there: by an inventory, else by
// whoever made the row.
func (r *CacheRow) Seen() time.Time {
	if r.LastSeen.IsZero() {
		return r.Created
	}
	return r.LastSeen
}

// OpenCache opens the cache at path, and makes it, and its folder, where it isn't
// there. The caller closes it. Who has it locked is waited for, a minute at the most,
// here and later on. Errors, also of its methods: Usage (it is something else),
// Corrupt, Conflict (it stays locked), Local, Full. None changes the file.
func OpenCache(ctx context.Context, path string) (*Cache, error) {
	const wait = time.Minute
	return openCache(ctx, path, wait)
}

func openCache(ctx context.Context, path string, wait time.Duration) (*Cache, error) {
	c := &Cache{path: path, wait: wait}
	var err error
	if c.db, err = sqldb.OpenShared(ctx, path, cacheSchema, wait); err != nil {
		return nil, c.fail("open", err)
	}
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error { return c.recognize(ctx, tx) })
	if err != nil {
		return nil, errors.Join(c.fail("open", err), c.db.Close())
	}
	return c, nil
}

// Close closes the cache.
func (c *Cache) Close() error { return c.db.Close() }

// fail says in plain words what is wrong with the cache.
func (c *Cache) fail(op string, err error) error {
	var known *firn.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &firn.Error{Op: op, Subject: "the cache " + c.path, Kind: firn.Local, Err: err}
	var file *fs.PathError
	// SQLite's result codes. Source: sqlite.org, "Result and Error Codes".
	const busy, readOnly, corrupt, full, cantOpen, notADatabase = 5, 8, 11, 13, 14, 26
	var coded interface{ Code() int }
	switch {
	case errors.As(err, &file):
		e.Err = file
	case errors.Is(err, sqldb.ErrNotDatabase):
		e.Kind, e.Err = firn.Usage, sqldb.ErrNotDatabase
	case !errors.As(err, &coded):
	default:
		switch coded.Code() & 0xff {
		case busy:
			e.Kind, e.Err, e.Hint = firn.Conflict, fmt.Errorf("another program has had it locked for %v", c.wait), "it is as it was; try again when that program has ended"
		case corrupt, notADatabase:
			e.Kind, e.Err, e.Hint = firn.Corrupt, errors.New("it is damaged"), "move it away; glacier vault sync makes a new one, of what each vault has"
		case readOnly:
			e.Err = errors.New("it, or its folder, can't be written to")
		case cantOpen:
			e.Err = errors.New("it can't be opened, or nothing can be written beside it")
		case full:
			e.Kind, e.Err = firn.Full, errors.New("the disk is full")
		}
	}
	return e
}

// recognize finds out which columns there are.
func (c *Cache) recognize(ctx context.Context, tx *sqldb.Tx) error {
	rows, err := tx.Query(ctx, "SELECT name FROM pragma_table_info('archive')")
	if err != nil {
		return err
	}
	defer rows.Close()
	has := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		has[name] = true
	}
	if len(has) == 0 {
		return &firn.Error{Op: "open", Subject: "the cache " + c.path, Kind: firn.Usage, Err: errors.New("it has no table archive, so that another program made it")}
	}
	for _, name := range []string{"id", "name", "vault", "key", "last_seen_upstream", "created_here", "deleted_here"} {
		if !has[name] {
			return &firn.Error{Op: "open", Subject: "the cache " + c.path, Kind: firn.Usage, Err: fmt.Errorf("it has no column archive.%s", name)}
		}
	}
	c.hash = has["hash"]
	c.full = c.hash && has["region"]
	return rows.Err()
}

// complete adds the two columns to a cache that hasn't got them.
func (c *Cache) complete(ctx context.Context, tx *sqldb.Tx) error {
	if c.full {
		return nil
	}
	if err := c.recognize(ctx, tx); err != nil || c.full { // another process may have been faster
		return err
	}
	for _, column := range []string{"hash", "region"} {
		there, err := hasColumn(ctx, tx, column)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE archive ADD COLUMN "+column+" VARCHAR"); err != nil {
			return err
		}
	}
	return nil
}

func hasColumn(ctx context.Context, tx *sqldb.Tx, column string) (there bool, err error) {
	err = tx.QueryRow(ctx, "SELECT count(*) FROM pragma_table_info('archive') WHERE name = ?", column).Scan(&there)
	return there, err
}

// write runs fn in a transaction, in which all columns are there.
func (c *Cache) write(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	err := c.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := c.complete(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	})
	if err == nil {
		c.full = true
	}
	return c.fail("write to", err)
}

// columns are those of a row, as they can be read from any cache.
func (c *Cache) columns() string {
	if c.full {
		return `id, name, vault, "key", last_seen_upstream, created_here, deleted_here, hash, region`
	}
	if c.hash {
		return `id, name, vault, "key", last_seen_upstream, created_here, deleted_here, hash, NULL`
	}
	return `id, name, vault, "key", last_seen_upstream, created_here, deleted_here, NULL, NULL`
}

// ours limits a query to a vault of a region, and to what was not deleted.
func (c *Cache) ours() string {
	if c.full {
		return "vault = ?1 AND (region IS NULL OR region = ?2) AND deleted_here IS NULL"
	}
	return "vault = ?1 AND ?2 = ?2 AND deleted_here IS NULL"
}

// List hands each archive of a vault to each, by name as SQLite orders text; those
// without one come first. They are as the cache has them at the beginning: nobody
// who writes to it waits for each.
func (c *Cache) List(ctx context.Context, region, vault string, each func(CacheRow) error) error {
	err := c.db.Read(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, "DROP TABLE IF EXISTS temp.listed"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "CREATE TEMP TABLE listed AS SELECT "+c.columns()+" FROM main.archive WHERE "+c.ours()+" ORDER BY name", vault, region)
		return err
	})
	if err != nil {
		return c.fail("read", err)
	}
	return c.query(ctx, "SELECT * FROM temp.listed ORDER BY rowid", each)
}

// ByName gives the archives of a vault that have a name.
func (c *Cache) ByName(ctx context.Context, region, vault, name string) (all []CacheRow, err error) {
	err = c.query(ctx, "SELECT "+c.columns()+" FROM archive WHERE "+c.ours()+" AND name = ?3", func(r CacheRow) error {
		all = append(all, r)
		return nil
	}, vault, region, name)
	return all, err
}

// ByID gives the archive of a vault with an id, which is one at the most.
func (c *Cache) ByID(ctx context.Context, region, vault string, id firn.ArchiveID) (all []CacheRow, err error) {
	err = c.query(ctx, "SELECT "+c.columns()+" FROM archive WHERE "+c.ours()+" AND id = ?3", func(r CacheRow) error {
		all = append(all, r)
		return nil
	}, vault, region, string(id))
	return all, err
}

func (c *Cache) query(ctx context.Context, query string, each func(CacheRow) error, args ...any) error {
	return c.fail("read", c.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanCacheRow(rows)
			if err != nil {
				return err
			}
			if err := each(r); err != nil {
				return err
			}
		}
		return rows.Err()
	}))
}

// scanCacheRow reads a row, and what more the query asks for. Times may be whole numbers or not: Python wrote them.
func scanCacheRow(rows interface{ Scan(...any) error }, more ...any) (r CacheRow, err error) {
	var id, vault, key string
	var name, hash, region sql.NullString
	var seen, created, deleted any
	into := append([]any{&id, &name, &vault, &key, &seen, &created, &deleted, &hash, &region}, more...)
	if err := rows.Scan(into...); err != nil {
		return r, err
	}
	r = CacheRow{ID: firn.ArchiveID(id), Name: name.String, Named: name.Valid, Vault: vault, Key: key, Region: region.String}
	r.LastSeen, r.Created, r.Deleted = moment(seen), moment(created), moment(deleted)
	if deleted != nil && r.Deleted.IsZero() {
		r.Deleted = time.Unix(0, 0) // some time
	}
	if len(hash.String) == 2*treehash.Size {
		r.Tree, _ = treehash.Parse(hash.String) // what is none is not known
	}
	if r.Tree == emptyTree {
		r.Tree = treehash.Hash{}
	}
	return r, nil
}

// seconds is a time as Python's time.time() has it; nil for none.
func seconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return float64(t.UnixMicro()) / 1e6
}

// insertRow makes a row of what was stored here.
const insertRow = `INSERT INTO archive (id, name, vault, "key", created_here, hash, region) VALUES (?, ?, ?, ?, ?, ?, ?)`

// Add adds an archive that was stored. One that an inventory brought meanwhile gets
// the name by which it was stored.
func (c *Cache) Add(ctx context.Context, r CacheRow) error {
	return c.insert(ctx, r, " ON CONFLICT (id) DO UPDATE SET name = excluded.name, hash = excluded.hash, region = excluded.region")
}

// Recall adds an archive that was stored earlier, unless the cache knows its id, also
// as deleted.
func (c *Cache) Recall(ctx context.Context, r CacheRow) error {
	return c.insert(ctx, r, " ON CONFLICT (id) DO NOTHING")
}

func (c *Cache) insert(ctx context.Context, r CacheRow, otherwise string) error {
	return c.write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, insertRow+otherwise, string(r.ID), r.Name, r.Vault, r.Key, seconds(r.Created), r.Tree.String(), r.Region)
		return err
	})
}

// Prepare finds out whether what is stored or deleted from now on can be recorded, by
// a row that comes and goes in one transaction.
func (c *Cache) Prepare(ctx context.Context) error {
	return c.write(ctx, func(tx *sqldb.Tx) error {
		const id = "firn looks whether it can write here"
		if _, err := tx.Exec(ctx, insertRow, id, "", "", "", nil, "", ""); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM archive WHERE id = ?", id)
		return err
	})
}

// Deleted records that an archive was deleted: it stays until an inventory leaves it
// out.
func (c *Cache) Deleted(ctx context.Context, id firn.ArchiveID, at time.Time) error {
	return c.write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE archive SET deleted_here = ? WHERE id = ?", seconds(at), string(id))
		return err
	})
}

// An Upstream is an inventory that a Cache is compared with.
type Upstream struct {
	Region, Vault, Key string
	Created            time.Time // of rows that are new
	// NameOf gives the name that a description stands for.
	NameOf func(description string) string
	// IsName reports whether a description is what a name is sent as.
	IsName func(description, name string) bool
	// Tell is told of each row that isn't as the inventory has it; fix: it is to be
	// made so.
	Tell func(Finding, CacheRow, string)
	Fix  bool

	Dates // that the reading of the inventory gives
}

// Dates are when things were so, by an inventory.
type Dates struct {
	Inventory time.Time // when it was made
	LastSeen  time.Time // what it lists is known to have been there then
}

// A Finding says how a cache and an inventory differ in one archive.
type Finding int

// The findings, with what Upstream.Tell is told beside the row.
const (
	Renamed      Finding = iota // the name that it has upstream; fixed if it is to be
	StillPresent                // it was deleted before the inventory
	NotYetGone                  // it was deleted after the inventory
	LeftUpstream                // it was deleted, and is gone: the row is, too
	Disappeared                 // removed if it is to be
	NotYetListed                // it is newer than the inventory
	HashDiffers                 // the tree hash upstream
)

// inventoryBatch is how many archives of an inventory are written at a time.
const inventoryBatch = 4096

// Compare reads an inventory by list, and then, in one transaction, brings the cache
// up to it. Nobody else waits for the reading.
func (c *Cache) Compare(ctx context.Context, u Upstream, list func(each func(firn.Archive) error) (Dates, error)) error {
	if err := c.stage(ctx, &u, list); err != nil {
		return err
	}
	return c.write(ctx, func(tx *sqldb.Tx) error {
		for _, step := range []func(context.Context, *sqldb.Tx, Upstream) error{c.matched, c.added, c.unmatched} {
			if err := step(ctx, tx, u); err != nil {
				return err
			}
		}
		return nil
	})
}

// stage puts the inventory into a table that is this process's own.
func (c *Cache) stage(ctx context.Context, u *Upstream, list func(each func(firn.Archive) error) (Dates, error)) error {
	err := c.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TEMP TABLE IF NOT EXISTS upstream (id TEXT PRIMARY KEY, description TEXT, name TEXT, hash TEXT)")
		if err == nil {
			_, err = tx.Exec(ctx, "DELETE FROM temp.upstream")
		}
		return err
	})
	if err != nil {
		return c.fail("compare", err)
	}
	batch := make([]firn.Archive, 0, inventoryBatch)
	flush := func() error {
		err := c.db.Read(ctx, func(tx *sqldb.Tx) error { // only the own table is written to
			for _, a := range batch {
				if _, err := tx.Exec(ctx, "INSERT OR REPLACE INTO temp.upstream VALUES (?, ?, ?, ?)", string(a.ID), a.Description, u.NameOf(a.Description), a.Tree.String()); err != nil {
					return err
				}
			}
			return nil
		})
		batch = batch[:0]
		return c.fail("compare", err)
	}
	u.Dates, err = list(func(a firn.Archive) error {
		if inventory.CheckID(string(a.ID)) != nil {
			return nil // nobody can ask for it
		}
		if batch = append(batch, a); len(batch) < inventoryBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// matched goes over the rows that the inventory lists.
func (c *Cache) matched(ctx context.Context, tx *sqldb.Tx, u Upstream) error {
	const query = `SELECT a.id, a.name, a.vault, a."key", a.last_seen_upstream, a.created_here, a.deleted_here, a.hash, a.region, u.description, u.hash
		FROM temp.upstream u CROSS JOIN archive a ON a.id = u.id ORDER BY u.rowid`
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	type change struct {
		id         firn.ArchiveID
		name, hash string
	}
	var named, hashed []change
	for rows.Next() {
		var description, hash string
		r, err := scanCacheRow(rows, &description, &hash)
		if err != nil {
			return err
		}
		switch {
		case r.Name == "":
			named = append(named, change{r.ID, u.NameOf(description), ""})
		case !u.IsName(description, r.Name):
			u.Tell(Renamed, r, description)
			if u.Fix {
				named = append(named, change{r.ID, u.NameOf(description), ""})
			}
		}
		switch {
		case r.Tree.IsZero():
			hashed = append(hashed, change{r.ID, "", hash})
		case r.Tree.String() != hash:
			u.Tell(HashDiffers, r, hash)
		}
		if !r.Deleted.IsZero() {
			u.Tell(presence(r, u), r, "")
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, n := range named {
		if _, err := tx.Exec(ctx, "UPDATE archive SET name = ? WHERE id = ?", n.name, string(n.id)); err != nil {
			return err
		}
	}
	for _, h := range hashed {
		if _, err := tx.Exec(ctx, "UPDATE archive SET hash = ? WHERE id = ?", h.hash, string(h.id)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "UPDATE archive SET last_seen_upstream = ?, region = ? WHERE id IN (SELECT id FROM temp.upstream)", u.LastSeen.Unix(), u.Region)
	return err
}

// emptyTree is the hash of nothing, which the fork's "archive upload" writes down
// whatever it uploads. The service keeps no empty archives.
var emptyTree = treehash.Sum(nil)

// presence says of a row that was deleted, and that the inventory lists, whether
// that is strange.
func presence(r CacheRow, u Upstream) Finding {
	if r.Deleted.Before(u.Inventory) {
		return StillPresent
	}
	return NotYetGone
}

// added makes rows of what the cache doesn't have.
func (c *Cache) added(ctx context.Context, tx *sqldb.Tx, u Upstream) error {
	_, err := tx.Exec(ctx, `INSERT INTO archive (id, name, vault, "key", last_seen_upstream, created_here, hash, region)
		SELECT id, name, ?1, ?2, ?3, ?4, hash, ?5 FROM temp.upstream u WHERE NOT EXISTS (SELECT 1 FROM archive a WHERE a.id = u.id) ORDER BY u.rowid`,
		u.Vault, u.Key, u.LastSeen.Unix(), seconds(u.Created), u.Region)
	return err
}

// unmatched goes over the rows that the inventory doesn't list. Those of another
// access key count only where the inventory lists another row of that key: else they
// may be of another account, whose vault has the same name.
func (c *Cache) unmatched(ctx context.Context, tx *sqldb.Tx, u Upstream) error {
	const query = `SELECT id, name, vault, "key", last_seen_upstream, created_here, deleted_here, hash, region FROM archive a
		WHERE vault = ?1 AND (region IS NULL OR region = ?2) AND NOT EXISTS (SELECT 1 FROM temp.upstream u WHERE u.id = a.id)
		AND ("key" = ?3 OR "key" IN (SELECT DISTINCT b."key" FROM temp.upstream u CROSS JOIN archive b ON b.id = u.id)) ORDER BY a.rowid`
	rows, err := tx.Query(ctx, query, u.Vault, u.Region, u.Key)
	if err != nil {
		return err
	}
	defer rows.Close()
	var gone []firn.ArchiveID
	for rows.Next() {
		r, err := scanCacheRow(rows)
		if err != nil {
			return err
		}
		f := absence(r, u)
		u.Tell(f, r, "")
		if f == LeftUpstream || f == Disappeared && u.Fix {
			gone = append(gone, r.ID)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, id := range gone {
		if _, err := tx.Exec(ctx, "DELETE FROM archive WHERE id = ?", string(id)); err != nil {
			return err
		}
	}
	return nil
}

// inventoryLag is for how long an archive may be missing from an inventory that was
// made since. Source: glacier-cli's INVENTORY_LAG of 3 days.
const inventoryLag = 72 * time.Hour

// absence says what it means that an inventory doesn't list a row.
func absence(r CacheRow, u Upstream) Finding {
	switch {
	case !r.Deleted.IsZero() && r.Deleted.Before(u.Inventory):
		return LeftUpstream
	case !r.Deleted.IsZero():
		return NotYetListed
	case !r.LastSeen.IsZero(), r.Created.Before(u.Inventory.Add(-inventoryLag)):
		return Disappeared
	}
	return NotYetListed
}
