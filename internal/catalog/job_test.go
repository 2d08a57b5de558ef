package catalog_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

func (f *fixture) openJobs(tb testing.TB) []catalog.Job {
	tb.Helper()
	jobs, err := f.OpenJobs(tb.Context(), f.store.ID)
	check(tb, err)
	return jobs
}

func TestJob(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	remote := f.upload(t, f.run, regular("f", "content"))
	loc, _, err := f.ArchiveByRemote(ctx, f.store.ID, remote)
	check(t, err)
	want := catalog.Job{
		Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Archive: loc.Archive, State: catalog.JobIntended, Asked: epoch,
		Remote: firn.Job{Kind: firn.RetrievalJob, Tier: firn.Bulk, Archive: remote, Range: firn.Range{Start: 1 << 20, End: 2 << 20}},
	}
	want.ID, err = f.JobIntent(ctx, want)
	step := func(name string, err error) {
		t.Helper()
		check(t, err)
		if diff := gocmp.Diff([]catalog.Job{want}, f.openJobs(t)); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
	}
	step("intended", err)

	want.State, want.Remote.ID, want.Remote.State = catalog.JobRunning, "job-1", firn.JobRunning
	step("started", f.JobStarted(ctx, want.ID, "job-1"))

	want.State = catalog.JobReady
	want.Remote = firn.Job{
		ID: "job-1", Kind: firn.RetrievalJob, State: firn.JobReady, Message: "ok", Created: epoch.Add(1), Completed: epoch.Add(time.Hour),
		Tier: firn.Bulk, Archive: remote, ArchiveSize: 7, ArchiveTree: treehash.Sum([]byte("a")),
		Range: firn.Range{Start: 1 << 20, End: 2 << 20}, RangeTree: treehash.Sum([]byte("r")),
	}
	id, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, want.Remote)
	if id != want.ID {
		t.Errorf("seen as row %d", id)
	}
	step("ready", err)
	of, err := f.JobsOf(ctx, loc.Archive)
	check(t, err)
	if diff := gocmp.Diff([]catalog.Job{want}, of); diff != "" {
		t.Error(diff)
	}

	check(t, f.JobGone(ctx, want.ID, "expired"))
	if jobs := f.openJobs(t); len(jobs) != 0 {
		t.Errorf("after it is gone: %+v", jobs)
	}
	wantKind(t, f.JobGone(ctx, 99, "x"), firn.NotFound, "99")
	wantKind(t, f.JobStarted(ctx, 99, "x"), firn.NotFound, "x")
	_, err = f.JobIntent(ctx, catalog.Job{Store: f.store.ID})
	wantKind(t, err, firn.Invalid, "token")
}

// TestJobFoundByToken: the answer to the request was lost; a listing shows it.
func TestJobFoundByToken(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	token := firn.NewToken()
	row, err := f.JobIntent(ctx, catalog.Job{Store: f.store.ID, Token: token, Remote: firn.Job{Kind: firn.InventoryJob}})
	check(t, err)
	seen := firn.Job{ID: "job-1", Kind: firn.InventoryJob, State: firn.JobRunning, Partial: true}
	if got, err := f.JobSeen(ctx, f.store.ID, token, seen); got != row || err != nil {
		t.Errorf("row %d, %v, want %d", got, err, row)
	}
	// The request was sent twice after all: the second job has its own row.
	seen.ID = "job-2"
	second, err := f.JobSeen(ctx, f.store.ID, token, seen)
	if second == row || err != nil {
		t.Errorf("row %d, %v", second, err)
	}
	// And somebody else's has one.
	seen.ID, seen.InventorySize, seen.State = "job-3", 123, firn.JobReady
	third, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, seen)
	check(t, err)
	jobs := f.openJobs(t)
	if len(jobs) != 3 || jobs[0].Remote.ID != "job-1" || jobs[1].Token != token || jobs[2].ID != third || !jobs[2].Token.IsZero() ||
		jobs[2].Remote.InventorySize != 123 || !jobs[2].Remote.Partial {
		t.Errorf("%+v", jobs)
	}
	// Ids are the store's own: another one may give the same.
	other, err := f.Register(ctx, spec("local:/b", "B"))
	check(t, err)
	if id, err := f.JobSeen(ctx, other.ID, token, seen); err != nil || id == third {
		t.Errorf("another store's job is row %d, %v", id, err)
	}
	seen.State, seen.Message = firn.JobFailed, "no"
	if id, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, seen); id != third || err != nil {
		t.Errorf("row %d, %v", id, err)
	}
	if jobs := f.openJobs(t); len(jobs) != 2 {
		t.Errorf("a failed job is open: %+v", jobs)
	}
}

// TestForeignJobFindsItsArchive: a retrieval that another program asked for.
func TestForeignJobFindsItsArchive(t *testing.T) {
	f := newFixture(t)
	remote := f.upload(t, f.run, regular("f", "content"))
	id, err := f.JobSeen(t.Context(), f.store.ID, firn.Token{}, firn.Job{ID: "theirs", Kind: firn.RetrievalJob, State: firn.JobReady, Archive: remote})
	check(t, err)
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, remote)
	check(t, err)
	jobs, err := f.JobsOf(t.Context(), loc.Archive)
	check(t, err)
	if len(jobs) != 1 || jobs[0].ID != id || jobs[0].Remote.Archive != remote {
		t.Errorf("%+v", jobs)
	}
}
