package firn

import (
	"io/fs"
	"time"

	"github.com/firn-archive/firn/treehash"
)

// FileKind says what a directory entry is.
type FileKind string

// The kinds of file that firn keeps.
const (
	Regular   FileKind = "file"
	Directory FileKind = "dir"
	Symlink   FileKind = "link"
)

// A Stamp is what the file system says of a file without reading it. Two equal
// stamps, taken at two times, mean that nothing touched the file between them,
// as far as the file system can tell.
type Stamp struct {
	Size    int64
	ModTime time.Time // nanoseconds, as far as the file system has them
	Changed time.Time // ctime; zero where there is none (Windows)
	Inode   uint64    // 0 where there is none
	Device  uint64    // volume; not compared, since it changes between boots
}

// Equal compares all but the device.
func (s Stamp) Equal(o Stamp) bool {
	return s.Size == o.Size && s.ModTime.Equal(o.ModTime) && s.Changed.Equal(o.Changed) && s.Inode == o.Inode
}

// A File is one directory entry: its metadata, without its content.
type File struct {
	// Path is relative to the tree's root, with slashes, and otherwise the
	// bytes that the file system has, UTF-8 or not. The root itself is "".
	Path   string
	Kind   FileKind
	Stamp  Stamp
	Mode   fs.FileMode // permissions, setuid, setgid, sticky; no type bits
	UID    int         // -1 where there is none
	GID    int
	Target string // of symbolic links, as stored
	Links  int    // hard links to the inode; 1 where unknown
}

// Content is what a file holds, by value: two files with one content are
// stored once.
type Content struct {
	Size int64
	Tree treehash.Hash // of the content; the archive may have another
}

// A FileVersion is a file as it was at one sync.
type FileVersion struct {
	File
	Content Content // zero for what is not a regular file
	Run     int64   // the run that recorded it; runs order versions
}
