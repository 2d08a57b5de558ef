package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

type restoreOptions struct {
	app     *app
	From    string
	Names   []string // paths and patterns, as they were given
	To      string   // absolute; empty with InPlace
	InPlace bool
	Tree    string
	At      atValue

	Tiers        tierList
	RetrieveRate hourlyRate
	Consent      consentOptions
	MaxFiles     fileLimit
	MaxBytes     sizeLimit
	Overwrite    overwriteChoice
	Wait         bool
	Poll         time.Duration
	DryRun       bool
	Cancel       int64  // a restore to be cancelled, in place of all else; 0: none
	Manifest     string // folder for a manifest, by which S3 Batch Operations asks in place of firn; empty: firn asks

	Seal        sealOptions
	Store       storeOptions
	Concurrency count
}

func newRestoreCmd(a *app, run func(context.Context, *restoreOptions) error) *cobra.Command {
	o := &restoreOptions{app: a, Concurrency: transfer.DefaultConcurrency, Tiers: tierList{firn.Bulk}, Overwrite: overwriteChoice(restore.Never)}
	cmd := &cobra.Command{
		Use:   "restore STORE [PATH|PATTERN...] (--to DIR | --in-place)",
		Short: "bring files back",
		Long: `Bring files back from STORE to DIR, or to where they were: all of them, or the
files and folders that are named by PATH, relative to the directory that was
synced, or that match a PATTERN as of firn find, folders with all that is in them.
Of a store with several trees each comes back in a folder of its name, or one alone
with --tree. With --in-place each tree of this machine goes to its own directory.

A vault needs hours to get archives ready, and charges for it. First there is a
plan: what has to be asked for, what it costs by each tier, and when it may be
there; --dry-run shows no more than that. Above 5 dollars it wants a yes. Then only
those parts of archives are asked for that are needed, in portions that can be
downloaded before they are gone. Without --wait it ends with status 75 as long as
something is missing: the same command again, or firn resume, goes on, and asks for
nothing twice. With --wait it stays until all is there. docs/restore.md tells the
whole story.

Every byte is verified before a file takes its name. What exists already stays: with
the same content it gets its mode, owner and times, else it is named as failed,
unless --overwrite says otherwise. Folders get theirs once all below them is there,
those above a PATH too; DIR itself only where a restore made it.

With --at the files come back as they were at a time in the past, with those that
were removed since, and without those that came later; of several trees each as
its own last sync by then left it.

` + atHelp,
		Example: `  firn restore local:/mnt/usb/vault --to /tmp/back --wait
  firn restore glacier:photos --to ~/back --dry-run
  firn restore glacier:photos 2019 2020/index.txt '*.cr2' --to ~/back --tier standard --max-cost 20
  firn restore glacier:photos 2019 --at 2026-11-21 --in-place --overwrite changed
  firn restore --cancel 12`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("cancel") {
				return takes()(cmd, args)
			}
			return takes("STORE", "[PATH...]")(cmd, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	f := cmd.Flags()
	o.addFlags(f, a)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if f.Changed("cancel") {
			if err := o.checkCancel(f); err != nil {
				return err
			}
			return run(ctx, o)
		}
		o.From, o.Names = args[0], args[1:]
		if (o.To == "") != o.InPlace {
			return wrongUsage("restore", "say where to: with --to DIR, or with --in-place to where the files were")
		}
		if o.To != "" {
			o.To = a.env.Path(o.To)
		}
		if err := a.useProfile(f, o.From); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func (o *restoreOptions) addFlags(f *pflag.FlagSet, a *app) {
	f.SortFlags = false
	f.StringVar(&o.To, "to", "", "put the files below `DIR`, which is made if need be")
	f.BoolVar(&o.InPlace, "in-place", false, "put each tree of this machine back to where it was")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until everything is there")
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be restored, and what it costs, and do nothing")
	o.At.addFlag(f, a, "restore what was there at `TIME`, as it was")
	f.StringVar(&o.Tree, "tree", "", "restore only the tree `NAME`")
	f.Var(&o.Overwrite, "overwrite", "replace what exists with other content: `WHICH` is never, changed (other than the recorded size or time) or always")
	f.Var(&o.Tiers, "tier", "how fast, and how dear: bulk, standard or expedited; or a `LIST` of which the next is asked where there is no capacity, such as expedited,standard")
	o.Consent.addFlags(f, a)
	f.Var(&o.MaxFiles, "max-files", "bring back at most `N` files, and leave the rest for the next time")
	f.Var(&o.MaxBytes, "max-bytes", "bring back at most `BYTES`, such as 500M or 2G, and leave the rest for the next time")
	f.Var(&o.RetrieveRate, "retrieve-rate", "ask the store for at most `BYTES` an hour, such as 10G")
	notOfProfile(f, "max-files", "max-bytes")
	f.StringVar(&o.Manifest, "batch-manifest", "", "of a store in S3: write what has to be asked for into `DIR`, for S3 Batch Operations to ask for millions at once, and ask for nothing")
	notOfProfile(f, "batch-manifest")
	addPoll(f, &o.Poll, "what is ready", "the tier's earliest time has passed")
	f.Var(&o.Concurrency, "concurrency", "fetch so many files and pieces at a time")
	f.Int64Var(&o.Cancel, "cancel", 0, "give up the restore `ID`, which firn status names, and remove what it left unfinished")
	o.Seal.addIdentity(f, a)
	o.Store.addFlags(f, false, true)
}

func runRestore(ctx context.Context, o *restoreOptions) error {
	if o.Cancel != 0 {
		return o.cancel(ctx)
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
	all, err := o.restores(ctx, s, &trees)
	if err != nil {
		return err
	}
	keys := make([]string, len(all))
	for i := range all {
		if keys[i], err = restore.Key(all[i]); err != nil {
			return err
		}
	}
	var manifest *manifestStore
	if o.Manifest != "" && !o.DryRun && !o.app.once {
		if manifest, err = o.newManifest(s); err != nil {
			return err
		}
		for i := range all {
			all[i].Store = manifest
		}
	}
	o.app.begin(ctx, s, append([]string{s.loc.String()}, keys...)...)
	b := &restoreBill{restoreOptions: o, s: s, prices: s.store.HeldPrices()}
	var errs []error
	for i := range all {
		err := b.begin(ctx, &all[i], keys[i])
		if err == nil {
			err = o.restore(ctx, s, all[i])
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	if manifest != nil {
		return manifest.end(ctx, s, errors.Join(errs...))
	}
	return errors.Join(errs...)
}

// restore does one of the restores of a command: there are several only in place.
func (o *restoreOptions) restore(ctx context.Context, s *session, r restore.Options) error {
	start := s.env.Clock.Now()
	res, err := restore.Run(ctx, r)
	if res.Counts != nil {
		e := firn.SummaryEvent{Command: "restore", Store: s.loc.String(), DryRun: o.DryRun, Stopped: err != nil, Counts: res.Counts, Elapsed: s.env.Clock.Now().Sub(start)}
		if o.InPlace {
			e.Tree = r.Trees[0].Name
		}
		s.env.Events(e)
	}
	if o.DryRun {
		return err
	}
	if err == nil && res.Pending() {
		o.app.expect(res.Ready)
		s.ui.Notice(pendingText(res.Ready, s.env.Clock.Now()))
	}
	err = errors.Join(err, statusOfResult(res))
	if res.Counts[firn.Left].Files > 0 {
		err = errors.Join(err, ErrNotYet)
	}
	o.app.ready(ctx, s.profile, broughtBack{Restore: res.ID, What: o.what(r.Trees), To: r.To, Counts: res.Counts}, err)
	return err
}

// what says what is brought back, for people.
func (o *restoreOptions) what(trees []catalog.Tree) string {
	if len(o.Names) > 0 {
		if len(o.Names) == 1 {
			return o.Names[0]
		}
		return fmt.Sprintf("%s and %d more", o.Names[0], len(o.Names)-1)
	}
	var names []string
	for _, t := range trees {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// options are those of a restore of some trees to a folder.
func (o *restoreOptions) options(ctx context.Context, s *session, trees *storeTrees, of []catalog.Tree, to string) (restore.Options, error) {
	downloader, err := transfer.NewDownloader(s.store, transfer.DownloadOptions{Concurrency: int(o.Concurrency), Clock: s.env.Clock, Events: s.env.Events})
	if err != nil {
		return restore.Options{}, err
	}
	waker, err := s.store.Waker(ctx, s.catalog, trees.store)
	if err != nil {
		return restore.Options{}, err
	}
	return restore.Options{
		Catalog: s.catalog, Row: trees.store, Store: s.store, Downloader: downloader, Clock: s.env.Clock, Events: s.env.Events,
		Trees: of, Runs: trees.runs, As: o.At.text, To: to, InPlace: o.InPlace, Overwrite: restore.Overwrite(o.Overwrite),
		MaxFiles: int64(o.MaxFiles), MaxBytes: int64(o.MaxBytes.byteSize),
		Concurrency: int(o.Concurrency), DryRun: o.DryRun, Lock: targetLock(s.env), Identities: o.Seal.identities,
		Days: restore.Days{
			Wait: o.Wait && !o.app.once, Poll: o.Poll, Waker: waker, Tiers: o.Tiers, RetrieveRate: int64(o.RetrieveRate.byteSize),
			Gap: plan.Gap(s.store.HeldPrices(), o.Tiers[0]),
		},
	}, nil
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
	if o.DryRun {
		s.seeClass(ctx)
	}
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
	if o.InPlace {
		if trees.all, err = o.treesOfHere(s, trees.all); err != nil {
			return storeTrees{}, err
		}
	}
	for _, tree := range trees.all {
		if _, there := trees.runs[tree.ID]; !there && trees.runs != nil {
			s.ui.Notice(fmt.Sprintf("the tree %s was first synced after %s: nothing of it is restored", tree.Name, o.At.text))
		}
	}
	return trees, nil
}

// treesOfHere gives the trees that stand for a directory of this machine.
func (o *restoreOptions) treesOfHere(s *session, all []catalog.Tree) (here []catalog.Tree, err error) {
	host, err := o.app.hostname()
	if err != nil {
		return nil, err
	}
	var others []string
	for _, t := range all {
		if t.Host == host && t.Root != "" {
			here = append(here, t)
		} else {
			others = append(others, t.Name)
		}
	}
	if len(here) == 0 {
		return nil, &firn.Error{Op: "restore in place", Subject: strings.Join(others, ", "), Kind: firn.Usage,
			Err: fmt.Errorf("no directory of this machine, %s, is known for it", host), Hint: "say where to with --to DIR"}
	}
	if len(others) > 0 {
		s.ui.Notice("no directories of this machine, and left out: " + strings.Join(others, ", "))
	}
	return here, nil
}

// restores are those that the command is about: one, or one for each tree where
// each goes to a place of its own.
func (o *restoreOptions) restores(ctx context.Context, s *session, trees *storeTrees) (all []restore.Options, err error) {
	choice, err := o.choose(ctx, s, trees)
	if err != nil {
		return nil, err
	}
	add := func(of []catalog.Tree, to string) error {
		r, err := o.options(ctx, s, trees, of, to)
		if err == nil && choice.fill(&r) {
			all = append(all, r)
		}
		return err
	}
	if !o.InPlace {
		return all, add(trees.all, o.To)
	}
	for tree := range trees.then {
		if err := add([]catalog.Tree{tree}, tree.Root); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// pendingText says when to come back.
func pendingText(ready, now time.Time) string {
	const again = "; run the same command again, or firn resume,"
	if !ready.After(now) {
		return "the store is getting them ready" + again + " later"
	}
	return fmt.Sprintf("the store is getting them ready, not before %s%s then", ready.Format(time.DateTime), again)
}
