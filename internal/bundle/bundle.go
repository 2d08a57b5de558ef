// Package bundle writes and reads bundles: archives that are plain tars of many
// small files, or of one file of any size, with an index of all members behind
// the end of the tar. Any tar program restores one; whoever has only the last
// bytes of it knows every member, and where its content lies.
//
// A Writer makes a bundle of many members in a spool file. A Layout is the
// bundle of one member without a spool: it is computed from a file that was
// hashed before. The same member gives the same bytes either way.
//
// docs/format.md, "Bundles", has the format byte by byte.
package bundle

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// The limits of a bundle. Readers refuse what is beyond them, so that a
// damaged or hostile index costs little.
const (
	// Version is that of the format that is written here.
	Version = 1
	// MaxMembers keeps what a writer and a reader remember of a bundle at a
	// few MiB.
	MaxMembers = 10_000
	// MaxIndex is the size of the largest index, in bytes, decompressed.
	MaxIndex = 32 << 20
	// MaxName is the longest path, and the longest target of a link, in bytes.
	// Linux takes 4,096 at a time, and trees may be deeper than that.
	MaxName = 16 << 10
)

// ErrFull says that a bundle takes no more members: it has MaxMembers, or its
// index would become too large. Seal it and begin another.
var ErrFull = errors.New("the bundle is full")

// A Member is an entry of a bundle.
type Member struct {
	// File is the entry's metadata; of the stamp, size and time of
	// modification only, and Links is 1, where the member was read.
	File firn.File
	// Content is that of a regular file, with the hash of nothing where it is
	// empty; zero else.
	Content firn.Content
	// Offset is that of the content's first byte in the bundle, a multiple of
	// 512; 0 where there is no content. Members with the same content may
	// share it.
	Offset int64
	// LinkGroup is one number, not 0, for all names of one file (hard links).
	// The tar knows nothing of it.
	LinkGroup int64
}

// Info is what the index says of the whole bundle.
type Info struct {
	Tree string    // name of the tree that the members belong to
	Host string    // that the tree is on
	Made time.Time // when the bundle was begun
	// Catalog is the one that the tree is in: it tells apart trees of one name.
	// Zero where it is not said.
	Catalog firn.Token
}

// hasContent says whether m has bytes in the tar.
func (m *Member) hasContent() bool { return m.Content.Size > 0 }

// emptyContent is that of a regular file without bytes.
func emptyContent() firn.Content { return firn.Content{Tree: treehash.Combine(nil)} }

// check says what of the info an index can't hold.
func (i Info) check() error {
	if n := max(len(i.Tree), len(i.Host)); n > MaxName {
		return fmt.Errorf("a tree's or host's name of %d bytes; bundles hold up to %d", n, MaxName)
	}
	return nil
}

// checkFile says what of f a bundle can't hold, and a reader won't believe.
func checkFile(f *firn.File) error {
	switch f.Kind {
	case firn.Regular:
		if f.Stamp.Size < 0 {
			return fmt.Errorf("a size of %d bytes", f.Stamp.Size)
		}
	case firn.Directory:
	case firn.Symlink:
		if err := checkName("target", f.Target); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a kind of file that bundles don't hold: %q", f.Kind)
	}
	if f.Path == "" && f.Kind == firn.Directory {
		return nil // the root of the tree
	}
	if err := checkName("path", f.Path); err != nil {
		return err
	}
	for part := range strings.SplitSeq(f.Path, "/") {
		if part == "" || part == "." || part == ".." {
			return errors.New("a path that isn't plainly below the root of its tree")
		}
	}
	return nil
}

func checkName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("an empty %s", what)
	case len(s) > MaxName:
		return fmt.Errorf("a %s of %d bytes; bundles hold up to %d", what, len(s), MaxName)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("a %s with a zero byte", what)
	}
	return nil
}
