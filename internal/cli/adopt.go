package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

type adoptOptions struct {
	app       *app
	Store     string
	Journals  []string
	Databases []string
	Inventory string
	Strip     string
	Tree      string
	places    []adopt.Place // the directories of the profile, if there is one

	Common storeOptions
	Wait   bool
	Poll   time.Duration
	DryRun bool
}

// noInventory, given in place of a file, has records believed alone.
const noInventory = "none"

func newAdoptCmd(a *app, run func(context.Context, *adoptOptions) error) *cobra.Command {
	o := &adoptOptions{app: a}
	cmd := &cobra.Command{
		Use:   "adopt STORE",
		Short: "take in what other programs left in a vault",
		Long: `Take in the archives that other programs left in STORE, so that firn ls, find,
restore and sync work with them. They stay as they are: only the catalog changes.

What an archive holds is told by the records that the programs kept, if there are
any: the journal of mt-aws-glacier, the databases of glacier-cli, its fork by
vbourachot, and glaciersync. Else it is told by its description, as it was written
by mt-aws-glacier, FastGlacier, CloudBerry, or any program that writes a name. What
is in the vault, and how large, is told by its inventory: the store's own, or one
that was saved to a file.

Names become paths below a tree: of c:\data\f it is c/data/f, unless
--strip-prefix 'c:\data' takes that off. What its maker compressed or encrypted
goes to a tree of its own, NAME.packed, as PATH.fastglacier or PATH.cloudberry. Where
STORE is a profile, what says that it was below one of the profile's directories goes
into the tree of that directory.

An inventory takes a vault hours. Without --wait the first call asks for it and ends
with status 75; the same command, called again later, goes on. It can be killed
at any time, and called again as often as you like (docs/adopt.md).`,
		Example: `  firn adopt glacier:photos
  firn adopt glacier:photos --journal ~/.glacier/photos.journal
  firn adopt glacier:photos --inventory saved.json --strip-prefix 'c:\data' --tree data
  firn adopt glacier:photos --db ~/.cache/glacier-cli/db --dry-run`,
		Args:              takes("STORE"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.Journals, "journal", nil, "take names from `FILE`, a journal of mt-aws-glacier; may be given several times")
	f.StringArrayVar(&o.Databases, "db", nil, "take names from `FILE`, a database of glacier-cli, its fork, or glaciersync; may be given several times")
	f.StringVar(&o.Inventory, "inventory", "", "read the inventory in `FILE`, JSON or CSV, in place of the store's own; "+noInventory+" believes the records alone")
	f.StringVar(&o.Strip, "strip-prefix", "", "take the folder `PREFIX` off the paths below it")
	f.StringVar(&o.Tree, "tree", "", "put the files into the tree `NAME` (default: the vault's name)")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until the inventory is there")
	addPoll(f, &o.Poll, "whether it is", "three hours have passed")
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be taken in; the store is asked for its inventory all the same")
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

func runAdopt(ctx context.Context, o *adoptOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	o.app.begin(ctx, s, s.loc.String(), o.Tree)
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	if err := o.choosePlaces(ctx, s, row); err != nil {
		return err
	}
	if err := o.chooseTree(ctx, s, row); err != nil {
		return err
	}
	lock, err := wire.LockStore(s.env, row, "adopt")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	maker, err := o.maker(ctx, s, row)
	if err != nil {
		return err
	}
	res, err := o.adopt(ctx, s, row)
	if err != nil {
		return err
	}
	o.app.expect(res.Ready)
	status := o.report(s, row, res)
	if o.DryRun || res.Pending {
		return status
	}
	return errors.Join(status, o.save(ctx, s, row, maker))
}

// maker gives what puts the catalog into the store, once it has shown that the
// catalog isn't older than the store.
func (o *adoptOptions) maker(ctx context.Context, s *session, row catalog.Store) (*snapshot.Maker, error) {
	if o.DryRun {
		return nil, nil
	}
	uploader, err := transfer.NewUploader(s.store, s.store.Traits(), transfer.UploadOptions{Clock: s.env.Clock, Events: s.env.Events, TokenOf: describe.TokenOf})
	if err != nil {
		return nil, err
	}
	maker, err := o.app.newSnapshots(ctx, s, row, uploader)
	if err != nil {
		return nil, err
	}
	return maker, maker.Check(ctx)
}

// save puts the catalog into the store: names that were in a record on this
// machine alone are in no archive. It is encrypted where the profile is. Who may
// only read the store is told, and no more.
func (o *adoptOptions) save(ctx context.Context, s *session, row catalog.Store, maker *snapshot.Maker) error {
	err := o.sealLikeProfile(ctx, s, row)
	if err == nil {
		var run catalog.Run
		if run, err = s.catalog.BeginRun(ctx, row.ID, 0, "snapshot"); err == nil {
			err = maker.Make(ctx, run)
			err = errors.Join(err, s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}))
		}
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	s.ui.Warn(err.Error())
	if firn.KindOf(err) == firn.Denied {
		return nil
	}
	return ErrPartial
}

// sealLikeProfile records for whom the profile encrypts, if it does.
func (o *adoptOptions) sealLikeProfile(ctx context.Context, s *session, row catalog.Store) error {
	if s.profile == nil || len(s.profile.Recipients) == 0 {
		return nil
	}
	tree, err := s.catalog.Tree(ctx, row.ID, o.Tree)
	if firn.KindOf(err) == firn.NotFound {
		return nil // nothing had a name
	}
	if err != nil {
		return err
	}
	recipients, err := seal.ParseRecipients(s.profile.Recipients)
	if err != nil {
		return err
	}
	return s.catalog.SetRecipients(ctx, tree.ID, recipients.ID(), recipients.Strings())
}

// check finds what is wrong with the options before anything is opened.
func (o *adoptOptions) check() error {
	if o.Inventory == noInventory && len(o.Journals)+len(o.Databases) == 0 {
		return wrongUsage("adopt", "without an inventory it needs a record: give --journal or --db")
	}
	if o.Tree == "" {
		return nil
	}
	return adopt.CheckTree(o.Tree)
}

// choosePlaces has what was below the directories of a profile go into the trees that
// these are synced as, unless the command line says where all goes, or they are synced
// already.
func (o *adoptOptions) choosePlaces(ctx context.Context, s *session, row catalog.Store) error {
	if s.profile == nil || o.Tree != "" || o.Strip != "" {
		return nil
	}
	for _, t := range s.profile.Trees {
		name := cmp.Or(t.Name, defaultTreeName(t.Path))
		_, taken, err := directoryOf(ctx, s, row, name)
		if err != nil {
			return err
		}
		if !taken {
			o.places = append(o.places, adopt.Place{Dir: t.Path, Tree: name})
		}
	}
	return nil
}

// chooseTree finds a name for the tree. Without --tree it never is one that a
// directory of some machine has: what is taken in would count as that directory's,
// which hasn't got it.
func (o *adoptOptions) chooseTree(ctx context.Context, s *session, row catalog.Store) error {
	if o.Tree != "" {
		return nil
	}
	o.Tree = path.Base(s.store.Info.Name) // in S3 this is BUCKET/PREFIX
	if adopt.CheckTree(o.Tree) != nil || s.loc.Scheme == config.S3 && isTree(ctx, s, row, unnamedTree) {
		o.Tree = unnamedTree
	}
	tree, taken, err := directoryOf(ctx, s, row, o.Tree)
	if err != nil || !taken {
		return err
	}
	return &firn.Error{Op: "adopt", Subject: o.Store, Kind: firn.Usage, Err: fmt.Errorf("its tree %s is the directory %s of %s", tree.Name, tree.Root, tree.Host),
		Hint: "name another one with --tree NAME; with --tree " + tree.Name + " it is taken for what was in that directory"}
}

// directoryOf finds the tree of that name which is a directory's of some machine, and
// was that before anything was adopted; false: there is none.
func directoryOf(ctx context.Context, s *session, row catalog.Store, name string) (tree catalog.Tree, taken bool, err error) {
	tree, err = s.catalog.Tree(ctx, row.ID, name)
	if firn.KindOf(err) == firn.NotFound || err == nil && !tree.IsBound() {
		return tree, false, nil
	}
	runs, err := s.catalog.LastRuns(ctx, row.ID)
	adopted := slices.ContainsFunc(runs, func(r catalog.Run) bool { return r.Command == adoptCommand && r.Complete })
	return tree, err == nil && !adopted, err
}

// unnamedTree is the tree of a store whose name none can have. That of every store in
// S3 was called so once.
const unnamedTree = "adopted"

// isTree reports whether the catalog knows a tree by that name.
func isTree(ctx context.Context, s *session, row catalog.Store, name string) bool {
	_, err := s.catalog.Tree(ctx, row.ID, name)
	return err == nil
}

// adoptCommand is what the command is called in the catalog.
const adoptCommand = "adopt"

func (o *adoptOptions) adopt(ctx context.Context, s *session, row catalog.Store) (adopt.Result, error) {
	run := catalog.Run{Store: row.ID}
	if !o.DryRun {
		begun, lock, err := wire.BeginRun(ctx, s.env, s.catalog, row.ID, adoptCommand)
		if err != nil {
			return adopt.Result{}, err
		}
		defer lock.Unlock()
		run = begun
	}
	waker, err := s.store.Waker(ctx, s.catalog, row)
	if err != nil {
		return adopt.Result{}, err
	}
	spool, err := wire.SpoolDir(s.env)
	if err != nil {
		return adopt.Result{}, err
	}
	options := adopt.Options{
		Catalog: s.catalog, Row: row, Store: s.store, Info: s.store.Info, Run: run, Clock: s.env.Clock, Events: s.env.Events,
		Asker: retrieval.New(retrieval.Options{Catalog: s.catalog, Row: row.ID, Store: s.store, Clock: s.env.Clock, Events: s.env.Events, Run: run, Poll: o.Poll, Waker: waker}),
		Tree:  o.Tree, Places: o.places, Strip: o.Strip, WithoutInventory: o.Inventory == noInventory, Wait: o.Wait && !o.app.once, DryRun: o.DryRun,
		Spool: spool,
	}
	for _, path := range o.Journals {
		options.Journals = append(options.Journals, o.app.env.Path(path))
	}
	for _, path := range o.Databases {
		options.Databases = append(options.Databases, o.app.env.Path(path))
	}
	if o.Inventory != "" && !options.WithoutInventory {
		options.Inventory = o.app.env.Path(o.Inventory)
	}
	return adopt.Run(ctx, options)
}

// The records of adopt --json.
type (
	adoptedRecord struct {
		Source   string `json:"source"`
		Archives int64  `json:"archives"`
		Bytes    int64  `json:"bytes"`
		Names    int64  `json:"names"`
		Packed   int64  `json:"packed"`
	}
	adoptionRecord struct {
		Store     string `json:"store"`
		Tree      string `json:"tree"`
		DryRun    bool   `json:"dry_run"`
		Inventory string `json:"inventory,omitempty"` // RFC 3339
		Listed    int64  `json:"listed"`
		Names     int64  `json:"names"`
		Older     int64  `json:"older"`
		Known     int64  `json:"known"`
		Unknown   int64  `json:"unknown"`
		Own       int64  `json:"own"`
		Missing   int64  `json:"missing"`
		Deleted   int64  `json:"deleted"`
		Unsized   int64  `json:"unsized"`
		Failed    int64  `json:"failed"`
		Pending   bool   `json:"pending"`
		Ready     string `json:"ready,omitempty"` // RFC 3339
	}
)

// report tells what was taken in by whose words, and what to do next.
func (o *adoptOptions) report(s *session, row catalog.Store, res adopt.Result) error {
	if res.Pending {
		o.record(s, row, res)
		s.ui.Print(inventoryText(res.Ready, s.env.Clock.Now()))
		return ErrNotYet
	}
	list := ui.NewList(s.ui, "adopted",
		ui.Column[adoptedRecord]{Head: "by", Cell: func(r adoptedRecord) string { return r.Source }},
		ui.Column[adoptedRecord]{Head: "archives", Right: true, Cell: func(r adoptedRecord) string { return ui.Count(r.Archives) }, Plain: func(r adoptedRecord) string { return exact(r.Archives) }},
		ui.Column[adoptedRecord]{Head: "size", Right: true, Cell: func(r adoptedRecord) string { return ui.Bytes(r.Bytes) }, Plain: func(r adoptedRecord) string { return exact(r.Bytes) }},
		ui.Column[adoptedRecord]{Head: "names", Right: true, Cell: func(r adoptedRecord) string { return ui.Count(r.Names) }, Plain: func(r adoptedRecord) string { return exact(r.Names) }},
		ui.Column[adoptedRecord]{Head: "packed", Right: true, Cell: func(r adoptedRecord) string { return ui.Count(r.Packed) }, Plain: func(r adoptedRecord) string { return exact(r.Packed) }},
	)
	for _, one := range res.Sources {
		list.Add(adoptedRecord{one.Name, one.Archives.Files, one.Archives.Bytes, one.Names, one.Packed})
	}
	list.Close()
	o.record(s, row, res)
	s.ui.Print(o.text(res))
	if !o.DryRun && res.Files.Files > 0 {
		compare := fmt.Sprintf("a directory with it: firn sync DIR %s --tree %s", o.Store, o.Tree)
		if len(o.places) > 0 {
			compare = "the profile's directories with it: firn sync " + o.Store
		}
		s.ui.Notice("compare " + compare + "; with --trust-times files whose size and time agree aren't read")
	}
	if !res.Complete() {
		return ErrPartial
	}
	return nil
}

func (o *adoptOptions) record(s *session, row catalog.Store, res adopt.Result) {
	s.ui.Record("adoption", adoptionRecord{
		Store: row.URL, Tree: o.Tree, DryRun: o.DryRun, Inventory: timeText(res.Dated), Listed: res.Listed.Files, Names: res.Files.Files, Older: res.Older,
		Known: res.Known, Unknown: res.Bare.Files, Own: res.Own.Files, Missing: res.Missing, Deleted: res.Deleted, Unsized: res.Unsized, Failed: res.Bad,
		Pending: res.Pending, Ready: timeText(res.Ready),
	})
}

// inventoryText says when to come back.
func inventoryText(ready, now time.Time) string {
	const again = "; run the same command again"
	if !ready.After(now) {
		return "the store is getting its inventory ready" + again + " later"
	}
	return fmt.Sprintf("the store is getting its inventory ready, not before %s%s then", ready.Local().Format(time.DateTime), again)
}

// text says in a line what the adoption came to.
func (o *adoptOptions) text(res adopt.Result) string {
	text := "took in "
	if o.DryRun {
		text = "would take in "
	}
	text += counted(res.Files.Files, "name")
	if res.Older > 0 {
		text += fmt.Sprintf(", %s of older versions", ui.Count(res.Older))
	}
	if res.Known > 0 {
		text += "; " + counted(res.Known, "archive") + " known before"
	}
	if res.Bad > 0 {
		text += "; done in part: "
		if res.Bad == 1 {
			text += "1 bad entry is left out"
		} else {
			text += ui.Count(res.Bad) + " bad entries are left out"
		}
	}
	return text
}
