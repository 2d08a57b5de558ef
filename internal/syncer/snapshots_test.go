package syncer_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// A slowLine is a store to which a file takes some hours. While one is on its
// way that is due to wait for a snapshot it does, as a slow line would.
type slowLine struct {
	firn.Store
	clock interface{ Advance(time.Duration) }
	takes time.Duration

	mu    sync.Mutex
	came  *sync.Cond
	since time.Duration // of uploads, since the last snapshot
	order []string      // what came and went: a path, "snapshot", "delete"
}

func newSlowLine(b *worktest.Bench, takes time.Duration) *slowLine {
	l := &slowLine{Store: b.Store, clock: b.Clock, takes: takes}
	l.came = sync.NewCond(&l.mu)
	b.Store = l
	return l
}

func (l *slowLine) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := describe.Decode(description)
	id, err := l.Store.UploadArchive(ctx, description, body, sums)
	if d.Kind == describe.Snapshot {
		l.order = append(l.order, "snapshot")
		l.since = 0
		l.came.Broadcast()
		return id, err
	}
	l.clock.Advance(l.takes)
	l.order = append(l.order, d.Path)
	for l.since += l.takes; l.since > 30*time.Hour; {
		l.came.Wait() // it was due a while ago: now it must come, beside this upload
	}
	return id, err
}

func (l *slowLine) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	l.mu.Lock()
	l.order = append(l.order, "delete")
	l.mu.Unlock()
	return l.Store.DeleteArchive(ctx, id)
}

// TestSnapshotsOfALongRun: a first sync of ten days puts the catalog into the
// store each day, and goes on meanwhile.
func TestSnapshotsOfALongRun(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	line := newSlowLine(b, time.Hour)
	for i := range 240 {
		b.Write(fmt.Sprintf("%03d", i), fmt.Sprint("content ", i))
	}
	maker := b.Snapshots()
	o := b.Options()
	o.Concurrency = 1
	began := b.Clock.Now()
	res, err := b.SyncWith(o)
	if err != nil {
		t.Fatal(err)
	}
	if days := b.Clock.Now().Sub(began); days < 240*time.Hour {
		t.Fatalf("it took %v", days)
	}
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 240})
	known, err := b.Catalog.Snapshots(t.Context(), b.Row.ID)
	if err != nil || len(known) < 8 || len(known) > 10 {
		t.Fatalf("%d snapshots, %v", len(known), err)
	}
	for _, s := range known {
		if s.Through != 0 || s.Base != 0 {
			t.Errorf("snapshot %d of a run that goes on adds to %d, and has run %d whole", s.Seq, s.Base, s.Through)
		}
	}
	if due, err := maker.Due(t.Context()); !due || err != nil {
		t.Errorf("in the end: %t, %v", due, err)
	}
	if err := maker.Make(t.Context(), res.Run); err != nil {
		t.Fatal(err)
	}
	if said := b.Notices(); len(said) > 0 {
		t.Errorf("said %q", said)
	}
	order := line.order
	for order[len(order)-1] == "delete" { // of those that it takes the place of
		order = order[:len(order)-1]
	}
	if last := order[len(order)-1]; last != "snapshot" {
		t.Errorf("the last was %s", last)
	}
}

// TestShortRunMakesNone: what is soon done leaves it to the end of the command.
func TestShortRunMakesNone(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	newSlowLine(b, time.Hour)
	for i := range 20 {
		b.Write(fmt.Sprint(i), fmt.Sprint("content ", i))
	}
	b.Snapshots()
	b.Sync()
	if known, err := b.Catalog.Snapshots(t.Context(), b.Row.ID); err != nil || len(known) != 0 {
		t.Errorf("%+v, %v", known, err)
	}
}

// TestSnapshotThatFailsMidway: it is said, and the run goes on.
func TestSnapshotThatFailsMidway(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for i := range 3 {
		b.Write(fmt.Sprint(i), fmt.Sprint("content ", i))
	}
	o := b.SnapshotOptions()
	denied := &firn.Error{Op: "lock", Kind: firn.Denied}
	o.Lock = func() (func(), error) { return nil, denied }
	b.Maker = snapshot.NewMaker(o)
	b.Clock.Advance(25 * time.Hour) // it goes on since yesterday
	res := b.Sync()
	b.Counts(res.Counts, map[firn.Action]int64{firn.Sent: 3})
	if res.Failed() {
		t.Error("the run failed")
	}
	if said := b.Notices(); len(said) != 1 || !strings.HasPrefix(said[0], "warning: save the catalog in memory:: ") {
		t.Errorf("said %q", said)
	}
}

// TestSnapshotBeforeDeletions: a mirror saves the catalog first, and deletes
// nothing where it can't; the next one does.
func TestSnapshotBeforeDeletions(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	mirror := func(o syncer.Options) syncer.Result {
		t.Helper()
		o.Modes = syncer.Modes{New: true, ReplaceModified: true, DeleteRemoved: true}
		res, err := b.SyncWith(o)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	b.Write("a", "first")
	b.Write("same", "same")
	b.Snapshots()
	mirror(b.Options())
	if got := b.Stored(); len(got) != 2 {
		t.Fatalf("nothing was to be deleted, and there is %v", got)
	}
	b.Write("a", "another one")
	o := b.SnapshotOptions()
	denied := &firn.Error{Op: "lock", Kind: firn.Denied}
	o.Lock = func() (func(), error) { return nil, denied }
	options := b.Options()
	options.Snapshots = snapshot.NewMaker(o)
	res := mirror(options)
	if !res.LetGo.Unsaved || res.LetGo.Deleted.Files != 0 || res.LetGo.Waiting.Files != 1 || !res.Failed() || b.Stored()["a"] != 2 {
		t.Errorf("without a snapshot: %+v, and there is %v", res.LetGo, b.Stored())
	}
	if said := b.Notices(); len(said) != 1 || !strings.HasPrefix(said[0], "warning: nothing is deleted: save the catalog") {
		t.Errorf("said %q", said)
	}
	line := newSlowLine(b, time.Minute)
	b.Snapshots()
	res = mirror(b.Options())
	if res.LetGo.Unsaved || res.LetGo.Deleted.Files != 1 || res.Failed() || b.Stored()["a"] != 1 {
		t.Errorf("with one: %+v, and there is %v", res.LetGo, b.Stored())
	}
	if got := strings.Join(line.order, " "); got != "snapshot delete" {
		t.Errorf("what came and went: %s", got)
	}
}
