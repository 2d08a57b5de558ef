package catalog

import (
	"encoding/binary"
	"time"

	"github.com/firn-archive/firn"
)

// Column seen holds what only this machine can use of a file, in one column
// since reading each of several would cost a tenth of the row: as varints
// (encoding/binary) ctime's seconds and nanoseconds, inode, hard links, the
// seconds and nanoseconds of the time of reading, and 1 for a mount point.

// packSeen makes the column.
func packSeen(f *firn.File, read time.Time, mount bool) []byte {
	b := make([]byte, 0, 40)
	b = appendTime(b, f.Stamp.Changed)
	b = binary.AppendUvarint(b, f.Stamp.Inode)
	b = binary.AppendVarint(b, int64(f.Links))
	b = appendTime(b, read)
	if mount {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendTime(b []byte, t time.Time) []byte {
	sec, nsec := instant(t)
	return binary.AppendUvarint(binary.AppendVarint(b, sec), uint64(nsec))
}

// unpackSeen reads the column into f. Of an empty or damaged column it makes
// zero values: then the file looks touched, and is read again.
func unpackSeen(b []byte, f *firn.File) (read time.Time, mount bool) {
	r := varints{b: b}
	changed := r.time()
	inode, links := r.unsigned(), r.signed()
	read = r.time()
	mount = r.unsigned() == 1
	if r.bad {
		return time.Time{}, false
	}
	f.Stamp.Changed, f.Stamp.Inode, f.Links = changed, inode, int(links)
	return read, mount
}

// varints reads one number after the other; bad is set at the first that
// isn't there.
type varints struct {
	b   []byte
	bad bool
}

func (r *varints) unsigned() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *varints) signed() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *varints) time() time.Time {
	sec := r.signed()
	return at(sec, int64(r.unsigned()))
}

func (r *varints) skip(n int) {
	if n <= 0 {
		r.bad, n = true, 0
	}
	r.b = r.b[n:]
}
