package retrieval_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
)

// A gateway is a server that isn't Amazon's. It counts how often its jobs are listed.
type gateway struct {
	firn.Store
	lists  int
	listed func()
}

func (g *gateway) Traits() firn.Traits {
	t := g.Store.Traits()
	t.AnyPace = true
	return t
}

func (g *gateway) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	g.lists++
	if g.listed != nil {
		g.listed()
	}
	return g.Store.Jobs(ctx)
}

// TestAnyPace: a server that isn't Amazon's is asked soon, and then less and less, so that
// what is ready at once comes at once, and one that takes hours is asked little more.
func TestAnyPace(t *testing.T) {
	for _, c := range []struct {
		takes, most time.Duration
		lists       int
		poll        time.Duration
	}{
		{takes: 0, most: time.Second, lists: 2},
		{takes: 10 * time.Second, most: 20 * time.Second, lists: 5},
		{takes: 10 * time.Minute, most: 20 * time.Minute, lists: 11},
		{takes: 6 * time.Hour, most: 6*time.Hour + 30*time.Minute, lists: 17},
		{takes: 36 * time.Hour, most: 36*time.Hour + 30*time.Minute, lists: 137}, // 125 of them after the tier's time
		{takes: 10 * time.Second, most: time.Hour, lists: 2, poll: time.Hour},    // as was asked
	} {
		r := newRig(t, storetest.MemoryOptions{JobDelay: max(c.takes, 1)})
		g := &gateway{Store: r.Store}
		o := r.options()
		o.Store, o.Poll = g, c.poll
		told := 0
		o.Events = func(e firn.Event) {
			if _, ok := e.(firn.WaitEvent); ok {
				told++
			}
		}
		before := r.Clock.Now()
		a := retrieval.New(o)
		g.listed = func() { r.check(a.FetchedAll(t.Context(), nil)) } // which is nothing that came
		res, err := a.Run(t.Context(), []retrieval.Want{r.put("a", 1)}, r.take, true)
		r.check(err)
		if took := r.Clock.Now().Sub(before); len(r.got) != 1 || took > c.most || g.lists > c.lists || told == 0 || told > max(7, c.lists) {
			t.Errorf("of %v it took %v, %d lists, %d waits: %+v", c.takes, took, g.lists, told, res)
		}
		// What is asked for next finds the server as fast as it was.
		lists := g.lists
		before = r.Clock.Now()
		_, err = a.Run(t.Context(), []retrieval.Want{r.put("b", 1)}, r.take, true)
		r.check(err)
		if took := r.Clock.Now().Sub(before); took > c.most || g.lists > lists+c.lists {
			t.Errorf("of %v it took %v, %d lists at the second time", c.takes, took, g.lists-lists)
		}
	}
}
