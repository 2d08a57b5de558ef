package mtjournal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/firn-archive/firn/treehash"
)

// chunkSize is how much memory an arena takes at a time, in bytes. A packed
// record, which is hardly longer than its line, fits easily.
const chunkSize = 4 * MaxLine

// An arena holds packed records. It only grows.
type arena struct{ chunks [][]byte }

// A position is where a record lies: the chunk in the upper 32 bits, the offset
// in the lower ones.
type position uint64

// A packed record is its version; a byte of these bits; archive, path, tree and
// job, each behind its length, where a tree hash has 32 bytes and no length;
// line, time, size and mtime.
const (
	bitsOp   = 3      // which of ops
	bitMTime = 1 << 2 // it has an mtime
	bitHash  = 1 << 3 // the tree is a hash, as the service writes it
)

// ops gives the operations their numbers.
var ops = [...]Op{Created, Deleted, RetrieveJob}

// add packs a record.
func (a *arena) add(r *raw) position {
	need := 2 + len(r.archive) + len(r.path) + len(r.tree) + len(r.job) + 8*binary.MaxVarintLen64
	last := len(a.chunks) - 1
	if last < 0 || cap(a.chunks[last])-len(a.chunks[last]) < need {
		a.chunks = append(a.chunks, make([]byte, 0, max(chunkSize, need)))
		last++
	}
	at := position(last)<<32 | position(len(a.chunks[last]))
	a.chunks[last] = pack(a.chunks[last], r)
	return at
}

func pack(b []byte, r *raw) []byte {
	flags := byte(slices.Index(ops[:], r.op))
	if r.hasMTime {
		flags |= bitMTime
	}
	var hash treehash.Hash
	if isHash(r.tree) {
		flags |= bitHash
		hex.Decode(hash[:], r.tree)
	}
	b = append(b, r.version, flags)
	b = packBytes(b, r.archive)
	b = packBytes(b, r.path)
	if flags&bitHash != 0 {
		b = append(b, hash[:]...)
	} else {
		b = packBytes(b, r.tree)
	}
	b = packBytes(b, r.job)
	for _, n := range [...]int64{r.line, r.time, r.size, r.mtime} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// isHash reports whether a text is what treehash.Hash.String gives.
func isHash(text []byte) bool {
	return len(text) == 2*treehash.Size &&
		!bytes.ContainsFunc(text, func(c rune) bool { return (c < '0' || '9' < c) && (c < 'a' || 'f' < c) })
}

// op gives the operation of a record.
func (a *arena) op(at position) Op { return ops[a.from(at)[1]&bitsOp] }

// keys gives the archive and the path of a record. They are not to be changed.
func (a *arena) keys(at position) (archive, path []byte) {
	archive, rest := unpackBytes(a.from(at)[2:])
	path, _ = unpackBytes(rest)
	return archive, path
}

// record unpacks.
func (a *arena) record(at position) Record {
	b := a.from(at)
	r := Record{Version: b[0], Op: ops[b[1]&bitsOp], HasMTime: b[1]&bitMTime != 0}
	isHash := b[1]&bitHash != 0
	b = b[2:]
	r.Archive, b = unpackString(b)
	r.Path, b = unpackString(b)
	if isHash {
		r.Tree = hex.EncodeToString(b[:treehash.Size])
		b = b[treehash.Size:]
	} else {
		r.Tree, b = unpackString(b)
	}
	r.Job, b = unpackString(b)
	for _, n := range [...]*int64{&r.Line, &r.Time, &r.Size, &r.MTime} {
		v, size := binary.Varint(b)
		*n, b = v, b[size:]
	}
	return r
}

func (a *arena) from(at position) []byte { return a.chunks[at>>32][uint32(at):] }

func packBytes(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

func unpackBytes(b []byte) (field, rest []byte) {
	n, size := binary.Uvarint(b)
	b = b[size:]
	return b[:n], b[n:]
}

func unpackString(b []byte) (string, []byte) {
	field, rest := unpackBytes(b)
	return string(field), rest
}
