package scan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A Root opens the files of a tree that was scanned. It never leaves the tree,
// whatever has happened to it since.
type Root struct{ root *os.Root }

// OpenRoot opens the tree below dir. Errors have the kind Local.
func OpenRoot(dir string) (*Root, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, problem("open", dir, err)
	}
	return &Root{r}, nil
}

// Close gives up the tree; files that are open stay so.
func (r *Root) Close() error { return r.root.Close() }

// Open opens a regular file for reading. Errors have the kind Local, also where
// something else than a regular file has taken the path meanwhile, such as a
// link to one.
func (r *Root) Open(path string) (*File, error) {
	if marksPlaceholders {
		if info, err := r.root.Lstat(path); err == nil && isPlaceholder(info) {
			return nil, errElsewhere(path) // since the scan
		}
	}
	f, err := r.root.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err == nil {
		if err = r.isItself(f, path); err == nil {
			return &File{f}, nil
		}
		f.Close()
	}
	return nil, openError(path, err)
}

// openError tells why a file that was seen can't be opened.
func openError(path string, err error) error {
	if gone(err) {
		return &firn.Error{Op: "open", Subject: path, Kind: firn.Local, Err: cause(err),
			Hint: "it was there when its folder was read; the next run sees what became of it"}
	}
	return problem("open", path, err)
}

// An Opener opens files one after the other, and faster where they are in one
// folder: it keeps the one of the last file open. It is not safe for concurrent
// use.
type Opener struct {
	root   *Root
	folder *Root // nil: none yet
	path   string
}

// Opener gives an opener of the tree's files.
func (r *Root) Opener() *Opener { return &Opener{root: r} }

// Open is as that of Root.
func (o *Opener) Open(p string) (*File, error) {
	dir, name := path.Split(p)
	dir = path.Clean(dir)
	if o.folder == nil || o.path != dir {
		if err := o.Close(); err != nil {
			return nil, err
		}
		folder, err := o.root.root.OpenRoot(dir)
		if err != nil {
			return nil, openError(p, err)
		}
		o.folder, o.path = &Root{folder}, dir
	}
	f, err := o.folder.Open(name)
	var e *firn.Error
	if errors.As(err, &e) {
		e.Subject = p
	}
	return f, err
}

// Close gives up the folder; files that are open stay so.
func (o *Opener) Close() error {
	if o.folder == nil {
		return nil
	}
	folder := o.folder
	o.folder = nil
	return folder.Close()
}

// isItself checks that what was opened is the regular file at path.
func (r *Root) isItself(f *os.File, path string) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := r.root.Lstat(path)
	if err != nil {
		return err
	}
	if !named.Mode().IsRegular() || !os.SameFile(opened, named) {
		return errors.New("it is not a regular file any more")
	}
	return nil
}

// Gone reports whether there surely is no file at path any more: neither is it
// there, nor could it be on a volume that isn't mounted, since the folder that
// would hold it, or the part of its path that exists, holds something else.
func (r *Root) Gone(p string) bool {
	if _, err := r.root.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	for p != "." {
		p = path.Dir(p)
		dir, err := r.root.Open(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false
		}
		names, _ := dir.Readdirnames(1)
		dir.Close()
		return len(names) > 0
	}
	return false
}

// A File is an open file of a tree.
type File struct{ *os.File }

// Stamp describes the open file as a scan would.
func (f *File) Stamp() (firn.Stamp, error) {
	info, err := f.Info()
	return info.Stamp, err
}

// Hash reads r to its end and gives the content it had.
func Hash(ctx context.Context, r io.Reader) (firn.Content, error) {
	h := treehash.New()
	buf := make([]byte, 256<<10)
	for {
		if ctx.Err() != nil {
			return firn.Content{}, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return firn.Content{Size: h.Written(), Tree: h.Sum()}, nil
		}
		if err != nil {
			return firn.Content{}, &firn.Error{Op: "read", Kind: firn.Local, Err: err}
		}
	}
}
