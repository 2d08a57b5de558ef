package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/ui"
)

type catalogImportOptions struct {
	app   *app
	Files []string
}

func newCatalogImportCmd(a *app, run func(context.Context, *catalogImportOptions) error) *cobra.Command {
	o := &catalogImportOptions{app: a}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "take in what another machine's catalog knows",
		Long: `Take in what firn catalog export wrote elsewhere, a snapshot that was got out of a
store by other means, or the result of a migration that another machine has done
(firn migrate --to-go); compressed with zstd or not. Trees, versions and archives
that this catalog doesn't know are added; what it knows stays. A tree whose name
is taken here by another directory gets the name TREE@HOST.

FILE is read twice: what is damaged or cut short is told, and nothing of it taken
in; the rest is. Rows that can't be, such as a file in an archive that hasn't got
it, are told and left out. It asks no store. Doing it again changes nothing.`,
		Example: `  firn catalog import laptop.jsonl.zst`,
		Args:    takes("FILE..."),
	}
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Files = args
		return run(ctx, o)
	})
	return cmd
}

// An importRecord is what came of the rows of one store.
type importRecord struct {
	File     string            `json:"file"`
	Host     string            `json:"host"`
	Store    string            `json:"store"`
	Trees    int64             `json:"trees"`
	Archives int64             `json:"archives"`
	Versions int64             `json:"versions"`
	Renamed  map[string]string `json:"renamed,omitempty"`
	Refused  int64             `json:"refused,omitempty"`
}

func runCatalogImport(ctx context.Context, o *catalogImportOptions) error {
	s, err := o.app.openCatalog(ctx, "")
	if err != nil {
		return err
	}
	defer s.close()
	var errs []error
	taken, refused := 0, int64(0)
	chains, bad := o.look(ctx)
	errs = append(errs, bad...)
	for _, chain := range chains {
		n, err := o.importChain(ctx, s, chain)
		refused += n
		if ctx.Err() != nil {
			return err
		}
		if err == nil {
			taken++
		}
		errs = append(errs, err)
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 && refused == 0 || taken == 0 {
		return errors.Join(errs...)
	}
	for _, err := range errs {
		s.ui.Warn(err.Error())
	}
	return ErrPartial
}

// A rowStream is one stream in a file, which may hold several.
type rowStream struct {
	file   string // as it was named
	path   string
	number int // in the file, from 0
	header rows.Header
	moved  bool // the file is the result of a migration: its trees stay out
}

// look reads all files, and gives the streams that are whole: each with those
// that add to it. For the others it says what is wrong.
func (o *catalogImportOptions) look(ctx context.Context) (chains [][]rowStream, errs []error) {
	for _, name := range o.Files {
		path := o.app.env.Path(name)
		for number := 0; ctx.Err() == nil; number++ {
			one := rowStream{file: name, path: path, number: number}
			more, err := one.check(ctx)
			if err == nil {
				chains, err = addToChain(chains, one)
			}
			if err != nil {
				errs = append(errs, one.wrap(err))
			}
			if !more {
				break
			}
		}
	}
	if ctx.Err() != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return chains, errs
}

// addToChain puts a stream behind the one that it adds to.
func addToChain(chains [][]rowStream, one rowStream) ([][]rowStream, error) {
	h := &one.header
	if h.Base == 0 {
		return append(chains, []rowStream{one}), nil
	}
	for i, chain := range chains {
		full := &chain[0].header
		if full.Seq == h.Base && full.Catalog == h.Catalog && full.Store.Identity == h.Store.Identity {
			chains[i] = append(chain, one)
			return chains, nil
		}
	}
	return chains, &firn.Error{Op: "take in", Kind: firn.Usage, Err: fmt.Errorf("it adds to snapshot %d of the same catalog, of %s", h.Base, h.Store.URL),
		Hint: "name the file with that one before it"}
}

// wrap says which stream an error is about.
func (r *rowStream) wrap(err error) error {
	subject := r.file
	if r.number > 0 {
		subject = fmt.Sprintf("%s, store %d in it", r.file, r.number+1)
	}
	var known *firn.Error
	if errors.As(err, &known) {
		return &firn.Error{Op: "import", Subject: subject, Kind: known.Kind, Err: err}
	}
	return &firn.Error{Op: "import", Subject: subject, Kind: firn.Local, Err: cause(err)}
}

// check reads the whole stream, keeps its header, and says whether there is
// another one behind it.
func (r *rowStream) check(ctx context.Context) (more bool, err error) {
	f, err := r.open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	for row, rowErr := range rows.Read(f) {
		if err = rowErr; err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if h, ok := row.(*rows.Header); ok {
			r.header = *h
		}
	}
	more, nextErr := f.next()
	if err == nil {
		err = nextErr
	}
	return more, err
}

// rows reads the stream.
func (r *rowStream) rows() iter.Seq2[rows.Row, error] {
	return func(yield func(rows.Row, error) bool) {
		f, err := r.open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		read := rows.Read(f)
		if r.moved {
			read = withoutTrees(read)
		}
		read(yield)
	}
}

// open opens the file, and goes to the stream.
func (r *rowStream) open() (*streamFile, error) {
	f, err := openStreams(r.path)
	if err != nil {
		return nil, err
	}
	if r.moved, err = skipMoved(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for range r.number {
		more, err := f.next()
		if err == nil && !more {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// importChain takes in a stream with those that add to it; of what another machine has
// moved its target's archives, and then the move itself.
func (o *catalogImportOptions) importChain(ctx context.Context, s *session, chain []rowStream) (refused int64, err error) {
	if one := &chain[0]; one.moved {
		if err := checkMoved(ctx, s, one); err != nil {
			return 0, one.wrap(err)
		}
	}
	refused, err = importRows(ctx, s, chain)
	if one := &chain[0]; err == nil && one.moved {
		err = takeResult(ctx, s, one.path, one.file)
	}
	return refused, err
}

// importRows takes in the rows of streams. It tells of rows that were refused, and
// counts them.
func importRows(ctx context.Context, s *session, chain []rowStream) (refused int64, err error) {
	one := &chain[0]
	store, err := importedStore(ctx, s, &one.header)
	if err != nil {
		return 0, one.wrap(err)
	}
	var more []iter.Seq2[rows.Row, error]
	for i := range chain[1:] {
		more = append(more, chain[1+i].rows())
	}
	got, err := s.catalog.ReadRows(ctx, store.ID, one.rows(), more...)
	if err != nil {
		return got.Refused, one.wrap(err)
	}
	host := ui.Text(one.header.Host)
	s.ui.Record("catalog_import", importRecord{one.file, one.header.Host, store.URL, got.Trees, got.Archives, got.Versions, got.Renamed, got.Refused})
	text := fmt.Sprintf("%s, from %s: %s, %s, %s that were not known", store.URL, host, counted(got.Trees, "tree"), counted(got.Archives, "archive"), counted(got.Versions, "version"))
	if got.Trees+got.Archives+got.Versions == 0 {
		text = fmt.Sprintf("%s, from %s: nothing that was not known", store.URL, host)
	}
	s.ui.Print(text)
	for _, name := range slices.Sorted(maps.Keys(got.Renamed)) {
		s.ui.Notice(fmt.Sprintf("the tree %s of %s is called %s here, since another directory has its name, or no tree can have it", name, host, got.Renamed[name]))
	}
	for _, what := range got.Wrong {
		s.ui.Warn(fmt.Sprintf("%s: left out: %s", one.file, what))
	}
	if got.Refused > 0 {
		s.ui.Warn(fmt.Sprintf("%s: %s left out in all", one.file, counted(got.Refused, "row")))
	}
	return got.Refused, nil
}

// importedStore finds the store that rows are of, by what it is; how it is
// called elsewhere counts only where it isn't known yet.
func importedStore(ctx context.Context, s *session, h *rows.Header) (catalog.Store, error) {
	stores, err := s.catalog.Stores(ctx)
	if err != nil {
		return catalog.Store{}, err
	}
	for _, known := range stores {
		if known.Identity == h.Store.Identity {
			return known, nil
		}
	}
	return s.catalog.Register(ctx, catalog.StoreSpec{
		URL: h.Store.URL, Kind: h.Store.Kind, Identity: h.Store.Identity, Name: h.Store.Name, Region: h.Store.Region, Address: h.Store.Address,
	})
}

// maxWindow is how much memory the data of a zstd stream may ask for, in bytes.
const maxWindow = 64 << 20

// A streamFile reads the streams in a file one after the other: each Read ends
// with the stream that it is in, before a line that is a header.
type streamFile struct {
	file    *os.File
	zstd    *zstd.Decoder // nil where the file isn't compressed
	in      *bufio.Reader
	within  bool // something of the stream was read
	newLine bool // the next byte begins a line
}

// headerLine is how the first line of a stream begins, as rows.Writer writes it.
const headerLine = `{"header":`

// openStreams opens a file, compressed or not, before its first stream.
func openStreams(path string) (*streamFile, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file, and is to be read twice")
	}
	if err != nil {
		return nil, err
	}
	f := &streamFile{newLine: true}
	if f.file, err = os.Open(path); err != nil {
		return nil, err
	}
	f.in = bufio.NewReaderSize(f.file, 64<<10)
	begin, _ := f.in.Peek(64)
	switch {
	case seal.IsSealed(begin):
		err = &firn.Error{Op: "read rows", Kind: firn.Invalid, Err: errors.New("it is encrypted"), Hint: "open it first: age --decrypt --identity identity.txt " + path}
	case bytes.HasPrefix(begin, []byte("\x28\xb5\x2f\xfd")): // RFC 8878, 3.1.1
		if f.zstd, err = zstd.NewReader(f.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			f.in = bufio.NewReaderSize(f.zstd, 64<<10)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read reads what is left of the stream, at most a line at a time.
func (f *streamFile) Read(p []byte) (int, error) {
	if f.newLine && f.within {
		if next, err := f.in.Peek(len(headerLine)); err == nil && string(next) == headerLine {
			return 0, io.EOF
		}
	}
	if _, err := f.in.Peek(1); err != nil {
		return 0, err
	}
	line, err := f.in.Peek(min(len(p), f.in.Buffered()))
	if err != nil {
		return 0, err
	}
	end := bytes.IndexByte(line, '\n') + 1
	f.newLine, f.within = end > 0, true
	if end > 0 {
		line = line[:end]
	}
	n := copy(p, line)
	_, err = f.in.Discard(n)
	return n, err
}

// next goes to the next stream, and says whether there is one.
func (f *streamFile) next() (more bool, err error) {
	if _, err := io.Copy(io.Discard, f); err != nil {
		return false, err
	}
	f.within = false
	if _, err = f.in.Peek(1); err == io.EOF {
		return false, nil
	}
	return err == nil, err
}

// Close closes the file.
func (f *streamFile) Close() error {
	if f.zstd != nil {
		f.zstd.Close()
	}
	return f.file.Close()
}
