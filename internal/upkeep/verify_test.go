package upkeep_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
)

func verify(b *worktest.Bench, quick bool) upkeep.VerifyResult {
	b.T.Helper()
	res, err := upkeep.Verify(b.T.Context(), upkeep.VerifyOptions{
		Catalog: b.Catalog, Tree: b.Tree(), Root: b.Root, Events: b.Events, Quick: quick, Concurrency: 2,
	})
	if err != nil {
		b.T.Fatal(err)
	}
	return res
}

func TestVerifyFindsEachDifference(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, name := range []string{"ok", "size", "time", "content", "gone", "dir/gone too", "a.b", "a b", "a/b"} {
		b.Write(name, "abcd")
	}
	if err := os.Symlink("ok", filepath.Join(b.Root, "link")); err != nil {
		t.Fatal(err)
	}
	b.Sync()
	if res := verify(b, false); !res.Clean() {
		t.Fatalf("right after a sync: %+v", res)
	}
	b.Files("")
	b.Write("size", "abcde")
	b.Write("content", "ABCD")
	b.Write("added", "x")
	b.Write("new folder/added", "x")
	must(t, os.Chtimes(filepath.Join(b.Root, "time"), time.Now(), time.Now()))
	must(t, os.Remove(filepath.Join(b.Root, "gone")))
	must(t, os.RemoveAll(filepath.Join(b.Root, "dir")))
	must(t, os.Remove(filepath.Join(b.Root, "link")))
	must(t, os.Symlink("size", filepath.Join(b.Root, "link")))
	for a, want := range map[firn.Action][]string{
		firn.Differs:  {"content", "link", "size", "time"},
		firn.Missing:  {"dir", "dir/gone too", "gone"},
		firn.Extra:    {"added", "new folder", "new folder/added"},
		firn.Verified: {"a b", "a.b", "a/b", "ok"},
	} {
		res := verify(b, false)
		got := b.Files(a)
		slices.Sort(got)
		if !slices.Equal(got, want) || res.Clean() {
			t.Errorf("%s: %q, want %q", a, got, want)
		}
	}
	// A content that differs behind the same size and time shows by reading.
	verify(b, true)
	if got := b.Files(firn.Differs); slices.Contains(got, "content") {
		t.Errorf("quick: %q", got)
	}
}

// TestUnreadableIsNotMissing: what can't be seen is not called missing.
func TestUnreadableIsNotMissing(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads every folder")
	}
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("dir/a", "a")
	b.Sync()
	must(t, os.Chmod(filepath.Join(b.Root, "dir"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(b.Root, "dir"), 0o755) })
	res := verify(b, false)
	b.Counts(res.Counts, map[firn.Action]int64{firn.Failed: 1})
	if res.Clean() {
		t.Error("called clean")
	}
}

// TestLostIsNotVerified: a file that is as it was, but is not in the store any
// more, can't be called archived. An empty one needs no archive.
func TestLostIsNotVerified(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("lost", "A")
	b.Write("kept", "B")
	b.Write("empty", "")
	b.Sync()
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, b.Tree().ID, "test")
	must(t, err)
	for e, err := range b.Catalog.Files(t.Context(), catalog.ListQuery{Tree: b.Tree().ID, Path: "lost"}) {
		must(t, err)
		must(t, b.Catalog.MarkLost(t.Context(), run, []int64{e.Location.Archive}))
	}
	for _, quick := range []bool{false, true} {
		b.Files("")
		res := verify(b, quick)
		b.Counts(res.Counts, map[firn.Action]int64{firn.Differs: 1, firn.Verified: 2})
		if got := b.Files(firn.Differs); !slices.Equal(got, []string{"lost"}) || res.Clean() {
			t.Errorf("quick %t: %q", quick, got)
		}
	}
}

func TestMissingDirectory(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	b.Sync()
	_, err := upkeep.Verify(t.Context(), upkeep.VerifyOptions{Catalog: b.Catalog, Tree: b.Tree(), Root: filepath.Join(b.Root, "nowhere"), Events: b.Events})
	if err == nil {
		t.Error("a missing directory was verified")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestVerifyWithFilter: what is left out is neither missing nor new, on
// whatever side it is.
func TestVerifyWithFilter(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, name := range []string{"ok.gz", "d/ok.gz", "changed.txt", "gone.txt", "dir/gone.gz", "pruned/gone.gz"} {
		b.Write(name, "abcd")
	}
	b.Sync()
	b.Write("changed.txt", "other content")
	b.Write("new.txt", "x")
	b.Write("new dir/x.txt", "x")
	b.Write(".DS_Store", "x")
	for _, name := range []string{"gone.txt", "dir", "pruned"} {
		must(t, os.RemoveAll(filepath.Join(b.Root, name)))
	}
	rules, err := filter.ParseRules("-/pruned/ +*.gz -")
	must(t, err)
	res, err := upkeep.Verify(t.Context(), upkeep.VerifyOptions{
		Catalog: b.Catalog, Tree: b.Tree(), Root: b.Root, Events: b.Events, Filter: filter.New(filter.Options{Rules: rules}),
	})
	must(t, err)
	b.Counts(res.Counts, map[firn.Action]int64{firn.Verified: 2, firn.Missing: 1, firn.Excluded: 4})
	if got := b.Files(firn.Missing); !slices.Equal(got, []string{"dir/gone.gz"}) {
		t.Errorf("missing: %q", got)
	}
	if res.Excluded["rule -"] != 3 || res.Excluded[filter.LitterReason] != 1 {
		t.Errorf("excluded: %v", res.Excluded)
	}
}
