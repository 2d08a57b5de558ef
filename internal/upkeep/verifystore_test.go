package upkeep_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
)

func storeOptions(b *worktest.Bench, wait bool) upkeep.StoreOptions {
	asker := retrieval.New(retrieval.Options{
		Catalog: b.Catalog, Row: b.Row.ID, Store: b.Store, Clock: b.Clock, Events: b.Events, Run: catalog.Run{Store: b.Row.ID},
	})
	return upkeep.StoreOptions{Catalog: b.Catalog, Row: b.Row.ID, Store: b.Store, Asker: asker, Events: b.Events, Wait: wait}
}

func verifyStore(b *worktest.Bench) upkeep.StoreResult {
	b.T.Helper()
	res, err := upkeep.VerifyStore(b.T.Context(), storeOptions(b, false))
	must(b.T, err)
	return res
}

// lose deletes a file's archive behind firn's back.
func lose(b *worktest.Bench, path string) {
	b.T.Helper()
	for _, a := range b.Memory.Archives() {
		if describe.Decode(a.Description).Path == path {
			must(b.T, b.Memory.DeleteArchive(b.T.Context(), a.ID))
			return
		}
	}
	b.T.Fatalf("there is no archive of %s", path)
}

// TestVerifyStoreNamesFiles: what the store lacks is told by the files that are in
// it, old versions too.
func TestVerifyStoreNamesFiles(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, name := range []string{"kept", "lost", "old"} {
		b.Write(name, "content of "+name)
	}
	b.Sync()
	if res := verifyStore(b); !res.Clean() || res.Same.Files != 3 {
		t.Errorf("as it was stored: %+v", res)
	}
	lose(b, "old")
	b.Write("old", "replaced")
	b.Clock.Advance(time.Hour)
	b.Sync()
	lose(b, "lost")
	b.Clock.Advance(96 * time.Hour)
	b.Files("")
	res := verifyStore(b)
	if got := b.Files(firn.Differs); !slices.Equal(got, []string{"lost", "old"}) {
		t.Errorf("told of %q", got)
	}
	if n := res.Differ[catalog.Vanished].Files; n != 2 || res.Files != 2 || res.Same.Files != 2 || res.Unnamed.Files != 0 {
		t.Errorf("%+v", res)
	}
	// It changed nothing.
	if again := verifyStore(b); again.Differ[catalog.Vanished] != res.Differ[catalog.Vanished] {
		t.Errorf("the second time %+v", again)
	}
}

// TestVerifyStoreWithoutDownloading: nothing but an inventory is asked for, and
// what is younger than that is counted, and no difference.
func TestVerifyStoreWithoutDownloading(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour})
	b.Write("a", "a")
	b.Sync()
	b.Clock.Advance(49 * time.Hour)
	b.Write("b", "b")
	b.Sync()
	res := verifyStore(b)
	if !res.Pending || res.Ready.IsZero() {
		t.Fatalf("%+v", res)
	}
	b.Clock.Advance(5 * time.Hour)
	res = verifyStore(b)
	if res.Pending || !res.Clean() || res.Same.Files != 1 || res.TooNew.Files != 1 {
		t.Errorf("%+v", res)
	}
	jobs := 0
	for job, err := range b.Memory.Jobs(t.Context()) {
		must(t, err)
		if jobs++; job.Kind != firn.InventoryJob {
			t.Errorf("asked for %+v", job)
		}
	}
	if jobs != 1 {
		t.Errorf("%d jobs", jobs)
	}
}

// TestVerifyStoreWithoutInventory: a vault of today has none yet.
func TestVerifyStoreWithoutInventory(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour})
	b.Write("a", "a")
	b.Sync()
	if _, err := upkeep.VerifyStore(t.Context(), storeOptions(b, false)); firn.KindOf(err) != firn.NotReady {
		t.Errorf("%v", err)
	}
}

// suspect makes a file's archive a candidate for deletion.
func suspect(b *worktest.Bench, path string) {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "test")
	must(b.T, err)
	for e, err := range b.Catalog.Files(b.T.Context(), catalog.ListQuery{Tree: b.Tree().ID, Path: path}) {
		must(b.T, err)
		must(b.T, b.Catalog.Suspect(b.T.Context(), run, catalog.Retirement{}, []int64{e.Location.Archive}))
	}
}

// TestSafeToDelete: only files that were read, and whose archive is surely there,
// are called safe; each other one counts under its reason.
func TestSafeToDelete(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, name := range []string{"safe", "dir/safe", "time", "edited", "grown", "lost", "leaving", "touched"} {
		b.Write(name, "content of "+name)
	}
	b.Write("empty", "")
	b.Sync()
	must(t, os.Chtimes(filepath.Join(b.Root, "time"), time.Unix(1e9, 0), time.Unix(1e9, 0)))
	b.Write("edited", "CONTENT OF edited")
	b.Write("grown", "content of grown, and more")
	b.Write("new", "new")
	lose(b, "lost")

	tree := b.Tree()
	round, err := b.Catalog.BeginRound(t.Context(), tree.ID, b.Root, 1, 1)
	must(t, err)
	o := upkeep.VerifyOptions{Catalog: b.Catalog, Tree: tree, Root: b.Root, Events: b.Events, Clock: b.Clock, Round: round, Believe: round.Began}
	_, err = upkeep.Verify(t.Context(), o)
	must(t, err)
	b.Write("touched", "content of touched") // the same, but nobody has read this one
	store := verifyStore(b)
	b.Write("late", "stored after the inventory")
	b.Sync()
	suspect(b, "leaving")

	var safe []string
	res, err := upkeep.SafeToDelete(t.Context(), o, &store, func(f upkeep.SafeFile) error {
		safe = append(safe, f.Path)
		if f.Archive == "" || f.Read.Before(round.Began) {
			t.Errorf("%+v", f)
		}
		return nil
	})
	must(t, err)
	if want := []string{"safe", "time", "dir/safe"}; !slices.Equal(safe, want) || res.Safe.Files != 3 {
		t.Errorf("%q, want %q; not: %v", safe, want, res.Not)
	}
	var others int64
	for _, n := range res.Not {
		others += n.Files
	}
	if others != 8 {
		t.Errorf("%d others: %v", others, res.Not)
	}
}
