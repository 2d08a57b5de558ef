package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/retrieval"
)

// failedTries is how often a range is asked for whose jobs fail: each costs
// money. One whose output expired is asked for again, however often it takes.
const failedTries = 3

// advance looks once at the store's jobs, and asks for what may be asked for now.
// It gives when it may be worth looking again.
func (d *days) advance(ctx context.Context) (next time.Time, err error) {
	if err := d.asker.Look(ctx); err != nil {
		return next, err
	}
	if next, err = d.sort(ctx); err != nil {
		return next, err
	}
	again, err := d.ask(ctx)
	return earlier(next, again), err
}

// earlier gives the earlier one of two times; a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// sort finds out how far each range is. next is when the first of those that were
// asked for may be ready.
func (d *days) sort(ctx context.Context) (next time.Time, err error) {
	var changes []catalog.RangeChange
	for rg, err := range d.r.Catalog.RestoreRanges(ctx, d.id) {
		if err != nil {
			return next, err
		}
		s := d.spans.find(rg.Archive, rg.Range.Start)
		if s == nil || s.state >= failing {
			continue
		}
		was := s.state
		asked := s.asked
		hastens := d.place(s, &rg)
		if s.state == catalog.RangeRequested {
			next = earlier(next, s.expected())
		}
		if (s.state != was || s.asked != asked) && s.state < doubted && !hastens {
			changes = append(changes, s.become(s.state))
		}
	}
	d.sorted = true
	return next, d.setRanges(ctx, changes)
}

// place gives a range the state that it has by the store's jobs. One that hastens is on
// its way, which is what the catalog says of it until it is asked for once more.
func (d *days) place(s *span, rg *catalog.RestoreRange) (hastens bool) {
	want := wantOf(rg)
	job, ok := d.asker.Find(want)
	hastens = ok && d.hastens(s, &job)
	if ok && !hastens && (s.state == catalog.RangePlanned || s.state == catalog.RangeRequested && s.tier != 0 && job.Tier.Faster(tierCodes[s.tier])) {
		d.recall(s, &job)
	}
	switch {
	case hastens:
		s.state, s.job = catalog.RangePlanned, nil
		s.expectAt(retrieval.ExpectedAt(s.pace, job))
	case ok && job.State == firn.JobReady:
		s.state, s.job, s.why = catalog.RangeReady, newReadyJob(&job), ""
	case ok:
		s.state, s.job = catalog.RangeRequested, nil
		s.expectAt(retrieval.ExpectedAt(s.pace, job))
	case s.state != catalog.RangePlanned:
		d.lost(s, d.failure(s, want))
	}
	return hastens
}

// failure is why the job failed that a range was asked for with last; empty where
// it didn't, but is gone: an earlier one may have failed.
func (d *days) failure(s *span, want retrieval.Want) string {
	why, created := d.asker.Failure(want)
	least, _, _ := s.pace.Delivery(tierCodes[s.tier])
	asked := s.expected().Add(-least)
	if s.expect != 0 && created.Before(asked.Add(-time.Minute)) {
		return ""
	}
	return why
}

// lost is about a range whose job is gone, or failed for the reason that the
// store gives.
func (d *days) lost(s *span, failure string) {
	s.state, s.job, s.expect = catalog.RangePlanned, nil, 0
	if s.touched {
		s.state, s.touched = doubted, false
	}
	if failure == "" {
		s.why = "what the store had got ready was gone before it was fetched"
		return
	}
	s.failed++
	s.why = "the store's job failed: " + failure
	if s.failed >= failedTries {
		s.state, s.why = failing, fmt.Sprintf("%s; that was so %d times", s.why, s.failed)
	}
}

// recall counts a job that an earlier process asked for, which was killed before
// it noted that.
func (d *days) recall(s *span, job *firn.Job) {
	if !d.again || d.sorted || job.Created.Before(d.started.Add(-retrieval.AnswerTime)) {
		return
	}
	s.asked++
	s.tier = codeOf(job.Tier)
	d.askedRequests++
	d.askedBytes += s.to - s.from
}

// An asking is one round of asking.
type asking struct {
	d        *days
	room     int64 // bytes of the wave that are left
	rate     float64
	known    bool
	throttle *plan.Throttle

	mu      sync.Mutex
	tier    int // of Tiers
	stop    error
	next    time.Time
	changes []catalog.RangeChange
}

// ask asks for ranges in the order in which their archives were made, since the
// service limits restores in a random order: as many as can be downloaded before
// they are gone, and as the rate allows. It gives when it may ask again, where
// the rate doesn't allow it now.
func (d *days) ask(ctx context.Context) (next time.Time, err error) {
	a, err := d.newAsking(ctx)
	if err != nil || !d.spans.has(catalog.RangePlanned) {
		return next, err
	}
	err = a.run(ctx)
	d.spans.failWithParts()
	err = errors.Join(err, a.record(ctx, 1))
	if a.stop != nil && err == nil {
		err = a.explain(a.stop)
	}
	return a.next, err
}

func (d *days) newAsking(ctx context.Context) (*asking, error) {
	r := d.r
	rate, known, err := r.Catalog.DownloadRate(ctx, r.Row.ID)
	if err != nil {
		return nil, err
	}
	a := &asking{d: d, room: r.supply.Wave(r.Tiers[0], rate, known), rate: rate, known: known}
	busy := false
	largest := int64(0)
	for i := range d.spans.all {
		s := &d.spans.all[i]
		largest = max(largest, s.to-s.from)
		if s.state == catalog.RangeRequested || s.state == catalog.RangeReady {
			a.room -= d.download(s)
			busy = true
		}
	}
	if !busy {
		a.room = max(a.room, 1) // then one may be larger than a wave
	}
	var asks []plan.Ask
	if r.RetrieveRate > 0 {
		earlier, err := r.Catalog.AskedSince(ctx, r.Row.ID, r.Clock.Now().Add(-plan.LookBack(r.RetrieveRate, largest)))
		if err != nil {
			return nil, err
		}
		for _, e := range earlier {
			asks = append(asks, plan.Ask{At: e.At, Bytes: e.Bytes})
		}
	}
	a.throttle = plan.NewThrottle(r.RetrieveRate, asks)
	return a, nil
}

// run asks until the wave is full, the rate is used up, or the store takes no
// more.
func (a *asking) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, a.d.r.Concurrency))
	for rg, err := range a.d.r.Catalog.RestoreRanges(gctx, a.d.id) {
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		s := a.d.spans.find(rg.Archive, rg.Range.Start)
		if s == nil || s.state != catalog.RangePlanned {
			continue
		}
		if !a.admit(s) {
			break
		}
		g.Go(func() error { return a.one(gctx, s, rg) })
		if err := a.record(ctx, changesAtOnce); err != nil {
			return errors.Join(err, g.Wait())
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// record writes down what was asked for, if it is so much.
func (a *asking) record(ctx context.Context, least int) error {
	a.mu.Lock()
	changes := a.changes
	if len(changes) >= least {
		a.changes = nil
	}
	a.mu.Unlock()
	if len(changes) < least {
		return nil
	}
	return a.d.setRanges(context.WithoutCancel(ctx), changes)
}

// downloadOf is how many bytes of a range are to be downloaded, as far as that was
// noted.
func downloadOf(rg *catalog.RestoreRange) int64 {
	return min(rg.Range.Len(), cmp.Or(rg.Download, rg.Bytes))
}

// ToDownload is how many bytes are to be downloaded of those ranges of a restore that
// are in one of some states; none: of all.
func ToDownload(ctx context.Context, cat *catalog.Catalog, id int64, states ...catalog.RangeState) (bytes int64, err error) {
	for rg, err := range cat.RestoreRanges(ctx, id) {
		if err != nil {
			return 0, err
		}
		if len(states) == 0 || slices.Contains(states, rg.State) {
			bytes += downloadOf(&rg)
		}
	}
	return bytes, nil
}

// download is how many bytes of a range have to be downloaded in time: of an archive
// that thaws as a whole those of the files, else all, since somebody else's job may
// bring no more.
func (d *days) download(s *span) int64 {
	if d.r.supply.Thaws {
		return max(1, min(s.download, s.to-s.from))
	}
	return s.to - s.from
}

// admit reports whether a range may be asked for now.
func (a *asking) admit(s *span) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := s.to - s.from
	if a.stop != nil || a.room <= 0 {
		return false
	}
	now := a.d.r.Clock.Now()
	if ok, next := a.throttle.Allowed(now, size); !ok {
		a.next = earlier(a.next, next)
		return false
	}
	if err := a.d.afford(a.tier, 1, size); err != nil {
		a.stop = err
		return false
	}
	a.d.askedRequests++
	a.d.askedBytes += size
	a.room -= a.d.download(s)
	a.throttle.Asked(now, size)
	return true
}

// afford reports whether a request more may be made, which counts for all that
// were made as if they had been by the dearest of the tiers that were used.
func (d *days) afford(tier int, requests, bytes int64) error {
	if d.r.Afford == nil {
		return nil
	}
	for _, t := range d.r.Tiers[:tier+1] {
		if err := d.r.Afford(t, Spent{d.askedRequests + requests, d.askedBytes + bytes, d.recorded.Stays, d.recorded.Kept, d.recorded.Slower}); err != nil {
			return err
		}
	}
	return nil
}

// one asks for one range. What the store refuses for now stops the round; what it
// refuses for good is settled.
func (a *asking) one(ctx context.Context, s *span, rg catalog.RestoreRange) error {
	for {
		tier := a.tierFor(s)
		job, asked, err := a.askFor(ctx, s, wantOf(&rg), tier)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a.mu.Lock()
		again, err := a.note(s, tier, job, asked, err)
		a.mu.Unlock()
		if !again {
			return err
		}
	}
}

// askFor asks for a range, or for what is on its way to come faster. A store that
// doesn't do that brings it as it was asked to: then nothing was asked for.
func (a *asking) askFor(ctx context.Context, s *span, w retrieval.Want, tier firn.Tier) (job firn.Job, asked bool, err error) {
	d := a.d
	slow, ok := d.asker.Find(w)
	switch {
	case ok && d.hastens(s, &slow):
		job, err = d.asker.Hasten(ctx, w, slow, tier, a.stays(s, slow.Tier)...)
	case ok && slow.State == firn.JobRunning:
		return slow, false, nil
	default:
		job, err = d.asker.AskFor(ctx, w, tier, a.days(s, tier))
		return job, true, err
	}
	if kind := firn.KindOf(err); kind != firn.Invalid && kind != firn.Conflict {
		return job, err != nil || job.ID != "", err // without an answer it will be asked again
	}
	if !d.steady.Swap(true) {
		d.r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("what is on its way comes no faster: %v", err)})
	}
	return slow, false, nil
}

// stays are the days for which what is on its way by a tier may be to stay, which S3 wants
// to be told again: those of its tier, or, where that is a faster one than the first, those
// of the slowest.
func (a *asking) stays(s *span, slow firn.Tier) []int {
	return slices.Compact([]int{a.days(s, slow), a.days(s, firn.Bulk)})
}

// days is for how many days the copy of a range is asked to stay with a tier.
func (a *asking) days(s *span, tier firn.Tier) int {
	return a.d.r.supply.ThawDays(tier, a.d.download(s), a.rate, a.known)
}

// tierFor is the tier that a range is asked for with: the one in use, or the first
// after it that the class of its archive has.
func (a *asking) tierFor(s *span) firn.Tier {
	a.mu.Lock()
	defer a.mu.Unlock()
	tiers := a.d.r.Tiers[a.tier:]
	if tier, ok := s.pace.First(tiers); ok {
		return tier
	}
	return tiers[0]
}

// note takes account of what became of a request, in a.mu; asked: it was made; again:
// with another tier it may go.
func (a *asking) note(s *span, tier firn.Tier, job firn.Job, asked bool, err error) (again bool, _ error) {
	if err == nil {
		s.tier, s.why = codeOf(cmp.Or(job.Tier, tier)), ""
		s.expectAt(retrieval.ExpectedAt(s.pace, job))
		if asked {
			s.asked++
		} else {
			a.d.askedRequests--
			a.d.askedBytes -= s.to - s.from
		}
		a.changes = append(a.changes, s.become(catalog.RangeRequested))
		a.next = earlier(a.next, s.expected())
		return false, nil
	}
	switch firn.KindOf(err) {
	case firn.Capacity:
		if next := a.tierAfter(tier); next >= 0 {
			a.fallBack(next, err)
			if err := a.d.afford(a.tier, 0, 0); err != nil {
				a.halt(s, err)
				return false, nil
			}
			return true, nil
		}
		a.halt(s, err)
		return false, nil
	case firn.Policy:
		a.halt(s, err)
		return false, nil
	case firn.NotFound, firn.Invalid:
		s.state, s.why = failing, err.Error()
		a.back(s)
		return false, nil
	}
	a.halt(s, err)
	return false, nil
}

// back gives what was not asked for back to the wave.
func (a *asking) back(s *span) {
	a.d.askedRequests--
	a.d.askedBytes -= s.to - s.from
	a.room += a.d.download(s)
}

// halt ends the round: the store takes no more for now.
func (a *asking) halt(s *span, err error) {
	a.back(s)
	s.why = err.Error()
	if s.expect == 0 { // else it is on its way, only not faster
		a.changes = append(a.changes, s.become(catalog.RangePlanned))
	}
	if a.stop == nil {
		a.stop = err
	}
}

// tierAfter gives the place of the tier to fall back to from one; -1: none.
func (a *asking) tierAfter(tier firn.Tier) int {
	i := slices.Index(a.d.r.Tiers, tier)
	if i < 0 || i+1 >= len(a.d.r.Tiers) {
		return -1
	}
	return i + 1
}

func (a *asking) fallBack(to int, err error) {
	if to <= a.tier {
		return // another one did
	}
	a.tier = to
	a.d.r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%v; asking by the tier %s instead", err, a.d.r.Tiers[to])})
}

// explain says why nothing more is asked for. What the store refuses for now is
// no error of the restore: the rest goes on.
func (a *asking) explain(err error) error {
	switch firn.KindOf(err) {
	case firn.Capacity, firn.Policy:
		a.d.r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("nothing more is asked for now: %v", err)})
		a.next = earlier(a.next, a.d.r.Clock.Now().Add(retrieval.DefaultPoll))
		return nil
	}
	if a.d.spans.anyReady() || a.d.spans.has(catalog.RangeRequested) {
		a.d.r.Events(firn.NoticeEvent{Warn: true, Text: err.Error()})
		return nil // what was asked for is paid for
	}
	return err
}

func (s *spans) has(state catalog.RangeState) bool {
	return slices.ContainsFunc(s.all, func(o span) bool { return o.state == state })
}
