// Package treehash computes Amazon Glacier's SHA-256 tree hash, alone or
// together with the plain SHA-256 that the service wants beside it.
//
// The payload is cut into leaves of 1 MiB (the last may be shorter), each is
// hashed with SHA-256, and neighbours are joined as SHA-256(left || right),
// left to right, level by level, until one node is left; an odd last node
// moves up unchanged. A payload of at most 1 MiB has its plain SHA-256 as tree
// hash. Source: Amazon Glacier developer guide, "Computing checksums".
package treehash

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

const (
	// LeafSize is the number of payload bytes below one leaf of the tree.
	LeafSize = 1 << 20
	// Size is the length of a hash in bytes.
	Size = sha256.Size
)

// A Hash is a tree hash, or one node of the tree.
type Hash [Size]byte

// String gives the hash as the service writes it: 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero value, which no payload hashes to in
// practice, and so means "not known".
func (h Hash) IsZero() bool { return h == Hash{} }

// ErrSyntax says that a text is not 64 hexadecimal digits.
var ErrSyntax = errors.New("a tree hash is 64 hexadecimal digits")

// Parse reads the 64 hex digits of a hash, of either case.
func Parse(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*Size {
		return Hash{}, fmt.Errorf("%q: %w", s, ErrSyntax)
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("%q: %w", s, ErrSyntax)
	}
	return h, nil
}

// join is the parent of two neighbouring nodes.
func join(left, right Hash) Hash {
	var both [2 * Size]byte
	copy(both[:Size], left[:])
	copy(both[Size:], right[:])
	return sha256.Sum256(both[:])
}

// A stack holds the roots of the complete subtrees to the left of the next
// leaf, widest first: 26 of them suffice for 40 TiB. The widths follow from
// the bits of the count, so that only the nodes are kept.
type stack struct {
	nodes []Hash
	count uint64 // nodes of the lowest level pushed so far
}

func (s *stack) push(h Hash) {
	s.count++
	for n := s.count; n&1 == 0; n >>= 1 {
		last := len(s.nodes) - 1
		h = join(s.nodes[last], h)
		s.nodes = s.nodes[:last]
	}
	s.nodes = append(s.nodes, h)
}

// fold gives the root; the stack must not be empty, and stays as it is.
func (s *stack) fold() Hash {
	last := len(s.nodes) - 1
	root := s.nodes[last]
	for i := last - 1; i >= 0; i-- {
		root = join(s.nodes[i], root)
	}
	return root
}

// Combine gives the tree hash of a payload from the tree hashes of its parts,
// in order. All parts but the last must have one size, 1 MiB times a power of
// two. Combine of nothing is the hash of the empty payload.
func Combine(parts []Hash) Hash {
	if len(parts) == 0 {
		return sha256.Sum256(nil)
	}
	var s stack
	for _, p := range parts {
		s.push(p)
	}
	return s.fold()
}

// Sum is the tree hash of data.
func Sum(data []byte) Hash {
	h := New()
	h.Write(data)
	return h.Sum()
}

// A Hasher computes the tree hash of what is written to it. Its memory does
// not grow with the payload beyond one hash per level.
type Hasher struct {
	leaf   hash.Hash
	inLeaf int // bytes in the open leaf, below LeafSize
	size   int64
	done   stack
	leaves *spanner // takes the full leaves as well; nil: nobody does
}

// New gives a Hasher of an empty payload.
func New() *Hasher { return &Hasher{leaf: sha256.New()} }

// Write adds p to the payload. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.size += int64(n)
	for len(p) > 0 {
		k := min(LeafSize-h.inLeaf, len(p))
		h.leaf.Write(p[:k])
		h.inLeaf += k
		p = p[k:]
		if h.inLeaf == LeafSize {
			leaf := sumOf(h.leaf)
			h.done.push(leaf)
			if h.leaves != nil {
				h.leaves.push(leaf)
			}
			h.leaf.Reset()
			h.inLeaf = 0
		}
	}
	return n, nil
}

// Sum gives the tree hash of all that was written so far; more may follow.
func (h *Hasher) Sum() Hash {
	if h.inLeaf == 0 && h.size > 0 {
		return h.done.fold()
	}
	open := stack{nodes: append(make([]Hash, 0, len(h.done.nodes)+1), h.done.nodes...), count: h.done.count}
	open.push(sumOf(h.leaf))
	return open.fold()
}

// Written is the number of payload bytes so far.
func (h *Hasher) Written() int64 { return h.size }

// Reset begins a new payload.
func (h *Hasher) Reset() {
	h.leaf.Reset()
	h.inLeaf, h.size = 0, 0
	h.done.nodes, h.done.count = h.done.nodes[:0], 0
}

func sumOf(d hash.Hash) (out Hash) {
	d.Sum(out[:0])
	return out
}

// Sums are the two hashes that accompany every upload.
type Sums struct {
	Tree   Hash
	Linear [sha256.Size]byte // plain SHA-256 of all bytes
}

// A Double computes the tree hash and the plain SHA-256 of one payload in one
// pass. The first MiB is hashed once only, since there the two agree.
type Double struct {
	linear hash.Hash
	tree   *Hasher // of what follows the first leaf; nil before that
	first  Hash    // hash of the first leaf, once it is full
	size   int64
	leaves *spanner // nil: only the payload's own hashes are wanted
}

// NewDouble gives a Double of an empty payload.
func NewDouble() *Double { return &Double{linear: sha256.New()} }

// NewDoubleAt gives a Double of a part of a larger payload, empty as yet, which
// begins at offset bytes, a whole number of MiB: it knows the part's span, too.
func NewDoubleAt(offset int64) *Double {
	return &Double{linear: sha256.New(), leaves: &spanner{next: offset / LeafSize}}
}

// Write adds p to the payload. It never fails.
func (d *Double) Write(p []byte) (int, error) {
	n := len(p)
	if d.size < LeafSize {
		k := min(LeafSize-int(d.size), len(p))
		d.linear.Write(p[:k])
		d.size += int64(k)
		p = p[k:]
		if d.size == LeafSize {
			d.first = sumOf(d.linear)
			if d.leaves != nil {
				d.leaves.push(d.first)
			}
		}
	}
	if len(p) == 0 {
		return n, nil
	}
	if d.tree == nil {
		d.tree = New()
		d.tree.leaves = d.leaves
	}
	if d.tree.size == 0 {
		// The tree is that of a payload whose first leaf is known.
		d.tree.done.push(d.first)
	}
	d.linear.Write(p)
	d.tree.Write(p)
	d.size += int64(len(p))
	return n, nil
}

// Sums gives both hashes of all that was written so far; more may follow.
func (d *Double) Sums() Sums {
	s := Sums{Linear: sumOf(d.linear)}
	if d.size <= LeafSize {
		s.Tree = s.Linear
		return s
	}
	s.Tree = d.tree.Sum()
	return s
}

// Span gives the span of all that was written so far, of a Double of NewDoubleAt.
// More may follow. Of nothing it is empty.
func (d *Double) Span() Span {
	switch {
	case d.leaves == nil || d.size == 0:
		return Span{}
	case d.size < LeafSize:
		return d.leaves.with(sumOf(d.linear))
	case d.tree != nil && d.tree.inLeaf > 0:
		return d.leaves.with(sumOf(d.tree.leaf))
	}
	return Span{append([]node(nil), d.leaves.span.nodes...)}
}

// Written is the number of payload bytes so far.
func (d *Double) Written() int64 { return d.size }

// Reset begins a new payload, or the part anew.
func (d *Double) Reset() {
	d.linear.Reset()
	if d.leaves != nil {
		d.leaves.next -= d.size / LeafSize
		d.leaves.span = Span{}
	}
	d.size = 0
	if d.tree != nil {
		d.tree.Reset()
	}
}
