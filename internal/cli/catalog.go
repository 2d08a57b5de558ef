package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

func newCatalogCmd(a *app) *cobra.Command {
	return group("catalog", "check the catalog, write it out, take in another machine's",
		newCatalogCheckCmd(a, runCatalogCheck),
		newCatalogExportCmd(a, runCatalogExport),
		newCatalogImportCmd(a, runCatalogImport),
	)
}

type catalogCheckOptions struct {
	app     *app
	Rebuild bool
}

func newCatalogCheckCmd(a *app, run func(context.Context, *catalogCheckOptions) error) *cobra.Command {
	o := &catalogCheckOptions{app: a}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "check that the catalog is whole",
		Long: `Look at every page and every row of this machine's catalog: whether the file can
be read, whether all that rows refer to is there, whether the versions of each file
follow each other, whether each file's content lies within its archive, and whether
sums and indexes are right. It asks no store and changes nothing.

What is wrong goes to stdout, and the status is 3; stderr says what to do. A catalog
can be made anew from the stores: firn recover STORE. Indexes alone are made whole
with --rebuild-index.`,
		Example:           `  firn catalog check --rebuild-index`,
		Args:              takes(),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&o.Rebuild, "rebuild-index", false, "make all indexes whole first")
	cmd.RunE = a.runner(func(ctx context.Context, _ []string) error { return run(ctx, o) })
	return cmd
}

// The records of catalog check --json.
type (
	catalogFaultRecord struct {
		Rule  catalog.Rule `json:"rule"`
		Where string       `json:"where"`
		What  string       `json:"what"`
	}
	catalogCheckRecord struct {
		Stores      int64 `json:"stores"`
		Trees       int64 `json:"trees"`
		Directories int64 `json:"directories"`
		Entries     int64 `json:"entries"`
		Versions    int64 `json:"versions"`
		Archives    int64 `json:"archives"`
		Contents    int64 `json:"contents"`
		Unstored    int64 `json:"unstored"`
		Faults      int64 `json:"faults"`
		Added       int64 `json:"index_rows_added"`
		Removed     int64 `json:"index_rows_removed"`
	}
)

// maxFaults is how many faults of one rule people are shown, unless they ask for
// more with --verbose.
const maxFaults = 20

func runCatalogCheck(ctx context.Context, o *catalogCheckOptions) error {
	s, err := o.app.openCatalog(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	var indexed catalog.Reindexed
	if o.Rebuild {
		if indexed, err = s.catalog.RebuildIndex(ctx); err != nil {
			return err
		}
		s.ui.Print(fmt.Sprintf("indexes: %s rows added, %s removed", ui.Count(indexed.Added), ui.Count(indexed.Removed)))
	}
	told := map[catalog.Rule]int64{}
	done, err := s.catalog.Check(ctx, func(f catalog.Fault) error {
		told[f.Rule]++
		s.ui.Record("catalog_fault", catalogFaultRecord{f.Rule, f.Where, f.What})
		if told[f.Rule] <= maxFaults || o.app.global.Verbose {
			s.ui.Print(fmt.Sprintf("%s: %s: %s", f.Rule, f.Where, f.What))
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.ui.Record("catalog_check", catalogCheckRecord{done.Stores, done.Trees, done.Dirs, done.Files, done.Versions, done.Archives, done.Locations,
		done.Unstored, done.Faults, indexed.Added, indexed.Removed})
	showChecked(s, done, told, o.app.global.Verbose)
	if done.Faults > 0 {
		return ErrPartial
	}
	return nil
}

// showChecked sums up for people, and says what to do.
func showChecked(s *session, done catalog.Checked, told map[catalog.Rule]int64, verbose bool) {
	for _, rule := range catalog.Rules() {
		if more := told[rule] - maxFaults; more > 0 && !verbose {
			s.ui.Print(fmt.Sprintf("%s: and %s more; see all with --verbose", rule, ui.Count(more)))
		}
	}
	ies := func(n int64, stem string) string {
		if n == 1 {
			return "1 " + stem + "y"
		}
		return ui.Count(n) + " " + stem + "ies"
	}
	s.ui.Print("looked at " + strings.Join([]string{
		counted(done.Stores, "store"), counted(done.Trees, "tree"), ies(done.Dirs, "director"), ies(done.Files, "entr"),
		counted(done.Versions, "old version"), counted(done.Archives, "archive"), counted(done.Locations, "content"),
	}, ", "))
	if done.Unstored > 0 {
		s.ui.Notice(fmt.Sprintf("%s current files are not stored, or not any more: the next sync sends them", ui.Count(done.Unstored)))
	}
	switch {
	case done.Faults == 0:
		s.ui.Print("the catalog is whole")
	case done.Faults == told[catalog.IndexRule]:
		s.ui.Warn("the indexes are not whole: make them so with firn catalog check --rebuild-index")
	case told[catalog.FileRule] > 0:
		s.ui.Warn("the file is damaged: firn recover STORE puts it aside, and makes the catalog anew from the store; the stores are not affected")
	default:
		s.ui.Warn(fmt.Sprintf("%s faults: put back a copy of the catalog, or move it out of its folder and make it anew with firn recover STORE; the stores are not affected", ui.Count(done.Faults)))
	}
}

// aliveIn tells which runs of a store go on, for those who write out its rows.
func aliveIn(ctx context.Context, s *session) func(catalog.Run) bool {
	return func(run catalog.Run) bool { return wire.RunAlive(s.env, run, treeOf(ctx, s.catalog, run)) }
}
