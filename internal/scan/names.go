package scan

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// names is a list of names, with about 10 bytes a name beside its own: a
// directory may have millions of them, and sorting needs them all.
type names struct {
	chunks [][]byte // each name after two bytes of length; chunks never move
	at     []int    // where each name begins: chunk<<chunkBits | offset
}

// A chunk begins small, since most directories are; the next ones double up to
// 1<<chunkBits bytes.
const (
	firstChunk = 1024
	chunkBits  = 18
)

// maxName is the longest name that a list takes, in bytes; longer ones are cut.
// The longest of any file system in use are below 4,100.
const maxName = 1<<16 - 1

func (l *names) add(name string) {
	name = name[:min(len(name), maxName)]
	last := len(l.chunks) - 1
	if need := 2 + len(name); last < 0 || cap(l.chunks[last])-len(l.chunks[last]) < need {
		size := firstChunk
		if last >= 0 {
			size = min(2*cap(l.chunks[last]), 1<<chunkBits)
		}
		l.chunks = append(l.chunks, make([]byte, 0, max(size, need)))
		last++
	}
	c := l.chunks[last]
	l.at = append(l.at, last<<chunkBits|len(c))
	c = binary.LittleEndian.AppendUint16(c, uint16(len(name)))
	l.chunks[last] = append(c, name...)
}

func (l *names) len() int { return len(l.at) }

// get gives the i-th name; it must not be changed.
func (l *names) get(i int) []byte { return l.from(l.at[i]) }

func (l *names) from(at int) []byte {
	c := l.chunks[at>>chunkBits][at&(1<<chunkBits-1):]
	n := int(binary.LittleEndian.Uint16(c))
	return c[2 : 2+n]
}

// sort orders the names by their bytes.
func (l *names) sort() {
	slices.SortFunc(l.at, func(a, b int) int { return bytes.Compare(l.from(a), l.from(b)) })
}
