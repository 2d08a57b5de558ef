package syncer_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// syncFiltered syncs with rules as --filter takes them.
func syncFiltered(b *worktest.Bench, rules string) syncer.Result {
	b.T.Helper()
	parsed, err := filter.ParseRules(rules)
	if err != nil {
		b.T.Fatal(err)
	}
	o := b.Options()
	o.Filter = filter.New(filter.Options{Rules: parsed})
	res, err := syncer.Run(b.T.Context(), o)
	if err != nil {
		b.T.Fatal(err)
	}
	return res
}

// current gives the paths that the catalog has as being there, with a slash
// after those of directories.
func current(b *worktest.Bench) (paths []string) {
	b.T.Helper()
	for d, err := range b.Catalog.Current(b.T.Context(), b.Tree().ID) {
		if err != nil {
			b.T.Fatal(err)
		}
		if d.Self != nil {
			paths = append(paths, d.Path+"/")
		}
		for _, f := range d.Files {
			paths = append(paths, f.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

func remove(t *testing.T, b *worktest.Bench, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.RemoveAll(filepath.Join(b.Root, p)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeftOutIsNeverRemoved: what a filter leaves out stays in the catalog as
// it is, whether it is on the disk or gone. What the filter keeps is removed
// when it is gone.
func TestLeftOutIsNeverRemoved(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a.txt", "a.gz", "pruned/x", "pruned/y/z", "d/b.txt", "d/b.gz", "gone/c.txt", "gone/c.gz"} {
		b.Write(p, "content of "+p)
	}
	b.Sync()
	before := current(b)
	all := len(b.Memory.Archives())

	// Nothing has changed but the filter.
	res := syncFiltered(b, "-/pruned/ +*.gz -")
	b.Counts(res.Counts, map[firn.Action]int64{firn.Unchanged: 3, firn.Excluded: 4})
	if want := map[string]int64{"rule -/pruned/": 1, "rule -": 3}; !maps.Equal(res.Excluded, want) {
		t.Errorf("excluded %v, want %v", res.Excluded, want)
	}
	if got := current(b); !slices.Equal(got, before) {
		t.Errorf("current %q, want %q", got, before)
	}

	// All of it goes; the filter's own files are marked, and nothing else.
	remove(t, b, "a.txt", "a.gz", "pruned", "d/b.txt", "gone")
	res = syncFiltered(b, "-/pruned/ +*.gz -")
	b.Counts(res.Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Removed: 2})
	want := []string{"/", "a.txt", "d/", "d/b.gz", "d/b.txt", "gone/", "gone/c.txt", "pruned/", "pruned/x", "pruned/y/", "pruned/y/z"}
	if got := current(b); !slices.Equal(got, want) {
		t.Errorf("current %q, want %q", got, want)
	}

	// Without the filter it is all seen to be gone.
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Removed: 5})
	if got, want := current(b), []string{"/", "d/", "d/b.gz"}; !slices.Equal(got, want) {
		t.Errorf("current %q, want %q", got, want)
	}
	if n := len(b.Memory.Archives()); n != all {
		t.Errorf("%d archives, want %d", n, all)
	}
}

// TestFoldersOfWhatIsKept: a folder that rules leave out is recorded where
// something below it is kept, and only there.
func TestFoldersOfWhatIsKept(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a.txt", "b/c/d.gz", "b/e/f.txt", "g/h.txt"} {
		b.Write(p, p)
	}
	b.Counts(syncFiltered(b, "+*.gz -").Counts, map[firn.Action]int64{firn.Sent: 1, firn.Excluded: 3})
	want := []string{"/", "b/", "b/c/", "b/c/d.gz"}
	if got := current(b); !slices.Equal(got, want) {
		t.Errorf("current %q, want %q", got, want)
	}
	b.Counts(syncFiltered(b, "+*.gz -").Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Excluded: 3})
	if got := current(b); !slices.Equal(got, want) {
		t.Errorf("after the second: current %q, want %q", got, want)
	}
}

// TestDryRunNamesWhatIsLeftOut: with the reason for each.
func TestDryRunNamesWhatIsLeftOut(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "a.tmp", "d/b.tmp", "@eaDir/x"} {
		b.Write(p, p)
	}
	o := b.Options()
	o.DryRun = true
	o.Filter = filter.New(filter.Options{Rules: []filter.Rule{filter.Exclude("*.tmp")}})
	told := map[string]string{}
	o.Events = func(e firn.Event) {
		if f, ok := e.(firn.FileEvent); ok && f.Action == firn.Excluded {
			told[f.Path] = f.Reason
		}
	}
	res, err := syncer.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 1, firn.Excluded: 3})
	want := map[string]string{"a.tmp": "rule -*.tmp", "d/b.tmp": "rule -*.tmp", "@eaDir": filter.LitterReason}
	if !maps.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestLitterIsNoTree: a new disk in the place of the tree's own has lost+found
// and the like, and that is no reason to believe that the files were removed.
func TestLitterIsNoTree(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	b.Sync()
	remove(t, b, "a")
	b.Write("lost+found/x", "x")
	b.Write(".DS_Store", "x")
	o := b.Options()
	o.Filter = filter.New(filter.Options{})
	if _, err := syncer.Run(t.Context(), o); !errors.Is(err, plan.ErrEmpty) {
		t.Errorf("it ended with %v", err)
	}
	o.ExpectChanges = true
	res, err := syncer.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Removed: 1, firn.Excluded: 2})
}

// TestLeftOutUploadStays: an upload that was interrupted isn't aborted because
// its file is left out for once.
func TestLeftOutUploadStays(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 3, Kind: firn.Denied})
	b.WriteLarge("dir/large", "L")
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatalf("first run: %v", err)
	}
	syncFiltered(b, "-dir/")
	open := 0
	for _, err := range b.Memory.Uploads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		open++
	}
	if open != 1 {
		t.Fatalf("%d uploads are open, want the interrupted one", open)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1})
	if got := b.Stored(); got["dir/large"] != 1 {
		t.Errorf("stored %v", got)
	}
}
