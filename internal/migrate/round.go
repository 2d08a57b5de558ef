package migrate

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
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/retrieval"
)

// askersEach is how many archives are about to be asked for to each request that is under
// way: most of the time goes into recording what is asked for, which is done for many
// together.
const askersEach = 4

// A round goes once over what isn't copied, in the order in which the source's
// archives were made: what is ready is copied, and as much is asked for as may be.
type round struct {
	*mover
	work     chan func(context.Context) error
	room     int64 // bytes that may be asked for still
	busy     bool  // something was asked for, and is not copied
	rate     float64
	known    bool // the rate was measured
	throttle *plan.Throttle
	asks     chan *task // that are to be asked for

	mu    sync.Mutex
	tier  int   // of Tiers
	stop  error // why nothing more is asked for
	next  time.Time
	waits bool       // something that was asked for isn't ready
	asked firn.JobID // one of the jobs that this round began
	since time.Time  // that something is copied
}

// round does one.
func (m *mover) round(ctx context.Context) (*round, error) {
	r := &round{mover: m, work: make(chan func(context.Context) error), asks: make(chan *task)}
	if err := m.settle(ctx); err != nil {
		return r, err
	}
	if err := m.asker.Look(ctx); err != nil {
		return r, err
	}
	if err := r.prepare(ctx); err != nil {
		return r, err
	}
	g, gctx := errgroup.WithContext(ctx)
	var asking errgroup.Group
	for range askersEach * m.Concurrency {
		asking.Go(func() error { return r.askAll(gctx) })
	}
	for range m.Concurrency {
		g.Go(func() error {
			for do := range r.work {
				if gctx.Err() == nil {
					if err := do(gctx); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(r.work)
		err := r.walk(gctx)
		close(r.asks)
		return errors.Join(err, asking.Wait())
	})
	before := m.copiedBytes()
	r.since = m.Clock.Now()
	err := g.Wait()
	if rerr := m.recordFetched(ctx); err == nil {
		err = rerr
	}
	r.measure(context.WithoutCancel(ctx), m.copiedBytes()-before)
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	if err == nil {
		err = m.settleDenied(ctx)
	}
	if err == nil {
		err = r.explain()
	}
	return r, err
}

// settle finds out what became of what earlier processes, or rounds, have begun.
func (m *mover) settle(ctx context.Context) error {
	clear(m.resumes)
	res, err := reconcile.Run(ctx, reconcile.Options{
		Catalog: m.Catalog, Row: m.To.Row.ID, Store: m.To.Store, Run: m.run, Tree: catalog.MigrationTree,
		Clock: m.Clock, Events: m.Events, Single: bodySize,
	})
	if err != nil {
		return err
	}
	if err := m.Catalog.SettleCopies(ctx, m.m, false); err != nil {
		return err
	}
	for _, in := range res.Resumable {
		if in.Run != m.m.Run {
			continue
		}
		if in.Spool == "" {
			m.resumes[in.ID] = in
		} else if err := m.resumePack(ctx, in); err != nil {
			return err
		}
	}
	return m.sweep(ctx)
}

// prepare finds out how much may be asked for.
func (r *round) prepare(ctx context.Context) (err error) {
	if r.rate, r.known, err = r.Catalog.DownloadRate(ctx, r.From.Row.ID); err != nil || !r.slow {
		return err
	}
	r.room = r.supply.Wave(r.Tiers[0], r.rate, r.known)
	var asks []plan.Ask
	if r.RetrieveRate > 0 {
		earlier, err := r.Catalog.AskedSince(ctx, r.From.Row.ID, r.Clock.Now().Add(-plan.LookBack(r.RetrieveRate, r.largest)))
		if err != nil {
			return err
		}
		for _, e := range earlier {
			asks = append(asks, plan.Ask{At: e.At, Bytes: e.Bytes})
		}
	}
	r.throttle = plan.NewThrottle(r.RetrieveRate, asks)
	return nil
}

// walk goes over the copies that are not done.
func (r *round) walk(ctx context.Context) error {
	var at catalog.CopyCursor
	seen := 0
	for {
		page, next, err := r.Catalog.CopyPage(ctx, r.m.ID, at, pageSize)
		if err != nil {
			return err
		}
		for i := range page {
			r.largest = max(r.largest, page[i].Size)
			goesOn, err := r.visit(ctx, newTask(page[i]))
			if err != nil {
				return err
			}
			if seen++; !goesOn || !r.slow && seen >= roundSize {
				return r.packer.flush(ctx, r, !r.slow)
			}
		}
		if at = next; len(page) < pageSize {
			return r.packer.flush(ctx, r, true)
		}
	}
}

// visit sees to one copy, and reports whether others can be seen to after it.
func (r *round) visit(ctx context.Context, t *task) (goesOn bool, err error) {
	if t.State == catalog.CopyBegun {
		r.mover.mu.Lock()
		_, resumes := r.resumes[t.Copy]
		r.mover.mu.Unlock()
		if !resumes {
			return true, nil // whether it arrived shows later
		}
	}
	if !r.slow {
		if r.isOver() && t.State != catalog.CopyBegun {
			return false, nil
		}
		r.admitted.Files++
		r.admitted.Bytes += t.Size
		return true, r.hand(ctx, t)
	}
	job, ok := r.asker.Find(t.want)
	switch {
	case ok && job.State == firn.JobReady:
		t.job = job
		r.reserve(t.Size)
		return true, r.hand(ctx, t)
	case ok:
		r.denials.had(asking)
		r.reserve(t.Size)
		r.expect(retrieval.ExpectedAt(r.supply.Pace.Of(t.Class), job))
		return true, nil
	}
	if !r.admit(t.Size) {
		return false, nil
	}
	select {
	case r.asks <- t:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// hand gives a task to whoever is free, or puts it with others.
func (r *round) hand(ctx context.Context, t *task) error {
	if t.bundles(r.Bundling) {
		return r.packer.add(ctx, r, t)
	}
	return r.give(ctx, func(ctx context.Context) error { return r.copyOne(ctx, t) })
}

func (r *round) give(ctx context.Context, do func(context.Context) error) error {
	select {
	case r.work <- do:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *round) reserve(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room -= size
	r.busy = true
}

// expect notes when something that was asked for may be ready; zero: nobody knows.
func (r *round) expect(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits = true
	if at.IsZero() {
		return
	}
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
	}
}

// admit reports whether an archive of so many bytes may be asked for now: what was
// asked for must be fetched before it is gone.
func (r *round) admit(size int64) bool {
	if r.isOver() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop != nil || r.room <= 0 && r.busy {
		return false
	}
	now := r.Clock.Now()
	if ok, next := r.throttle.Allowed(now, size); !ok {
		if r.next.IsZero() || next.Before(r.next) {
			r.next = next
		}
		return false
	}
	r.throttle.Asked(now, size)
	r.room -= size
	r.busy = true
	r.admitted.Files++
	r.admitted.Bytes += size
	return true
}

// askAll asks for what is to be asked for, until there is no more of it, and gives
// the first error.
func (r *round) askAll(ctx context.Context) (first error) {
	for t := range r.asks {
		if err := r.ask(ctx, t); first == nil {
			first = err
		}
	}
	return first
}

// ask asks for one archive. What the store refuses for now stops the asking; what
// it refuses for good is that archive's failure.
func (r *round) ask(ctx context.Context, t *task) error {
	if err := r.asker.Try(t.want); err != nil {
		return r.fail(ctx, t, nil, err)
	}
	for {
		r.mu.Lock()
		tier := r.tier
		r.mu.Unlock()
		by := tierFor(r.supply.Pace.Of(t.Class), r.Tiers[tier:])
		r.tellTier(t.Class, by)
		days := r.supply.ThawDays(by, t.Size, r.rate, r.known)
		job, err := r.asker.AskFor(ctx, t.want, by, days)
		if err == nil {
			r.denials.had(asking)
			r.expect(retrieval.ExpectedAt(r.supply.Pace.Of(t.Class), job))
			r.began(job.ID)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch firn.KindOf(err) {
		case firn.NotFound, firn.Invalid:
			return r.fail(ctx, t, nil, err)
		case firn.Denied:
			err := r.deny(asking, t, nil, err)
			if err != nil {
				r.halt(err)
			}
			return err
		case firn.Capacity:
			if r.fallBack(tier, err) {
				continue
			}
		}
		r.halt(err)
		return nil
	}
}

// tierFor is the tier that archives of a pace are asked for with: the first that they
// have; without any, the next slower one, which is cheaper too.
func tierFor(p firn.Pace, tiers []firn.Tier) firn.Tier {
	if tier, ok := p.First(tiers); ok {
		return tier
	}
	tier, _ := p.First([]firn.Tier{firn.Standard, firn.Bulk})
	return tier
}

// tellTier tells once that archives of a class are asked for by a tier that nobody
// chose, since it has none of those.
func (m *mover) tellTier(class string, by firn.Tier) {
	if slices.Contains(m.Tiers, by) {
		return
	}
	m.mu.Lock()
	told := m.toldTier
	m.toldTier = true
	m.mu.Unlock()
	if !told {
		m.Events(firn.NoticeEvent{Text: fmt.Sprintf("%s has no %s retrievals: archives of it are asked for by the tier %s", cmp.Or(class, "the source"), m.Tiers[0], by)})
	}
}

// fallBack takes the next tier, if there is one.
func (r *round) fallBack(from int, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from+1 >= len(r.Tiers) {
		return false
	}
	if r.tier == from {
		r.tier++
		r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%v; asking by the tier %s instead", err, r.Tiers[r.tier])})
	}
	return true
}

// halt ends the asking of this round.
func (r *round) halt(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == nil {
		r.stop = err
	}
}

// explain says why nothing more was asked for. What the store refuses for now is
// no error: the rest goes on.
func (r *round) explain() error {
	if r.stop == nil {
		return nil
	}
	switch firn.KindOf(r.stop) {
	case firn.Capacity, firn.Policy:
		r.refused(r.Clock.Now().Add(retrieval.DefaultPoll))
	default:
		if !r.busy {
			return r.stop
		}
	}
	if !r.told {
		r.told = true
		r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("nothing more is asked for now: %v", r.stop)})
	}
	return nil
}
