package catalog

import (
	"bytes"
	"cmp"
	"database/sql"
	"math"
)

// A position is that of an entry in the order of all: by directory key, name,
// and the run that made the version.
type position struct {
	dir   int64 // row; 0: none of the directory was read yet
	key   []byte
	name  []byte
	since int64
}

// compare orders positions.
func (p position) compare(o position) int {
	return cmp.Or(bytes.Compare(p.key, o.key), bytes.Compare(p.name, o.name), cmp.Compare(p.since, o.since))
}

// A cursor pages through the entries of a tree, or of a directory and all
// below it, in walk order. No transaction lasts longer than a page, and no
// page costs more for what was read before it.
type cursor struct {
	tree int64
	end  []byte // first directory key that is beyond; nil: none
	page int    // rows to read at once
	last position
}

// begin puts the cursor before all entries of a directory and below it.
func (c *cursor) begin(tx tx, path string) (err error) {
	c.last = position{key: keyOf(path), name: []byte{}, since: math.MinInt64}
	if path != "" {
		_, c.end = below(c.last.key)
	}
	c.last.dir, err = dirRow(tx, c.tree, path)
	return err
}

// A source is what a cursor reads, as the queries that continue after a
// position: in its directory, and in those that follow.
type source struct{ inside, after, before string }

// Parts of a source's queries. CROSS JOIN fixes the order of the loops, so
// that nothing is sorted.
const (
	fromFile    = " FROM dir d CROSS JOIN file f ON f.dir = d.id"
	fromVersion = " FROM dir d CROSS JOIN version f ON f.dir = d.id"
	located     = " LEFT JOIN location l ON l.archive = f.archive AND l.member = f.member LEFT JOIN archive a ON a.id = f.archive"
	inside      = " WHERE d.id = ? AND (f.name, f.since) > (?, ?) ORDER BY f.name, f.since LIMIT ?"
	after       = " WHERE d.tree = ? AND d.key > ? ORDER BY d.key, f.name, f.since LIMIT ?"
	before      = " WHERE d.tree = ? AND d.key > ? AND d.key < ? ORDER BY d.key, f.name, f.since LIMIT ?"
)

// read calls add at each row of the next page, and gives their number. It does
// not move the cursor.
func (c *cursor) read(tx tx, s source, add func(*sql.Rows) error) (n int, err error) {
	count := func(rows *sql.Rows) error {
		n++
		return add(rows)
	}
	if c.last.dir != 0 {
		if err := tx.each(count, s.inside, c.last.dir, c.last.name, c.last.since, c.page); err != nil {
			return n, err
		}
	}
	switch {
	case n == c.page:
		return n, nil
	case c.end == nil:
		err = tx.each(count, s.after, c.tree, c.last.key, c.page-n)
	default:
		err = tx.each(count, s.before, c.tree, c.last.key, c.end, c.page-n)
	}
	return n, err
}
