package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// found is an archive of another program that holds one file.
func found(path, text string, created time.Time) catalog.Find {
	c := content(text)
	return catalog.Find{
		Archive: firn.Archive{ID: firn.ArchiveID("found " + text), Description: "words", Created: created, Size: c.Size, Tree: c.Tree},
		Kind:    catalog.ForeignArchive, Format: "mt2",
		Members: []catalog.FoundMember{{
			Tree:    "theirs",
			File:    firn.File{Path: path, Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1, Stamp: firn.Stamp{Size: c.Size, ModTime: created.Add(-time.Hour)}},
			Content: c,
		}},
	}
}

func (f *fixture) takeIn(tb testing.TB, finds ...catalog.Find) catalog.TakenIn {
	tb.Helper()
	done, err := f.TakeIn(tb.Context(), catalog.Run{ID: f.run.ID, Store: f.store.ID}, finds)
	check(tb, err)
	return done
}

// history gives the contents' hashes of a path, the oldest first, with a + at
// the current one.
func (f *fixture) texts(tb testing.TB, tree int64, path string, texts ...string) (order []string) {
	tb.Helper()
	versions, err := f.History(tb.Context(), tree, path)
	check(tb, err)
	for i, v := range versions {
		name := "?"
		for _, text := range texts {
			if v.Content == content(text) {
				name = text
			}
		}
		if v.Until == 0 {
			name += "+"
		} else if i+1 < len(versions) && v.Until != versions[i+1].Run {
			name += "!" // a gap
		}
		order = append(order, name)
	}
	return order
}

// TestFoundInTheOrderOfTime takes in versions of one path in all kinds of
// order, several of an hour and of a second among them.
func TestFoundInTheOrderOfTime(t *testing.T) {
	base := time.Date(2013, 7, 1, 10, 0, 0, 0, time.UTC)
	times := map[string]time.Time{
		"a": base.Add(-24 * time.Hour), "b": base, "c": base.Add(time.Minute), "d": base.Add(2 * time.Minute), "e": base.Add(59 * time.Minute), "f": base.Add(100 * time.Hour),
	}
	names := []string{"a", "b", "c", "d", "e", "f"}
	for seed := range uint64(40) {
		order := slices.Clone(names)
		random := rand.New(rand.NewPCG(seed, 1))
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		f := newFixture(t)
		var batch []catalog.Find
		for _, name := range order {
			batch = append(batch, found("dir/file", name, times[name]))
			if random.IntN(2) == 0 {
				f.takeIn(t, batch...)
				batch = nil
			}
		}
		f.takeIn(t, batch...)
		tree, err := f.Tree(t.Context(), f.store.ID, "theirs")
		check(t, err)
		if diff := cmp.Diff([]string{"a", "b", "c", "d", "e", "f+"}, f.texts(t, tree.ID, "dir/file", names...)); diff != "" {
			t.Fatalf("taken in as %v (-want +got):\n%s", order, diff)
		}
		if tree.Files != 1 || tree.Bytes != 1 || tree.IsBound() {
			t.Errorf("%+v", tree)
		}
	}
}

func TestFoundAtTheSameSecond(t *testing.T) {
	f := newFixture(t)
	now := epoch.Add(-time.Hour)
	f.takeIn(t, found("x", "one", now), found("x", "two", now), found("x", "three", now))
	tree, err := f.Tree(t.Context(), f.store.ID, "theirs")
	check(t, err)
	if got := f.texts(t, tree.ID, "x", "one", "two", "three"); len(got) != 3 || slices.Contains(got, "?") {
		t.Errorf("%v", got)
	}
}

// TestFoundTwice says the same again, in the same batch and in another.
func TestFoundTwice(t *testing.T) {
	f := newFixture(t)
	one := found("x", "one", epoch)
	if done := f.takeIn(t, one, one); done.Archives != 1 || done.Known != 1 || done.Versions != 1 {
		t.Errorf("%+v", done)
	}
	if done := f.takeIn(t, one); done.Archives != 0 || done.Known != 1 || done.Versions != 0 {
		t.Errorf("again: %+v", done)
	}
	stores, err := f.Stores(t.Context())
	check(t, err)
	if stores[0].Archives != 1 || stores[0].Bytes != 3 {
		t.Errorf("%+v", stores[0])
	}
}

// TestFoundNamesLater learns what an archive is after it was only known to be
// there.
func TestFoundNamesLater(t *testing.T) {
	f := newFixture(t)
	named := found("x", "one", epoch)
	named.Packed, named.Format = "gzip", "mt2"
	bare := named
	bare.Members, bare.Packed, bare.Format = nil, "", ""
	f.takeIn(t, bare)
	if stores, _ := f.Stores(t.Context()); stores[0].Archives != 0 {
		t.Errorf("a foreign archive counts as stored: %+v", stores[0])
	}
	if done := f.takeIn(t, named); done.Versions != 1 || done.Archives != 0 {
		t.Errorf("%+v", done)
	}
	loc, ok, err := f.FindContent(t.Context(), f.store.ID, content("one"))
	check(t, err)
	if !ok || loc.Remote != named.Archive.ID {
		t.Errorf("not found by its content: %+v", loc)
	}
	for k, err := range f.Kept(t.Context(), f.store.ID) {
		if check(t, err); !k.Packed {
			t.Errorf("how it is packed was not recorded: %+v", k)
		}
	}
}

// storeLoose records an archive of no tree, and gives it as a file that somebody says
// it is.
func (f *fixture) storeLoose(t *testing.T, id firn.ArchiveID, path string) catalog.Find {
	t.Helper()
	in := f.loose(t, f.run, path, "words of "+path)
	c := content("hello")
	archive := firn.Archive{ID: id, Description: in.Description, Size: c.Size, Tree: c.Tree, Created: epoch}
	check(t, f.Stored(t.Context(), in.ID, archive, f.run, nil))
	find := found(path, "hello", epoch)
	find.Archive = archive
	return find
}

// TestFoundLoose learns that archives which were stored by themselves are files, and
// counts none of them twice.
func TestFoundLoose(t *testing.T) {
	f := newFixture(t)
	file, foreign, other := f.storeLoose(t, "L1", "a"), f.storeLoose(t, "L2", "b"), f.storeLoose(t, "L3", "c")
	file.Kind = catalog.FileArchive
	other.Archive.Size++
	bare := foreign
	bare.Members = nil
	if done := f.takeIn(t, bare); done != (catalog.TakenIn{Known: 1}) {
		t.Errorf("of no file: %+v", done)
	}
	if done := f.takeIn(t, file, foreign, other); done != (catalog.TakenIn{Known: 1, Versions: 2}) {
		t.Errorf("%+v", done)
	}
	if done := f.takeIn(t, file, foreign); done != (catalog.TakenIn{Known: 2}) {
		t.Errorf("again: %+v", done)
	}
	want := []catalog.Holding{
		{Kind: catalog.FileArchive, Remote: "L1", Contents: 1},
		{Kind: catalog.ForeignArchive, Remote: "L2", Contents: 1, Description: "words of b"},
		{Kind: catalog.LooseArchive, Remote: "L3", Description: "words of c"},
	}
	for i, h := range f.holdings(t, f.store.ID) {
		if got := (catalog.Holding{Kind: h.Kind, Remote: h.Remote, Contents: h.Contents, Description: h.Description}); got != want[i] || h.State != catalog.Stored {
			t.Errorf("%+v, want %+v", h, want[i])
		}
	}
	tree, err := f.Tree(t.Context(), f.store.ID, "theirs")
	check(t, err)
	if got := f.texts(t, tree.ID, "a", "hello"); !slices.Equal(got, []string{"hello+"}) {
		t.Errorf("%v", got)
	}
	if stores, _ := f.Stores(t.Context()); stores[0].Archives != 3 || stores[0].Bytes != 15 {
		t.Errorf("%+v", stores[0])
	}
	if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
		t.Error(lines)
	}
}

// TestFoundLooseThatStay: what is encrypted, or about to go, is no file.
func TestFoundLooseThatStay(t *testing.T) {
	f := newFixture(t)
	going := f.storeLoose(t, "L1", "a")
	all := f.holdings(t, f.store.ID)
	check(t, f.Condemn(t.Context(), f.run, catalog.Retirement{}, []int64{all[0].ID}))
	c := content("hello")
	sealed := []catalog.Intent{{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: "words", Size: c.Size, TreeHash: c.Tree,
		Seal: &catalog.Sealing{Header: []byte("head"), Recipients: catalog.Recipients{7}}}}
	check(t, f.Intend(t.Context(), sealed))
	find := found("b", "hello", epoch)
	find.Archive.ID = "L2"
	check(t, f.Stored(t.Context(), sealed[0].ID, find.Archive, f.run, nil))
	if done := f.takeIn(t, going, find); done != (catalog.TakenIn{Known: 2}) {
		t.Errorf("%+v", done)
	}
	seen, err := f.Sight(t.Context(), f.store.ID, 0, []firn.ArchiveID{"L1", "L2"})
	check(t, err)
	for _, s := range seen {
		if s.Loose || s.State != catalog.Stored {
			t.Errorf("%+v", s)
		}
	}
}

// TestFoundUnderway leaves the archive of an upload in doubt to reconciliation.
func TestFoundUnderway(t *testing.T) {
	f := newFixture(t)
	in := f.intend(t, f.run, regular("x", "one"))
	find := found("x", "one", epoch)
	find.Token = in.Token
	if done := f.takeIn(t, find); done.Known != 1 || done.Versions != 0 {
		t.Errorf("%+v", done)
	}
}

// TestFoundLate puts what a lost machine stored last after what its snapshot
// has; what was stored twice is one version, and what was stored before the
// newest that the snapshot has, and isn't in it, an old one.
func TestFoundLate(t *testing.T) {
	f := newFixture(t)
	first := regular("x", "one")
	f.upload(t, f.run, first)
	long := epoch.Add(1000 * time.Hour)
	late := func(text string, created time.Time) catalog.Find {
		find := found("x", text, created)
		find.Kind, find.Late, find.Token = catalog.FileArchive, true, firn.NewToken()
		find.Members[0].Tree = "photos"
		find.Members[0].Stamp.ModTime = first.Stamp.ModTime
		return find
	}
	double := late("one", long)
	double.Members[0].Mode = first.Mode
	var err error
	f.run, err = f.BeginRecovery(t.Context(), f.store.ID)
	check(t, err)
	f.takeIn(t, late("four", long.Add(3*time.Second)), late("two", long.Add(time.Second)))
	again, err := f.BeginRecovery(t.Context(), f.store.ID)
	check(t, err)
	if again.ID != f.run.ID {
		t.Errorf("it goes on as run %d, was %d", again.ID, f.run.ID)
	}
	f.takeIn(t, double, late("three", long.Add(2*time.Second)), late("stray", epoch.Add(-time.Second)))
	if diff := cmp.Diff([]string{"stray", "one", "two", "three", "four+"}, f.texts(t, f.tree.ID, "x", "one", "two", "three", "four", "stray")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mine := regular("x", "five")
	f.upload(t, f.begin(t), mine)
	if diff := cmp.Diff([]string{"stray", "one", "two", "three", "four", "five+"}, f.texts(t, f.tree.ID, "x", "one", "two", "three", "four", "five", "stray")); diff != "" {
		t.Errorf("after the next sync (-want +got):\n%s", diff)
	}
}

// TestFoundBeforeAll puts what was stored before the first sync before it, and
// can be listed as of its time.
func TestFoundBeforeAll(t *testing.T) {
	f := newFixture(t)
	f.upload(t, f.run, regular("x", "mine"))
	old := found("x", "theirs", epoch.Add(-24*time.Hour))
	old.Members[0].Tree = "photos"
	f.takeIn(t, old)
	if diff := cmp.Diff([]string{"theirs", "mine+"}, f.texts(t, f.tree.ID, "x", "mine", "theirs")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	run, err := f.RunAt(t.Context(), f.tree.ID, epoch.Add(-time.Hour))
	check(t, err)
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID, At: run.ID}) {
		check(t, err)
		if e.Path == "x" && e.Content != content("theirs") {
			t.Errorf("then it was %+v", e)
		}
	}
}

// TestFoundBundle takes in folders, links and empty files too.
func TestFoundBundle(t *testing.T) {
	f := newFixture(t)
	member := func(ch catalog.Change, number, offset int64) catalog.FoundMember {
		return catalog.FoundMember{Tree: "theirs", File: ch.File, Content: ch.Content, Number: number, Offset: offset}
	}
	f.takeIn(t, catalog.Find{
		Archive: firn.Archive{ID: "b", Size: 9000, Created: epoch}, Kind: catalog.BundleArchive, Token: firn.NewToken(),
		Members: []catalog.FoundMember{
			member(directory("d"), -1, 0), member(regular("d/a", "one"), 0, 512), member(regular("d/b", "two"), 1, 1536), member(regular("d/c", "two"), 1, 1536),
			member(regular("d/empty", ""), -1, 0), member(symlink("d/l", "a"), -1, 0),
		},
	})
	tree, err := f.Tree(t.Context(), f.store.ID, "theirs")
	check(t, err)
	if tree.Files != 4 || tree.Dirs != 1 || tree.Links != 1 || tree.Bytes != 9 {
		t.Errorf("%+v", tree)
	}
	n := 0
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: tree.ID}) {
		check(t, err)
		n++
		if e.Path == "d/c" && (e.Location.Offset != 1536 || e.Location.State != catalog.Stored) {
			t.Errorf("%+v", e.Location)
		}
	}
	if n != 6 {
		t.Errorf("%d entries", n)
	}
}

func TestFoundRefused(t *testing.T) {
	f := newFixture(t)
	for name, find := range map[string]catalog.Find{
		"leads out": found("../x", "one", epoch), "absolute": found("/x", "one", epoch), "no name": found("", "one", epoch),
	} {
		if _, err := f.TakeIn(t.Context(), f.run, []catalog.Find{find}); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkTakeIn takes in archives of one file each, 10,000 at a time, in
// folders of 100.
func BenchmarkTakeIn(b *testing.B) {
	f := newFixture(b)
	var finds []catalog.Find
	n := 0
	for b.Loop() {
		finds = finds[:0]
		for range 10_000 {
			finds = append(finds, found(fmt.Sprintf("d%05d/file%07d", n/100, n), fmt.Sprint(n), epoch.Add(time.Duration(n)*time.Second)))
			n++
		}
		f.takeIn(b, finds...)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "archives/s")
}
