package foreign

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/sqldb"
)

// A database is one that another program made.
type database struct {
	path   string // as the caller names it
	reader *sqldb.Reader
}

func openDatabase(ctx context.Context, path string) (*database, error) {
	d := &database{path: path}
	var err error
	if d.reader, err = sqldb.OpenReader(ctx, path); err != nil {
		return nil, d.fail(err)
	}
	return d, nil
}

// Close ends the reading, and removes what it may have put into a temporary
// folder.
func (d *database) Close() error { return d.reader.Close() }

// fail makes an error of the database's that names the file.
func (d *database) fail(err error) error {
	e := &firn.Error{Op: "read", Subject: d.path, Kind: firn.Corrupt, Err: err}
	var files *fs.PathError
	switch {
	case errors.Is(err, sqldb.ErrInUse):
		e.Kind, e.Err = firn.Conflict, sqldb.ErrInUse
	case errors.Is(err, sqldb.ErrNotDatabase):
		e.Kind, e.Err = firn.Usage, sqldb.ErrNotDatabase
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &files):
		e.Kind, e.Err = firn.Local, files
	}
	return e
}

// maxTables is how many tables are looked at; these programs have four at most.
const maxTables = 1000

// tables lists the ordinary tables, in lower case. Views, which could compute
// anything, and virtual tables are not among them.
func (d *database) tables(ctx context.Context) ([]string, error) {
	var all []string
	c, err := d.query(ctx, "SELECT +name, +sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rowid LIMIT ?", maxTables)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for c.next() {
		name, _ := text(c.values[0])
		made, _ := text(c.values[1])
		// SQLite rewrites the beginning of what it keeps, so that this is how
		// all tables begin that it made itself.
		if strings.HasPrefix(made, "CREATE TABLE ") {
			all = append(all, strings.ToLower(name))
		}
	}
	return all, c.err
}

// columns lists the columns of a table, in lower case.
func (d *database) columns(ctx context.Context, table string) ([]string, error) {
	var all []string
	c, err := d.query(ctx, "SELECT +name FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for c.next() {
		name, _ := text(c.values[0])
		all = append(all, strings.ToLower(name))
	}
	return all, c.err
}

// contains reports whether there is a table with all these columns.
func (d *database) contains(ctx context.Context, tables []string, table string, columns ...string) (bool, error) {
	if !slices.Contains(tables, table) {
		return false, nil
	}
	there, err := d.columns(ctx, table)
	for _, column := range columns {
		if !slices.Contains(there, column) {
			return false, err
		}
	}
	return true, err
}

// check counts the rows of tables. In a damaged file pages may lead back to
// themselves, so that a walk never ends, and a sort fills the disk.
func (d *database) check(ctx context.Context, tables ...string) error {
	for _, table := range tables {
		most := d.reader.Size()
		c, err := d.query(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+table+" NOT INDEXED LIMIT ?)", most)
		if err != nil {
			return err
		}
		c.next()
		n, _ := c.values[0].(int64)
		c.close()
		if c.err == nil && n >= most {
			c.err = d.fail(fmt.Errorf("its table %s has no end", table))
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// whole says at the end of a reading whether there should have been more.
func (d *database) whole(ctx context.Context) error {
	if err := d.reader.Whole(ctx); err != nil {
		return d.fail(err)
	}
	return nil
}

// A cursor walks through the rows of a query. Queries put a + before columns, so
// that their declared types, which may be anything, don't change the values.
type cursor struct {
	d      *database
	rows   *sql.Rows
	values []any // of the row: int64, float64, string, []byte or nil
	into   []any
	err    error // why it ended; nil: there are no more rows
}

func (d *database) query(ctx context.Context, query string, args ...any) (*cursor, error) {
	rows, err := d.reader.Query(ctx, query, args...)
	if err != nil {
		return nil, d.fail(err)
	}
	names, err := rows.Columns()
	if err != nil {
		return nil, d.fail(errors.Join(err, rows.Close()))
	}
	c := &cursor{d: d, rows: rows, values: make([]any, len(names)), into: make([]any, len(names))}
	for i := range c.into {
		c.into[i] = &c.values[i]
	}
	return c, nil
}

// next goes to the next row. At the end it makes sure that nobody wrote to the
// file meanwhile.
func (c *cursor) next() bool {
	if c.err != nil {
		return false
	}
	var err error
	if c.rows.Next() {
		if err = c.rows.Scan(c.into...); err == nil {
			return true
		}
	} else {
		err = c.rows.Err()
	}
	if changed := c.d.reader.Unchanged(); changed != nil {
		err = changed // which explains all else
	}
	if err != nil {
		c.err = c.d.fail(err)
	}
	return false
}

// text gives a value that must be text of at most maxText bytes.
func (c *cursor) text(column int, name string) (string, error) {
	s, ok := text(c.values[column])
	if !ok {
		return "", fmt.Errorf("its %s is no text", name)
	}
	if len(s) > maxText {
		return "", fmt.Errorf("its %s has %d bytes", name, len(s))
	}
	return s, nil
}

func (c *cursor) close() { c.rows.Close() } // of what is only read, nothing is lost
