package cli

import (
	"context"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// settling is what single archives are settled with, in a run.
func (s *session) settling(row catalog.Store, run catalog.Run) reconcile.Options {
	return reconcile.Options{
		Catalog: s.catalog, Row: row.ID, Store: s.store, Run: run,
		Clock: s.env.Clock, Events: s.env.Events, Single: transfer.MaxSingle,
	}
}

// settleLoose settles what runs of archive upload left open that were killed:
// those whose locks can be had. What is wanted of it, to go on with, is the caller's
// until release.
func settleLoose(ctx context.Context, s *session, row catalog.Store, run catalog.Run, wanted func(catalog.Intent) bool) (res reconcile.Result, release func(), err error) {
	return loose.Settle(ctx, s.settling(row, run), wanted, func(run int64) (func() error, error) {
		l, err := wire.LockRun(s.env, run, "settle")
		if err != nil {
			return nil, err
		}
		return l.Unlock, nil
	})
}

// settleLeftLoose is settleLoose for other commands on the store: it begins a
// run only where something is open.
func settleLeftLoose(ctx context.Context, s *session, row catalog.Store) (res reconcile.Result, err error) {
	intents, err := s.catalog.OpenIntents(ctx, row.ID)
	if err != nil {
		return res, err
	}
	any := false
	for _, in := range intents {
		any = any || in.Kind == catalog.LooseArchive
	}
	if !any {
		return res, nil
	}
	run, err := s.catalog.BeginRun(ctx, row.ID, 0, "refresh")
	if err != nil {
		return res, err
	}
	res, release, err := settleLoose(ctx, s, row, run, func(catalog.Intent) bool { return false })
	release()
	if endErr := s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}); err == nil {
		err = endErr
	}
	return res, err
}

// tidyLoose is settleLeftLoose for a command that has other things to do, and
// does them also where that fails.
func tidyLoose(ctx context.Context, s *session, row catalog.Store) {
	if _, err := settleLeftLoose(ctx, s, row); err != nil && ctx.Err() == nil {
		s.ui.Warn("what an interrupted firn archive upload left in the store can't be settled: " + err.Error())
	}
}
