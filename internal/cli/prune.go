package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

type pruneOptions struct {
	app         *app
	Store       string
	Names       []string
	Tree        string
	Rules       pruneRules
	TrustClock  bool
	Pay         bool
	Repack      bool
	DryRun      bool
	Concurrency count

	Common  storeOptions
	Consent consentOptions
}

func newPruneCmd(a *app, run func(context.Context, *pruneOptions) error) *cobra.Command {
	o := &pruneOptions{app: a, Concurrency: 8}
	cmd := &cobra.Command{
		Use:   "prune STORE [PATH...]",
		Short: "forget old versions by rules, and delete what nothing needs any more",
		Long: `Forget old versions of the files in STORE, all or those of the PATHs: of files,
folders with all below them, and patterns as firn find has them. It goes by rules and
does nothing without one; several that keep add up, and what none of them keeps goes.
The current version of a file always stays, and of a file that is gone the last one,
unless --removed-older-than lets it go. Trees of other machines stay as they are
unless one is named with --tree. A profile may have rules of its own, in [keep].

An archive is deleted when no version of any tree needs anything in it. What the
store charges for still, whether it is there or not, waits until it doesn't: the
status is 75, firn status says until when, and firn resume deletes it then, without
any rule. With --pay it is deleted at once; that price is told before anything is
done. The catalog is put into the store before anything is deleted.

With --repack, also as the only rule, bundles of which much is needed by no version
are made anew where that pays within a year: what is needed of them is sent again
from the files on disk, never retrieved, and the old bundles go as above.

It can't be undone: see what would go with --dry-run --verbose. docs/prune.md has examples.`,
		Example: `  firn prune glacier:photos --keep-within 90d --keep-monthly 24 --dry-run
  firn prune glacier:photos 'raw/**/*.tif' --keep-last 1 --removed-older-than 1y`,
		Args:              takes("STORE", "[PATH...]"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.Rules.addFlags(f)
	f.StringVar(&o.Tree, "tree", "", "only versions of the tree `NAME`, of whatever machine")
	f.BoolVar(&o.Repack, "repack", false, "make bundles anew, from the files on disk, of which so much is needed by nothing that it pays")
	f.BoolVar(&o.TrustClock, "trust-clock", false, "go by this machine's clock, though the store's says another time")
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would go, and what it costs; with --verbose each version")
	f.BoolVar(&o.Pay, "pay", false, "delete also what the store charges for still")
	f.Var(&o.Concurrency, "concurrency", "delete so many archives at a time")
	o.Consent.addFlags(f, a)
	o.Common.addFlags(f, true, false)
	notOfProfile(f, "concurrency", "pay", "repack", "trust-clock")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Names = args[0], args[1:]
		if err := o.useProfile(f); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// useProfile sets what the profile says that the store is named by.
func (o *pruneOptions) useProfile(f *pflag.FlagSet) error {
	if !strings.Contains(o.Store, ":") {
		file, p, err := o.app.profileOf(o.Store)
		if err != nil {
			return err
		}
		if err := o.app.newSettings(file, f).add(ruleOptions(p)); err != nil {
			return err
		}
	}
	if o.Rules.keep().IsZero() && !o.Repack {
		return &firn.Error{Op: "prune", Subject: o.Store, Kind: firn.Usage, Err: errors.New("no rule says what goes: without one nothing does"),
			Hint: "the rules are " + rulesText()}
	}
	return o.app.useProfile(f, o.Store)
}

func runPrune(ctx context.Context, o *pruneOptions) error {
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	if o.Rules.keep().CountsTime() && !o.TrustClock {
		if err := checkClock(s.env.Clock.Now(), s.store.Info.Now); err != nil {
			return err
		}
	}
	if !o.DryRun {
		lock, err := wire.LockStore(s.env, row, "prune")
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	w := &pruning{pruneOptions: o, session: s, row: row}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if o.DryRun {
		return w.foresee(ctx)
	}
	return w.prune(ctx)
}

// clockSlack is how far the clocks of this machine and of the store may be apart:
// rules count in hours at the least, and mostly in days.
const clockSlack = 6 * time.Hour

// checkClock refuses rules that count back from a moment that is none.
func checkClock(here, there time.Time) error {
	if d := here.Sub(there); d.Abs() <= clockSlack {
		return nil
	}
	return &firn.Error{Op: "prune", Kind: firn.Local, Err: fmt.Errorf("this machine's clock says %s, and the store's %s: by such a clock the wrong versions would go",
		localTime(here), localTime(there)), Hint: "set the clock, or give --trust-clock if it is the store's that is wrong; nothing was forgotten"}
}

// A pruning is one prune.
type pruning struct {
	*pruneOptions
	*session
	row  catalog.Store
	work upkeep.PruneOptions
}

// prepare finds what the prune is about.
func (w *pruning) prepare(ctx context.Context) error {
	w.work = upkeep.PruneOptions{
		DeletionOptions: upkeep.DeletionOptions{
			Catalog: w.catalog, Row: w.row, Store: w.store, Events: w.env.Events, Concurrency: int(w.Concurrency), PayEarly: w.Pay,
		},
		Keep: w.Rules.keep(), Now: w.env.Clock.Now().Local(), Prices: w.store.HeldPrices(),
	}
	if w.app.global.Verbose || w.ui.IsJSON() {
		w.work.Tell = w.tell
	}
	var err error
	if w.work.Trees, err = w.ownTrees(ctx); err != nil {
		return err
	}
	if w.work.Match, err = w.matcher(ctx, w.work.Trees); err != nil {
		return err
	}
	return w.prepareRepack(ctx)
}

// ownTrees gives the tree of --tree, or those of this machine: what is in others
// is for their machines to prune, whose catalogs may know of more.
func (w *pruning) ownTrees(ctx context.Context) ([]catalog.Tree, error) {
	all, err := w.trees(ctx, w.row.ID, w.Tree)
	if err != nil || w.Tree != "" {
		return all, err
	}
	host, err := w.app.hostname()
	if err != nil {
		return nil, err
	}
	var others []string
	own := slices.DeleteFunc(all, func(t catalog.Tree) bool {
		if t.Host != host {
			others = append(others, t.Name)
		}
		return t.Host != host
	})
	text := strings.Join(others, ", ")
	if len(own) == 0 {
		e := &firn.Error{Op: "prune", Subject: w.loc.String(), Kind: firn.NotFound, Err: errors.New("it has no tree of this machine")}
		if len(others) > 0 {
			e.Hint = "it has those of others, or that nobody synced yet: name one with --tree, of " + text
		}
		return nil, e
	}
	if len(others) > 0 {
		w.ui.Notice("left as they are, since they are of other machines, or nobody synced them yet: " + text)
	}
	return own, nil
}

// foresee shows what would be done.
func (w *pruning) foresee(ctx context.Context) error {
	p, err := upkeep.Foresee(ctx, w.work)
	if err != nil {
		return err
	}
	r := newPruneRecord(w.loc.String(), p)
	r.DryRun = true
	if w.Repack {
		r.Repack = newRepackRecord(p.Repack)
	}
	w.ui.Record("prune", r)
	w.ui.Print(r.foreseen(w.Pay))
	for _, line := range r.details() {
		w.ui.Print(line)
	}
	if items := w.repackCosts(p.Repack); items != nil && !w.store.HeldPrices().Free {
		w.Consent.show("the repacking of "+counted(p.Repack.Bundles.Files, "bundle"), w.store.HeldPrices(), items)
	}
	if p.Later.Files > 0 {
		w.Consent.show("to delete at once what would wait", w.store.HeldPrices(), w.fees(p))
	}
	return nil
}

// fees are what it costs to delete what the store charges for still.
func (w *pruning) fees(p upkeep.Prospect) []costItem {
	if p.Later.Files == 0 {
		return nil
	}
	return []costItem{earlyItem(p.Later.Files, p.Fees)}
}

// prune does it.
func (w *pruning) prune(ctx context.Context) error {
	unlock, err := w.lockTrees(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := w.agree(ctx); err != nil {
		return err
	}
	if w.work.Snapshots, err = w.app.keeper(ctx, w.session, w.row); err != nil {
		return err
	}
	call := catalog.Call{Store: w.Store, Dir: w.app.env.Dir, Env: w.app.taskEnv()}
	if err := w.catalog.SetDeletionCall(ctx, w.row.ID, call); err != nil {
		return err
	}
	var res upkeep.PruneResult
	err = w.ofStore(ctx, w.row, catalog.PruneRun, func(run catalog.Run) (complete bool, err error) {
		w.work.Run = run
		res, err = upkeep.Prune(ctx, w.work)
		return !res.Pending() && !res.Failed(), err
	})
	if err != nil {
		return err
	}
	r := newPruneRecord(w.loc.String(), upkeep.Prospect{Versions: res.Versions, Now: res.Deleted, Later: res.Waiting, Held: res.Held, Until: res.Until, Dead: res.Dead})
	r.Next = timeText(res.Next)
	if w.Repack {
		r.Repack = newRepackRecord(res.Repack)
	}
	w.ui.Record("prune", r)
	w.ui.Print(r.done())
	for _, line := range r.details() {
		w.ui.Print(line)
	}
	return statusOfResult(res)
}

// agree asks for a yes to what --pay and --repack cost.
func (w *pruning) agree(ctx context.Context) error {
	if !w.Pay && !w.Repack {
		return nil
	}
	look := w.work
	look.Tell = nil
	p, err := upkeep.Foresee(ctx, look)
	if err != nil {
		return err
	}
	var what []string
	var items []costItem
	if w.Pay && p.Later.Files > 0 {
		what, items = append(what, "the deletion of "+counted(p.Later.Files, "archive")), w.fees(p)
	}
	if more := w.repackCosts(p.Repack); more != nil {
		what, items = append(what, "the repacking of "+counted(p.Repack.Bundles.Files, "bundle")), append(items, more...)
	}
	return w.Consent.agree(ctx, strings.Join(what, " and "), w.store.HeldPrices(), items)
}

// ofStore does work as a run of a whole store, which others know to be alive.
func (s *session) ofStore(ctx context.Context, row catalog.Store, command string, work func(catalog.Run) (complete bool, err error)) error {
	run, alive, err := wire.BeginRun(ctx, s.env, s.catalog, row.ID, command)
	if err != nil {
		return err
	}
	defer alive.Unlock()
	complete, err := work(run)
	return errors.Join(err, s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: complete && err == nil}))
}

// keeper gives what puts the catalog into a store before something is deleted
// there, once it has shown that the catalog isn't older than the store.
func (a *app) keeper(ctx context.Context, s *session, row catalog.Store) (*snapshot.Maker, error) {
	uploader, err := transfer.NewUploader(s.store, s.store.Traits(), transfer.UploadOptions{Clock: s.env.Clock, Events: s.env.Events, TokenOf: describe.TokenOf})
	if err != nil {
		return nil, err
	}
	maker, err := a.newSnapshots(ctx, s, row, uploader)
	if err != nil {
		return nil, err
	}
	return maker, maker.Check(ctx)
}
