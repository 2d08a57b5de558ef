package catalog

import (
	"cmp"
	"slices"
)

// A heldIn is a content and the archive that holds it.
type heldIn struct {
	archive int64
	held
}

// A heldHash is the key of a content in by_tree.
type heldHash struct{ h64, archive, number int64 }

func (h heldHash) compare(o heldHash) int {
	return cmp.Or(cmp.Compare(h.h64, o.h64), cmp.Compare(h.archive, o.archive), cmp.Compare(h.number, o.number))
}

// holdAll writes what archives hold, in the order of their numbers, and indexes
// it.
func (c *Catalog) holdAll(tx tx, all []heldIn) error {
	hashes, err := insertHeld(tx, all)
	if err != nil {
		return err
	}
	return c.indexHashes(tx, hashes)
}

// insertHeld writes what archives hold, and gives what is to be indexed: content
// that nobody read has no hash, and is not to be found by it.
func insertHeld(tx tx, all []heldIn) (hashes []heldHash, err error) {
	b := insertLocations.batch(tx)
	hashes = make([]heldHash, 0, len(all))
	for i := range all {
		h := &all[i]
		var tree any
		if !h.Tree.IsZero() {
			tree = h.Tree[:]
			hashes = append(hashes, heldHash{hash64(h.Tree), h.archive, h.number})
		}
		if err := b.add(h.archive, h.number, h.offset, h.Size, tree); err != nil {
			return nil, err
		}
	}
	return hashes, b.flush()
}

// indexHashes makes contents findable, in the order of the index.
func (c *Catalog) indexHashes(tx tx, hashes []heldHash) error {
	c.trees.fresh.Add(int64(len(hashes)))
	return insertHashes(tx, hashes, insertTrees)
}

func insertHashes(tx tx, hashes []heldHash, into *bulk) error {
	slices.SortFunc(hashes, heldHash.compare)
	b := into.batch(tx)
	for _, h := range hashes {
		if err := b.add(h.h64, h.archive, h.number); err != nil {
			return err
		}
	}
	return b.flush()
}
