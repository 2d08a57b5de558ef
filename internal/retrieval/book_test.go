package retrieval

import (
	"testing"
	"time"
	"unsafe"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// entrySize is what an entry takes, in bytes, beside its id and its place in the map:
// a hundred thousand of them are looked after within the budget for memory.
const entrySize = 112

func TestEntriesAreSmall(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size > entrySize {
		t.Errorf("an entry has %d bytes, want %d at most", size, entrySize)
	}
}

// TestOneEntryForEachJob: one that was asked for without a range is the same when the
// store lists it with the range that is all of it, and one that brings a part isn't.
func TestOneEntryForEachJob(t *testing.T) {
	const size = 5 << 20
	asked := firn.Job{ID: "job", Kind: firn.RetrievalJob, State: firn.JobRunning, Archive: "a", ArchiveSize: size, Tier: firn.Bulk, Created: time.Unix(1e9, 5).UTC()}
	listed := asked
	listed.State, listed.Range, listed.Completed = firn.JobReady, firn.Range{End: size}, asked.Created.Add(time.Hour)
	listed.ArchiveTree, listed.RangeTree = treehash.Hash{1}, treehash.Hash{1}
	part := listed
	part.ID, part.Range, part.RangeTree = "part", firn.Range{Start: 1 << 20, End: 2 << 20}, treehash.Hash{2}
	b := newBook(firn.VaultPace)
	for round := range int64(3) {
		b.begin()
		for i, j := range []firn.Job{asked, listed, part} {
			b.add(&j, 10*round+int64(i))
		}
		first, _ := b.jobs.get("a")
		if first == nil || first.next == nil || first.next.next != nil {
			t.Fatalf("round %d: %+v, want two entries", round, first)
		}
		b.sweep()
	}
	if got, _ := b.find(&Want{Remote: "a", Size: size}); got != listed {
		t.Errorf("found %+v, want %+v", got, listed)
	}
	if row := b.waits(&asked); row != 21 {
		t.Errorf("row %d waits, want that of the list", row)
	}
	b.drop(&asked)
	within := firn.Range{Start: 1 << 20, End: 2 << 20}
	if got, _ := b.find(&Want{Remote: "a", Size: size, Range: &within}); got != part {
		t.Errorf("found %+v, want %+v", got, part)
	}
	if got, ok := b.find(&Want{Remote: "a", Size: size}); ok {
		t.Errorf("found %+v, want nothing that brings all", got)
	}
}

// TestJobToldWithoutSize: who fetched what a job brought, such as a restore, tells of it by
// its range, and not of how large its archive is; the catalog waits for it no more.
func TestJobToldWithoutSize(t *testing.T) {
	const size = 5 << 20
	b := newBook(firn.VaultPace)
	b.begin()
	b.add(&firn.Job{ID: "job", Archive: "a", State: firn.JobReady, ArchiveSize: size}, 7)
	if row := b.waits(&firn.Job{ID: "job", Archive: "a", Range: firn.Range{End: size / 5}}); row != 0 {
		t.Errorf("row %d waits for a part, and the job brings all", row)
	}
	if row := b.waits(&firn.Job{ID: "job", Archive: "a", Range: firn.Range{End: size}}); row != 7 {
		t.Errorf("row %d waits, want 7", row)
	}
}
