package catalog_test

import (
	"fmt"
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
	if jobs := f.openJobs(t); len(jobs) != 1 || jobs[0].ID != id || jobs[0].Archive != loc.Archive || jobs[0].Remote.Archive != remote {
		t.Errorf("%+v", jobs)
	}
}

// runningJob is what a store says of a job.
func runningJob(id string) firn.Job {
	return firn.Job{ID: firn.JobID(id), Kind: firn.RetrievalJob, State: firn.JobRunning, Created: epoch, Tier: firn.Bulk, Archive: "some"}
}

// TestManyJobs are recorded together, and read by pages while others are written.
func TestManyJobs(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(3, 4, 2)
	ctx := t.Context()
	var seen []catalog.SeenJob
	for i := range 10 {
		seen = append(seen, catalog.SeenJob{Token: firn.NewToken(), Job: runningJob(fmt.Sprint("job-", i))})
	}
	check(t, f.JobsSeen(ctx, f.store.ID, seen))
	check(t, f.JobsSeen(ctx, f.store.ID, nil))
	for i := range seen {
		seen[i].Job.State = firn.JobReady
	}
	check(t, f.JobsSeen(ctx, f.store.ID, seen)) // the same rows
	jobs := f.openJobs(t)
	if len(jobs) != 10 {
		t.Fatalf("%d jobs", len(jobs))
	}
	var keys []catalog.JobKey
	for k, err := range f.OpenJobKeys(ctx, f.store.ID, jobs[1].ID) {
		check(t, err)
		if keys = append(keys, k); len(keys) == 2 {
			check(t, f.JobGone(ctx, jobs[9].ID, "gone meanwhile"))
			_, err := f.JobIntent(ctx, catalog.Job{Store: f.store.ID, Token: firn.Token{1}, Remote: firn.Job{Kind: firn.InventoryJob}})
			check(t, err)
		}
	}
	if len(keys) != 8 {
		t.Fatalf("%d keys: %+v", len(keys), keys)
	}
	for i, k := range keys[:7] {
		j := &jobs[i+2]
		if want := (catalog.JobKey{ID: j.ID, Kind: firn.RetrievalJob, State: catalog.JobReady, Remote: j.Remote.ID, Token: seen[i+2].Token, Asked: epoch, Seen: true, Tier: j.Remote.Tier}); k != want {
			t.Errorf("%+v, want %+v", k, want)
		}
	}
	if want := (catalog.JobKey{ID: keys[7].ID, Kind: firn.InventoryJob, State: catalog.JobIntended, Token: firn.Token{1}, Asked: epoch}); keys[7] != want {
		t.Errorf("%+v, want %+v", keys[7], want)
	}
	for range f.OpenJobKeys(ctx, f.store.ID, 0) {
		break // whoever has enough may stop
	}
}

// TestJobsGone: all of them, or after an error none.
func TestJobsGone(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	check(t, f.JobsSeen(ctx, f.store.ID, []catalog.SeenJob{{Job: runningJob("a")}, {Job: runningJob("b")}, {Job: runningJob("c")}}))
	jobs := f.openJobs(t)
	wantKind(t, f.JobsGone(ctx, []int64{jobs[0].ID, 99}, "x"), firn.NotFound, "99")
	if left := f.openJobs(t); len(left) != 3 {
		t.Errorf("after an error %d jobs are left", len(left))
	}
	check(t, f.JobsGone(ctx, []int64{jobs[0].ID, jobs[2].ID}, "expired"))
	check(t, f.JobsGone(ctx, nil, "nothing"))
	if left := f.openJobs(t); len(left) != 1 || left[0].Remote.ID != "b" {
		t.Errorf("left: %+v", left)
	}
	read, err := f.Jobs(ctx, []int64{jobs[2].ID, jobs[1].ID})
	check(t, err)
	if len(read) != 2 || read[0].State != catalog.JobGone || read[0].Remote.Message != "expired" || read[1].State != catalog.JobRunning {
		t.Errorf("%+v", read)
	}
	_, err = f.Jobs(ctx, []int64{jobs[1].ID, 99})
	wantKind(t, err, firn.NotFound, "99")
}

// TestJobByRemote: whatever its state, and only of the store.
func TestJobByRemote(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	id, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, runningJob("a"))
	check(t, err)
	check(t, f.JobGone(ctx, id, "gone"))
	for remote, want := range map[firn.JobID]int64{"a": id, "b": 0, "": 0} {
		job, ok, err := f.JobByRemote(ctx, f.store.ID, remote)
		check(t, err)
		if job.ID != want || ok != (want != 0) {
			t.Errorf("%q: %t, %+v", remote, ok, job)
		}
	}
	if _, ok, err := f.JobByRemote(ctx, f.store.ID+1, "a"); ok || err != nil {
		t.Errorf("of another store: %t, %v", ok, err)
	}
}

// TestInventoryEndsItsJob, and no other.
func TestInventoryEndsItsJob(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for _, id := range []string{"a", "b"} {
		job := runningJob(id)
		job.Kind = firn.InventoryJob
		_, err := f.JobSeen(ctx, f.store.ID, firn.Token{}, job)
		check(t, err)
	}
	inv, err := f.BeginInventory(ctx, f.run, f.openJobs(t)[0].ID)
	check(t, err)
	_, err = f.StagedAll(ctx, inv, firn.InventoryInfo{})
	check(t, err)
	check(t, f.EndInventory(ctx, inv))
	if left := f.openJobs(t); len(left) != 1 || left[0].Remote.ID != "b" {
		t.Errorf("left: %+v", left)
	}
	without, err := f.BeginInventory(ctx, f.run, 0)
	check(t, err)
	_, err = f.StagedAll(ctx, without, firn.InventoryInfo{})
	check(t, err)
	check(t, f.EndInventory(ctx, without))
	if left := f.openJobs(t); len(left) != 1 {
		t.Errorf("left: %+v", left)
	}
}

// TestJobsSeenByRow: what is said of a job is recorded wherever its row is known, or
// else found by its id, and what isn't said stays.
func TestJobsSeenByRow(t *testing.T) {
	f, ctx := newFixture(t), t.Context()
	var seen []catalog.SeenJob
	for i := range 300 { // several statements
		job := runningJob(fmt.Sprint("job-", i))
		job.Range = firn.Range{Start: 1 << 20, End: 5 << 20}
		seen = append(seen, catalog.SeenJob{Job: job})
	}
	check(t, f.JobsSeen(ctx, f.store.ID, seen))
	before := f.openJobs(t)
	for i := range seen {
		j := &seen[i].Job
		if j.State, j.Completed, j.Message = firn.JobReady, epoch.Add(time.Hour), "done"; i%2 == 0 {
			seen[i].Row, j.Tier, j.Range = before[i].ID, "", firn.Range{} // not told, by some
		}
		j.ArchiveSize, j.ArchiveTree, j.RangeTree, j.Partial, j.InventorySize = int64(i)<<20, treehash.Hash{1}, treehash.Hash{2}, true, 7
	}
	check(t, f.JobsSeen(ctx, f.store.ID, seen))
	for i, got := range f.openJobs(t) {
		want := before[i]
		want.State = catalog.JobReady
		told := seen[i].Job
		told.Tier, told.Range, told.Archive = want.Remote.Tier, want.Remote.Range, want.Remote.Archive
		if want.Remote = told; got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
}
