package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

type syncOptions struct {
	app   *app
	Dirs  []string // absolute
	To    string
	Tree  string
	All   bool              // the profiles
	names map[string]string // of the trees of a profile, by their directories; nil without
	about []string          // what firn resume knows the command by; nil: by its directories

	Change      changeOptions
	Filter      filterOptions
	Bundle      bundleOptions
	Seal        sealOptions
	Journal     string // file; empty: none is kept
	Store       storeOptions
	PartSize    partSize
	Concurrency count
	DryRun      bool
	TreeMoved   bool
	LockWait    time.Duration
	LowPriority bool
}

func newSyncCmd(a *app, run func(context.Context, *syncOptions) error) *cobra.Command {
	o := &syncOptions{app: a, Concurrency: transfer.DefaultConcurrency}
	cmd := &cobra.Command{
		Use:   "sync {DIR... STORE | PROFILE... | --all}",
		Short: "archive what is new or changed in a directory",
		Long: `Archive what is new or changed below each DIR in STORE: glacier:VAULT,
glacier:REGION/VAULT, or local:DIR for a vault in a folder, which is made when it
is not there yet. Nothing is deleted from the store unless told so: of a file that
changed the old version stays, and so does a file that is gone from disk. With
--new, --replace-modified and --delete-removed only these are done (docs/sync.md).

Each DIR is a tree of the store, named after its last component, or by --tree.
The name belongs to that directory on this machine from its first sync on, so
that several directories and several machines can share a store.

A PROFILE names a store, its directories and options (docs/profiles.md): its trees
are synced one after the other. A word that names a profile is that profile, write
./NAME for a directory of that name; DIR... may also go to the store of a PROFILE.

Filters leave files out, as does by default a list of what NAS and desktop systems
leave behind (docs/filters.md). What is left out is neither sent nor, where it is
stored already, taken for removed.

It can be stopped at any time, by kill -9 too: the same command goes on where it
was. Files that can't be read are named and passed over, and the status is 3.`,
		Example: `  firn sync ~/photos glacier:eu-west-1/photos
  firn sync ~/photos ~/music local:/mnt/usb/vault
  firn sync ~/photos glacier:photos --filter '+*.jpg +*.raw -'
  firn sync home
  firn sync --dry-run --json ~/photos glacier:photos`,
		Args: takes("[DIR...]", "[STORE]"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && (strings.HasPrefix(word, "g") || strings.HasPrefix(word, "l")) {
				return a.completeStore(word)
			}
			return a.completeProfileOrDir(word)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be done, and do nothing")
	f.StringVar(&o.Tree, "tree", "", "call the directory `NAME` in the store (default: its last component)")
	f.BoolVar(&o.All, "all", false, "sync all profiles")
	f.Var(&o.PartSize, "part-size", "send large files in parts of so many MiB: in vaults a power of two up to 4096, in S3 any up to 5120")
	f.Var(&o.Concurrency, "concurrency", "send so many files and parts at a time")
	f.BoolVar(&o.TreeMoved, "tree-moved", false, "the directory has moved, or the machine has another name now: take it for the same tree")
	f.DurationVar(&o.LockWait, "lock-wait", 0, "wait so long for another sync of the same directory to end")
	f.BoolVar(&o.LowPriority, "low-priority", false, "let other programs go first, at the processors and the disks")
	o.Change.addFlags(f, a)
	o.Filter.addFlags(f, a)
	o.Bundle.addFlags(f)
	o.Seal.addRecipients(f, a)
	f.StringVar(&o.Journal, "journal", "", "keep the journal of mt-aws-glacier in `FILE`, too, and give each file an archive of its own")
	o.Store.addFlags(f, true, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		file, profiles, err := o.profiles(args)
		if err != nil {
			return err
		}
		if profiles != nil {
			return o.syncProfiles(ctx, file, profiles, f)
		}
		o.To = args[len(args)-1]
		for _, dir := range args[:len(args)-1] {
			o.Dirs = append(o.Dirs, a.env.Path(dir))
		}
		if err := a.useProfile(f, o.To, o.Dirs...); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func runSync(ctx context.Context, o *syncOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	left, err := o.Filter.read(o.app)
	if err != nil {
		return err
	}
	j, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer j.s.close()
	var errs []error
	for _, dir := range o.Dirs {
		err := o.syncOne(ctx, j, o.app.filterOf(left, dir), dir)
		errs = append(errs, err)
		if ctx.Err() != nil || !ofTree(err) {
			return errors.Join(errs...) // what fails is the store or the catalog, for all
		}
	}
	return o.Change.outcome(errors.Join(append(errs, o.end(ctx, j))...))
}

// end does what comes after the last directory.
func (o *syncOptions) end(ctx context.Context, j *syncJob) error {
	if o.DryRun {
		return o.Change.tellFarewell(ctx, j)
	}
	return j.save(ctx)
}

// A syncJob is what is open while directories are synced to one store.
type syncJob struct {
	s          *session
	row        catalog.Store
	uploader   *transfer.Uploader
	recipients *seal.Recipients
	snapshots  *snapshot.Maker // nil of a dry run
	run        catalog.Run     // the last one
	partings   syncer.Partings // of a dry run
}

// open opens the store, and makes it where it may.
func (o *syncOptions) open(ctx context.Context) (j *syncJob, err error) {
	if o.LowPriority {
		if err := lowerPriority(); err != nil {
			o.app.ui.Warn("the priority can't be lowered: " + err.Error())
		}
	}
	recipients, err := o.Seal.recipients(ctx, o.app.wireEnv(), o.DryRun)
	if err != nil {
		return nil, err
	}
	s, err := o.app.openStore(ctx, o.To, o.Store.wire())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := o.PartSize.checkIn(s.store.Traits()); err != nil {
		return nil, err
	}
	s.seeClass(ctx)
	if err := o.Change.begin(ctx, s.store.Prices(), o.DryRun); err != nil {
		return nil, err
	}
	if err := wire.CheckDataDir(s.env); err != nil {
		return nil, err
	}
	o.app.begin(ctx, s, o.subject(s)...)
	row, err := o.register(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := tellEmptying(ctx, s, row); err != nil {
		return nil, err
	}
	uploader, err := transfer.NewUploader(s.store, s.store.Traits(), transfer.UploadOptions{
		PartSize: int64(o.PartSize), Concurrency: int(o.Concurrency), Limit: o.Store.LimitUpload.Slowest(),
		Clock: s.env.Clock, Events: s.env.Events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return nil, err
	}
	j = &syncJob{s: s, row: row, uploader: uploader, recipients: recipients}
	if o.DryRun {
		return j, nil
	}
	if j.snapshots, err = o.app.newSnapshots(ctx, s, row, uploader); err != nil {
		return nil, err
	}
	return j, j.begin(ctx)
}

// subject is what the command is about: a later one about the same takes its place
// for firn resume.
func (o *syncOptions) subject(s *session) []string {
	if o.about != nil {
		return o.about
	}
	parts := []string{s.loc.String()}
	for _, dir := range o.Dirs {
		parts = append(parts, o.treeName(dir), dir)
	}
	return parts
}

// ofTree reports whether an error is one of a tree, or none: then the others are
// synced all the same.
func ofTree(err error) bool {
	if err == nil || silent(err) {
		return true
	}
	switch firn.KindOf(err) {
	case firn.Conflict, firn.Local, firn.NotFound, firn.Usage:
		return true
	}
	return false
}

// check finds what is wrong with the arguments before anything is opened.
func (o *syncOptions) check() error {
	if o.Tree != "" && len(o.Dirs) > 1 {
		return wrongUsage("sync", "--tree names one directory, and %d are given", len(o.Dirs))
	}
	if err := o.checkJournal(); err != nil {
		return err
	}
	if err := errors.Join(o.Change.check(), o.Bundle.check()); err != nil {
		return err
	}
	names := map[string]string{}
	for _, dir := range o.Dirs {
		if err := o.checkApart(dir); err != nil {
			return err
		}
		err := isDirectory(dir)
		if o.names == nil && (firn.KindOf(err) == firn.Usage || err != nil && len(o.Dirs) == 1) {
			return err // of several, one that is missing stops only itself; one of a profile may come with its hook
		}
		if err := describe.CheckTree(o.treeName(dir)); err != nil {
			return wrongUsage("sync", "%q can't be the name of a tree: %v; give another with --tree NAME", o.treeName(dir), err)
		}
		if other, taken := names[o.treeName(dir)]; taken {
			return wrongUsage("sync", "%s and %s have the same name; sync them one by one, with --tree NAME", other, dir)
		}
		names[o.treeName(dir)] = dir
	}
	return nil
}

// checkJournal finds what a journal can't be kept of. No file shares an archive
// while one is.
func (o *syncOptions) checkJournal() error {
	switch {
	case o.Journal == "":
		return nil
	case len(o.Seal.Recipients) > 0:
		return wrongUsage("sync", "--journal can't be kept of what is encrypted: mtglacier could not read it, and its names would be there for all to see")
	case len(o.Dirs) > 1:
		return wrongUsage("sync", "--journal has the names of one directory, and %d are given; sync them one by one, each with a journal of its own", len(o.Dirs))
	}
	o.Bundle.None = true
	return nil
}

// isDirectory says what is wrong with a directory to sync.
func isDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return &firn.Error{Op: "sync", Subject: dir, Kind: firn.Local, Err: cause(err), Hint: "is its disk mounted?"}
	}
	if !info.IsDir() {
		return wrongUsage("sync", "%s is no directory; a file by itself is stored with: firn archive upload STORE %s", dir, quote(dir))
	}
	return nil
}

// checkApart refuses a vault that lies in the directory that it is to keep: each
// sync would archive what the one before has stored.
func (o *syncOptions) checkApart(dir string) error {
	loc, _, err := o.app.resolve(o.To)
	if err != nil || loc.Scheme != config.Local || !within(loc.Dir, dir) {
		return err
	}
	return wrongUsage("sync", "the vault %s lies in %s and would archive itself; put it somewhere else", loc.Dir, dir)
}

// within reports whether path is dir, or below it, links resolved as far as
// they exist.
func within(path, dir string) bool {
	rel, err := filepath.Rel(resolved(dir), resolved(path))
	return err == nil && filepath.IsLocal(rel)
}

// resolved gives path without links; what doesn't exist yet stays as it is.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}

// cause is what is wrong with a path, without the path.
func cause(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

func (o *syncOptions) treeName(dir string) string {
	if o.Tree != "" {
		return o.Tree
	}
	if name, ok := o.names[dir]; ok {
		return name
	}
	return defaultTreeName(dir)
}

// defaultTreeName is what a directory is called that has no other name.
func defaultTreeName(dir string) string {
	if base := filepath.Base(dir); base != string(filepath.Separator) {
		return base
	}
	return "root"
}

// register checks that the store is the one the catalog knows. A dry run only
// looks.
func (o *syncOptions) register(ctx context.Context, s *session) (catalog.Store, error) {
	if !o.DryRun {
		row, err := s.store.CheckOrCreate(ctx, s.catalog)
		if err == nil {
			tidyLoose(ctx, s, row)
		}
		return row, err
	}
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return catalog.Store{}, nil // all would be new
	}
	return row, err
}

func (o *syncOptions) syncOne(ctx context.Context, j *syncJob, left *filter.Filter, dir string) error {
	return o.locked(ctx, j, dir, func() error { return o.syncLocked(ctx, j, left, dir) })
}

// locked does work under the lock of a directory's tree. A dry run needs none.
func (o *syncOptions) locked(ctx context.Context, j *syncJob, dir string, work func() error) error {
	if o.DryRun {
		return work()
	}
	wait := o.LockWait
	if o.app.once {
		wait = 0
	}
	lock, err := wire.LockTree(ctx, j.s.env, j.row, o.treeName(dir), wait)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return work()
}

func (o *syncOptions) syncLocked(ctx context.Context, j *syncJob, left *filter.Filter, dir string) error {
	s := j.s
	if err := isDirectory(dir); err != nil {
		return err
	}
	start := s.env.Clock.Now()
	name := o.treeName(dir)
	host, err := o.app.hostname()
	if err != nil {
		return err
	}
	if err := o.app.checkTreeMoved(ctx, s, j.row, name, host, dir); err != nil {
		return err
	}
	bundling, err := o.Bundle.bundling(s.env, s.store.Class())
	if err != nil {
		return err
	}
	opts := syncer.Options{
		Catalog: s.catalog, Row: j.row, Store: s.store, Uploader: j.uploader, Clock: s.env.Clock, Events: s.env.Events,
		Root: dir, Tree: name, Host: host, Filter: left,
		Concurrency: int(o.Concurrency), DryRun: o.DryRun, Moved: o.TreeMoved,
		Bundling: bundling, Recipients: j.recipients, Unencrypted: o.Seal.Unencrypted, Prices: s.store.Prices(),
		Snapshots: j.snapshots,
	}
	if o.DryRun {
		opts.Partings = &j.partings
	}
	if o.Journal != "" {
		opts.Journal = o.app.env.Path(o.Journal)
	}
	o.Change.fill(&opts)
	res, err := syncer.Run(ctx, opts)
	if res.Run.ID != 0 {
		j.run = res.Run
	}
	if res.Counts != nil {
		s.env.Events(firn.SummaryEvent{
			Command: "sync", Store: s.loc.String(), Tree: name, DryRun: o.DryRun, Stopped: err != nil,
			Counts: res.Counts, Excluded: res.Excluded, Elapsed: s.env.Clock.Now().Sub(start),
		})
	}
	tellOutlook(s.ui, s.loc.String(), name, res.Outlook)
	tellLetGo(s.ui, res.LetGo)
	if res.LetGo.Waiting.Files > 0 { // firn resume deletes those
		err = errors.Join(err, s.catalog.SetDeletionCall(context.WithoutCancel(ctx), j.row.ID, catalog.Call{Store: o.To, Dir: o.app.env.Dir, Env: o.app.taskEnv()}))
	}
	if res.Doubles > 0 {
		s.ui.Notice(fmt.Sprintf("after lost answers %d archives may be stored twice; a later inventory shows it, and the copies are deleted then", res.Doubles))
	}
	return errors.Join(err, statusOfResult(res))
}

// A result says whether a work left anything out.
type result interface {
	Failed() bool
	Pending() bool
}

// statusOfResult gives the errors that stand for the exit status.
func statusOfResult(r result) error {
	var errs []error
	if r.Failed() {
		errs = append(errs, ErrPartial)
	}
	if r.Pending() {
		errs = append(errs, ErrNotYet)
	}
	return errors.Join(errs...)
}
