package retrieval_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
)

// look gives an asker as a new process has it, that has looked at the jobs.
func (r *rig) look() *retrieval.Asker {
	r.T.Helper()
	a := r.asker()
	r.check(a.Look(r.T.Context()))
	return a
}

// ask asks, which must not fail.
func (r *rig) ask(a *retrieval.Asker, w retrieval.Want, tier firn.Tier) firn.Job {
	r.T.Helper()
	job, err := a.Ask(r.T.Context(), w, tier)
	r.check(err)
	return job
}

// found checks which job an asker finds for a want; empty: none.
func (r *rig) found(a *retrieval.Asker, w retrieval.Want, id firn.JobID, state firn.JobState) firn.Job {
	r.T.Helper()
	job, ok := a.Find(w)
	if job.ID != id || job.State != state || ok != (state != "") || ok && job.Archive != w.Remote {
		r.T.Errorf("%s: found %t, %+v; want %s, %q", w.Label, ok, job, id, state)
	}
	return job
}

// TestDriver goes the way of those that decide themselves: look, ask, look again,
// fetch, lose.
func TestDriver(t *testing.T) {
	r := newRig(t, slow)
	want := part(r.put("a", 5*mib+3), 2, 4)
	a := r.look()
	r.found(a, want, "", "")
	job := r.ask(a, want, firn.Standard)
	if job.Tier != firn.Standard || job.Range != *want.Range || job.State != firn.JobRunning {
		t.Errorf("asked for %+v", job)
	}
	if again := r.ask(a, part(want, 3, 4), ""); again != job {
		t.Errorf("asked again: %+v, after %+v", again, job)
	}
	r.asked(1)
	r.found(r.look(), want, job.ID, firn.JobRunning)
	if open := r.open(); len(open) != 1 || open[0].Remote.Created.IsZero() || open[0].Remote.ArchiveTree != want.Tree {
		t.Errorf("of what the store says the catalog has %+v", open)
	}

	r.Clock.Advance(5 * time.Hour)
	a = r.look()
	ready := r.found(a, want, job.ID, firn.JobReady)
	out, err := a.Output(want, ready)
	r.check(err)
	r.check(r.take(t.Context(), want, out))
	r.check(a.Fetched(t.Context(), want, ready))
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
	r.found(a, part(want, 3, 4), job.ID, firn.JobReady) // it is there for others
	r.found(r.look(), want, job.ID, firn.JobReady)

	r.check(a.Gone(t.Context(), want, ready, "it broke"))
	r.found(a, want, "", "")
	r.check(a.Look(t.Context())) // the store lists it still
	r.found(a, want, "", "")
	if next := r.ask(a, want, firn.Bulk); next.ID == job.ID {
		t.Errorf("%s is gone, and it is %s", job.ID, next.ID)
	}
	r.asked(2)
}

// TestGoneIsRecorded: nothing waits for a job whose output is gone, of which
// several wants may tell.
func TestGoneIsRecorded(t *testing.T) {
	r := newRig(t, slow)
	want := r.put("a", 5)
	a := r.look()
	job := r.ask(a, want, "")
	if job.Tier != firn.Bulk {
		t.Errorf("asked for %s, where nothing is said of it", job.Tier)
	}
	for range 2 {
		r.check(a.Gone(t.Context(), want, job, "it expired"))
	}
	row, ok, err := r.Catalog.JobByRemote(t.Context(), r.Row.ID, job.ID)
	r.check(err)
	if !ok || row.State != catalog.JobGone || row.Remote.Message != "it expired" {
		t.Errorf("the catalog says %+v", row)
	}
}

// TestFindTheBest: of those that bring a want a ready one, and of these the one
// that stays longest; else the one that is soonest ready, which need not be the
// oldest.
func TestFindTheBest(t *testing.T) {
	r := newRig(t, slow)
	w := r.put("a", 9*mib)
	start := func(tier firn.Tier, from, to int64) firn.JobID {
		t.Helper()
		spec := firn.RetrievalSpec{Archive: w.Remote, Tier: tier, Description: "another program's"}
		if to > 0 {
			spec.Range = part(w, from, to).Range
		}
		id, err := r.Memory.StartRetrieval(t.Context(), spec)
		r.check(err)
		r.Clock.Advance(time.Minute)
		return id
	}
	whole := start(firn.Bulk, 0, 0)
	overlapping := start(firn.Standard, 1, 3)
	r.found(r.look(), part(w, 2, 4), whole, firn.JobRunning) // a part of a part is not enough
	r.found(r.look(), part(w, 0, 2), whole, firn.JobRunning)
	r.found(r.look(), part(w, 1, 3), overlapping, firn.JobRunning)
	wide := start(firn.Expedited, 2, 8)
	r.found(r.look(), part(w, 2, 4), wide, firn.JobRunning)
	r.found(r.look(), w, whole, firn.JobRunning)
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}

	r.Clock.Advance(5*time.Hour - 3*time.Minute)
	r.found(r.look(), part(w, 2, 4), whole, firn.JobReady)
	r.Clock.Advance(3 * time.Minute)
	r.found(r.look(), part(w, 2, 4), wide, firn.JobReady)
	r.found(r.look(), part(w, 8, 9), whole, firn.JobReady)
	r.asked(3)
}

// A list is a store that lists these jobs.
type list struct {
	firn.Store
	jobs []firn.Job
}

func (l *list) Jobs(context.Context) iter.Seq2[firn.Job, error] {
	return func(yield func(firn.Job, error) bool) {
		for _, j := range l.jobs {
			if !yield(j, nil) {
				return
			}
		}
	}
}

// TestFindInAnyOrder: which of two jobs is the better one doesn't depend on which
// comes first, and when it is gone there is the other.
func TestFindInAnyOrder(t *testing.T) {
	r := newRig(t, slow)
	w := r.put("a", 3*mib)
	now := r.Clock.Now().UTC()
	job := func(id firn.JobID, tier firn.Tier, hour, completed int) firn.Job {
		j := firn.Job{ID: id, Kind: firn.RetrievalJob, State: firn.JobRunning, Archive: w.Remote, ArchiveSize: w.Size, Range: firn.Range{End: w.Size}, Tier: tier, Created: now.Add(time.Duration(hour) * time.Hour)}
		if completed > 0 {
			j.State, j.Completed = firn.JobReady, now.Add(time.Duration(completed)*time.Hour)
		}
		return j
	}
	for _, c := range []struct{ better, other firn.Job }{
		{job("1", firn.Bulk, 3, 9), job("2", firn.Expedited, 1, 0)},
		{job("1", firn.Bulk, 3, 9), job("2", firn.Bulk, 3, 8)},
		{job("1", firn.Standard, 1, 0), job("2", firn.Bulk, 0, 0)},
		{job("1", firn.Bulk, 0, 0), job("2", firn.Bulk, 1, 0)},
	} {
		for _, jobs := range [][]firn.Job{{c.better, c.other}, {c.other, c.better}} {
			r.Store = &list{r.Memory, jobs}
			a := r.look()
			if got := r.found(a, w, c.better.ID, c.better.State); got != c.better {
				t.Errorf("%+v, want %+v", got, c.better)
			}
			r.check(a.Gone(t.Context(), w, c.better, "gone"))
			r.found(a, w, c.other.ID, c.other.State)
			r.check(a.Gone(t.Context(), w, c.other, "gone"))
			r.found(a, w, "", "")
		}
	}
}

// TestAskLosesAnswers: what may have been asked for is a running job until it is
// found, or can't appear any more.
func TestAskLosesAnswers(t *testing.T) {
	for name, late := range map[string]bool{"started": true, "never started": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slow, storetest.Fault{Op: "StartRetrieval", Kind: firn.Lost, Late: late})
			w := r.put("a", 5)
			a := r.look()
			if job := r.ask(a, w, ""); job.ID != "" || job.State != firn.JobRunning {
				t.Errorf("%+v", job)
			}
			r.found(a, w, "", firn.JobRunning)
			r.Clock.Advance(retrieval.AnswerTime)
			r.check(a.Look(t.Context()))
			job, ok := a.Find(w)
			if !ok || (job.ID != "") != late {
				t.Errorf("found %t, %+v", ok, job)
			}
			r.Clock.Advance(time.Second)
			r.check(a.Look(t.Context()))
			if _, ok := a.Find(w); ok != late {
				t.Errorf("found: %t", ok)
			}
			r.ask(a, w, "")
			r.asked(1)
		})
	}
}

// TestAskIsRefused: the kind of the error is the store's, and nothing waits.
func TestAskIsRefused(t *testing.T) {
	for _, kind := range []firn.Kind{firn.Capacity, firn.Policy, firn.NotFound, firn.Invalid} {
		r := newRig(t, slow, storetest.Fault{Op: "StartRetrieval", Kind: kind})
		w := r.put("a", 5)
		a := r.look()
		if job, err := a.Ask(t.Context(), w, firn.Expedited); firn.KindOf(err) != kind {
			t.Errorf("%v: %+v, %v", kind, job, err)
		}
		r.found(a, w, "", "")
		if open := r.open(); len(open) != 0 {
			t.Errorf("%v: the catalog waits for %+v", kind, open)
		}
		r.ask(a, w, firn.Bulk) // it can be asked again, otherwise
		r.asked(1)
	}
	r := newRig(t, slow)
	for _, bad := range []retrieval.Want{{}, {Remote: "x", Size: -1}, {Remote: "x", Range: &firn.Range{Start: 1, End: 5}}, {Remote: "x", Range: &firn.Range{}}} {
		if _, err := r.look().Ask(t.Context(), bad, ""); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	r.asked(0)
}

// TestAskedAtOnce: one archive is asked for once, from however many sides.
func TestAskedAtOnce(t *testing.T) {
	r := newRig(t, slow)
	wants := []retrieval.Want{r.put("a", 3*mib), r.put("b", 3*mib)}
	a := r.look()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			w := wants[i%2]
			job, err := a.Ask(t.Context(), w, "")
			if found, ok := a.Find(part(w, 1, 2)); err != nil || !ok || found.ID != job.ID || a.Why(w.Remote) != "" {
				t.Errorf("%+v, %v; found %+v", job, err, found)
			}
		})
	}
	all.Wait()
	r.asked(2)
}

// TestWhy: what the store says of a job that failed is kept for people, and the
// job brings nothing.
func TestWhy(t *testing.T) {
	r := newRig(t, slow)
	w := r.put("a", 5)
	a := r.look()
	r.ask(a, w, "")
	r.check(r.Memory.DeleteArchive(t.Context(), w.Remote))
	r.Clock.Advance(5 * time.Hour)
	r.check(a.Look(t.Context()))
	r.found(a, w, "", "")
	if why := a.Why(w.Remote); why != "the archive was deleted" {
		t.Errorf("why: %q", why)
	}
	if why := a.Why("another"); why != "" {
		t.Errorf("of another: %q", why)
	}
	r.Clock.Advance(48 * time.Hour)
	r.check(a.Look(t.Context()))
	if why := a.Why(w.Remote); why != "" {
		t.Errorf("when it is listed no more: %q", why)
	}
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// TestInventoriesExpire: a look finds out that nothing is to be waited for, of
// inventories too, which are nobody's wants.
func TestInventoriesExpire(t *testing.T) {
	r := newRig(t, slow)
	r.Clock.Advance(25 * time.Hour)
	r.inventory(time.Time{}, false)
	r.look()
	if open := r.open(); len(open) != 1 || open[0].Remote.Kind != firn.InventoryJob {
		t.Errorf("the catalog waits for %+v", open)
	}
	o := r.options()
	intend := func() {
		_, err := r.Catalog.JobIntent(t.Context(), catalog.Job{Store: r.Row.ID, Token: firn.NewToken(), Remote: firn.Job{Kind: firn.InventoryJob}})
		r.check(err)
	}
	intend()
	o.Store = &meanwhile{Store: r.Store, do: intend}
	if silent, err := retrieval.Update(t.Context(), o, func(retrieval.Listed) {}); err != nil || len(silent) != 0 {
		t.Errorf("retrievals that may yet appear: %+v, %v", silent, err)
	}
	if open := r.open(); len(open) != 3 {
		t.Errorf("the catalog waits for %+v", open)
	}
	r.Clock.Advance(48 * time.Hour)
	r.look()
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// TestLookBreaksOff: half a list says nothing of what isn't in it.
func TestLookBreaksOff(t *testing.T) {
	r := newRig(t, slow, storetest.Fault{Op: "Jobs", Nth: 2, Kind: firn.Denied, After: 1})
	v, w := r.put("a", 5), r.put("b", 5)
	a := r.look()
	first, second := r.ask(a, v, ""), r.ask(a, w, "")
	r.Clock.Advance(time.Hour)
	if err := a.Look(t.Context()); firn.KindOf(err) != firn.Denied {
		t.Errorf("it ended with %v", err)
	}
	r.found(a, v, first.ID, firn.JobRunning)
	r.found(a, w, second.ID, firn.JobRunning)
	if open := r.open(); len(open) != 2 {
		t.Errorf("the catalog waits for %+v", open)
	}
	r.check(a.Look(t.Context()))
	r.found(a, w, second.ID, firn.JobRunning)
}

// TestAskedMeanwhile: what another process asks for while the jobs are listed is
// not asked for again.
func TestAskedMeanwhile(t *testing.T) {
	r := newRig(t, slow)
	w := r.put("a", 5)
	other := r.look()
	r.Store = &meanwhile{Store: r.Store, do: func() { r.ask(other, w, "") }}
	a := r.look()
	if job, ok := a.Find(w); !ok || job.State != firn.JobRunning {
		t.Errorf("found %t, %+v", ok, job)
	}
	r.ask(a, w, "")
	r.asked(1)
}

// meanwhile does something once the list of jobs is made.
type meanwhile struct {
	firn.Store
	do func()
}

func (m *meanwhile) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	jobs, err := storetest.Collect(m.Store.Jobs(ctx))
	m.do()
	return func(yield func(firn.Job, error) bool) {
		for _, j := range jobs {
			if !yield(j, nil) {
				return
			}
		}
		if err != nil {
			yield(firn.Job{}, err)
		}
	}
}

// TestAskedTwice: a request that was sent twice has made two jobs with one token.
// Both bring the archive; the catalog waits for one of them.
func TestAskedTwice(t *testing.T) {
	r := newRig(t, slow)
	w := r.put("a", 5)
	token := firn.NewToken()
	_, err := r.Catalog.JobIntent(t.Context(), catalog.Job{Store: r.Row.ID, Token: token, Remote: firn.Job{Kind: firn.RetrievalJob, Archive: w.Remote, Tier: firn.Bulk}})
	r.check(err)
	for range 2 {
		_, err := r.Memory.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: w.Remote, Tier: firn.Bulk, Description: describe.Job(token, "restore")})
		r.check(err)
	}
	for range 2 {
		r.look()
		if open := r.open(); len(open) != 1 || open[0].Remote.ID == "" || open[0].Remote.Created.IsZero() {
			t.Errorf("the catalog waits for %+v", open)
		}
	}
	r.Clock.Advance(5 * time.Hour)
	r.round([]retrieval.Want{w}, []string{"a"}, 0, 0)
	r.asked(2)
}

// TestManyJobs: they are listed once, recorded in batches, and no one is asked for
// alone.
func TestManyJobs(t *testing.T) {
	const n = 5000
	a, store, now := crowded(t, n, true, false)
	count := func(want map[catalog.JobState]int) {
		t.Helper()
		got := map[catalog.JobState]int{}
		for k, err := range store.catalog.OpenJobKeys(t.Context(), store.row, 0) {
			if err != nil {
				t.Fatal(err)
			}
			got[k.State]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("open: %v, want %v", got, want)
		}
	}
	count(map[catalog.JobState]int{catalog.JobRunning: n})
	look(t, a)
	count(map[catalog.JobState]int{catalog.JobReady: n})
	for _, i := range []int{0, n / 2, n - 1} {
		if job, ok := a.Find(retrieval.Want{Remote: crowdArchive(i), Range: &firn.Range{Start: 4 << 20, End: 5 << 20}}); !ok || job != bare(store.job(i)) {
			t.Errorf("%d: %+v", i, job)
		}
	}
	store.jobs = n / 2
	now.Advance(48 * time.Hour)
	look(t, a)
	count(map[catalog.JobState]int{catalog.JobReady: n / 2})
	if store.lists != 2 {
		t.Errorf("the jobs were listed %d times", store.lists)
	}
}

// bare is a job without what Find doesn't tell.
func bare(j firn.Job) firn.Job {
	j.Description, j.Message = "", ""
	return j
}

// TestLookAtAnInstantStore lists nothing, and forgets what may be gone.
func TestLookAtAnInstantStore(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	w := r.put("a", 5)
	r.Store = noList{r.Store}
	a := r.look()
	first := r.ask(a, w, firn.Standard)
	r.found(a, w, first.ID, firn.JobReady)
	r.check(a.Look(t.Context()))
	r.found(a, w, "", "")
	if open := r.open(); len(open) != 0 {
		t.Errorf("the catalog waits for %+v", open)
	}
}

// An alarm is a Waker that wakes after some time, or fails.
type alarm struct {
	*rig
	after  time.Duration
	err    error
	untils []time.Duration // that it was to wake at the latest
}

func (w *alarm) Wait(ctx context.Context, until time.Time) error {
	w.untils = append(w.untils, until.Sub(w.Clock.Now()))
	if w.err != nil {
		return w.err
	}
	return w.Clock.Sleep(ctx, min(w.after, until.Sub(w.Clock.Now())))
}

// TestWaker: a sleep ends when the store says that something is ready, but no two
// of them within a minute, and it waits for the clock when nothing is heard.
func TestWaker(t *testing.T) {
	for name, c := range map[string]struct {
		waker   alarm
		ready   time.Duration // from now
		poll    time.Duration
		until   time.Duration // of the waker
		took    time.Duration
		notices int
	}{
		"early":          {waker: alarm{after: 2 * time.Hour}, ready: 5 * time.Hour, until: 5 * time.Hour, took: 2 * time.Hour},
		"at once":        {ready: 5 * time.Hour, until: 5 * time.Hour, took: time.Minute},
		"never":          {waker: alarm{after: 99 * time.Hour}, ready: 5 * time.Hour, until: 5 * time.Hour, took: 5 * time.Hour},
		"never, overdue": {waker: alarm{after: 99 * time.Hour}, ready: -time.Hour, until: time.Hour, took: time.Hour},
		"fails":          {waker: alarm{err: errors.New("no queue")}, ready: 5 * time.Hour, until: 5 * time.Hour, took: 5 * time.Hour, notices: 1},
		"fails, overdue": {waker: alarm{err: errors.New("no queue")}, ready: -time.Hour, until: time.Hour, took: 15 * time.Minute, notices: 1},
		"with a poll":    {waker: alarm{after: 99 * time.Hour}, ready: 5 * time.Hour, poll: time.Minute, until: time.Minute, took: time.Minute},
		"a short poll":   {ready: 5 * time.Hour, poll: time.Second, until: time.Second, took: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slow)
			c.waker.rig = r
			a := retrieval.New(retrieval.Options{Catalog: r.Catalog, Row: r.Row.ID, Store: r.Store, Clock: r.Clock, Events: r.Events, Waker: &c.waker, Poll: c.poll})
			for range 2 {
				before := r.Clock.Now()
				r.check(a.Sleep(t.Context(), "something", before.Add(c.ready)))
				if took := r.Clock.Now().Sub(before); took != c.took {
					t.Errorf("it slept %v, want %v", took, c.took)
				}
			}
			if !slices.Equal(c.waker.untils, []time.Duration{c.until, c.until}) {
				t.Errorf("it was to wake within %v, want %v", c.waker.untils, c.until)
			}
			if said := r.Notices(); len(said) != c.notices { // once, not each time
				t.Errorf("it said %q", said)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errStop)
			if err := a.Sleep(ctx, "something", r.Clock.Now().Add(c.ready)); !errors.Is(err, errStop) {
				t.Errorf("stopped: %v", err)
			}
		})
	}
}

var errStop = errors.New("stop")

// TestWokenAndReady: a run that is woken fetches what is ready, and sleeps on.
func TestWokenAndReady(t *testing.T) {
	r := newRig(t, slow)
	a, b := r.put("a", 5), r.put("b", 5)
	r.ask(r.look(), a, "")
	r.Clock.Advance(time.Hour)
	before := r.Clock.Now()
	o := r.options()
	o.Waker = &alarm{rig: r, after: 4*time.Hour + time.Minute}
	res, err := retrieval.New(o).Run(t.Context(), []retrieval.Want{a, b}, r.take, true)
	r.check(err)
	if took := r.Clock.Now().Sub(before); len(res.Failed)+len(res.Pending) != 0 || !slices.Equal(r.got, []string{"a", "b"}) || took > 6*time.Hour {
		t.Errorf("%+v; %q after %v", res, r.got, took)
	}
	r.asked(2)
}
