package restore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// slow is a store that takes hours.
var slow = storetest.MemoryOptions{JobDelay: 5 * time.Hour, InventoryEvery: 24 * time.Hour}

// retrievals counts the jobs that the store was asked for.
func retrievals(b *worktest.Bench) int {
	b.T.Helper()
	jobs, err := storetest.Collect(b.Memory.Jobs(b.T.Context()))
	must(b.T, err)
	return len(jobs)
}

// TestOverlappingPathsAreRestoredOnce: in one folder there is one temporary
// file for each path, and one download writes to it.
func TestOverlappingPathsAreRestoredOnce(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("docs/a", "a")
	b.Write("docs/sub/b", "b")
	b.Write("docs.txt", "c")
	b.Sync()
	for _, paths := range [][]string{
		{"docs", "docs/a"}, {"docs/a", "docs", "docs"}, {"docs/sub", "docs/a", "docs/sub/b"},
	} {
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Paths = paths
		b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
	}
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Paths = []string{"docs.txt", "docs", ""}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 3})
}

// hooked calls a function before each output is opened.
type hooked struct {
	firn.Store
	output func()
}

func (h *hooked) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	h.output()
	return h.Store.Output(ctx, id, at)
}

// TestASwappedTemporaryFileIsNotNamed: whatever lies at the temporary name in
// the end, only the file that was verified takes the name.
func TestASwappedTemporaryFileIsNotNamed(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "the content")
	b.Sync()
	to := t.TempDir()
	b.Store = &hooked{b.Store, func() {
		names, err := filepath.Glob(filepath.Join(to, ".firn-*.part"))
		if err != nil || len(names) != 1 {
			t.Fatalf("temporary files %q, %v", names, err)
		}
		must(t, os.Remove(names[0]))
		must(t, os.WriteFile(names[0], []byte("unverified"), 0o600))
	}}
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Failed: 1})
	if _, err := os.Lstat(filepath.Join(to, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has the name: %v", err)
	}
}

// TestTwoRestoresToOneFolder: the second is turned away.
func TestTwoRestoresToOneFolder(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "1")
	b.Sync()
	held := errors.New("held")
	o := options(b, filepath.Join(t.TempDir(), "out"))
	var asked []string
	free := 0
	o.Lock = func(dir string) (func() error, error) {
		asked = append(asked, dir)
		if len(asked) > 1 {
			return nil, held
		}
		return func() error { free++; return nil }, nil
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(o.To, link))
	run(b, o)
	o.To = link
	if _, err := restore.Run(t.Context(), o); !errors.Is(err, held) {
		t.Errorf("the second: %v", err)
	}
	if len(asked) != 2 || asked[0] != asked[1] || free != 1 {
		t.Errorf("asked for %q, set %d free", asked, free)
	}
}

// TestInterruptIsNoSuccess: at whatever event it comes, files that are missing
// are an error.
func TestInterruptIsNoSuccess(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, name := range []string{"a", "b", "dir/c", "dir/d"} {
		b.Write(name, name)
	}
	b.Sync()
	for nth := 1; ; nth++ {
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Concurrency = 1
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		seen := 0
		o.Events = func(firn.Event) {
			mu.Lock()
			defer mu.Unlock()
			if seen++; seen == nth {
				cancel()
			}
		}
		res, err := restore.Run(ctx, o)
		if seen < nth {
			must(t, err)
			cancel()
			break
		}
		if !errors.Is(err, context.Canceled) && res.Counts[firn.Restored].Files < 4 {
			t.Errorf("interrupted at event %d: %+v, %v", nth, res.Counts, err)
		}
		if res.Failed() {
			t.Errorf("interrupted at event %d: files are said to have failed: %+v", nth, res.Counts)
		}
	}
}

// TestTargetsOfOthersStayAsTheyAre: only a target that a restore made is given
// the mode and time of what was synced, also where it takes two calls.
func TestTargetsOfOthersStayAsTheyAre(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("a", "1")
	must(t, os.Chmod(b.Root, 0o750))
	b.Sync()
	mine, made := filepath.Join(t.TempDir(), "mine"), filepath.Join(t.TempDir(), "made")
	must(t, os.Mkdir(mine, 0o700))
	for _, to := range []string{mine, made} {
		if res := run(b, options(b, to)); !res.Pending() {
			t.Fatalf("%+v", res)
		}
	}
	b.Clock.Advance(6 * time.Hour)
	for _, to := range []string{mine, made} {
		b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 1})
	}
	if info, err := os.Stat(mine); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a folder that was there: %v, %v", info.Mode(), err)
	}
	if got, want := listing(t, made), listing(t, b.Root); got != want {
		t.Errorf("a folder that was made:\n%s\nwant\n%s", got, want)
	}
}

// TestReadOnlyFoldersTakeTwoCalls: a folder that may not be written to gets its
// mode when all in it is there, and is opened where it has it already.
func TestReadOnlyFoldersTakeTwoCalls(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("dir/a", "1")
	b.Write("dir/sub/b", "2")
	for _, dir := range []string{"dir/sub", "dir"} {
		must(t, os.Chmod(filepath.Join(b.Root, dir), 0o555))
		t.Cleanup(func() { os.Chmod(filepath.Join(b.Root, dir), 0o755) })
	}
	b.Sync()
	to := filepath.Join(t.TempDir(), "out")
	t.Cleanup(func() { os.Chmod(filepath.Join(to, "dir"), 0o755); os.Chmod(filepath.Join(to, "dir/sub"), 0o755) })
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Pending: 2})
	if info, err := os.Stat(filepath.Join(to, "dir")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("while files are pending: %v, %v", info.Mode(), err)
	}
	b.Clock.Advance(6 * time.Hour)
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 2})
	same := func(when string) {
		t.Helper()
		if got, want := listing(t, to), listing(t, b.Root); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", when, got, want)
		}
	}
	same("restored")
	must(t, os.Chmod(filepath.Join(to, "dir/sub"), 0o755))
	must(t, os.Remove(filepath.Join(to, "dir/sub/b")))
	must(t, os.Chmod(filepath.Join(to, "dir/sub"), 0o555))
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 1, firn.Equal: 1})
}

// TestFoldersAboveAPath get their mode and time too.
func TestFoldersAboveAPath(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("d/e/f", "1")
	b.Write("d/other", "2")
	must(t, os.Chmod(filepath.Join(b.Root, "d"), 0o750))
	old := time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)
	must(t, os.Chtimes(filepath.Join(b.Root, "d"), old, old))
	b.Sync()
	for _, paths := range [][]string{{"d/e/f"}, {"d/e"}, {"d/other", "d/e/f"}} {
		o := options(b, filepath.Join(t.TempDir(), "out"))
		o.Paths = paths
		run(b, o)
		for _, p := range []string{".", "d", "d/e"} {
			got, err := os.Stat(filepath.Join(o.To, p))
			must(t, err)
			want, err := os.Stat(filepath.Join(b.Root, p))
			must(t, err)
			if got.Mode() != want.Mode() || !got.ModTime().Equal(want.ModTime()) {
				t.Errorf("%q: %s is %v %v, want %v %v", paths, p, got.Mode(), got.ModTime(), want.Mode(), want.ModTime())
			}
		}
	}
}

// TestLeftoversOfAKillAreTidied: a kill between the link and the removal of the
// temporary name leaves a file with two names.
func TestLeftoversOfAKillAreTidied(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("f", "1")
	b.Sync()
	to := filepath.Join(t.TempDir(), "out")
	run(b, options(b, to))
	const temp = ".firn-252f10c83610ebca.part" // SHA-256 of "f"
	must(t, os.Link(filepath.Join(to, "f"), filepath.Join(to, temp)))
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Equal: 1})
	names, err := os.ReadDir(to)
	if err != nil || len(names) != 1 {
		t.Errorf("left there: %v, %v", names, err)
	}
}

// TestEqualFilesGetTheirMetadata: the content alone is not all that is asked
// for.
func TestEqualFilesGetTheirMetadata(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("dir/f", "1")
	must(t, os.Symlink("f", filepath.Join(b.Root, "dir/link")))
	b.Sync()
	to := filepath.Join(t.TempDir(), "out")
	run(b, options(b, to))
	now := time.Now()
	must(t, os.Chmod(filepath.Join(to, "dir/f"), 0o777))
	must(t, os.Chtimes(filepath.Join(to, "dir/f"), now, now))
	must(t, os.Chmod(filepath.Join(to, "dir"), 0o711))
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Equal: 2})
	if got, want := listing(t, to), listing(t, b.Root); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}

// open gives the jobs that the catalog still waits for, by their states.
func open(b *worktest.Bench) (states []catalog.JobState) {
	b.T.Helper()
	jobs, err := b.Catalog.OpenJobs(b.T.Context(), b.Row.ID)
	must(b.T, err)
	for _, j := range jobs {
		states = append(states, j.State)
	}
	slices.Sort(states)
	return states
}

// TestNoJobIsWaitedForInVain: one that never came to be after a lost answer,
// one that expired unseen, and those whose files are all there.
func TestNoJobIsWaitedForInVain(t *testing.T) {
	b := worktest.New(t, slow, storetest.Fault{Op: "StartRetrieval", Kind: firn.Lost})
	b.Write("f", "1")
	b.Write("g", "2")
	b.Write("twin of g", "2")
	b.Sync()
	to := filepath.Join(t.TempDir(), "out")
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Pending: 3})
	if got := open(b); !slices.Equal(got, []catalog.JobState{catalog.JobIntended, catalog.JobRunning}) {
		t.Fatalf("after a lost answer: %v", got)
	}
	run(b, options(b, to)) // at once: the answer may still be on its way
	if got := retrievals(b); got != 1 {
		t.Errorf("%d jobs, want 1", got)
	}
	b.Clock.Advance(30 * time.Minute)
	run(b, options(b, to))
	if got := open(b); !slices.Equal(got, []catalog.JobState{catalog.JobRunning, catalog.JobRunning}) || retrievals(b) != 2 {
		t.Errorf("when it is known to be lost: %v", got)
	}
	b.Clock.Advance(72 * time.Hour) // all outputs expired
	run(b, options(b, to))
	if got := open(b); len(got) != 2 || retrievals(b) != 2 {
		t.Errorf("expired: %v, %d jobs", got, retrievals(b))
	}
	b.Clock.Advance(6 * time.Hour)
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 3})
	if got := open(b); len(got) != 0 {
		t.Errorf("all is restored, and the catalog waits for %v", got)
	}
	// What is fetched is still there to be read, and isn't asked for again.
	b.Counts(run(b, options(b, filepath.Join(t.TempDir(), "another"))).Counts, map[firn.Action]int64{firn.Restored: 3})
	if got := retrievals(b); got != 2 || len(open(b)) != 0 {
		t.Errorf("%d jobs, waiting for %v", got, open(b))
	}
}

// TestExpiredOutputsAreAskedForAtOnce: pending means that a job is under way.
func TestExpiredOutputsAreAskedForAtOnce(t *testing.T) {
	b := worktest.New(t, slow, storetest.Fault{Op: "Output", Kind: firn.NotFound})
	b.Write("f", "1")
	b.Sync()
	to := filepath.Join(t.TempDir(), "out")
	run(b, options(b, to))
	b.Clock.Advance(6 * time.Hour)
	res := run(b, options(b, to))
	b.Counts(res.Counts, map[firn.Action]int64{firn.Pending: 1})
	if got := retrievals(b); got != 2 || !res.Ready.After(b.Clock.Now()) {
		t.Errorf("%d jobs, ready at %v", got, res.Ready)
	}
	b.Clock.Advance(6 * time.Hour)
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 1})
}

// TestTwinsShareAJob also where jobs cost nothing, and its output may expire.
func TestTwinsShareAJob(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "Output", Nth: 3, Kind: firn.NotFound})
	for _, name := range []string{"a", "b", "c", "d"} {
		b.Write(name, "the same")
	}
	b.Sync()
	o := options(b, t.TempDir())
	o.Concurrency = 1
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 4})
	if got := retrievals(b); got != 2 {
		t.Errorf("%d jobs, want one, and one when it expired", got)
	}
}

// TestWaitingIsForWhatWasThere: a sync in the hours of waiting changes nothing.
func TestWaitingIsForWhatWasThere(t *testing.T) {
	b := worktest.New(t, slow)
	b.Write("dir/removed", "1")
	b.Write("dir/changed", "2")
	b.Sync()
	want := listing(t, b.Root)
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Wait = true
	var once sync.Once
	o.Events = func(e firn.Event) {
		if _, ok := e.(firn.WaitEvent); ok {
			once.Do(func() {
				must(t, os.Remove(filepath.Join(b.Root, "dir/removed")))
				b.Write("dir/changed", "changed")
				b.Sync()
			})
		}
	}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
	if got := listing(t, o.To); got != want {
		t.Errorf("restored\n%s\nwant\n%s", got, want)
	}
}

// TestSeveralTrees each come back in a folder of its name.
func TestSeveralTrees(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("dir/a", "1")
	b.Sync()
	so := b.Options()
	so.Tree, so.Host = "second", "there"
	_, err := syncer.Run(t.Context(), so)
	must(t, err)
	second, err := b.Catalog.Tree(t.Context(), b.Row.ID, "second")
	must(t, err)
	o := options(b, filepath.Join(t.TempDir(), "out"))
	o.Trees = append(o.Trees, second)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2})
	for _, name := range []string{"tree", "second"} {
		if got, want := listing(t, filepath.Join(o.To, name)), listing(t, b.Root); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	names, err := os.ReadDir(o.To)
	if err != nil || len(names) != 2 {
		t.Errorf("in the target: %v, %v", names, err)
	}
}
