package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/retrieval"
)

// A Plan says what a restore is going to do, and what it takes.
type Plan struct {
	Files, Bytes int64      // to bring back
	Equal        firn.Count // in place already
	Skipped      firn.Count // that can't be brought back, or mustn't replace what is there
	Left         firn.Count // beyond the limits
	Archives     int64      // that hold what is brought back
	// Requests are the retrievals to be asked for, and RetrieveBytes what they
	// are of. Taken are those that jobs bring that exist already: they cost
	// nothing more.
	Requests, RetrieveBytes, Taken int64
	// AtOnce are archives besides that can be read without asking, by the word of a store
	// that was to thaw them: it takes no notice of their class, perhaps.
	AtOnce int64
	// Hastened are those of Requests whose archives are on their way by a slower tier.
	Hastened      int64
	DownloadBytes int64 // that cross the network, if nothing is repeated
	// ThawDays is how long the copies stay that are made of what is asked for, at the
	// least, of a store that thaws: there RetrieveBytes are whole archives. 0: it
	// makes none.
	ThawDays int
	// Waves is in how many days' portions they are asked for, where bytes arrive
	// at Rate, in bytes a second, which was measured if RateKnown.
	Waves     int
	Rate      float64
	RateKnown bool
	// All may be there between Earliest and Latest, by the first of Tiers.
	Tier             firn.Tier
	Earliest, Latest time.Time
	Now              time.Time
	// Shares say of which storage classes what is asked for is: of one, as a rule.
	Shares []Share

	hastened int64 // bytes of Hastened, of a restore that goes on
	supply   plan.Supply
	// classes are those of all that it waits for, asked for before or not.
	classes []string
}

// A planning is the first walk of a restore that takes days: it changes
// nothing, and collects what has to be asked for.
type planning struct {
	r    *restorer
	root *os.Root // nil: the target isn't there yet

	id       int64 // of the restore, once it is recorded
	recorded recorded

	mu    sync.Mutex
	plan  Plan
	rest  plan.Ranges
	large plan.Ranges // files that may be asked for in parts
	// sizes are those of the archives, of a store that thaws: nothing else is asked for.
	sizes  map[int64]int64
	groups map[linkKey]struct{}
	failed []catalog.FailedFile
	// undressed are files in place that the first pass comes to: they lack
	// metadata, or are empty
	undressed pathSet
	stop      *stop // the first that is beyond the limits
}

// A stop is an entry in walk order that a restore doesn't bring, nor any after
// it.
type stop struct {
	Tree int64  `json:"tree"`
	Path []byte `json:"path"`
}

func (s *stop) is(tree int64, path string) bool {
	return s != nil && s.Tree == tree && string(s.Path) == path
}

// look walks over everything.
func (r *restorer) look(ctx context.Context) (p *planning, err error) {
	p = &planning{r: r, groups: map[linkKey]struct{}{}, undressed: pathSet{}, sizes: map[int64]int64{}}
	p.plan.supply = r.supply
	root, err := os.OpenRoot(r.real)
	switch {
	case err == nil:
		p.root = root
		defer root.Close()
	case r.InPlace && errors.Is(err, fs.ErrNotExist):
		return nil, noFolder(r.To)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, localError("restore to", r.To, err)
	}
	r.planning = p
	defer func() { r.planning = nil }()
	if r.limits.any(&r.Options) {
		defer func(n int) { r.Concurrency = n }(r.Concurrency)
		r.Concurrency = 1 // so that they hold in walk order
	}
	return p, r.pass(ctx, p.file)
}

// file judges one file.
func (p *planning) file(ctx context.Context, it item, _ chan<- finished) error {
	r := p.r
	var err error
	if p.root != nil {
		it.was, err = lookAt(ctx, p.root, it.file.Path, it, r.Overwrite)
	}
	switch {
	case ctx.Err() != nil:
		r.leave(it.folder, true)
		return context.Cause(ctx)
	case err != nil:
		p.skip(it, err)
		return nil
	case it.was.state == isEqual:
		p.keep(it)
		p.count(&p.plan.Equal, it, firn.Equal)
		return nil
	}
	if err := it.canCome(); err != nil {
		p.skip(it, err)
		return nil
	}
	if !r.limits.take(&r.Options, it.content.Size) {
		if p.stop == nil {
			p.stop = &stop{it.treeID, []byte(it.from)}
		}
		p.count(&p.plan.Left, it, firn.Left)
		return nil
	}
	return p.want(ctx, it)
}

// want plans to bring a file.
func (p *planning) want(ctx context.Context, it item) error {
	p.add(it)
	if it.content.Size == 0 {
		return nil
	}
	at, sealed, err := p.r.openers.stored(ctx, p.r.Catalog, &it)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	bytes := it.content.Size
	if it.group != 0 {
		key := linkKey{it.tree, it.group}
		if _, again := p.groups[key]; again {
			bytes = 0
		}
		p.groups[key] = struct{}{}
	}
	p.plan.Bytes += bytes
	thaws := p.r.supply.Thaws
	if thaws {
		p.sizes[it.loc.Archive] = it.loc.Size
	}
	switch {
	case !it.isMember() && !sealed && !thaws:
		err = p.large.Whole(it.loc.Archive, it.loc.Size, bytes)
	case !it.isMember() || it.isUnread():
		err = p.rest.Whole(it.loc.Archive, it.loc.Size, bytes)
	default:
		err = p.rest.Add(it.loc.Archive, it.loc.Size, at, bytes)
	}
	return err
}

// keep remembers a file that is in place, and is still to get its metadata.
func (p *planning) keep(it item) {
	if it.content.Size > 0 && isDressed(it.was.info, it.file) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.undressed[p.r.hash(it.file.Path)] = struct{}{}
}

// count settles a file that nothing is to be done about.
func (p *planning) count(c *firn.Count, it item, a firn.Action) {
	p.mu.Lock()
	c.Files++
	c.Bytes += it.content.Size
	p.mu.Unlock()
	p.r.settle(it, a, nil)
}

// skip settles a file that can't be brought back.
func (p *planning) skip(it item, err error) {
	err = localError("restore", it.from, err)
	p.mu.Lock()
	p.plan.Skipped.Files++
	p.plan.Skipped.Bytes += it.content.Size
	p.failed = append(p.failed, failure(&it, err))
	p.mu.Unlock()
	p.r.settle(it, firn.Failed, err)
}

func failure(it *item, err error) catalog.FailedFile {
	return catalog.FailedFile{Tree: it.treeID, Path: it.from, Why: err.Error()}
}

// add counts what is to be brought back. Of a symbolic link that is all: what is
// there shows when it is made.
func (p *planning) add(it item) {
	p.mu.Lock()
	p.plan.Files++
	p.mu.Unlock()
	if p.r.DryRun {
		p.r.event(firn.Restored, it, nil)
	}
	p.r.leave(it.folder, false)
}

// rangesAtOnce is how many ranges are recorded in one transaction.
const rangesAtOnce = 5000

// record writes the ranges of a restore into the catalog.
func (p *planning) record(ctx context.Context, id, maxRange int64) error {
	if err := p.large.Split(maxRange); err != nil {
		return err
	}
	p.rest.Coalesce(p.r.Gap)
	if p.r.supply.Thaws {
		p.rest.Coalesce(math.MaxInt64) // whatever is wanted of an archive, one request brings it
	}
	batch := make([]catalog.RestoreRange, 0, rangesAtOnce)
	flush := func() error {
		err := p.r.Catalog.AddRanges(ctx, id, batch)
		batch = batch[:0]
		return err
	}
	for _, ranges := range []*plan.Ranges{&p.large, &p.rest} {
		last := int64(0)
		for piece := range ranges.All() {
			if piece.Archive != last {
				p.plan.Archives++
			}
			last = piece.Archive
			p.plan.DownloadBytes += piece.Download
			if size, whole := p.sizes[piece.Archive]; whole {
				piece.At = firn.Range{End: size}
			}
			batch = append(batch, catalog.RestoreRange{Archive: piece.Archive, Range: piece.At, Files: piece.Files, Bytes: piece.Bytes, Download: piece.Download, State: catalog.RangePlanned})
			if len(batch) == rangesAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// reckon completes a plan by what is asked for already, and how fast the rest
// may come.
func (p *planning) reckon(ctx context.Context, id int64, asker *retrieval.Asker) (Plan, error) {
	r, copyDays, copies := p.r, 0.0, int64(0) // bytes and days, and bytes
	for rg, err := range r.Catalog.RestoreRanges(ctx, id) {
		if err != nil {
			return Plan{}, err
		}
		if !slices.Contains(p.plan.classes, rg.Class) {
			p.plan.classes = append(p.plan.classes, rg.Class)
		}
		// What is read at once needs no job, and is charged for as it is read.
		job, ok := asker.Find(wantOf(&rg))
		hastens := ok && r.hastens(r.supply.Pace.Of(rg.Class), &job)
		if ok && r.readable(&job) && r.supply.Pace.Of(rg.Class) != firn.InstantPace {
			p.plan.AtOnce++
			continue
		}
		if ok && !hastens && (rg.Class == "" || r.supply.Pace.Of(rg.Class) != firn.InstantPace) {
			p.plan.Taken++
			continue
		}
		p.plan.Requests++
		p.plan.RetrieveBytes += rg.Range.Len()
		p.plan.share(&rg)
		if r.supply.Pace.Of(rg.Class) == firn.InstantPace {
			continue // no copy is made
		}
		copies += rg.Range.Len()
		if hastens { // its copy is charged for already
			p.plan.Hastened++
			continue
		}
		copyDays += float64(rg.Range.Len()) * float64(r.supply.ThawDays(r.Tiers[0], downloadOf(&rg), p.plan.Rate, p.plan.RateKnown))
	}
	p.plan.Tier = r.Tiers[0]
	if copies > 0 {
		p.plan.ThawDays = int(math.Ceil(copyDays / float64(copies)))
	}
	p.plan.schedule(r)
	return p.plan, p.plan.offers(r)
}

// readable reports whether a job of a store that thaws is one that nobody asked for:
// its archive can be read, and until no time that the store tells.
func (r *restorer) readable(job *firn.Job) bool {
	return r.supply.Thaws && job.State == firn.JobReady && job.Expires.IsZero()
}

// measure looks how fast the store's bytes arrive.
func (p *Plan) measure(ctx context.Context, r *restorer) (err error) {
	p.Rate, p.RateKnown, err = r.Catalog.DownloadRate(ctx, r.Row.ID)
	return err
}

// schedule works out in how many waves what a plan asks for comes, and when.
func (p *Plan) schedule(r *restorer) {
	p.Now = r.Clock.Now()
	p.supply = r.supply
	tier := p.Tier // of the slowest
	for i, class := range p.classes {
		pace := r.supply.Pace.Of(class)
		if i == 0 || p.supply.Pace.Slower(pace) != p.supply.Pace {
			s := Share{Class: class}
			p.supply.Pace, tier = pace, s.Tier(r.Tiers)
		}
	}
	p.Waves = p.supply.Waves(tier, p.RetrieveBytes, p.DownloadBytes, p.Rate, p.RateKnown)
	p.Earliest, p.Latest = plan.Journey{Supply: p.supply, Tier: tier, Waves: p.Waves, Retrieve: p.RetrieveBytes, Download: p.DownloadBytes,
		Rate: p.Rate, RateKnown: p.RateKnown, HourlyBytes: r.RetrieveRate}.Span(p.Now)
	if p.Requests+p.Taken == 0 || !r.slow {
		p.Earliest, p.Latest = p.Now, p.Now
	}
}

// By is the plan as it would be by another tier.
func (p Plan) By(tier firn.Tier, hourlyBytes int64) Plan {
	if tier == p.Tier {
		return p
	}
	if p.supply.Thaws && p.ThawDays > 0 {
		p.ThawDays += p.supply.ThawDays(tier, 0, p.Rate, p.RateKnown) - p.supply.ThawDays(p.Tier, 0, p.Rate, p.RateKnown)
		p.ThawDays = max(p.ThawDays, 1)
	}
	p.Tier = tier
	if p.supply.Thaws {
		p.Waves = p.supply.Waves(tier, p.RetrieveBytes, p.DownloadBytes, p.Rate, p.RateKnown)
	}
	p.Earliest, p.Latest = plan.Journey{Supply: p.supply, Tier: tier, Waves: p.Waves, Retrieve: p.RetrieveBytes, Download: p.DownloadBytes,
		Rate: p.Rate, RateKnown: p.RateKnown, HourlyBytes: hourlyBytes}.Span(p.Now)
	return p
}

// Tiers lists those that the store has, the one of the plan first, the others from
// the cheapest on.
func (p Plan) Tiers() []firn.Tier {
	all := []firn.Tier{p.Tier}
	for _, tier := range []firn.Tier{firn.Bulk, firn.Standard, firn.Expedited} {
		if tier != p.Tier && p.supply.Pace.Offers(tier) == nil {
			all = append(all, tier)
		}
	}
	return all
}

// wantOf is a range as the store is asked for it.
func wantOf(rg *catalog.RestoreRange) retrieval.Want {
	w := retrieval.Want{Remote: rg.Remote, Size: rg.ArchiveSize, Tree: rg.ArchiveTree, Class: rg.Class, Label: fmt.Sprint("archive ", rg.Remote)}
	if at := rg.Range; at != (firn.Range{End: rg.ArchiveSize}) {
		w.Range = &at
	}
	return w
}
