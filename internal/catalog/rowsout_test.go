package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
)

// A rowSet is a stream by numbers and keys, as whoever reads it puts it
// together.
type rowSet struct {
	header   rows.Header
	heads    []string         // catalogs, trees, runs and snapshots, in order
	archives map[int64]string // by number
	entries  map[entryKey]rows.Entry
	order    []entryKey
	dir      rows.Dir
	size     rows.End
	// meanwhile is called at each row.
	meanwhile func()
	lines     *rows.Writer // takes them, too
	text      bytes.Buffer
}

// An entryKey is what tells an entry from all others.
type entryKey struct {
	tree       int64
	path, name string
	since      int64
}

func (k entryKey) String() string { return fmt.Sprintf("%d:%q/%q@%d", k.tree, k.path, k.name, k.since) }

func newRowSet() *rowSet {
	s := &rowSet{archives: map[int64]string{}, entries: map[entryKey]rows.Entry{}, meanwhile: func() {}}
	s.lines = rows.NewWriter(&s.text)
	return s
}

// Write takes a row in. It keeps nothing of it.
func (s *rowSet) Write(row rows.Row) error {
	if err := s.lines.Write(row); err != nil {
		return err
	}
	switch r := row.(type) {
	case *rows.Header:
		s.header = *r
	case *rows.Archive:
		s.archives[r.ID] = fmt.Sprintf("%+v", *r)
		s.size.Archives++
	case *rows.Dir:
		s.dir = *r
	case *rows.Entry:
		k := entryKey{s.dir.Tree, s.dir.Path, r.Name, r.Since}
		s.entries[k] = *r
		s.order = append(s.order, k)
		s.size.Entries++
	default:
		s.heads = append(s.heads, fmt.Sprintf("%T %+v", row, row))
	}
	s.meanwhile()
	return nil
}

// over puts what adds to a base over it.
func (s *rowSet) over(base *rowSet) *rowSet {
	out := newRowSet()
	out.heads = s.heads
	for _, from := range []*rowSet{base, s} {
		for id, a := range from.archives {
			out.archives[id] = a
		}
		for k, e := range from.entries {
			out.entries[k] = e
		}
	}
	return out
}

// at gives what was current after a run, as lines in order.
func (s *rowSet) at(tree, run int64) (lines []string) {
	for k, e := range s.entries {
		if k.tree == tree && k.since <= run && (e.Until == 0 || e.Until > run) {
			path := slot{k.path, k.name}.path()
			lines = append(lines, fmt.Sprintf("%q %o %d %v %d:%d in %d/%d %q %d @%d", path, e.Mode, e.Size, e.ModTime, e.UID, e.GID, e.Archive, e.Member, e.Target, e.LinkGroup, k.since))
		}
	}
	slices.Sort(lines)
	return lines
}

// writeRows writes the rows of the fixture's store.
func (f *fixture) writeRows(tb fataler, s *rowSet, o catalog.RowsOptions) catalog.RowsWritten {
	tb.Helper()
	done, err := f.WriteRows(context.Background(), f.store.ID, "nas", o, s)
	check(tb, err)
	check(tb, s.lines.Close())
	if (rows.End{Archives: done.Archives, Entries: done.Entries}) != s.size || done.Through != s.header.Through {
		tb.Fatal(fmt.Sprintf("wrote %+v, counted %+v with header %+v", done, s.size, s.header))
	}
	for _, err := range rows.Read(&s.text) {
		check(tb, err)
	}
	return done
}

type fataler interface {
	Helper()
	Fatal(...any)
}

// TestWriteRows looks at each kind of row.
func TestWriteRows(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 10_000, 100_000)
	other, err := f.Register(t.Context(), catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	tree, err := f.Bind(t.Context(), other.ID, "other", "nas", "/other")
	check(t, err)
	elsewhere, err := f.BeginRun(t.Context(), other.ID, tree.ID, "sync")
	check(t, err)
	f.upload(t, elsewhere, regular("elsewhere", "of another store"))

	check(t, f.SetRecipients(t.Context(), f.tree.ID, catalog.Recipients{1, 2}, []string{"age1one", "age1two"}))
	f.record(t, f.run, directory(""), directory("a\xff"), symlink("a\xff/link", "to/\xfe"), regular("a\xff/empty", ""))
	f.upload(t, f.run, regular("a\xff/f", "first"))
	linked := regular("g", "second")
	linked.LinkGroup = 12
	f.intendBundle(t, f.run, bundled(regular("lost", "on its way"))...)
	b := f.intendBundle(t, f.run, bundled(regular("a\xff/f~", "x"), linked, regular("h", "xyz"))...)
	f.stored(t, f.run, b)
	check(t, f.EndRun(t.Context(), f.run, catalog.Outcome{Complete: true, Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 4, Bytes: 15}}}))

	s := newRowSet()
	f.clock.Advance(time.Minute)
	done := f.writeRows(t, s, catalog.RowsOptions{Seq: 3, Profiles: []rows.Profile{{Name: "home", Text: "store = 1"}}, Alive: func(catalog.Run) bool { return false }})
	want := rows.Header{
		Version: rows.Version, Catalog: f.ID(), Host: "nas", Seq: 3, Through: f.run.ID - 1, Made: f.clock.Now().UTC(),
		Store:    rows.Store{Identity: "one", Kind: "local", URL: "local:/v", Name: "v", Address: "/v"},
		Profiles: []rows.Profile{{Name: "home", Text: "store = 1"}},
	}
	if diff := gocmp.Diff(want, s.header); diff != "" {
		t.Errorf("header: -want +got\n%s", diff)
	}
	if done.Archives != 2 || done.Entries != 8 {
		t.Errorf("wrote %+v, want 2 archives and 8 entries", done)
	}
	heads := strings.Join(s.heads, "\n")
	for _, want := range []string{
		"*rows.Catalog &{ID:1 Token:" + f.ID().String() + " Host:nas}",
		"Name:photos Host:nas Root:/home/photos Recipients:[1 2 0",
		"Keys:[age1one age1two]}",
		"Complete:true Counts:map[sent:{Files:4 Bytes:15}]}",
	} {
		if !strings.Contains(heads, want) {
			t.Errorf("there is no %s in\n%s", want, heads)
		}
	}
	if strings.Contains(heads, "other") || strings.Count(heads, "*rows.Run") != 1 {
		t.Errorf("there are rows of another store in\n%s", heads)
	}
	if got, want := f.rowsAt(t, f.run.ID), s.at(f.tree.ID, f.run.ID); !slices.Equal(got, want) {
		t.Errorf("listed %q\nwritten %q", got, want)
	}
	for _, want := range []string{"Kind:bundle", "Contents:[{Member:0 Offset:512 Size:1 ", " {Member:2 Offset:2560 Size:3 "} {
		if !strings.Contains(s.archives[b.ID], want) {
			t.Errorf("there is no %s in %s", want, s.archives[b.ID])
		}
	}
	if !slices.IsSortedFunc(s.order, func(a, b entryKey) int { return slot{a.path, a.name}.compare(slot{b.path, b.name}) }) {
		t.Errorf("they don't come in the order of a walk: %v", s.order)
	}
}

// rowsAt lists what was current after a run, as rowSet.at does.
func (f *fixture) rowsAt(tb fataler, run int64) (lines []string) {
	tb.Helper()
	for e, err := range f.Files(context.Background(), catalog.ListQuery{Tree: f.tree.ID, At: run}) {
		check(tb, err)
		mode := uint32(firn.PosixMode(e.Mode)) | map[firn.FileKind]uint32{firn.Regular: 0o100000, firn.Directory: 0o040000, firn.Symlink: 0o120000}[e.Kind]
		lines = append(lines, fmt.Sprintf("%q %o %d %v %d:%d in %d/%d %q %d @%d", e.Path, mode, e.Stamp.Size, e.Stamp.ModTime, e.UID, e.GID, e.Location.Archive, e.Location.Member, e.Target, e.LinkGroup, e.Run))
	}
	slices.Sort(lines)
	return lines
}

// TestWriteRowsOfArchives: what is kept of archives that are not a tree's.
func TestWriteRowsOfArchives(t *testing.T) {
	f := newFixture(t)
	loose := catalog.Intent{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: "my words", Size: 4,
		Seal: &catalog.Sealing{Header: []byte("head"), Recipients: catalog.Recipients{7}}}
	intents := []catalog.Intent{loose, loose}
	intents[1].Token = firn.NewToken()
	check(t, f.Intend(t.Context(), intents))
	check(t, f.Stored(t.Context(), intents[0].ID, firn.Archive{ID: "L", Size: 4, Created: epoch}, f.run, nil))
	check(t, f.Drop(t.Context(), intents[1].ID, "no more wanted"))
	check(t, f.Bury(t.Context(), f.run, firn.Archive{ID: "B", Size: 9, Created: epoch}))
	id := f.upload(t, f.run, regular("f", "text"))
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, id)
	check(t, err)
	check(t, f.MarkLost(t.Context(), f.run, []int64{loc.Archive}))

	s := newRowSet()
	f.writeRows(t, s, catalog.RowsOptions{})
	all := ""
	for _, id := range slices.Sorted(maps.Keys(s.archives)) {
		all += s.archives[id] + "\n"
	}
	for _, want := range []string{
		"Kind:loose State:10", "Remote:L", "Description:my words", "Header:[104 101 97 100] Recipients:[7 0",
		"Kind:foreign State:22 Run:0", "Remote:B", "Kind:file State:21", "Created:" + epoch.String(),
	} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %s in\n%s", want, all)
		}
	}
	if len(s.archives) != 3 {
		t.Errorf("there are %d archives, want 3:\n%s", len(s.archives), all)
	}
}

// TestThrough: it stops before what may still record something, and not before
// what can't.
func TestThrough(t *testing.T) {
	f := newFixture(t)
	ended := f.run
	check(t, f.EndRun(t.Context(), ended, catalog.Outcome{}))
	through := func(alive ...int64) int64 {
		t.Helper()
		return f.writeRows(t, newRowSet(), catalog.RowsOptions{Alive: func(r catalog.Run) bool {
			if r.Store != f.store.ID || r.Command != "sync" || !r.Ended.IsZero() {
				t.Errorf("asked for %+v", r)
			}
			return slices.Contains(alive, r.ID)
		}}).Through
	}
	want := func(got, want int64) {
		t.Helper()
		if got != want {
			t.Errorf("through %d, want %d", got, want)
		}
	}
	want(through(), ended.ID)
	killed, now := f.begin(t), f.begin(t)
	want(through(now.ID), killed.ID)
	want(through(killed.ID), killed.ID-1)
	want(through(), now.ID)
	want(f.writeRows(t, newRowSet(), catalog.RowsOptions{}).Through, killed.ID) // the newest of the tree is alive

	file := f.intend(t, killed, regular("f", "text"))
	want(through(), killed.ID-1)
	check(t, f.Drop(t.Context(), file.ID, "no reason"))
	want(through(), now.ID)
	b := f.intendBundle(t, now, bundled(regular("b", "text"))...)
	want(through(), now.ID-1)
	f.stored(t, now, b)
	want(through(), now.ID)

	loose := []catalog.Intent{{Store: f.store.ID, Run: ended.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive}}
	check(t, f.Intend(t.Context(), loose)) // it becomes no version of a run
	want(through(), now.ID)
	f.snapshot(t, now, 0, now.ID)
	asked := false
	f.writeRows(t, newRowSet(), catalog.RowsOptions{Alive: func(catalog.Run) bool { asked = true; return true }})
	if asked {
		t.Error("it asks for runs that were dead when an earlier snapshot was made")
	}
}

// TestWriteRowsErrors: those of the sink end it, wherever they come.
func TestWriteRowsErrors(t *testing.T) {
	f := newFixture(t)
	f.upload(t, f.run, regular("a/b", "text"))
	f.snapshot(t, f.run, 0, 0)
	f.upload(t, f.run, regular("a/c", "other"))
	_, err := f.WriteRows(t.Context(), f.store.ID+1, "nas", catalog.RowsOptions{}, newRowSet())
	wantKind(t, err, firn.NotFound, "no such store")
	s := newRowSet()
	f.writeRows(t, s, catalog.RowsOptions{})
	broken := errors.New("broken")
	for n := range len(s.heads) + 1 + len(s.archives) + 1 + len(s.entries) {
		if _, err := f.WriteRows(t.Context(), f.store.ID, "nas", catalog.RowsOptions{}, &failingSink{n, broken}); !errors.Is(err, broken) {
			t.Errorf("row %d fails: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s = newRowSet()
	s.meanwhile = cancel
	if _, err := f.WriteRows(ctx, f.store.ID, "nas", catalog.RowsOptions{}, s); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A failingSink fails after so many rows.
type failingSink struct {
	left int
	err  error
}

func (s *failingSink) Write(rows.Row) error {
	if s.left == 0 {
		return s.err
	}
	s.left--
	return nil
}
