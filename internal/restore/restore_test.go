package restore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/worktest"
)

// options are those of a restore of everything on the bench.
func options(b *worktest.Bench, to string) restore.Options {
	b.T.Helper()
	down, err := transfer.NewDownloader(b.Store, transfer.DownloadOptions{Clock: b.Clock})
	if err != nil {
		b.T.Fatal(err)
	}
	return restore.Options{
		Catalog: b.Catalog, Row: b.Row, Store: b.Store, Downloader: down, Clock: b.Clock, Events: b.Events,
		Trees: []catalog.Tree{b.Tree()}, To: to, Concurrency: 4,
	}
}

func run(b *worktest.Bench, o restore.Options) restore.Result {
	b.T.Helper()
	res, err := restore.Run(b.T.Context(), o)
	if err != nil {
		b.T.Fatal(err)
	}
	return res
}

func TestEverythingComesBack(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "first")
	b.Write("dir/deep/b", "second")
	b.Write("empty", "")
	b.WriteLarge("large", "L")
	if err := os.Symlink("a", filepath.Join(b.Root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(b.Root, "a"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(b.Root, "dir", "deep"), 0o500); err != nil {
		t.Fatal(err)
	}
	b.Sync()
	to := filepath.Join(t.TempDir(), "new", "out")
	t.Cleanup(func() {
		for _, root := range []string{b.Root, to} {
			os.Chmod(filepath.Join(root, "dir", "deep"), 0o700) // so that it can be removed
		}
	})
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 5})
	if a, b := listing(t, b.Root), listing(t, to); a != b {
		t.Errorf("restored\n%s\nwant\n%s", b, a)
	}
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Equal: 5})
}

// listing gives names, modes, times, targets and sizes.
func listing(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		size := int64(0)
		if info.Mode().IsRegular() {
			size = info.Size()
		}
		target, _ := os.Readlink(name)
		out.WriteString(strings.Join([]string{rel, info.Mode().String(), info.ModTime().String(), target, time.Duration(size).String()}, " ") + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestNothingIsAskedForTwice: without waiting the first call asks, later ones
// find the jobs, whoever asks, and the last one fetches.
func TestNothingIsAskedForTwice(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour})
	for _, name := range []string{"a", "b", "c"} {
		b.Write(name, name)
	}
	b.Write("twin of a", "a")
	b.Sync()
	to := t.TempDir()
	for range 3 {
		res := run(b, options(b, to))
		b.Counts(res.Counts, map[firn.Action]int64{firn.Pending: 4})
		if !res.Pending() || res.Ready.IsZero() {
			t.Errorf("result %+v", res)
		}
		b.Clock.Advance(time.Hour)
	}
	if jobs, err := storetest.Collect(b.Memory.Jobs(t.Context())); err != nil || len(jobs) != 3 {
		t.Errorf("%d jobs, %v, want 3", len(jobs), err)
	}
	b.Clock.Advance(3 * time.Hour)
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 4})
}

// TestWaiting: one command asks, waits and fetches; and asks again for what
// expired meanwhile.
func TestWaiting(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour},
		storetest.Fault{Op: "StartRetrieval", Nth: 2, Kind: firn.Lost, Late: true},
		storetest.Fault{Op: "Output", Nth: 1, Times: 2, Kind: firn.NotFound})
	for _, name := range []string{"a", "b", "c"} {
		b.Write(name, name)
	}
	b.Sync()
	o := options(b, t.TempDir())
	o.Wait = true
	start := b.Clock.Now()
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
	if waited := b.Clock.Now().Sub(start); waited < 5*time.Hour || waited > 24*time.Hour {
		t.Errorf("waited %v", waited)
	}
}

func TestCorruptDownloadsNeverTakeTheName(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("good", "good")
	b.Write("bad", "bad")
	b.Sync()
	for _, a := range b.Memory.Archives() {
		if a.Size == int64(len("bad")) {
			copy(b.Memory.Content(a.ID), "BAD") // the store's disk rots
		}
	}
	to := t.TempDir()
	res := run(b, options(b, to))
	b.Counts(res.Counts, map[firn.Action]int64{firn.Restored: 1, firn.Failed: 1})
	names, err := os.ReadDir(to)
	if err != nil || len(names) != 1 || names[0].Name() != "good" {
		t.Errorf("left there: %v, %v", names, err)
	}
}

func TestExistingFilesStay(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "stored")
	b.Write("dir/b", "stored")
	b.Write("c", "stored")
	b.Sync()
	to := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(to, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "mine!!") // of the same size
	write("dir", "a file where a folder should be")
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Failed: 3, firn.Restored: 1}) // dir, a, dir/b
	if got, _ := os.ReadFile(filepath.Join(to, "a")); string(got) != "mine!!" {
		t.Errorf("a is %q now", got)
	}
}

// TestNothingIsWrittenThroughLinks: a folder on the way that is a link leads
// outside.
func TestNothingIsWrittenThroughLinks(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("dir/a", "stored")
	b.Sync()
	to, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(to, "dir")); err != nil {
		t.Fatal(err)
	}
	if res := run(b, options(b, to)); !res.Failed() {
		t.Errorf("result %+v", res)
	}
	if names, _ := os.ReadDir(outside); len(names) != 0 {
		t.Errorf("written outside: %v", names)
	}
}

func TestPaths(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	b.Write("dir/b", "2")
	b.Write("dir/sub/c", "3")
	b.Sync()
	to := t.TempDir()
	o := options(b, to)
	o.Paths = []string{"dir/sub", "a"}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
	o.Paths = []string{"nothing"}
	if _, err := restore.Run(t.Context(), o); firn.KindOf(err) != firn.NotFound {
		t.Errorf("an unknown path: %v", err)
	}
}

// TestOlderVersions: what a run left comes back as it was, whatever became of it:
// changed, removed, or put in the place of something else.
func TestOlderVersions(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	change := func(fn func(name string) error, paths ...string) {
		t.Helper()
		for _, p := range paths {
			if err := fn(filepath.Join(b.Root, p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	chmod := func(mode fs.FileMode) func(string) error {
		return func(name string) error { return os.Chmod(name, mode) }
	}
	was := map[int64]string{}
	keep := func() {
		t.Helper()
		b.Sync()
		run, err := b.Catalog.RunAt(t.Context(), b.Tree().ID, b.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		was[run.ID] = listing(t, b.Root)
		b.Clock.Advance(time.Hour)
	}
	b.Write("changed", "old")
	b.Write("folder then file/inner/x", "x")
	b.Write("file then folder", "f")
	b.Write("mode alone", "same")
	change(chmod(0o640), "changed", "mode alone")
	keep()
	b.Write("changed", "newer")
	change(os.RemoveAll, "folder then file", "file then folder")
	b.Write("folder then file", "f2")
	b.Write("file then folder/y", "y")
	change(chmod(0o600), "changed", "mode alone")
	keep()
	change(os.Remove, "changed", "mode alone")
	keep()
	if len(was) != 3 {
		t.Fatalf("%d runs", len(was))
	}
	for id, want := range was {
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Runs = map[int64]int64{b.Tree().ID: id}
		if res := run(b, o); res.Failed() {
			t.Errorf("run %d: %+v", id, res)
		}
		if got := listing(t, o.To); got != want {
			t.Errorf("run %d restored\n%s\nwant\n%s", id, got, want)
		}
	}
}

// TestTreesThatWereNotThere: nothing of them comes back, nor is there a hint
// that a path of theirs was.
func TestTreesThatWereNotThere(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	b.Sync()
	o := options(b, t.TempDir())
	o.Runs = map[int64]int64{}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{})
	o.Paths = []string{"a"}
	_, err := restore.Run(t.Context(), o)
	if firn.KindOf(err) != firn.NotFound || !strings.Contains(err.Error(), "restore a: the store had no such file or folder then") {
		t.Errorf("a path that came later: %v", err)
	}
}

// TestOldAndFarTimes: the years that 64 bits of nanoseconds don't reach.
func TestOldAndFarTimes(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	far := time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC)
	name := filepath.Join(b.Root, "a")
	if err := os.Chtimes(name, far, far); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	b.Sync()
	to := t.TempDir()
	run(b, options(b, to))
	got, err := os.Stat(filepath.Join(to, "a"))
	if err != nil || !got.ModTime().Equal(info.ModTime()) {
		t.Errorf("time %v, %v, want %v", got.ModTime(), err, info.ModTime())
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	b.Sync()
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.DryRun = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 1})
	if _, err := os.Stat(o.To); !os.IsNotExist(err) {
		t.Errorf("the target: %v", err)
	}
}

// TestFoldersThatNobodyRecorded: they are made as others are here, and not for
// their owner alone.
func TestFoldersThatNobodyRecorded(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	takeIn(b, empty("dir/deep/file"))
	to, plain := t.TempDir(), filepath.Join(t.TempDir(), "plain")
	if err := os.Mkdir(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 1})
	for _, p := range []string{"dir", "dir/deep"} {
		info, err := os.Stat(filepath.Join(to, p))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want.Mode() {
			t.Errorf("%s: %v, want %v", p, info.Mode(), want.Mode())
		}
	}
}

// empty is an empty file as another program stored it.
func empty(path string) catalog.Find {
	return catalog.Find{
		Archive: firn.Archive{ID: firn.ArchiveID("theirs-" + path), Size: 512}, Kind: catalog.ForeignArchive,
		Members: []catalog.FoundMember{{Tree: "tree", Number: -1, File: firn.File{Path: path, Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1}}},
	}
}
