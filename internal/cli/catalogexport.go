package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/ui"
)

type catalogExportOptions struct {
	app     *app
	Store   string // empty: all
	To      string // empty: stdout
	Journal string // empty: none
	Tree    string // of the journal
}

func newCatalogExportCmd(a *app, run func(context.Context, *catalogExportOptions) error) *cobra.Command {
	o := &catalogExportOptions{app: a}
	cmd := &cobra.Command{
		Use:   "export [STORE]",
		Short: "write out what the catalog knows",
		Long: `Write out all that the catalog knows of STORE, or of every store: lines of JSON,
which docs/format.md describes, and which firn catalog import takes in elsewhere.
They go to stdout, or with --to to a file, which is compressed if its name ends in
.zst. Nothing in it is secret but the names of files. It asks no store.

With --journal it writes a journal for mt-aws-glacier (version B) instead, or too:
of the archives that hold one file each, with paths as they are in the tree. It
tells how many archives a journal can't name, such as bundles of many files, and
then the status is 3.`,
		Example: `  firn catalog export > all.jsonl
  firn catalog export glacier:photos --to photos.jsonl.zst
  firn catalog export glacier:photos --tree photos --journal photos.journal`,
		Args:              takes("[STORE]"),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.To, "to", "", "write to `FILE`")
	f.StringVar(&o.Journal, "journal", "", "write a journal of mt-aws-glacier to `FILE`, which must not exist")
	f.StringVar(&o.Tree, "tree", "", "the tree `NAME` that the journal is about, where the store has several")
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Store = args[0]
		}
		return run(ctx, o)
	})
	return cmd
}

// An exportRecord is what was written out of one store.
type exportRecord struct {
	Store    string `json:"store"`
	File     string `json:"file"`
	Archives int64  `json:"archives"`
	Entries  int64  `json:"entries"`
}

func runCatalogExport(ctx context.Context, o *catalogExportOptions) error {
	switch {
	case o.Journal != "" && o.Store == "":
		return wrongUsage("export", "a journal is about one store: name it")
	case o.Journal == "" && o.Tree != "":
		return wrongUsage("export", "--tree is for --journal; without that all trees are written")
	case o.Journal == "" && o.To == "" && o.app.global.JSON:
		return wrongUsage("export", "what is exported would go to stdout, and so would what --json shows: name a file with --to")
	}
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	stores, err := o.stores(ctx, s)
	if err != nil {
		return err
	}
	// The journal comes first: it is the one that may be refused.
	var left error
	if o.Journal != "" {
		if left = o.writeJournal(ctx, s, stores[0]); left != nil && !errors.Is(left, ErrPartial) {
			return left
		}
	}
	if o.To != "" || o.Journal == "" {
		if err := o.export(ctx, s, stores); err != nil {
			return err
		}
	}
	return left
}

func (o *catalogExportOptions) stores(ctx context.Context, s *session) ([]catalog.Store, error) {
	if o.Store != "" {
		row, err := s.row(ctx)
		return []catalog.Store{row}, err
	}
	stores, err := s.catalog.Stores(ctx)
	if err == nil && len(stores) == 0 {
		err = &firn.Error{Op: "export", Kind: firn.NotFound, Err: errors.New("the catalog knows no store yet")}
	}
	return stores, err
}

// export writes the rows of stores, one stream after the other.
func (o *catalogExportOptions) export(ctx context.Context, s *session, stores []catalog.Store) error {
	if o.To == "" {
		_, err := o.writeRows(ctx, s, stores, rawWriter{s.ui})
		return err
	}
	path := o.app.env.Path(o.To)
	var records []exportRecord
	err := writeFile(path, func(w io.Writer) (err error) {
		if !strings.HasSuffix(path, ".zst") {
			records, err = o.writeRows(ctx, s, stores, w)
			return err
		}
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		records, err = o.writeRows(ctx, s, stores, z)
		return errors.Join(err, z.Close())
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		r.File = path
		s.ui.Record("catalog_export", r)
		s.ui.Print(fmt.Sprintf("%s: %s archives, %s entries, in %s", r.Store, ui.Count(r.Archives), ui.Count(r.Entries), o.To))
	}
	return nil
}

func (o *catalogExportOptions) writeRows(ctx context.Context, s *session, stores []catalog.Store, to io.Writer) (records []exportRecord, err error) {
	host, err := o.app.hostname()
	if err != nil {
		return nil, err
	}
	for _, store := range stores {
		w := rows.NewWriter(to)
		done, err := s.catalog.WriteRows(ctx, store.ID, host, catalog.RowsOptions{Alive: aliveIn(ctx, s)}, w)
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return nil, err
		}
		records = append(records, exportRecord{Store: store.URL, Archives: done.Archives, Entries: done.Entries})
	}
	return records, nil
}

// A rawWriter writes to stdout.
type rawWriter struct{ ui *ui.UI }

// Write never fails: what went wrong is told when the UI is closed.
func (w rawWriter) Write(p []byte) (int, error) {
	w.ui.Raw(p)
	return len(p), nil
}

// writeFile lets fn write a file, which takes the place of one that was at path
// once it is whole. A link stays, and leads to the new file.
func writeFile(path string, fn func(io.Writer) error) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	fail := func(err error) error {
		kind := firn.Local
		if atomicfile.IsFull(err) {
			kind = firn.Full
		}
		return &firn.Error{Op: "write", Subject: path, Kind: kind, Err: cause(err)}
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fail(errors.New("it is no regular file"))
	}
	f, err := atomicfile.Create(path, 0o600)
	if err != nil {
		return fail(err)
	}
	if err := fn(f); err != nil {
		f.Abort()
		var known *firn.Error
		if errors.As(err, &known) {
			return err
		}
		return fail(err)
	}
	if err := f.Commit(); err != nil {
		return fail(err)
	}
	return nil
}
