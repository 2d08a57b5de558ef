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
	// Paths are files, or folders with all that is below them; none: all.
	// What is named twice, or lies below another, is restored once.
	Paths []string
	// To is made if need be. The folders of the trees get their own mode, owner
	// and times, those above Paths too, unless something below one is missing
	// yet; To itself only where a restore made it.
	To string
	// Lock, unless nil, keeps other restores away from the folder with this
	// real path, or fails; release gives it free.
	Lock func(realPath string) (release func() error, err error)
	Tier firn.Tier
	// Identities gives what opens archives that are encrypted; it is called at
	// the first one. Nil: there are none.
	Identities func(context.Context) (seal.Identities, error)
	// Wait stays until everything is there. Without it what can't be had yet
	// is asked for, and the result is pending.
	Wait bool
	// Poll is how often to ask; 0: retrieval.DefaultPoll, after the tier's earliest time.
	Poll time.Duration
	// Concurrency is how many files are worked on at a time.
	Concurrency int
	// DryRun tells what would be restored, and does nothing.
	DryRun bool
}

// A Result counts what was done.
type Result struct {
	// Counts is nil where nothing was begun.
	Counts map[firn.Action]firn.Count
	// Ready is when what is pending may be there, as far as that is known.
	Ready time.Time
}

// Failed reports whether anything was passed over after an error.
func (r Result) Failed() bool { return r.Counts[firn.Failed].Files > 0 }

// Pending reports whether jobs are under way that bring the rest.
func (r Result) Pending() bool { return r.Counts[firn.Pending].Files > 0 }

// Run restores. Errors of single files are events and counts; an error of Run
// means that it ended early. Doing it again goes on: what is in place already
// is found so by its hash, and jobs that exist are used.
func Run(ctx context.Context, o Options) (res Result, err error) {
	o.Paths = outermost(o.Paths)
	r := &restorer{Options: o, counts: map[firn.Action]firn.Count{}, seed: maphash.MakeSeed(), book: newJobBook(), windows: newWindows(o.Downloader), openers: openers{held: map[int64]*seal.Opener{}},
		links: linkBook{files: map[linkKey]*linked{}}, tars: newTars(o.Concurrency), slow: !o.Store.Traits().InstantJobs}
	if err := r.checkPaths(ctx); err != nil {
		return Result{}, err
	}
	if o.DryRun {
		err := r.walk(ctx, nil)
		return Result{Counts: r.counts}, err
	}
	if r.target, err = openTarget(o.To); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, r.target.close()) }()
	defer r.tars.close()
	if o.Lock != nil {
		release, err := o.Lock(r.target.real)
		if err != nil {
			return Result{}, err
		}
		defer release()
	}
	err = r.run(ctx)
	return Result{Counts: r.counts, Ready: r.ready}, err
}

// A restorer is one Run. It keeps nothing of a file that is done; of one that
// it waits for, a hash of its path.
type restorer struct {
	Options
	slow   bool // the store takes time for its jobs
	target *target
	// windows are pieces of the bundles at hand
	windows *windows
	openers openers
	tars    *tars
	links   linkBook
	root    *firn.File // the target's own entry, where there is one
	book    *jobBook
	ready   time.Time

	seed maphash.Seed
	// waiting is what this round is about; nil in the first, which is about
	// everything.
	waiting pathSet

	mu     sync.Mutex
	next   pathSet // what is still to be waited for
	counts map[firn.Action]firn.Count
}

// A pathSet holds hashes of paths. Two paths of one hash do no harm: a file that
// is looked at once more is found in its place.
type pathSet map[uint64]struct{}

// An item is a file or link that is to be in place.
type item struct {
	file    firn.File // Path is below the target
	from    string    // path in its tree, for messages
	tree    string
	content firn.Content
	loc     catalog.Location
	group   int64   // of hard links; 0: it has one name
	learned bool    // its hash was found out just now
	folder  *folder // that it is in
}

func (r *restorer) run(ctx context.Context) error {
	if err := r.pin(ctx); err != nil {
		return err
	}
	if err := r.rounds(ctx); err != nil {
		return err
	}
	if r.slow {
		if err := r.book.close(ctx, r); err != nil {
			return err
		}
	}
	if r.counts[firn.Failed].Files+r.counts[firn.Pending].Files > 0 {
		return nil
	}
	return localError("restore to", r.To, r.target.finish(r.root))
}

// pin makes all rounds be about what is current now, since syncs may run while
// the store takes its hours.
func (r *restorer) pin(ctx context.Context) error {
	if !r.slow || !r.Wait || r.Runs != nil {
		return nil
	}
	r.Runs = map[int64]int64{}
	always := r.Clock.Now().AddDate(100, 0, 0) // a clock may have been ahead
	for _, tree := range r.Trees {
		run, err := r.Catalog.RunAt(ctx, tree.ID, always)
		if err != nil && firn.KindOf(err) != firn.NotFound {
			return err
		}
		r.Runs[tree.ID] = run.ID
	}
	return nil
}

// rounds go over everything once, and then over what has to be waited for.
func (r *restorer) rounds(ctx context.Context) error {
	for {
		r.next = pathSet{}
		if err := r.round(ctx); err != nil || len(r.next) == 0 {
			return err
		}
		if err := r.sleep(ctx, len(r.next)); err != nil {
			return err
		}
		r.waiting = r.next
	}
}

// round puts in place what can be had, and asks for what was not asked for.
func (r *restorer) round(outer context.Context) error {
	if r.slow {
		if err := r.listJobs(outer); err != nil {
			return err
		}
	}
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
				if err := r.file(working, it, done); err != nil {
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
	return localError("restore to", r.To, r.target.flush.names())
}

// settle says what became of an item.
func (r *restorer) settle(it item, a firn.Action, err error) {
	r.event(a, it, err)
	r.note(it, a == firn.Restored || a == firn.Equal)
	r.links.settle(it, a == firn.Restored || a == firn.Equal)
	r.leave(it.folder, a == firn.Failed || a == firn.Pending)
}

// fail settles an item that can't be restored.
func (r *restorer) fail(it item, err error) {
	r.settle(it, firn.Failed, localError("restore", it.from, err))
}

// wait settles an item for this round, or, without Wait, for good.
func (r *restorer) wait(it item) {
	if !r.Wait {
		r.settle(it, firn.Pending, nil)
		return
	}
	r.mu.Lock()
	r.next[r.hash(it.file.Path)] = struct{}{}
	r.mu.Unlock()
	r.links.settle(it, false)
	r.leave(it.folder, true)
}

// note keeps, where jobs are worth it, whether the files of an archive are in
// place.
func (r *restorer) note(it item, there bool) {
	if r.slow && it.loc.Archive != 0 {
		r.book.settle(it.loc.Archive, there)
	}
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
