package restore

import (
	"context"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
)

// earliest is the shortest time in which each tier has been delivered. Source:
// Amazon Glacier developer guide, "Archive retrieval options".
var earliest = map[firn.Tier]time.Duration{
	firn.Expedited: time.Minute,
	firn.Standard:  3 * time.Hour,
	firn.Bulk:      5 * time.Hour,
}

// A jobBook knows the jobs that bring whole archives. It hands each archive to
// one asker at a time, so that two files of one archive ask for it once.
type jobBook struct {
	mu   sync.Mutex
	jobs map[firn.ArchiveID]*jobEntry
}

type jobEntry struct {
	mu  sync.Mutex
	job firn.Job // ID empty: none
}

// forget drops a job that turned out to be gone.
func (e *jobEntry) forget(job firn.Job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.job.ID == job.ID {
		e.job = firn.Job{}
	}
}

func (b *jobBook) entry(id firn.ArchiveID) *jobEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.jobs[id]
	if e == nil {
		e = &jobEntry{}
		b.jobs[id] = e
	}
	return e
}

// jobs reads the store's list of jobs, whoever started them: an archive is
// never asked for twice. Where jobs are ready at once, and free, looking costs
// more than asking.
func (r *restorer) jobs(ctx context.Context) (*jobBook, error) {
	b := &jobBook{jobs: map[firn.ArchiveID]*jobEntry{}}
	if r.Store.Traits().InstantJobs {
		return b, nil
	}
	for job, err := range r.Store.Jobs(ctx) {
		if err != nil {
			return nil, err
		}
		whole := job.Range == firn.Range{} || job.Range == firn.Range{End: job.ArchiveSize}
		if job.Kind != firn.RetrievalJob || !whole || job.State == firn.JobFailed {
			continue
		}
		if e := b.entry(job.Archive); e.job.ID == "" || job.State == firn.JobReady {
			e.job = job
		}
		if token, ok := describe.TokenOf(job.Description); ok {
			if _, err := r.Catalog.JobSeen(ctx, r.Row.ID, token, job); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// one sees to one file: downloads it if its job is ready, else makes sure that
// there is a job. It reports whether the file has to wait.
func (r *restorer) one(ctx context.Context, it item, jobs *jobBook) (pending bool, err error) {
	entry := jobs.entry(it.loc.Remote)
	job, err := r.job(ctx, it, entry)
	if err != nil {
		return r.outcome(ctx, it, err)
	}
	if job.State == firn.JobRunning {
		r.expect(job)
		return true, nil
	}
	err = r.download(ctx, it, job)
	if firn.KindOf(err) == firn.NotFound {
		entry.forget(job) // expired: asked for again in the next round
		return true, nil
	}
	return r.outcome(ctx, it, err)
}

// outcome tells what a file has to wait for, what is wrong with the file, and
// what ends the run.
func (r *restorer) outcome(ctx context.Context, it item, err error) (pending bool, _ error) {
	if err == nil || ctx.Err() != nil {
		return false, err
	}
	switch firn.KindOf(err) {
	case firn.NotReady, firn.Lost:
		return true, nil // in the next list of jobs
	case firn.NotFound, firn.Corrupt, firn.Invalid, firn.Local, firn.Capacity, firn.Policy:
		r.fail(it, err)
		return false, nil
	case firn.Full:
		err = &firn.Error{Op: "restore", Subject: it.from, Kind: firn.Full, Err: err, Hint: "free some space and run the same command again"}
	}
	return false, err
}

// job gives the job that brings an archive, and starts one if there is none.
func (r *restorer) job(ctx context.Context, it item, e *jobEntry) (firn.Job, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.job.ID != "" {
		return e.job, nil
	}
	start, state := r.startRecorded, firn.JobRunning
	if r.Store.Traits().InstantJobs {
		// Such jobs cost nothing, so one that nobody remembers does no harm.
		start, state = r.start, firn.JobReady
	}
	id, err := start(ctx, it, firn.NewToken())
	if err != nil {
		return firn.Job{}, err
	}
	e.job = firn.Job{ID: id, Kind: firn.RetrievalJob, State: state, Created: r.Clock.Now(), Tier: r.Tier, Archive: it.loc.Remote, ArchiveSize: it.loc.Size}
	return e.job, nil
}

func (r *restorer) start(ctx context.Context, it item, token firn.Token) (firn.JobID, error) {
	return r.Store.StartRetrieval(ctx, firn.RetrievalSpec{
		Archive: it.loc.Remote, Tier: r.Tier, Description: describe.Job(token, "restore"),
	})
}

// startRecorded records the intent before it asks, and the outcome after.
func (r *restorer) startRecorded(ctx context.Context, it item, token firn.Token) (firn.JobID, error) {
	row, err := r.Catalog.JobIntent(ctx, catalog.Job{
		Store: r.Row.ID, Token: token, Archive: it.loc.Archive, Asked: r.Clock.Now(),
		Remote: firn.Job{Kind: firn.RetrievalJob, Archive: it.loc.Remote, Tier: r.Tier},
	})
	if err != nil {
		return "", err
	}
	id, err := r.start(ctx, it, token)
	switch {
	case err == nil:
		return id, r.Catalog.JobStarted(ctx, row, id)
	case firn.KindOf(err) == firn.Lost:
		return "", err // if it was started, the list of jobs shows it
	}
	return "", firstError(err, r.Catalog.JobGone(ctx, row, err.Error()))
}

func firstError(err, other error) error {
	if other != nil {
		return other
	}
	return err
}

// download brings one file, verified, and puts it in its place.
func (r *restorer) download(ctx context.Context, it item, job firn.Job) error {
	return r.finish(it, func(ctx context.Context, f *targetFile) error {
		_, err := r.Downloader.Download(ctx, transfer.Download{
			Path: it.file.Path, Job: job.ID, Size: it.loc.Size, Tree: it.loc.Tree, Dest: f,
		})
		return err
	})(ctx)
}

// expect remembers when the first of the running jobs may be done.
func (r *restorer) expect(job firn.Job) {
	at := job.Created.Add(earliest[job.Tier])
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready.IsZero() || at.Before(r.ready) {
		r.ready = at
	}
}

// sleep waits until it may be worth asking again.
func (r *restorer) sleep(ctx context.Context, files int) error {
	now := r.Clock.Now()
	wait := r.Poll
	if wait == 0 {
		wait = max(DefaultPoll, r.ready.Sub(now))
	}
	r.Events(firn.WaitEvent{What: waitingFor(files), Until: now.Add(wait)})
	r.ready = time.Time{}
	return r.Clock.Sleep(ctx, wait)
}
