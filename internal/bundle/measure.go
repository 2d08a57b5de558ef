package bundle

import "github.com/firn-archive/firn"

// An Extent is what one entry adds to a bundle.
type Extent struct {
	tar  int64 // bytes: headers, content and padding
	line int   // the most that its line of the index takes
	name int   // bytes of its names
}

// ExtentOf gives the extent of a file with content of its own, or of what has
// none.
func ExtentOf(f *firn.File) Extent {
	size := int64(0)
	if f.Kind == firn.Regular {
		size = f.Stamp.Size
	}
	var room [2 * blockSize]byte // enough for most
	headers := int64(len(appendHeaders(room[:0], f, size)))
	return Extent{tar: headers + size + padding(size), line: lineBound(f), name: len(f.Path) + len(f.Target)}
}

// A Measure tells how large a bundle gets, by the rules of a Writer and without
// anything being read or written.
type Measure struct {
	members, names int
	size           int64
	index          int
}

// NewMeasure begins a bundle.
func NewMeasure(info Info) *Measure {
	return &Measure{index: textLen(info.Tree) + textLen(info.Host) + lineRoom}
}

// Add adds an entry. It reports whether there was room for it: where there
// wasn't, a Writer gives ErrFull.
func (m *Measure) Add(e Extent) bool {
	if m.members == MaxMembers || m.index+e.line > MaxIndex {
		return false
	}
	m.members++
	m.names += e.name
	m.size += e.tar
	m.index += e.line
	return true
}

// Len is the number of members.
func (m *Measure) Len() int { return m.members }

// Size is Writer.Size: the number of bytes of the tar so far.
func (m *Measure) Size() int64 { return m.size }

// What an index takes, compressed, in bytes: a hash of 32 that stands there in
// hex, size, time and offset, and what is left of names that resemble each
// other. Measured.
const (
	lineMeasured  = 48
	nameMeasured  = 8 // so many bytes of a name become one
	indexMeasured = 256
)

// Sealed is the size of the bundle with its index, which is guessed, and its
// footer.
func (m *Measure) Sealed() int64 {
	index := int64(indexMeasured + m.members*lineMeasured + m.names/nameMeasured)
	return m.size + zeroes + index + padding(index) + FooterSize
}
