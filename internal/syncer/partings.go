package syncer

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
)

// A Farewell says what would become of archives that nothing needs any more, if syncs
// were done that were only tried.
type Farewell struct {
	// Now are free of fees. Later are charged for until Until at the latest, by the
	// store's clock; Fees is what it costs to delete these at once.
	Now, Later firn.Count
	Until      time.Time
	Fees       price.Sum
	// AtMost: it may be less, since no file was read. What would be sent may be in one
	// of these archives, and what would be hashed may be unchanged.
	AtMost bool
	// Kept: all of them stay, since no sync would store all there is.
	Kept bool
}

// Partings gather what the dry runs of several trees of a store would let go: an
// archive goes when no tree needs it any more. The zero Partings are ready for use.
type Partings struct {
	seed  maphash.Seed
	trees []parting
	// settled is how many of these trees let go what is deleted: those up to the last
	// one that would be complete.
	settled int
}

// A parting is what the run of one tree would end.
type parting struct {
	tree    int64
	removed map[uint64]bool // by the hashes of paths that it ends; else they are replaced
	retires bool            // it would look for versions to forget
	unsure  bool
}

// of gives the parting of a tree whose versions are forgotten; nil: none is.
func (p *Partings) of(tree int64) *parting {
	for i := range p.trees[:p.settled] {
		if p.trees[i].tree == tree && p.trees[i].retires {
			return &p.trees[i]
		}
	}
	return nil
}

// hash stands for a path: of a million changes not all names are kept.
func (p *Partings) hash(path string) uint64 {
	if p.seed == (maphash.Seed{}) {
		p.seed = maphash.MakeSeed()
	}
	return maphash.String(p.seed, path)
}

// wouldEnd notes the version that a decision ends which is carried out.
func (s *foreseer) wouldEnd(d *plan.Decision) {
	if d.Known == nil || d.Known.File.Kind != firn.Regular {
		return
	}
	switch d.Action {
	case plan.Removed, plan.Changed, plan.Again, plan.Hash:
	case plan.Record:
		if d.File.Kind == firn.Regular && d.File.Stamp.Size > 0 {
			return // the new version has the same content, where that is
		}
	default:
		return
	}
	s.parting.removed[s.Partings.hash(d.Known.File.Path)] = d.Action == plan.Removed
}

// part hands on what the run would let go, where it would let go anything.
func (s *foreseer) part(ctx context.Context) error {
	if s.Partings == nil || !s.Modes.mirrors() || s.tree.ID == 0 {
		return nil
	}
	unfinished, err := s.hasUnfinished(ctx, s.tree.ID)
	if err != nil {
		return err
	}
	s.unfinished = unfinished
	s.parting.tree, s.parting.retires, s.parting.unsure = s.tree.ID, s.hasToRetire(), s.tally.has(firn.Sent)
	p := s.Partings
	if p.trees = append(p.trees, s.parting); s.isComplete() {
		p.settled = len(p.trees)
	}
	return nil
}

// Foresee finds what becomes of the archives, at some prices. It goes through all
// versions of the store once, and keeps a bit or two for each archive in memory.
func (p *Partings) Foresee(ctx context.Context, c *catalog.Catalog, row catalog.Store, store firn.Store, prices price.Tariff) (Farewell, error) {
	if len(p.trees) == 0 {
		return Farewell{}, nil
	}
	f := farewell{Farewell: Farewell{Fees: price.Sum{Known: true}}, partings: *p, going: catalog.RowSet{}, needed: catalog.RowSet{}, prices: prices}
	if p.settled == 0 {
		f.Kept, f.partings.settled = true, len(p.trees)
	}
	info, err := store.Describe(ctx)
	if err != nil {
		return Farewell{}, err
	}
	f.now = info.Now
	trees, err := c.Trees(ctx, row.ID)
	if err != nil {
		return Farewell{}, err
	}
	for _, t := range trees {
		if err := f.look(ctx, c, t.ID); err != nil {
			return Farewell{}, err
		}
	}
	for s, err := range c.Standings(ctx, row.ID, store.Traits().MinDuration) {
		if err != nil {
			return Farewell{}, err
		}
		f.add(&s)
	}
	return f.Farewell, nil
}

// A farewell goes through the versions of a store, and its archives.
type farewell struct {
	Farewell
	partings Partings
	prices   price.Tariff
	now      time.Time // by the store's clock

	going, needed catalog.RowSet // archives, by row: of versions that go, and that stay
	retires       bool           // candidates are queued
}

// tried stands for a run that a dry run would be.
const tried = -1

// look goes through the versions of a tree.
func (f *farewell) look(ctx context.Context, c *catalog.Catalog, tree int64) error {
	r := &retirer{Catalog: c, mirrors: map[int64]bool{tried: true}}
	p := f.partings.of(tree)
	if p != nil {
		f.retires, f.AtMost = true, f.AtMost || p.unsure
		r.ended = func(path []catalog.Entry) { f.end(p, path) }
	}
	r.judged = func(e *catalog.Entry, goes bool) error {
		switch {
		case e.Location.Archive == 0:
		case goes && p != nil:
			f.going.Add(e.Location.Archive)
		default:
			f.needed.Add(e.Location.Archive)
		}
		return nil
	}
	return r.judge(ctx, tree)
}

// end ends the current version of a path as the run would.
func (f *farewell) end(p *parting, path []catalog.Entry) {
	last := &path[len(path)-1]
	if last.Until != 0 || last.Kind == firn.Directory {
		return
	}
	if removed, ended := p.removed[f.partings.hash(last.Path)]; ended {
		last.Until, last.Removed = tried, removed
	}
}

// add adds an archive, if it goes.
func (f *farewell) add(s *catalog.Standing) {
	lets := f.going.Has(s.ID) || s.Candidate && f.retires
	switch {
	case s.Held, !s.Queued && (!lets || f.needed.Has(s.ID)):
	case !s.Free.After(f.now):
		f.Now.Files++
		f.Now.Bytes += s.Size
	default:
		f.Later.Files++
		f.Later.Bytes += s.Size
		f.Fees = f.Fees.Plus(f.prices.Of(s.Class).EarlyDeletion(1, s.Size, s.Free.Sub(f.now)))
		if s.Free.After(f.Until) {
			f.Until = s.Free
		}
	}
}
