package syncer_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

func TestOnlyWhatChangedIsSent(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "first")
	b.Write("dir/b", "second")
	b.Write("empty", "")
	b.WriteLarge("large", "L")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 3, firn.Recorded: 1})
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 4})
	b.Write("a", "changed")
	b.Write("dir/c", "new")
	if err := os.Remove(filepath.Join(b.Root, "empty")); err != nil {
		t.Fatal(err)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 2, firn.Removed: 1, firn.Unchanged: 2})
	want := map[string]int{"a": 2, "dir/b": 1, "dir/c": 1, "large": 1}
	if got := b.Stored(); !maps.Equal(got, want) {
		t.Errorf("stored %v, want %v", got, want)
	}
}

// TestTouchedFileIsHashedOnce: another time and inode, the same content.
func TestTouchedFileIsHashedOnce(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content")
	b.Sync()
	now := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(b.Root, "a"), now, now); err != nil {
		t.Fatal(err)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 1})
	for e, err := range b.Catalog.Current(t.Context(), b.Tree().ID) {
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Files[0].Stamp.ModTime; !got.Equal(now) {
			t.Errorf("recorded time %v, want %v", got, now)
		}
	}
	if got := b.Stored(); got["a"] != 1 {
		t.Errorf("stored %v", got)
	}
}

func TestContentIsStoredOnce(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		b.Write(name, "the same in all")
	}
	b.WriteLarge("large1", "L")
	b.WriteLarge("large2", "L")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 2, firn.Recorded: 5})
	if n := len(b.Memory.Archives()); n != 2 {
		t.Errorf("%d archives, want 2", n)
	}
}

func TestFileAndFolderChangePlaces(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("x", "a file")
	b.Write("y/inside", "in a folder")
	b.Sync()
	for _, name := range []string{"x", "y"} {
		if err := os.RemoveAll(filepath.Join(b.Root, name)); err != nil {
			t.Fatal(err)
		}
	}
	b.Write("x/inside", "now a folder")
	b.Write("y", "now a file")
	b.Sync()
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 2})
	var paths []string
	for d, err := range b.Catalog.Current(t.Context(), b.Tree().ID) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Files {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) != 2 || paths[0] != "y" || paths[1] != "x/inside" {
		t.Errorf("current: %q", paths)
	}
}

func TestDescriptionsNameTheFiles(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("dir/a", "1")
	b.Write("bad\xff", "2")
	b.Sync()
	for _, a := range b.Memory.Archives() {
		d := describe.Decode(a.Description)
		if d.Path != "dir/a" && d.Path != "bad\xff" || d.Tree != "tree" || !d.HasMode || d.ModTime.Nanosecond() != 6000 || d.Token.IsZero() {
			t.Errorf("%s says %+v", a.Description, d)
		}
	}
}

func TestOneBadFileStopsOnlyItself(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("as root every file can be read: a file that the store refuses stands in")
	}
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Invalid})
	for _, name := range []string{"a", "b", "c", "d"} {
		b.Write(name, name)
	}
	o := b.Options()
	o.Concurrency = 1
	res, err := syncer.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 3, firn.Failed: 1})
	if !res.Failed() {
		t.Error("the result doesn't say that a file failed")
	}
	if got := b.Files(firn.Failed); len(got) != 1 {
		t.Errorf("named as failed: %v", got)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 3})
}

// TestLostAnswerLeavesOneArchive: where inventories are fresh the answer is
// looked up before anything is sent again.
func TestLostAnswerLeavesOneArchive(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{},
		storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Lost, Late: true},
		storetest.Fault{Op: "StartUpload", Kind: firn.Lost, Late: true},
		storetest.Fault{Op: "CompleteUpload", Kind: firn.Lost, Late: true})
	for _, name := range []string{"a", "b", "c"} {
		b.Write(name, name)
	}
	b.WriteLarge("large", "L")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 4})
	want := map[string]int{"a": 1, "b": 1, "c": 1, "large": 1}
	if got := b.Stored(); !maps.Equal(got, want) {
		t.Errorf("stored %v, want %v", got, want)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 4})
}

// TestLostAnswerBeforeItArrived: the archive never came to be, and is sent.
func TestLostAnswerBeforeItArrived(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost})
	b.Write("a", "a")
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1})
	if got := b.Stored(); got["a"] != 1 {
		t.Errorf("stored %v", got)
	}
}

// TestLaggingInventory: a small file is sent again at once, and its double goes
// with an inventory that shows both.
func TestLaggingInventory(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour},
		storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
	b.Write("a", "a")
	res := b.Sync()
	if res.Doubles != 1 || res.Failed() || res.Pending() {
		t.Fatalf("result %+v", res)
	}
	if got := b.Stored(); got["a"] != 2 {
		t.Fatalf("stored %v", got)
	}
	for range 4 { // inventories come, and jobs that list them
		b.Clock.Advance(25 * time.Hour)
		b.Sync()
		b.Clock.Advance(5 * time.Hour)
		res = b.Sync()
	}
	if got := b.Stored(); got["a"] != 1 || res.Doubles != 0 {
		t.Errorf("in the end stored %v, %d doubles", got, res.Doubles)
	}
}

func TestNameIsBoundToItsDirectory(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	b.Sync()
	o := b.Options()
	o.Root = t.TempDir()
	if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Conflict {
		t.Errorf("another directory: %v", err)
	}
	o = b.Options()
	o.Host = "elsewhere"
	if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Conflict {
		t.Errorf("another machine: %v", err)
	}
}

func TestEmptiedTreeIsRefused(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	b.Sync()
	if err := os.Remove(filepath.Join(b.Root, "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Conflict {
		t.Errorf("an emptied tree: %v", err)
	}
	o := b.Options()
	o.ExpectChanges = true
	res, err := syncer.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Removed: 1})
}

// TestInterruptedGoesOn: whatever was open when the run was interrupted is gone
// on with, and the upload of a file that is gone is aborted.
func TestInterruptedGoesOn(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 3, Kind: firn.Denied})
	b.WriteLarge("large", "L")
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatalf("first run: %v", err)
	}
	if in, err := b.Catalog.OpenIntents(t.Context(), b.Row.ID); err != nil || len(in) != 1 || in[0].Upload == "" {
		t.Fatalf("open: %+v, %v", in, err)
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1})
	if got := b.Stored(); got["large"] != 1 {
		t.Errorf("stored %v", got)
	}
}

func TestUploadOfAVanishedFileIsAborted(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 3, Kind: firn.Denied})
	b.Write("stays", "a")
	b.WriteLarge("large", "L")
	if _, err := syncer.Run(t.Context(), b.Options()); err == nil {
		t.Fatal("the first run went through")
	}
	if err := os.Remove(filepath.Join(b.Root, "large")); err != nil {
		t.Fatal(err)
	}
	b.Sync()
	if got := b.Stored(); got["large"] != 0 { // and no upload is open
		t.Errorf("stored %v", got)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	b.Write("empty", "")
	o := b.Options()
	o.DryRun = true
	res, err := syncer.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 1, firn.Recorded: 1})
	if n := len(b.Memory.Archives()); n != 0 {
		t.Errorf("%d archives", n)
	}
	if _, err := b.Catalog.Tree(t.Context(), b.Row.ID, "tree"); firn.KindOf(err) != firn.NotFound {
		t.Errorf("the tree was bound: %v", err)
	}
	b.Sync()
	b.Write("a", "b")
	b.Write("new", "n")
	if res, err = syncer.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 2, firn.Unchanged: 1})
}

// TestWorkStartsWhileTheScanRuns: the first archive is stored long before the
// last file is seen.
func TestWorkStartsWhileTheScanRuns(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for i := range 300 {
		b.Write(fmt.Sprintf("dir%d/file", i), fmt.Sprint(i))
	}
	o := b.Options()
	sent, early := 0, 0
	var mu sync.Mutex
	o.Events = func(e firn.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e := e.(type) {
		case firn.FileEvent:
			sent++
		case firn.ScanEvent:
			if e.Done {
				early = sent
			}
		}
	}
	if _, err := syncer.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if sent != 300 || early < 200 {
		t.Errorf("%d of %d files were stored when the scan ended", early, sent)
	}
}

func TestCancelledRunSaysSo(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := syncer.Run(ctx, b.Options()); err == nil {
		t.Error("a cancelled run went through")
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1})
}

// TestFileThatVanishes: between the scan and its turn. The line says so, and the
// rest goes on.
func TestFileThatVanishes(t *testing.T) {
	for _, below := range []int64{0, 1 << 20} {
		b := worktest.New(t, storetest.MemoryOptions{})
		if below > 0 {
			b.Bundle(below, 4<<20)
		}
		b.Write("a", "first")
		b.Write("b/vanishes", "second")
		b.Write("c", "third")
		o := b.Options()
		var told error
		o.Events = func(e firn.Event) {
			switch e := e.(type) {
			case firn.ScanEvent:
				if e.Files == 3 { // it was seen, and nothing was done about it yet
					os.RemoveAll(filepath.Join(b.Root, "b"))
				}
			case firn.FileEvent:
				if e.Err != nil {
					told = e.Err
				}
			}
		}
		o.Concurrency = 1
		res, err := syncer.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 2, firn.Failed: 1})
		if told == nil || !strings.Contains(told.Error(), "no such file or directory; it was there when its folder was read") {
			t.Errorf("told %v", told)
		}
	}
}
