package retrieval

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
)

// How copies are kept that a slow line has not brought yet: every so often, while
// something is fetched, those are asked to stay that would be gone soon.
const (
	stayEvery = 30 * time.Minute
	staySoon  = 24 * time.Hour
)

// Stays is when the copies were looked after that a store has thawed.
type Stays struct {
	mu   sync.Mutex
	next time.Time // zero: nothing was fetched yet
	busy bool      // somebody looks after them
}

// Begin reports, once every so often, that it is time to look; End must follow then.
func (s *Stays) Begin(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.next.IsZero()
	if s.busy || now.Before(s.next) {
		return false
	}
	s.next = now.Add(stayEvery)
	s.busy = !first // what is fetched at once needs no more time
	return s.busy
}

// End ends what Begin began.
func (s *Stays) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
}

// LeavesSoon reports whether a copy that can be read until some time will be gone soon.
// It is false of one that is gone: to ask for that would be to pay for all of it once
// more.
func LeavesSoon(expires, now time.Time) bool {
	left := expires.Sub(now)
	return !expires.IsZero() && left > 0 && left < staySoon
}

// StayFailed is what is told where copies can't be kept.
func StayFailed(err error) firn.NoticeEvent {
	return firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("what is thawed can't be kept longer, and is asked for again when it is gone: %v", err)}
}

// Stay has copies stay, of a store that thaws, that are fetched too slowly: those of the
// wants that are still to be fetched, and that would be gone within a day. Call it
// whenever something has come; it looks at the wants every half hour. It may run side by
// side with all others. What can't be had longer is asked for again when it is gone.
func (a *Asker) Stay(ctx context.Context, wants iter.Seq2[Want, error]) {
	now := a.o.Clock.Now()
	if !a.slow || !a.whole || !a.stays.Begin(now) {
		return
	}
	defer a.stays.End()
	if err := a.extend(ctx, now, wants); err != nil && ctx.Err() == nil {
		a.o.Events(StayFailed(err))
	}
}

// extend asks those to stay that leave soon, until all that is ready can be fetched.
func (a *Asker) extend(ctx context.Context, now time.Time, wants iter.Seq2[Want, error]) error {
	type leaving struct {
		want Want
		job  firn.Job
	}
	var all []leaving
	counted := map[firn.JobID]bool{} // a copy serves several wants
	var bytes int64
	for w, err := range wants {
		if err != nil {
			return err
		}
		job, ok := a.Find(w)
		if !ok || job.State != firn.JobReady {
			continue
		}
		if bytes += w.Size; w.Range != nil {
			bytes += w.Range.Len() - w.Size
		}
		if LeavesSoon(job.Expires, now) && !counted[job.ID] {
			counted[job.ID] = true
			all = append(all, leaving{w, job})
		}
	}
	if len(all) == 0 {
		return nil
	}
	rate, known, err := a.o.Catalog.DownloadRate(ctx, a.o.Row)
	if err != nil {
		return err
	}
	days := plan.SupplyOf(a.o.Store.Traits()).StayDays(bytes, rate, known)
	for _, l := range all {
		stays, err := a.Extend(ctx, l.want, l.job.ID, l.job.Tier, days)
		if err != nil {
			return err
		}
		if stays {
			a.book.stays(&l.job, now.AddDate(0, 0, days))
		}
	}
	return nil
}

// stayRound is Stay of what is left of the round.
func (a *Asker) stayRound(ctx context.Context) {
	a.Stay(ctx, func(yield func(Want, error) bool) {
		a.mu.Lock()
		left := make([]Want, 0, len(a.left))
		for _, w := range a.left {
			left = append(left, w)
		}
		a.mu.Unlock()
		for _, w := range left {
			if !yield(w, nil) {
				return
			}
		}
	})
}

// stays notes until when the copy of a job can be read.
func (b *book) stays(job *firn.Job, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e, _ := b.jobs.get(string(job.Archive)); e != nil; e = e.next {
		if e.is(job) {
			e.expires = until.Unix()
		}
	}
}
