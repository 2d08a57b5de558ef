package retrieval

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// DefaultPoll is how often the store is asked for its jobs, once the tier's
// earliest time has passed.
const DefaultPoll = 15 * time.Minute

// firstPoll is when a server is asked first that may be done at once. The pauses double
// from then on, so that it is asked ten times more than one that takes its hours.
const firstPoll = time.Second

// safetyPoll is how often the store is asked though it is to say itself what is
// done: messages get lost.
const safetyPoll = time.Hour

// wakeGap is the least time between two looks, however many messages come. A look
// that takes longer has its own time off, since it is many requests.
const wakeGap = time.Minute

// AnswerTime is how long a job that was asked for may be missing from the
// store's list before it counts as gone: a request is refused five minutes
// after it was signed (AWS Signature Version 4: "the request must reach AWS
// within five minutes of the time stamp"), and lists may lag a little.
const AnswerTime = 10 * time.Minute

// HandedTime is the same for what somebody else asks for in our place, such as S3 Batch
// Operations, which is told by hand and works through millions one by one.
const HandedTime = 48 * time.Hour

// inventoryTime is when it is worth looking for an inventory. How long they take
// is not documented; some four hours is what was seen.
const inventoryTime = 3 * time.Hour

// Expected is when a job of a vault that was made at its Created may be ready at
// the earliest.
func Expected(job firn.Job) time.Time { return ExpectedAt(firn.VaultPace, job) }

// ExpectedAt is when a job of a store of some pace may be ready at the earliest;
// zero where nobody knows when it was made.
func ExpectedAt(p firn.Pace, job firn.Job) time.Time {
	switch {
	case job.Created.IsZero():
		return time.Time{}
	case job.Kind == firn.InventoryJob:
		return job.Created.Add(inventoryTime)
	}
	least, _, _ := p.Delivery(job.Tier)
	return job.Created.Add(least)
}

// A Waker hears from a store when something is ready.
type Waker interface {
	// Wait returns at a time, or earlier when the store has said that a job is
	// done. An error, but the context's cause, says that the store's messages can't
	// be heard: whoever waits goes by the clock then, and may try again.
	Wait(ctx context.Context, until time.Time) error
}

// Sleep waits until it may be worth asking the store again: until ready, or until a
// request that got no answer must have arrived, and for Poll at least, or until the Waker
// wakes it. It says for what.
func (a *Asker) Sleep(ctx context.Context, what string, ready time.Time) error {
	now := a.o.Clock.Now()
	a.mu.Lock()
	if a.answers.After(now) && a.answers.Before(ready) {
		ready = a.answers
	}
	a.mu.Unlock()
	poll := func(every time.Duration) time.Time {
		if a.o.Poll != 0 {
			return now.Add(a.o.Poll)
		}
		return now.Add(max(every, ready.Sub(now)))
	}
	if a.o.Waker == nil {
		return a.sleepTo(ctx, what, poll(DefaultPoll))
	}
	until := poll(safetyPoll)
	a.o.Events(firn.WaitEvent{What: what, Until: until})
	err := a.o.Waker.Wait(ctx, until)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		if !a.deaf {
			a.deaf = true
			a.o.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("what the store says of jobs that are done can't be heard, and it is asked every so often: %v", err)})
		}
		return a.rest(ctx, poll(DefaultPoll))
	}
	// Jobs that were asked for together are done together.
	if soon := now.Add(max(wakeGap, a.looked)); soon.Before(until) {
		until = soon
	}
	return a.rest(ctx, until)
}

// sleepTo waits until a time, or for less where the server may be done at any time. It
// says for what, but not at each of those pauses.
func (a *Asker) sleepTo(ctx context.Context, what string, until time.Time) error {
	a.mu.Lock()
	if a.came {
		a.came, a.pause = false, 0 // what is asked for after it may come as soon
	}
	a.mu.Unlock()
	first := a.pause == 0
	if a.anyPace {
		a.pause = min(max(2*a.pause, firstPoll, a.looked), DefaultPoll)
	}
	hurries := a.anyPace && a.pause < DefaultPoll
	if first || !hurries {
		a.o.Events(firn.WaitEvent{What: what, Until: until})
	}
	if soon := a.o.Clock.Now().Add(a.pause); hurries && soon.Before(until) {
		until = soon
	}
	return a.rest(ctx, until)
}

// rest waits for the clock.
func (a *Asker) rest(ctx context.Context, until time.Time) error {
	if d := until.Sub(a.o.Clock.Now()); d > 0 {
		return a.o.Clock.Sleep(ctx, d)
	}
	return nil
}
