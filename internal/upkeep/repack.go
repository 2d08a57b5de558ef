package upkeep

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
)

// RepackOptions say how bundles are made anew of which most is needed by nothing.
type RepackOptions struct {
	// Trees are those whose files may be sent again: they are of this machine, and
	// nobody syncs them meanwhile.
	Trees []catalog.Tree
	// Send sends contents of a tree again that are in files of it, in walk order,
	// unless an archive has them that old doesn't report. What it gives it gives
	// with an error, too.
	Send func(ctx context.Context, t catalog.Tree, files []catalog.Resident, old func(archive int64) bool) (Resent, error)

	// Done is called when no file is read any more; nil: nothing is.
	Done func()

	batch int // contents that are seen to at once; 0: repackBatch
}

// Resent says what came of contents that were to be sent again.
type Resent struct {
	Moves []catalog.Move // of what is there now
	Sent  firn.Count
	// Changed are those whose file is another by now; of those that are Pending
	// nobody knows yet whether they arrived.
	Changed, Pending, Failed int64
}

// A Repacking is what sending the needed part of bundles again comes to, so that
// the whole of each can go.
type Repacking struct {
	Bundles firn.Count // that go, and their bytes
	Live    firn.Count // contents that are needed, which are read from disk and sent; the same one may be in two
	Dead    int64      // bytes that are freed
	Upload  price.Sum  // what the requests cost
	Early   price.Sum  // what is left of the bundles' shortest time: to have them go at once, or when it is over
	Month   price.Sum  // what keeping the dead bytes costs
	// Bundles that would pay, but stay:
	Kept KeptBundles
	// Of what was done:
	Sent     firn.Count // contents, less than Live where others have them
	Versions int64      // that were moved
	Changed  int64      // contents whose file turned out to be another while it was read
	Pending  int64      // contents of which nobody knows yet whether they arrived
	Failed   int64      // contents that the store would not take
}

// KeptBundles counts bundles by what keeps them from being repacked: the first of
// these reasons that holds.
type KeptBundles struct {
	Held   int64 // a restore waits for them, or there may be two
	Old    int64 // old versions need what no current file has
	Away   int64 // files of other trees need them: of other machines, or being synced
	Gone   int64 // a file isn't on disk as it was stored
	Sealed int64 // they are encrypted for others than the files are now
}

// repackBatch is how many contents are seen to at once, which bounds the memory:
// all versions are gone through once for each so many.
const repackBatch = 100_000

// maxSame bounds how many files of one content a bundle tells of.
const maxSame = 1000

// A repacker finds what can be repacked, and has that done.
type repacker struct {
	*pruner
	RepackOptions
	dry bool
	now time.Time // by the store's clock
	old map[int64]bool
	out Repacking
}

// repack sees to all bundles that it pays for, once the versions were looked at.
func (p *pruner) repack(ctx context.Context, now time.Time, dry bool) (Repacking, error) {
	r := &repacker{pruner: p, RepackOptions: *p.Repack, dry: dry, now: now, old: map[int64]bool{}}
	if r.batch == 0 {
		r.batch = repackBatch
	}
	if r.Done != nil && !dry {
		defer r.Done()
	}
	r.out.Upload.Known, r.out.Early.Known, r.out.Month.Known = true, true, true
	sparse, err := r.find(ctx)
	if err != nil {
		return r.out, err
	}
	for len(sparse) > 0 {
		n, contents := 1, sparse[0].live.Files
		for n < len(sparse) && contents+sparse[n].live.Files <= int64(r.batch) {
			contents += sparse[n].live.Files
			n++
		}
		if err := r.some(ctx, sparse[:n]); err != nil {
			return r.out, err
		}
		sparse = sparse[n:]
	}
	return r.out, nil
}

// A sparse bundle has dead space that it pays to free.
type sparse struct {
	id, size int64
	live     firn.Count
	dead     int64
	price    price.Repacking
}

// find gives the bundles that it pays for, in the order in which they were
// recorded.
func (r *repacker) find(ctx context.Context) (all []sparse, err error) {
	for s, err := range r.Catalog.Standings(ctx, r.Row.ID, r.Store.Traits().MinDuration) {
		if err != nil {
			return nil, err
		}
		if s.Kind != catalog.BundleArchive || s.Queued || !r.needed.Has(s.ID) {
			continue
		}
		sizes, err := r.Catalog.MemberSizes(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		b := sparse{id: s.ID, size: s.Size}
		for n, size := range sizes {
			if r.live.Has(member(s.ID, int64(n))) {
				b.live.Files++
				b.live.Bytes += size
			} else {
				b.dead += size
			}
		}
		requests := max(1, (b.live.Bytes+transfer.MaxSingle-1)/transfer.MaxSingle)
		b.price = r.Prices.Of(s.Class).Repack(price.Sparse{Size: b.size, Live: b.live.Bytes, Dead: b.dead, Requests: requests, Left: s.Free.Sub(r.now)})
		switch {
		case !b.price.Pays:
		case s.Held:
			r.out.Kept.Held++
		default:
			r.old[b.id] = true
			all = append(all, b)
		}
	}
	return all, nil
}

// A source is where a content of a bundle can be had.
type source struct {
	tree    int // of RepackOptions.Trees; -1: nowhere
	why     *int64
	content catalog.Resident
}

// some sees to some bundles.
func (r *repacker) some(ctx context.Context, bundles []sparse) error {
	in := map[int64]bool{}
	for _, b := range bundles {
		in[b.id] = true
	}
	sources, err := r.sources(ctx, in)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		why, err := r.keeps(ctx, &b, sources)
		if err != nil {
			return err
		}
		if why != nil {
			*why++
			delete(in, b.id)
			continue
		}
		r.out.Bundles.Files++
		r.out.Bundles.Bytes += b.size
		r.out.Live.Files += b.live.Files
		r.out.Live.Bytes += b.live.Bytes
		r.out.Dead += b.dead
		r.out.Upload, r.out.Early, r.out.Month = r.out.Upload.Plus(b.price.Upload), r.out.Early.Plus(b.price.Early), r.out.Month.Plus(b.price.Month)
	}
	if r.dry || len(in) == 0 {
		return nil
	}
	for i, t := range r.Trees {
		if err := r.send(ctx, t, residents(sources, i, in)); err != nil {
			return err
		}
	}
	return nil
}

// sources looks through the current files of all trees for those that have what
// is needed of some bundles.
func (r *repacker) sources(ctx context.Context, in map[int64]bool) (map[catalog.Place]*source, error) {
	sources := map[catalog.Place]*source{}
	trees, err := r.Catalog.Trees(ctx, r.Row.ID)
	for _, t := range trees {
		i := slices.IndexFunc(r.Trees, func(o catalog.Tree) bool { return o.ID == t.ID })
		if err = errors.Join(err, r.sourcesOf(ctx, t, i, in, sources)); err != nil {
			return nil, err
		}
	}
	return sources, err
}

// sourcesOf does so in one tree, whose number is own; -1: its files can't be sent.
func (r *repacker) sourcesOf(ctx context.Context, t catalog.Tree, own int, in map[int64]bool, sources map[catalog.Place]*source) error {
	var disk *scan.Opener
	if own >= 0 {
		if root, err := scan.OpenRoot(t.Root); err == nil { // else nothing of it is there
			defer root.Close()
			disk = root.Opener()
			defer disk.Close()
		}
	}
	for e, err := range r.Catalog.Files(ctx, catalog.ListQuery{Tree: t.ID}) {
		if err != nil {
			return err
		}
		at := catalog.Place{Archive: e.Location.Archive, Member: e.Location.Member}
		if !in[at.Archive] || e.Kind != firn.Regular || e.Content.Size == 0 || e.Until != 0 {
			continue
		}
		change := catalog.Change{File: e.File, Content: e.Content, LinkGroup: e.LinkGroup}
		s := sources[at]
		switch {
		case own < 0: // whatever others have: its machine may know it by this place alone
			sources[at] = &source{tree: -1, why: &r.out.Kept.Away}
		case s != nil && s.tree == own && len(s.content.Same) < maxSame:
			s.content.Same = append(s.content.Same, change)
		case s != nil && (s.tree >= 0 || s.why == &r.out.Kept.Away):
		case disk == nil || !isAsStored(disk, &e):
			sources[at] = &source{tree: -1, why: &r.out.Kept.Gone}
		default:
			sources[at] = &source{tree: own, content: catalog.Resident{Change: change, At: []catalog.Place{at}}}
		}
	}
	return nil
}

// isAsStored reports whether a file on disk looks as its version does. What it
// holds is seen when it is sent.
func isAsStored(disk *scan.Opener, e *catalog.Entry) bool {
	f, err := disk.Open(e.Path)
	if err != nil {
		return false
	}
	defer f.Close()
	stamp, err := f.Stamp()
	return err == nil && stamp.Size == e.Content.Size && stamp.ModTime.Equal(e.Stamp.ModTime)
}

// keeps says why a bundle stays; nil where all of it that is needed can be sent.
func (r *repacker) keeps(ctx context.Context, b *sparse, sources map[catalog.Place]*source) (why *int64, err error) {
	_, sealed, err := r.Catalog.Header(ctx, b.id)
	if err != nil {
		return nil, err
	}
	sizes, err := r.Catalog.MemberSizes(ctx, b.id)
	if err != nil {
		return nil, err
	}
	for n := range sizes {
		if !r.live.Has(member(b.id, int64(n))) {
			continue
		}
		s := sources[catalog.Place{Archive: b.id, Member: int64(n)}]
		switch {
		case s == nil:
			return &r.out.Kept.Old, nil
		case s.tree < 0:
			why = s.why
		case r.Trees[s.tree].Recipients != sealed && why == nil:
			why = &r.out.Kept.Sealed
		}
	}
	return why, nil
}

// residents gives what is to be sent of one tree, in walk order, a content once.
func residents(sources map[catalog.Place]*source, tree int, in map[int64]bool) (all []catalog.Resident) {
	for at, s := range sources {
		if s.tree == tree && in[at.Archive] {
			all = append(all, s.content)
		}
	}
	slices.SortFunc(all, func(a, b catalog.Resident) int { return scan.Compare(a.Path, b.Path) })
	first := map[firn.Content]int{}
	kept := all[:0]
	for _, f := range all {
		if i, known := first[f.Content]; known {
			kept[i].At = append(kept[i].At, f.At...)
			kept[i].Same = append(append(kept[i].Same, f.Change), f.Same...)
			continue
		}
		first[f.Content] = len(kept)
		kept = append(kept, f)
	}
	return kept
}

// send has the contents of a tree sent, and moves the versions that need them.
func (r *repacker) send(ctx context.Context, t catalog.Tree, files []catalog.Resident) error {
	if len(files) == 0 {
		return nil
	}
	sent, err := r.Send(ctx, t, files, func(archive int64) bool { return r.old[archive] })
	r.out.Sent.Files += sent.Sent.Files
	r.out.Sent.Bytes += sent.Sent.Bytes
	r.out.Changed += sent.Changed
	r.out.Pending += sent.Pending
	r.out.Failed += sent.Failed
	if err != nil {
		return err
	}
	n, err := r.Catalog.Relocate(ctx, r.Run, r.retirement(), sent.Moves)
	r.out.Versions += n
	for _, m := range sent.Moves {
		r.live.Remove(member(m.From.Archive, m.From.Member))
		r.live.Add(member(m.To.Archive, m.To.Member))
		r.needed.Add(m.To.Archive)
	}
	return err
}

func (r *repacker) retirement() catalog.Retirement {
	return catalog.Retirement{MinAge: r.Store.Traits().MinDuration, Why: "firn prune --repack"}
}
