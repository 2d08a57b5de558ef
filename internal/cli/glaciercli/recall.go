package glaciercli

import (
	"context"
	"errors"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/wire"
)

// recall puts into the cache what uploads stored that were killed before they could:
// the catalog has it. Uploads that go on are passed over.
func (p *program) recall(ctx context.Context, s *session) error {
	runs, err := s.catalog.LeftRuns(ctx, s.entry.ID, uploadCommand)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := p.recallRun(ctx, s, run.ID); err != nil {
			return err
		}
	}
	return nil
}

// recallRun is recall of one run that had not ended when it was listed.
func (p *program) recallRun(ctx context.Context, s *session, id int64) error {
	lock, err := wire.LockRun(p.env(), id, "recall")
	if firn.KindOf(err) == firn.Conflict {
		return nil
	}
	if err != nil {
		return err
	}
	run, err := s.catalog.Run(ctx, id)
	if err == nil && run.Ended.IsZero() { // else it has just given its lock back
		err = p.recallDead(ctx, s, run)
	}
	return errors.Join(err, lock.Unlock())
}

// recallDead is recall of a run whose lock is the caller's.
func (p *program) recallDead(ctx context.Context, s *session, run catalog.Run) error {
	found := 0
	unsettled, err := s.catalog.LooseOf(ctx, run, func(a firn.Archive) error {
		found++
		return p.cache.Recall(ctx, foreign.CacheRow{
			ID: a.ID, Name: nameOf(a.Description), Vault: s.Location.Vault, Region: p.region, Key: s.key, Created: run.Started, Tree: a.Tree,
		})
	})
	isBeginning := found == 0 && p.Clock.Now().Sub(run.Started) < beginning
	if err != nil || unsettled || isBeginning {
		return err // it is looked at again
	}
	return s.catalog.EndRun(ctx, run, completeIf(errKilled))
}

// beginning is how long a run that has stored nothing may be one that has not got
// its lock yet.
const beginning = time.Hour

// errKilled is how a run ended that nobody ended.
var errKilled = errors.New("it was killed")

// recallAny is recall for commands that need nothing but the cache: where no upload
// goes on or was killed they stay away from all else. It reports whether there may be
// something new.
func (p *program) recallAny(ctx context.Context, vault string) (bool, error) {
	if !wire.AnyRuns(p.env()) {
		return false, nil
	}
	s, err := p.open(ctx, vault)
	if err != nil {
		return false, err
	}
	defer s.close()
	if s.known(ctx) != nil {
		return false, nil
	}
	return true, p.recall(ctx, s)
}
