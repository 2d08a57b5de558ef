package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

type refreshOptions struct {
	app           *app
	Store         string
	Fix           bool
	ExpectChanges bool
	New           bool
	MaxAge        time.Duration
	Wait          bool
	Poll          time.Duration

	Common storeOptions
}

// defaultMaxAge is how old an inventory may be that agreed: that of glacier-cli,
// which leaves a weekend without one.
const defaultMaxAge = 80 * time.Hour

func newStoreRefreshCmd(a *app, run func(context.Context, *refreshOptions) error) *cobra.Command {
	o := &refreshOptions{app: a}
	cmd := &cobra.Command{
		Use:   "refresh STORE",
		Short: "compare a store's inventory with the catalog, and settle what is in doubt",
		Long: `Compare the inventory of STORE, the list of all archives in it, with the catalog, and
tell what differs: archives that are gone, or other than recorded, or that the
catalog doesn't know, since the answer to an upload was lost, another machine stored
them, or another program. With --fix the catalog is made to say what the store says;
what is gone is sent again by the next firn sync. In the store nothing changes, but
that a copy is deleted that was stored twice after a lost answer.

First it settles what earlier runs left open: interrupted uploads, by the store's
list of uploads, and archives in doubt. Trees that are being synced at the moment are
left alone.

A vault takes hours for an inventory, and makes one about once a day: what was stored
or deleted in the last two days may not show. An inventory that anybody asked for and
that is ready is used, else one is asked for, and the status is 75: the same command,
called again later, goes on. Where an inventory less than --max-age old agreed already,
nothing is asked. The status is 3 where differences remain (docs/refresh.md).`,
		Example: `  firn store refresh glacier:photos
  firn store refresh glacier:photos --wait --fix
  firn store refresh glacier:photos --verbose --new`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.Fix, "fix", false, "make the catalog say what the store says")
	f.BoolVar(&o.ExpectChanges, "expect-changes", false, "with --fix: give up archives even if more than a quarter, and 1,000, are gone")
	f.DurationVar(&o.MaxAge, "max-age", defaultMaxAge, "be content with an inventory that agreed, and is not older")
	f.BoolVar(&o.New, "new", false, "ask for a new inventory, even if one is ready")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until the inventory is there")
	addPoll(f, &o.Poll, "whether it is", "three hours have passed")
	o.Common.addFlags(f, false, true)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func runStoreRefresh(ctx context.Context, o *refreshOptions) error {
	if o.MaxAge < 0 {
		return wrongUsage("refresh", "--max-age %s is below zero", o.MaxAge)
	}
	if o.ExpectChanges && !o.Fix {
		return wrongUsage("refresh", "--expect-changes goes with --fix")
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	o.app.begin(ctx, s, s.loc.String())
	// Nobody else reads the inventory into the catalog meanwhile.
	lock, err := wire.LockStore(s.env, row, "store refresh")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	settled, err := settleStore(ctx, s, row)
	if err != nil {
		return err
	}
	status := showSettled(s, settled)
	v := newRefreshView(s, o)
	res, err := o.refresh(ctx, s, row, v)
	if err != nil {
		return errors.Join(err, status)
	}
	o.app.expect(res.Ready)
	return errors.Join(status, v.report(ctx, row, res))
}

func (o *refreshOptions) refresh(ctx context.Context, s *session, row catalog.Store, v *refreshView) (upkeep.RefreshResult, error) {
	waker, err := s.store.Waker(ctx, s.catalog, row)
	if err != nil {
		return upkeep.RefreshResult{}, err
	}
	run, err := s.catalog.BeginRun(ctx, row.ID, 0, "refresh")
	if err != nil {
		return upkeep.RefreshResult{}, err
	}
	return upkeep.Refresh(ctx, upkeep.RefreshOptions{
		Catalog: s.catalog, Row: row, Store: s.store, Run: run, Now: s.store.Info.Now, Events: s.env.Events,
		Asker: retrieval.New(retrieval.Options{
			Catalog: s.catalog, Row: row.ID, Store: s.store, Clock: s.env.Clock, Events: s.env.Events, Run: run, Poll: o.Poll, Waker: waker,
		}),
		Fix: o.Fix, ExpectChanges: o.ExpectChanges, MaxAge: o.MaxAge, New: o.New, Wait: o.Wait && !o.app.once, Each: v.each,
	})
}

// settleStore settles what earlier runs left open, in all trees and in none.
func settleStore(ctx context.Context, s *session, row catalog.Store) (all reconcile.Result, err error) {
	trees, err := s.catalog.Trees(ctx, row.ID)
	if err != nil {
		return all, err
	}
	var errs []error
	add := func(res reconcile.Result, err error) {
		errs = append(errs, err)
		all.Pending = append(all.Pending, res.Pending...)
		all.Resumable = append(all.Resumable, res.Resumable...)
		all.Doubles += res.Doubles
	}
	for _, tree := range trees {
		add(settleTree(ctx, s, row, tree))
	}
	add(settleLeftLoose(ctx, s, row))
	return all, errors.Join(errs...)
}

// settleTree settles what earlier runs of one tree left open. A tree that is being
// synced has nothing to settle: what is open there is under way.
func settleTree(ctx context.Context, s *session, row catalog.Store, tree catalog.Tree) (reconcile.Result, error) {
	lock, err := wire.LockTree(ctx, s.env, row, tree.Name, 0)
	if wire.IsHeld(err) {
		s.ui.Notice(fmt.Sprintf("the tree %s is being synced: what it has open is under way", tree.Name))
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	defer lock.Unlock()
	run, err := s.catalog.BeginRun(ctx, row.ID, tree.ID, "refresh")
	if err != nil {
		return reconcile.Result{}, err
	}
	res, err := reconcile.Run(ctx, reconcile.Options{
		Catalog: s.catalog, Row: row.ID, Store: s.store, Run: run, Tree: tree.ID,
		Clock: s.env.Clock, Events: s.env.Events, Single: transfer.MaxSingle,
	})
	return res, errors.Join(err, s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}))
}

// showSettled tells what is open still.
func showSettled(s *session, res reconcile.Result) error {
	open := len(res.Pending) + len(res.Resumable)
	if open == 0 && res.Doubles == 0 {
		s.ui.Print("nothing is in doubt")
		return nil
	}
	if n := len(res.Resumable); n > 0 {
		s.ui.Print(fmt.Sprintf("%s interrupted; the same command goes on with %s", counted(int64(n), "upload")+form(int64(n), " was", " were"), form(int64(n), "it", "them")))
	}
	if n := len(res.Pending) + res.Doubles; n > 0 {
		s.ui.Print(fmt.Sprintf("%s for an inventory dated after %s upload; inventories are made about once a day", counted(int64(n), "archive")+form(int64(n), " waits", " wait"), form(int64(n), "its", "their")))
	}
	return ErrNotYet
}

// refreshError is what a mass of archives that vanished comes to.
func refreshError(row catalog.Store, res *upkeep.RefreshResult) error {
	return &firn.Error{Op: "refresh", Subject: row.URL, Kind: firn.Conflict, Err: errors.New(res.MassText()),
		Hint: "if they are gone indeed, run it again with --fix --expect-changes"}
}
