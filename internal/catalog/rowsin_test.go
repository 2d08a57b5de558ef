package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/rows"
)

// stream writes a catalog's rows as a snapshot has them, and gives what they
// reach through.
func stream(tb interface {
	Helper()
	Fatal(...any)
}, c *catalog.Catalog, store int64, o catalog.RowsOptions) ([]byte, int64) {
	tb.Helper()
	var b bytes.Buffer
	w := rows.NewWriter(&b)
	done, err := c.WriteRows(context.Background(), store, "nas", o, w)
	check(tb, err)
	check(tb, w.Close())
	return b.Bytes(), done.Through
}

func read(b []byte) iter.Seq2[rows.Row, error] { return rows.Read(bytes.NewReader(b)) }

// portrait describes a stream without the numbers of the catalog that wrote it,
// a line for each version of each path, sorted.
func portrait(tb interface {
	Helper()
	Fatal(...any)
}, b []byte) (lines []string) {
	tb.Helper()
	trees, runs, archives := map[int64]string{}, map[int64]string{0: "-"}, map[int64]string{0: ""}
	var dir rows.Dir
	for row, err := range read(b) {
		check(tb, err)
		switch r := row.(type) {
		case *rows.Tree:
			trees[r.ID] = r.Name
			lines = append(lines, fmt.Sprintf("tree %s %s:%s %x", r.Name, r.Host, r.Root, r.Recipients))
		case *rows.Run:
			runs[r.ID] = r.Started.String()
			lines = append(lines, fmt.Sprintf("run %s %s %s %t %v", trees[r.Tree], r.Command, r.Started, r.Complete, r.Counts))
		case *rows.Archive:
			archives[r.ID] = string(r.Remote)
			lines = append(lines, fmt.Sprintf("archive %s %s %d %s %d %v", r.Remote, r.Kind, r.State, runs[r.Run], r.Size, r.Contents))
		case *rows.Dir:
			dir = *r
		case *rows.Entry:
			lines = append(lines, fmt.Sprintf("%s:%s/%q %s..%s %o %d %s %q %d in %s.%d", trees[dir.Tree], dir.Path, r.Name, runs[r.Since], runs[r.Until], r.Mode, r.Size, r.ModTime, r.Target, r.LinkGroup,
				archives[r.Archive], r.Member))
		}
	}
	slices.Sort(lines)
	return lines
}

// another gives an empty catalog of another machine, with the row of its store.
func another(tb testing.TB) (*catalog.Catalog, int64) {
	tb.Helper()
	c := open(tb, filepath.Join(tb.TempDir(), "catalog.db"), clock.NewManual(epoch))
	store, err := c.Register(tb.Context(), catalog.StoreSpec{URL: "local:/v", Kind: "local", Identity: "one", Name: "v"})
	check(tb, err)
	return c, store.ID
}

// TestReadRowsModel: an empty catalog that reads a base, taken while things went
// on, and what adds to it has what the catalog has that wrote them; and reading
// them twice changes nothing.
func TestReadRowsModel(t *testing.T) {
	if testing.Short() {
		t.Skip("goes through a hundred histories")
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := newPast(t, rt)
		steps := func() {
			for range rapid.IntRange(1, 12).Draw(rt, "steps") {
				p.step(rt)
			}
		}
		steps()
		base, through := stream(rt, p.Catalog, p.store.ID, catalog.RowsOptions{Seq: 1, Alive: p.alive})
		if through <= 0 {
			return // nothing can add to it
		}
		p.forgot = false
		steps()
		if p.forgot {
			return // versions that were forgotten stay in the base
		}
		added, _ := stream(rt, p.Catalog, p.store.ID, catalog.RowsOptions{Seq: 2, BaseSeq: 1, Base: through, Alive: p.alive})
		whole, _ := stream(rt, p.Catalog, p.store.ID, catalog.RowsOptions{Seq: 2, Alive: p.alive})
		got, store := another(t)
		got.SetSizes(p.page, p.batch, 2)
		for range 2 {
			_, err := got.ReadRows(t.Context(), store, read(base), read(added))
			check(rt, err)
			again, _ := stream(rt, got, store, catalog.RowsOptions{})
			if diff := gocmp.Diff(portrait(rt, whole), portrait(rt, again)); diff != "" {
				rt.Fatalf("-written +read:\n%s", diff)
			}
			sameSums(rt, got, store, again)
		}
	})
}

// sameSums compares what a catalog counts with what is in its rows.
func sameSums(rt *rapid.T, c *catalog.Catalog, store int64, text []byte) {
	want := map[int64]catalog.Tree{}
	var archives, size int64
	var tree int64
	for row, err := range read(text) {
		check(rt, err)
		switch r := row.(type) {
		case *rows.Dir:
			tree = r.Tree
		case *rows.Archive:
			if catalog.State(r.State) == catalog.Stored {
				archives++
				size += r.Size
			}
		case *rows.Entry:
			if r.Until != 0 {
				continue
			}
			t := want[tree]
			switch r.Mode & 0o170000 {
			case 0o040000:
				t.Dirs++
			case 0o120000:
				t.Links++
			default:
				t.Files++
				t.Bytes += r.Size
			}
			want[tree] = t
		}
	}
	trees, err := c.Trees(context.Background(), store)
	check(rt, err)
	for _, t := range trees {
		if w := want[t.ID]; t.Files != w.Files || t.Bytes != w.Bytes || t.Dirs != w.Dirs || t.Links != w.Links {
			rt.Fatalf("tree %+v, want %+v", t, w)
		}
	}
	stores, err := c.Stores(context.Background())
	check(rt, err)
	if stores[0].Archives != archives || stores[0].Bytes != size {
		rt.Fatalf("store %+v, want %d archives of %d bytes", stores[0], archives, size)
	}
}

// TestReadRowsOfTwoMachines puts two machines together that have a tree of the
// same name, in either order.
func TestReadRowsOfTwoMachines(t *testing.T) {
	var streams [][]byte
	for _, host := range []string{"nas", "laptop"} {
		f := newFixture(t)
		check(t, f.Rebind(t.Context(), f.tree.ID, host, "/home/"+host))
		f.upload(t, f.run, regular("same/path", "from "+host))
		f.record(t, f.run, directory("same"))
		b, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{Seq: 1})
		streams = append(streams, b)
	}
	for range 2 {
		slices.Reverse(streams)
		c, store := another(t)
		renamed := 0
		for _, b := range streams {
			res, err := c.ReadRows(t.Context(), store, read(b))
			check(t, err)
			renamed += len(res.Renamed)
		}
		trees, err := c.Trees(t.Context(), store)
		check(t, err)
		if len(trees) != 2 || renamed != 1 || trees[0].Name != "photos" || trees[1].Name != "photos@"+trees[1].Host {
			t.Fatalf("%+v, %d renamed", trees, renamed)
		}
		for _, tree := range trees {
			if got := f(c).texts(t, tree.ID, "same/path", "from "+tree.Host); !slices.Equal(got, []string{"from " + tree.Host + "+"}) {
				t.Errorf("%s: %v", tree.Name, got)
			}
		}
	}
}

// f lends a catalog the methods of a fixture.
func f(c *catalog.Catalog) *fixture { return &fixture{Catalog: c} }

// TestReadRowsOfOneself brings a catalog up to date that was put back from a
// backup: what it forgot comes back, and what it did since stays.
func TestReadRowsOfOneself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	a := openFixture(t, path)
	a.upload(t, a.run, regular("x", "one"))
	check(t, a.EndRun(t.Context(), a.run, catalog.Outcome{Complete: true}))
	if _, err := a.Query(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	before, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})
	a.upload(t, a.begin(t), regular("x", "two"))
	a.upload(t, a.begin(t), regular("y", "new"))
	after, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 2})

	c, store := another(t) // stands for the backup, under another id
	_, err := c.ReadRows(t.Context(), store, read(before))
	check(t, err)
	res, err := c.ReadRows(t.Context(), store, read(after))
	check(t, err)
	if res.Archives != 2 || res.Versions != 2 || res.Trees != 0 {
		t.Errorf("%+v", res)
	}
	tree, err := c.Tree(t.Context(), store, "photos")
	check(t, err)
	if got := f(c).texts(t, tree.ID, "x", "one", "two"); !slices.Equal(got, []string{"one", "two+"}) {
		t.Errorf("%v", got)
	}
	if _, err := c.ReadRows(t.Context(), store, read(before)); err != nil {
		t.Fatal(err)
	}
	if got := f(c).texts(t, tree.ID, "x", "one", "two"); !slices.Equal(got, []string{"one", "two+"}) {
		t.Errorf("after the older one once more: %v", got)
	}
}

// TestReadRowsOfNamedLoose: an archive that was stored by itself, and is known to be a
// file later, is one wherever the later stream is read, also behind the earlier one.
func TestReadRowsOfNamedLoose(t *testing.T) {
	a := newFixture(t)
	file, foreign := a.storeLoose(t, "L1", "a"), a.storeLoose(t, "L2", "b")
	file.Kind = catalog.FileArchive
	check(t, a.EndRun(t.Context(), a.run, catalog.Outcome{Complete: true}))
	before, through := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})
	a.run = a.begin(t)
	a.takeIn(t, file, foreign)
	check(t, a.EndRun(t.Context(), a.run, catalog.Outcome{Complete: true}))
	after, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 2, Base: through, BaseSeq: 1})
	whole, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 3})

	for _, streams := range [][][]byte{{before, after}, {whole}, {before, whole, before}} {
		c, store := another(t)
		for _, b := range streams {
			res, err := c.ReadRows(t.Context(), store, read(b))
			check(t, err)
			if res.Refused != 0 {
				t.Errorf("%+v", res)
			}
		}
		tree, err := c.Tree(t.Context(), store, "theirs")
		check(t, err)
		for _, path := range []string{"a", "b"} {
			if got := f(c).texts(t, tree.ID, path, "hello"); !slices.Equal(got, []string{"hello+"}) {
				t.Errorf("%s: %v", path, got)
			}
		}
		var kinds []string
		for _, h := range f(c).holdings(t, store) {
			kinds = append(kinds, fmt.Sprint(h.Kind, " ", h.Contents, " ", h.Description))
		}
		if diff := gocmp.Diff([]string{"file 1 ", "foreign 1 words of b"}, kinds); diff != "" {
			t.Error(diff)
		}
		if stores, _ := c.Stores(t.Context()); stores[0].Archives != 2 || stores[0].Bytes != 10 {
			t.Errorf("%+v", stores[0])
		}
	}
}

// TestReadRowsCutShort reads a stream that ends early, and then whole.
func TestReadRowsCutShort(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a stream a hundred times")
	}
	a := newFixture(t)
	a.seed(t)
	for i := range 20 {
		a.upload(t, a.run, regular(fmt.Sprintf("d%d/file", i%4), fmt.Sprint("text ", i)))
	}
	b, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})
	for cut := 0; cut < len(b); cut += 97 {
		c, store := another(t)
		c.SetSizes(3, 3, 3)
		if _, err := c.ReadRows(t.Context(), store, read(b[:cut])); err == nil {
			t.Fatalf("cut at %d of %d: no error", cut, len(b))
		}
		_, err := c.ReadRows(t.Context(), store, read(b))
		check(t, err)
		again, _ := stream(t, c, store, catalog.RowsOptions{})
		if diff := gocmp.Diff(portrait(t, b), portrait(t, again)); diff != "" {
			t.Fatalf("cut at %d, -written +read:\n%s", cut, diff)
		}
	}
}

// BenchmarkReadRows takes a million files in bundles into an empty catalog.
func BenchmarkReadRows(b *testing.B) {
	f := filled(b, 200_000, 100)
	text, _ := stream(b, f.Catalog, f.store.ID, catalog.RowsOptions{Seq: 1})
	n := strings.Count(string(text), `{"entry":`)
	for b.Loop() {
		c, store := another(b)
		_, err := c.ReadRows(b.Context(), store, rows.Read(io.Reader(bytes.NewReader(text))))
		check(b, err)
		check(b, c.Close())
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "entries/s")
}

// TestReadRowsOfAnyTime: runs that stand for times which can't be leave room for
// those of this catalog.
func TestReadRowsOfAnyTime(t *testing.T) {
	for _, sec := range []int64{-1 << 63, -1 << 55, -1 << 47, -62135596800, 0, 1 << 33, 1 << 47, 1 << 55, 1<<62 + 1<<61} {
		c, store := another(t)
		token := firn.NewToken()
		var text bytes.Buffer
		w := rows.NewWriter(&text)
		for _, row := range []rows.Row{
			&rows.Header{Catalog: token, Store: rows.Store{Identity: "one", Kind: "local", URL: "local:/v", Name: "v"}, Made: epoch},
			&rows.Catalog{ID: 1, Token: token},
			&rows.Tree{ID: 1, Name: "tree"},
			&rows.Run{ID: -5, Catalog: 1, Tree: 1, Command: "found", Started: time.Unix(sec, 0), Ended: time.Unix(sec, 0), Complete: true},
			&rows.Dir{Tree: 1},
			&rows.Entry{Name: "empty", Since: -5, Mode: 0o100644, ModTime: epoch},
		} {
			check(t, w.Write(row))
		}
		check(t, w.Close())
		_, err := c.ReadRows(t.Context(), store, read(text.Bytes()))
		check(t, err)
		recovery, err := c.BeginRecovery(t.Context(), store)
		if err != nil {
			t.Errorf("after a run of %d: %v", sec, err)
			continue
		}
		for e, err := range c.Files(t.Context(), catalog.ListQuery{Tree: 1, All: true}) {
			check(t, err)
			if e.Run >= 0 {
				t.Errorf("a version of %d is of run %d, the recovery is %d", sec, e.Run, recovery.ID)
			}
		}
	}
}

// TestReadRowsThatContradict refuses a stream that has one path twice: it is the
// stream that is damaged, and nothing else stops.
func TestReadRowsThatContradict(t *testing.T) {
	c, store := another(t)
	token := firn.NewToken()
	var text bytes.Buffer
	w := rows.NewWriter(&text)
	entry := &rows.Entry{Name: "empty", Since: 1, Mode: 0o100644, ModTime: epoch}
	for _, row := range []rows.Row{
		&rows.Header{Catalog: token, Store: rows.Store{Identity: "one", Kind: "local", URL: "local:/v", Name: "v"}, Made: epoch},
		&rows.Catalog{ID: 1, Token: token},
		&rows.Tree{ID: 1, Name: "tree"},
		&rows.Run{ID: 1, Catalog: 1, Tree: 1, Command: "sync", Started: epoch, Ended: epoch, Complete: true},
		&rows.Dir{Tree: 1}, entry, &rows.Dir{Tree: 1, Path: "d"}, entry, &rows.Dir{Tree: 1}, entry,
	} {
		check(t, w.Write(row))
	}
	check(t, w.Close())
	if _, err := c.ReadRows(t.Context(), store, read(text.Bytes())); firn.KindOf(err) != firn.Corrupt {
		t.Errorf("error %v", err)
	}
	wantWhole(t, c)
}

// TestOthersArchivesAreNotShared: what another machine stores it deletes when it
// likes, so its content doesn't count here, until its tree is taken over.
func TestOthersArchivesAreNotShared(t *testing.T) {
	a := newFixture(t)
	a.upload(t, a.run, regular("x", "one"))
	text, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})
	c, store := another(t)
	_, err := c.ReadRows(t.Context(), store, read(text))
	check(t, err)
	isShared := func() bool {
		_, ok, err := c.FindContent(t.Context(), store, content("one"))
		check(t, err)
		return ok
	}
	mine, err := c.Bind(t.Context(), store, "mine", "here", "/mine")
	check(t, err)
	_, err = c.BeginRun(t.Context(), store, mine.ID, "sync")
	check(t, err)
	if isShared() {
		t.Error("content of a tree that another machine syncs is shared")
	}
	tree, err := c.Tree(t.Context(), store, "photos")
	check(t, err)
	_, err = c.BeginRun(t.Context(), store, tree.ID, "sync")
	check(t, err)
	if !isShared() {
		t.Error("content of a tree that was taken over isn't shared")
	}
}
