package catalog_test

import (
	"context"
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// bundled makes members of changes: each content has a number of its own.
func bundled(changes ...catalog.Change) (members []catalog.Member) {
	next := int64(0)
	for _, ch := range changes {
		m := catalog.Member{Change: ch, Number: -1}
		if ch.Content.Size > 0 {
			m.Number, m.Offset = next, 512+1024*next
			next++
		}
		members = append(members, m)
	}
	return members
}

// newBundle is the intent of a bundle in a spool file.
func newBundle() catalog.Intent {
	return catalog.Intent{
		Token: firn.NewToken(), Kind: catalog.BundleArchive, Description: "some bundle", Size: 1 << 30,
		Spool: "/spool/\xff", File: firn.File{Stamp: firn.Stamp{Size: 1 << 30, ModTime: epoch, Changed: epoch, Inode: 5}},
	}
}

// intendBundle records a bundle of members.
func (f *fixture) intendBundle(tb testing.TB, run catalog.Run, members ...catalog.Member) catalog.Intent {
	tb.Helper()
	in := newBundle()
	check(tb, f.IntendBundle(tb.Context(), &in, run, members))
	return in
}

// stored says that a bundle is stored.
func (f *fixture) stored(tb testing.TB, run catalog.Run, in catalog.Intent) {
	tb.Helper()
	archive := firn.Archive{ID: firn.ArchiveID("archive-" + in.Token.String()), Size: in.Size, Tree: treehash.Sum([]byte(in.Token.String())), Created: epoch}
	check(tb, f.Stored(tb.Context(), in.ID, archive, run, nil))
}

// states gives the current entries with the states of their archives.
func (f *fixture) states(tb testing.TB) string {
	tb.Helper()
	out := ""
	for d, err := range f.Current(tb.Context(), f.tree.ID) {
		check(tb, err)
		for _, file := range d.Files {
			out += fmt.Sprintf("%s@%d %v, ", file.Path, file.Run, file.State)
		}
	}
	return out
}

func TestBundle(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.upload(t, f.run, regular("d/changed", "before"))
	run := f.begin(t)
	members := bundled(directory("d"), regular("d/changed", "after"), regular("d/empty", ""), symlink("d/link", "x"), regular("d/new", "new"))
	twin := members[4]
	twin.Path = "d/twin"
	want := f.intendBundle(t, run, append(members, twin)...)

	want.Kind, want.State = catalog.BundleArchive, catalog.Intended
	if diff := gocmp.Diff([]catalog.Intent{want}, f.openIntents(t)); diff != "" {
		t.Error(diff)
	}
	if want.Store != f.store.ID || want.Tree != f.tree.ID || want.Run != run.ID {
		t.Errorf("intent of store %d, tree %d, run %d", want.Store, want.Tree, want.Run)
	}
	if got, want := f.states(t), "d/changed@2 intended, d/empty@2 none, d/link@2 none, d/new@2 intended, d/twin@2 intended, "; got != want {
		t.Errorf("on its way: %s, want %s", got, want)
	}
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID}), "d@2 d/changed@1 d/empty@2 d/link@2"; got != want {
		t.Errorf("on its way: %s, want %s", got, want)
	}
	if _, ok, err := f.FindContent(ctx, f.store.ID, content("new")); ok || err != nil {
		t.Errorf("content is found before it is stored: %v", err)
	}
	checkInvariants(t, f.Catalog)

	f.stored(t, run, want)
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID}), "d@2 d/changed@2 d/empty@2 d/link@2 d/new@2 d/twin@2"; got != want {
		t.Errorf("stored: %s, want %s", got, want)
	}
	for e, err := range f.Files(ctx, catalog.ListQuery{Tree: f.tree.ID, Path: "d/twin"}) {
		check(t, err)
		l := e.Location
		if l.Archive != want.ID || l.Member != 1 || l.Offset != members[4].Offset || l.Size != 1<<30 || l.Kind != catalog.BundleArchive || e.Content != content("new") {
			t.Errorf("%+v", e)
		}
	}
	if loc, ok, err := f.FindContent(ctx, f.store.ID, content("new")); !ok || err != nil || loc.Archive != want.ID || loc.Offset != members[4].Offset {
		t.Errorf("content is at %+v, %v, %v", loc, ok, err)
	}
	checkInvariants(t, f.Catalog)
}

// TestBundleOfOne is read straight from the file that it holds.
func TestBundleOfOne(t *testing.T) {
	f := newFixture(t)
	ch := regular("odd\nname", "content")
	in := newBundle()
	in.Spool, in.File = "", ch.File
	check(t, f.IntendBundle(t.Context(), &in, f.run, bundled(ch)))
	if diff := gocmp.Diff([]catalog.Intent{in}, f.openIntents(t)); diff != "" {
		t.Error(diff)
	}
}

// TestSealedBundle keeps the key until the archive is stored, and the header
// for good.
func TestSealedBundle(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	run := f.run
	run.Recipients = catalog.Recipients{1, 2, 3}
	for _, stored := range []bool{true, false} {
		in := newBundle()
		in.Seal = &catalog.Sealing{Header: []byte("age"), Recipients: run.Recipients, FileKey: [16]byte{4}, Nonce: [16]byte{5}}
		check(t, f.IntendBundle(ctx, &in, run, bundled(regular(fmt.Sprint(stored), "one"))))
		if diff := gocmp.Diff([]catalog.Intent{in}, f.openIntents(t)); diff != "" {
			t.Error(diff)
		}
		header, sealed := "", catalog.Recipients{}
		if stored {
			f.stored(t, run, in)
			header, sealed = "age", run.Recipients
		} else {
			check(t, f.Drop(ctx, in.ID, "no reason"))
		}
		got, who, err := f.Header(ctx, in.ID)
		if string(got) != header || who != sealed || err != nil {
			t.Errorf("stored %v: header %q for %v, %v", stored, got, who, err)
		}
		rows, err := f.Query(ctx, "SELECT * FROM intent")
		check(t, err)
		if len(rows) != 0 {
			t.Error("the key is still there")
		}
	}
}

// TestSealedContentIsShared only among archives of the same recipients.
func TestSealedContentIsShared(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	everybody := []catalog.Recipients{{}, {1}, {2}}
	for i, who := range everybody[:2] {
		in, run := newBundle(), f.run
		run.Recipients = who
		if i > 0 {
			in.Seal = &catalog.Sealing{Header: []byte("age"), Recipients: who}
		}
		check(t, f.IntendBundle(ctx, &in, run, bundled(regular(fmt.Sprint(i), "one"))))
		f.stored(t, run, in)
	}
	var places []int64
	for i, who := range everybody {
		found, err := f.FindContents(ctx, f.store.ID, who, []firn.Content{content("none"), content("one")})
		check(t, err)
		if found[0].Archive != 0 || (found[1].Archive != 0) != (i < 2) {
			t.Errorf("recipients %d: %+v", i, found)
		}
		run := f.begin(t)
		run.Recipients = who
		path := fmt.Sprintf("copy %d", i)
		_, err = f.Record(ctx, run, []catalog.Change{regular(path, "one")})
		if i == 2 {
			wantKind(t, err, firn.NotFound, path)
			continue
		}
		check(t, err)
		copied, err := f.History(ctx, f.tree.ID, path)
		check(t, err)
		if copied[0].Location.Archive != found[1].Archive {
			t.Errorf("recipients %d: recorded in %d, found in %d", i, copied[0].Location.Archive, found[1].Archive)
		}
		places = append(places, found[1].Archive)
	}
	if places[0] == places[1] {
		t.Error("sealed and unsealed content is in one archive")
	}
}

// TestVersionsOnTheirWay: until a bundle is stored, and if it never is, the
// versions before count.
func TestVersionsOnTheirWay(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.upload(t, f.run, regular("changed", "one"))
	second := f.begin(t)
	f.intendBundle(t, second, bundled(regular("changed", "two"), regular("new", "two"))...)
	third := f.begin(t)
	in := f.intendBundle(t, third, bundled(regular("changed", "three"))...)
	check(t, f.Drop(ctx, in.ID, "its spool is gone"))

	for _, c := range []struct {
		q    catalog.ListQuery
		want string
	}{
		{catalog.ListQuery{}, "changed@1"},
		{catalog.ListQuery{At: third.ID}, "changed@1"},
		{catalog.ListQuery{At: second.ID}, "changed@1"},
		{catalog.ListQuery{At: f.run.ID}, "changed@1"},
		{catalog.ListQuery{Path: "changed"}, "changed@1"},
		{catalog.ListQuery{Path: "new"}, ""},
		{catalog.ListQuery{All: true}, "changed@1 changed@2 changed@3 new@2"},
	} {
		c.q.Tree = f.tree.ID
		if got := f.list(t, c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	if got, want := f.states(t), "changed@3 dropped, new@2 intended, "; got != want {
		t.Errorf("current: %s, want %s", got, want)
	}
	if _, ok, _ := f.FindContent(ctx, f.store.ID, content("three")); ok {
		t.Error("found what never was stored")
	}

	// What was removed stays so, though its replacement never came.
	fourth := f.begin(t)
	_, err := f.Remove(ctx, fourth, []string{"changed"})
	check(t, err)
	for at, want := range map[int64]string{0: "", fourth.ID: "", third.ID: "changed@1"} {
		if got := f.list(t, catalog.ListQuery{Tree: f.tree.ID, Path: "changed", At: at}); got != want {
			t.Errorf("removed, at %d: %s, want %s", at, got, want)
		}
	}
	checkInvariants(t, f.Catalog)
}

// TestBundleOverWhatIsThere bundles a file whose current version is in one
// state or another, in the same run or the next.
func TestBundleOverWhatIsThere(t *testing.T) {
	stored := func(t *testing.T, f *fixture, text string) {
		f.stored(t, f.run, f.intendBundle(t, f.run, bundled(regular("f", text))...))
	}
	pending := func(t *testing.T, f *fixture, text string) { f.intendBundle(t, f.run, bundled(regular("f", text))...) }
	dropped := func(t *testing.T, f *fixture, text string) {
		in := f.intendBundle(t, f.run, bundled(regular("f", text))...)
		check(t, f.Drop(t.Context(), in.ID, "its spool is gone"))
	}
	lost := func(t *testing.T, f *fixture, text string) {
		in := f.intendBundle(t, f.run, bundled(regular("f", text))...)
		f.stored(t, f.run, in)
		check(t, f.MarkLost(t.Context(), f.run, []int64{in.ID}))
	}
	empty := func(t *testing.T, f *fixture, _ string) { f.record(t, f.run, regular("f", "")) }
	for _, c := range []struct {
		name    string
		before  func(*testing.T, *fixture, string)
		text    string // of the file before; "new" is what is bundled then
		sameRun bool
		want    string // the current version; "": it is refused
	}{
		{"the same, stored", stored, "new", false, "f@1 stored, "},
		{"the same, stored in this run", stored, "new", true, "f@1 stored, "},
		{"the same, on its way", pending, "new", false, "f@2 intended, "},
		{"the same, on its way in this run", pending, "new", true, ""},
		{"the same, dropped", dropped, "new", false, "f@1 intended, "},
		{"the same, dropped in this run", dropped, "new", true, "f@1 intended, "},
		{"the same, lost", lost, "new", false, "f@2 intended, "},
		{"another, stored", stored, "old", false, "f@2 intended, "},
		{"another, stored in this run", stored, "old", true, ""},
		{"another, on its way", pending, "old", false, "f@2 intended, "},
		{"another, on its way in this run", pending, "old", true, ""},
		{"another, dropped", dropped, "old", false, "f@2 intended, "},
		{"another, dropped in this run", dropped, "old", true, "f@1 intended, "},
		{"empty", empty, "", false, "f@2 intended, "},
		{"empty in this run", empty, "", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			c.before(t, f, c.text)
			run := f.run
			if !c.sameRun {
				run = f.begin(t)
			}
			in := newBundle()
			err := f.IntendBundle(t.Context(), &in, run, bundled(regular("f", "new")))
			if c.want == "" {
				wantKind(t, err, firn.Conflict, "f")
				if n, _ := f.Query(t.Context(), "SELECT * FROM archive WHERE token = ?", in.Token[:]); len(n) != 0 {
					t.Error("a refused bundle left something")
				}
				return
			}
			check(t, err)
			if got := f.states(t); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			checkInvariants(t, f.Catalog)
		})
	}
}

// TestBundleOverOtherKinds: a file where a directory was, and the other way
// round, also within one bundle.
func TestBundleOverOtherKinds(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	f.record(t, f.run, directory("x"), regular("x/f", "one"), regular("y", "one"))
	run := f.begin(t)
	in := f.intendBundle(t, run, bundled(regular("x", "1"), directory("y"), regular("y/f", "2"),
		directory("z"), regular("z/f", "3"), symlink("z", "t"))...)
	f.stored(t, run, in)
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID}), "x@3 z@3 y@3 y/f@3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID, At: 1}), "y@1 x@1 x/f@1"; got != want {
		t.Errorf("before: %s, want %s", got, want)
	}
	checkInvariants(t, f.Catalog)
}

func TestBundleRefuses(t *testing.T) {
	f := newFixture(t)
	later := f.begin(t)
	f.record(t, later, directory("later"))
	good := bundled(regular("good", "one"))[0]
	member := func(number, offset int64, ch catalog.Change) catalog.Member {
		return catalog.Member{Change: ch, Number: number, Offset: offset}
	}
	unhashed := regular("unhashed", "one")
	unhashed.Content.Tree = treehash.Hash{}
	for _, c := range []struct {
		member catalog.Member
		kind   firn.Kind
	}{
		{member(-1, 0, regular("numberless", "one")), firn.Invalid},
		{member(1, 0, regular("empty", "")), firn.Invalid},
		{member(1, 0, directory("dir")), firn.Invalid},
		{member(1, -1, regular("early", "one")), firn.Invalid},
		{member(1, 1<<30-2, regular("beyond", "one")), firn.Invalid},
		{member(0, 512, regular("other content", "two")), firn.Invalid},
		{member(0, 513, regular("other offset", "one")), firn.Invalid},
		{member(1, 0, unhashed), firn.Invalid},
		{member(1, 0, regular("../x", "one")), firn.Invalid},
		{member(1, 0, regular("good", "one")), firn.Conflict},
		{member(-1, 0, symlink("later", "x")), firn.Conflict},
	} {
		in := newBundle()
		err := f.IntendBundle(t.Context(), &in, f.run, []catalog.Member{good, c.member})
		wantKind(t, err, c.kind, "")
	}
	for name, change := range map[string]func(*catalog.Intent){
		"token":      func(in *catalog.Intent) { in.Token = firn.Token{} },
		"kind":       func(in *catalog.Intent) { in.Kind = catalog.FileArchive },
		"recipients": func(in *catalog.Intent) { in.Seal = &catalog.Sealing{Header: []byte("x"), Recipients: [32]byte{1}} },
		"header":     func(in *catalog.Intent) { in.Seal = &catalog.Sealing{Recipients: [32]byte{1}} },
	} {
		in := newBundle()
		change(&in)
		wantKind(t, f.IntendBundle(t.Context(), &in, f.run, []catalog.Member{good}), firn.Invalid, name)
	}
	if n := len(f.openIntents(t)); n != 0 {
		t.Errorf("%d intents are left", n)
	}
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID, All: true}), "later@2"; got != want {
		t.Errorf("%s is left, want %s", got, want)
	}
}

// TestLinkGroup: which files are hard links of one is part of a version.
func TestLinkGroup(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	ch := regular("f", "one")
	f.record(t, f.run, ch)
	ch.LinkGroup = 1 << 40
	for range 2 {
		f.record(t, f.begin(t), ch)
	}
	all, err := f.History(context.Background(), f.tree.ID, "f")
	check(t, err)
	if len(all) != 2 || all[0].LinkGroup != 0 || all[1].LinkGroup != 1<<40 {
		t.Errorf("%+v", all)
	}
	for d, err := range f.Current(t.Context(), f.tree.ID) {
		check(t, err)
		if d.Files[0].LinkGroup != 1<<40 {
			t.Errorf("%+v", d.Files[0])
		}
	}
}
