package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/ui"
)

// A result is a file of JSON lines, compressed with zstd: one that says what was moved,
// one for each copy, and then the rows of the target as a catalog writes them.
const (
	movedLine  = `{"moved":`
	resultForm = 1
)

// A movedHead says what was moved.
type movedHead struct {
	Version int    `json:"v"`
	From    string `json:"from"` // identity of the source
	To      string `json:"to"`
	Only    string `json:"only,omitempty"`
}

// check finds out whether this program can read what follows.
func (h movedHead) check() error {
	switch {
	case h.Version > resultForm:
		return &firn.Error{Op: "read result", Kind: firn.Invalid, Err: fmt.Errorf("it is of form %d, and this program knows %d", h.Version, resultForm),
			Hint: "a newer firn wrote it: take it in with that"}
	case h.Version < 1 || h.From == "" || h.To == "":
		return errors.New("it doesn't say what was moved")
	case h.From == h.To:
		return errors.New("it says that a store was moved to itself")
	}
	return nil
}

// A movedCopy is one copy: ids of the source and of the target, and the place in that.
type movedCopy struct {
	From   firn.ArchiveID `json:"f"`
	To     firn.ArchiveID `json:"t"`
	Member int64          `json:"m,omitempty"`
}

// A toGoResultRecord is a result that was packed, or taken in.
type toGoResultRecord struct {
	From   string   `json:"from"`
	To     string   `json:"to"`
	File   string   `json:"file"`
	Copies int64    `json:"copies"`
	Moved  []string `json:"moved,omitempty"` // trees, where it was taken in
	Left   int64    `json:"left"`            // archives that are to be copied yet
}

// runToGoResult packs what a migration has done, for the machine at home.
func runToGoResult(ctx context.Context, a *app, from, to, file string) error {
	s, err := a.openCatalog(ctx, from)
	if err != nil {
		return err
	}
	defer s.close()
	source, err := s.row(ctx)
	if err != nil {
		return err
	}
	loc, _, err := a.resolve(to)
	if err != nil {
		return err
	}
	target, err := s.catalog.StoreByURL(ctx, loc.String())
	if err != nil {
		return err
	}
	m, found, err := s.catalog.FindMigration(ctx, source.ID, target.ID, "")
	if err == nil && !found {
		err = &firn.Error{Op: "pack", Subject: source.URL, Kind: firn.NotFound, Err: errors.New("nothing of it was moved to " + target.URL)}
	}
	if err != nil {
		return err
	}
	r := toGoResultRecord{From: source.URL, To: target.URL, File: file, Left: m.Totals.Open().Files}
	err = writeFile(a.env.Path(file), func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		err = writeMoved(ctx, s, z, movedHead{resultForm, source.Identity, target.Identity, m.Only}, m, &r.Copies)
		if err == nil {
			_, err = (&catalogExportOptions{app: a}).writeRows(ctx, s, []catalog.Store{target}, z)
		}
		return errors.Join(err, z.Close())
	})
	if err != nil {
		return err
	}
	s.ui.Record("to_go_result", r)
	s.ui.Print(fmt.Sprintf("%s: %s, of %s to %s", file, copiesText(r.Copies), source.URL, target.URL))
	return nil
}

// writeMoved writes the head and the copies.
func writeMoved(ctx context.Context, s *session, to io.Writer, head movedHead, m catalog.Migration, n *int64) error {
	w := bufio.NewWriter(to)
	line := func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(append(b, '\n'))
		return err
	}
	if err := line(map[string]movedHead{"moved": head}); err != nil {
		return err
	}
	for p, err := range s.catalog.CopyPairs(ctx, m.ID) {
		if err == nil {
			err = line(movedCopy{p.Source, p.Target, p.Member})
		}
		if err != nil {
			return err
		}
		*n++
	}
	return w.Flush()
}

// A movedFile reads what stands before the rows of a result.
type movedFile struct {
	*streamFile
	head movedHead
}

// openMoved opens a file; its head is zero where it isn't a result.
func openMoved(path string) (f *movedFile, err error) {
	f = &movedFile{}
	if f.streamFile, err = openStreams(path); err != nil {
		return nil, err
	}
	if f.head, err = readHead(f.streamFile); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readHead reads the head of a result; it is zero where the file is something else.
func readHead(f *streamFile) (movedHead, error) {
	if begin, _ := f.in.Peek(len(movedLine)); string(begin) != movedLine {
		return movedHead{}, nil
	}
	var first struct {
		Moved movedHead `json:"moved"`
	}
	text, err := f.in.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(text), &first)
	}
	if err == nil {
		err = first.Moved.check()
	}
	var known *firn.Error
	if err != nil && !errors.As(err, &known) {
		err = &firn.Error{Op: "read result", Kind: firn.Corrupt, Err: err}
	}
	return first.Moved, err
}

// copies gives the copies, and then stands before the rows.
func (f *movedFile) copies() iter.Seq2[catalog.CopyPair, error] {
	return func(yield func(catalog.CopyPair, error) bool) {
		for {
			begin, err := f.in.Peek(len(headerLine))
			if string(begin) == headerLine {
				return
			}
			var line string
			var one movedCopy
			if err == nil || err == io.EOF {
				line, err = f.in.ReadString('\n')
			}
			if err == nil {
				err = json.Unmarshal([]byte(line), &one)
			}
			if err == nil && (one.From == "" || one.To == "" || one.Member < 0) {
				err = errors.New("a copy of nothing")
			}
			if err != nil {
				yield(catalog.CopyPair{}, &firn.Error{Op: "read result", Kind: firn.Corrupt, Err: fmt.Errorf("it ends early, or isn't one: %w", err)})
				return
			}
			if !yield(catalog.CopyPair{Source: one.From, Target: one.To, Member: one.Member}, nil) {
				return
			}
		}
	}
}

// skipMoved goes to the rows of a file, and reports whether it is a result.
func skipMoved(f *streamFile) (is bool, err error) {
	head, err := readHead(f)
	if err != nil || head == (movedHead{}) {
		return err != nil, err
	}
	for _, err := range (&movedFile{streamFile: f}).copies() {
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// withoutTrees are the rows of a target without its trees: those of the source here
// move there themselves, with all that came to be since.
func withoutTrees(all iter.Seq2[rows.Row, error]) iter.Seq2[rows.Row, error] {
	return func(yield func(rows.Row, error) bool) {
		for row, err := range all {
			switch r := row.(type) {
			case *rows.Tree, *rows.Dir, *rows.Entry:
				if err == nil {
					continue
				}
			case *rows.Run:
				r.Tree = 0
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// copiesAtOnce is how many copies are recorded in one transaction.
const copiesAtOnce = 2000

// takeResult takes in what another machine has moved: its copies, and then each tree
// of the source all of which is copied moves. The archives of the target are known
// already.
func takeResult(ctx context.Context, s *session, path, name string) error {
	f, err := openMoved(path)
	if err != nil {
		return err
	}
	defer f.Close()
	source, target, err := movedStores(ctx, s, f.head)
	if err != nil {
		return err
	}
	unknown, err := checkCopies(ctx, s, path, source, target)
	if err != nil {
		return err
	}
	run, err := s.catalog.BeginRun(ctx, target.ID, 0, catalog.MigrateRun)
	if err != nil {
		return err
	}
	m, _, err := s.catalog.BeginMigration(ctx, catalog.Migration{Source: source.ID, Target: target.ID, Only: f.head.Only, Run: run.ID, Options: "{}"})
	if err == nil {
		r := toGoResultRecord{From: source.URL, To: target.URL, File: name}
		err = takeCopies(ctx, s, m, f, &r)
		if err == nil {
			err = moveTrees(ctx, s, m, &r)
		}
		if err == nil {
			s.ui.Record("to_go_result", r)
			s.ui.Print(r.text())
		}
	}
	err = errors.Join(err, s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil && unknown == 0}))
	if err == nil && unknown > 0 {
		s.ui.Warn(fmt.Sprintf("%s: left out: %s of archives that this catalog doesn't know; after firn store refresh %s and firn store refresh %s take it in again",
			name, copiesText(unknown), source.URL, target.URL))
		err = ErrPartial
	}
	return err
}

// checkMoved finds out, before anything is taken in, whether a result is about what this
// machine has, and the rows in it about its target.
func checkMoved(ctx context.Context, s *session, one *rowStream) error {
	f, err := openMoved(one.path)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if one.number > 0 || one.header.Store.Identity != f.head.To {
		return &firn.Error{Op: "read result", Kind: firn.Corrupt, Err: fmt.Errorf("it has rows of %s, to which nothing was moved", one.header.Store.URL)}
	}
	stores, err := s.catalog.Stores(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(stores, func(known catalog.Store) bool { return known.Identity == f.head.From })
	if at < 0 {
		return notMovedHere()
	}
	return checkRows(ctx, s, one, stores[at])
}

// checkRows compares the copies with what the file says of the target, by a catalog of
// its own: what was taken in once is there, and would be in the way of what is right.
func checkRows(ctx context.Context, s *session, one *rowStream, source catalog.Store) (err error) {
	dir, err := os.MkdirTemp("", "firn-result")
	if err != nil {
		return &firn.Error{Op: "check a result", Subject: one.file, Kind: firn.Local, Err: cause(err)}
	}
	defer os.RemoveAll(dir)
	aside, err := catalog.Open(ctx, filepath.Join(dir, "catalog.db"), s.env.Clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, aside.Close()) }()
	h := &one.header.Store
	target, err := aside.Register(ctx, catalog.StoreSpec{URL: h.URL, Kind: h.Kind, Identity: h.Identity, Name: h.Name, Region: h.Region, Address: h.Address})
	if err != nil {
		return err
	}
	if _, err := aside.ReadRows(ctx, target.ID, one.rows()); err != nil {
		return err
	}
	f, err := openMoved(one.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.batches(func(some []catalog.CopyPair) error {
		return s.catalog.CheckCopiesIn(ctx, source.ID, aside, target.ID, some)
	})
}

// notMovedHere is the error of a result that belongs elsewhere.
func notMovedHere() error {
	return &firn.Error{Op: "take in a result", Kind: firn.NotFound, Err: errors.New("this machine's catalog doesn't know the store that was moved"),
		Hint: "take it in where the folder was made"}
}

// checkCopies looks at all copies of a result before one of them is believed.
func checkCopies(ctx context.Context, s *session, path string, source, target catalog.Store) (unknown int64, err error) {
	f, err := openMoved(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	err = f.batches(func(some []catalog.CopyPair) error {
		n, err := s.catalog.CheckCopies(ctx, source.ID, target.ID, some)
		unknown += int64(n)
		return err
	})
	return unknown, err
}

// batches hands on the copies, some thousands at a time.
func (f *movedFile) batches(each func([]catalog.CopyPair) error) error {
	batch := make([]catalog.CopyPair, 0, copiesAtOnce)
	for p, err := range f.copies() {
		if err != nil {
			return err
		}
		if batch = append(batch, p); len(batch) == cap(batch) {
			if err := each(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return each(batch)
}

// copiesText counts copies.
func copiesText(n int64) string {
	if n == 1 {
		return "1 copy"
	}
	return ui.Count(n) + " copies"
}

// text says what became of a result.
func (r *toGoResultRecord) text() string {
	text := fmt.Sprintf("%s was moved to %s: %s", r.From, r.To, copiesText(r.Copies))
	if len(r.Moved) > 0 {
		text += ", and with them " + ui.Text(strings.Join(r.Moved, ", "))
	}
	if r.Left > 0 {
		text += fmt.Sprintf("; %s are to be copied yet, with: firn migrate %s %s", counted(r.Left, "archive"), r.From, r.To)
	}
	return text
}

// movedStores finds both stores of a result.
func movedStores(ctx context.Context, s *session, head movedHead) (source, target catalog.Store, err error) {
	stores, err := s.catalog.Stores(ctx)
	for _, one := range stores {
		switch one.Identity {
		case head.From:
			source = one
		case head.To:
			target = one
		}
	}
	if err == nil && (source.ID == 0 || target.ID == 0) {
		err = notMovedHere()
	}
	return source, target, err
}

// takeCopies records the copies of a result.
func takeCopies(ctx context.Context, s *session, m catalog.Migration, f *movedFile, r *toGoResultRecord) error {
	return f.batches(func(some []catalog.CopyPair) error {
		n, err := s.catalog.TakeCopies(ctx, m, some)
		r.Copies += int64(n)
		return err
	})
}

// moveTrees moves what is copied whole, and finds out what isn't.
func moveTrees(ctx context.Context, s *session, m catalog.Migration, r *toGoResultRecord) error {
	trees, err := s.catalog.Trees(ctx, m.Source)
	if err != nil {
		return err
	}
	whole := true
	for _, t := range trees {
		moved, err := s.catalog.MoveTree(ctx, m, t)
		if err != nil {
			return err
		}
		if moved {
			r.Moved = append(r.Moved, t.Name)
		}
		whole = whole && moved
	}
	if _, err := s.catalog.PlanCopies(ctx, m, false); err != nil {
		return err
	}
	now, _, err := s.catalog.FindMigration(ctx, m.Source, m.Target, m.Only)
	if err != nil {
		return err
	}
	r.Left = now.Totals.Open().Files + now.Totals[catalog.CopyFailed].Files
	if whole && r.Left == 0 {
		return s.catalog.SetMigration(ctx, m.ID, catalog.MigrationCopied)
	}
	return nil
}
