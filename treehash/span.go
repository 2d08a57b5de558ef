package treehash

// A Span is what a stretch of a payload is in the payload's tree: the roots of the
// widest subtrees that lie in it, from left to right. A stretch of 1 MiB times a
// power of two, at a multiple of its own size, has one; another one of n leaves has
// up to 2·log2(n). By spans a payload's tree hash follows from parts of any number
// of leaves, which their own tree hashes do not give.
type Span struct{ nodes []node }

// A node is the root of a subtree.
type node struct {
	hash  Hash
	level int   // the leaves are on level 0
	at    int64 // its place on its level, from 0
}

// right reports whether the node is the right one of a pair, as a complete tree has
// them.
func (n node) right() bool { return n.at&1 == 1 }

// NodeSpan is the span of a stretch whose own tree hash is known, and is a node of
// the payload's tree: it begins at offset, a multiple of width, and has width bytes,
// 1 MiB times a power of two; or fewer, at the payload's end.
func NodeSpan(offset, width int64, h Hash) Span {
	n := node{hash: h, at: offset / width}
	for leaves := width / LeafSize; leaves > 1; leaves /= 2 {
		n.level++
	}
	return Span{[]node{n}}
}

// IsZero reports whether nothing is in the span.
func (s Span) IsZero() bool { return len(s.nodes) == 0 }

// push adds the node to the right of all others, and joins what belongs together.
func (s *Span) push(n node) {
	for last := len(s.nodes) - 1; last >= 0 && n.right() && s.nodes[last].level == n.level; last-- {
		n = node{join(s.nodes[last].hash, n.hash), n.level + 1, n.at / 2}
		s.nodes = s.nodes[:last]
	}
	s.nodes = append(s.nodes, n)
}

// JoinSpans gives the tree hash of a payload from the spans of its parts, in order:
// they begin at its start, and leave nothing out. JoinSpans of nothing is the hash
// of the empty payload.
func JoinSpans(parts []Span) Hash {
	var all Span
	for _, p := range parts {
		for _, n := range p.nodes {
			all.push(n)
		}
	}
	if all.IsZero() {
		return Combine(nil)
	}
	roots := stack{nodes: make([]Hash, len(all.nodes))}
	for i, n := range all.nodes {
		roots.nodes[i] = n.hash
	}
	return roots.fold()
}

// A spanner makes the span of a stretch from its leaves.
type spanner struct {
	span Span
	next int64 // number of the next leaf
}

func (s *spanner) push(leaf Hash) {
	s.span.push(node{hash: leaf, at: s.next})
	s.next++
}

// with is the span with one more leaf, which stays out of the spanner.
func (s *spanner) with(leaf Hash) Span {
	open := spanner{Span{append(make([]node, 0, len(s.span.nodes)+1), s.span.nodes...)}, s.next}
	open.push(leaf)
	return open.span
}
