// Package restore brings files back: it asks the store for the archives that
// hold them, waits as long as the store takes, downloads, verifies, and only
// then gives each file its name.
package restore

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/transfer"
)

// DefaultPoll is how often the store is asked for its jobs, once the tier's
// earliest time has passed.
const DefaultPoll = 15 * time.Minute

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
	Paths []string
	To    string
	Tier  firn.Tier
	// Wait stays until everything is there. Without it what can't be had yet
	// is asked for, and the result is pending.
	Wait bool
	// Poll is how often to ask; 0: DefaultPoll, after the tier's earliest time.
	Poll time.Duration
	// Concurrency is how many files are worked on at a time.
	Concurrency int
	// DryRun tells what would be restored, and does nothing.
	DryRun bool
}

// A Result counts what was done.
type Result struct {
	Counts map[firn.Action]firn.Count
	// Ready is when what is pending may be there, as far as that is known.
	Ready time.Time
}

// Failed reports whether anything was passed over after an error.
func (r Result) Failed() bool { return r.Counts[firn.Failed].Files > 0 }

// Pending reports whether jobs are under way that bring the rest.
func (r Result) Pending() bool { return r.Counts[firn.Pending].Files > 0 }

// An item is a file that must come from the store.
type item struct {
	file    firn.File // Path is below the target
	from    string    // path in its tree, for messages
	tree    string
	content firn.Content
	loc     catalog.Location
}

// Run restores. Errors of single files are events and counts; an error of Run
// means that it ended early. Doing it again goes on: what is in place already
// is found so by its hash, and jobs that exist are used.
func Run(ctx context.Context, o Options) (Result, error) {
	r := &restorer{Options: o, counts: map[firn.Action]firn.Count{}}
	if !o.DryRun {
		t, err := openTarget(o.To)
		if err != nil {
			return Result{}, err
		}
		defer t.close()
		r.target = t
	}
	err := r.run(ctx)
	return Result{Counts: r.counts, Ready: r.ready}, err
}

type restorer struct {
	Options
	target *target
	dirs   []firn.File // to be given mode and times at the end, in walk order
	ready  time.Time

	mu     sync.Mutex
	counts map[firn.Action]firn.Count
}

func (r *restorer) run(ctx context.Context) error {
	wanted, err := r.local(ctx)
	if err != nil || r.DryRun {
		return err
	}
	if err := r.fetch(ctx, wanted); err != nil {
		return err
	}
	return r.dressFolders()
}

// local does what needs no download: folders, links, empty files, and files
// that are in place. It gives what is left.
func (r *restorer) local(ctx context.Context) ([]item, error) {
	var wanted []item
	found := make([]bool, len(r.Paths))
	for _, tree := range r.Trees {
		run, there := r.Runs[tree.ID]
		if r.Runs != nil && !there {
			continue
		}
		for i, p := range r.pathsOrAll() {
			for e, err := range r.Catalog.Files(ctx, catalog.ListQuery{Tree: tree.ID, Path: p, At: run}) {
				if err != nil {
					return nil, err
				}
				if len(r.Paths) > 0 {
					found[i] = true
				}
				if it, need := r.place(ctx, tree, e); need {
					wanted = append(wanted, it)
				}
			}
		}
	}
	if i := slices.Index(found, false); i >= 0 {
		return nil, r.notFound(r.Paths[i])
	}
	return wanted, nil
}

func (r *restorer) notFound(p string) error {
	e := &firn.Error{Op: "restore", Subject: p, Kind: firn.NotFound, Err: errors.New("the store has no such file or folder"),
		Hint: "list what it has with firn ls, and older versions with firn history"}
	if r.Runs != nil {
		e.Err = errors.New("the store had no such file or folder then")
	}
	return e
}

func (r *restorer) pathsOrAll() []string {
	if len(r.Paths) == 0 {
		return []string{""}
	}
	return r.Paths
}

// place puts one entry in place if that needs no download, and reports
// whether it does need one.
func (r *restorer) place(ctx context.Context, tree catalog.Tree, e catalog.Entry) (item, bool) {
	it := item{file: e.File, from: e.Path, tree: tree.Name, content: e.Content, loc: e.Location}
	if len(r.Trees) > 1 {
		it.file.Path = path.Join(tree.Name, e.Path)
	}
	if it.file.Path == "" {
		r.dirs = append(r.dirs, it.file)
		return item{}, false // the target itself
	}
	if err := checkPath(it.file.Path); err != nil {
		r.fail(it, err)
		return item{}, false
	}
	if r.DryRun {
		r.event(firn.Restored, it, nil)
		return item{}, false
	}
	switch {
	case e.Kind == firn.Directory:
		if err := r.target.folder(it.file.Path); err != nil {
			r.fail(it, err)
			return item{}, false
		}
		r.dirs = append(r.dirs, it.file)
	case e.Kind == firn.Symlink:
		r.placeLink(it)
	default:
		return it, r.needs(ctx, it)
	}
	return item{}, false
}

func (r *restorer) placeLink(it item) {
	made, err := r.target.symlink(it.file)
	switch {
	case err != nil:
		r.fail(it, err)
	case made:
		r.event(firn.Restored, it, nil)
	default:
		r.event(firn.Equal, it, nil)
	}
}

// needs reports whether a file must be downloaded: not when it is in place
// already, when something else is, or when it is empty.
func (r *restorer) needs(ctx context.Context, it item) bool {
	state, err := r.target.compare(ctx, it.file.Path, it.content)
	switch {
	case err != nil:
		r.fail(it, err)
	case state == isEqual:
		r.event(firn.Equal, it, nil)
	case state == isOther:
		r.fail(it, fmt.Errorf("%s exists already, with other content; it stays as it is", it.file.Path))
	case it.content.Size == 0:
		r.finish(it, func(context.Context, *targetFile) error { return nil })(ctx)
	case it.loc.State != catalog.Stored:
		r.fail(it, errors.New("the store does not hold its content"))
	default:
		return true
	}
	return false
}

// finish gives the function that fills a temporary file, verified by fill,
// and puts it in its place.
func (r *restorer) finish(it item, fill func(context.Context, *targetFile) error) func(context.Context) error {
	return func(ctx context.Context) error {
		f, err := r.target.create(it.file.Path)
		if err != nil {
			return r.failed(it, err)
		}
		if err := fill(ctx, f); err != nil {
			r.target.discard(f, it.file.Path)
			return err
		}
		if err := r.target.commit(f, it.file, false); err != nil {
			return r.failed(it, err)
		}
		r.event(firn.Restored, it, nil)
		return nil
	}
}

// failed counts a local error against its file; a full disk ends the run,
// since every further file would fail too.
func (r *restorer) failed(it item, err error) error {
	if isFull(err) {
		return localError("restore", it.from, err)
	}
	r.fail(it, err)
	return nil
}

// dressFolders sets the folders' modes and times, the deepest first, since
// whatever is made in a folder changes its time.
func (r *restorer) dressFolders() error {
	for _, dir := range slices.Backward(r.dirs) {
		p := dir.Path
		if p == "" {
			p = "."
		}
		if err := r.target.syncFolder(p); err != nil {
			return localError("restore", dir.Path, err)
		}
		if err := r.target.dress(p, dir); err != nil {
			r.fail(item{file: dir, from: dir.Path}, err)
		}
	}
	return nil
}

func (r *restorer) fail(it item, err error) {
	r.event(firn.Failed, it, localError("restore", it.from, err))
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

// fetch brings the wanted files from the store: at once where jobs take no
// time, else in rounds.
func (r *restorer) fetch(ctx context.Context, wanted []item) error {
	var bytes int64
	for _, it := range wanted {
		bytes += it.content.Size
	}
	r.Events(firn.PlanEvent{Files: int64(len(wanted)), Bytes: bytes})
	for len(wanted) > 0 {
		left, err := r.round(ctx, wanted)
		if err != nil || len(left) == 0 {
			return err
		}
		if !r.Wait {
			for _, it := range left {
				r.event(firn.Pending, it, nil)
			}
			return nil
		}
		if err := r.sleep(ctx, len(left)); err != nil {
			return err
		}
		wanted = left
	}
	return nil
}

// round downloads what is ready, asks for what is not asked for, and gives
// what is not there yet.
func (r *restorer) round(ctx context.Context, wanted []item) ([]item, error) {
	jobs, err := r.jobs(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var left []item
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, r.Concurrency))
	for _, it := range wanted {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			pending, err := r.one(ctx, it, jobs)
			if pending {
				mu.Lock()
				left = append(left, it)
				mu.Unlock()
			}
			return err
		})
	}
	return left, g.Wait()
}
