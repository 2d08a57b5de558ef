// Package restore brings files back: it asks the store for the archives that
// hold them, waits as long as the store takes, downloads, verifies, and only
// then gives each file its name.
package restore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/transfer"
)

// Options say what to restore, and where to.
type Options struct {
	Catalog    *catalog.Catalog
	Row        catalog.Store
	Store      firn.Store
	Downloader *transfer.Downloader
	Clock      clock.Clock
	Events     firn.Sink

	// Trees are restored each below a folder of its name, a single one right
	// below To.
	Trees []catalog.Tree
	// Runs, unless nil, restores what was current after a run, which it has for
	// each tree by the tree's ID. Of a tree that isn't in it nothing is
	// restored: it wasn't there yet.
	Runs map[int64]int64
	// As is how the user said what Runs stand for. A restore that goes on over
	// days is found again by it, and keeps to the runs that it began with.
	As string
	// Paths are files, or folders with all that is below them; none: all.
	// What is named twice, or lies below another, is restored once.
	Paths []string
	// Globs, unless nil, choose among what Paths name: files that match, and
	// folders that do, with all that is below them.
	Globs *Globs
	// MaxFiles and MaxBytes bound what a restore brings, in walk order; 0: they
	// don't.
	MaxFiles, MaxBytes int64
	// To is made if need be. The folders of the trees get their own mode, owner
	// and times, those above Paths too, unless something below one is missing
	// yet; To itself only where a restore made it.
	To string
	// InPlace: To is the directory that the one tree was synced from. It has to
	// be there.
	InPlace bool
	// Overwrite says what becomes of files that are there; "": Never.
	Overwrite Overwrite
	// Lock, unless nil, keeps other restores away from the folder with this
	// real path, or fails; release gives it free.
	Lock func(realPath string) (release func() error, err error)
	// Identities gives what opens archives that are encrypted; it is called at
	// the first one. Nil: there are none.
	Identities func(context.Context) (seal.Identities, error)
	// Concurrency is how many files are worked on at a time.
	Concurrency int
	// DryRun tells what would be restored, and does nothing.
	DryRun bool
	// Agree, unless nil, is told what is going to be asked for, before anything
	// is; where it fails nothing is done. With DryRun it is told too.
	Agree func(context.Context, Plan) error

	Days
}

// Days are the options of restores from stores that take hours for a job.
type Days struct {
	// Wait stays until everything is there. Without it what can't be had yet
	// is asked for, and the result is pending.
	Wait bool
	// Poll is how often to ask; 0: retrieval.DefaultPoll, after the tier's earliest time.
	Poll time.Duration
	// Waker, unless nil, ends a wait when the store says that something is ready.
	Waker retrieval.Waker
	// Tiers are how fast to ask, in order of preference: a later one where the
	// store has no capacity for those before it. None: firn.Bulk.
	Tiers []firn.Tier
	// RetrieveRate bounds what is asked for, in bytes an hour; 0: it doesn't.
	RetrieveRate int64
	// Gap is how many bytes of an archive that nobody wants are asked for, rather
	// than asking once more: what costs as much as a request.
	Gap int64
	// Afford, unless nil, is asked before each retrieval, with all that was asked
	// for in the restore's life, this one too; after an error no more is. It is asked
	// too before copies are kept longer.
	Afford func(tier firn.Tier, all Spent) error
	// MaxRange is what is asked for of a large file at a time, in bytes, a power
	// of two in MiB; 0: as much as can be downloaded while it can be read.
	MaxRange int64
}

// Spent is what a restore asked for.
type Spent struct {
	Requests, Bytes int64 // retrievals
	// Stays are requests to have copies stay longer, of a store that thaws, and Kept
	// the bytes of these by days, as price.CopyDays has it.
	Stays, Kept int64
	// Slower are retrievals besides, which were made before by other tiers.
	Slower []Asked
}

// Asked is what was asked for by a tier.
type Asked struct {
	Tier     firn.Tier `json:"tier"`
	Requests int64     `json:"requests"`
	Bytes    int64     `json:"bytes"`
	// Again are bytes of it that were asked for by a faster tier while they were on
	// their way: they have one copy.
	Again int64 `json:"again,omitempty"`
}

// Globs choose paths.
type Globs struct {
	// Match reports whether a path in its tree is meant.
	Match func(path string, isFolder bool) bool
	// Text is what was typed, by which the choice is known again.
	Text string
}

// A Result counts what was done.
type Result struct {
	// Counts is nil where nothing was begun.
	Counts map[firn.Action]firn.Count
	// Ready is when what is pending may be there, as far as that is known.
	Ready time.Time
	// ID is that of the restore in the catalog; 0 where it took no days.
	ID int64
	// Done: it took days, and is over now.
	Done bool
}

// Failed reports whether anything was passed over after an error.
func (r Result) Failed() bool { return r.Counts[firn.Failed].Files > 0 }

// Pending reports whether jobs are under way that bring the rest.
func (r Result) Pending() bool { return r.Counts[firn.Pending].Files > 0 }

// Run restores. Errors of single files are events and counts; an error of Run
// means that it ended early. Doing it again goes on: what is in place already
// is found so by its hash, and jobs that exist are used. From a store that takes
// hours a restore goes on for days, in as many calls as it takes: one with the
// same store, target and choice of files goes on with it.
func Run(ctx context.Context, o Options) (res Result, err error) {
	o.Paths = outermost(o.Paths)
	if len(o.Tiers) == 0 {
		o.Tiers = []firn.Tier{firn.Bulk}
	}
	r := newRestorer(o)
	if r.real, err = realPath(o.To); err != nil {
		return Result{}, localError("restore to", o.To, err)
	}
	if o.Lock != nil && !o.DryRun {
		release, err := o.Lock(r.real)
		if err != nil {
			return Result{}, err
		}
		defer release()
	}
	defer func() { err = errors.Join(err, r.close()) }()
	switch {
	case r.slow && !o.DryRun:
		err = r.overDays(ctx)
	default:
		if err = r.checkPaths(ctx); err != nil {
			return Result{}, err
		}
		if o.DryRun {
			err = r.outlook(ctx)
		} else if err = r.agreeAtOnce(ctx); err == nil {
			err = r.atOnce(ctx)
		}
	}
	return Result{Counts: r.counts, Ready: r.ready, ID: r.id, Done: r.done}, err
}

func newRestorer(o Options) *restorer {
	return &restorer{
		Options: o, slow: !o.Store.Traits().InstantJobs, supply: plan.SupplyOf(o.Store.Traits()), counts: map[firn.Action]firn.Count{}, seed: maphash.MakeSeed(),
		windows: newWindows(o.Downloader, max(1, o.Concurrency)), openers: openers{held: map[int64]*seal.Opener{}, prefixes: map[int64][]byte{}},
		links: linkBook{files: map[linkKey]*linked{}}, tars: newTars(o.Concurrency), recent: recentJobs{jobs: map[int64]firn.JobID{}},
	}
}

// A restorer is one Run. It keeps nothing of a file that is done; of one that
// it waits for, a hash of its path.
type restorer struct {
	Options
	slow   bool // the store takes time for its jobs
	supply plan.Supply
	real   string // the target's path, with links followed
	target *target
	// windows are pieces of the bundles at hand
	windows *windows
	openers openers
	tars    *tars
	links   linkBook
	root    *firn.File // the target's own entry, where there is one
	id      int64      // of the restore, in the catalog
	done    bool
	ready   time.Time

	// One of these says where archives come from.
	recent recentJobs // at once
	days   *days      // over days
	// planning, while it is not nil, only looks what is to be done.
	planning *planning
	limits   limits

	seed maphash.Seed
	// waiting is what this round is about; nil in the first, which is about
	// everything.
	waiting pathSet
	// later: this process went over everything once, so folders are made.
	later bool

	mu     sync.Mutex
	next   pathSet // what is still to be waited for
	counts map[firn.Action]firn.Count
}

func (r *restorer) close() error {
	r.tars.close()
	if r.target == nil {
		return nil
	}
	return r.target.close()
}

// A pathSet holds hashes of paths. Two paths of one hash do no harm: a file that
// is looked at once more is found in its place.
type pathSet map[uint64]struct{}

// An item is a file or link that is to be in place.
type item struct {
	file    firn.File // Path is below the target
	from    string    // path in its tree, for messages
	tree    string
	treeID  int64
	content firn.Content
	loc     catalog.Location
	group   int64    // of hard links; 0: it has one name
	learned bool     // its hash was found out just now
	folder  *folder  // that it is in
	was     standing // what is in its place
}

// atOnce restores from a store whose jobs are ready as soon as they are asked
// for.
func (r *restorer) atOnce(ctx context.Context) (err error) {
	if err := r.openTarget(); err != nil {
		return err
	}
	for {
		r.next = pathSet{}
		if err := r.pass(ctx, r.file); err != nil {
			return err
		}
		if len(r.next) == 0 {
			return r.finish()
		}
		// An answer got lost.
		if err := r.sleep(ctx, len(r.next)); err != nil {
			return err
		}
		r.waiting = r.next
	}
}

// agreeAtOnce has agreed to what a restore costs that takes no days, where that is
// anything. The plan is another restorer's, which tells of no file.
func (r *restorer) agreeAtOnce(ctx context.Context) error {
	if r.Agree == nil || r.Afford == nil {
		return nil
	}
	o := r.Options
	o.Events, o.DryRun = firn.Discard, true
	quiet := newRestorer(o)
	quiet.real = r.real
	return errors.Join(quiet.outlook(ctx), quiet.close())
}

// openTarget opens the folder that is restored to, and makes it if need be.
func (r *restorer) openTarget() (err error) {
	if r.InPlace {
		r.target, err = openInPlace(r.To)
	} else {
		r.target, err = openTarget(r.To)
	}
	return err
}

// finish dresses the target, once all is in place.
func (r *restorer) finish() error {
	if r.counts[firn.Failed].Files+r.counts[firn.Pending].Files+r.counts[firn.Left].Files > 0 {
		return nil
	}
	return localError("restore to", r.To, r.target.finish(r.root))
}

// A work is what is done with each file that a pass is about. It settles the
// item; an error ends the run.
type work func(ctx context.Context, it item, done chan<- finished) error

// pass goes over everything once, and puts in place what can be had.
func (r *restorer) pass(outer context.Context, do work) error {
	g, ctx := errgroup.WithContext(outer)
	files := make(chan item) // without a buffer, so that none is ever left in it
	g.Go(func() error {
		defer close(files)
		return r.walk(ctx, files)
	})
	done := make(chan finished, commitsAtOnce)
	workers, working := errgroup.WithContext(ctx)
	for range max(1, r.Concurrency) {
		workers.Go(func() error {
			for it := range files {
				if err := do(working, it, done); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(done)
		return workers.Wait()
	})
	g.Go(func() error { return r.commitAll(ctx, done) })
	if err := g.Wait(); err != nil {
		return err
	}
	if outer.Err() != nil {
		return context.Cause(outer)
	}
	if r.target == nil {
		return nil
	}
	r.later = true
	return localError("restore to", r.To, r.target.flush.names())
}

// settle says what became of an item.
func (r *restorer) settle(it item, a firn.Action, err error) {
	r.event(a, it, err)
	r.links.settle(it, a == firn.Restored || a == firn.Equal)
	r.leave(it.folder, a == firn.Failed || a == firn.Pending || a == firn.Left)
}

// fail settles an item that can't be restored.
func (r *restorer) fail(it item, err error) {
	err = localError("restore", it.from, err)
	r.settle(it, firn.Failed, err)
	if r.days != nil {
		r.days.failed(it, err)
	}
}

// refuse settles an item that no folder was entered for.
func (r *restorer) refuse(it item, err error) {
	if r.planning != nil {
		r.planning.skip(it, err)
		return
	}
	r.fail(it, err)
}

// wait settles an item for this pass.
func (r *restorer) wait(ctx context.Context, it item) {
	if r.days != nil {
		r.days.lacks(ctx, &it)
	} else {
		r.mu.Lock()
		r.next[r.hash(it.file.Path)] = struct{}{}
		r.mu.Unlock()
	}
	r.links.settle(it, false)
	r.leave(it.folder, true)
}

func (r *restorer) hash(p string) uint64 { return maphash.String(r.seed, p) }

// wants reports whether a round is about the path.
func (r *restorer) wants(p string) bool {
	if r.waiting == nil {
		return true
	}
	_, ok := r.waiting[r.hash(p)]
	return ok
}

func (r *restorer) event(a firn.Action, it item, err error) {
	size := it.content.Size
	r.mu.Lock()
	c := r.counts[a]
	c.Files++
	c.Bytes += size
	r.counts[a] = c
	r.mu.Unlock()
	r.Events(firn.FileEvent{Action: a, Tree: it.tree, Path: it.file.Path, Size: size, Archive: it.loc.Remote, Err: err})
}

// sleep waits until it may be worth asking again.
func (r *restorer) sleep(ctx context.Context, files int) error {
	now := r.Clock.Now()
	wait := r.Poll
	if wait == 0 {
		wait = max(retrieval.DefaultPoll, r.ready.Sub(now))
	}
	r.Events(firn.WaitEvent{What: waitingFor(files), Until: now.Add(wait)})
	r.ready = time.Time{}
	return r.Clock.Sleep(ctx, wait)
}

func waitingFor(files int) string {
	if files == 1 {
		return "1 file that the store is getting ready"
	}
	return fmt.Sprintf("%d files that the store is getting ready", files)
}
