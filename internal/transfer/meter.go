package transfer

import (
	"math"
	"time"
)

const (
	// quantum is the shortest interval that is weighed as one sample.
	quantum = 100 * time.Millisecond
	// recent is how much of the past counts for the rate of now.
	recent = 5 * time.Second
	// memory is how slowly belief follows: a short hiccup must not look like
	// another line.
	memory = 30 * time.Second
	// known is how long the line has to be watched before its rate is known.
	known = 250 * time.Millisecond
	// silence is the longest interval between two reads that is the line's own
	// slowness. What is longer is an outage, and weighs no more.
	silence = 30 * time.Second
)

// A meter estimates the rate of the line from the bytes that go into it while
// bodies are in flight. Time when none is does not count.
type meter struct {
	last     time.Time // when the open interval began
	open     int64     // bytes read since
	samples  []sample  // the recent past, oldest first
	sum      sample    // of samples
	believed float64   // bytes/s; 0: not known
	watched  time.Duration
}

// A sample is an interval in which the line was busy, and what it took.
type sample struct {
	bytes int64
	dur   time.Duration
}

// begin opens an interval without a past.
func (m *meter) begin(now time.Time) { m.last, m.open = now, 0 }

// add counts n bytes that were read at now, hence go out after now. It reports
// whether the rate was weighed anew.
func (m *meter) add(now time.Time, n int64) bool {
	dur := now.Sub(m.last)
	if dur >= quantum {
		m.weigh(sample{m.open, min(dur, silence)})
		m.begin(now)
	}
	m.open += n
	return dur >= quantum
}

// end closes the open interval: nothing is in flight any more.
func (m *meter) end(now time.Time) {
	if dur := now.Sub(m.last); dur > 0 {
		m.weigh(sample{m.open, dur})
	}
	m.begin(now)
}

func (m *meter) weigh(s sample) {
	m.push(s)
	m.believe(s)
}

func (m *meter) push(s sample) {
	if n := len(m.samples); n > 0 && m.samples[n-1].dur < quantum {
		m.samples[n-1].bytes += s.bytes
		m.samples[n-1].dur += s.dur
	} else {
		m.samples = append(m.samples, s)
	}
	m.sum.bytes += s.bytes
	m.sum.dur += s.dur
	for m.sum.dur-m.samples[0].dur >= recent {
		m.sum.bytes -= m.samples[0].bytes
		m.sum.dur -= m.samples[0].dur
		m.samples = m.samples[1:]
	}
}

func (m *meter) believe(s sample) {
	if m.watched += s.dur; m.watched < recent {
		if m.watched >= known {
			m.believed = max(1, m.now())
		}
		return
	}
	rate := float64(s.bytes) / s.dur.Seconds()
	weight := 1 - math.Exp(-s.dur.Seconds()/memory.Seconds())
	m.believed = max(1, m.believed+weight*(rate-m.believed))
}

// now is the rate of the recent past in bytes/s.
func (m *meter) now() float64 {
	if m.sum.dur == 0 {
		return 0
	}
	return float64(m.sum.bytes) / m.sum.dur.Seconds()
}

// seen reports whether the recent past is long enough to act on.
func (m *meter) seen() bool { return m.sum.dur >= recent }

// accept makes the recent past the belief: it proved to be no hiccup.
func (m *meter) accept() {
	if m.believed > 0 {
		m.believed = max(1, min(m.believed, m.now()))
	}
}

// halve is for a line that is slower than can be seen from here.
func (m *meter) halve() {
	if m.believed > 0 {
		m.believed = max(1, m.believed/2)
	}
}
