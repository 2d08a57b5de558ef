package guard

import (
	"fmt"
	"sync"
	"time"

	"github.com/firn-archive/firn"
)

// noticeable is how long a store is silent before anybody is told. Of one that can't be
// reached, and has never answered yet, they are told at once: its address may be wrong.
const noticeable = 10 * time.Second

// weather is whether the store can be reached, as all calls see it together.
type weather struct {
	events firn.Sink

	mu    sync.Mutex
	met   bool      // the store has answered
	since time.Time // first failure since the last answer; zero: none
	told  bool      // of this outage
}

// foul notes a failure at now, and gives when the outage began.
func (w *weather) foul(now time.Time, err error, patience time.Duration) time.Time {
	w.mu.Lock()
	if w.since.IsZero() {
		w.since = now
	}
	since := w.since
	stranger := !w.met && firn.KindOf(err) == firn.Network
	tell := !w.told && (stranger || now.Sub(since) >= min(noticeable, patience))
	w.told = w.told || tell
	what := "the store to answer again"
	if !w.met {
		what = "the store to answer"
	}
	w.mu.Unlock()
	if tell {
		w.events(firn.NoticeEvent{Warn: true, Text: err.Error()})
		w.events(firn.WaitEvent{What: what, Until: since.Add(patience)})
	}
	return since
}

// fair notes that the store answered at now.
func (w *weather) fair(now time.Time) {
	w.mu.Lock()
	lasted, told, before := now.Sub(w.since), w.told, w.met
	w.since, w.told, w.met = time.Time{}, false, true
	w.mu.Unlock()
	again := "again, after"
	if !before {
		again = "after"
	}
	if told {
		w.events(firn.NoticeEvent{Text: fmt.Sprintf("the store answers %s %v", again, lasted.Round(time.Second))})
	}
}
