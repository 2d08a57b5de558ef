package catalog

import (
	"database/sql"
	"slices"

	"github.com/firn-archive/firn"
)

// entryColumns are what an Entry needs; %until stands for the column, or 0.
const (
	entryColumns1 = "SELECT d.id, d.tree, d.key, f.name, f.since, "
	entryColumns2 = ", f.mode, f.size, f.mtime, f.mtime_ns, f.uid, f.gid, f.target, coalesce(f.link_group, 0), l.tree, " + locationColumns
	currentEntry  = entryColumns1 + "0" + entryColumns2 + fromFile + located
	oldEntry      = entryColumns1 + "f.until" + entryColumns2 + fromVersion + located
	ofPath        = " WHERE d.tree = ? AND d.key = ? AND f.name = ? ORDER BY f.since"
)

func currentEntries() source {
	return source{inside: currentEntry + inside, after: currentEntry + after, before: currentEntry + before}
}

func oldEntries() source {
	return source{inside: oldEntry + inside, after: oldEntry + after, before: oldEntry + before}
}

// An entryRow is an entry and its position.
type entryRow struct {
	Entry
	at position
	// before are the versions before a current one that doesn't count.
	before []entryRow
}

func scanEntry(rows *sql.Rows) (e entryRow, err error) {
	var target, tree []byte
	var mode, mtime, mtimeNs int64
	var loc locationScan
	dest := []any{&e.at.dir, &e.Tree, &e.at.key, &e.at.name, &e.at.since, &e.Until, &mode, &e.Stamp.Size, &mtime, &mtimeNs, &e.UID, &e.GID, &target, &e.LinkGroup, &tree}
	if err := rows.Scan(append(dest, loc.dest()...)...); err != nil {
		return e, err
	}
	if e.at.key == nil {
		e.at.key = []byte{}
	}
	if e.at.name == nil {
		e.at.name = []byte{}
	}
	e.Path = joinPath(pathOf(e.at.key), e.at.name)
	e.Kind, e.Mode = fromMode(mode)
	e.Stamp.ModTime = at(mtime, mtimeNs)
	e.Target, e.Run, e.Location = string(target), e.at.since, loc.location()
	e.Links = 1
	if e.Kind == firn.Regular {
		e.Content = contentOf(e.Stamp.Size, tree)
	}
	return e, nil
}

func readEntries(tx tx, cur *cursor, s source) (page []entryRow, err error) {
	_, err = cur.read(tx, s, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		page = append(page, e)
		return err
	})
	return page, err
}

// page reads the next rows of a query and moves the cursor behind them.
func (l *lister) page(tx tx, cur *cursor) (page []entryRow, more bool, err error) {
	page, err = readEntries(tx, cur, currentEntries())
	if err != nil {
		return nil, false, err
	}
	more = len(page) == cur.page
	if l.past() {
		old, err := readEntries(tx, cur, oldEntries())
		if err != nil {
			return nil, false, err
		}
		page, more = merge(page, old, cur.page)
	} else if err := fillBefore(tx, page); err != nil {
		return nil, false, err
	}
	if len(page) > 0 {
		cur.last = page[len(page)-1].at
	}
	return page, more, nil
}

// merge puts two pages from one position into one, up to where both reach. A
// page of full rows may not be the last.
func merge(a, b []entryRow, full int) (page []entryRow, more bool) {
	more = len(a) == full || len(b) == full
	end := func(rows []entryRow) position { return rows[len(rows)-1].at }
	var limit *position
	for _, rows := range [][]entryRow{a, b} {
		if len(rows) == full && (limit == nil || end(rows).compare(*limit) < 0) {
			p := end(rows)
			limit = &p
		}
	}
	for len(a) > 0 || len(b) > 0 {
		next := &b
		if len(b) == 0 || len(a) > 0 && a[0].at.compare(b[0].at) < 0 {
			next = &a
		}
		if limit != nil && (*next)[0].at.compare(*limit) > 0 {
			break
		}
		page = append(page, (*next)[0])
		*next = (*next)[1:]
	}
	return page, more
}

// fillBefore adds to current entries that don't count the ones before them.
func fillBefore(tx tx, page []entryRow) error {
	for i := range page {
		e := &page[i]
		if e.counts() {
			continue
		}
		err := tx.each(func(rows *sql.Rows) error {
			old, err := scanEntry(rows)
			e.before = append(e.before, old)
			return err
		}, oldEntry+ofPath, e.Tree, e.at.key, e.at.name)
		if err != nil {
			return err
		}
	}
	return nil
}

// A folder makes of the versions of each path, which come oldest first, what a
// query wants of it.
type folder struct {
	all  bool
	at   int64 // run; 0: now
	emit func(Entry) error

	path []Entry // versions of one path
	last position
}

// add takes in the next version.
func (f *folder) add(e *entryRow) error {
	if e.at.dir != f.last.dir || !slices.Equal(e.at.name, f.last.name) {
		if err := f.flush(); err != nil {
			return err
		}
		f.last = e.at
	}
	for i := range e.before {
		f.path = append(f.path, e.before[i].Entry)
	}
	f.path = append(f.path, e.Entry)
	return nil
}

// addPath takes in all versions of one entry.
func (f *folder) addPath(tx tx, tree int64, dir, name string) error {
	for _, query := range []string{oldEntry + ofPath, currentEntry + ofPath} {
		rows, err := entriesOf(tx, query, tree, dir, name)
		if err != nil {
			return err
		}
		if err := f.addAll(rows); err != nil {
			return err
		}
	}
	return nil
}

// addCurrent takes in the current version of one entry, and the others only if
// they matter.
func (f *folder) addCurrent(tx tx, tree int64, dir, name string) error {
	rows, err := entriesOf(tx, currentEntry+ofPath, tree, dir, name)
	if err != nil {
		return err
	}
	if err := fillBefore(tx, rows); err != nil {
		return err
	}
	return f.addAll(rows)
}

func (f *folder) addAll(rows []entryRow) error {
	for i := range rows {
		if err := f.add(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func entriesOf(tx tx, query string, tree int64, dir, name string) (rows []entryRow, err error) {
	err = tx.each(func(r *sql.Rows) error {
		e, err := scanEntry(r)
		rows = append(rows, e)
		return err
	}, query, tree, keyOf(dir), []byte(name))
	return rows, err
}

// flush emits what is wanted of the path that is complete.
func (f *folder) flush() error {
	path := f.path
	f.path = f.path[:0]
	for i := range path {
		path[i].Removed = path[i].Until != 0 && (i == len(path)-1 || path[i+1].Run != path[i].Until)
	}
	if f.all {
		for _, e := range path {
			if err := f.emit(e); err != nil {
				return err
			}
		}
		return nil
	}
	var found *Entry
	for i := range path {
		e := &path[i]
		if f.at != 0 && e.Run > f.at {
			break
		}
		if e.counts() {
			found = e
		}
		if e.Removed && (f.at == 0 || e.Until <= f.at) {
			found = nil
		}
	}
	if found == nil {
		return nil
	}
	return f.emit(*found)
}
