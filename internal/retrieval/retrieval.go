// Package retrieval brings bytes out of a store over days: it asks for archives,
// or ranges of them, waits as long as the store takes, and hands out what is
// ready. An archive need not be known to the catalog. What was asked for stands
// there, so that nothing is asked for twice, by whatever process, and a process
// that was killed at any moment is followed by one that goes on.
package retrieval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// Options are what an Asker works with.
type Options struct {
	Catalog    *catalog.Catalog
	Row        int64      // of the store in the catalog
	Store      firn.Store // that the row stands for
	Downloader *transfer.Downloader
	Clock      clock.Clock // clock.System
	Events     firn.Sink   // firn.Discard
	Tier       firn.Tier   // of what is asked for; firn.Bulk
	Run        catalog.Run // that asks
	// Poll is how often to ask what is ready; 0: DefaultPoll, after the tier's
	// earliest time.
	Poll time.Duration
	// Concurrency is how many wants are worked on, and asked for, at a time; 0: 4. More
	// may call Ask side by side: what they record meanwhile is recorded together.
	Concurrency int
	// Waker hears from the store when something is ready; nil: nobody does, and
	// the store is asked every so often.
	Waker Waker
}

// A Want is an archive, or a range of one, that is to be brought.
type Want struct {
	Remote firn.ArchiveID
	Range  *firn.Range   // of the archive, MiB-aligned; nil: all of it
	Size   int64         // of the archive, in bytes; 0: not known
	Tree   treehash.Hash // of the archive; zero: not known
	Row    int64         // of the archive in the catalog; 0: it is looked for
	// Class is the archive's storage class in S3, whose tiers it has; empty: the store's.
	Class string
	// Label is what it is, for people. The store isn't told.
	Label string
}

// each is what is done with a want when it is ready.
type each = func(ctx context.Context, w Want, r *Ready) error

// A Failure is a want that can't be had.
type Failure struct {
	Want Want
	Err  error
}

// A Result says what is left. Beside an error it is not complete.
type Result struct {
	// Pending are wants that the store is getting ready.
	Pending []Want
	// Ready is when the first of them may be there, as far as that is known.
	Ready time.Time
	// Failed are wants that were given up, and won't be asked for again.
	Failed []Failure
}

// startTries bounds how often a want is asked for in one run, where its jobs fail
// or expire: each costs money.
const startTries = 3

// An Asker asks one store. Find, Ask, Fetched, Gone, Why and Output may run side
// by side; of its other methods one may run at a time, and none of those beside
// it.
//
// A driver that decides itself what is asked for, and when, begins with Look, and
// then uses Find, Ask, Output, Fetched and Gone; Run and Round do no more.
type Asker struct {
	o     Options
	slow  bool // the store takes time for its jobs
	whole bool // its archives can only thaw whole
	pace  firn.Pace
	book  *book
	seed  maphash.Seed
	// asking holds off a second want of one archive while the first asks.
	asking [512]sync.Mutex
	slots  *semaphore.Weighted // for requests that ask
	looked time.Duration       // how long the last look took
	deaf   bool                // it was told that the Waker hears nothing
	// anyPace: the server may be done at any time; nobody said how often to ask it.
	anyPace bool
	pause   time.Duration // the last one of those that grow until it is asked as any; 0: none yet

	stays Stays

	mu    sync.Mutex                      // of what follows
	left  map[string]Want                 // of the round: those that are not settled
	res   Result                          // of the round
	tried [startTries]map[uint64]struct{} // hashes of what was asked for once, twice, ...
	gone  map[firn.JobID]bool             // jobs that the store may list, though their output is gone
	// unsure: it was told that nobody knows what became of a request.
	unsure bool
	// answers is when the last request without an answer counts as never made; zero: there
	// was none.
	answers time.Time
	came    bool // something was fetched since the last pause
}

// key tells wants apart.
func (w *Want) key() string {
	if w.Range == nil {
		return string(w.Remote)
	}
	return output(w.Remote, w.Size, *w.Range)
}

// New gives an Asker.
func New(o Options) *Asker {
	o.Tier = cmp.Or(o.Tier, firn.Bulk)
	o.Concurrency = cmp.Or(o.Concurrency, transfer.DefaultConcurrency)
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Events == nil {
		o.Events = firn.Discard
	}
	traits := o.Store.Traits()
	return &Asker{
		slots: semaphore.NewWeighted(int64(o.Concurrency)),
		o:     o, slow: !traits.InstantJobs, whole: traits.ThawsWhole, pace: traits.Pace, anyPace: traits.AnyPace && o.Poll == 0, book: newBook(traits.Pace), seed: maphash.MakeSeed(),
		gone: map[firn.JobID]bool{},
	}
}

// Run goes over the wants until none is pending, or, unless it is to wait, once.
// It calls each, from several goroutines at once, with every want that is ready.
// An error of each that is of kind NotReady or Lost leaves the want pending, one
// of kind NotFound, Corrupt, Invalid, Local, Capacity or Policy is its Failure,
// and any other ends the run. Where a download found that the job's output is
// gone, the archive is asked for again, a few times.
//
// After an error of Run what was asked for is asked for still: a later Run finds
// it.
func (a *Asker) Run(ctx context.Context, wants []Want, each func(ctx context.Context, w Want, r *Ready) error, wait bool) (Result, error) {
	var failed []Failure
	for {
		res, err := a.Round(ctx, wants, each)
		failed = append(failed, res.Failed...)
		if err != nil || len(res.Pending) == 0 || !wait {
			res.Failed = failed
			return res, err
		}
		if err := a.Sleep(ctx, waitingFor(len(res.Pending)), res.Ready); err != nil {
			res.Failed = failed
			return res, err
		}
		wants = res.Pending
	}
}

func waitingFor(archives int) string {
	if archives == 1 {
		return "1 archive that the store is getting ready"
	}
	return fmt.Sprintf("%d archives that the store is getting ready", archives)
}

// Round looks once at what the store has ready, calls each with that, and asks
// for what nobody has asked for yet. See Run.
func (a *Asker) Round(ctx context.Context, wants []Want, each func(ctx context.Context, w Want, r *Ready) error) (Result, error) {
	a.res = Result{}
	if len(wants) == 0 {
		return a.res, nil
	}
	if err := a.Look(ctx); err != nil {
		return Result{Pending: wants}, err
	}
	a.left = make(map[string]Want, len(wants))
	for _, w := range wants {
		a.left[w.key()] = w
	}
	defer func() { a.left = nil }()
	// Whole archives first: a job that brings one serves all ranges of it.
	for _, whole := range []bool{true, false} {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(a.o.Concurrency)
		for i := range wants {
			if w := wants[i]; (w.Range == nil) == whole && gctx.Err() == nil {
				g.Go(func() error { return a.settle(gctx, w, a.bring(gctx, w, each)) })
			}
		}
		if err := g.Wait(); err != nil {
			return a.res, err
		}
		if ctx.Err() != nil {
			return a.res, context.Cause(ctx)
		}
	}
	return a.res, nil
}

// settle notes what became of a want; an error ends the round.
func (a *Asker) settle(ctx context.Context, w Want, err error) error {
	a.mu.Lock()
	delete(a.left, w.key())
	a.mu.Unlock()
	if err == nil {
		a.stayRound(ctx)
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch firn.KindOf(err) {
	case firn.NotReady, firn.Lost:
		a.res.Pending = append(a.res.Pending, w)
		return nil
	case firn.NotFound, firn.Corrupt, firn.Invalid, firn.Local, firn.Capacity, firn.Policy:
		a.res.Failed = append(a.res.Failed, Failure{w, err})
		return nil
	}
	return err
}

// bring calls each with a want, if it is ready, and sees to it that it will be.
func (a *Asker) bring(ctx context.Context, w Want, each each) error {
	if err := w.check(); err != nil {
		return err
	}
	for {
		job, err := a.job(ctx, w)
		if err != nil {
			return err
		}
		if job.State != firn.JobReady {
			a.expect(job)
			return &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.NotReady, Err: errors.New("the store is getting it ready")}
		}
		r, err := a.Output(w, job)
		if err == nil {
			err = each(ctx, w, r)
		}
		switch {
		case err == nil:
			return a.Fetched(ctx, w, job)
		case !r.Gone() || ctx.Err() != nil:
			return err
		}
		if err := a.Gone(ctx, w, job, "its output expired"); err != nil {
			return err
		}
	}
}

// job gives the best job for a want, and starts one if there is none, but not
// too often.
func (a *Asker) job(ctx context.Context, w Want) (firn.Job, error) {
	defer a.alone(w.Remote)()
	if job, ok := a.Find(w); ok {
		return a.told(ctx, w, job)
	}
	if err := a.Try(w); err != nil {
		return firn.Job{}, err
	}
	return a.start(ctx, w, a.o.Tier, 0)
}

// told gives a ready job with the archive's tree hash, where nothing else tells
// that: not every store's list of jobs does.
func (a *Asker) told(ctx context.Context, w Want, job firn.Job) (firn.Job, error) {
	if !a.whole || job.State != firn.JobReady || !w.Tree.IsZero() || !job.ArchiveTree.IsZero() {
		return job, nil
	}
	described, err := a.o.Store.Job(ctx, job.ID)
	if err != nil {
		return job, err
	}
	job.ArchiveTree, job.RangeTree = described.ArchiveTree, described.RangeTree
	return job, nil
}

// Try counts that a want is about to be asked for. Errors: Invalid, where that was
// done so often in this run, in vain, that it is given up.
func (a *Asker) Try(w Want) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := maphash.String(a.seed, w.key())
	for i := range a.tried { // not a number for each: there are very many, and few are tried twice
		if _, before := a.tried[i][key]; before {
			continue
		}
		if a.tried[i] == nil {
			a.tried[i] = map[uint64]struct{}{}
		}
		a.tried[i][key] = struct{}{}
		return nil
	}
	err := fmt.Errorf("it was asked for %d times, in vain", startTries)
	if why := a.Why(w.Remote); why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	return &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: err, Hint: "try again later, with another tier perhaps"}
}

// check normalises a want, and finds what no store would take.
func (w *Want) check() error {
	if w.Remote == "" || w.Size < 0 {
		return &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: fmt.Errorf("an archive of %d bytes, with the id %q", w.Size, w.Remote)}
	}
	if w.Range == nil {
		return nil
	}
	if at := *w.Range; at.Start < 0 || at.Len() <= 0 || at.Start%treehash.LeafSize != 0 || w.Size > 0 && !treehash.LeafAligned(w.Size, at.Start, at.End) {
		return &firn.Error{Op: "retrieve", Subject: w.Label, Kind: firn.Invalid, Err: fmt.Errorf("bytes %d to %d of %d are no range of whole MiB", at.Start, at.End, w.Size)}
	}
	return nil
}

// expect remembers when the first of the running jobs may be done.
func (a *Asker) expect(job firn.Job) {
	at := ExpectedAt(a.pace, job)
	if at.IsZero() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.res.Ready.IsZero() || at.Before(a.res.Ready) {
		a.res.Ready = at
	}
}
