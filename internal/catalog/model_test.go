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
	bundle       *modelBundle // nil: it has no content, or in an archive that is stored
}

// A modelBundle is an archive whose outcome may be open.
type modelBundle struct {
	intent catalog.Intent
	state  catalog.State
}

// state is that of the archive that the version is in.
func (v *modelVersion) state() catalog.State {
	switch {
	case v.Content.Size == 0:
		return catalog.NoArchive
	case v.bundle == nil:
		return catalog.Stored
	}
	return v.bundle.state
}

// counts reports whether the store has the version.
func (v *modelVersion) counts() bool { return v.bundle == nil || v.bundle.state == catalog.Stored }

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
		old.Change, old.bundle = ch, nil
		return
	}
	m.put(s, old, ch, nil)
}

// recordBundled records what is in a bundle whose outcome is open. It reports
// false where that is refused: what this run recorded and may yet count isn't
// replaced by what may never do.
func (m *model) recordBundled(b *modelBundle, ch catalog.Change) bool {
	if ch.Content.Size == 0 {
		m.record(ch)
		return true
	}
	s := slotOf(ch)
	old := m.current(s)
	if old != nil {
		dropped := old.bundle != nil && old.bundle.state == catalog.Dropped
		switch same := sameVersion(old.Change, ch); {
		case same && old.counts():
			old.Change = ch
			return true
		case same && dropped:
			old.Change, old.bundle = ch, b
			return true
		case old.since == m.run && !dropped:
			return false
		}
	}
	m.put(s, old, ch, b)
	return true
}

// put makes ch the current version of a slot.
func (m *model) put(s slot, old *modelVersion, ch catalog.Change, b *modelBundle) {
	if old == nil {
		if ch.Kind == firn.Directory {
			m.remove(slotOf(catalog.Change{File: firn.File{Path: ch.Path}}))
		} else {
			m.removePath(ch.Path, true)
		}
	}
	m.remove(s)
	m.entries[s] = append(m.entries[s], modelVersion{Change: ch, since: m.run, bundle: b})
}

// retire forgets a version that is not current, unless it may be the only one
// that counts.
func (m *model) retire(s slot, since int64) bool {
	i := slices.IndexFunc(m.entries[s], func(v modelVersion) bool { return v.since == since && v.until != 0 })
	if now := m.current(s); i < 0 || now != nil && !now.counts() {
		return false
	}
	m.entries[s] = slices.Delete(m.entries[s], i, i+1)
	return true
}

// clone copies the model, so that a refused call can be taken back.
func (m *model) clone() *model {
	c := &model{entries: map[slot][]modelVersion{}, run: m.run}
	for s, versions := range m.entries {
		c.entries[s] = slices.Clone(versions)
	}
	return c
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
				lines = append(lines, line(firn.File{Path: child, Kind: firn.Directory}, firn.Content{}, 0, 0, false)+" true")
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
	at := q.At
	if at == 0 {
		at = 1 << 62
	}
	for i, v := range slices.Backward(all) {
		removed := v.until != 0 && (i == len(all)-1 || all[i+1].since != v.until)
		text := line(v.File, v.Content, v.since, v.until, removed) + fmt.Sprint(" ", v.counts())
		switch {
		case q.All:
			lines = append(lines, text)
		case v.since > at: // it was not there yet
		case removed && v.until <= at:
			return nil
		case v.counts():
			return []string{text}
		}
	}
	slices.Reverse(lines)
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
		var open []*modelBundle
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
			"bundle": func(rt *rapid.T) {
				changes := rapid.SliceOfN(rapid.Custom(genChange), 1, 4).Draw(rt, "changes")
				b := &modelBundle{newBundle(), catalog.Intended}
				after, ok := m.clone(), true
				for _, ch := range changes {
					ok = ok && after.recordBundled(b, ch)
				}
				err := f.IntendBundle(t.Context(), &b.intent, f.run, bundled(changes...))
				if ok != (err == nil) || !ok && firn.KindOf(err) != firn.Conflict {
					rt.Fatalf("it should work: %v; error %v", ok, err)
				}
				if ok {
					m.entries, open = after.entries, append(open, b)
				}
			},
			"settle": func(rt *rapid.T) {
				if len(open) == 0 {
					rt.Skip("no bundle is open")
				}
				i := rapid.IntRange(0, len(open)-1).Draw(rt, "bundle")
				b := open[i]
				open = slices.Delete(open, i, i+1)
				if rapid.Bool().Draw(rt, "stored") {
					b.state = catalog.Stored
					f.stored(t, f.run, b.intent)
				} else {
					b.state = catalog.Dropped
					check(rt, f.Drop(t.Context(), b.intent.ID, "no reason"))
				}
			},
			"retire": func(rt *rapid.T) {
				q := catalog.ListQuery{Tree: f.tree.ID, All: true, Path: rapid.OneOf(rapid.Custom(genPath), rapid.Just("")).Draw(rt, "path")}
				var all []catalog.Entry
				want := 0
				for e, err := range f.Files(t.Context(), q) {
					check(rt, err)
					if !rapid.Bool().Draw(rt, "this one") {
						continue
					}
					all = append(all, e)
					if m.retire(slotOf(catalog.Change{File: e.File}), e.Run) {
						want++
					}
				}
				n, err := f.Retire(t.Context(), f.run, catalog.Retirement{}, all)
				check(rt, err)
				if n != want {
					rt.Fatalf("%d versions forgotten, want %d", n, want)
				}
			},
			"delete": func(rt *rapid.T) {
				for _, d := range f.queue(t) {
					check(rt, f.DeletionAsked(t.Context(), d.Archive))
					check(rt, f.MarkDeleted(t.Context(), f.run, d.Archive))
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
		if e.Content.Size > 0 != (e.Location.State != catalog.NoArchive) {
			t.Errorf("%q is %v", e.Path, e.Location.State)
		}
		counts := e.Location.State == catalog.Stored || e.Location.State == catalog.NoArchive
		got = append(got, line(e.File, e.Content, e.Run, e.Until, e.Removed)+fmt.Sprint(" ", counts))
	}
	if diff := gocmp.Diff(m.list(q), got); diff != "" {
		t.Fatalf("list %+v: -want +got\n%s", q, diff)
	}
}

func sameCurrent(t *rapid.T, f *fixture, m *model) {
	var want, got []string
	add := func(to *[]string, f catalog.CurrentFile) {
		*to = append(*to, line(f.File, f.Content, f.Run, 0, false)+fmt.Sprint(f.Stamp.Inode, f.Stamp.Changed.UTC(), f.Read.UTC(), f.Links, f.State))
	}
	for _, s := range m.slots() {
		if v := m.current(s); v != nil {
			add(&want, catalog.CurrentFile{File: v.File, Content: v.Content, Read: v.Read, Run: v.since, State: v.state()})
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
