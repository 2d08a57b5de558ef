package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

type findOptions struct {
	app      *app
	Store    string
	Patterns *globs
	Words    string // the patterns, as they were given
	Tree     string
	At       atValue
	All      bool
}

func newFindCmd(a *app, run func(context.Context, *findOptions) error) *cobra.Command {
	o := &findOptions{app: a}
	cmd := &cobra.Command{
		Use:   "find STORE PATTERN...",
		Short: "find files by patterns of their names",
		Long: `Find the files, folders and links in STORE whose paths match one of the PATTERNs:
those that are there now, or were at a time in the past (--at), or all versions
that ever were (--all), as firn history shows them. The paths are relative to the
directory that was synced.

In a pattern ? stands for one letter, * for any, [a-z] for one of several, and **
between slashes for any number of folders, also none. One with a slash is for the
whole path, one without for a name in any folder. Quotes keep the shell off them:

    '*.jpg'           names in any folder
    '/*.jpg'          names in the top folder
    '2019/*.jpg'      names in the folder 2019
    '2019/**/*.jpg'   names anywhere below it
    'summer*/'        folders alone
    'what[?]'         the ? itself

` + atHelp,
		Example: `  firn find local:/mnt/usb/vault '*.jpg' '*.jpeg'
  firn find glacier:photos '2019/**/IMG_20*' --at 2026-11-21
  firn find glacier:photos 'thesis*' --all`,
		Args: takes("STORE", "PATTERN..."),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.At.addFlag(f, a, "find what was there at `TIME`")
	f.BoolVarP(&o.All, "all", "a", false, "find all versions, removed ones too")
	f.StringVar(&o.Tree, "tree", "", "find only in the tree `NAME`")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) (err error) {
		o.Store, o.Words = args[0], strings.Join(args[1:], " ")
		if o.Patterns, err = parseGlobs(args[1:]); err != nil {
			return wrongUsage("find", "%w", err)
		}
		if o.All && !o.At.isNow() {
			return wrongUsage("find", "give --at for one time or --all for all, not both")
		}
		return run(ctx, o)
	})
	return cmd
}

func runFind(ctx context.Context, o *findOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	trees, err := s.treesAt(ctx, o.Tree, o.At.moment)
	if err != nil {
		return err
	}
	if o.All {
		return o.findVersions(ctx, s, &trees)
	}
	list := ui.NewList(s.ui, "entry", lsColumns(len(trees.all) > 1)...)
	defer list.Close()
	found := false
	err = o.each(ctx, s, &trees, func(tree catalog.Tree, e catalog.Entry) error {
		found = true
		list.Add(newLsRecord(tree.Name, e))
		return nil
	})
	if err == nil && !found {
		err = o.nothing("look among removed files and old versions, too, with --all")
	}
	return err
}

func (o *findOptions) findVersions(ctx context.Context, s *session, trees *storeTrees) error {
	list := s.newVersionList(len(trees.all) > 1)
	defer list.Close()
	err := o.each(ctx, s, trees, func(tree catalog.Tree, e catalog.Entry) error {
		return list.add(ctx, tree, e)
	})
	if err == nil && !list.any {
		err = o.nothing("list all with: firn history " + s.loc.String())
	}
	return err
}

// each calls fn for each entry that matches. It reads no more of a tree than
// the patterns can be about.
func (o *findOptions) each(ctx context.Context, s *session, trees *storeTrees, fn func(catalog.Tree, catalog.Entry) error) error {
	for tree, run := range trees.then {
		q := catalog.ListQuery{Tree: tree.ID, Path: o.Patterns.below(), At: run, All: o.All}
		for e, err := range s.catalog.Files(ctx, q) {
			if err != nil {
				return err
			}
			if e.Path == "" || !o.Patterns.match(e.Path, e.Kind == firn.Directory) {
				continue
			}
			if err := fn(tree, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// nothing is the error for patterns that match nothing.
func (o *findOptions) nothing(hint string) error {
	return &firn.Error{Op: "find", Subject: o.Words, Kind: firn.NotFound, Err: errors.New("nothing matches"), Hint: hint}
}
