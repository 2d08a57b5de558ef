package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestJobTotals: the oldest of each sort counts, by the store's clock where that
// is known.
func TestJobTotals(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	ask := func(kind firn.JobKind, tier firn.Tier) int64 {
		t.Helper()
		id, err := f.JobIntent(ctx, catalog.Job{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Remote: firn.Job{Kind: kind, Tier: tier}})
		check(t, err)
		f.clock.Advance(time.Hour)
		return id
	}
	ask(firn.RetrievalJob, firn.Bulk)
	running := ask(firn.RetrievalJob, firn.Bulk)
	check(t, f.JobStarted(ctx, running, "job-1"))
	seen := func(remote string, state firn.JobState, created time.Time) {
		t.Helper()
		_, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, firn.Job{ID: firn.JobID(remote), Kind: firn.RetrievalJob, Tier: firn.Bulk, State: state, Created: created})
		check(t, err)
	}
	seen("job-2", firn.JobRunning, epoch.Add(-time.Hour))
	seen("job-3", firn.JobReady, epoch)
	seen("job-4", firn.JobFailed, epoch)
	ask(firn.InventoryJob, "")
	got, err := f.JobTotals(ctx, f.store.ID)
	check(t, err)
	whole := epoch.UTC().Truncate(time.Second)
	want := []catalog.JobTotal{
		{Kind: firn.InventoryJob, State: catalog.JobIntended, Jobs: 1, Oldest: whole.Add(2 * time.Hour)},
		{Kind: firn.RetrievalJob, Tier: firn.Bulk, State: catalog.JobIntended, Jobs: 1, Oldest: whole},
		{Kind: firn.RetrievalJob, Tier: firn.Bulk, State: catalog.JobRunning, Jobs: 2, Oldest: whole.Add(-time.Hour)},
		{Kind: firn.RetrievalJob, Tier: firn.Bulk, State: catalog.JobReady, Jobs: 1, Oldest: whole},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if other, err := f.JobTotals(ctx, f.store.ID+1); err != nil || len(other) > 0 {
		t.Errorf("of another store: %v, %v", other, err)
	}
}

func TestUnnamed(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	run, err := f.BeginRun(ctx, f.store.ID, 0, "adopt")
	check(t, err)
	var finds []catalog.Find
	for i := range 3 {
		finds = append(finds, catalog.Find{Kind: catalog.ForeignArchive, Archive: firn.Archive{ID: firn.ArchiveID(fmt.Sprint("a", i)), Size: 10, Description: "?"}})
	}
	finds[0].Members = []catalog.FoundMember{{Tree: "v", File: firn.File{Path: "known", Kind: firn.Regular}, Content: firn.Content{Size: 10}}}
	_, err = f.TakeIn(ctx, run, finds)
	check(t, err)
	if n, err := f.Unnamed(ctx, f.store.ID); err != nil || n != 2 {
		t.Errorf("%d unnamed, %v", n, err)
	}
	finds[1].Members = finds[0].Members
	finds[1].Members[0].Path = "known too"
	_, err = f.TakeIn(ctx, run, finds[1:2])
	check(t, err)
	if n, err := f.Unnamed(ctx, f.store.ID); err != nil || n != 1 {
		t.Errorf("%d unnamed once a name is known, %v", n, err)
	}
}

// BenchmarkJobTotals is what firn status takes for a hundred thousand jobs.
func BenchmarkJobTotals100k(b *testing.B) {
	f := newFixture(b)
	check(b, f.Exec(b.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
		INSERT INTO job (store, run, kind, state, tier, asked, asked_ns, remote, created) SELECT ?, 1, 'retrieval', 2, 'bulk', 1700000000 + i, 0, hex(randomblob(46)), 1700000000 + i FROM n`, f.store.ID))
	for b.Loop() {
		if _, err := f.JobTotals(b.Context(), f.store.ID); err != nil {
			b.Fatal(err)
		}
	}
}
