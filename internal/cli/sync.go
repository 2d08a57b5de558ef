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
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

type syncOptions struct {
	app  *app
	Dirs []string // absolute
	To   string
	Tree string

	Store         storeOptions
	PartSize      partSize
	Concurrency   count
	DryRun        bool
	ExpectChanges bool
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

It can be stopped at any time, by kill -9 too: the same command goes on where it
was. Files that can't be read are named and passed over, and the status is 3.`,
		Example: `  firn sync ~/photos glacier:eu-west-1/photos
  firn sync ~/photos ~/music local:/mnt/usb/vault
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
		err := o.syncOne(ctx, s, row, uploader, dir)
		errs = append(errs, err)
		if ctx.Err() != nil || err != nil && !silent(err) {
			break // what fails is the store or the catalog, for all
		}
	}
	return errors.Join(errs...)
}

// check finds what is wrong with the arguments before anything is opened.
func (o *syncOptions) check() error {
	if o.Tree != "" && len(o.Dirs) > 1 {
		return wrongUsage("sync", "--tree names one directory, and %d are given", len(o.Dirs))
	}
	if !config.LooksLikeLocation(o.To) {
		if _, err := config.ParseLocation(o.To, o.app.env.Dir); err != nil {
			return err
		}
	}
	names := map[string]string{}
	for _, dir := range o.Dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return &firn.Error{Op: "sync", Subject: dir, Kind: firn.Local, Err: cause(err), Hint: "is its disk mounted?"}
		}
		if !info.IsDir() {
			return wrongUsage("sync", "%s is no directory", dir)
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

func (o *syncOptions) syncOne(ctx context.Context, s *session, row catalog.Store, uploader *transfer.Uploader, dir string) error {
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
		Root: dir, Tree: name, Host: host,
		Concurrency: int(o.Concurrency), DryRun: o.DryRun, ExpectEmpty: o.ExpectChanges,
	})
	if res.Counts != nil {
		s.env.Events(firn.SummaryEvent{
			Command: "sync", Store: s.loc.String(), Tree: name, DryRun: o.DryRun, Stopped: err != nil,
			Counts: res.Counts, Elapsed: s.env.Clock.Now().Sub(start),
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
