package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

type restoreOptions struct {
	app   *app
	From  string
	Paths []string
	To    string
	Tree  string
	At    atValue
	Tier  string

	Seal        sealOptions
	Store       storeOptions
	Concurrency count
	Wait        bool
	Poll        time.Duration
	DryRun      bool
}

func newRestoreCmd(a *app, run func(context.Context, *restoreOptions) error) *cobra.Command {
	o := &restoreOptions{app: a, Concurrency: transfer.DefaultConcurrency}
	cmd := &cobra.Command{
		Use:   "restore STORE [PATH...] --to DIR",
		Short: "bring files back",
		Long: `Bring files back from STORE to DIR: all of them, or the files and folders that
are named by PATH, relative to the directory that was synced. Of a store with
several trees each comes back in a folder of its name, or one alone with --tree.

A vault needs hours to get archives ready. Without --wait the first call asks for
them and ends with status 75; the same command, called again later, fetches what
is ready, and asks for nothing twice. With --wait it stays until all is there.

Every byte is verified before a file takes its name. Files that exist already are
never written over: equal ones get their mode, owner and times, others are named
as failed. Folders get theirs once all below them is there, those above a PATH
too; DIR itself only where a restore made it.

With --at the files come back as they were at a time in the past, with those that
were removed since, and without those that came later; of several trees each as
its own last sync by then left it.

` + atHelp,
		Example: `  firn restore local:/mnt/usb/vault --to /tmp/back --wait
  firn restore glacier:photos 2019 --at 2026-11-21 --to ~/back
  firn restore glacier:photos 2019 2020/index.txt --to ~/back --tier standard`,
		Args: takes("STORE", "[PATH...]"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.To, "to", "", "put the files below `DIR`, which is made if need be")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until everything is there")
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be restored, and do nothing")
	o.At.addFlag(f, a, "restore what was there at `TIME`, as it was")
	f.StringVar(&o.Tree, "tree", "", "restore only the tree `NAME`")
	f.StringVar(&o.Tier, "tier", string(firn.Bulk), "how fast, and how dear: bulk, standard or expedited")
	f.Var((*interval)(&o.Poll), "poll", "ask every so often what is ready (default: 15m, once the tier's earliest time has passed)")
	f.Var(&o.Concurrency, "concurrency", "fetch so many files and pieces at a time")
	o.Seal.addIdentity(f, a)
	o.Store.addFlags(f, false, true)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.From = args[0]
		for _, p := range args[1:] {
			o.Paths = append(o.Paths, treePath(p))
		}
		if o.To == "" {
			return wrongUsage("restore", "say where to with --to DIR")
		}
		o.To = a.env.Path(o.To)
		if err := a.useProfile(f, o.From); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func runRestore(ctx context.Context, o *restoreOptions) error {
	tier, err := firn.ParseTier(o.Tier)
	if err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.From, o.Store.wire())
	if err != nil {
		return err
	}
	defer s.close()
	trees, err := o.chooseTrees(ctx, s)
	if err != nil {
		return err
	}
	downloader, err := transfer.NewDownloader(s.store, transfer.DownloadOptions{Concurrency: int(o.Concurrency), Clock: s.env.Clock, Events: s.env.Events})
	if err != nil {
		return err
	}
	start := s.env.Clock.Now()
	res, err := restore.Run(ctx, restore.Options{
		Catalog: s.catalog, Row: trees.store, Store: s.store, Downloader: downloader, Clock: s.env.Clock, Events: s.env.Events,
		Trees: trees.all, Runs: trees.runs, Paths: o.Paths, To: o.To, Tier: tier, Wait: o.Wait, Poll: o.Poll,
		Concurrency: int(o.Concurrency), DryRun: o.DryRun, Lock: targetLock(s.env), Identities: o.Seal.identities,
	})
	if res.Counts != nil {
		s.env.Events(firn.SummaryEvent{Command: "restore", Store: s.loc.String(), DryRun: o.DryRun, Stopped: err != nil, Counts: res.Counts, Elapsed: s.env.Clock.Now().Sub(start)})
	}
	if err == nil && res.Pending() {
		s.ui.Notice(pendingText(res.Ready, s.env.Clock.Now(), o.At.moment))
	}
	return errors.Join(err, statusOfResult(res))
}

// targetLock keeps two restores from working in one folder.
func targetLock(env wire.Env) func(string) (func() error, error) {
	return func(dir string) (func() error, error) {
		l, err := wire.LockTarget(env, dir)
		if err != nil {
			return nil, err
		}
		return l.Unlock, nil
	}
}

// chooseTrees finds what to restore, once the store has shown that it is the
// one that the catalog knows.
func (o *restoreOptions) chooseTrees(ctx context.Context, s *session) (storeTrees, error) {
	if !o.DryRun {
		// A check would make an unknown one known.
		if _, err := s.row(ctx); err != nil {
			return storeTrees{}, err
		}
		if _, err := s.store.Check(ctx, s.catalog); err != nil {
			return storeTrees{}, err
		}
	}
	trees, err := s.treesAt(ctx, o.Tree, o.At.moment)
	if err != nil {
		return storeTrees{}, err
	}
	if len(trees.all) == 0 {
		return storeTrees{}, &firn.Error{Op: "restore", Subject: s.loc.String(), Kind: firn.NotFound, Err: errors.New("nothing was ever synced to it from here")}
	}
	for _, tree := range trees.all {
		if _, there := trees.runs[tree.ID]; !there && trees.runs != nil {
			s.ui.Notice(fmt.Sprintf("the tree %s was first synced after %s: nothing of it is restored", tree.Name, o.At.text))
		}
	}
	return trees, nil
}

// pendingText says when to come back, and how to mean the same time then.
func pendingText(ready, now time.Time, at moment) string {
	again := "run the same command again"
	if at.ago {
		again += ", with --at " + at.fixed() + ","
	}
	if !ready.After(now) {
		return "the store is getting them ready; " + again + " later"
	}
	return fmt.Sprintf("the store is getting them ready, not before %s; %s then", ready.Format(time.DateTime), again)
}
