package syncer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
)

// LetGo says what became of archives that no file version needs any more.
type LetGo struct {
	Deleted firn.Count // archives
	Waiting firn.Count // archives that the store charges for still
	Until   time.Time  // when the last of those is free, by the store's clock
	// Kept: nothing was deleted, since the run could not store all there is: what
	// it didn't come to may be what an old archive holds.
	Kept bool
	// Unsaved: nothing was deleted, since the catalog could not be put into the
	// store before.
	Unsaved bool
}

// retireBatch is how many versions are forgotten in one commit.
const retireBatch = 1000

// mirror lets go what Modes say, now that all else of the run is recorded.
func (s *syncer) mirror(ctx context.Context) error {
	if !s.Modes.mirrors() {
		return nil
	}
	if s.hasToRetire() {
		if err := s.retire(ctx); err != nil {
			return err
		}
		if _, err := s.Catalog.QueueDeletions(ctx, s.this); err != nil {
			return err
		}
	}
	return s.deleteRetired(ctx)
}

// hasToRetire reports whether this run may have ended versions, or one before it
// that was cut short: only then it pays to go through all of them.
func (s *syncer) hasToRetire() bool {
	return s.unfinished || s.tally.has(firn.Sent) || s.tally.has(firn.Recorded) || s.tally.has(firn.Removed)
}

// hasUnfinished reports whether the last run of a tree that was to let versions
// go was cut short, or came to less than all.
func (o Options) hasUnfinished(ctx context.Context, tree int64) (bool, error) {
	runs, err := o.Catalog.LastRuns(ctx, o.Row.ID)
	for _, r := range runs { // newest first
		if r.Tree == tree && r.Command == mirrorRun {
			return !r.Complete, err
		}
	}
	return false, err
}

// retire forgets the versions that this run has replaced or removed, and those
// of earlier such runs that were cut short.
func (s *syncer) retire(ctx context.Context) error {
	var chosen []catalog.Entry
	flush := func() error {
		_, err := s.Catalog.Retire(ctx, s.this, s.retirement(), chosen)
		chosen = chosen[:0]
		return err
	}
	r := &retirer{Catalog: s.Catalog, mirrors: map[int64]bool{}, judged: func(e *catalog.Entry, goes bool) error {
		if !goes {
			return nil
		}
		if chosen = append(chosen, *e); len(chosen) < retireBatch {
			return nil
		}
		return flush()
	}}
	if err := r.judge(ctx, s.tree.ID); err != nil {
		return err
	}
	return flush()
}

// A retirer goes through the versions of a tree.
type retirer struct {
	*catalog.Catalog
	mirrors map[int64]bool // runs, whether they let versions go
	// ended is told of the versions of a path, oldest first, before they are judged;
	// nil: nobody is.
	ended func(path []catalog.Entry)
	// judged is told of each version whether it goes.
	judged func(e *catalog.Entry, goes bool) error
	path   []catalog.Entry // the versions of one path, oldest first
}

// judge says of each version of a tree whether it goes.
func (r *retirer) judge(ctx context.Context, tree int64) error {
	for e, err := range r.Files(ctx, catalog.ListQuery{Tree: tree, All: true}) {
		if err == nil {
			err = r.add(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return r.choose(ctx)
}

// add takes in the next version.
func (r *retirer) add(ctx context.Context, e catalog.Entry) error {
	if n := len(r.path); n > 0 && (r.path[0].Path != e.Path || (r.path[0].Kind == firn.Directory) != (e.Kind == firn.Directory)) {
		if err := r.choose(ctx); err != nil {
			return err
		}
	}
	r.path = append(r.path, e)
	return nil
}

// choose takes of one path the versions that go: all of them where it was
// removed, else those that were replaced.
func (r *retirer) choose(ctx context.Context) error {
	path := r.path
	r.path = r.path[:0]
	if len(path) == 0 {
		return nil
	}
	if r.ended != nil {
		r.ended(path)
	}
	last := path[len(path)-1]
	all, err := r.isMirror(ctx, last.Until)
	if err != nil {
		return err
	}
	all = all && last.Removed
	for i := range path {
		goes, err := r.isMirror(ctx, path[i].Until)
		if err == nil {
			err = r.judged(&path[i], goes || all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isMirror reports whether the versions that a run has ended are to go.
func (r *retirer) isMirror(ctx context.Context, run int64) (bool, error) {
	if run == 0 {
		return false, nil
	}
	mirrors, known := r.mirrors[run]
	if known {
		return mirrors, nil
	}
	ended, err := r.Run(ctx, run)
	if err != nil {
		return false, err
	}
	mirrors = ended.Command == mirrorRun
	r.mirrors[run] = mirrors
	return mirrors, nil
}

func (s *syncer) retirement() catalog.Retirement {
	return catalog.Retirement{MinAge: s.Store.Traits().MinDuration, Why: fmt.Sprintf("replaced or removed in %s", s.tree.Name)}
}

// suspect notes that the archive which holds a file is to go once it is sent
// again. Until another one is recorded, the file's version keeps it.
func (s *syncer) suspect(ctx context.Context, path string) error {
	versions, err := s.Catalog.History(ctx, s.tree.ID, path)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Until == 0 && v.Location.State == catalog.Stored {
			return s.Catalog.Suspect(ctx, s.this, s.retirement(), []int64{v.Location.Archive})
		}
	}
	return nil
}

// never is later than any deletion is due.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// deleteRetired deletes the archives that nothing needs, and that are free of
// fees or paid for early. It deletes none where the run could not store all
// there is, since a file that was moved and not read yet may be in one of them.
func (s *syncer) deleteRetired(ctx context.Context) error {
	info, err := s.Store.Describe(ctx)
	if err != nil {
		return err
	}
	s.letGo.Kept = !s.isComplete()
	due := info.Now
	if s.PayEarly && !s.letGo.Kept {
		fee, err := s.earlyFees(ctx, info.Now)
		if err != nil {
			return err
		}
		if s.Budget.paysFees(fee) {
			due = never
		}
	}
	if !s.letGo.Kept {
		if err := s.saveBefore(ctx, due); err != nil {
			return err
		}
	}
	if !s.letGo.Kept && !s.letGo.Unsaved {
		if err := s.deleteDue(ctx, due); err != nil {
			return err
		}
	}
	for d, err := range s.Catalog.Deletions(ctx, s.Row.ID, never) {
		if err != nil {
			return err
		}
		s.letGo.Waiting.Files++
		s.letGo.Waiting.Bytes += d.Size
		if d.NotBefore.After(s.letGo.Until) {
			s.letGo.Until = d.NotBefore
		}
	}
	return nil
}

// earlyFees is what it costs to delete now what is not free of fees yet.
func (s *syncer) earlyFees(ctx context.Context, now time.Time) (fee price.Sum, err error) {
	fee.Known = true
	for d, err := range s.Catalog.Deletions(ctx, s.Row.ID, never) {
		if err != nil {
			return fee, err
		}
		if left := d.NotBefore.Sub(now); left > 0 {
			fee = fee.Plus(s.Prices.Of(d.Class).EarlyDeletion(1, d.Size, left))
		}
	}
	return fee, nil
}

// deleteDue works off the queue as far as it is due.
func (s *syncer) deleteDue(ctx context.Context, due time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	archives := make(chan catalog.Deletion)
	group.Go(func() error {
		defer close(archives)
		for d, err := range s.scribe.looksUp(s.Catalog.Deletions(ctx, s.Row.ID, due)) {
			if err != nil {
				return err
			}
			select {
			case archives <- d:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	var mu sync.Mutex // over letGo
	for range s.Concurrency {
		group.Go(func() error {
			for d := range archives {
				deleted, err := s.deleteOne(ctx, d)
				if err != nil {
					return err
				}
				if deleted {
					mu.Lock()
					s.letGo.Deleted.Files++
					s.letGo.Deleted.Bytes += d.Size
					mu.Unlock()
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// deleteOne deletes an archive, unless something needs it again.
func (s *syncer) deleteOne(ctx context.Context, d catalog.Deletion) (bool, error) {
	err := s.Catalog.DeletionAsked(ctx, d.Archive)
	if kind := firn.KindOf(err); kind == firn.NotFound || kind == firn.Conflict {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	// Its answer may have been lost, and its name taken since by another.
	replaced, err := s.Catalog.Replaced(ctx, d.Archive)
	if err == nil && !replaced {
		err = firn.DeleteOnly(ctx, s.Store, d.Deletable())
		if replaced = firn.KindOf(err) == firn.Conflict; replaced {
			err = nil
		}
	}
	if err != nil {
		return false, err
	}
	if err := s.Catalog.MarkDeleted(context.WithoutCancel(ctx), s.this, d.Archive); err != nil || replaced {
		return false, err
	}
	return true, s.scribe.deleted(s.now(), d.Remote)
}
