package glacierd

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/firn-archive/firn/treehash"
)

// A digest computes, in one pass, all that is kept of a body's content: its
// plain SHA-256 and the hashes of its leaves, from which the tree hash of any
// node can be told later without reading the body again. It takes 32 bytes of
// memory for each MiB. The first leaf is hashed once for both.
type digest struct {
	linear hash.Hash
	leaf   hash.Hash // nil in the first leaf
	inLeaf int       // bytes in the open leaf
	leaves []treehash.Hash
	size   int64
}

func newDigest() *digest { return &digest{linear: sha256.New()} }

// Write never fails.
func (d *digest) Write(p []byte) (int, error) {
	n := len(p)
	d.size += int64(n)
	for len(p) > 0 {
		k := min(treehash.LeafSize-d.inLeaf, len(p))
		d.linear.Write(p[:k])
		if d.leaf != nil {
			d.leaf.Write(p[:k])
		}
		d.inLeaf += k
		p = p[k:]
		if d.inLeaf == treehash.LeafSize {
			d.endLeaf()
		}
	}
	return n, nil
}

func (d *digest) endLeaf() {
	var h treehash.Hash
	if d.leaf == nil {
		d.linear.Sum(h[:0])
		d.leaf = sha256.New()
	} else {
		d.leaf.Sum(h[:0])
		d.leaf.Reset()
	}
	d.leaves = append(d.leaves, h)
	d.inLeaf = 0
}

// A content is what was found of a whole body.
type content struct {
	size   int64
	linear string // hexadecimal digits
	tree   treehash.Hash
	leaves []byte // nil where there is one leaf: its hash is the tree's
}

// sum ends the body.
func (d *digest) sum() content {
	if d.inLeaf > 0 || len(d.leaves) == 0 {
		d.endLeaf()
	}
	c := content{size: d.size, linear: hex.EncodeToString(d.linear.Sum(nil)), tree: treehash.Combine(d.leaves)}
	if len(d.leaves) > 1 {
		c.leaves = make([]byte, 0, len(d.leaves)*treehash.Size)
		for _, h := range d.leaves {
			c.leaves = append(c.leaves, h[:]...)
		}
	}
	return c
}

// hashes cuts what content.leaves joined.
func hashes(joined []byte) []treehash.Hash {
	list := make([]treehash.Hash, len(joined)/treehash.Size)
	for i := range list {
		list[i] = treehash.Hash(joined[i*treehash.Size:])
	}
	return list
}
