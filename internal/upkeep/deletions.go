package upkeep

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/snapshot"
)

// DeletionOptions say whose queue of deletions is worked off.
type DeletionOptions struct {
	Catalog *catalog.Catalog
	Row     catalog.Store // the store's row in the catalog
	Run     catalog.Run   // under way; of the whole store
	Store   firn.Store
	// Snapshots puts the catalog into the store before anything is deleted; nil:
	// nobody does.
	Snapshots *snapshot.Maker
	Events    firn.Sink
	// Concurrency is how many archives are deleted at a time.
	Concurrency int
	// PayEarly deletes also what the store charges for still.
	PayEarly bool
}

// A DeletionResult says what became of a queue.
type DeletionResult struct {
	Deleted firn.Count // archives
	// Waiting is charged for still; the first of it is free at Next, the last at
	// Until, by the store's clock.
	Waiting     firn.Count
	Next, Until time.Time
	// Held is due, but a restore waits for it, there may be two of it, or a sync
	// that replaces or removes has yet to store all files.
	Held firn.Count
	// Unsaved: nothing was deleted, since the catalog could not be put into the
	// store before.
	Unsaved bool
}

// Pending reports whether anything is left to be deleted.
func (r DeletionResult) Pending() bool { return r.Waiting.Files+r.Held.Files > 0 }

// Failed reports whether what was due couldn't be done.
func (r DeletionResult) Failed() bool { return r.Unsaved }

// never is later than any deletion is due.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// DeleteDue deletes the archives of a store's queue that are free of fees, or
// paid for early. The catalog is put into the store first: else a machine that is
// lost afterwards would be recovered with versions whose content is gone. Cut
// short at any moment, it goes on when it is called again.
func DeleteDue(ctx context.Context, o DeletionOptions) (res DeletionResult, err error) {
	info, err := o.Store.Describe(ctx)
	if err != nil {
		return res, err
	}
	d := &deleter{DeletionOptions: o, due: info.Now, mirrors: map[int64]bool{}}
	if o.PayEarly {
		d.due = never
	}
	if err := d.findOpenMirrors(ctx); err != nil {
		return res, err
	}
	if res.Unsaved, err = d.save(ctx); err != nil {
		return res, err
	}
	if !res.Unsaved {
		if err = d.run(ctx); err != nil {
			res.Deleted = d.deleted
			return res, err
		}
	}
	res.Deleted = d.deleted
	return res, d.sumUp(ctx, &res, info.Now)
}

// mirrorRun is the command of a sync that replaces or removes, as the catalog has
// it.
const mirrorRun = "mirror"

// A deleter works off one queue.
type deleter struct {
	DeletionOptions
	due time.Time
	// unfinished are trees whose last mirror could not store all there is: what
	// those let go of may be the only copy of a file that was moved.
	unfinished map[int64]bool
	mirrors    map[int64]bool // runs, whether they are such a mirror

	mu      sync.Mutex
	deleted firn.Count
}

func (d *deleter) findOpenMirrors(ctx context.Context) error {
	runs, err := d.Catalog.LastRuns(ctx, d.Row.ID)
	seen := map[int64]bool{}
	d.unfinished = map[int64]bool{}
	for _, r := range runs { // newest first
		if r.Command == mirrorRun && !seen[r.Tree] {
			seen[r.Tree] = true
			d.unfinished[r.Tree] = !r.Complete
		}
	}
	return err
}

// isHeld reports whether a run that made a candidate is a mirror whose tree is
// not stored whole.
func (d *deleter) isHeld(ctx context.Context, id int64) (bool, error) {
	if held, known := d.mirrors[id]; known {
		return held, nil
	}
	run, err := d.Catalog.Run(ctx, id)
	if err != nil && firn.KindOf(err) != firn.NotFound {
		return false, err
	}
	d.mirrors[id] = run.Command == mirrorRun && d.unfinished[run.Tree]
	return d.mirrors[id], nil
}

// queue lists what is due by a time, without what is held.
func (d *deleter) queue(ctx context.Context, due time.Time) iter.Seq2[catalog.Deletion, error] {
	return func(yield func(catalog.Deletion, error) bool) {
		for one, err := range d.Catalog.Deletions(ctx, d.Row.ID, due) {
			held := false
			if err == nil {
				held, err = d.isHeld(ctx, one.Run)
			}
			if !held && !yield(one, err) || err != nil {
				return
			}
		}
	}
}

// save puts the catalog into the store, where anything is due. It reports whether
// that failed, which is told.
func (d *deleter) save(ctx context.Context) (unsaved bool, err error) {
	if d.Snapshots == nil {
		return false, nil
	}
	for _, err := range d.queue(ctx, d.due) {
		if err != nil {
			return false, err
		}
		err = d.Snapshots.Make(ctx, d.Run)
		if err != nil && ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err != nil {
			d.Events(firn.NoticeEvent{Text: "nothing is deleted: " + err.Error(), Warn: true})
		}
		return err != nil, nil
	}
	return false, nil
}

// run deletes what is due.
func (d *deleter) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	archives := make(chan catalog.Deletion)
	group.Go(func() error {
		defer close(archives)
		for one, err := range d.queue(ctx, d.due) {
			if err != nil {
				return err
			}
			select {
			case archives <- one:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	for range max(1, d.Concurrency) {
		group.Go(func() error {
			for one := range archives {
				if err := d.delete(ctx, one); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// delete deletes one archive, unless something needs it again.
func (d *deleter) delete(ctx context.Context, one catalog.Deletion) error {
	err := d.Catalog.DeletionAsked(ctx, one.Archive)
	if kind := firn.KindOf(err); kind == firn.NotFound || kind == firn.Conflict {
		return nil
	}
	if err != nil {
		return err
	}
	// Its answer may have been lost, and its name taken since by another.
	replaced, err := d.Catalog.Replaced(ctx, one.Archive)
	if err == nil && !replaced {
		err = firn.DeleteOnly(ctx, d.Store, one.Deletable())
		if replaced = firn.KindOf(err) == firn.Conflict; replaced {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if err := d.Catalog.MarkDeleted(context.WithoutCancel(ctx), d.Run, one.Archive); err != nil {
		return err
	}
	if replaced {
		d.Events(firn.NoticeEvent{Text: fmt.Sprintf("%s is gone already: another archive has its name", one.Remote), Detail: true})
		return nil
	}
	d.Events(firn.NoticeEvent{Text: fmt.Sprintf("deleted %s: %s", one.Remote, one.Why), Detail: true})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deleted.Files++
	d.deleted.Bytes += one.Size
	return nil
}

// sumUp counts what is left.
func (d *deleter) sumUp(ctx context.Context, res *DeletionResult, now time.Time) error {
	for one, err := range d.queue(ctx, never) {
		if err != nil {
			return err
		}
		if !one.NotBefore.After(now) {
			continue // it came to be due just now, or could not be deleted
		}
		res.Waiting.Files++
		res.Waiting.Bytes += one.Size
		if res.Next.IsZero() {
			res.Next = one.NotBefore
		}
		res.Until = one.NotBefore // they come by that
	}
	all, err := d.Catalog.DeletionQueue(ctx, d.Row.ID)
	res.Held = firn.Count{Files: all.Archives.Files - res.Waiting.Files, Bytes: all.Archives.Bytes - res.Waiting.Bytes}
	return err
}
