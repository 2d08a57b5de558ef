package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

type storeEmptyOptions struct {
	app         *app
	Store       string
	Confirm     string
	AndDelete   bool
	WhenFree    bool
	Wait        bool
	Poll        time.Duration
	Concurrency count
	DryRun      bool
	Cancel      bool

	Common  storeOptions
	Consent consentOptions
}

// storeEmpty is what the command is called in the catalog.
const storeEmpty = "store empty"

func newStoreEmptyCmd(a *app, run func(context.Context, *storeEmptyOptions) error) *cobra.Command {
	o := &storeEmptyOptions{app: a, Concurrency: upkeep.DefaultDeletions}
	cmd := &cobra.Command{
		Use:   "empty STORE",
		Short: "delete all archives of a store, and the store",
		Long: `Delete all archives that the inventory of STORE lists, whoever wrote them, snapshots of
the catalog too; in a bucket of S3 what other programs keep there stays, and counts as
refused. It can't be undone. The vault's name has to be typed; without a
terminal it is given with --confirm.

An inventory takes a vault hours: without --wait the first call asks for it and ends
with status 75. firn resume goes on, and asks nobody again; the same command does, too,
and wants the name once more.
What the store was asked to delete before a kill is asked for again only where a
later inventory lists it. What came after the name was typed stays.

A vault charges for 90 days at the least: what is deleted before is charged for the
rest of them. That price is told before anything is deleted. With --when-free each
archive waits until it costs nothing to delete it, and firn resume does that.

With --cancel it goes on no more, at the next run neither: what isn't deleted yet stays.

With --and-delete the vault itself is deleted, a day or two later: the service does
that once an inventory shows that the vault is empty. It stays where others stored
something meanwhile, which is told. docs/deleting.md compares all that deletes.`,
		Example: `  firn store empty glacier:photos --dry-run
  firn store empty glacier:photos --and-delete
  firn store empty glacier:photos --when-free --confirm photos`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be deleted, and what it costs; the store is asked for its inventory all the same")
	f.BoolVar(&o.AndDelete, "and-delete", false, "delete the store, too, once it is empty")
	f.BoolVar(&o.WhenFree, "when-free", false, "delete each archive when that costs no fee any more")
	f.StringVar(&o.Confirm, "confirm", "", "the `NAME` of the vault, in place of typing it")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait for inventories, and until archives are free of fees")
	addPoll(f, &o.Poll, "whether the inventory is there", "three hours have passed")
	f.Var(&o.Concurrency, "concurrency", "delete so many archives at a time")
	f.BoolVar(&o.Cancel, "cancel", false, "delete no more: what is still there of a store that is being emptied stays")
	notOfProfile(f, "confirm", "and-delete", "cancel")
	o.Consent.addFlags(f, a)
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		if o.Cancel {
			return runCancelEmptying(ctx, o)
		}
		return run(ctx, o)
	})
	cmd.MarkFlagsMutuallyExclusive("cancel", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("cancel", "and-delete")
	return cmd
}

// An emptying is one call of the command.
type emptying struct {
	*session
	options *storeEmptyOptions
	row     catalog.Store
	asker   *retrieval.Asker
	run     catalog.Run
	open    bool             // it began in an earlier call
	e       catalog.Emptying // of a dry run: what it would be
	again   string           // what to do where something came since; empty: the same again
}

func runStoreEmpty(ctx context.Context, o *storeEmptyOptions) (err error) {
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	m := &emptying{session: s, options: o}
	if m.row, err = s.store.Check(ctx, s.catalog); err != nil {
		return m.endIfGone(ctx, err)
	}
	if m.e, m.open, err = s.catalog.EmptyingOf(ctx, m.row.ID); err != nil {
		return err
	}
	if o.DryRun {
		return m.dryRun(ctx)
	}
	if o.app.once && !m.open {
		return m.isOver()
	}
	unlock, err := m.lock(ctx)
	defer unlock()
	if err == nil {
		err = m.checkUnused(ctx)
	}
	if err == nil {
		err = m.agree(ctx)
	}
	if err != nil {
		return err
	}
	o.app.begin(ctx, s, s.loc.String())
	return m.work(ctx)
}

// endIfGone takes leave of a store that was asked to go and is gone: an earlier call
// was killed before it heard of that. Else it gives the error.
func (m *emptying) endIfGone(ctx context.Context, err error) error {
	if firn.KindOf(err) != firn.NotFound {
		return err
	}
	row, rowErr := m.catalog.StoreByURL(ctx, m.loc.String())
	if m.options.app.once && firn.KindOf(rowErr) == firn.NotFound {
		return m.isOver()
	}
	if rowErr != nil {
		return err
	}
	e, ok, eErr := m.catalog.EmptyingOf(ctx, row.ID)
	if eErr != nil || !ok || !e.Leaving {
		return errors.Join(err, eErr)
	}
	if err := upkeep.EndStore(ctx, m.catalog, row.ID); err != nil {
		return err
	}
	m.row, m.e = row, e
	return m.report(upkeep.EmptyResult{Gone: true})
}

// isOver is for firn resume, where the emptying that it was to go on with has ended,
// and a kill left the task. A new one would take what came since, which nobody
// agreed to.
func (m *emptying) isOver() error {
	m.ui.Notice("the emptying of " + m.loc.String() + " is over")
	return nil
}

// lock keeps all else on this machine from the store that stores or deletes there.
func (m *emptying) lock(ctx context.Context) (unlock func(), err error) {
	var locks []*lockfile.Lock
	unlock = func() {
		for _, l := range locks {
			l.Unlock()
		}
	}
	take := func(l *lockfile.Lock, err error) error {
		if err == nil {
			locks = append(locks, l)
		}
		return err
	}
	if err := take(wire.LockStore(m.env, m.row, storeEmpty)); err != nil {
		return unlock, err
	}
	trees, err := m.catalog.Trees(ctx, m.row.ID)
	if err != nil {
		return unlock, err
	}
	for _, tree := range trees {
		if err := take(wire.LockTree(ctx, m.env, m.row, tree.Name, 0)); err != nil {
			return unlock, err
		}
	}
	return unlock, take(wire.LockSnapshots(m.env, m.row))
}

// checkUnused refuses while somebody here needs what is in the store, or stores there.
func (m *emptying) checkUnused(ctx context.Context) error {
	refuse := func(why, hint string) error {
		return &firn.Error{Op: "empty", Subject: m.row.URL, Kind: firn.Conflict, Err: errors.New(why), Hint: hint}
	}
	restores, err := m.catalog.Restores(ctx, m.row.ID, true)
	if err != nil {
		return err
	}
	if len(restores) > 0 {
		r := restores[0]
		return refuse(fmt.Sprintf("restore %d, of %s to %s, is not done", r.ID, r.What, r.Target), fmt.Sprintf("let it end, or give it up with: firn restore --cancel %d", r.ID))
	}
	intents, err := m.catalog.OpenIntents(ctx, m.row.ID)
	if err != nil {
		return err
	}
	for _, in := range intents {
		run, err := m.catalog.Run(ctx, in.Run)
		if err != nil {
			return err
		}
		if run.Tree == 0 && in.Kind == catalog.LooseArchive && wire.RunAlive(m.env, run, "") {
			return refuse("something is being uploaded to it", "wait until that is done, or stop it")
		}
	}
	jobs, err := m.catalog.JobTotals(ctx, m.row.ID)
	for _, j := range jobs {
		if j.Kind == firn.RetrievalJob && j.State != catalog.JobIntended && !m.open {
			m.ui.Warn("archives of it are being retrieved, or wait to be fetched: what isn't fetched before it is deleted is lost")
			break
		}
	}
	return err
}

// agree has the vault's name typed, and records that. Where firn resume goes on with
// what somebody has agreed to, nobody is asked.
func (m *emptying) agree(ctx context.Context) error {
	o := m.options
	if !o.app.once || !m.open || o.AndDelete && !m.e.Vault {
		if err := m.confirm(ctx); err != nil {
			return err
		}
	}
	if !m.open {
		m.e = catalog.Emptying{Store: m.row.ID, Agreed: m.store.Info.Now}
	}
	m.e.Vault, m.e.Pays = o.AndDelete, m.e.Pays && !o.WhenFree
	m.e.Leaving = m.e.Leaving && o.AndDelete
	return m.catalog.Empty(ctx, m.e)
}

func (m *emptying) confirm(ctx context.Context) error {
	info := m.store.Info
	refuse := func(why string) error {
		return &firn.Error{Op: "empty", Subject: m.row.URL, Kind: firn.Usage, Err: errors.New(why), Hint: "nothing was deleted"}
	}
	if name := m.options.Confirm; name != "" {
		if name != info.Name {
			return refuse(fmt.Sprintf("--confirm names %q, and the store is called %q", name, info.Name))
		}
		return nil
	}
	warning := "this deletes all archives of " + info.Address + " for good"
	if m.options.AndDelete {
		warning += ", and then the store itself"
	}
	if !info.LastInventory.IsZero() {
		warning += fmt.Sprintf("; at the inventory of %s it had %s in %s", localTime(info.LastInventory), ui.Bytes(info.Bytes), counted(info.Archives, "archive"))
	}
	yes, err := m.ui.ConfirmName(ctx, warning, info.Name, "--confirm "+info.Name)
	if err == nil && !yes {
		err = refuse("that is not its name")
	}
	return err
}

// work makes the list if it isn't there, has the price agreed to, and deletes.
func (m *emptying) work(ctx context.Context) error {
	return m.ofStore(ctx, m.row, storeEmpty, func(run catalog.Run) (complete bool, err error) {
		if err := m.list(ctx, run); err != nil {
			return false, err
		}
		if err := m.agreeToPrice(ctx); err != nil {
			return false, err
		}
		res, err := m.delete(ctx, nil)
		err = errors.Join(err, m.report(res))
		return err == nil, err
	})
}

// delete deletes what is listed; before, unless nil, comes before each time that
// something is. The emptying is done where the result's report is nil.
func (m *emptying) delete(ctx context.Context, before func(context.Context) error) (upkeep.EmptyResult, error) {
	res, err := upkeep.Empty(ctx, upkeep.EmptyOptions{
		Catalog: m.catalog, Row: m.row, Store: m.store, Info: m.store.Info, Asker: m.asker, Clock: m.env.Clock, Events: m.env.Events,
		Run: m.run, Concurrency: int(m.options.Concurrency), Wait: m.options.Wait && !m.options.app.once, Before: before,
	}, m.e)
	m.options.app.expect(res.Ready)
	return res, err
}

// list begins to work as a run, and makes the list of what is to go if it isn't
// there.
func (m *emptying) list(ctx context.Context, run catalog.Run) error {
	m.run = run
	if err := m.newAsker(ctx); err != nil || m.e.Inventory != 0 {
		return err
	}
	inv, err := m.stage(ctx)
	if err != nil {
		return err
	}
	if err := m.catalog.EmptyBy(ctx, inv.ID); err != nil {
		return err
	}
	m.e, _, err = m.catalog.EmptyingOf(ctx, m.row.ID)
	return err
}

func (m *emptying) newAsker(ctx context.Context) error {
	waker, err := m.store.Waker(ctx, m.catalog, m.row)
	m.asker = retrieval.New(retrieval.Options{Catalog: m.catalog, Row: m.row.ID, Store: m.store, Clock: m.env.Clock, Events: m.env.Events, Run: m.run, Poll: m.options.Poll, Waker: waker})
	return err
}

// stage reads the inventory. Where the store is getting it ready, that is told, and
// the error is ErrNotYet.
func (m *emptying) stage(ctx context.Context) (inv catalog.Inventory, err error) {
	staged, job, ok, err := m.asker.StageInventory(ctx, retrieval.Staging{
		Wait: m.options.Wait && !m.options.app.once,
		Progress: func(seen firn.Count) {
			m.env.Events(firn.ScanEvent{Files: seen.Files, Bytes: seen.Bytes, Archives: true})
		},
	})
	if err != nil {
		return inv, err
	}
	if !ok {
		ready := retrieval.Expected(job)
		m.options.app.expect(ready)
		m.record(emptyingRecord{Pending: true, Ready: timeText(ready)})
		m.ui.Print(inventoryText(ready, m.env.Clock.Now()))
		return inv, ErrNotYet
	}
	m.env.Events(firn.ScanEvent{Files: staged.Archives, Bytes: staged.Bytes, Done: true, Archives: true})
	if !m.store.Traits().FreshInventory {
		_, err = m.catalog.EmptiedBefore(ctx, staged.Inventory)
	}
	return staged.Inventory, err
}

// survey sums up what is to go.
func (m *emptying) survey(ctx context.Context) (upkeep.EmptySurvey, error) {
	return upkeep.SurveyOwn(ctx, m.catalog, m.e, m.store.Info.Now, m.store.Traits().MinDuration, m.store.HeldPrices(), m.store.IsOthers)
}

// fees are what it costs to delete now what is charged for still.
func (m *emptying) fees(s upkeep.EmptySurvey) (items []costItem) {
	if s.Young.Files > 0 {
		items = append(items, costItem{What: fmt.Sprintf("what is left of %d days for %s", s.Longest/(24*time.Hour), counted(s.Young.Files, "archive")), Cost: s.Fee})
	}
	return items
}

// agreeToPrice tells the fees, and has them agreed to. Who refuses begins anew,
// unless something was deleted already.
func (m *emptying) agreeToPrice(ctx context.Context) error {
	if m.e.Pays || m.options.WhenFree {
		return nil
	}
	s, err := m.survey(ctx)
	if err != nil {
		return err
	}
	err = m.options.Consent.agree(ctx, "the deletion of "+counted(s.Todo.Files, "archive"), m.store.HeldPrices(), m.fees(s))
	if err != nil {
		if m.e.Asked.IsZero() && ctx.Err() == nil {
			err = errors.Join(err, m.catalog.EndEmptying(ctx, m.row.ID))
		}
		if s.Young.Files > 0 {
			m.ui.Notice("with --when-free nothing is charged: the last archive is free of fees at " + localTime(s.AllFree))
		}
		return err
	}
	m.e.Pays = true
	return m.catalog.Empty(ctx, m.e)
}

// dryRun tells what would be deleted, and what it costs.
func (m *emptying) dryRun(ctx context.Context) (err error) {
	m.run = catalog.Run{Store: m.row.ID}
	if !m.open || m.e.Inventory == 0 {
		if err := m.newAsker(ctx); err != nil {
			return err
		}
		inv, err := m.stage(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.catalog.ForgetInventory(context.WithoutCancel(ctx), inv.ID)) }()
		m.e = catalog.Emptying{Store: m.row.ID, Inventory: inv.ID, Agreed: m.store.Info.Now}
	}
	s, err := m.survey(ctx)
	if err != nil {
		return err
	}
	what := "the deletion of " + counted(s.Todo.Files, "archive")
	if items := m.fees(s); len(items) > 0 && !m.store.HeldPrices().Free {
		m.options.Consent.show(what, m.store.HeldPrices(), items)
		m.ui.Notice("with --when-free nothing is charged: the last archive is free of fees at " + localTime(s.AllFree))
	}
	m.record(emptyingRecord{DryRun: true, Archives: s.Todo.Files, Bytes: s.Todo.Bytes, Waiting: s.Young.Files, WaitingBytes: s.Young.Bytes, Free: timeText(s.Free), AllFree: timeText(s.AllFree)})
	m.ui.Print(fmt.Sprintf("would delete %s with %s from %s", counted(s.Todo.Files, "archive"), ui.Bytes(s.Todo.Bytes), m.store.Info.Address))
	if s.Others.Files > 0 {
		m.ui.Print(fmt.Sprintf("%s with %s would stay: other programs keep them there", counted(s.Others.Files, "archive"), ui.Bytes(s.Others.Bytes)))
	}
	return nil
}
