package catalog_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// snapshotIntent is the intent of a snapshot in a spool file.
func (f *fixture) snapshotIntent(run catalog.Run) catalog.Intent {
	return catalog.Intent{
		Store: f.store.ID, Run: run.ID, Token: firn.NewToken(), Kind: catalog.CatalogArchive, Description: "a snapshot", Size: 100,
		Spool: "/spool/catalog", File: firn.File{Stamp: firn.Stamp{Size: 100, ModTime: epoch}},
	}
}

// snapshot records a snapshot that is stored.
func (f *fixture) snapshot(tb testing.TB, run catalog.Run, base, through int64) catalog.Snapshot {
	tb.Helper()
	in, s := f.snapshotIntent(run), catalog.Snapshot{Base: base, Through: through, Made: f.clock.Now()}
	check(tb, f.IntendSnapshot(tb.Context(), &in, &s))
	f.stored(tb, run, in)
	return s
}

func TestSnapshots(t *testing.T) {
	f := newFixture(t)
	list := func() []catalog.Snapshot {
		t.Helper()
		all, err := f.Snapshots(t.Context(), f.store.ID)
		check(t, err)
		return all
	}
	next := func(want int64) {
		t.Helper()
		if seq, err := f.NextSnapshot(t.Context(), f.store.ID); err != nil || seq != want {
			t.Errorf("the next number is %d, %v, want %d", seq, err, want)
		}
	}
	next(1)
	in, first := f.snapshotIntent(f.run), catalog.Snapshot{Through: 5, Made: f.clock.Now()}
	check(t, f.IntendSnapshot(t.Context(), &in, &first))
	want := catalog.Snapshot{
		ID: first.ID, Store: f.store.ID, Catalog: f.ID(), Own: true, Seq: 1, Through: 5, Made: epoch.Truncate(time.Second),
		Archive: in.ID, State: catalog.Intended, Size: 100,
	}
	if diff := gocmp.Diff([]catalog.Snapshot{want}, list()); diff != "" {
		t.Errorf("intended: -want +got\n%s", diff)
	}
	open, err := f.OpenIntents(t.Context(), f.store.ID)
	if check(t, err); len(open) != 1 || open[0].Kind != catalog.CatalogArchive || open[0].Tree != 0 || open[0].Spool != in.Spool || open[0].File.Stamp.Size != 100 {
		t.Errorf("open intents %+v", open)
	}
	f.stored(t, f.run, in)
	want.State, want.Remote, want.Created = catalog.Stored, firn.ArchiveID("archive-"+in.Token.String()), epoch
	if diff := gocmp.Diff([]catalog.Snapshot{want}, list()); diff != "" {
		t.Errorf("stored: -want +got\n%s", diff)
	}

	// One that is dropped uses up its number.
	next(2)
	in = f.snapshotIntent(f.run)
	second := catalog.Snapshot{Base: 1}
	check(t, f.IntendSnapshot(t.Context(), &in, &second))
	check(t, f.Drop(t.Context(), in.ID, "the line broke"))
	next(3)
	if third := f.snapshot(t, f.run, 1, 6); third.Seq != 3 {
		t.Errorf("the third one has the number %d", third.Seq)
	}
	check(t, f.MarkDeleted(t.Context(), f.run, first.Archive))
	all := list()
	if len(all) != 2 || all[0].Seq != 1 || all[0].State != catalog.Deleted || all[1].Seq != 3 || all[1].Base != 1 {
		t.Errorf("snapshots %+v", all)
	}
}

func TestIntendSnapshotRefuses(t *testing.T) {
	f := newFixture(t)
	f.snapshot(t, f.run, 0, 0)
	for _, c := range []struct {
		name   string
		kind   firn.Kind
		intent func(*catalog.Intent)
		s      catalog.Snapshot
		about  string
	}{
		{"kind", firn.Invalid, func(in *catalog.Intent) { in.Kind = catalog.BundleArchive }, catalog.Snapshot{}, "bundle"},
		{"tree", firn.Invalid, func(in *catalog.Intent) { in.Tree = f.tree.ID }, catalog.Snapshot{}, "tree"},
		{"token", firn.Invalid, func(in *catalog.Intent) { in.Token = firn.Token{} }, catalog.Snapshot{}, "token"},
		{"number", firn.Conflict, func(*catalog.Intent) {}, catalog.Snapshot{Seq: 1}, "the next one is 2"},
		{"base", firn.Invalid, func(*catalog.Intent) {}, catalog.Snapshot{Seq: 2, Base: 2}, "add to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := f.snapshotIntent(f.run)
			c.intent(&in)
			wantKind(t, f.IntendSnapshot(t.Context(), &in, &c.s), c.kind, c.about)
		})
	}
	if open, err := f.OpenIntents(t.Context(), f.store.ID); err != nil || len(open) != 0 {
		t.Errorf("they left %+v, %v", open, err)
	}
}

// TestUnsaved: whatever changes what a snapshot would have shows, and nothing
// else does.
func TestUnsaved(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 2, 100_000)
	f.record(t, f.run, directory("a"), directory("b"), symlink("b/l", "x"), symlink("c", "x"), symlink("d", "x"))
	f.upload(t, f.run, regular("f", "text"))
	other, err := f.Register(t.Context(), catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	if some, err := f.Unsaved(t.Context(), other.ID, 0); err != nil || some {
		t.Errorf("a store of which nothing is known: %v, %v", some, err)
	}
	changes := []struct {
		name  string
		saved bool
		do    func(run catalog.Run)
	}{
		{"nothing", true, func(catalog.Run) {}},
		{"touched", true, func(run catalog.Run) {
			l := symlink("c", "x")
			l.Stamp.Inode = 99
			f.record(t, run, l)
		}},
		{"recorded", false, func(run catalog.Run) { f.record(t, run, symlink("e", "x")) }},
		{"removed", false, func(run catalog.Run) {
			_, err := f.Remove(t.Context(), run, []string{"b/l"})
			check(t, err)
		}},
		{"intended", true, func(run catalog.Run) { f.intend(t, run, regular("g", "other")) }},
		{"sent", false, func(run catalog.Run) { f.upload(t, run, regular("h", "more")) }},
		{"lost", false, func(run catalog.Run) { check(t, f.MarkLost(t.Context(), run, []int64{1})) }},
		{"a snapshot", true, func(run catalog.Run) { f.snapshot(t, run, 0, run.ID-1) }},
		{"in another store", true, func(catalog.Run) {
			tree, err := f.Bind(t.Context(), other.ID, "other", "nas", "/other")
			check(t, err)
			run, err := f.BeginRun(t.Context(), other.ID, tree.ID, "sync")
			check(t, err)
			f.record(t, run, symlink("b", "x"))
			f.upload(t, run, regular("f", "elsewhere"))
		}},
		{"a loose one", false, func(run catalog.Run) {
			in := []catalog.Intent{{Store: f.store.ID, Run: run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive}}
			check(t, f.Intend(t.Context(), in))
			f.stored(t, run, in[0])
		}},
	}
	for _, c := range changes {
		run := f.begin(t)
		if some, err := f.Unsaved(t.Context(), f.store.ID, run.ID-1); err != nil || some {
			t.Errorf("before %s: %v, %v", c.name, some, err)
		}
		c.do(run)
		if some, err := f.Unsaved(t.Context(), f.store.ID, run.ID-1); err != nil || some == c.saved {
			t.Errorf("%s: %v, %v", c.name, some, err)
		}
		if some, err := f.Unsaved(t.Context(), f.store.ID, 1<<40); err != nil || some {
			t.Errorf("after %s, of runs to come: %v, %v", c.name, some, err)
		}
	}
}

// TestFirstSync passes over what stands for a time, or was another catalog's.
func TestFirstSync(t *testing.T) {
	f := newFixture(t)
	old := found("x", "theirs", epoch.Add(-24*time.Hour))
	old.Members[0].Tree = "photos"
	f.takeIn(t, old)
	if first, err := f.FirstSync(t.Context(), f.tree.ID); err != nil || first.ID != f.run.ID {
		t.Errorf("run %d, %v, want %d", first.ID, err, f.run.ID)
	}
	f.upload(t, f.run, regular("x", "mine"))
	b, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{Seq: 1})
	c, store := another(t)
	take(t, c, store, b)
	tree, err := c.Tree(t.Context(), store, "photos")
	check(t, err)
	_, err = c.FirstSync(t.Context(), tree.ID)
	wantKind(t, err, firn.NotFound, "never synced here")
}
