package reconcile_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// An archive of the test has 3,000 bytes: it is small where up to a MiB goes up
// in one request, and large where 1,000 bytes do.
const (
	size  = 3000
	small = 1 << 20
	large = 1000
)

// A left is what a killed run left open: an intent, recorded as far as the run
// came, and what the store has of it.
type left struct {
	*worktest.Bench
	run    catalog.Run
	intent catalog.Intent
	data   []byte
	single int64
}

func leave(t *testing.T, o storetest.MemoryOptions, single int64) *left {
	t.Helper()
	b := worktest.New(t, o)
	b.Write("file", "x")
	b.Sync() // so that there is a tree
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, b.Tree().ID, "sync")
	if err != nil {
		t.Fatal(err)
	}
	token := firn.NewToken()
	description, err := describe.Encode(describe.Archive{Token: token, Kind: describe.File, Tree: "tree", Path: "left", ModTime: time.Unix(1e9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	l := &left{Bench: b, run: run, data: storetest.Data(7, size), single: single}
	l.intent = catalog.Intent{
		Store: b.Row.ID, Run: run.ID, Token: token, Kind: catalog.FileArchive, Description: description, Tree: b.Tree().ID, Size: size,
		File: firn.File{Path: "left", Kind: firn.Regular, Stamp: firn.Stamp{Size: size, ModTime: time.Unix(1e9, 0)}},
	}
	intents := []catalog.Intent{l.intent}
	if err := b.Catalog.Intend(t.Context(), intents); err != nil {
		t.Fatal(err)
	}
	l.intent = intents[0]
	return l
}

// arrive stores the archive, as if its answer had got lost.
func (l *left) arrive() {
	l.T.Helper()
	body, sums := storetest.Body(l.data)
	if _, err := l.Memory.UploadArchive(l.T.Context(), l.intent.Description, body, sums); err != nil {
		l.T.Fatal(err)
	}
}

// open opens the multipart upload in the store, with its one part.
func (l *left) open() firn.UploadID {
	l.T.Helper()
	id, err := l.Memory.StartUpload(l.T.Context(), l.intent.Description, 1<<20)
	if err != nil {
		l.T.Fatal(err)
	}
	body, sums := storetest.Body(l.data)
	if err := l.Memory.UploadPart(l.T.Context(), id, 0, body, sums); err != nil {
		l.T.Fatal(err)
	}
	return id
}

func (l *left) reconcile() reconcile.Result {
	l.T.Helper()
	res, err := reconcile.Run(l.T.Context(), reconcile.Options{
		Catalog: l.Catalog, Row: l.Row.ID, Store: l.Store, Run: l.run, Tree: l.Tree().ID, Clock: l.Clock, Events: l.Events, Single: l.single,
	})
	if err != nil {
		l.T.Fatal(err)
	}
	return res
}

// current reports whether the catalog has the file, stored.
func (l *left) current() bool {
	l.T.Helper()
	for e, err := range l.Catalog.Files(l.T.Context(), catalog.ListQuery{Tree: l.Tree().ID, Path: "left"}) {
		if err != nil {
			l.T.Fatal(err)
		}
		return e.Location.State == catalog.Stored
	}
	return false
}

// settled fails unless nothing is open any more, and there is one archive of
// the intent, or none.
func (l *left) settled(archives int) {
	l.T.Helper()
	intents, err := l.Catalog.OpenIntents(l.T.Context(), l.Row.ID)
	if err != nil || len(intents) != 0 {
		l.T.Errorf("open intents: %+v, %v", intents, err)
	}
	doubts, err := l.Catalog.Doubts(l.T.Context(), l.Row.ID)
	if err != nil || len(doubts) != 0 {
		l.T.Errorf("doubts: %+v, %v", doubts, err)
	}
	jobs, err := l.Catalog.OpenJobs(l.T.Context(), l.Row.ID)
	if err != nil || len(jobs) != 0 {
		l.T.Errorf("jobs: %+v, %v", jobs, err)
	}
	if got := l.Stored()["left"]; got != archives {
		l.T.Errorf("%d archives, want %d", got, archives)
	}
	if got := l.current(); got != (archives > 0) {
		l.T.Errorf("in the catalog: %v", got)
	}
}

func TestFreshInventoryFindsWhatArrived(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, small)
	l.arrive()
	l.reconcile()
	l.settled(1)
}

func TestFreshInventoryShowsWhatDidNot(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, small)
	l.reconcile()
	l.settled(0)
}

func TestSecondCopyGoes(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, small)
	l.arrive()
	l.arrive()
	l.reconcile()
	l.settled(1)
}

func TestUploadWhoseIDGotLost(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, large)
	id := l.open()
	if _, err := l.Memory.StartUpload(t.Context(), l.intent.Description, 1<<20); err != nil {
		t.Fatal(err) // a repeated request has opened another
	}
	res := l.reconcile()
	if len(res.Resumable) != 1 || res.Resumable[0].Upload == "" || res.Resumable[0].PartSize != 1<<20 {
		t.Fatalf("result %+v", res)
	}
	uploads, err := storetest.Collect(l.Memory.Uploads(t.Context()))
	if err != nil || len(uploads) != 1 || uploads[0].ID != res.Resumable[0].Upload {
		t.Errorf("open in the store: %+v, %v; first was %s", uploads, err, id)
	}
}

func TestUploadThatWasNeverOpened(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, large)
	l.reconcile()
	l.settled(0)
}

func TestUploadThatExpired(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, large)
	id := l.open()
	if err := l.Catalog.UploadOpened(t.Context(), l.intent.ID, id, 1<<20); err != nil {
		t.Fatal(err)
	}
	l.Memory.DropUpload(id)
	l.reconcile()
	l.settled(0)
}

func TestCompletionThatWentUnanswered(t *testing.T) {
	for name, done := range map[string]bool{"it happened": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			l := leave(t, storetest.MemoryOptions{}, large)
			l.completing(done)
			l.reconcile()
			l.settled(1)
		})
	}
}

// completing brings the intent to where completion was asked for.
func (l *left) completing(done bool) {
	l.T.Helper()
	ctx := l.T.Context()
	id, tree := l.open(), treehash.Sum(l.data)
	if err := l.Catalog.UploadOpened(ctx, l.intent.ID, id, 1<<20); err != nil {
		l.T.Fatal(err)
	}
	if err := l.Catalog.UploadCompleting(ctx, l.intent.ID, size, tree); err != nil {
		l.T.Fatal(err)
	}
	if !done {
		return
	}
	if _, err := l.Memory.CompleteUpload(ctx, id, size, tree); err != nil {
		l.T.Fatal(err)
	}
}

// TestLargeInDoubtWaits: with lagging inventories a large archive is not sent
// twice. It waits, and an inventory dated after the doubt tells.
func TestLargeInDoubtWaits(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour}, large)
	if err := l.Catalog.Doubtful(t.Context(), l.intent.ID, l.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	l.arrive() // not visible yet
	if res := l.reconcile(); len(res.Pending) != 1 {
		t.Fatalf("at once: %+v", res)
	}
	l.Clock.Advance(30 * time.Hour)
	if res := l.reconcile(); len(res.Pending) != 1 {
		t.Fatalf("while the inventory is prepared: %+v", res)
	}
	l.Clock.Advance(5 * time.Hour)
	l.reconcile()
	l.settled(1)
}

// TestLargeThatNeverArrived: nothing changed in the store, so its inventory
// keeps its old date; after some days that tells enough.
func TestLargeThatNeverArrived(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour}, large)
	l.Clock.Advance(48 * time.Hour) // the inventory has seen all that there is
	if err := l.Catalog.Doubtful(t.Context(), l.intent.ID, l.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		l.Clock.Advance(20 * time.Hour)
		l.reconcile()
	}
	l.settled(0)
}

// TestOldInventoryDecidesNothing: one dated before the attempt can't tell.
func TestOldInventoryDecidesNothing(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour}, small)
	l.Clock.Advance(30 * time.Hour) // there is an inventory, without the archive
	l.arrive()
	res := l.reconcile()
	if len(res.Resumable) != 1 || res.Resumable[0].State != catalog.Doubt {
		t.Errorf("result %+v", res)
	}
}

func TestNothingOpenAsksNothing(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	faults := []storetest.Fault{{Op: "Uploads", Times: -1, Kind: firn.Denied}}
	store := storetest.NewFaults(t, faults...).Store(b.Memory)
	res, err := reconcile.Run(t.Context(), reconcile.Options{Catalog: b.Catalog, Row: b.Row.ID, Store: store, Clock: b.Clock, Events: firn.Discard, Single: small})
	if err != nil || len(res.Pending)+len(res.Resumable) != 0 {
		t.Errorf("result %+v, %v", res, err)
	}
	for range store.Uploads(t.Context()) { // so that the planned fault does strike
		break
	}
}
