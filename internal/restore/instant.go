package restore

import (
	"context"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
)

// mostRecent is how many jobs of an instant store are remembered, for files of
// one content: they mostly lie near each other.
const mostRecent = 4096

// recentJobs are jobs of a store where they are ready at once and cost nothing:
// looking for one costs more than asking, and one that nobody remembers does no
// harm.
type recentJobs struct {
	// asking holds off a second file of one archive while the first asks.
	asking [64]sync.Mutex

	mu   sync.Mutex
	jobs map[int64]firn.JobID // by archive
}

func (b *recentJobs) find(archive int64) firn.JobID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jobs[archive]
}

func (b *recentJobs) keep(archive int64, job firn.JobID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.jobs) == mostRecent {
		clear(b.jobs)
	}
	b.jobs[archive] = job
}

// drop forgets a job whose output is gone.
func (b *recentJobs) drop(archive int64, job firn.JobID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.jobs[archive] == job {
		delete(b.jobs, archive)
	}
}

// instantJob gives a job that brings all of an item's archive.
func (r *restorer) instantJob(ctx context.Context, it *item) (job firn.Job, err error) {
	asking := &r.recent.asking[uint64(it.loc.Archive)%uint64(len(r.recent.asking))]
	asking.Lock()
	defer asking.Unlock()
	if job.ID = r.recent.find(it.loc.Archive); job.ID != "" {
		return job, nil
	}
	job.ID, err = r.Store.StartRetrieval(ctx, firn.RetrievalSpec{
		Archive: it.loc.Remote, Tier: r.Tiers[0], Description: describe.Job(firn.NewToken(), "restore"),
	})
	if err == nil {
		r.recent.keep(it.loc.Archive, job.ID)
	}
	return job, err
}

// fromJob does something with the output of the job that brings an item. Of an
// instant store a job whose output has expired meanwhile is asked for anew.
func (r *restorer) fromJob(ctx context.Context, it *item, do func(firn.Job) error) error {
	if r.days != nil {
		return r.days.fromJob(ctx, it, do)
	}
	for expired := false; ; expired = true {
		job, err := r.instantJob(ctx, it)
		if err != nil {
			return err
		}
		err = do(job)
		if expired || firn.KindOf(err) != firn.NotFound {
			return err
		}
		r.recent.drop(it.loc.Archive, job.ID)
	}
}
