package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
)

// recentJobs is how many jobs of an instant store are remembered, for files of
// one content: they mostly lie near each other.
const recentJobs = 4096

// A jobBook knows which archives are being asked for. What is ours stands in
// the catalog, not here.
type jobBook struct {
	// asking holds off a second file of one archive while the first asks.
	asking [64]sync.Mutex
	// others are jobs that the store lists and the catalog doesn't wait for:
	// other programs', other machines', and those that are fetched already.
	others map[firn.ArchiveID]firn.Job

	mu     sync.Mutex
	recent map[int64]firn.JobID // of an instant store, by archive
	have   map[int64]struct{}   // archives of which a file is in place
	lack   map[int64]struct{}   // archives of which a file is not
}

func newJobBook() *jobBook {
	return &jobBook{recent: map[int64]firn.JobID{}, have: map[int64]struct{}{}, lack: map[int64]struct{}{}}
}

// settle notes whether a file of the archive is in place.
func (b *jobBook) settle(archive int64, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if there {
		b.have[archive] = struct{}{}
	} else {
		b.lack[archive] = struct{}{}
	}
}

// done reports whether all files of the archive that were asked for are there.
func (b *jobBook) done(archive int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, have := b.have[archive]
	_, lack := b.lack[archive]
	return have && !lack
}

// close records of the jobs that are no longer needed that they are gone.
func (b *jobBook) close(ctx context.Context, r *restorer) error {
	return retrieval.Forget(ctx, r.Catalog, r.Row.ID, "fetched", func(j *catalog.Job) bool {
		return j.State == catalog.JobReady && isWhole(&j.Remote) && b.done(j.Archive)
	})
}

// isWhole reports whether a job brings a whole archive.
func isWhole(j *firn.Job) bool {
	return j.Kind == firn.RetrievalJob && (j.Range == firn.Range{} || j.Range == firn.Range{End: j.ArchiveSize})
}

// listJobs reads the store's list of jobs, whoever started them.
func (r *restorer) listJobs(ctx context.Context) error {
	r.book.others = map[firn.ArchiveID]firn.Job{}
	from := retrieval.Options{Catalog: r.Catalog, Row: r.Row.ID, Store: r.Store, Clock: r.Clock}
	_, err := retrieval.Update(ctx, from, func(j retrieval.Listed) {
		if j.Row == 0 {
			r.book.other(j.Job)
		}
	})
	return err
}

// other keeps a job that the catalog doesn't wait for, the best of each archive.
func (b *jobBook) other(job firn.Job) {
	if !isWhole(&job) || job.State == firn.JobFailed {
		return
	}
	if have, ok := b.others[job.Archive]; !ok || have.State != firn.JobReady {
		b.others[job.Archive] = job
	}
}

var errRunning = &firn.Error{Op: "retrieve", Kind: firn.NotReady, Err: errors.New("the store is getting it ready")}

// job gives the ready job that brings an item's archive, and starts one if
// there is none. It gives NotReady while the job runs.
func (r *restorer) job(ctx context.Context, it item) (catalog.Job, error) {
	asking := &r.book.asking[uint64(it.loc.Archive)%uint64(len(r.book.asking))]
	asking.Lock()
	defer asking.Unlock()
	if !r.slow {
		return r.instantJob(ctx, it)
	}
	job, ok, err := r.findJob(ctx, it)
	if err != nil {
		return job, err
	}
	if !ok {
		if err := r.startRecorded(ctx, it); err != nil {
			return job, err
		}
		job = catalog.Job{State: catalog.JobRunning, Asked: r.Clock.Now(), Remote: firn.Job{Tier: r.Tier}}
	}
	if job.State != catalog.JobReady {
		r.expect(&job)
		return job, errRunning
	}
	return job, nil
}

// instantJob gives a job of a store where jobs are ready at once and cost
// nothing: looking for one costs more than asking, and one that nobody
// remembers does no harm.
func (r *restorer) instantJob(ctx context.Context, it item) (job catalog.Job, err error) {
	b := r.book
	b.mu.Lock()
	job.Remote.ID = b.recent[it.loc.Archive]
	b.mu.Unlock()
	if job.Remote.ID != "" {
		return job, nil
	}
	if job.Remote.ID, err = r.start(ctx, it, firn.NewToken()); err != nil {
		return job, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.recent) == recentJobs {
		clear(b.recent)
	}
	b.recent[it.loc.Archive] = job.Remote.ID
	return job, nil
}

// findJob looks for a job that brings an item's archive: ready ones first.
func (r *restorer) findJob(ctx context.Context, it item) (best catalog.Job, ok bool, err error) {
	jobs, err := r.Catalog.JobsOf(ctx, it.loc.Archive)
	if err != nil {
		return best, false, err
	}
	r.book.mu.Lock()
	other, there := r.book.others[it.loc.Remote]
	r.book.mu.Unlock()
	if there {
		state := catalog.JobRunning
		if other.State == firn.JobReady {
			state = catalog.JobReady
		}
		jobs = append(jobs, catalog.Job{State: state, Asked: other.Created, Remote: other})
	}
	for _, j := range jobs {
		if isWhole(&j.Remote) && (!ok || j.State == catalog.JobReady && best.State != catalog.JobReady) {
			best, ok = j, true
		}
	}
	return best, ok, nil
}

// expired drops a job whose output is gone.
func (r *restorer) expired(ctx context.Context, it item, job catalog.Job) error {
	if job.ID != 0 {
		return r.Catalog.JobGone(ctx, job.ID, "its output expired")
	}
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	if r.book.others[it.loc.Remote].ID == job.Remote.ID {
		delete(r.book.others, it.loc.Remote)
	}
	if r.book.recent[it.loc.Archive] == job.Remote.ID {
		delete(r.book.recent, it.loc.Archive)
	}
	return nil
}

func (r *restorer) start(ctx context.Context, it item, token firn.Token) (firn.JobID, error) {
	return r.Store.StartRetrieval(ctx, firn.RetrievalSpec{
		Archive: it.loc.Remote, Tier: r.Tier, Description: describe.Job(token, "restore"),
	})
}

// startRecorded records the intent before it asks, and the outcome after.
func (r *restorer) startRecorded(ctx context.Context, it item) error {
	token := firn.NewToken()
	row, err := r.Catalog.JobIntent(ctx, catalog.Job{
		Store: r.Row.ID, Token: token, Archive: it.loc.Archive,
		Remote: firn.Job{Kind: firn.RetrievalJob, Archive: it.loc.Remote, Tier: r.Tier},
	})
	if err != nil {
		return err
	}
	id, err := r.start(ctx, it, token)
	// What the store did is recorded even if the user wants no more.
	record := context.WithoutCancel(ctx)
	switch {
	case err == nil:
		return r.Catalog.JobStarted(record, row, id)
	case firn.KindOf(err) == firn.Lost:
		return err // if it was started, the list of jobs shows it
	}
	if gone := r.Catalog.JobGone(record, row, err.Error()); gone != nil {
		return fmt.Errorf("%w (and its outcome could not be recorded: %w)", err, gone)
	}
	return err
}

// expect remembers when the first of the running jobs may be done.
func (r *restorer) expect(job *catalog.Job) {
	running := job.Remote
	if running.Created.IsZero() {
		running.Created = job.Asked
	}
	at := retrieval.Expected(running)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready.IsZero() || at.Before(r.ready) {
		r.ready = at
	}
}
