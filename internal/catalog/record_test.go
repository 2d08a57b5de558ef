package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestWhatMakesAVersion changes one thing of a file at a time.
func TestWhatMakesAVersion(t *testing.T) {
	for _, c := range []struct {
		what    string
		change  func(*catalog.Change)
		version bool
	}{
		{"nothing", func(*catalog.Change) {}, false},
		{"ctime", func(ch *catalog.Change) { ch.Stamp.Changed = ch.Stamp.Changed.Add(1) }, false},
		{"inode", func(ch *catalog.Change) { ch.Stamp.Inode++ }, false},
		{"links", func(ch *catalog.Change) { ch.Links++ }, false},
		{"time of reading", func(ch *catalog.Change) { ch.Read = ch.Read.Add(1) }, false},
		{"mtime", func(ch *catalog.Change) { ch.Stamp.ModTime = ch.Stamp.ModTime.Add(1) }, true},
		{"mode", func(ch *catalog.Change) { ch.Mode = 0o600 }, true},
		{"owner", func(ch *catalog.Change) { ch.UID = -1 }, true},
		{"group", func(ch *catalog.Change) { ch.GID++ }, true},
		{"content", func(ch *catalog.Change) { ch.Content = content("two") }, true},
		{"kind", func(ch *catalog.Change) { *ch = symlink(ch.Path, "x") }, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := newFixture(t)
			f.seed(t)
			before := regular("f", "one")
			f.record(t, f.run, before)
			after := before
			c.change(&after)
			run := f.begin(t)
			done := f.record(t, run, after)
			versions, err := f.History(t.Context(), f.tree.ID, "f")
			check(t, err)
			if c.version != (len(versions) == 2) || c.version != (done.Versions == 1) || c.version == (done.Touched == 1) {
				t.Errorf("%d versions, %+v", len(versions), done)
			}
			for d, err := range f.Current(t.Context(), f.tree.ID) {
				check(t, err)
				got := d.Files[0]
				if !got.Stamp.Equal(after.Stamp) || got.Links != after.Links || !got.Read.Equal(after.Read) || got.Content != after.Content {
					t.Errorf("current is %+v, want %+v", got, after)
				}
			}
		})
	}
}

func TestLinkTargetMakesAVersion(t *testing.T) {
	f := newFixture(t)
	f.record(t, f.run, symlink("l", "a"))
	if done := f.record(t, f.begin(t), symlink("l", "b")); done.Versions != 1 {
		t.Errorf("%+v", done)
	}
}

// TestRecordOfLostContent: that the file has it recorded doesn't mean that the
// store has it.
func TestRecordOfLostContent(t *testing.T) {
	f := newFixture(t)
	ch := regular("f", "content")
	f.upload(t, f.run, ch)
	loc, _, err := f.FindContent(t.Context(), f.store.ID, ch.Content)
	check(t, err)
	check(t, f.MarkLost(t.Context(), f.run, []int64{loc.Archive}))
	ch.Mode = 0o600
	_, err = f.Record(t.Context(), f.begin(t), []catalog.Change{ch})
	wantKind(t, err, firn.NotFound, ch.Content.Tree.String())

	// Another copy will do.
	f.upload(t, f.run, regular("copy", "content"))
	f.record(t, f.begin(t), ch)
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID, Path: "f"}) {
		check(t, err)
		if e.Location.State != catalog.Stored || e.Mode != 0o600 {
			t.Errorf("%+v", e)
		}
	}
}

// TestDirectorySize: file systems count a directory's size as they like.
func TestDirectorySize(t *testing.T) {
	f := newFixture(t)
	dir := directory("d")
	f.record(t, f.run, dir)
	dir.Stamp.Size = 8192
	if done := f.record(t, f.begin(t), dir); done.Versions != 0 {
		t.Errorf("%+v", done)
	}
	for d, err := range f.Current(t.Context(), f.tree.ID) {
		check(t, err)
		if d.Self.Stamp.Size != 8192 {
			t.Errorf("size %d", d.Self.Stamp.Size)
		}
	}
}

func TestRecordRefuses(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	good := regular("good", "one")
	unhashed := regular("unhashed", "one")
	unhashed.Content.Tree = [32]byte{}
	grown := regular("grown", "one")
	grown.Stamp.Size++
	odd := directory("odd")
	odd.Kind = "socket"
	for _, c := range []struct {
		change catalog.Change
		kind   firn.Kind
	}{
		{regular("unknown", "never stored"), firn.NotFound},
		{unhashed, firn.Invalid},
		{grown, firn.Invalid},
		{odd, firn.Invalid},
		{regular("", "one"), firn.Invalid},
		{directory("/absolute"), firn.Invalid},
		{directory("trailing/"), firn.Invalid},
		{directory("a//b"), firn.Invalid},
		{directory("a/../b"), firn.Invalid},
		{directory("."), firn.Invalid},
		{symlink("nul\x00byte", "x"), firn.Invalid},
	} {
		_, err := f.Record(t.Context(), f.run, []catalog.Change{good, c.change})
		wantKind(t, err, c.kind, "")
		if got := f.list(t, catalog.ListQuery{Tree: f.tree.ID}); got != "" {
			t.Errorf("after %q was refused: %s", c.change.Path, got)
		}
	}
}

func TestOlderRunDoesNotOverwrite(t *testing.T) {
	f := newFixture(t)
	later := f.begin(t)
	f.record(t, later, directory("d"))
	other := directory("d")
	other.Mode = 0
	_, err := f.Record(t.Context(), f.run, []catalog.Change{other})
	wantKind(t, err, firn.Conflict, "d")
	_, err = f.Record(t.Context(), f.run, []catalog.Change{symlink("d", "x")})
	wantKind(t, err, firn.Conflict, "d")
	_, err = f.Remove(t.Context(), f.run, []string{"d"})
	check(t, err)
	if got := f.list(t, catalog.ListQuery{Tree: f.tree.ID}); got != fmt.Sprintf("d@%d", later.ID) {
		t.Errorf("left: %s", got)
	}
}

func TestRemoveCounts(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	f.SetSizes(4096, 3, 100)
	f.record(t, f.run, directory(""), directory("d"), directory("d/e"))
	for i := range 10 {
		f.record(t, f.run, regular(fmt.Sprintf("d/e/%d", i), "three"))
	}
	f.record(t, f.run, regular("d2", "one"), symlink("d/l", "x"))
	run := f.begin(t)
	gone, err := f.Remove(t.Context(), run, []string{"none", "d", "none/at all"})
	check(t, err)
	if want := (firn.Count{Files: 10, Bytes: 50}); gone != want {
		t.Errorf("removed %+v, want %+v", gone, want)
	}
	if got := f.list(t, catalog.ListQuery{Tree: f.tree.ID}); got != fmt.Sprintf("@%d d2@%d", f.run.ID, f.run.ID) {
		t.Errorf("left: %s", got)
	}
	old, err := f.History(t.Context(), f.tree.ID, "d/e/7")
	check(t, err)
	if len(old) != 1 || !old[0].Removed || old[0].Until != run.ID || old[0].Location.State != catalog.Stored {
		t.Errorf("history: %+v", old)
	}
}

// TestKindChanges: a file where a directory was, and the other way round.
func TestKindChanges(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	f.record(t, f.run, directory("x"), regular("x/f", "one"), directory("x/sub"), regular("x/sub/g", "two"))
	second := f.begin(t)
	f.record(t, second, regular("x", "three"))
	third := f.begin(t)
	f.record(t, third, directory("x"))
	for _, c := range []struct {
		at   int64
		want string
	}{
		{1, "x@1 x/f@1 x/sub@1 x/sub/g@1"}, {second.ID, "x@3"}, {third.ID, "x@4"}, {0, "x@4"},
	} {
		if got := f.list(t, catalog.ListQuery{Tree: f.tree.ID, At: c.at}); got != c.want {
			t.Errorf("at %d: %s, want %s", c.at, got, c.want)
		}
	}
	all, err := f.History(t.Context(), f.tree.ID, "x")
	check(t, err)
	if len(all) != 3 || all[0].Kind != firn.Regular || !all[0].Removed || all[1].Kind != firn.Directory || !all[1].Removed || all[2].Removed {
		t.Errorf("history: %+v", all)
	}
}

func TestTimesBeyondNanoseconds(t *testing.T) {
	f := newFixture(t)
	var want []time.Time
	for i, year := range []int{1, 1000, 1601, 1969, 2262, 2263, 9999} {
		ch := symlink(fmt.Sprint(i), "x")
		ch.Stamp.ModTime = time.Date(year, 12, 31, 23, 59, 59, 999999999, time.UTC)
		f.record(t, f.run, ch)
		want = append(want, ch.Stamp.ModTime)
	}
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID}) {
		check(t, err)
		if !e.Stamp.ModTime.Equal(want[0]) {
			t.Errorf("%v became %v", want[0], e.Stamp.ModTime)
		}
		want = want[1:]
	}
}

// TestRemoveKeepsWhatTheRunRecorded: a path changes its kind, and that the old
// entry is gone is said after the new one is recorded.
func TestRemoveKeepsWhatTheRunRecorded(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	f.SetSizes(4096, 2, 100)
	f.record(t, f.run, directory("x"), regular("x/a", "one"), regular("x/b", "one"), regular("x/c", "one"), regular("y", "one"))
	run := f.begin(t)
	f.record(t, run, regular("x", "two"), directory("y"), regular("y/a", "one"), regular("y/b", "one"), regular("y/c", "one"))
	_, err := f.Remove(t.Context(), run, []string{"y", "x", "x/a", "x/b", "x/c"})
	check(t, err)
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID}), "x@3 y@3 y/a@3 y/b@3 y/c@3"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	checkInvariants(t, f.Catalog)
}

// TestEmptyFiles have content without being stored, whatever hash they come
// with.
func TestEmptyFiles(t *testing.T) {
	f := newFixture(t)
	hashless := regular("a", "")
	hashless.Content = firn.Content{}
	f.record(t, f.run, hashless, regular("b", ""))
	for d, err := range f.Current(t.Context(), f.tree.ID) {
		check(t, err)
		for _, file := range d.Files {
			if file.Content != content("") || !file.IsStored() {
				t.Errorf("%+v", file)
			}
		}
	}
}

func TestMount(t *testing.T) {
	f := newFixture(t)
	dir := directory("mnt")
	for _, mount := range []bool{true, false} {
		dir.Mount = mount
		f.record(t, f.run, dir)
		for d, err := range f.Current(t.Context(), f.tree.ID) {
			check(t, err)
			if d.Self.Mount != mount {
				t.Errorf("mount is %v, want %v", d.Self.Mount, mount)
			}
		}
	}
}
