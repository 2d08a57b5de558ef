package catalog_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A model is what a tree in a catalog should be, done the simple way: every
// version of every entry, found by looking at all of them.
type model struct {
	entries map[slot][]modelVersion // oldest first
	run     int64
}

// A slot is an entry's place: a directory is under the empty name in itself.
type slot struct{ dir, name string }

func slotOf(ch catalog.Change) slot {
	if ch.Kind == firn.Directory {
		return slot{dir: ch.Path}
	}
	i := strings.LastIndexByte(ch.Path, '/')
	return slot{dir: ch.Path[:max(i, 0)], name: ch.Path[i+1:]}
}

func (s slot) path() string {
	return strings.TrimPrefix(strings.TrimSuffix(s.dir+"/"+s.name, "/"), "/")
}

// compare is the order of a walk, written another way than in the catalog:
// directories name by name, then the entry.
func (s slot) compare(o slot) int {
	names := func(dir string) []string {
		if dir == "" {
			return nil
		}
		return strings.Split(dir, "/")
	}
	return cmp.Or(slices.Compare(names(s.dir), names(o.dir)), strings.Compare(s.name, o.name))
}

type modelVersion struct {
	catalog.Change
	since, until int64
}

func (m *model) current(s slot) *modelVersion {
	all := m.entries[s]
	if n := len(all); n > 0 && all[n-1].until == 0 {
		return &all[n-1]
	}
	return nil
}

func (m *model) remove(s slot) {
	v := m.current(s)
	if v == nil {
		return
	}
	v.until = m.run
	if v.since == m.run { // it never was a version of its own
		m.entries[s] = m.entries[s][:len(m.entries[s])-1]
	}
}

// removePath removes what is at a path and below it; what this run recorded
// itself only by force.
func (m *model) removePath(path string, force bool) {
	for s := range m.entries {
		p := s.path()
		if p != path && path != "" && !strings.HasPrefix(p, path+"/") {
			continue
		}
		if v := m.current(s); v != nil && (force || v.since < m.run) {
			m.remove(s)
		}
	}
}

func (m *model) record(ch catalog.Change) {
	s := slotOf(ch)
	old := m.current(s)
	if old != nil && sameVersion(old.Change, ch) {
		old.Change = ch
		return
	}
	if old == nil {
		if ch.Kind == firn.Directory {
			m.remove(slotOf(catalog.Change{File: firn.File{Path: ch.Path}}))
		} else {
			m.removePath(ch.Path, true)
		}
	}
	m.remove(s)
	m.entries[s] = append(m.entries[s], modelVersion{Change: ch, since: m.run})
}

func sameVersion(a, b catalog.Change) bool {
	return a.Kind == b.Kind && a.Stamp.ModTime.Equal(b.Stamp.ModTime) && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Target == b.Target && a.Content == b.Content
}

// slots gives all slots that have a version, in order.
func (m *model) slots() (all []slot) {
	for s, versions := range m.entries {
		if len(versions) > 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, slot.compare)
	return all
}

// list does what Files does.
func (m *model) list(q catalog.ListQuery) (lines []string) {
	made := "" // the directory that was listed last for what is in it
	for _, s := range m.slots() {
		found := m.versions(s, q)
		p := s.path()
		switch below, ok := strings.CutPrefix(slashed(s.dir), slashed(q.Path)); {
		case p == q.Path:
			lines = append(lines, found...)
		case !ok: // elsewhere
		case !q.Shallow, below == "":
			lines = append(lines, found...)
		case len(found) > 0:
			name, _, _ := strings.Cut(below, "/")
			child := strings.TrimPrefix(q.Path+"/"+name, "/")
			switch {
			case p == child:
				lines = append(lines, found...)
			case made != child:
				lines = append(lines, line(firn.File{Path: child, Kind: firn.Directory}, firn.Content{}, 0, 0, false))
			}
			made = child
		}
	}
	return lines
}

// slashed is a directory with a slash on both ends.
func slashed(dir string) string { return strings.TrimSuffix("/"+dir, "/") + "/" }

// versions gives those of a slot that a query wants.
func (m *model) versions(s slot, q catalog.ListQuery) (lines []string) {
	all := m.entries[s]
	for i, v := range all {
		removed := v.until != 0 && (i == len(all)-1 || all[i+1].since != v.until)
		now := v.until == 0
		if q.At != 0 {
			now = v.since <= q.At && (v.until == 0 || q.At < v.until)
		}
		if q.All || now {
			lines = append(lines, line(v.File, v.Content, v.since, v.until, removed))
		}
	}
	return lines
}

func line(f firn.File, c firn.Content, since, until int64, removed bool) string {
	return fmt.Sprintf("%q %s %v %d:%d %s %d %x %q %d-%d %v", f.Path, f.Kind, f.Mode, f.UID, f.GID,
		f.Stamp.ModTime.UTC().Format(time.RFC3339Nano), c.Size, c.Tree[:4], f.Target, since, until, removed)
}

// names are chosen to sort unlike their paths do, and to break text.
var names = []string{"a", "b", "a b", "a.b", "a\x01", "\x01", "\xff\xfe", "line\nline", "é", "a'b", "%", "aa"}

func genPath(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(t, "path"), "/")
}

func genChange(t *rapid.T) catalog.Change {
	var ch catalog.Change
	switch rapid.SampledFrom([]string{"file", "file", "empty", "dir", "link", "root"}).Draw(t, "kind") {
	case "file":
		ch = regular(genPath(t), rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "content"))
	case "empty":
		ch = regular(genPath(t), "")
	case "dir":
		ch = directory(genPath(t))
	case "root":
		ch = directory("")
	case "link":
		ch = symlink(genPath(t), rapid.SampledFrom([]string{"x", "../\xff", ""}).Draw(t, "target"))
	}
	ch.Stamp.ModTime = rapid.SampledFrom([]time.Time{
		epoch, epoch.Add(1), time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	}).Draw(t, "mtime")
	ch.Stamp.Inode = rapid.SampledFrom([]uint64{0, 1, 1<<64 - 1}).Draw(t, "inode")
	ch.Mode = rapid.SampledFrom([]fs.FileMode{0o644, 0o755 | fs.ModeSetuid | fs.ModeSticky, fs.ModeSetgid}).Draw(t, "mode")
	return ch
}

// TestModel drives a catalog and the model with the same calls, in a tree of
// its own each time.
func TestModel(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	trees := 0
	rapid.Check(t, func(rt *rapid.T) {
		trees++
		var err error
		f.tree, err = f.Bind(t.Context(), f.store.ID, fmt.Sprint("tree ", trees), "nas", "/")
		check(t, err)
		f.SetSizes(rapid.IntRange(1, 5).Draw(rt, "page"), rapid.Int64Range(1, 4).Draw(rt, "batch"), 2)
		f.run = f.begin(t)
		m := &model{entries: map[slot][]modelVersion{}, run: f.run.ID}
		first := f.run.ID
		rt.Repeat(map[string]func(*rapid.T){
			"record": func(rt *rapid.T) {
				changes := rapid.SliceOfN(rapid.Custom(genChange), 1, 4).Draw(rt, "changes")
				if _, err := f.Record(t.Context(), f.run, changes); err != nil {
					rt.Fatal(err)
				}
				for _, ch := range changes {
					m.record(ch)
				}
			},
			"remove": func(rt *rapid.T) {
				path := rapid.OneOf(rapid.Custom(genPath), rapid.Just("")).Draw(rt, "path")
				if _, err := f.Remove(t.Context(), f.run, []string{path}); err != nil {
					rt.Fatal(err)
				}
				m.removePath(path, false)
			},
			"run": func(rt *rapid.T) {
				f.run = f.begin(t)
				m.run = f.run.ID
			},
			"list": func(rt *rapid.T) {
				q := catalog.ListQuery{
					Tree: f.tree.ID, All: rapid.Bool().Draw(rt, "all"), Shallow: rapid.Bool().Draw(rt, "shallow"),
					Path: rapid.OneOf(rapid.Custom(genPath), rapid.Just("")).Draw(rt, "path"),
				}
				if ago := rapid.Int64Range(-1, f.run.ID-first).Draw(rt, "at"); ago >= 0 && !q.All {
					q.At = f.run.ID - ago
				}
				sameList(rt, f, m, q)
			},
			"": func(rt *rapid.T) {
				sameCurrent(rt, f, m)
				sameTotals(rt, f, m)
			},
		})
	})
	checkInvariants(t, f.Catalog)
}

// seed stores the contents that genChange takes.
func (f *fixture) seed(tb testing.TB) {
	tb.Helper()
	tree, err := f.Bind(tb.Context(), f.store.ID, "seed", "nas", "/seed")
	check(tb, err)
	run, err := f.BeginRun(tb.Context(), f.store.ID, tree.ID, "sync")
	check(tb, err)
	for _, text := range []string{"one", "two", "three"} {
		f.upload(tb, run, regular(text, text))
	}
}

func sameList(t *rapid.T, f *fixture, m *model, q catalog.ListQuery) {
	var got []string
	for e, err := range f.Files(t.Context(), q) {
		check(t, err)
		if e.Content.Size > 0 != (e.Location.State == catalog.Stored) {
			t.Errorf("%q is %v", e.Path, e.Location.State)
		}
		got = append(got, line(e.File, e.Content, e.Run, e.Until, e.Removed))
	}
	if diff := gocmp.Diff(m.list(q), got); diff != "" {
		t.Fatalf("list %+v: -want +got\n%s", q, diff)
	}
}

func sameCurrent(t *rapid.T, f *fixture, m *model) {
	var want, got []string
	add := func(to *[]string, f catalog.CurrentFile) {
		*to = append(*to, line(f.File, f.Content, f.Run, 0, false)+fmt.Sprint(f.Stamp.Inode, f.Stamp.Changed.UTC(), f.Read.UTC(), f.Links))
	}
	for _, s := range m.slots() {
		if v := m.current(s); v != nil {
			add(&want, catalog.CurrentFile{File: v.File, Content: v.Content, Read: v.Read, Run: v.since})
		}
	}
	more := ""
	for d, err := range f.Current(t.Context(), f.tree.ID) {
		check(t, err)
		if more != "" && (d.Path != more || d.Self != nil) {
			t.Fatalf("%q should continue %q", d.Path, more)
		}
		if more = ""; d.More {
			more = d.Path
		}
		if d.Self != nil {
			add(&got, *d.Self)
		}
		for _, file := range d.Files {
			add(&got, file)
			if !file.IsStored() {
				t.Errorf("%q is %v", file.Path, file.State)
			}
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" || more != "" {
		t.Fatalf("current: -want +got (more %q)\n%s", more, diff)
	}
}

func sameTotals(t *rapid.T, f *fixture, m *model) {
	want := f.tree
	for _, s := range m.slots() {
		v := m.current(s)
		switch {
		case v == nil:
		case v.Kind == firn.Directory:
			want.Dirs++
		case v.Kind == firn.Symlink:
			want.Links++
		default:
			want.Files++
			want.Bytes += v.Content.Size
		}
	}
	got, err := f.Tree(t.Context(), f.store.ID, f.tree.Name)
	check(t, err)
	if got != want {
		t.Fatalf("totals %+v, want %+v", got, want)
	}
}

// TestOrder writes the order of a walk out, for entries that paths alone
// would sort otherwise.
func TestOrder(t *testing.T) {
	f := newFixture(t)
	f.record(t, f.run, directory(""), directory("a"), directory("a/x"), symlink("a b", "t"), symlink("a/b", "t"), symlink("a.b", "t"),
		symlink("\x01", "t"), symlink("\xff", "t"), symlink("a/x/\n", "t"), directory("a\x01"), directory("A"))
	var got [][]byte
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID}) {
		check(t, err)
		got = append(got, []byte(e.Path))
	}
	want := "|\x01|a b|a.b|\xff|A|a|a/b|a/x|a/x/\n|a\x01"
	if !bytes.Equal(bytes.Join(got, []byte("|")), []byte(want)) {
		t.Errorf("got  %q\nwant %q", bytes.Join(got, []byte("|")), want)
	}
}
