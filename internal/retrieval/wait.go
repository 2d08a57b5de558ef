package retrieval

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
)

// DefaultPoll is how often the store is asked for its jobs, once the tier's
// earliest time has passed.
const DefaultPoll = 15 * time.Minute

// AnswerTime is how long a job that was asked for may be missing from the
// store's list before it counts as gone: a request is refused five minutes
// after it was signed (AWS Signature Version 4: "the request must reach AWS
// within five minutes of the time stamp"), and lists may lag a little.
const AnswerTime = 10 * time.Minute

// inventoryTime is when it is worth looking for an inventory. How long they take
// is not documented; some four hours is what was seen.
const inventoryTime = 3 * time.Hour

// Earliest is the shortest time in which a tier has been delivered. Source:
// Amazon Glacier developer guide, "Archive retrieval options".
func Earliest(t firn.Tier) time.Duration {
	switch t {
	case firn.Expedited:
		return time.Minute
	case firn.Bulk:
		return 5 * time.Hour
	}
	return 3 * time.Hour
}

// Expected is when a job that was made at its Created may be ready at the
// earliest.
func Expected(job firn.Job) time.Time {
	if job.Kind == firn.InventoryJob {
		return job.Created.Add(inventoryTime)
	}
	return job.Created.Add(Earliest(job.Tier))
}

// Sleep waits until it may be worth asking the store again: until ready, and for
// Poll at least. It says for what.
func (a *Asker) Sleep(ctx context.Context, what string, ready time.Time) error {
	now := a.o.Clock.Now()
	wait := a.o.Poll
	if wait == 0 {
		wait = max(DefaultPoll, ready.Sub(now))
	}
	a.o.Events(firn.WaitEvent{What: what, Until: now.Add(wait)})
	return a.o.Clock.Sleep(ctx, wait)
}
