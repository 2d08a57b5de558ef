package restore

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/retrieval"
)

// stay has copies stay that are fetched too slowly: it asks for them once more. What
// can't be had longer is asked for again when it is gone.
func (d *days) stay(ctx context.Context) {
	r := d.r
	now := r.Clock.Now()
	if !r.supply.Thaws || !d.staying.Begin(now) {
		return
	}
	defer d.staying.End()
	if err := d.extend(ctx, now); err != nil && ctx.Err() == nil {
		r.Events(retrieval.StayFailed(err))
	}
}

// A leaving is a copy that will be gone soon.
type leaving struct {
	span *span
	want retrieval.Want
	job  firn.JobID
	tier firn.Tier
}

// extend has those copies stay that will be gone soon, as far as that can be afforded.
// What it comes to is recorded before the first is asked for.
func (d *days) extend(ctx context.Context, now time.Time) error {
	if !d.anyLeaves(now) {
		return nil
	}
	days, err := d.stayDays(ctx)
	if err != nil {
		return err
	}
	leave, tooDear, err := d.affordable(ctx, now, days)
	if err != nil {
		return err
	}
	if err := d.recordStays(ctx); err != nil {
		return err
	}
	for i, l := range leave {
		stays, err := d.asker.Extend(ctx, l.want, l.job, l.tier, days)
		if err != nil {
			for _, rest := range leave[i+1:] {
				d.count(&rest, -1, days)
			}
			return cmp.Or(d.recordStays(ctx), err)
		}
		if stays {
			d.stays(l.span, now.AddDate(0, 0, days))
		} else {
			d.count(&l, -1, days)
		}
	}
	return cmp.Or(d.recordStays(ctx), tooDear)
}

// affordable gives the copies that will be gone soon and that it is agreed to keep,
// and counts them as kept for some days. tooDear is why there are no more.
func (d *days) affordable(ctx context.Context, now time.Time, days int) (leave []leaving, tooDear, err error) {
	for rg, err := range d.r.Catalog.RestoreRanges(ctx, d.id) {
		if err != nil {
			return nil, nil, err
		}
		s := d.spans.find(rg.Archive, rg.Range.Start)
		if s == nil {
			continue
		}
		l := leaving{span: s, want: wantOf(&rg), tier: tierCodes[s.tier]}
		if l.job = d.leaves(s, now); l.job == "" {
			continue
		}
		d.count(&l, 1, days)
		if err := d.afford(0, 0, 0); err != nil {
			d.count(&l, -1, days)
			return leave, err, nil
		}
		leave = append(leave, l)
	}
	return leave, nil, nil
}

// count adds so many copies that stay on for some days to what was asked for.
func (d *days) count(l *leaving, n int64, days int) {
	d.recorded.Stays += n
	d.recorded.Kept += n * price.CopyDays(l.want.Size, int64(days))
}

// recordStays writes down how many copies were asked to stay, for --max-cost is for
// the life of the restore.
func (d *days) recordStays(ctx context.Context) error {
	options, err := json.Marshal(d.recorded)
	if err != nil {
		return err
	}
	return d.r.Catalog.SetRestoreOptions(context.WithoutCancel(ctx), d.id, string(options))
}

// anyLeaves reports whether something that is to be fetched will be gone soon.
func (d *days) anyLeaves(now time.Time) bool {
	for i := range d.spans.all {
		if d.leaves(&d.spans.all[i], now) != "" {
			return true
		}
	}
	return false
}

// leaves gives the job of a copy that can be read and will be gone soon; empty where
// it stays, or is gone: to ask for that would be to pay for all of it once more.
func (d *days) leaves(s *span, now time.Time) firn.JobID {
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	if s.state != catalog.RangeReady || s.job.expires == 0 || !retrieval.LeavesSoon(time.Unix(s.job.expires, 0), now) {
		return ""
	}
	return s.job.id
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
