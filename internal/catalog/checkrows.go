package catalog

import (
	"bytes"
	"database/sql"
	"fmt"
	"math"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// pages reads a table a page at a time, each in a transaction of its own, and
// tells of what was found in it. next reads a page behind where it got to, and
// gives the number of its rows.
func (k *checker) pages(next func(tx tx, limit int) (n int, found []Fault, err error)) error {
	for n, limit := 1, k.cat.sizes.page; n > 0; {
		var found []Fault
		err := k.read(func(tx tx) (err error) {
			n, found, err = next(tx, limit)
			return err
		})
		if err != nil {
			return err
		}
		if err := k.faults(found); err != nil {
			return err
		}
	}
	return nil
}

// archives looks at each archive.
func (k *checker) archives() error {
	var last int64 = math.MinInt64
	return k.pages(func(tx tx, limit int) (n int, found []Fault, err error) {
		err = tx.each(func(rows *sql.Rows) error {
			var id int64
			var state State
			var remote sql.NullString
			var isOpen bool
			if err := rows.Scan(&id, &state, &remote, &isOpen); err != nil {
				return err
			}
			n++
			last = id
			if remote.Valid {
				k.remote.add(remote64(firn.ArchiveID(remote.String)), id, 0)
			}
			for _, what := range archiveFaults(state, remote.Valid, isOpen) {
				found = append(found, Fault{ArchiveRule, fmt.Sprintf("archive %d", id), what})
			}
			return nil
		}, `SELECT id, state, remote, EXISTS (SELECT 1 FROM intent WHERE archive = archive.id) FROM archive WHERE id > ? ORDER BY id LIMIT ?`, last, limit)
		k.done.Archives += int64(n)
		return n, found, err
	})
}

// archiveFaults says what of an archive doesn't fit its state.
func archiveFaults(state State, hasRemote, isOpen bool) (all []string) {
	add := func(wrong bool, what string) {
		if wrong {
			all = append(all, what)
		}
	}
	add(state.String() == "unknown" || state == NoArchive, fmt.Sprintf("there is no state %d", state))
	add(state < Stored && !isOpen, "it has no outcome yet, and nothing says what it was to be")
	add(state >= Stored && isOpen, fmt.Sprintf("it is %s, and still counts as under way", state))
	add(state >= Stored && state != Dropped && !hasRemote, fmt.Sprintf("it is %s, and the store's id of it is missing", state))
	return all
}

// locations looks at each content in an archive.
func (k *checker) locations() error {
	lastArchive, lastMember := int64(math.MinInt64), int64(math.MinInt64)
	return k.pages(func(tx tx, limit int) (n int, found []Fault, err error) {
		err = tx.each(func(rows *sql.Rows) error {
			var offset, size, archiveSize int64
			var tree []byte
			var state State
			var isPlain bool
			if err := rows.Scan(&lastArchive, &lastMember, &offset, &size, &tree, &state, &archiveSize, &isPlain); err != nil {
				return err
			}
			n++
			if len(tree) == treehash.Size {
				k.located.add(hash64(treehash.Hash(tree)), lastArchive, lastMember)
			}
			what := ""
			switch {
			case state == NoArchive:
				what = "its archive is not there"
			case offset < 0 || size < 0 || tree != nil && len(tree) != treehash.Size:
				what = fmt.Sprintf("%d bytes at %d, with a hash of %d bytes, can't be", size, offset, len(tree))
			case isPlain && state >= Stored && state != Dropped && offset > archiveSize-size:
				what = fmt.Sprintf("its %d bytes at %d reach beyond the end of the archive, which has %d", size, offset, archiveSize)
			default:
				return nil
			}
			found = append(found, Fault{LocationRule, fmt.Sprintf("archive %d, member %d", lastArchive, lastMember), what})
			return nil
		}, `SELECT l.archive, l.member, l.offset, l.size, l.tree, coalesce(a.state, 0), coalesce(a.size, 0),
			NOT EXISTS (SELECT 1 FROM seal WHERE archive = l.archive) AND NOT EXISTS (SELECT 1 FROM description WHERE archive = l.archive AND packed != '')
			FROM location l LEFT JOIN archive a ON a.id = l.archive WHERE (l.archive, l.member) > (?, ?) ORDER BY l.archive, l.member LIMIT ?`,
			lastArchive, lastMember, limit)
		k.done.Locations += int64(n)
		return n, found, err
	})
}

// dirs looks at each directory. They come in the order of a walk, so that the
// one above was met just before.
func (k *checker) dirs() error {
	lastTree, lastKey := int64(math.MinInt64), []byte{}
	return k.pages(func(tx tx, limit int) (n int, found []Fault, err error) {
		var rowsOfPage []checkedDir
		err = tx.each(func(rows *sql.Rows) error {
			var d checkedDir
			err := rows.Scan(&d.tree, &d.key, &d.hasTree)
			rowsOfPage = append(rowsOfPage, d)
			return err
		}, `SELECT d.tree, d.key, t.id IS NOT NULL FROM dir d LEFT JOIN tree t ON t.id = d.tree WHERE (d.tree, d.key) > (?, ?) ORDER BY d.tree, d.key LIMIT ?`,
			lastTree, lastKey, limit)
		if err != nil {
			return 0, nil, err
		}
		good := checkedDir{} // whose children need not be looked up
		for _, d := range rowsOfPage {
			what, err := d.fault(tx, &good)
			if err != nil {
				return 0, nil, err
			}
			if what != "" {
				found = append(found, Fault{DirRule, k.where(d.tree, d.key, nil), what})
			}
			lastTree, lastKey = d.tree, append([]byte{}, d.key...)
		}
		k.done.Dirs += int64(len(rowsOfPage))
		return len(rowsOfPage), found, nil
	})
}

// A checkedDir is a row of dir.
type checkedDir struct {
	tree    int64
	key     []byte
	hasTree bool
}

// fault says what is wrong with a directory, if anything. good is one that is
// known to be there.
func (d *checkedDir) fault(tx tx, good *checkedDir) (string, error) {
	if !d.hasTree {
		return "its tree is not there", nil
	}
	if len(d.key) == 0 {
		return "", nil
	}
	above := checkedDir{d.tree, d.key[:max(0, bytes.LastIndexByte(d.key, 0))], true}
	if good.hasTree && good.tree == above.tree && bytes.Equal(good.key, above.key) {
		return "", nil
	}
	id, err := dirRow(tx, above.tree, pathOf(above.key))
	if err != nil {
		return "", err
	}
	if id == 0 {
		return "the directory above it is not there", nil
	}
	*good = above
	return "", nil
}

// where names an entry by its path.
func (k *checker) where(tree int64, key, name []byte) string {
	t, known := k.trees[tree]
	if !known {
		t.name = fmt.Sprint(tree)
	}
	return fmt.Sprintf("tree %s: /%s", t.name, joinPath(pathOf(key), name))
}

// files looks at each current entry.
func (k *checker) files() error {
	const query = `SELECT f.dir, f.name, f.since, 0, 0, EXISTS (SELECT 1 FROM run WHERE id = f.since), 1, ` + checkColumns + " FROM file" + checkJoins +
		" WHERE (f.dir, f.name) > (?, ?) ORDER BY f.dir, f.name LIMIT ?"
	last := checkedEntry{dir: math.MinInt64, name: []byte{}}
	return k.entries(&last, &k.done.Files, func(tx tx, each func(*sql.Rows) error, limit int) error {
		return tx.each(each, query, last.dir, last.name, limit)
	})
}

// versions looks at each old version.
func (k *checker) versions() error {
	const query = `SELECT f.dir, f.name, f.since, f.until,
		coalesce((SELECT min(since) FROM version n WHERE n.dir = f.dir AND n.name = f.name AND n.since > f.since),
			(SELECT since FROM file n WHERE n.dir = f.dir AND n.name = f.name), 9223372036854775807),
		EXISTS (SELECT 1 FROM run WHERE id = f.since), EXISTS (SELECT 1 FROM run WHERE id = f.until), ` + checkColumns + " FROM version" + checkJoins +
		" WHERE (f.dir, f.name, f.since) > (?, ?, ?) ORDER BY f.dir, f.name, f.since LIMIT ?"
	last := checkedEntry{dir: math.MinInt64, name: []byte{}, since: math.MinInt64}
	return k.entries(&last, &k.done.Versions, func(tx tx, each func(*sql.Rows) error, limit int) error {
		return tx.each(each, query, last.dir, last.name, last.since, limit)
	})
}

// entries reads entries from where last is, which it moves, and counts them.
func (k *checker) entries(last *checkedEntry, count *int64, query func(tx tx, each func(*sql.Rows) error, limit int) error) error {
	return k.pages(func(tx tx, limit int) (n int, found []Fault, err error) {
		err = query(tx, func(rows *sql.Rows) error {
			var e checkedEntry
			if err := e.scan(rows); err != nil {
				return err
			}
			n++
			*last = e
			if e.until == 0 && e.archive != 0 && e.state != Stored {
				k.done.Unstored++
			}
			for _, f := range e.faults(k.trees[e.tree.Int64].store) {
				f.Where = k.where(e.tree.Int64, e.key, e.name)
				if !e.tree.Valid {
					f.Where = fmt.Sprintf("directory %d, %q", e.dir, e.name)
				}
				found = append(found, f)
			}
			return nil
		}, limit)
		*count += int64(n)
		return n, found, err
	})
}
