package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

type syncOptions struct {
	app  *app
	Dirs []string // absolute
	To   string
	Tree string

	Filter        filterOptions
	Store         storeOptions
	PartSize      partSize
	Concurrency   count
	DryRun        bool
	ExpectChanges bool
	TreeMoved     bool
}

func newSyncCmd(a *app, run func(context.Context, *syncOptions) error) *cobra.Command {
	o := &syncOptions{app: a, Concurrency: transfer.DefaultConcurrency}
	cmd := &cobra.Command{
		Use:   "sync DIR... STORE",
		Short: "archive what is new or changed in a directory",
		Long: `Archive what is new or changed below each DIR in STORE: glacier:VAULT,
glacier:REGION/VAULT, or local:DIR for a vault in a folder, which is made when it
is not there yet. Nothing is ever deleted from the store: of a file that changed
the old version stays, and so does a file that is gone from disk.

Each DIR is a tree of the store, named after its last component, or by --tree.
The name belongs to that directory on this machine from its first sync on, so
that several directories and several machines can share a store.

Filters leave files out, as does by default a list of what NAS and desktop systems
leave behind (docs/filters.md). What is left out is neither sent nor, where it is
stored already, taken for removed.

It can be stopped at any time, by kill -9 too: the same command goes on where it
was. Files that can't be read are named and passed over, and the status is 3.`,
		Example: `  firn sync ~/photos glacier:eu-west-1/photos
  firn sync ~/photos ~/music local:/mnt/usb/vault
  firn sync ~/photos glacier:photos --filter '+*.jpg +*.raw -'
  firn sync --dry-run --json ~/photos glacier:photos`,
		Args: takes("DIR...", "STORE"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && (strings.HasPrefix(word, "g") || strings.HasPrefix(word, "l")) {
				return a.completeStore(word)
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be done, and do nothing")
	f.StringVar(&o.Tree, "tree", "", "call the directory `NAME` in the store (default: its last component)")
	f.Var(&o.PartSize, "part-size", "send large files in parts of so many MiB, a power of two")
	f.Var(&o.Concurrency, "concurrency", "send so many files and parts at a time")
	f.BoolVar(&o.ExpectChanges, "expect-changes", false, "go on even if a directory that had files is empty now")
	f.BoolVar(&o.TreeMoved, "tree-moved", false, "the directory has moved, or the machine has another name now: take it for the same tree")
	o.Filter.addFlags(f, a)
	o.Store.addFlags(f, true, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.To = args[len(args)-1]
		for _, dir := range args[:len(args)-1] {
			o.Dirs = append(o.Dirs, a.env.Path(dir))
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
	s, err := o.app.openStore(ctx, o.To, o.Store.wire())
	if err != nil {
		return err
	}
	defer s.close()
	row, err := o.register(ctx, s)
	if err != nil {
		return err
	}
	uploader, err := transfer.NewUploader(s.store, s.store.Traits(), transfer.UploadOptions{
		PartSize: int64(o.PartSize), Concurrency: int(o.Concurrency), Limit: int64(o.Store.LimitUpload),
		Clock: s.env.Clock, Events: s.env.Events, TokenOf: describe.TokenOf,
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range o.Dirs {
		err := o.syncOne(ctx, s, row, uploader, o.app.filterOf(left, dir), dir)
		errs = append(errs, err)
		if ctx.Err() != nil || !ofTree(err) {
			break // what fails is the store or the catalog, for all
		}
	}
	return errors.Join(errs...)
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
	names := map[string]string{}
	for _, dir := range o.Dirs {
		if err := o.checkApart(dir); err != nil {
			return err
		}
		err := isDirectory(dir)
		if firn.KindOf(err) == firn.Usage || err != nil && len(o.Dirs) == 1 {
			return err // of several, one that is missing stops only itself
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

// isDirectory says what is wrong with a directory to sync.
func isDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return &firn.Error{Op: "sync", Subject: dir, Kind: firn.Local, Err: cause(err), Hint: "is its disk mounted?"}
	}
	if !info.IsDir() {
		return wrongUsage("sync", "%s is no directory", dir)
	}
	return nil
}

// checkApart refuses a vault that lies in the directory that it is to keep: each
// sync would archive what the one before has stored.
func (o *syncOptions) checkApart(dir string) error {
	loc, err := config.ParseLocation(o.To, o.app.env.Dir)
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
	if base := filepath.Base(dir); base != string(filepath.Separator) {
		return base
	}
	return "root"
}

// register checks that the store is the one the catalog knows. A dry run only
// looks.
func (o *syncOptions) register(ctx context.Context, s *session) (catalog.Store, error) {
	if !o.DryRun {
		return s.store.CheckOrCreate(ctx, s.catalog)
	}
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if firn.KindOf(err) == firn.NotFound {
		return catalog.Store{}, nil // all would be new
	}
	return row, err
}

func (o *syncOptions) syncOne(ctx context.Context, s *session, row catalog.Store, uploader *transfer.Uploader, left *filter.Filter, dir string) error {
	if err := isDirectory(dir); err != nil {
		return err
	}
	start := s.env.Clock.Now()
	name := o.treeName(dir)
	host, err := o.app.hostname()
	if err != nil {
		return err
	}
	if !o.DryRun {
		lock, err := wire.LockTree(s.env, row, name)
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	res, err := syncer.Run(ctx, syncer.Options{
		Catalog: s.catalog, Row: row, Store: s.store, Uploader: uploader, Clock: s.env.Clock, Events: s.env.Events,
		Root: dir, Tree: name, Host: host, Filter: left,
		Concurrency: int(o.Concurrency), DryRun: o.DryRun, ExpectEmpty: o.ExpectChanges, Moved: o.TreeMoved,
	})
	if res.Counts != nil {
		s.env.Events(firn.SummaryEvent{
			Command: "sync", Store: s.loc.String(), Tree: name, DryRun: o.DryRun, Stopped: err != nil,
			Counts: res.Counts, Excluded: res.Excluded, Elapsed: s.env.Clock.Now().Sub(start),
		})
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
