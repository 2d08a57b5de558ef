package restore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// How copies are kept that a slow line has not brought yet: every so often, while
// something is fetched, those are asked to stay that would be gone soon.
const (
	stayEvery = 30 * time.Minute
	staySoon  = 24 * time.Hour
)

// staying is when copies were looked after.
type staying struct {
	mu   sync.Mutex
	next time.Time // zero: nothing was fetched yet
}

// due reports, once every so often, that it is time to look.
func (s *staying) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.next.IsZero()
	if now.Before(s.next) {
		return false
	}
	s.next = now.Add(stayEvery)
	return !first // what is fetched at once needs no more time
}

// stay has copies stay that are fetched too slowly: it asks for them once more. What
// can't be had longer is asked for again when it is gone.
func (d *days) stay(ctx context.Context) {
	r := d.r
	now := r.Clock.Now()
	if !r.supply.Thaws || !d.staying.due(now) || !d.anyLeaves(now) {
		return
	}
	days, err := d.stayDays(ctx)
	for rg, rangeErr := range r.Catalog.RestoreRanges(ctx, d.id) {
		if rangeErr != nil || err != nil {
			err = rangeErr
			break
		}
		s := d.spans.find(rg.Archive, rg.Range.Start)
		if s == nil || !d.leaves(s, now) {
			continue
		}
		if err = d.asker.Extend(ctx, wantOf(&rg), tierCodes[s.tier], days); err != nil {
			break
		}
		d.stays(s, now.AddDate(0, 0, days))
	}
	if err != nil && ctx.Err() == nil {
		r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("what is thawed can't be kept longer, and is asked for again when it is gone: %v", err)})
	}
}

// anyLeaves reports whether something that is to be fetched will be gone soon.
func (d *days) anyLeaves(now time.Time) bool {
	for i := range d.spans.all {
		if d.leaves(&d.spans.all[i], now) {
			return true
		}
	}
	return false
}

func (d *days) leaves(s *span, now time.Time) bool {
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	return s.state == catalog.RangeReady && s.job.expires != 0 && time.Unix(s.job.expires, 0).Sub(now) < staySoon
}

// stays notes until when a copy can be read now.
func (d *days) stays(s *span, until time.Time) {
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	if s.state == catalog.RangeReady {
		s.job.expires = until.Unix()
	}
}

// stayDays is for how long what is ready has to stay on.
func (d *days) stayDays(ctx context.Context) (int, error) {
	rate, known, err := d.r.Catalog.DownloadRate(ctx, d.r.Row.ID)
	if err != nil {
		return 0, err
	}
	var left int64
	d.spans.mu.Lock()
	for i := range d.spans.all {
		if s := &d.spans.all[i]; s.state == catalog.RangeReady {
			left += d.download(s)
		}
	}
	d.spans.mu.Unlock()
	return d.r.supply.StayDays(left, rate, known), nil
}
