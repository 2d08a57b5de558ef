// Package scan reads a directory tree in order, and says what it saw and what
// it could not see.
//
// # Order
//
// Directories come in the order of their paths' bytes, where the slash counts
// as byte 0; the files of each are sorted by the bytes of their names. That is
// a walk which takes siblings by the bytes of their names and visits each
// directory before what lies below it. Catalogs keep the same order, so that
// both can be read side by side.
package scan

import (
	"context"
	"iter"
	"strings"

	"github.com/firn-archive/firn"
)

// A Dir is one directory, or a piece of one: a directory of more than a few
// thousand entries comes in several pieces, one after the other, so that it
// never stands in memory as a whole.
type Dir struct {
	File firn.File // the directory itself, in each piece; the root's path is ""
	// Mount: the directory is on another volume than its parent.
	Mount bool
	// Left: the filter leaves the directory itself out, but not all below it.
	Left bool
	// Files are its regular files and symbolic links, sorted by the bytes of
	// their names. Directories come as Dirs of their own.
	Files []firn.File
	// Skipped are the entries that were passed over, sorted by the bytes of
	// their names; directories are among them.
	Skipped []Skip
	// Err says why the directory could not be read, or not to its end: a
	// firn.Error of kind Local. What is missing from Files, and among the
	// directories below, may exist all the same.
	Err error

	First bool // no piece of this directory came before
	More  bool // the next Dir is another piece of this directory
}

// A Skip is a directory entry that was passed over, and why.
type Skip struct {
	Path   string
	Reason string // for people: "a socket"
	Err    error  // a firn.Error of kind Local; nil where nothing failed
	// Unseen: what the entry is was not looked at, or is left out at the
	// user's wish. Nothing may be concluded about it, nor about what lies
	// below it.
	Unseen bool
	// Litter: as Verdict.Litter.
	Litter bool
}

// A Verdict is what a filter says of a file.
type Verdict struct {
	Leave bool // leave it out; of a directory: with all that is below
	// Below: of a directory that is left out: what is below it is judged all
	// the same.
	Below bool
	// Litter: it is left out since it is what any disk may have, also an empty
	// one: that it is there doesn't show that the tree is.
	Litter bool
	Reason string // why, for people
}

// Options say how to scan. The zero value scans everything.
type Options struct {
	// Filter judges each entry that would be kept, the root excepted. It is
	// called concurrently. Nil keeps everything.
	Filter func(*firn.File) Verdict
	// Elsewhere reports that an entry's content is not on this disk, where the
	// system's own marks (see placeholder.go) don't say so. It is called as
	// Filter is, for what that keeps. Nil: there is nothing more to know.
	Elsewhere func(*firn.File) bool
	// OneVolume leaves out directories on other volumes than the root's.
	OneVolume bool
	// Workers is how many directories are read at the same time; 0 means 2,
	// which was the fastest on warm local disks. Network file systems gain
	// from more.
	Workers int
}

// DefaultWorkers is how many directories are read at the same time.
const DefaultWorkers = 2

// Compare orders two paths of directories as Walk does: by their bytes, with
// the slash below all others.
func Compare(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return compareByte(a[i], b[i])
		}
	}
	return len(a) - len(b)
}

func compareByte(a, b byte) int {
	switch {
	case a == '/':
		return -1
	case b == '/':
		return 1
	}
	return int(a) - int(b)
}

// Walk reads the tree below root, a directory or a symbolic link to one. Links
// inside are never followed, and nothing outside is ever read. A few thousand
// entries are read ahead.
//
// Dirs are the consumer's to keep. What can't be read is told in Dirs and
// passed over; what vanishes while it is read was not there. The sequence ends
// early, with an error and no Dir, only where the root can't be opened
// (NotFound, Usage where it is no directory, or Local) or ctx is cancelled (its
// cause).
func Walk(ctx context.Context, root string, opts Options) iter.Seq2[*Dir, error] {
	return func(yield func(*Dir, error) bool) {
		v, err := openVolume(root)
		if err == nil {
			err = walk(ctx, v, opts, defaultLimits, func(d *Dir) bool { return yield(d, nil) })
		}
		if err != nil && ctx.Err() != nil {
			yield(nil, context.Cause(ctx))
		} else if err != nil {
			yield(nil, rootError(root, err))
		}
	}
}

// join makes the path of an entry.
func join(dir string, name []byte) string {
	if dir == "" {
		return string(name)
	}
	return dir + "/" + string(name)
}

// split gives the two parts that join takes.
func split(path string) (dir, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
