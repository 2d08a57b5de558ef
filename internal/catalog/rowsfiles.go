package catalog

import (
	"bytes"
	"cmp"
	"database/sql"
	"errors"
	"fmt"

	"github.com/firn-archive/firn/internal/rows"
)

// writeTrees writes the entries of all trees, and the directories that they
// are in, in walk order.
func (w *rowWriter) writeTrees() error {
	v := &versionWriter{rowWriter: w}
	for i := range w.trees {
		c := versionCursor{tree: w.trees[i].ID, limit: w.cat.sizes.page, name: []byte{}} // not nil, which would be NULL
		for more := true; more; {
			err := w.read(func(tx tx) (err error) {
				more, err = c.read(tx)
				return err
			})
			if err != nil {
				return err
			}
			if err := v.page(&c); err != nil {
				return err
			}
		}
	}
	return v.flush()
}

// A versionCursor pages through all versions of a tree's entries, by directory
// key, name and run. No transaction lasts longer than a page. A page is of a
// few directories at the most, so that those with nothing in them cost as
// little, too; and a page may end within a directory.
type versionCursor struct {
	tree  int64
	limit int // of rows in a page

	dir   dirKey // that is under way; id 0: none is, all up to its key were read
	name  []byte // of the last row in it
	since int64

	// The page, as text and numbers: it is used again for the next one.
	dirs []dirKey
	rows []versionRow
	text []byte // names, targets and attributes of all rows, one after the other
	old  versionStream
	now  versionStream
}

// A dirKey is a directory.
type dirKey struct {
	id  int64
	key []byte
}

// A versionRow is a row of version, or of file with until 0.
type versionRow struct {
	dir             int // in the page's dirs
	name, target    int // lengths in the page's text
	attrs           int // -1: there are none
	since, until    int64
	mode, size      int64
	mtime, mtimeNs  int64
	uid, gid        int64
	archive, member int64
	linkGroup       int64
}

// Parts of the queries of both tables. CROSS JOIN fixes the order of the loops,
// so that nothing is sorted.
const (
	versionColumns = ", f.since, f.mode, f.size, f.mtime, f.mtime_ns, f.uid, f.gid, f.archive, f.member, coalesce(f.link_group, 0), f.name, f.target, f.attrs"
	oldVersions    = "SELECT d.id, f.until" + versionColumns + fromVersion
	nowVersions    = "SELECT d.id, 0" + versionColumns + fromFile
	restOfDir      = " WHERE d.id = ? AND (f.name, f.since) > (?, ?) ORDER BY f.name, f.since"
	inDirs         = " WHERE d.tree = ? AND d.key >= ? AND d.key <= ? ORDER BY d.key, f.name, f.since"
)

// read reads a page and moves behind it. It reports whether there may be more.
func (c *versionCursor) read(tx tx) (more bool, err error) {
	c.dirs, c.rows, c.text = c.dirs[:0], c.rows[:0], c.text[:0]
	if c.dir.id != 0 {
		c.dirs = append(c.dirs, c.dir)
		if err := c.merge(tx, oldVersions+restOfDir, nowVersions+restOfDir, c.dir.id, c.name, c.since); err != nil || len(c.rows) == c.limit {
			return true, err
		}
	}
	done := len(c.dirs)
	atOnce := max(1, c.limit/8)
	if err := c.nextDirs(tx, atOnce); err != nil {
		return false, err
	}
	next := c.dirs[done:]
	if len(next) == 0 {
		return false, nil
	}
	end := next[len(next)-1]
	err = c.merge(tx, oldVersions+inDirs, nowVersions+inDirs, c.tree, next[0].key, end.key)
	if err == nil && len(c.rows) < c.limit {
		c.dir = dirKey{key: end.key}
	}
	return len(c.rows) == c.limit || len(next) == atOnce, err
}

// nextDirs lists the next directories.
func (c *versionCursor) nextDirs(tx tx, n int) error {
	query, key := "SELECT id, key FROM dir WHERE tree = ? AND key > ? ORDER BY key LIMIT ?", c.dir.key
	if key == nil { // nothing was read yet
		query, key = "SELECT id, key FROM dir WHERE tree = ? AND key >= ? ORDER BY key LIMIT ?", []byte{}
	}
	return tx.each(func(r *sql.Rows) error {
		var d dirKey
		err := r.Scan(&d.id, &d.key)
		if d.key == nil {
			d.key = []byte{}
		}
		c.dirs = append(c.dirs, d)
		return err
	}, query, c.tree, key, n)
}

// merge adds to the page what two queries of the same range give, in one order,
// until the page is full.
func (c *versionCursor) merge(tx tx, old, now string, args ...any) (err error) {
	if err := c.old.begin(tx, c.dirs, old, args...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.old.rows.Close()) }()
	if err := c.now.begin(tx, c.dirs, now, args...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.now.rows.Close()) }()
	for len(c.rows) < c.limit && (c.old.ok || c.now.ok) {
		s := &c.old
		if !c.old.ok || c.now.ok && c.now.compare(&c.old) < 0 {
			s = &c.now
		}
		c.add(s)
		if err := s.next(c.dirs); err != nil {
			return err
		}
	}
	return nil
}

// add adds a stream's row to the page, and moves the cursor behind it.
func (c *versionCursor) add(s *versionStream) {
	c.dir = c.dirs[s.row.dir]
	c.name, c.since = append(c.name[:0], s.name...), s.row.since
	r := s.row
	r.name, r.target, r.attrs = len(s.name), len(s.target), -1
	c.text = append(append(c.text, s.name...), s.target...)
	if s.attrs != nil {
		r.attrs = len(s.attrs)
		c.text = append(c.text, s.attrs...)
	}
	c.rows = append(c.rows, r)
}

// A versionStream is a query under way, at one of its rows.
type versionStream struct {
	rows                *sql.Rows
	ok                  bool // there is a row
	row                 versionRow
	dir                 int64
	name, target, attrs sql.RawBytes
	dest                []any
}

func (s *versionStream) begin(tx tx, dirs []dirKey, query string, args ...any) (err error) {
	if s.rows, err = tx.Query(tx.ctx, query, args...); err != nil {
		return err
	}
	if s.dest == nil {
		r := &s.row
		s.dest = []any{&s.dir, &r.until, &r.since, &r.mode, &r.size, &r.mtime, &r.mtimeNs, &r.uid, &r.gid, &r.archive, &r.member, &r.linkGroup,
			&s.name, &s.target, &s.attrs}
	}
	s.row.dir = 0
	if err := s.next(dirs); err != nil {
		return errors.Join(err, s.rows.Close())
	}
	return nil
}

// next goes on to the next row. Its directory is that of the row before, or one
// behind it.
func (s *versionStream) next(dirs []dirKey) error {
	if s.ok = s.rows.Next(); !s.ok {
		return s.rows.Err()
	}
	if err := s.rows.Scan(s.dest...); err != nil {
		return err
	}
	for dirs[s.row.dir].id != s.dir {
		if s.row.dir++; s.row.dir == len(dirs) {
			return fmt.Errorf("the rows of directory %d are out of order", s.dir)
		}
	}
	return nil
}

// compare orders the rows of two streams.
func (s *versionStream) compare(o *versionStream) int {
	if s.row.dir != o.row.dir {
		return cmp.Compare(s.row.dir, o.row.dir)
	}
	return cmp.Or(bytes.Compare(s.name, o.name), cmp.Compare(s.row.since, o.row.since))
}

// A versionWriter makes of the versions of each name, which come oldest first,
// the entries that are to be written.
type versionWriter struct {
	*rowWriter
	tree  int64
	dir   dirKey // that is under way
	begun bool   // it was written
	name  string // that is under way

	// The last version of the name that counts. It waits for the next one, which
	// may say when it ended.
	last  rows.Entry
	waits bool
	must  bool // it is to be written, also where it looks as old as the base
}

// page takes in a page.
func (v *versionWriter) page(c *versionCursor) error {
	text := string(c.text)
	for i := range c.rows {
		r := &c.rows[i]
		e := rows.Entry{
			Since: r.since, Until: r.until, Mode: uint32(r.mode), Size: r.size, ModTime: at(r.mtime, r.mtimeNs),
			UID: r.uid, GID: r.gid, Archive: r.archive, Member: r.member, LinkGroup: r.linkGroup,
		}
		e.Name, text = text[:r.name], text[r.name:]
		e.Target, text = text[:r.target], text[r.target:]
		if r.attrs >= 0 {
			e.Attrs, text = []byte(text[:r.attrs]), text[r.attrs:]
		}
		if dir := &c.dirs[r.dir]; dir.id != v.dir.id || e.Name != v.name {
			if err := v.flush(); err != nil {
				return err
			}
			if dir.id != v.dir.id {
				v.tree, v.dir, v.begun = c.tree, *dir, false
			}
			v.name = e.Name
		}
		if err := v.add(&e); err != nil {
			return err
		}
	}
	return nil
}

// add takes in the next version of the name that is under way.
func (v *versionWriter) add(e *rows.Entry) error {
	if e.Until > v.lastRun { // which the stream doesn't have
		e.Until = 0
	}
	last := &v.last
	if !v.counts(e) {
		// It replaced nothing. What did so afterwards, or removed the name, ended
		// the version before it.
		if v.waits && (last.Until == 0 || last.Until == e.Since) {
			last.Until = e.Until
			v.must = v.must || e.Since > v.base // in the base it may have ended then
		}
		return nil
	}
	if v.waits && (last.Until == 0 || last.Until > e.Since) { // this one came after that was read
		last.Until = e.Since
	}
	// This one didn't count yet in the base, so that the other went on there.
	v.must = v.must || v.isFresh(e) && last.Until == e.Since
	if err := v.flush(); err != nil {
		return err
	}
	v.last, v.waits, v.must = *e, true, false
	return nil
}

// counts reports whether the version is in the store, or needs no archive.
func (v *versionWriter) counts(e *rows.Entry) bool {
	return e.Since <= v.lastRun && (e.Archive == 0 || v.written.has(e.Archive))
}

// isFresh reports whether the version's archive is new to the base: then so is
// the version, however old it is.
func (v *versionWriter) isFresh(e *rows.Entry) bool { return e.Archive != 0 && v.fresh.has(e.Archive) }

// flush writes the version that waits, if it is new to the base.
func (v *versionWriter) flush() error {
	e := &v.last
	if !v.waits {
		return nil
	}
	v.waits = false
	if v.base != 0 && !v.must && e.Since <= v.base && e.Until <= v.base && !v.isFresh(e) {
		return nil
	}
	if !v.begun {
		v.begun = true
		if err := v.to.Write(&rows.Dir{Tree: v.tree, Path: pathOf(v.dir.key)}); err != nil {
			return err
		}
	}
	v.out.Entries++
	return v.to.Write(e)
}
