package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/upkeep"
)

type verifyOptions struct {
	app         *app
	Dir         string // absolute
	With        string
	Tree        string
	Filter      filterOptions
	Quick       bool
	Concurrency count
}

func newVerifyCmd(a *app, run func(context.Context, *verifyOptions) error) *cobra.Command {
	o := &verifyOptions{app: a, Concurrency: transfer.DefaultConcurrency}
	cmd := &cobra.Command{
		Use:   "verify DIR STORE",
		Short: "compare a directory with what was archived of it",
		Long: `Compare a directory with what the catalog knows to be in STORE: names, sizes,
times, link targets, and by reading every file its content. Nothing is downloaded,
and the store is not asked.

Filters leave files out of the comparison, on both sides, as does the default list
(docs/filters.md): give the same ones as to sync. Differences make the status 3.`,
		Example: `  firn verify ~/photos glacier:photos
  firn verify /mnt/restored glacier:photos --tree photos`,
		Args: takes("DIR", "STORE"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return a.completeStore(word)
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Tree, "tree", "", "compare with the tree `NAME` (default: the directory's last component)")
	f.BoolVar(&o.Quick, "quick", false, "believe sizes and times, and read no file")
	f.Var(&o.Concurrency, "concurrency", "read so many files at a time")
	o.Filter.addFlags(f, a)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Dir, o.With = a.env.Path(args[0]), args[1]
		if err := a.useProfile(f, o.With, o.Dir); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

func runVerify(ctx context.Context, o *verifyOptions) error {
	left, err := o.Filter.read(o.app)
	if err != nil {
		return err
	}
	s, err := o.app.openCatalog(ctx, o.With)
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.row(ctx)
	if err != nil {
		return err
	}
	tree, err := o.chooseTree(ctx, s, row)
	if err != nil {
		return err
	}
	start := s.env.Clock.Now()
	res, err := upkeep.Verify(ctx, upkeep.VerifyOptions{
		Catalog: s.catalog, Tree: tree, Root: o.Dir, Events: s.env.Events, Filter: o.app.filterOf(left, o.Dir),
		Quick: o.Quick, Concurrency: int(o.Concurrency),
	})
	if err != nil {
		return err
	}
	s.env.Events(firn.SummaryEvent{
		Command: "verify", Store: s.loc.String(), Tree: tree.Name,
		Counts: res.Counts, Excluded: res.Excluded, Elapsed: s.env.Clock.Now().Sub(start),
	})
	if !res.Clean() {
		return ErrPartial
	}
	return nil
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
