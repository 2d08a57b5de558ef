package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// TestSpoolThatFailsStopsTheRun: large files don't go on for weeks while every
// small one is passed over.
func TestSpoolThatFailsStopsTheRun(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 64<<20)
	for i := range 50 {
		b.Write(fmt.Sprintf("a/f%03d", i), fmt.Sprint("small ", i))
	}
	for i := range 1000 {
		b.Write(fmt.Sprintf("b/f%04d", i), fmt.Sprintf("%2000d", i))
	}
	if err := os.WriteFile(b.Bundling.Spool, nil, 0o600); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	_, err := syncer.Run(t.Context(), b.Options())
	if err == nil || !strings.Contains(err.Error(), "write bundle") {
		t.Errorf("%v", err)
	}
	if n := len(b.Memory.Archives()); n > 500 {
		t.Errorf("%d large files were sent after it", n)
	}
}

// A refusing store takes nothing.
type refusing struct{ firn.Store }

func (refusing) UploadArchive(context.Context, string, *io.SectionReader, treehash.Sums) (firn.ArchiveID, error) {
	return "", &firn.Error{Op: "upload", Kind: firn.Denied, Err: errors.New("no")}
}

// TestWhatHasNoContentIsInABundle, also where the first one never came to be.
func TestWhatHasNoContentIsInABundle(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 64<<20)
	b.Write("d/small", "x")
	b.Write("empty", "")
	if err := os.Symlink("small", filepath.Join(b.Root, "d", "link")); err != nil {
		t.Fatal(err)
	}
	plain := b.Store
	b.Store = refusing{plain}
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatal(err)
	}
	b.Store = plain
	b.Sync()
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 3})
	if got := indexes(b); len(got) != 1 || !slices.Equal(got[0], []string{"empty", "d", "d/link", "d/small"}) {
		t.Errorf("in bundles: %q", got)
	}
}

// TestManyCopiesOfOneContent wait for the bundle that holds it, and are stored
// once, though there are more of them than may wait.
func TestManyCopiesOfOneContent(t *testing.T) {
	if testing.Short() {
		t.Skip("twenty thousand files")
	}
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 64<<20)
	const copies = 21_000
	for i := range copies {
		dir := filepath.Join(b.Root, fmt.Sprintf("d%03d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), []byte("the same"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plain := b.Store
	slow := &held{Store: plain, hold: make(chan struct{})}
	b.Store = slow
	o := b.Options()
	var once sync.Once
	o.Events = func(e firn.Event) {
		if s, ok := e.(firn.ScanEvent); ok && s.Files > copies*3/4 {
			once.Do(func() { close(slow.hold) }) // by then many wait
		}
	}
	go func() { // or nothing goes on until it is let go
		<-slow.first()
		once.Do(func() { close(slow.hold) })
	}()
	if _, err := syncer.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, a := range b.Memory.Archives() {
		size += a.Size
	}
	if n := len(b.Memory.Archives()); n > 3 || size > 2<<20 {
		t.Errorf("%d archives with %d bytes", n, size)
	}
	everyCurrentFileIsStored(b)
}

// A held store takes archives once it is let.
type held struct {
	firn.Store
	hold chan struct{}
	mu   sync.Mutex
	came chan struct{}
}

func (h *held) first() chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.came == nil {
		h.came = make(chan struct{}, 100)
	}
	return h.came
}

func (h *held) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	h.first() <- struct{}{}
	<-h.hold
	return h.Store.UploadArchive(ctx, description, body, sums)
}

// TestLoneFileInDoubtThatChanges: both states are archives, and versions.
func TestLoneFileInDoubtThatChanges(t *testing.T) {
	b := worktest.New(t, lagging, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
	b.Seal()
	b.Write("a", "AAAA")
	b.Store = &meddled{Store: b.Store, describe: func() { rewrite(b, "a", "BBBB") }}
	b.Sync()
	if res := days(b, 5); res.Doubles != 0 || res.Pending() {
		t.Errorf("in the end: %+v", res)
	}
	versions, err := b.Catalog.History(t.Context(), b.Tree().ID, "a")
	stored := 0
	for _, v := range versions {
		if v.Location.State == catalog.Stored {
			stored++
		}
	}
	if n := len(b.Memory.Archives()); n != 2 || stored != 2 || err != nil {
		t.Errorf("%d archives, %d versions, %v", n, stored, err)
	}
	everyCurrentFileIsStored(b)
}

// TestPlanIsEven: what is told to be transferred is what is, after lost answers
// too.
func TestPlanIsEven(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour}, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
	b.Write("a", "some bytes")
	o := b.Options()
	var mu sync.Mutex
	var sum firn.PlanEvent
	o.Events = func(e firn.Event) {
		mu.Lock()
		defer mu.Unlock()
		if p, ok := e.(firn.PlanEvent); ok {
			sum.Files, sum.Bytes = sum.Files+p.Files, sum.Bytes+p.Bytes
		}
	}
	if _, err := syncer.Run(t.Context(), o); err != nil || sum != (firn.PlanEvent{Files: 1, Bytes: 10}) {
		t.Errorf("planned %+v, %v", sum, err)
	}
}

// TestResumedBundlesAreCounted, though another run had made them.
func TestResumedBundlesAreCounted(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 2, Kind: firn.Denied})
	b.Bundle(30<<20, 90<<20)
	for i := range 3 {
		b.Write(fmt.Sprint("f", i), strings.Repeat(fmt.Sprint(i), 29<<20))
	}
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatal(err)
	}
	res := b.Sync()
	if n := res.Counts[firn.Sent].Files; n != 3 {
		t.Errorf("%+v", res.Counts)
	}
}

// TestOtherRecipients: what is stored stays where it is, and what changes goes
// to those who are given now. Nothing is sent that no version would refer to.
func TestOtherRecipients(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 1<<20)
	b.Write("a", "stays")
	b.Write("b", "changes")
	b.Write("large", strings.Repeat("stays ", 1000))
	b.Seal()
	b.Sync()
	before := len(b.Memory.Archives())
	b.Seal() // others
	b.Write("b", "has changed")
	b.Counts(syncBy(b, plan.ByHash).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 2})
	if n := len(b.Memory.Archives()); n != before+1 {
		t.Errorf("%d archives, want %d", n, before+1)
	}
	everyCurrentFileIsStored(b)
	b.Seal()
	o := b.Options()
	o.Detect = plan.Always
	if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Conflict {
		t.Errorf("all of it for others: %v", err)
	}
	b.Recipients = nil
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Conflict {
		t.Errorf("in the clear: %v", err)
	}
}
