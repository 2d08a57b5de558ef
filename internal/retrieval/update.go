package retrieval

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// recordsAtOnce is how many jobs are recorded side by side, in one commit of
// the catalog.
const recordsAtOnce = 32

// A Listed is a job in the store's list, whoever started it.
type Listed struct {
	firn.Job
	// Row is that of the catalog; 0: it doesn't wait for the job, which is
	// another program's, or another machine's, or was fetched already.
	Row int64
}

// Update reads the store's list of jobs, whoever started them, and brings the
// catalog up to it, so that nothing is asked for twice and nothing waits for a
// job that is gone. It hands each job to each, and gives the retrievals that the
// store doesn't list and that may yet appear: their answer was lost, or they were
// asked for a moment ago. Of o it looks at Catalog, Row, Store and Clock.
func Update(ctx context.Context, o Options, each func(Listed)) (silent []catalog.Job, err error) {
	began := o.Clock.Now()
	open, err := o.Catalog.OpenJobs(ctx, o.Row)
	if err != nil {
		return nil, err
	}
	byID, byToken := make(map[firn.JobID]*catalog.Job, len(open)), map[firn.Token]*catalog.Job{}
	for i := range open {
		if j := &open[i]; j.Remote.ID != "" {
			byID[j.Remote.ID] = j
		} else {
			byToken[j.Token] = j
		}
	}
	listed := map[int64]bool{} // rows
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(recordsAtOnce)
	for job, err := range o.Store.Jobs(gctx) {
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		token, _ := describe.TokenOf(job.Description)
		row := byID[job.ID]
		if row == nil && !token.IsZero() {
			row = byToken[token]
		}
		if row == nil {
			each(Listed{Job: job})
			continue
		}
		each(Listed{job, row.ID})
		listed[row.ID] = true
		if row.Remote.ID != job.ID || row.Remote.State != job.State {
			g.Go(func() error {
				_, err := o.Catalog.JobSeen(gctx, o.Row, token, job)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	err = Forget(ctx, o.Catalog, o.Row, "the store does not list it any more", func(j *catalog.Job) bool {
		if j.Remote.Kind != firn.RetrievalJob || listed[j.ID] {
			return false
		}
		if began.Sub(j.Asked) > AnswerTime {
			return true
		}
		silent = append(silent, *j)
		return false
	})
	return silent, err
}

// Forget records that jobs that the catalog waits for are gone, and why.
func Forget(ctx context.Context, c *catalog.Catalog, store int64, why string, which func(*catalog.Job) bool) error {
	open, err := c.OpenJobs(ctx, store)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(recordsAtOnce)
	for i := range open {
		if j := &open[i]; which(j) {
			g.Go(func() error { return c.JobGone(ctx, j.ID, why) })
		}
	}
	return g.Wait()
}
