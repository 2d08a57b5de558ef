package catalog

import (
	"bytes"
	"database/sql"
	"errors"

	"github.com/firn-archive/firn"
)

// An item is a change on its way into the table of files.
type item struct {
	*Change
	where place // of its content; zero: it has none, or it is to be looked for

	// Its row, and what is there before it:
	dir   int64
	name  []byte
	fresh bool     // the directory was made just now: it is empty
	old   *version // nil where there is none
}

// hasContent reports whether there is something that an archive holds.
func (it *item) hasContent() bool { return it.Kind == firn.Regular && it.Content.Size > 0 }

// recordAll makes the items the current entries of their paths, one after the
// other, as far as anybody can tell: those that don't meet go together.
func (r *recorder) recordAll(items []item) error {
	for len(items) > 0 {
		n, err := r.gather(items)
		if err != nil {
			return wrap(r.ctx, "record", items[n].Path, err)
		}
		for _, step := range []func([]item) error{r.readCurrent, r.clearPlaces, r.locate, r.write} {
			if err := step(items[:n]); err != nil {
				return err
			}
		}
		items = items[n:]
	}
	return nil
}

// gather finds the rows of as many items as don't meet: no path is there twice,
// or as a file that others are below. What was there before them is then the
// same in whatever order they come.
func (r *recorder) gather(items []item) (n int, err error) {
	r.group++
	dirs := make(map[string]bool, len(items)) // by path; false: it is none
	last := "/"                               // the parent of the one before; no path is this
	for n := range items {
		it := &items[n]
		if err := checkChange(it.Change); err != nil {
			return n, err
		}
		_, meets := dirs[it.Path]
		if it.Kind != firn.Directory {
			_, above := r.dirs[it.Path]
			meets = meets || above
		}
		parent, _ := split(it.Path)
		for dir := parent; parent != last && dir != ""; dir, _ = split(dir) {
			isDir, there := dirs[dir]
			meets = meets || there && !isDir
		}
		if meets && n > 0 {
			return n, nil
		}
		if err := r.slot(it); err != nil {
			return n, err
		}
		dirs[it.Path] = it.Kind == firn.Directory
		last = parent
	}
	return len(items), nil
}

var currentFiles = newBulk(`SELECT v.column1, f.mode, f.size, f.mtime, f.mtime_ns, f.uid, f.gid, f.archive, f.member, l.tree, coalesce(a.state, 0), f.target, coalesce(f.link_group, 0), f.seen, f.since
	FROM (VALUES `, "(?, ?, ?)", `) v CROSS JOIN file f ON f.dir = v.column2 AND f.name = v.column3
	LEFT JOIN location l ON l.archive = f.archive AND l.member = f.member LEFT JOIN archive a ON a.id = f.archive`)

// readCurrent reads the current entries in the items' places.
func (r *recorder) readCurrent(items []item) error {
	b := currentFiles.batch(r.tx)
	scan := func(rows *sql.Rows) error {
		var i int
		var v version
		err := rows.Scan(&i, &v.mode, &v.size, &v.mtime, &v.mtimeNs, &v.uid, &v.gid, &v.where.archive, &v.where.member,
			&v.content, &v.state, &v.target, &v.group, &v.seen, &v.since)
		items[i].old = &v
		return err
	}
	for i := range items {
		if it := &items[i]; !it.fresh {
			b.args = append(b.args, i, it.dir, it.name)
		}
		if b.full() {
			if err := b.query(scan); err != nil {
				return err
			}
		}
	}
	return b.query(scan)
}

var (
	dirsOfNames  = newBulk("SELECT v.column1 FROM (VALUES ", "(?, ?, ?)", ") v CROSS JOIN dir d ON d.tree = v.column2 AND d.key = v.column3")
	filesOfNames = newBulk("SELECT v.column1 FROM (VALUES ", "(?, ?, ?)", ") v CROSS JOIN file f ON f.dir = v.column2 AND f.name = v.column3")
)

// clearPlaces removes what new entries can't stand beside: see clear.
func (r *recorder) clearPlaces(items []item) error {
	var found []int
	scan := func(rows *sql.Rows) error {
		found = append(found, 0)
		return rows.Scan(&found[len(found)-1])
	}
	dirs, files := dirsOfNames.batch(r.tx), filesOfNames.batch(r.tx)
	for i := range items {
		it := &items[i]
		switch {
		case it.old != nil || it.Path == "":
		case it.Kind == firn.Directory:
			above, name := split(it.Path)
			if parent := r.dirs[above]; parent.group != r.group {
				files.args = append(files.args, i, parent.id, []byte(name))
			}
		case !it.fresh:
			dirs.args = append(dirs.args, i, r.run.Tree, keyOf(it.Path))
		}
		for _, b := range []*batch{dirs, files} {
			if b.full() {
				if err := b.query(scan); err != nil {
					return err
				}
			}
		}
	}
	if err := errors.Join(dirs.query(scan), files.query(scan)); err != nil {
		return err
	}
	for _, i := range found {
		if err := r.clear(items[i].Change); err != nil {
			return wrap(r.ctx, "record", items[i].Path, err)
		}
	}
	return nil
}

// locate finds places that hold the items' content, where that isn't known:
// the one that the file has already where that is good.
func (r *recorder) locate(items []item) error {
	var contents []firn.Content
	var of []*item
	for i := range items {
		it := &items[i]
		if !it.hasContent() || it.where != (place{}) {
			continue
		}
		if old := it.old; old != nil && old.state == Stored && old.size == it.Content.Size && bytes.Equal(old.content, it.Content.Tree[:]) {
			it.where = old.where
			continue
		}
		contents, of = append(contents, it.Content), append(of, it)
	}
	if len(of) == 0 {
		return nil
	}
	places, err := findContents(r.tx, r.run.Store, r.run.Recipients, contents)
	if err != nil {
		return err
	}
	for i, it := range of {
		if it.where = places[i]; it.where == (place{}) {
			return &firn.Error{Op: "record", Subject: it.Path, Kind: firn.NotFound, Err: errors.New("the store doesn't hold its content, " + it.Content.Tree.String())}
		}
	}
	return r.unqueue(places)
}

var (
	insertFiles = newBulk(`INSERT OR REPLACE INTO file (dir, name, since, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, seen)
		VALUES `, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)", "")
	// What this run made itself is no version of its own.
	insertVersions = newBulk(`INSERT INTO version (dir, name, since, until, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs)
		SELECT f.dir, f.name, f.since, v.column3, f.mode, f.size, f.mtime, f.mtime_ns, f.uid, f.gid, f.archive, f.member, f.target, f.link_group, f.attrs
		FROM (VALUES `, "(?, ?, ?)", ") v CROSS JOIN file f ON f.dir = v.column1 AND f.name = v.column2 WHERE f.since < v.column3")
)

// write makes the items current. What they replace goes among the old versions
// first.
func (r *recorder) write(items []item) error {
	now, old := insertFiles.batch(r.tx), insertVersions.batch(r.tx)
	for i := range items {
		it := &items[i]
		v := versionOf(it.Change, it.where)
		replaces, err := r.decide(it, &v)
		if err != nil {
			return wrap(r.ctx, "record", it.Path, err)
		}
		if !replaces {
			continue
		}
		if it.old != nil {
			old.args = append(old.args, it.dir, it.name, r.run.ID)
		}
		now.args = append(now.args, it.dir, it.name, r.run.ID, v.mode, v.size, v.mtime, v.mtimeNs, v.uid, v.gid,
			v.where.archive, v.where.member, v.target, v.group, v.seen)
		if now.full() {
			if err := errors.Join(old.flush(), now.flush()); err != nil {
				return err
			}
		}
	}
	return errors.Join(old.flush(), now.flush())
}

// decide says whether a version replaces the one that is there. Else it
// updates that one.
func (r *recorder) decide(it *item, now *version) (replaces bool, err error) {
	old := it.old
	onItsWay := r.bundle != 0 && now.where.archive == r.bundle
	switch {
	case old == nil:
	case old.since > r.run.ID:
		return false, errLater
	case old.sameVersion(now) && (!onItsWay || old.state == Stored || old.state == Dropped):
		if onItsWay && old.state == Stored {
			now.where = old.where // better than one that may never be
		}
		r.done.Touched++
		return false, r.touch(it.dir, it.name, old, now)
	case onItsWay && old.since == r.run.ID && old.state != Dropped:
		return false, errTwice
	default:
		r.totals.add(old.mode, -1, -old.size)
	}
	r.done.Versions++
	r.totals.add(now.mode, 1, now.size)
	return true, nil
}
