package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
)

type verifyOptions struct {
	app         *app
	Dir         string // absolute; empty: the directories of the store's trees
	With        string
	Tree        string
	Filter      filterOptions
	Quick       bool
	Concurrency count

	Part                partOf
	MaxTime, MaxAge     timeSpan
	DiskOnly, StoreOnly bool
	Safe, Print0        bool
	Wait                bool

	Sample  sampleSize
	Tiers   tierList
	Consent consentOptions
	Seal    sealOptions
	Store   storeOptions

	flags *pflag.FlagSet
}

func newVerifyCmd(a *app, run func(context.Context, *verifyOptions) error) *cobra.Command {
	o := &verifyOptions{app: a, Concurrency: transfer.DefaultConcurrency, Tiers: tierList{firn.Bulk}}
	cmd := &cobra.Command{
		Use:   "verify [DIR] STORE",
		Short: "compare directories and the store's inventory with what was archived",
		Long: `Compare the directories of this machine's trees in STORE with what the catalog
knows to be there: names, sizes, times, link targets, and by reading every file
its content. Then compare the catalog with the store's newest inventory: each
archive must be listed, with its size and tree hash. Nothing is downloaded. With DIR
that directory alone is compared, and the store is not asked.

Hashes are kept with their date. A verification that was interrupted, or stopped by
--max-time, goes on where it was, and so does firn resume; files that were touched
are read again. --part 3/30 reads the third of thirty parts, so that a month of
nights reads everything; --max-age 30d believes what was read within 30 days.

A vault needs hours for its inventory: it is asked for, and the status is 75 until
the same command, or firn resume, has seen it. --sample N brings N files back, as
restore does and at its price, and compares them. --safe-to-delete prints the files
on disk of which the store surely has the content, and nothing else.

Filters leave files out of the comparison, on both sides, as does the default list
(docs/filters.md): give the same ones as to sync; a profile has its own. Differences
make the status 3. docs/verify.md tells the whole story.`,
		Example: `  firn verify glacier:photos
  firn verify home --part 3/30 --max-time 2h --disk-only
  firn verify glacier:photos --store-only --sample 5 --max-cost 1
  firn verify /mnt/restored glacier:photos --tree photos
  firn verify glacier:photos --safe-to-delete -0 | xargs -0 rm --`,
		Args: takes("[DIR]", "STORE"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return a.completeStore(word)
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	f := cmd.Flags()
	o.addFlags(f, a)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.With, o.flags = args[len(args)-1], f
		if len(args) == 2 {
			o.Dir = a.env.Path(args[0])
		}
		if err := o.check(); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func (o *verifyOptions) addFlags(f *pflag.FlagSet, a *app) {
	f.SortFlags = false
	f.StringVar(&o.Tree, "tree", "", "compare only the tree `NAME` (with DIR by default the directory's last component)")
	f.BoolVar(&o.Quick, "quick", false, "believe sizes and times, and read no file")
	f.Var(&o.Part, "part", "compare only the files of a `PART` such as 3/30, the third of thirty")
	f.Var(&o.MaxTime, "max-time", "begin to read no file after `DURATION`, such as 2h; the next time goes on")
	f.Var(&o.MaxAge, "max-age", "believe what was read within `DURATION`, such as 30d, where the file wasn't touched since; an inventory too")
	f.BoolVar(&o.DiskOnly, "disk-only", false, "compare the disk, and don't ask the store")
	f.BoolVar(&o.StoreOnly, "store-only", false, "compare the store, and leave the disk alone")
	f.Var(&o.Sample, "sample", "bring back `N` files of the store, chosen at random, and compare them")
	f.BoolVar(&o.Safe, "safe-to-delete", false, "print the files on disk whose content the store surely has")
	f.BoolVarP(&o.Print0, "print0", "0", false, "with --safe-to-delete: end paths with a byte 0 instead of a newline")
	f.BoolVarP(&o.Wait, "wait", "w", false, "wait until the store has its inventory, and the sample, ready")
	f.Var(&o.Concurrency, "concurrency", "read so many files at a time")
	o.Filter.addFlags(f, a)
	f.Var(&o.Tiers, "tier", "of --sample: bulk, standard or expedited")
	o.Consent.addFlags(f, a)
	o.Seal.addIdentity(f, a)
	o.Store.addFlags(f, false, true)
	notOfProfile(f, "max-age")
}

// check finds options that don't go together.
func (o *verifyOptions) check() error {
	refuse := func(format string, args ...any) error { return wrongUsage("verify", format, args...) }
	disk := o.Quick || o.Part.of > 0 || o.MaxTime.Duration > 0 || o.DiskOnly
	switch {
	case o.StoreOnly && o.Dir != "":
		return refuse("--store-only leaves the disk out, so name no directory")
	case o.StoreOnly && (disk || o.Safe):
		return refuse("--store-only leaves the disk out, and goes with no option that is about the disk")
	case o.Safe && (o.DiskOnly || o.Quick):
		return refuse("--safe-to-delete reads the files and asks the store, so it goes without --disk-only and --quick")
	case o.Safe && o.Sample > 0:
		return refuse("give --sample and --safe-to-delete one after the other")
	case o.Print0 && !o.Safe:
		return refuse("--print0 is for --safe-to-delete")
	case o.Print0 && o.app.ui.IsJSON():
		return refuse("give --print0 or --json, not both")
	case o.DiskOnly && o.Sample > 0:
		return refuse("--sample asks the store, so it goes without --disk-only")
	case o.Quick && o.MaxAge.Duration > 0:
		return refuse("--quick reads no file, so it goes without --max-age")
	}
	return nil
}

// asks reports whether the store is asked.
func (o *verifyOptions) asks() bool {
	return o.StoreOnly || o.Safe || o.Sample > 0 || o.Dir == "" && !o.DiskOnly
}

// A verification is a run of the command.
type verification struct {
	*verifyOptions
	s      *session
	row    catalog.Store
	places []*verifyPlace
	until  time.Time // zero: no end
}

func runVerify(ctx context.Context, o *verifyOptions) (err error) {
	v, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.s.close()) }()
	if err := v.choose(ctx); err != nil {
		return err
	}
	if !o.Safe && !o.Quick {
		o.app.begin(ctx, v.s, o.subject(v.s)...)
	}
	if o.MaxTime.Duration > 0 {
		v.until = v.s.env.Clock.Now().Add(o.MaxTime.Duration)
	}
	if o.Safe {
		return v.safeToDelete(ctx)
	}
	err = v.disk(ctx)
	if ctx.Err() != nil || v.isCut() {
		return err
	}
	if o.asks() {
		err = errors.Join(err, v.store(ctx))
	}
	if ctx.Err() == nil && o.Sample > 0 {
		err = errors.Join(err, v.sample(ctx))
	}
	if ctx.Err() != nil || isPending(ctx, err) || StatusOf(ctx, err) == Failed {
		return err // the next time goes on, and reads nothing again
	}
	return errors.Join(err, v.endRounds(ctx))
}

// open opens what is needed: without the store's inventory the store need not be
// there.
func (o *verifyOptions) open(ctx context.Context) (*verification, error) {
	v := &verification{verifyOptions: o}
	if err := v.useProfile(); err != nil {
		return nil, err
	}
	var err error
	if o.asks() {
		v.s, err = o.app.openStore(ctx, o.With, o.Store.wire())
	} else {
		v.s, err = o.app.openCatalog(ctx, o.With)
	}
	if err != nil {
		return nil, err
	}
	if v.row, err = v.s.row(ctx); err != nil {
		return nil, errors.Join(err, v.s.close())
	}
	return v, nil
}

// subject is what the command is about: the same one goes on with it.
func (o *verifyOptions) subject(s *session) []string {
	var about []string
	o.flags.Visit(func(f *pflag.Flag) { // what the result depends on
		if slices.Contains([]string{"tree", "part", "disk-only", "store-only", "sample"}, f.Name) {
			about = append(about, "--"+f.Name+"="+f.Value.String())
		}
	})
	return append([]string{s.loc.String(), o.Dir}, about...)
}

// chooseTree finds the tree that DIR is to be compared with: the named one, the
// one of its own name, or the only one there is.
func (o *verifyOptions) chooseTree(ctx context.Context, s *session, row catalog.Store) (catalog.Tree, error) {
	name := o.Tree
	if name == "" {
		name = filepath.Base(o.Dir)
	}
	tree, err := s.catalog.Tree(ctx, row.ID, name)
	if o.Tree != "" || firn.KindOf(err) != firn.NotFound {
		return tree, err
	}
	trees, err := s.catalog.Trees(ctx, row.ID)
	if err != nil {
		return catalog.Tree{}, err
	}
	if len(trees) != 1 {
		return catalog.Tree{}, &firn.Error{Op: "verify", Subject: o.Dir, Kind: firn.Usage,
			Err: fmt.Errorf("%s has %d trees, and none is called %q", s.loc, len(trees), name), Hint: "choose one with --tree NAME; firn status lists them"}
	}
	return trees[0], nil
}
