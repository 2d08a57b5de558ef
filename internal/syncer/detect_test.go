package syncer_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// syncBy syncs with a way to detect changes, an hour after the sync before.
func syncBy(b *worktest.Bench, d plan.Detect) syncer.Result {
	b.T.Helper()
	b.Clock.Advance(time.Hour)
	o := b.Options()
	o.Detect = d
	return run(b, o)
}

func run(b *worktest.Bench, o syncer.Options) syncer.Result {
	b.T.Helper()
	res, err := syncer.Run(b.T.Context(), o)
	if err != nil {
		b.T.Fatal(err)
	}
	return res
}

// recorded gives what the catalog has of a file.
func recorded(b *worktest.Bench, path string) catalog.CurrentFile {
	b.T.Helper()
	for d, err := range b.Catalog.Current(b.T.Context(), b.Tree().ID) {
		if err != nil {
			b.T.Fatal(err)
		}
		for _, f := range d.Files {
			if f.Path == path {
				return f
			}
		}
	}
	b.T.Fatalf("the catalog has no %s", path)
	return catalog.CurrentFile{}
}

func touch(b *worktest.Bench, path string, when time.Time) {
	b.T.Helper()
	if err := os.Chtimes(filepath.Join(b.Root, path), when, when); err != nil {
		b.T.Fatal(err)
	}
}

var later = time.Date(2021, 1, 1, 0, 0, 0, 7000, time.UTC)

// TestTouchedFileByEachDetect: a file of another mtime and the same content is
// recorded, and where its mtime says enough not hashed again.
func TestTouchedFileByEachDetect(t *testing.T) {
	for d, want := range map[plan.Detect]struct{ recorded, again bool }{
		plan.ByTime:        {true, false},
		plan.ByTimeAndHash: {true, false},
		plan.ByHash:        {true, true},
		plan.ByTimeOrHash:  {true, true},
		plan.BySize:        {false, false},
	} {
		t.Run(d.String(), func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			b.Write("a", "content")
			b.Counts(syncBy(b, d).Counts, map[firn.Action]int64{firn.Sent: 1})
			touch(b, "a", later)
			b.Counts(syncBy(b, d).Counts, map[firn.Action]int64{firn.Unchanged: 1})
			was := recorded(b, "a")
			if got := was.Stamp.ModTime.Equal(later); got != want.recorded {
				t.Errorf("recorded time %v", was.Stamp.ModTime)
			}
			b.Counts(syncBy(b, d).Counts, map[firn.Action]int64{firn.Unchanged: 1})
			if again := recorded(b, "a").Read.After(was.Read); again != want.again {
				t.Errorf("hashed again: %t", again)
			}
			if n := len(b.Memory.Archives()); n != 1 {
				t.Errorf("%d archives", n)
			}
		})
	}
}

// TestHiddenChangeByEachDetect: other content of the same size, behind the mtime
// of before.
func TestHiddenChangeByEachDetect(t *testing.T) {
	for d, sent := range map[plan.Detect]int64{
		plan.ByTime: 1, plan.ByHash: 1, plan.ByTimeOrHash: 1, plan.Always: 1,
		plan.ByTimeAndHash: 0, plan.BySize: 0,
	} {
		t.Run(d.String(), func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			b.Write("a", "content")
			syncBy(b, d)
			b.Write("a", "CONTENT")
			b.Counts(syncBy(b, d).Counts, map[firn.Action]int64{firn.Sent: sent, firn.Unchanged: 1 - sent})
		})
	}
}

// TestWhatWasNotReadIsFoundLater: a change that a lesser detection overlooks is
// still one for the default, also where other metadata was recorded meanwhile.
func TestWhatWasNotReadIsFoundLater(t *testing.T) {
	for d, mtime := range map[plan.Detect]bool{plan.BySize: true, plan.ByTimeAndHash: false} {
		t.Run(d.String(), func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			b.Write("a", "content")
			syncBy(b, d)
			b.Write("a", "CONTENT")
			if mtime {
				touch(b, "a", later)
			}
			if err := os.Chmod(filepath.Join(b.Root, "a"), 0o600); err != nil {
				t.Fatal(err)
			}
			b.Counts(syncBy(b, d).Counts, map[firn.Action]int64{firn.Recorded: 1})
			if got := recorded(b, "a"); got.Mode != 0o600 || got.Stamp.ModTime.Equal(later) {
				t.Errorf("recorded %v of %v", got.Mode, got.Stamp.ModTime)
			}
			b.Counts(syncBy(b, d).Counts, map[firn.Action]int64{firn.Unchanged: 1})
			b.Counts(syncBy(b, plan.ByTime).Counts, map[firn.Action]int64{firn.Sent: 1})
		})
	}
}

// TestAlwaysSendsAll: each time, though the store has all of it, twins and new
// files too.
func TestAlwaysSendsAll(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "the same")
	b.Write("b", "the same")
	b.WriteLarge("large", "L")
	b.Counts(syncBy(b, plan.Always).Counts, map[firn.Action]int64{firn.Sent: 3})
	b.Counts(syncBy(b, plan.Always).Counts, map[firn.Action]int64{firn.Sent: 3})
	if n := len(b.Memory.Archives()); n != 6 {
		t.Errorf("%d archives, want 6", n)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 3})
}

// TestHardLinksStaySo: also where nothing but their mode is recorded anew.
func TestHardLinksStaySo(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content")
	if err := os.Link(filepath.Join(b.Root, "a"), filepath.Join(b.Root, "b")); err != nil {
		t.Skip("no hard links here:", err)
	}
	syncBy(b, plan.BySize)
	group := recorded(b, "a").LinkGroup
	if err := os.Chmod(filepath.Join(b.Root, "a"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Counts(syncBy(b, plan.BySize).Counts, map[firn.Action]int64{firn.Recorded: 2})
	if a, b := recorded(b, "a").LinkGroup, recorded(b, "b").LinkGroup; group == 0 || a != group || b != group {
		t.Errorf("groups %d and %d, before %d", a, b, group)
	}
}
