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
when each was last synced whole, uploads that were interrupted, uploads that may
be stored twice after a lost answer, and jobs under way. It asks no store.

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
	pendingRecord struct {
		Store string `json:"store"`
		What  string `json:"what"` // "upload", "in_doubt", "possible_double", "job"
		ui.Path
		Size  int64  `json:"size"`
		Sent  int64  `json:"sent,omitempty"`
		Since string `json:"since,omitempty"` // RFC 3339

		text string
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
		return nil
	}
	pending := false
	for _, store := range stores {
		left, err := statusOf(ctx, s, store)
		if err != nil {
			return err
		}
		pending = pending || left
	}
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
	record := storeRecord{store.URL, store.Address, store.Archives, store.Bytes, nil}
	if found {
		record.Snapshot = &snapshotRecord{newest.Seq, timeText(newest.Made), newest.Remote, newest.Size}
	}
	s.ui.Record("store", record)
	s.ui.Print(fmt.Sprintf("%s: %s in %s archives", store.URL, ui.Bytes(store.Bytes), ui.Count(store.Archives)))
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

// showPending lists what is under way or in doubt.
func showPending(ctx context.Context, s *session, store catalog.Store) (bool, error) {
	var records []pendingRecord
	intents, err := s.catalog.OpenIntents(ctx, store.ID)
	if err != nil {
		return false, err
	}
	for _, in := range intents {
		records = append(records, intentRecord(store, in))
	}
	doubts, err := s.catalog.Doubts(ctx, store.ID)
	if err != nil {
		return false, err
	}
	for _, d := range doubts {
		if d.Resent {
			records = append(records, pendingRecord{Store: store.URL, What: "possible_double", Path: ui.NewPath(d.Path), Size: d.Size, Since: timeText(d.Since),
				text: fmt.Sprintf("%s (%s) may be stored twice since %s; an inventory after that will show it", what(d.Path), ui.Bytes(d.Size), timeText(d.Since))})
		}
	}
	jobs, err := s.catalog.OpenJobs(ctx, store.ID)
	if err != nil {
		return false, err
	}
	if r, ok := jobsRecord(store, jobs); ok {
		records = append(records, r)
	}
	for _, r := range records {
		s.ui.Record("pending", r)
		s.ui.Print("  " + r.text)
	}
	return len(records) > 0, nil
}

func intentRecord(store catalog.Store, in catalog.Intent) pendingRecord {
	name := what(in.File.Path)
	if in.Kind == catalog.CatalogArchive {
		name = "a snapshot of the catalog"
	}
	r := pendingRecord{Store: store.URL, What: "upload", Path: ui.NewPath(in.File.Path), Size: in.Size, Since: timeText(in.Since)}
	for _, p := range in.Parts {
		r.Sent += p.Size
	}
	if in.Kind == catalog.LooseArchive && in.File.Stamp.ModTime.IsZero() && in.TreeHash.IsZero() {
		r.Size = 0 // of a stream nobody knows it yet
	}
	switch {
	case r.Size == 0:
		r.text = fmt.Sprintf("the upload of %s is open: %s of it are there", name, ui.Bytes(r.Sent))
	case in.State == catalog.Doubt:
		r.What = "in_doubt"
		r.text = fmt.Sprintf("whether %s (%s) arrived is in doubt since %s", name, ui.Bytes(in.Size), r.Since)
	case in.Upload != "":
		r.text = fmt.Sprintf("the upload of %s is open: %s of %s are there", name, ui.Bytes(r.Sent), ui.Bytes(in.Size))
	default:
		r.text = fmt.Sprintf("the upload of %s (%s) was interrupted", name, ui.Bytes(in.Size))
	}
	return r
}

// jobsRecord sums up the jobs that the catalog waits for.
func jobsRecord(store catalog.Store, jobs []catalog.Job) (pendingRecord, bool) {
	running := 0
	for _, j := range jobs {
		if j.State == catalog.JobRunning || j.State == catalog.JobIntended {
			running++
		}
	}
	if running == 0 {
		return pendingRecord{}, false
	}
	return pendingRecord{Store: store.URL, What: "job", Size: int64(running),
		text: "under way: " + counted(int64(running), "job")}, true
}

// exact is a number as a pipe wants it.
func exact(n int64) string { return strconv.FormatInt(n, 10) }

// what calls an upload by its path, which a bundle of many files doesn't have.
func what(path string) string {
	if path == "" {
		return "a bundle"
	}
	return path
}
