package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"github.com/firn-archive/firn"
)

// A Dir is one directory of a tree as last synced, or a piece of a large one.
type Dir struct {
	Path string // "" is the root
	// Self is the directory's own entry; nil where it was never recorded, and
	// in all pieces but the first.
	Self *CurrentFile
	// Files are its entries that are not directories, by the bytes of their
	// names.
	Files []CurrentFile
	// More: the next Dir continues this one.
	More bool
}

// A CurrentFile is an entry as it was last seen.
type CurrentFile struct {
	firn.File // Path is from the root; Stamp.Device 0
	Content   firn.Content
	Read      time.Time // when it was last read or looked at, by the local clock; zero: not known
	Mount     bool      // it was a directory on another volume than its parent's
	State     State     // of the archive that holds its content
	Run       int64     // that made this version
	LinkGroup int64     // shared by the hard links of one file; 0 where it has no other
}

// IsStored reports whether nothing needs to be sent for the file: the store
// holds its content, or it has none.
func (f *CurrentFile) IsStored() bool { return f.State == Stored || f.State == NoArchive }

// Current reads a tree in walk order: directories by their path with / as byte
// 0, each with its files by the bytes of their names. It sees each directory
// as of the moment it is read, holds no lock while the consumer works, and
// ends with the first error. What it gives is the consumer's to keep. Large
// directories come in pieces, and at times small ones.
func (c *Catalog) Current(ctx context.Context, tree int64) iter.Seq2[*Dir, error] {
	return func(yield func(*Dir, error) bool) {
		cur := cursor{tree: tree, page: c.sizes.page}
		err := c.read(ctx, "read tree", fmt.Sprint(tree), func(tx tx) error { return cur.begin(tx, "") })
		for full := true; full && err == nil; {
			var page currentPage
			err = c.read(ctx, "read tree", fmt.Sprint(tree), func(tx tx) (err error) {
				full, err = page.read(tx, &cur)
				return err
			})
			for i := 0; i < len(page.dirs) && err == nil; i++ {
				if !yield(&page.dirs[i], nil) {
					return
				}
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// currentSource reads what a planner needs, and no more: each column costs a
// tenth of the row.
func currentSource() source {
	const columns = "SELECT d.id, d.key, f.name, f.since, f.mode, f.size, f.mtime, f.mtime_ns, f.uid, f.gid, f.target, coalesce(f.link_group, 0), f.seen, l.tree, coalesce(a.state, 0)"
	return source{
		inside: columns + fromFile + located + inside,
		after:  columns + fromFile + located + after,
		before: columns + fromFile + located + before,
	}
}

// A currentPage is one page of Current.
type currentPage struct {
	dirs  []Dir
	files []CurrentFile // of all dirs; each has a part of it
	start int           // of the last one's
	last  position
	row   currentRow
}

// A currentRow takes the columns of one row. It is used again for each: where
// a million rows are read, a handful of allocations for each is what takes the
// time. database/sql copies int64 and RawBytes, and formats and parses the rest.
type currentRow struct {
	dir, since, mode, size, mtime, mtimeNs, uid, gid, group, state int64
	key, name, target, seen, tree                                  sql.RawBytes
	dest                                                           []any
}

func (r *currentRow) scan(rows *sql.Rows) error {
	if r.dest == nil {
		r.dest = []any{&r.dir, &r.key, &r.name, &r.since, &r.mode, &r.size, &r.mtime, &r.mtimeNs, &r.uid, &r.gid, &r.target, &r.group, &r.seen, &r.tree, &r.state}
	}
	return rows.Scan(r.dest...)
}

// fill makes a file of the row, which is in the directory dir.
func (r *currentRow) fill(f *CurrentFile, dir string) {
	f.Path = joinPath(dir, r.name)
	f.Kind, f.Mode = fromMode(r.mode)
	f.Stamp.Size, f.Stamp.ModTime = r.size, at(r.mtime, r.mtimeNs)
	f.UID, f.GID, f.Target = int(r.uid), int(r.gid), string(r.target)
	f.Read, f.Mount = unpackSeen(r.seen, &f.File)
	f.State, f.Run, f.LinkGroup = State(r.state), r.since, r.group
	if f.Kind == firn.Regular {
		f.Content = contentOf(r.size, r.tree)
	}
}

// read reads a page and moves the cursor behind it. It reports whether the
// page is full, so that there may be another one.
func (p *currentPage) read(tx tx, cur *cursor) (full bool, err error) {
	p.files = make([]CurrentFile, 0, cur.page)
	p.last = position{key: []byte{}, name: []byte{}} // not nil, which would be NULL
	n, err := cur.read(tx, currentSource(), p.add)
	if err != nil || n == 0 {
		return false, err
	}
	cur.last = p.last
	d := &p.dirs[len(p.dirs)-1]
	d.Files = p.files[p.start:]
	if n < cur.page {
		return false, nil
	}
	err = tx.row("SELECT EXISTS (SELECT 1 FROM file WHERE dir = ? AND name > ?)", p.last.dir, p.last.name).Scan(&d.More)
	return true, err
}

// add takes in one row.
func (p *currentPage) add(rows *sql.Rows) error {
	r := &p.row
	if err := r.scan(rows); err != nil {
		return err
	}
	if r.dir != p.last.dir {
		p.begin(r.dir, r.key)
	}
	p.last.name, p.last.since = append(p.last.name[:0], r.name...), r.since
	d := &p.dirs[len(p.dirs)-1]
	if len(r.name) == 0 {
		d.Self = new(CurrentFile)
		r.fill(d.Self, d.Path)
		return nil
	}
	p.files = append(p.files, CurrentFile{})
	r.fill(&p.files[len(p.files)-1], d.Path)
	return nil
}

// begin begins another directory.
func (p *currentPage) begin(dir int64, key []byte) {
	if n := len(p.dirs); n > 0 {
		p.dirs[n-1].Files = p.files[p.start:len(p.files):len(p.files)]
	}
	p.start = len(p.files)
	p.dirs = append(p.dirs, Dir{Path: pathOf(key)})
	p.last.dir, p.last.key = dir, append(p.last.key[:0], key...)
}
