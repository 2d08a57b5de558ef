package guard

import (
	"fmt"
	"sync"
	"time"

	"github.com/firn-archive/firn"
)

// noticeable is how long a store is silent before anybody is told.
const noticeable = 10 * time.Second

// weather is whether the store can be reached, as all calls see it together.
type weather struct {
	events firn.Sink

	mu    sync.Mutex
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
	tell := !w.told && now.Sub(since) >= min(noticeable, patience)
	w.told = w.told || tell
	w.mu.Unlock()
	if tell {
		w.events(firn.NoticeEvent{Warn: true, Text: err.Error()})
		w.events(firn.WaitEvent{What: "the store to answer again", Until: since.Add(patience)})
	}
	return since
}

// fair notes that the store answered at now.
func (w *weather) fair(now time.Time) {
	w.mu.Lock()
	lasted, told := now.Sub(w.since), w.told
	w.since, w.told = time.Time{}, false
	w.mu.Unlock()
	if told {
		w.events(firn.NoticeEvent{Text: fmt.Sprintf("the store answers again, after %v", lasted.Round(time.Second))})
	}
}
