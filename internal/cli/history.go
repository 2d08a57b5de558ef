package cli

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

type historyOptions struct {
	app   *app
	Store string
	Path  string
	Tree  string
}

func newHistoryCmd(a *app, run func(context.Context, *historyOptions) error) *cobra.Command {
	o := &historyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "history STORE [PATH]",
		Short: "show all versions of files",
		Long: `Show all versions of the file PATH in STORE, or of each file at and below the
folder PATH, or of all files: when the sync that recorded it began, the number of
that run, what it was, whether the store holds its content, and since when it is
replaced or removed. The oldest comes first. PATH is relative to the directory
that was synced.

The run of a version brings it back: firn restore STORE PATH --at run:17 --to DIR`,
		Example: `  firn history local:/mnt/usb/vault notes.txt
  firn history glacier:photos 2019/summer --json`,
		Args: takes("STORE", "[PATH]"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	cmd.Flags().StringVar(&o.Tree, "tree", "", "show only the tree `NAME`")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store = args[0]
		if len(args) > 1 {
			o.Path = treePath(args[1])
		}
		return run(ctx, o)
	})
	return cmd
}

func runHistory(ctx context.Context, o *historyOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	trees, err := s.treesAt(ctx, o.Tree, moment{})
	if err != nil {
		return err
	}
	list := s.newVersionList(len(trees.all) > 1)
	defer list.Close()
	for _, tree := range trees.all {
		if err := o.show(ctx, list, tree); err != nil {
			return err
		}
	}
	if !list.any && o.Path != "" {
		return &firn.Error{Op: "show history", Subject: o.Path, Kind: firn.NotFound, Err: errors.New("no version of it was ever recorded"),
			Hint: "look for it with: firn find " + s.loc.String() + " PATTERN --all"}
	}
	return nil
}

// show shows a tree's versions: those of the path itself by age, whatever kind
// it was, then those of what is below it.
func (o *historyOptions) show(ctx context.Context, list *versionList, tree catalog.Tree) error {
	own, err := list.session.catalog.History(ctx, tree.ID, o.Path)
	if err != nil {
		return err
	}
	slices.SortStableFunc(own, func(a, b catalog.Entry) int { return cmp.Compare(a.Run, b.Run) })
	for _, e := range own {
		if err := list.add(ctx, tree, e); err != nil {
			return err
		}
	}
	for e, err := range list.session.catalog.Files(ctx, catalog.ListQuery{Tree: tree.ID, Path: o.Path, All: true}) {
		if err != nil {
			return err
		}
		if e.Path == o.Path {
			continue
		}
		if err := list.add(ctx, tree, e); err != nil {
			return err
		}
	}
	return nil
}

// A historyRecord is one version of an entry, as history shows it.
type historyRecord struct {
	lsRecord
	Run      int64     `json:"run"`
	Recorded time.Time `json:"recorded"`
	UntilRun int64     `json:"until_run,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Removed  bool      `json:"removed"`
}

// A versionList shows versions with the times of their runs.
type versionList struct {
	*ui.List[historyRecord]
	session *session
	began   map[int64]time.Time // of runs that were looked up
	any     bool                // something was shown
}

func (s *session) newVersionList(withTree bool) *versionList {
	return &versionList{
		List:    ui.NewList(s.ui, "file_version", versionColumns(withTree)...),
		session: s, began: map[int64]time.Time{},
	}
}

// add shows one version.
func (l *versionList) add(ctx context.Context, tree catalog.Tree, e catalog.Entry) (err error) {
	r := historyRecord{lsRecord: newLsRecord(tree.Name, e), Run: e.Run, UntilRun: e.Until, Removed: e.Removed}
	if r.Recorded, err = l.timeOf(ctx, e.Run); err != nil {
		return err
	}
	if e.Until != 0 {
		if r.Until, err = l.timeOf(ctx, e.Until); err != nil {
			return err
		}
	}
	l.any = true
	l.Add(r)
	return nil
}

// timeOf gives when a run began.
func (l *versionList) timeOf(ctx context.Context, id int64) (time.Time, error) {
	if t, ok := l.began[id]; ok {
		return t, nil
	}
	run, err := l.session.catalog.Run(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	l.began[id] = run.Started.UTC()
	return l.began[id], nil
}

func versionColumns(withTree bool) []ui.Column[historyRecord] {
	cols := []ui.Column[historyRecord]{
		{Head: "recorded", Cell: func(r historyRecord) string { return r.Recorded.Local().Format(time.DateTime) },
			Plain: func(r historyRecord) string { return r.Recorded.Format(time.RFC3339Nano) }},
		{Head: "run", Right: true, Cell: func(r historyRecord) string { return strconv.FormatInt(r.Run, 10) }},
		{Head: "kind", Cell: func(r historyRecord) string { return string(r.Kind) }},
		{Head: "mode", Cell: func(r historyRecord) string { return r.Mode }},
		{Head: "size", Right: true, Cell: func(r historyRecord) string { return ui.Bytes(r.Size) }, Plain: func(r historyRecord) string { return exact(r.Size) }},
		{Head: "modified", Cell: func(r historyRecord) string { return fileTime(r.ModTime.Local(), time.DateTime) },
			Plain: func(r historyRecord) string { return fileTime(r.ModTime, time.RFC3339Nano) }},
		{Head: "content", Cell: versionContent},
		{Head: "since then", Cell: func(r historyRecord) string { return versionEnd(r, r.Until.Local().Format(time.DateTime)) },
			Plain: func(r historyRecord) string { return versionEnd(r, r.Until.Format(time.RFC3339Nano)) }},
	}
	if withTree {
		cols = append(cols, ui.Column[historyRecord]{Head: "tree", Cell: func(r historyRecord) string { return r.Tree }})
	}
	return append(cols, ui.Column[historyRecord]{Head: "path", Cell: func(r historyRecord) string { return r.shown() }})
}

// versionContent says whether the version can be brought back.
func versionContent(r historyRecord) string {
	if r.Stored {
		return "stored"
	}
	return "not stored"
}

// versionEnd says what became of a version.
func versionEnd(r historyRecord, when string) string {
	switch {
	case r.UntilRun == 0:
		return "current"
	case r.Removed:
		return "removed " + when
	}
	return "replaced " + when
}
