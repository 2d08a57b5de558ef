package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
)

type statusOptions struct {
	app   *app
	Store string // empty: all
}

func newStatusCmd(a *app, run func(context.Context, *statusOptions) error) *cobra.Command {
	o := &statusOptions{app: a}
	cmd := &cobra.Command{
		Use:   "status [STORE]",
		Short: "show what is stored where, and what is pending",
		Long: `Show the stores that this machine's catalog knows, or STORE alone: their trees,
when each was last synced whole, restores that go on and how far they are, uploads
that were interrupted, uploads that may be stored twice after a lost answer, jobs
under way and when the first may be done, archives that are to be deleted and when
they are free of fees, and commands that firn resume goes on with. It asks no store,
and answers at once.

Where something is pending, the status is 75.`,
		Args: takes("[STORE]"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeStore(word)
		},
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// The records of status --json.
type (
	storeRecord struct {
		Store    string `json:"store"`
		Address  string `json:"address"`
		Archives int64  `json:"archives"`
		Bytes    int64  `json:"bytes"`
		Unnamed  int64  `json:"unnamed"` // archives of which nobody knows what they hold
		// Snapshot is the newest one of the catalog that the store has.
		Snapshot *snapshotRecord `json:"snapshot,omitempty"`
	}
	treeRecord struct {
		Store    string `json:"store"`
		Tree     string `json:"tree"`
		Host     string `json:"host"`
		Root     string `json:"root"`
		Files    int64  `json:"files"`
		Bytes    int64  `json:"bytes"`
		LastSync string `json:"last_complete_sync,omitempty"` // RFC 3339
	}
)

func runStatus(ctx context.Context, o *statusOptions) error {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	stores, err := o.stores(ctx, s)
	if err != nil {
		return err
	}
	if len(stores) == 0 {
		s.ui.Print("no store yet; begin with: firn sync DIR local:/some/folder")
	}
	pending := false
	for _, store := range stores {
		left, err := statusOf(ctx, s, store)
		if err != nil {
			return err
		}
		pending = pending || left
	}
	left, err := showTasks(ctx, s)
	if err != nil {
		return err
	}
	pending = pending || left
	if pending {
		return ErrNotYet
	}
	return nil
}

func (o *statusOptions) stores(ctx context.Context, s *session) ([]catalog.Store, error) {
	if o.Store == "" {
		return s.catalog.Stores(ctx)
	}
	row, err := s.row(ctx)
	return []catalog.Store{row}, err
}

// statusOf shows one store, and reports whether anything is pending there.
func statusOf(ctx context.Context, s *session, store catalog.Store) (bool, error) {
	newest, found, err := newestSnapshot(ctx, s, store.ID)
	if err != nil {
		return false, err
	}
	unnamed, err := s.catalog.Unnamed(ctx, store.ID)
	if err != nil {
		return false, err
	}
	record := storeRecord{store.URL, store.Address, store.Archives, store.Bytes, unnamed, nil}
	if found {
		record.Snapshot = &snapshotRecord{newest.Seq, timeText(newest.Made), newest.Remote, newest.Size}
	}
	s.ui.Record("store", record)
	text := fmt.Sprintf("%s: %s in %s archives", store.URL, ui.Bytes(store.Bytes), ui.Count(store.Archives))
	if unnamed > 0 {
		text += fmt.Sprintf(", and %s of which nobody knows what they hold", ui.Count(unnamed))
	}
	s.ui.Print(text)
	if err := showTrees(ctx, s, store); err != nil {
		return false, err
	}
	showSnapshot(s, newest, found)
	return showPending(ctx, s, store)
}

func showTrees(ctx context.Context, s *session, store catalog.Store) error {
	trees, err := s.catalog.Trees(ctx, store.ID)
	if err != nil {
		return err
	}
	runs, err := s.catalog.LastRuns(ctx, store.ID)
	if err != nil {
		return err
	}
	list := ui.NewList(s.ui, "tree",
		ui.Column[treeRecord]{Head: "  tree", Cell: func(r treeRecord) string { return "  " + r.Tree }, Plain: func(r treeRecord) string { return r.Tree }},
		ui.Column[treeRecord]{Head: "files", Right: true, Cell: func(r treeRecord) string { return ui.Count(r.Files) }, Plain: func(r treeRecord) string { return exact(r.Files) }},
		ui.Column[treeRecord]{Head: "size", Right: true, Cell: func(r treeRecord) string { return ui.Bytes(r.Bytes) }, Plain: func(r treeRecord) string { return exact(r.Bytes) }},
		ui.Column[treeRecord]{Head: "last complete sync", Cell: func(r treeRecord) string { return orNever(r.LastSync) }},
		ui.Column[treeRecord]{Head: "directory", Cell: directoryText},
	)
	defer list.Close()
	for _, t := range trees {
		list.Add(treeRecord{
			Store: store.URL, Tree: t.Name, Host: t.Host, Root: t.Root, Files: t.Files, Bytes: t.Bytes,
			LastSync: lastComplete(runs, t.ID),
		})
	}
	return nil
}

// directoryText says where a tree's directory is. One that was found in the
// store has none yet.
func directoryText(r treeRecord) string {
	if r.Host == "" && r.Root == "" {
		return "(found in the store)"
	}
	return r.Host + ":" + r.Root
}

func lastComplete(runs []catalog.Run, tree int64) string {
	for _, r := range runs { // newest first
		if r.Tree == tree && (r.Command == "sync" || r.Command == "mirror") && r.Complete {
			return timeText(r.Ended)
		}
	}
	return ""
}

func orNever(s string) string {
	if s == "" {
		return "never"
	}
	return s
}

// timeText is a time as results have it; empty for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// exact is a number as a pipe wants it.
func exact(n int64) string { return strconv.FormatInt(n, 10) }
