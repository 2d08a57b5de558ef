package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/mtjournal"
)

// A journalRecord is what was written into a journal of mt-aws-glacier, and what
// has no place there.
type journalRecord struct {
	Store    string `json:"store"`
	Tree     string `json:"tree"`
	File     string `json:"file"`
	Archives int64  `json:"archives"`
	Bundles  int64  `json:"bundles"`
	Packed   int64  `json:"packed"`
	Names    int64  `json:"names"`
	Others   int64  `json:"others"`
}

// left is how many archives are not in the journal.
func (r journalRecord) left() int64 { return r.Bundles + r.Packed + r.Names + r.Others }

// writeJournal writes a journal of the archives that hold one file each.
func (o *catalogExportOptions) writeJournal(ctx context.Context, s *session, store catalog.Store) error {
	path := o.app.env.Path(o.Journal)
	if _, err := os.Lstat(path); err == nil {
		return &firn.Error{Op: "write the journal", Subject: path, Kind: firn.Conflict, Err: errors.New("there is such a file, and it stays as it is"), Hint: "name another one"}
	}
	tree, only, err := o.journalTree(ctx, s, store)
	if err != nil {
		return err
	}
	x := journalExport{catalog: s.catalog, tree: tree, out: journalRecord{Store: store.URL, Tree: tree.Name, File: path}}
	if err := x.sort(ctx, store.ID, only); err != nil {
		return err
	}
	err = writeFile(path, func(w io.Writer) error {
		x.to = bufio.NewWriter(w)
		// What is current names an archive, before what was.
		for _, all := range []bool{false, true} {
			if err := x.write(ctx, all); err != nil {
				return err
			}
		}
		return x.to.Flush()
	})
	if err != nil {
		return err
	}
	x.out.Names = x.refused.count()
	x.out.Others = x.own.count() - x.out.Names
	showJournal(s, x.out, o.Journal)
	if x.out.left() > 0 {
		return ErrPartial
	}
	return nil
}

// journalTree finds the tree that the journal is about: names in a journal are
// relative to one directory. only says that the store has no other.
func (o *catalogExportOptions) journalTree(ctx context.Context, s *session, store catalog.Store) (tree catalog.Tree, only bool, err error) {
	trees, err := s.catalog.Trees(ctx, store.ID)
	switch {
	case err != nil:
		return tree, false, err
	case o.Tree != "":
		tree, err = s.catalog.Tree(ctx, store.ID, o.Tree)
		return tree, len(trees) == 1, err
	case len(trees) == 0:
		return tree, false, &firn.Error{Op: "write the journal", Subject: store.URL, Kind: firn.NotFound, Err: errors.New("no directory was synced to it")}
	case len(trees) > 1:
		var names []string
		for _, t := range trees {
			names = append(names, t.Name)
		}
		return tree, false, wrongUsage("write the journal", "the store has several trees (%s), and a journal is about one: name it with --tree", strings.Join(names, ", "))
	}
	return trees[0], true, nil
}

// A journalExport writes one journal. Sets of archives are by their rows.
type journalExport struct {
	catalog *catalog.Catalog
	tree    catalog.Tree
	to      *bufio.Writer
	out     journalRecord

	fit     rowSet // archives whose bytes are a file, and that aren't written yet
	own     rowSet // those of them that are the tree's
	refused rowSet // of these, those with a name that a journal can't hold
	run     catalog.Run
	line    []byte
}

// sort finds the archives that may be in the journal, and counts those of the
// tree that can't.
func (x *journalExport) sort(ctx context.Context, store int64, only bool) error {
	for k, err := range x.catalog.Kept(ctx, store) {
		if err != nil {
			return err
		}
		if k.State != catalog.Stored && k.State != catalog.Foreign || k.Kind == catalog.CatalogArchive {
			continue
		}
		isOwn := k.Tree == x.tree.ID || k.Tree == 0 && only
		switch {
		case (k.Kind == catalog.FileArchive || k.Kind == catalog.ForeignArchive) && !k.Packed:
			x.fit.add(k.ID)
			if isOwn {
				x.own.add(k.ID)
			}
		case !isOwn:
		case k.Kind == catalog.BundleArchive:
			x.out.Bundles++
		case k.Packed:
			x.out.Packed++
		default:
			x.out.Others++
		}
	}
	return nil
}

// write writes a line for each archive that a current version is in, or any. An
// archive has one line: mtglacier takes no journal that has two of one.
func (x *journalExport) write(ctx context.Context, all bool) error {
	for e, err := range x.catalog.Files(ctx, catalog.ListQuery{Tree: x.tree.ID, All: all}) {
		if err != nil {
			return err
		}
		at := &e.Location
		isWhole := at.Offset == 0 && at.Size == e.Content.Size
		if e.Kind != firn.Regular || at.State != catalog.Stored || !isWhole || !x.fit.has(at.Archive) {
			continue
		}
		r := mtjournal.Record{
			Op: mtjournal.Created, Time: at.Created.Unix(), Archive: string(at.Remote), Size: at.Size, Tree: at.Tree.String(),
			Path: e.Path, MTime: e.Stamp.ModTime.Unix(), HasMTime: !e.Stamp.ModTime.IsZero(),
		}
		if at.Created.IsZero() {
			if r.Time, err = x.started(ctx, e.Run); err != nil {
				return err
			}
		}
		if x.line, err = r.AppendLine(x.line[:0]); err != nil {
			if x.own.has(at.Archive) {
				x.refused.add(at.Archive)
			}
			continue
		}
		x.fit.remove(at.Archive)
		x.own.remove(at.Archive)
		x.refused.remove(at.Archive)
		x.out.Archives++
		if _, err := x.to.Write(x.line); err != nil {
			return err
		}
	}
	return nil
}

// started is when a run began, in seconds since 1970. Many entries in a row are
// of one run.
func (x *journalExport) started(ctx context.Context, run int64) (_ int64, err error) {
	if x.run.ID != run {
		x.run, err = x.catalog.Run(ctx, run)
	}
	return x.run.Started.Unix(), err
}

// showJournal tells what is in the journal, and what isn't.
func showJournal(s *session, r journalRecord, name string) {
	s.ui.Record("journal_export", r)
	s.ui.Print(fmt.Sprintf("%s: %s archives of %s, in the journal %s", r.Store, ui.Count(r.Archives), r.Tree, name))
	var why []string
	add := func(n int64, what string) {
		if n > 0 {
			why = append(why, ui.Count(n)+" "+what)
		}
	}
	add(r.Bundles, "of many files, or encrypted")
	add(r.Packed, "compressed or encrypted by their maker")
	add(r.Names, "with names that a journal can't hold")
	add(r.Others, "of no file that the catalog knows")
	if len(why) > 0 {
		s.ui.Warn(fmt.Sprintf("%s archives have no place in the journal: %s", ui.Count(r.left()), strings.Join(why, ", ")))
	}
}

// A rowSet is a set of rows, whose numbers begin at 1 and have few gaps: a bit
// for each.
type rowSet []uint64

func (s *rowSet) add(row int64) {
	for int64(len(*s)) <= row/64 {
		*s = append(*s, 0)
	}
	(*s)[row/64] |= 1 << (row % 64)
}

func (s rowSet) has(row int64) bool {
	return row/64 < int64(len(s)) && s[row/64]&(1<<(row%64)) != 0
}

func (s rowSet) remove(row int64) {
	if s.has(row) {
		s[row/64] &^= 1 << (row % 64)
	}
}

func (s rowSet) count() (n int64) {
	for _, word := range s {
		n += int64(bits.OnesCount64(word))
	}
	return n
}
