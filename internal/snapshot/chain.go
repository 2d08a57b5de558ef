package snapshot

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
)

// A Candidate is an archive that a tag or an inventory calls a snapshot. Only
// reading it tells whether it is one.
type Candidate struct {
	Catalog firn.Token // whose rows it has
	Seq     int64      // counts that catalog's snapshots in the store
	Base    int64      // seq of the one that it adds to; 0: it is full
	Archive firn.ArchiveID
	// Of an inventory, zero else:
	Size    int64
	Created time.Time // by the store's clock
}

// FromInventory takes a snapshot out of an inventory: an archive, and what its
// description says. False where it is none.
func FromInventory(a firn.Archive, d describe.Archive) (Candidate, bool) {
	ok := d.Format == describe.Firn && d.Kind == describe.Snapshot && !d.Catalog.IsZero() && d.Seq > 0 && d.Base >= 0 && d.Base < d.Seq
	if !ok {
		return Candidate{}, false
	}
	return Candidate{Catalog: d.Catalog, Seq: d.Seq, Base: d.Base, Archive: a.ID, Size: a.Size, Created: a.Created}, true
}

// Chains puts candidates together to what can be read: a full snapshot, or a
// full one and one that adds to it, in this order. The chains of one catalog
// follow each other, the newest first, and are to be tried in this order until
// one can be read whole: behind the newest come its older siblings, the full
// one alone, and then those of the full one before. One that adds to a snapshot
// which isn't there is in no chain. What is there twice counts once.
func Chains(candidates []Candidate) (chains [][]Candidate) {
	all := slices.Clone(candidates)
	slices.SortStableFunc(all, func(a, b Candidate) int {
		return cmp.Or(
			bytes.Compare(a.Catalog[:], b.Catalog[:]), cmp.Compare(b.Seq, a.Seq), b.Created.Compare(a.Created), cmp.Compare(a.Archive, b.Archive),
			cmp.Compare(b.Size, a.Size), // an inventory says more than a tag
		)
	})
	all = slices.CompactFunc(all, func(a, b Candidate) bool { return a.Catalog == b.Catalog && a.Archive == b.Archive })
	for _, c := range all {
		if c.Base == 0 {
			chains = append(chains, []Candidate{c})
			continue
		}
		// There are two of a number where two machines worked with one catalog,
		// one of them with a copy. Only reading tells which it adds to.
		for _, full := range all {
			if full.Catalog == c.Catalog && full.Seq == c.Base && full.Base == 0 {
				chains = append(chains, []Candidate{full, c})
			}
		}
	}
	return chains
}
