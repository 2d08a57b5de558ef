package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/rows"
)

// wantWhole checks that a catalog breaks no rule.
func wantWhole(tb testing.TB, c *catalog.Catalog) {
	tb.Helper()
	if lines, _ := faults(tb, c); len(lines) > 0 {
		tb.Errorf("faults:\n%s", strings.Join(lines, "\n"))
	}
}

// take reads a stream into a catalog, which must be whole then.
func take(tb testing.TB, c *catalog.Catalog, store int64, b []byte) catalog.RowsRead {
	tb.Helper()
	res, err := c.ReadRows(tb.Context(), store, read(b))
	check(tb, err)
	wantWhole(tb, c)
	return res
}

// lateFind is a file's archive that no snapshot has.
func lateFind(path, text string, created time.Time) catalog.Find {
	find := found(path, text, created)
	find.Kind, find.Late, find.Token = catalog.FileArchive, true, firn.NewToken()
	find.Members[0].Tree = "photos"
	return find
}

// TestRecoveryOfOthers doesn't go on with a recovery that another machine left
// undone, which has no room below its number.
func TestRecoveryOfOthers(t *testing.T) {
	theirs := newFixture(t)
	undone, err := theirs.BeginRun(t.Context(), theirs.store.ID, 0, "recover")
	check(t, err)
	check(t, theirs.EndRun(t.Context(), undone, catalog.Outcome{}))
	theirs.upload(t, theirs.begin(t), regular("x", "one"))
	b, _ := stream(t, theirs.Catalog, theirs.store.ID, catalog.RowsOptions{Seq: 1})

	c, store := another(t)
	take(t, c, store, b)
	run, err := c.BeginRecovery(t.Context(), store)
	check(t, err)
	if run.ID < 1<<40 {
		t.Errorf("the recovery is run %d", run.ID)
	}
	theirs.upload(t, theirs.begin(t), regular("x", "two"))
	b, _ = stream(t, theirs.Catalog, theirs.store.ID, catalog.RowsOptions{Seq: 2})
	take(t, c, store, b)
}

// TestRecoveryAfterAll begins a new recovery where the last one has worked in an
// inventory, though not all could be read.
func TestRecoveryAfterAll(t *testing.T) {
	f := newFixture(t)
	first, err := f.BeginRecovery(t.Context(), f.store.ID)
	check(t, err)
	inv, err := f.BeginInventory(t.Context(), first, 0)
	check(t, err)
	_, err = f.StagedAll(t.Context(), inv, firn.InventoryInfo{Date: epoch})
	check(t, err)
	check(t, f.EndRun(t.Context(), first, catalog.Outcome{}))
	if again, err := f.BeginRecovery(t.Context(), f.store.ID); err != nil || again.ID != first.ID {
		t.Errorf("before the end it goes on as %d, %v, not as %d", again.ID, err, first.ID)
	}
	check(t, f.EndInventory(t.Context(), inv))
	check(t, f.EndRun(t.Context(), first, catalog.Outcome{}))
	synced := f.begin(t)
	if next, err := f.BeginRecovery(t.Context(), f.store.ID); err != nil || next.ID <= synced.ID {
		t.Errorf("the next one is %d, %v, before the sync %d", next.ID, err, synced.ID)
	}
}

// TestFoundInManyTrees takes in archives of one hour in more trees than the
// number of a run tells apart, in two stores.
func TestFoundInManyTrees(t *testing.T) {
	f := newFixture(t)
	other, err := f.Register(t.Context(), catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two", Name: "w"})
	check(t, err)
	for _, store := range []int64{f.store.ID, other.ID} {
		var finds []catalog.Find
		for i := range 300 {
			find := found("x", fmt.Sprint("text ", i), epoch.Add(-time.Hour))
			find.Members[0].Tree = fmt.Sprint("tree ", i)
			finds = append(finds, find)
		}
		run, err := f.BeginRun(t.Context(), store, 0, "adopt")
		check(t, err)
		_, err = f.TakeIn(t.Context(), run, finds)
		check(t, err)
	}
	wantWhole(t, f.Catalog)
	b, _ := stream(t, f.Catalog, other.ID, catalog.RowsOptions{})
	c, store := another(t)
	if res := take(t, c, store, b); res.Versions != 300 {
		t.Errorf("%d versions were read", res.Versions)
	}
}

// TestReadRowsOfDeleted reads what another machine still takes for stored, and
// this one has deleted.
func TestReadRowsOfDeleted(t *testing.T) {
	f := newFixture(t)
	old := f.upload(t, f.run, regular("x", "one"))
	gone := f.upload(t, f.run, regular("y", "gone"))
	b, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	f.upload(t, f.begin(t), regular("x", "two"))
	f.remove(t, "y")
	f.retireOld(t, "x")
	f.retireOld(t, "y")
	for _, d := range f.queue(t) {
		check(t, f.MarkDeleted(t.Context(), f.run, d.Archive))
	}
	for range 2 {
		take(t, f.Catalog, f.store.ID, b)
		if got := f.texts(t, f.tree.ID, "x", "one", "two"); !slices.Equal(got, []string{"two+"}) {
			t.Errorf("x: %v", got)
		}
		if got := f.texts(t, f.tree.ID, "y", "gone"); len(got) > 0 {
			t.Errorf("y: %v", got)
		}
	}
	for _, id := range []firn.ArchiveID{old, gone} {
		if loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, id); err != nil || loc.State != catalog.Deleted {
			t.Errorf("%+v, %v", loc, err)
		}
	}
}

// TestReadRowsOfLost reads a stream from before an archive was found to be lost,
// and one from after it was back.
func TestReadRowsOfLost(t *testing.T) {
	f := newFixture(t)
	id := f.upload(t, f.run, regular("x", "one"))
	before, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, id)
	check(t, err)
	check(t, f.MarkLost(t.Context(), f.begin(t), []int64{loc.Archive}))
	after, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	state := func(c *catalog.Catalog, store int64) catalog.State {
		t.Helper()
		loc, _, err := c.ArchiveByRemote(t.Context(), store, id)
		check(t, err)
		return loc.State
	}
	take(t, f.Catalog, f.store.ID, before)
	if s := state(f.Catalog, f.store.ID); s != catalog.Lost {
		t.Errorf("by an older stream it is %s", s)
	}
	c, store := another(t)
	for i, b := range [][]byte{before, after, before} {
		take(t, c, store, b)
		if s := state(c, store); (s == catalog.Lost) != (i > 0) {
			t.Errorf("after stream %d it is %s", i+1, s)
		}
	}
}

// TestReadRowsOfAnotherSize keeps the store's sums where somebody has the size
// of an archive wrong.
func TestReadRowsOfAnotherSize(t *testing.T) {
	f := newFixture(t)
	id := f.upload(t, f.run, regular("x", "one"))
	c, store := another(t)
	find := found("x", "one", epoch)
	find.Archive.ID, find.Archive.Size, find.Members[0].Content.Size = id, 2, 2
	_, err := c.TakeIn(t.Context(), catalog.Run{Store: store}, []catalog.Find{find})
	check(t, err)
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, id)
	check(t, err)
	check(t, f.MarkLost(t.Context(), f.begin(t), []int64{loc.Archive}))
	b, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	_, err = c.ReadRows(t.Context(), store, read(b))
	check(t, err)
	stores, err := c.Stores(t.Context())
	check(t, err)
	if stores[0].Archives != 0 || stores[0].Bytes != 0 {
		t.Errorf("%+v", stores[0])
	}
}

// TestReadRowsAfterFound reads a newer snapshot after archives were taken in
// that it has: what is known from them alone gives way to what the runs did.
func TestReadRowsAfterFound(t *testing.T) {
	a := newFixture(t)
	a.upload(t, a.run, regular("x", "one"))
	a.upload(t, a.run, regular("y", "kept"))
	before, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})
	two := a.upload(t, a.begin(t), regular("x", "two"))
	gone := a.upload(t, a.begin(t), regular("z", "gone"))
	a.upload(t, a.begin(t), regular("x", "three"))
	a.remove(t, "z")
	after, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 2})

	for _, late := range []bool{true, false} {
		c, store := another(t)
		run, err := c.BeginRecovery(t.Context(), store)
		check(t, err)
		take(t, c, store, before)
		var finds []catalog.Find
		for id, text := range map[firn.ArchiveID]string{two: "two", gone: "gone"} {
			find := lateFind(map[string]string{"two": "x", "gone": "z"}[text], text, epoch.Add(time.Hour))
			find.Archive.ID, find.Late = id, late
			find.Token, err = firn.ParseToken(strings.TrimPrefix(string(id), "archive-")) // see upload
			check(t, err)
			finds = append(finds, find)
		}
		_, err = c.TakeIn(t.Context(), run, finds)
		check(t, err)
		take(t, c, store, after)
		again, _ := stream(t, c, store, catalog.RowsOptions{})
		if diff := cmp.Diff(versions(portrait(t, after)), versions(portrait(t, again))); diff != "" {
			t.Errorf("late: %t (-written +read):\n%s", late, diff)
		}
	}
}

// versions leaves those lines of a portrait that are about files.
func versions(lines []string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "photos:") })
}

// TestReadRowsInAnotherOrder reads runs in an order that is not the one which
// they have here: the versions follow each other all the same.
func TestReadRowsInAnotherOrder(t *testing.T) {
	f := newFixture(t)
	first, second := f.begin(t), f.begin(t)
	f.upload(t, first, regular("x", "one"))
	f.upload(t, second, regular("x", "two"))
	f.upload(t, f.begin(t), regular("x", "three"))
	b, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})

	// Here the second run is known before the first.
	c, store := another(t)
	var some []rows.Row
	for row, err := range read(b) {
		check(t, err)
		switch r := row.(type) {
		case *rows.Header, *rows.Catalog, *rows.Tree:
			some = append(some, r)
		case *rows.Run:
			if r.ID == second.ID {
				some = append(some, r)
			}
		}
	}
	_, err := c.ReadRows(t.Context(), store, func(yield func(rows.Row, error) bool) {
		for _, row := range some {
			if !yield(row, nil) {
				return
			}
		}
	})
	check(t, err)
	take(t, c, store, b)
	take(t, c, store, b)
}

// TestReadRowsOfHostileNames gives trees names that they can have.
func TestReadRowsOfHostileNames(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("ü", 127)
	for i, root := range []string{"/a", "/b"} {
		c := newFixture(t)
		tree, err := c.Bind(t.Context(), c.store.ID, long, "host/with a\tname", root)
		check(t, err)
		run, err := c.BeginRun(t.Context(), c.store.ID, tree.ID, "sync")
		check(t, err)
		c.upload(t, run, regular("x", "one"+root))
		b, _ := stream(t, c.Catalog, c.store.ID, catalog.RowsOptions{})
		if res := take(t, f.Catalog, f.store.ID, b); len(res.Renamed) != i {
			t.Errorf("renamed: %v", res.Renamed)
		}
	}
}

// TestTakeSnapshotUnderway reads a snapshot whose upload is still open here.
func TestTakeSnapshotUnderway(t *testing.T) {
	f := newFixture(t)
	in, s := f.snapshotIntent(f.run), catalog.Snapshot{Made: epoch}
	check(t, f.IntendSnapshot(t.Context(), &in, &s))
	h := rows.Header{Catalog: f.ID(), Seq: s.Seq, Made: epoch}
	find := catalog.Find{Archive: firn.Archive{ID: "arrived", Size: 100}, Token: in.Token}
	check(t, f.TakeSnapshot(t.Context(), f.run, h, find))
	wantWhole(t, f.Catalog)
}

// TestRemoveOneKind removes a file and keeps the directory of its name, and the
// other way round: what was found in a store may have both.
func TestRemoveOneKind(t *testing.T) {
	for kind, want := range map[firn.FileKind]string{firn.Regular: "a a/b", firn.Directory: "a"} {
		f := newFixture(t)
		f.record(t, f.run, directory("a"))
		f.upload(t, f.run, regular("a/b", "below"))
		old := found("a", "file", epoch.Add(-time.Hour))
		old.Members[0].Tree = "photos"
		f.takeIn(t, old)
		_, err := f.RemoveKind(t.Context(), f.begin(t), kind, []string{"a"})
		check(t, err)
		var left []string
		for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID}) {
			check(t, err)
			left = append(left, e.Path)
		}
		if got := strings.Join(left, " "); got != want {
			t.Errorf("without the %s: %q, want %q", kind, got, want)
		}
		wantWhole(t, f.Catalog)
	}
}

// adopted is a catalog that took in what others left in the store, as a tree of
// no directory.
func adopted(tb testing.TB, finds ...catalog.Find) *fixture {
	tb.Helper()
	c, store := another(tb)
	f := &fixture{Catalog: c, clock: clock.NewManual(epoch), store: catalog.Store{ID: store}}
	var err error
	f.run, err = c.BeginRun(tb.Context(), store, 0, "adopt")
	check(tb, err)
	f.takeIn(tb, finds...)
	f.tree, err = c.Tree(tb.Context(), store, "theirs")
	check(tb, err)
	return f
}

// synced binds the tree to a directory, and begins its first sync.
func (f *fixture) synced(tb testing.TB, host string) {
	tb.Helper()
	var err error
	f.tree, err = f.Bind(tb.Context(), f.store.ID, "theirs", host, "/home/"+host)
	check(tb, err)
	f.run = f.begin(tb)
}

// bothWays reads streams into an empty catalog, in either order, and hands it on.
func bothWays(t *testing.T, a, b func(*catalog.Catalog, int64), want func(t *testing.T, c *catalog.Catalog, store int64)) {
	t.Helper()
	for order, takes := range [][]func(*catalog.Catalog, int64){{a, b}, {b, a}, {a, b, a, b}, {b, a, b, a}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			c, store := another(t)
			for _, take := range takes {
				take(c, store)
			}
			wantWhole(t, c)
			want(t, c, store)
		})
	}
}

// TestReadRowsAdoptedTwice has two catalogs that adopted one vault, one of which
// knows a bit more of it, and the other synced a directory since. There is one
// tree, of that directory, and each version in it is there once.
func TestReadRowsAdoptedTwice(t *testing.T) {
	hour := epoch.Add(-48 * time.Hour).Truncate(time.Hour)
	earlier, later := found("d/twice", "earlier", hour.Add(time.Minute)), found("d/twice", "later", hour.Add(2*time.Minute))
	left, gone, kept := found("left", "left", hour), found("gone", "gone", hour), found("kept", "kept", hour)
	own := found("own", "own", epoch.Add(time.Hour))

	a := adopted(t, later, kept, gone)
	a.synced(t, "nas")
	a.record(t, a.run, directory(""), directory("d"), regular("kept", "kept"))
	mine := a.upload(t, a.run, regular("own", "own"))
	a.remove(t, "gone")
	own.Archive.ID = mine
	b := adopted(t, earlier, later, left, gone, kept, own) // after that
	forA, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})
	forB, _ := stream(t, b.Catalog, b.store.ID, catalog.RowsOptions{Seq: 1})

	bothWays(t, func(c *catalog.Catalog, store int64) { take(t, c, store, forA) }, func(c *catalog.Catalog, store int64) { take(t, c, store, forB) },
		func(t *testing.T, c *catalog.Catalog, store int64) {
			trees, err := c.Trees(t.Context(), store)
			check(t, err)
			if len(trees) != 1 || trees[0].Host != "nas" {
				t.Fatalf("%+v", trees)
			}
			for path, want := range map[string][]string{
				"d/twice": {"earlier", "later+"}, "left": {"left+"}, "gone": {"gone"}, "kept": {"kept", "kept+"}, "own": {"own+"},
			} {
				if diff := cmp.Diff(want, f(c).texts(t, trees[0].ID, path, "earlier", "later", "left", "gone", "kept", "own")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
			if trees[0].Files != 4 {
				t.Errorf("%+v", trees[0])
			}
		})
}

// TestReadRowsBoundLater reads a tree that was bound to nothing in the base, and
// to a directory in what adds to it, where another one has its name.
func TestReadRowsBoundLater(t *testing.T) {
	b := adopted(t, found("x", "old", epoch.Add(-48*time.Hour)))
	check(t, b.EndRun(t.Context(), b.run, catalog.Outcome{Complete: true}))
	base, through := stream(t, b.Catalog, b.store.ID, catalog.RowsOptions{Seq: 1})
	if through <= 0 {
		t.Fatal("nothing can add to it")
	}
	b.synced(t, "laptop")
	b.upload(t, b.run, regular("y", "new"))
	added, _ := stream(t, b.Catalog, b.store.ID, catalog.RowsOptions{Seq: 2, BaseSeq: 1, Base: through})
	a := adopted(t, found("z", "other", epoch.Add(-48*time.Hour)))
	a.synced(t, "nas")
	a.upload(t, a.run, regular("y", "mine"))
	forA, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})

	bothWays(t, func(c *catalog.Catalog, store int64) { take(t, c, store, forA) },
		func(c *catalog.Catalog, store int64) {
			_, err := c.ReadRows(t.Context(), store, read(base), read(added))
			check(t, err)
		},
		func(t *testing.T, c *catalog.Catalog, store int64) {
			trees, err := c.Trees(t.Context(), store)
			check(t, err)
			if len(trees) != 2 || trees[1].Name != "theirs@"+trees[1].Host {
				t.Fatalf("%+v", trees)
			}
			for _, tree := range trees {
				want := map[string]string{"nas": "y@ z@", "laptop": "x@ y@"}[tree.Host]
				got := ""
				for e, err := range c.Files(t.Context(), catalog.ListQuery{Tree: tree.ID}) {
					check(t, err)
					got += e.Path + "@ "
				}
				if strings.TrimSpace(got) != want {
					t.Errorf("%s of %s has %s, want %s", tree.Name, tree.Host, got, want)
				}
			}
		})
}
