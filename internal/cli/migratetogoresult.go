package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
	s.ui.Print(fmt.Sprintf("%s: %s, of %s to %s", file, counted(r.Copies, "copy"), source.URL, target.URL))
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
	if begin, _ := f.in.Peek(len(movedLine)); string(begin) != movedLine {
		return f, nil
	}
	var first struct {
		Moved movedHead `json:"moved"`
	}
	text, err := f.in.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(text), &first)
	}
	if err == nil && (first.Moved.Version != resultForm || first.Moved.From == "" || first.Moved.To == "") {
		err = fmt.Errorf("it is a result of form %d, and this program knows %d", first.Moved.Version, resultForm)
	}
	if err != nil {
		err = &firn.Error{Op: "read result", Subject: path, Kind: firn.Corrupt, Err: err}
		return nil, errors.Join(err, f.Close())
	}
	f.head = first.Moved
	return f, nil
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
	begin, _ := f.in.Peek(len(movedLine))
	if string(begin) != movedLine {
		return false, nil
	}
	if _, err := f.in.ReadString('\n'); err != nil {
		return true, err
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
	return errors.Join(err, s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}))
}

// text says what became of a result.
func (r *toGoResultRecord) text() string {
	text := fmt.Sprintf("%s was moved to %s: %s", r.From, r.To, counted(r.Copies, "copy"))
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
		err = &firn.Error{Op: "take in a result", Kind: firn.NotFound, Err: errors.New("this machine's catalog doesn't know the store that was moved"),
			Hint: "take it in where the folder was made"}
	}
	return source, target, err
}

// takeCopies records the copies of a result.
func takeCopies(ctx context.Context, s *session, m catalog.Migration, f *movedFile, r *toGoResultRecord) error {
	batch := make([]catalog.CopyPair, 0, copiesAtOnce)
	flush := func() error {
		n, err := s.catalog.TakeCopies(ctx, m, batch)
		r.Copies += int64(n)
		batch = batch[:0]
		return err
	}
	for p, err := range f.copies() {
		if err != nil {
			return err
		}
		if batch = append(batch, p); len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
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
