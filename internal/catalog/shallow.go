package catalog

import (
	"errors"
	"slices"

	"github.com/firn-archive/firn"
)

// children lists the directories right below one, whatever lies in them.
func (l *lister) children(parent []byte) error {
	const atOnce = 500
	from := append(slices.Clone(parent), 0) // no key of a child is less, nor any of the root's
	for more := true; more; {
		var found []Entry
		err := l.read(func(tx tx) error {
			for range atOnce {
				key, err := nextChild(tx, l.q.Tree, parent, from)
				if err != nil || key == nil {
					more = false
					return err
				}
				entries, err := l.child(tx, key)
				if err != nil {
					return err
				}
				found = append(found, entries...)
				_, from = below(key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := l.emitAll(found); err != nil {
			return err
		}
	}
	return nil
}

// nextChild gives the key of the first directory below parent from a key on;
// nil where there is none. Given the end of what is below one child it finds
// the next, without looking at what lies between.
func nextChild(tx tx, tree int64, parent, from []byte) (child []byte, err error) {
	if len(parent) == 0 {
		err = tx.row("SELECT key FROM dir WHERE tree = ? AND key >= ? ORDER BY key LIMIT 1", tree, from).Scan(&child)
	} else {
		_, end := below(parent)
		err = tx.row("SELECT key FROM dir WHERE tree = ? AND key >= ? AND key < ? ORDER BY key LIMIT 1", tree, from, end).Scan(&child)
	}
	return child, ignoreNoRows(err)
}

// child gives what is wanted of a directory. Where it was never recorded
// itself, but something below it is wanted, that makes up for it.
func (l *lister) child(tx tx, key []byte) ([]Entry, error) {
	path := pathOf(key)
	found, err := l.entries(tx, path, "")
	if err != nil || len(found) > 0 {
		return found, err
	}
	holds, err := l.holds(tx, path)
	if err != nil || !holds {
		return nil, err
	}
	e := Entry{Tree: l.q.Tree}
	e.Path, e.Kind = path, firn.Directory
	return []Entry{e}, nil
}

// holds reports whether something below a directory is wanted.
func (l *lister) holds(tx tx, path string) (bool, error) {
	f := l.folder()
	f.emit = func(Entry) error { return errStop }
	cur := cursor{tree: l.q.Tree, page: 16}
	if err := cur.begin(tx, path); err != nil {
		return false, err
	}
	for more := true; more; {
		page, full, err := l.page(tx, &cur)
		for i := 0; i < len(page) && err == nil; i++ {
			err = f.add(&page[i])
		}
		if err == nil && !full {
			err = f.flush()
		}
		if errors.Is(err, errStop) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		more = full
	}
	return false, nil
}
