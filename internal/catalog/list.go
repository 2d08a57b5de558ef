package catalog

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/firn-archive/firn"
)

// A ListQuery says which entries to list.
type ListQuery struct {
	Tree int64
	// Path is an entry, or a directory with all below it; "" is the tree.
	Path string
	// At lists what was current after this run; 0 is now.
	At int64
	// All lists all versions, oldest first, removed ones too. At is ignored.
	All bool
	// Shallow leaves out what is in the directories within the directory. One
	// that was never recorded itself, but holds something, is listed with
	// its path alone, and Run 0.
	Shallow bool
}

// An Entry is one file version and where its content is.
type Entry struct {
	firn.FileVersion // without ctime, inode and links
	Tree             int64
	// Until is the run that replaced or removed the version; 0 while current.
	Until int64
	// Removed: Until removed the path, rather than replaced its version.
	Removed bool
	// Location holds the content; its State is NoArchive where there is none.
	Location Location
	// LinkGroup is shared by the hard links of one file; 0 where it has no other.
	LinkGroup int64
}

// counts reports whether the version ever was in the store: what is still on
// its way, or never came there, is none.
func (e *Entry) counts() bool {
	s := e.Location.State
	return s == NoArchive || s >= Stored && s != Dropped
}

// Files lists entries in walk order: directories by their path with / as byte
// 0, each followed by its files by the bytes of their names. Unless All is
// set, versions whose content never came to be stored don't count: the one
// before is listed. It holds no lock while the consumer works, and ends with
// the first error. A path that nothing is at gives nothing.
func (c *Catalog) Files(ctx context.Context, q ListQuery) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		l := lister{cat: c, ctx: ctx, q: q, yield: yield}
		if err := l.list(); err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, err)
		}
	}
}

// History lists all versions of one path, oldest first; where it changed its
// kind, those as a file come first.
func (c *Catalog) History(ctx context.Context, tree int64, path string) (all []Entry, err error) {
	f := folder{all: true, emit: func(e Entry) error { all = append(all, e); return nil }}
	err = c.read(ctx, "list history", path, func(tx tx) error {
		if path != "" {
			dir, name := split(path)
			if err := f.addPath(tx, tree, dir, name); err != nil {
				return err
			}
		}
		return f.addPath(tx, tree, path, "")
	})
	return all, errors.Join(err, f.flush())
}

// errStop says that the consumer wants no more.
var errStop = errors.New("stop")

// A lister carries out one query.
type lister struct {
	cat   *Catalog
	ctx   context.Context
	q     ListQuery
	yield func(Entry, error) bool
}

func (l *lister) emit(e Entry) error {
	if !l.yield(e, nil) {
		return errStop
	}
	return nil
}

func (l *lister) folder() folder {
	return folder{all: l.q.All, at: l.q.At, emit: l.emit}
}

// past reports whether old versions are wanted, and not only looked up where
// the current one doesn't count.
func (l *lister) past() bool { return l.q.All || l.q.At != 0 }

func (l *lister) read(fn func(tx) error) error {
	return l.cat.read(l.ctx, "list", l.q.Path, fn)
}

func (l *lister) list() error {
	if l.q.Path != "" {
		dir, name := split(l.q.Path)
		if err := l.path(dir, name); err != nil {
			return err
		}
	}
	cur := cursor{tree: l.q.Tree, page: l.cat.sizes.page}
	if err := l.read(func(tx tx) error { return cur.begin(tx, l.q.Path) }); err != nil {
		return err
	}
	if !l.q.Shallow {
		return l.walk(&cur)
	}
	if cur.last.dir == 0 {
		return nil
	}
	key := cur.last.key
	cur.end = append(slices.Clone(key), 0) // before all below it
	if err := l.walk(&cur); err != nil {
		return err
	}
	return l.children(key)
}

// path lists one entry.
func (l *lister) path(dir, name string) (err error) {
	var found []Entry
	err = l.read(func(tx tx) error {
		found, err = l.entries(tx, dir, name)
		return err
	})
	if err != nil {
		return err
	}
	return l.emitAll(found)
}

func (l *lister) emitAll(found []Entry) error {
	for _, e := range found {
		if err := l.emit(e); err != nil {
			return err
		}
	}
	return nil
}

// entries gives what is wanted of one entry.
func (l *lister) entries(tx tx, dir, name string) (found []Entry, err error) {
	f := l.folder()
	f.emit = func(e Entry) error { found = append(found, e); return nil }
	if l.past() {
		err = f.addPath(tx, l.q.Tree, dir, name)
	} else {
		err = f.addCurrent(tx, l.q.Tree, dir, name)
	}
	if err != nil {
		return nil, err
	}
	return found, f.flush()
}

// walk lists what a cursor gives.
func (l *lister) walk(cur *cursor) error {
	f := l.folder()
	for more := true; more; {
		var page []entryRow
		err := l.read(func(tx tx) (err error) {
			page, more, err = l.page(tx, cur)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			if err := f.add(&page[i]); err != nil {
				return err
			}
		}
	}
	return f.flush()
}
