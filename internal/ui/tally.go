package ui

import (
	"sync"
	"time"

	"github.com/firn-archive/firn"
)

// A tally is how far a run is, by its events. Its lock is its own and held for
// moments only, so that a frame can be drawn while a line is being written.
type tally struct {
	mu sync.Mutex
	progress
}

// progress is what a tally counts.
type progress struct {
	start   time.Time
	scan    firn.ScanEvent
	plan    firn.PlanEvent
	moved   int64 // bytes over the wire, without those that were refused
	done    int64 // files that were transferred, archives that were deleted
	told    int64 // files that something was said of
	current []inFlight
	wait    firn.WaitEvent
	meter   meter
}

// inFlight is a file of which something was transferred, but not yet all.
type inFlight struct {
	path  string
	bytes int64
}

// maxInFlight bounds how many files are remembered as being transferred; the
// display shows fewer.
const maxInFlight = 64

func newTally(now time.Time) *tally { return &tally{progress: progress{start: now}} }

// add counts an event.
func (t *tally) add(e firn.Event, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := e.(type) {
	case firn.ScanEvent:
		t.scan = e
	case firn.PlanEvent: // what was found since the last one; less where it needs no transfer
		t.plan.Files += e.Files
		t.plan.Bytes += e.Bytes
		t.plan.Archives = t.plan.Archives || e.Archives
	case firn.WaitEvent:
		t.wait = e
	case firn.TransferEvent:
		t.wait = firn.WaitEvent{} // it goes on
		t.moved += e.Bytes
		t.meter.sample(now, t.moved)
		if t.touch(e); e.Ended {
			t.settle(e.Path)
		}
	case firn.FileEvent:
		if e.Action == firn.Sent || e.Action == firn.Restored || e.Action == firn.Deleted {
			t.done++
		}
		t.told++
		t.settle(e.Path)
	}
}

// restart begins a new count, for the next tree of the same command.
func (t *tally) restart(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = progress{start: now}
}

// touch notes that e's file is being transferred.
func (t *tally) touch(e firn.TransferEvent) {
	for i := range t.current {
		if t.current[i].path == e.Path {
			t.current[i].bytes += e.Bytes
			return
		}
	}
	if e.Bytes > 0 && len(t.current) < maxInFlight {
		t.current = append(t.current, inFlight{e.Path, e.Bytes})
	}
}

// settle notes that a file is over, however it ended.
func (t *tally) settle(path string) {
	for i := range t.current {
		if t.current[i].path == path {
			t.current = append(t.current[:i], t.current[i+1:]...)
			return
		}
	}
}

// A reading is a tally at one moment.
type reading struct {
	now     time.Time
	elapsed time.Duration
	scan    firn.ScanEvent
	plan    firn.PlanEvent
	moved   int64
	done    int64
	told    int64
	current []inFlight // the oldest first
	wait    firn.WaitEvent
	rate    float64       // bytes per second, over the last seconds
	left    time.Duration // until all is transferred; 0 where nobody can know
}

// read takes a reading, with at most files of the files in flight.
func (t *tally) read(now time.Time, files int) reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := reading{
		now: now, elapsed: now.Sub(t.start),
		scan: t.scan, plan: t.plan, moved: t.moved, done: t.done, told: t.told, wait: t.wait,
		current: append([]inFlight(nil), t.current[:min(files, len(t.current))]...),
		rate:    t.meter.rate(now, t.moved),
	}
	r.left = r.remaining()
	return r
}

// endless reports that nobody knows how much is to be transferred.
func (r reading) endless() bool { return r.plan.Files > 0 && r.plan.Bytes <= 0 }

// remaining estimates the time until the end. While the scan runs nobody knows
// how much is to come; a run without a scan never sets scan.
func (r reading) remaining() time.Duration {
	scanning := r.scan.Files > 0 && !r.scan.Done
	todo := r.plan.Bytes - r.moved
	if scanning || todo <= 0 || r.rate < 1 {
		return 0
	}
	seconds := float64(todo) / r.rate
	if seconds > float64(maxLeft/time.Second) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// maxLeft is the longest time left that is worth telling.
const maxLeft = 1000 * 24 * time.Hour

// A meter measures a rate over the last seconds.
type meter struct {
	at    [meterSamples]time.Time
	total [meterSamples]int64
	next  int
	full  bool
}

const (
	meterSamples = 16
	meterEvery   = time.Second
)

// sample notes the total at now, once a second at most.
func (m *meter) sample(now time.Time, total int64) {
	last := (m.next + meterSamples - 1) % meterSamples
	if (m.full || m.next > 0) && now.Sub(m.at[last]) < meterEvery {
		return
	}
	m.at[m.next], m.total[m.next] = now, total
	m.next = (m.next + 1) % meterSamples
	m.full = m.full || m.next == 0
}

// rate gives bytes per second since the oldest sample.
func (m *meter) rate(now time.Time, total int64) float64 {
	oldest := 0
	if m.full {
		oldest = m.next
	} else if m.next == 0 {
		return 0
	}
	d := now.Sub(m.at[oldest])
	if d < meterEvery {
		return 0
	}
	return max(0, float64(total-m.total[oldest])/d.Seconds())
}
