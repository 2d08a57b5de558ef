package retrieval

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// Inventory gives the job that brings a list of all archives and was asked for
// after notBefore, by the store's clock (zero: whenever), and whether it is ready:
// the newest that is, whoever asked for it, else one that runs, else it asks for
// one. Where the list is made at once and shows all, it is always a new one.
// Errors: NotReady (the store has no inventory at all yet; a vault gets its first
// within a day or so), and those of the store.
func (a *Asker) Inventory(ctx context.Context, notBefore time.Time) (job firn.Job, ready bool, err error) {
	if traits := a.o.Store.Traits(); !traits.InstantJobs || !traits.FreshInventory {
		job, err = a.inventoryJob(ctx, func(j firn.Job) bool { return !j.Created.Before(notBefore) })
		if err != nil || job.ID != "" {
			return job, job.State == firn.JobReady, err
		}
	}
	for try := 1; ; try++ {
		token := firn.NewToken()
		job, err = a.startInventory(ctx, token)
		if firn.KindOf(err) != firn.Lost || ctx.Err() != nil {
			return job, err == nil && job.State == firn.JobReady, err
		}
		found, listErr := a.inventoryJob(ctx, func(j firn.Job) bool {
			its, _ := describe.TokenOf(j.Description)
			return its == token
		})
		switch {
		case listErr != nil:
			return firn.Job{}, false, listErr
		case found.ID != "":
			_, err := a.o.Catalog.JobSeen(ctx, a.o.Row, token, found)
			return found, found.State == firn.JobReady, err
		case try == startTries:
			return firn.Job{}, false, err
		}
		// One too many costs next to nothing.
	}
}

// AwaitInventory is Inventory, and waits until the job is ready if it is to.
func (a *Asker) AwaitInventory(ctx context.Context, notBefore time.Time, wait bool) (job firn.Job, ready bool, err error) {
	for {
		job, ready, err = a.Inventory(ctx, notBefore)
		if err != nil || ready || !wait {
			return job, ready, err
		}
		if err := a.Sleep(ctx, "the list of all archives", Expected(job)); err != nil {
			return job, false, err
		}
	}
}

// inventoryJob looks through the store's jobs for lists of everything: the
// newest that is ready, else the oldest that runs.
func (a *Asker) inventoryJob(ctx context.Context, which func(firn.Job) bool) (best firn.Job, err error) {
	for job, err := range a.o.Store.Jobs(ctx) {
		if err != nil {
			return firn.Job{}, err
		}
		if job.Kind != firn.InventoryJob || job.Partial || job.Format == firn.InventoryCSV || job.State == firn.JobFailed || !which(job) {
			continue
		}
		ready := job.State == firn.JobReady
		if best.ID == "" || ready && (best.State != firn.JobReady || job.Created.After(best.Created)) {
			best = job
		}
	}
	return best, nil
}

// startInventory records the intent, asks, and records the outcome.
func (a *Asker) startInventory(ctx context.Context, token firn.Token) (firn.Job, error) {
	row, err := a.o.Catalog.JobIntent(ctx, catalog.Job{Store: a.o.Row, Run: a.o.Run.ID, Token: token, Remote: firn.Job{Kind: firn.InventoryJob}})
	if err != nil {
		return firn.Job{}, err
	}
	id, err := a.o.Store.StartInventory(ctx, firn.InventorySpec{Description: describe.Job(token, "inventory")})
	record := context.WithoutCancel(ctx)
	if firn.KindOf(err) == firn.Lost {
		return firn.Job{}, err
	}
	if err != nil {
		if gone := a.o.Catalog.JobGone(record, row, err.Error()); gone != nil {
			return firn.Job{}, gone
		}
		return firn.Job{}, err
	}
	if err := a.o.Catalog.JobStarted(record, row, id); err != nil {
		return firn.Job{}, err
	}
	job, err := a.o.Store.Job(ctx, id)
	if err != nil {
		return firn.Job{}, err
	}
	_, err = a.o.Catalog.JobSeen(ctx, a.o.Row, token, job)
	return job, err
}
