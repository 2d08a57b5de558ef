// Package catalog keeps what is stored where: stores, the trees in them, each
// file as it was at each sync, the archives that hold its content, and all
// that is under way. It is a SQLite database, described in docs/format.md.
package catalog

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/sqldb"
)

// ApplicationID marks a catalog's file: "firn" in ASCII.
const ApplicationID = 0x6669726e

//go:embed schema.sql
var schema1 string

//go:embed schema2.sql
var schema2 string

//go:embed schema3.sql
var schema3 string

//go:embed schema4.sql
var schema4 string

//go:embed schema5.sql
var schema5 string

// A Catalog is an open catalog. Its methods are safe for concurrent use, and
// what changes something returns once that is durable.
//
// Every error is a firn.Error. Beside the kinds that a method names there are
// Full (no space), Conflict (another process writes for more than a minute),
// Corrupt (the file is damaged), Local (any other trouble with the file) and
// the context's cause.
type Catalog struct {
	db             *sqldb.DB
	clock          clock.Clock
	id             firn.Token
	trees, remotes batchIndex
	sizes          sizes
}

// sizes say how much is done at once. Tests make them small.
type sizes struct {
	page  int   // rows of a read transaction
	batch int64 // rows that a write transaction moves
	fresh int64 // rows that the small half of an index takes
}

// defaults: a page makes a query's start cheap and ends soon, since a read
// transaction keeps the write-ahead log from being cut back; a batch bounds
// that log, and how long other writers wait; the small half of an index, some
// 3 MB, stays in the page cache.
func defaults() sizes { return sizes{page: 4096, batch: 10_000, fresh: 100_000} }

// Open opens or makes the catalog at path, whose folder must exist.
// Errors: Conflict (the file is another program's, or of a newer firn), Corrupt
// (it is damaged, and it shows: Check finds more).
func Open(ctx context.Context, path string, c clock.Clock) (*Catalog, error) {
	db, err := sqldb.Open(ctx, path, sqldb.Options{
		ApplicationID: ApplicationID,
		Name:          "catalog",
		Migrations:    []string{schema1, schema2, schema3, schema4, schema5},
	})
	if err != nil {
		return nil, openError(path, err)
	}
	cat := &Catalog{db: db, clock: c, trees: treeIndex(), remotes: remoteIndex(), sizes: defaults()}
	err = cat.read(ctx, "open catalog", path, func(tx tx) error {
		var id []byte
		if err := checkTables(tx); err != nil {
			return err
		}
		err := tx.row("SELECT token FROM catalog WHERE id = 1").Scan(&id)
		if isNoRows(err) || err == nil && len(id) != len(cat.id) {
			return fmt.Errorf("%w: it doesn't say which catalog it is", sqldb.ErrDamaged)
		}
		if err != nil {
			return err
		}
		copy(cat.id[:], id)
		if err := cat.trees.measure(tx); err != nil {
			return err
		}
		return cat.remotes.measure(tx)
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return cat, nil
}

func openError(path string, err error) error {
	e := &firn.Error{Op: "open catalog", Subject: path, Kind: kindOf(err), Err: err}
	if inner := errors.Unwrap(err); inner != nil {
		e.Err = inner // which doesn't say once more what was opened
	}
	switch {
	case errors.Is(err, sqldb.ErrForeign), errors.Is(err, sqldb.ErrNewer):
		e.Kind = firn.Conflict
	case e.Kind == firn.Corrupt:
		e.Hint = damagedHint
	}
	return e
}

// damagedHint says what to do about a catalog that is damaged.
const damagedHint = "the stores are not affected: firn recover STORE puts the damaged file aside and makes the catalog anew from the store"

// checkTables finds out whether all tables are there.
func checkTables(tx tx) error {
	there := map[string]bool{}
	err := tx.each(func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		there[name] = true
		return err
	}, "SELECT name FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for line := range strings.Lines(schema1 + schema2 + schema3 + schema4 + schema5) {
		line = strings.TrimRight(line, ";\n")
		if name, dropped := strings.CutPrefix(line, "DROP TABLE "); dropped {
			delete(made, name)
		}
		if name, isTable := strings.CutPrefix(line, "CREATE TABLE "); isTable {
			name, _, _ = strings.Cut(name, " ")
			made[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		if !there[name] {
			return fmt.Errorf("%w: the table %s is missing", sqldb.ErrDamaged, name)
		}
	}
	return nil
}

// Close closes the catalog.
func (c *Catalog) Close() error { return c.db.Close() }

// ID is the catalog's random name, drawn when it was made: by it snapshots of
// several machines in one store are told apart.
func (c *Catalog) ID() firn.Token { return c.id }

// A tx is a transaction with its context. Statements are not interrupted one
// by one: transactions are short, and watching a context costs as much as a
// small statement.
type tx struct {
	*sqldb.Tx
	ctx context.Context
}

func (t tx) exec(query string, args ...any) error {
	_, err := t.Exec(t.ctx, query, args...)
	return err
}

// insert runs an INSERT and gives the id of the new row.
func (t tx) insert(query string, args ...any) (int64, error) {
	r, err := t.Exec(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

func (t tx) row(query string, args ...any) sqldb.Row { return t.QueryRow(t.ctx, query, args...) }

// each runs a query and calls fn at each of its rows.
func (t tx) each(fn func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := t.Query(t.ctx, query, args...)
	if err != nil {
		return err
	}
	return readAll(rows, fn)
}

// readAll calls fn at each row of an answer, and closes it.
func readAll(rows *sql.Rows, fn func(*sql.Rows) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// read runs fn in a read transaction; op and subject head its error.
func (c *Catalog) read(ctx context.Context, op, subject string, fn func(tx) error) error {
	return wrap(ctx, op, subject, c.db.Read(ctx, reading(ctx, fn)))
}

// glance is read for a single statement.
func (c *Catalog) glance(ctx context.Context, op, subject string, fn func(tx) error) error {
	return wrap(ctx, op, subject, c.db.Glance(ctx, reading(ctx, fn)))
}

func reading(ctx context.Context, fn func(tx) error) func(*sqldb.Tx) error {
	return func(t *sqldb.Tx) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fn(tx{t, context.WithoutCancel(ctx)})
	}
}

// write runs fn in a write transaction, shared with other writers.
func (c *Catalog) write(ctx context.Context, op, subject string, fn func(tx) error) error {
	return wrap(ctx, op, subject, c.db.Write(ctx, uncut(ctx, fn)))
}

// Patiently gives a context in which what is recorded may wait for some milliseconds for
// more that is: see sqldb.Patiently.
func Patiently(ctx context.Context) context.Context { return sqldb.Patiently(ctx) }

// writeAgain is write for one of many small writes, which may run twice: see
// sqldb.DB.WriteAgain.
func (c *Catalog) writeAgain(ctx context.Context, op, subject string, fn func(tx) error) error {
	return wrap(ctx, op, subject, c.db.WriteAgain(ctx, uncut(ctx, fn)))
}

// uncut makes of fn what runs to its end once it began.
func uncut(ctx context.Context, fn func(tx) error) func(*sqldb.Tx) error {
	return func(t *sqldb.Tx) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fn(tx{t, context.WithoutCancel(ctx)})
	}
}

// wrap makes a firn.Error of what isn't one yet, nor the context's cause.
func wrap(ctx context.Context, op, subject string, err error) error {
	var known *firn.Error
	if err == nil || errors.As(err, &known) || ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}
	e := &firn.Error{Op: op, Subject: subject, Kind: kindOf(err), Err: err}
	switch e.Kind {
	case firn.Full:
		e.Hint = "make room on the disk that holds the catalog"
	case firn.Corrupt:
		e.Hint = damagedHint
	}
	return e
}

// kindOf reads SQLite's result codes (sqlite.org, "Result and Error Codes").
func kindOf(err error) firn.Kind {
	const busy, corrupt, full, notADatabase = 5, 11, 13, 26
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		switch coded.Code() & 0xff {
		case busy:
			return firn.Conflict
		case corrupt, notADatabase:
			return firn.Corrupt
		case full:
			return firn.Full
		}
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return firn.NotFound
	case errors.Is(err, errLater), errors.Is(err, errTwice):
		return firn.Conflict
	case errors.Is(err, sqldb.ErrDamaged):
		return firn.Corrupt
	}
	return firn.Local
}

// instant gives the two columns of a time.
func instant(t time.Time) (sec, nsec int64) { return t.Unix(), int64(t.Nanosecond()) }

// at is the time of two columns.
func at(sec, nsec int64) time.Time { return time.Unix(sec, nsec).UTC() }

// isNoRows reports whether a query that looks for one row found none.
func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
