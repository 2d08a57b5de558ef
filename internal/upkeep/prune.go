package upkeep

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
)

// PruneOptions say which versions are forgotten, and how their archives go.
type PruneOptions struct {
	DeletionOptions
	// Trees are those that the rules are for; versions of all others stay.
	Trees []catalog.Tree
	// Match says which paths the rules are for; nil: all of these trees.
	Match func(path string, folder bool) bool
	Keep  plan.Keep
	// Now is the moment from which the rules count back, and which says when days
	// begin.
	Now time.Time
	// Prices are those of the store.
	Prices price.Tariff
	// Repack has bundles made anew of which most is needed by nothing; nil: none.
	Repack *RepackOptions
	// Tell is told of each version that goes, oldest first of each path; nil:
	// nobody is.
	Tell func(PrunedVersion) error
}

// A PrunedVersion is a version that goes.
type PrunedVersion struct {
	Tree string
	catalog.Entry
	From, Until time.Time // of the runs that recorded and ended it
}

// A Prospect is what a prune comes to.
type Prospect struct {
	Versions firn.Count // that go, and the bytes of their files
	// Of the archives that nothing would need any more, and those that wait for
	// their deletion already: free of fees now, charged for until Until at the
	// latest, and wanted by a restore or in doubt.
	Now, Later, Held firn.Count
	Until            time.Time
	Fees             price.Sum // to delete Later at once
	Dead             DeadSpace // that stays
	Repack           Repacking // the bundles of which are not in Now and Later
}

// DeadSpace is what bundles hold that no version needs, while other versions need
// the bundles.
type DeadSpace struct {
	Bundles firn.Count // that hold any, and their bytes
	Bytes   int64      // that nobody needs
}

// Foresee finds what Prune would do, and changes nothing. It goes through all
// versions of the store once; in memory it keeps a bit for each archive, and one
// for each file in a bundle.
func Foresee(ctx context.Context, o PruneOptions) (Prospect, error) {
	p := &pruner{PruneOptions: o}
	if err := p.look(ctx); err != nil {
		return Prospect{}, err
	}
	info, err := o.Store.Describe(ctx)
	if err != nil {
		return Prospect{}, err
	}
	var repack Repacking
	if o.Repack != nil {
		if repack, err = p.repack(ctx, info.Now, true); err != nil {
			return Prospect{}, err
		}
	}
	out, err := p.prospect(ctx, info.Now)
	out.Repack = repack
	return out, err
}

// A PruneResult says what a prune did.
type PruneResult struct {
	Versions firn.Count // that were forgotten
	Freed    firn.Count // archives that were found to be needed by nothing
	DeletionResult
	Dead   DeadSpace
	Repack Repacking
}

// Pending reports whether anything is left to be deleted, or repacked.
func (r PruneResult) Pending() bool { return r.DeletionResult.Pending() || r.Repack.Pending > 0 }

// Failed reports whether what was due couldn't be done.
func (r PruneResult) Failed() bool { return r.DeletionResult.Failed() || r.Repack.Failed > 0 }

// Prune forgets the versions that the rules let go, has bundles made anew where
// that is wanted, queues the archives that nothing needs any more, and deletes
// those that are free of fees. Cut short at
// any moment it leaves versions, candidates or a queue that the next one, or
// FinishPrune, goes on with. Its run is of the command catalog.PruneRun.
func Prune(ctx context.Context, o PruneOptions) (res PruneResult, err error) {
	p := &pruner{PruneOptions: o, retires: true}
	err = p.look(ctx)
	res.Versions = p.versions
	if err != nil {
		return res, err
	}
	if o.Repack != nil {
		info, err := o.Store.Describe(ctx)
		if err != nil {
			return res, err
		}
		if res.Repack, err = p.repack(ctx, info.Now, false); err != nil {
			return res, err
		}
	}
	if res.Freed, err = o.Catalog.QueueDeletions(ctx, o.Run); err != nil {
		return res, err
	}
	if res.DeletionResult, err = DeleteDue(ctx, o.DeletionOptions); err != nil {
		return res, err
	}
	prospect, err := p.prospect(ctx, o.Now)
	res.Dead = prospect.Dead
	return res, err
}

// FinishPrune goes on where a prune was killed: it queues what that has let go,
// and deletes what is due.
func FinishPrune(ctx context.Context, o DeletionOptions) (DeletionResult, error) {
	queue, err := o.Catalog.DeletionQueue(ctx, o.Row.ID)
	if err == nil && queue.Unsettled {
		_, err = o.Catalog.QueueDeletions(ctx, o.Run)
	}
	if err != nil {
		return DeletionResult{}, err
	}
	return DeleteDue(ctx, o)
}

// pruneBatch is how many versions are forgotten in one commit.
const pruneBatch = 1000

// knownRuns bounds how many times of runs are remembered: what was found in a
// store has a run for each second in which an archive was made.
const knownRuns = 100_000

// A pruner goes through the versions of a store.
type pruner struct {
	PruneOptions
	retires bool // what goes is forgotten

	rules    *plan.Keeper
	runs     map[int64]time.Time
	seen     int64
	versions firn.Count
	chosen   []catalog.Entry

	going, needed catalog.RowSet // archives, by row: of versions that go, and that stay
	live          catalog.RowSet // members of bundles that versions need: see member

	path  []catalog.Entry // the versions of one path, oldest first
	lives []plan.Life
	keeps []bool
}

// look goes through all versions of all trees.
func (p *pruner) look(ctx context.Context) error {
	p.rules, p.runs, p.live = p.Keep.At(p.Now), map[int64]time.Time{}, catalog.RowSet{}
	p.going, p.needed = catalog.RowSet{}, catalog.RowSet{}
	trees, err := p.Catalog.Trees(ctx, p.Row.ID)
	if err != nil {
		return err
	}
	for _, t := range trees {
		if err := p.lookAt(ctx, t); err != nil {
			return err
		}
	}
	p.Events(firn.ScanEvent{Files: p.seen, Done: true})
	return nil
}

// scanStep is after how many versions it is told how far the search is.
const scanStep = 10_000

func (p *pruner) lookAt(ctx context.Context, t catalog.Tree) error {
	ruled := false
	for _, r := range p.Trees {
		ruled = ruled || r.ID == t.ID
	}
	for e, err := range p.Catalog.Files(ctx, catalog.ListQuery{Tree: t.ID, All: true}) {
		if err != nil {
			return err
		}
		if p.seen++; p.seen%scanStep == 0 {
			p.Events(firn.ScanEvent{Files: p.seen})
		}
		if !ruled || p.Match != nil && !p.Match(e.Path, e.Kind == firn.Directory) {
			p.stays(&e)
			continue
		}
		if n := len(p.path); n > 0 && (p.path[0].Path != e.Path || (p.path[0].Kind == firn.Directory) != (e.Kind == firn.Directory)) {
			if err := p.choose(ctx, t); err != nil {
				return err
			}
		}
		p.path = append(p.path, e)
	}
	if err := p.choose(ctx, t); err != nil {
		return err
	}
	return p.flush(ctx, 1)
}

// stays notes what a version needs that stays.
func (p *pruner) stays(e *catalog.Entry) {
	archive := e.Location.Archive
	if archive == 0 {
		return
	}
	p.needed.Add(archive)
	if e.Location.Kind == catalog.BundleArchive {
		p.live.Add(member(archive, e.Location.Member))
	}
}

// choose goes by the rules through the versions of the path that is complete.
func (p *pruner) choose(ctx context.Context, t catalog.Tree) error {
	p.lives = p.lives[:0]
	for i := range p.path {
		e := &p.path[i]
		from, err := p.timeOf(ctx, e.Run)
		if err != nil {
			return err
		}
		until, err := p.timeOf(ctx, e.Until)
		if err != nil {
			return err
		}
		lost := e.Location.State != catalog.NoArchive && e.Location.State != catalog.Stored
		p.lives = append(p.lives, plan.Life{From: from, Until: until, Lost: lost})
	}
	p.keeps = p.rules.Keeps(p.lives, p.keeps[:0])
	for i := range p.path {
		e := &p.path[i]
		if p.keeps[i] {
			p.stays(e)
			continue
		}
		if err := p.goes(PrunedVersion{t.Name, *e, p.lives[i].From, p.lives[i].Until}); err != nil {
			return err
		}
	}
	p.path = p.path[:0]
	return p.flush(ctx, pruneBatch)
}

// timeOf is when a run began; zero of none.
func (p *pruner) timeOf(ctx context.Context, id int64) (time.Time, error) {
	if id == 0 {
		return time.Time{}, nil
	}
	if t, ok := p.runs[id]; ok {
		return t, nil
	}
	run, err := p.Catalog.Run(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	if len(p.runs) >= knownRuns {
		clear(p.runs)
	}
	p.runs[id] = run.Started
	return run.Started, nil
}

// goes notes a version that goes.
func (p *pruner) goes(v PrunedVersion) error {
	p.versions.Files++
	if v.Kind == firn.Regular {
		p.versions.Bytes += v.Stamp.Size
	}
	if v.Location.Archive != 0 {
		p.going.Add(v.Location.Archive)
	}
	if p.retires {
		p.chosen = append(p.chosen, v.Entry)
	}
	if p.Tell == nil {
		return nil
	}
	return p.Tell(v)
}

// flush forgets what was chosen, if that is enough for a commit.
func (p *pruner) flush(ctx context.Context, enough int) error {
	if len(p.chosen) < enough {
		return nil
	}
	_, err := p.Catalog.Retire(ctx, p.Run, catalog.Retirement{MinAge: p.Store.Traits().MinDuration, Why: "firn prune"}, p.chosen)
	p.chosen = p.chosen[:0]
	return err
}

// prospect goes through the archives of the store, once its versions were looked
// at.
func (p *pruner) prospect(ctx context.Context, now time.Time) (out Prospect, err error) {
	out.Versions, out.Fees.Known = p.versions, true
	add := func(to *firn.Count, s *catalog.Standing) { to.Files++; to.Bytes += s.Size }
	for s, err := range p.Catalog.Standings(ctx, p.Row.ID, p.Store.Traits().MinDuration) {
		if err != nil {
			return out, err
		}
		goes := s.Queued || !p.needed.Has(s.ID) && (s.Candidate || p.going.Has(s.ID))
		switch {
		case !goes && s.Kind == catalog.BundleArchive:
			err = p.addDead(ctx, &out.Dead, &s)
		case !goes:
		case s.Held:
			add(&out.Held, &s)
		case !s.Free.After(now):
			add(&out.Now, &s)
		default:
			add(&out.Later, &s)
			out.Fees = out.Fees.Plus(p.Prices.Of(s.Class).EarlyDeletion(1, s.Size, s.Free.Sub(now)))
			if s.Free.After(out.Until) {
				out.Until = s.Free
			}
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// addDead adds what a bundle holds that no version needs.
func (p *pruner) addDead(ctx context.Context, to *DeadSpace, s *catalog.Standing) error {
	if !p.needed.Has(s.ID) {
		return nil // nothing of it is known to be a file's
	}
	sizes, err := p.Catalog.MemberSizes(ctx, s.ID)
	if err != nil {
		return err
	}
	dead := int64(0)
	for n, size := range sizes {
		if !p.live.Has(member(s.ID, int64(n))) {
			dead += size
		}
	}
	if dead > 0 {
		to.Bundles.Files++
		to.Bundles.Bytes += s.Size
		to.Bytes += dead
	}
	return nil
}

// member numbers the members of all bundles, each of which has fewer than 2^20.
func member(archive, n int64) int64 { return archive<<20 | n }
