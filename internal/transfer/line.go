package transfer

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// How long a request body may take. A signature is good for 5 minutes, and
// uploads whose end came later were refused (Amazon Glacier: "Signature
// expired"; AWS General Reference, "Signature Version 4").
const (
	// maxBody is how long a body may take while it can be helped.
	maxBody = 120 * time.Second
	// planned is what bodies are planned to take at most; the rest is margin.
	planned = 90 * time.Second
	// ceiling is how long a part may take that can't be made smaller without
	// giving up parts that are stored already.
	ceiling = 270 * time.Second
)

const (
	// small bodies are sent whatever the line is like: a few of them at once
	// are through in maxBody even at 9 kB/s, and their time is all latency,
	// which would make any line look slow.
	small = 256 << 10
	// burst is how many bytes of a body may vanish at once in the buffers
	// between here and the wire, and gap the pause after which they are full.
	// Source of the size: Linux lets a connection buffer 4 MiB (tcp_wmem).
	burst = 4 * mib
	gap   = 20 * time.Millisecond
	// unmeasured is how many bytes may be in flight, beyond one body, on a
	// line whose rate nobody knows yet.
	unmeasured = 4 * mib
)

// Why a request under way was given up, as its context's cause.
var (
	// errCrowded: others were in flight too; it is sent again when fewer are.
	errCrowded = errors.New("too many bodies in flight for this line")
	// errTooSlow: it was alone, and has to become smaller.
	errTooSlow = errors.New("the body is too large for this line")
)

// A line is what all bodies to one store go through. It lends slots, as many as
// are allowed and in the order in which they are asked for, and keeps the time
// of each body within bounds: it watches how fast bodies are read, lends no
// slot that would make any body late, and where the line got slower than it
// was, it stops the youngest bodies until the others come through in time.
//
// It assumes that bodies share the line evenly. It acts only when a body is
// read, on the clock it was given, and has no goroutine of its own; a wait
// between two tries of a request below, in which nothing is read, is no
// slowness.
type line struct {
	clock clock.Clock
	slots int
	limit float64 // bytes/s; 0: none

	mu      sync.Mutex
	used    int
	waiting []*ticket // in the order of asking
	flight  []*ticket // lent for bodies that are not small
	meter   meter
}

// A ticket is the right to hash, and to send, one body at a time.
type ticket struct {
	line *line
	size int64         // of the body; 0: nothing is sent
	lent chan struct{} // closed when it is

	// Of the request under way; guarded by line.mu.
	lone    time.Duration // how long it may take when alone; 0: as long as it takes
	cancel  context.CancelCauseFunc
	started time.Time // when the store first read; zero: it didn't
	latest  time.Time // when it read last
	read    int64     // bytes that the store has read
	held    int64     // of these, what is in buffers until the end
	full    bool      // the buffers are
	stopped bool
}

// rest is how many bytes have not gone over the wire yet.
func (t *ticket) rest() int64 { return t.size - t.read + t.held }

// acquire waits for a slot for a body of size bytes.
func (l *line) acquire(ctx context.Context, size int64) (*ticket, error) {
	t := &ticket{line: l, size: size, lent: make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, t)
	l.lend()
	l.mu.Unlock()
	select {
	case <-t.lent:
		return t, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	i := slices.Index(l.waiting, t)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.lend() // it may have stood in the way
	}
	l.mu.Unlock()
	if i < 0 {
		t.release()
	}
	return nil, context.Cause(ctx)
}

// release gives the slot back.
func (t *ticket) release() {
	l := t.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used--
	if i := slices.Index(l.flight, t); i >= 0 {
		l.flight = slices.Delete(l.flight, i, i+1)
	}
	l.lend()
}

// lend hands out slots while there are any and the next body fits. Whoever only
// hashes need not wait for the line: of a thousand files that are stored
// already none has to queue behind a body.
func (l *line) lend() {
	blocked := false
	for i := 0; i < len(l.waiting) && l.used < l.slots; {
		t := l.waiting[i]
		if t.size > 0 && (blocked || !l.fits(t.size)) {
			blocked = true
			i++
			continue
		}
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.used++
		if t.size > small {
			l.flight = append(l.flight, t)
		}
		close(t.lent)
	}
}

// fits reports whether one more body of size bytes leaves all in time.
func (l *line) fits(size int64) bool {
	if size <= small || len(l.flight) == 0 {
		return true
	}
	rate := l.rate()
	if rate == 0 {
		for _, t := range l.flight {
			size += t.size
		}
		return size <= unmeasured
	}
	now, share := l.clock.Now(), rate/float64(len(l.flight)+1)
	for _, t := range l.flight {
		if t.elapsed(now)+took(t.rest(), share) > planned {
			return false
		}
	}
	return took(size, share) <= planned
}

// rate is what the line is believed to carry, in bytes/s; 0 if that isn't known.
func (l *line) rate() float64 {
	if l.limit > 0 && (l.meter.believed == 0 || l.meter.believed > l.limit) {
		return l.limit
	}
	return l.meter.believed
}

// reach is how large a body may be planned, in bytes; 0 if that isn't known.
func (l *line) reach() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(min(l.rate()*planned.Seconds(), math.MaxInt64/2))
}

// halve is for a store that found a body too slow which seemed not to be.
func (l *line) halve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meter.halve()
}

// send begins a request whose body t is for, and which may take lone when no
// other is under way; 0 is as long as it takes. Cancel gives it up.
func (t *ticket) send(cancel context.CancelCauseFunc, lone time.Duration) {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	t.cancel, t.lone, t.stopped = cancel, lone, false
}

// sent ends the request. Only an answer proves that the buffers were emptied.
func (t *ticket) sent(ok bool) {
	l := t.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.started.IsZero() {
		return
	}
	if ok {
		l.meter.open += t.held
	}
	t.restart(time.Time{})
	if !l.busy() {
		l.meter.end(l.clock.Now())
	}
}

// restart begins the body anew, at a time that is zero where that's not yet.
func (t *ticket) restart(now time.Time) {
	t.started, t.latest = now, now
	t.read, t.held, t.full = 0, 0, false
}

// reads notes that the store has read n bytes of t's body from off on. A store
// that begins at 0 again is sending it again.
func (t *ticket) reads(off, n int64) {
	if t.size <= small {
		return
	}
	l := t.line
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if off == 0 || t.started.IsZero() {
		if !t.started.IsZero() || !l.busy() {
			l.meter.begin(now)
		}
		t.restart(now)
	}
	t.full = t.full || now.Sub(t.latest) >= gap || t.held >= burst
	t.latest, t.read = now, off+n
	if !t.full {
		t.held += n
		n = 0
	}
	if l.meter.add(now, n) {
		l.watch(now)
		l.lend()
	}
}

// busy reports whether any body is under way.
func (l *line) busy() bool {
	return slices.ContainsFunc(l.flight, func(t *ticket) bool { return !t.started.IsZero() })
}

// watch stops bodies until the rest will be in time.
func (l *line) watch(now time.Time) {
	if !l.meter.seen() {
		return
	}
	active := make([]*ticket, 0, 8)
	for _, t := range l.flight {
		if !t.started.IsZero() && !t.stopped {
			active = append(active, t)
		}
	}
	for slices.ContainsFunc(active, func(t *ticket) bool { return l.late(t, len(active), now) }) {
		if len(active) == 1 {
			active[0].stop(errTooSlow)
			return
		}
		least := 0
		for i, t := range active {
			if t.read < t.size && (active[least].read >= active[least].size || t.read < active[least].read) {
				least = i
			}
		}
		active[least].stop(errCrowded)
		active = slices.Delete(active, least, least+1)
	}
}

// late reports whether t, one of n bodies under way, will take too long, both
// at the rate of now and at its own average: a hiccup does not make a body late.
func (l *line) late(t *ticket, n int, now time.Time) bool {
	bound, elapsed := maxBody, t.elapsed(now)
	if n == 1 {
		bound = t.lone
	}
	if bound == 0 || t.read >= t.size || elapsed < recent {
		return false
	}
	if elapsed >= bound {
		return true
	}
	return elapsed+took(t.rest(), l.meter.now()/float64(n)) > bound &&
		elapsed+took(t.rest(), float64(t.read-t.held)/elapsed.Seconds()) > bound
}

// stop gives up the request under way.
func (t *ticket) stop(cause error) {
	t.stopped = true
	t.line.meter.accept()
	t.cancel(cause)
}

func (t *ticket) elapsed(now time.Time) time.Duration {
	if t.started.IsZero() {
		return 0
	}
	return now.Sub(t.started)
}

// took is how long n bytes take at rate bytes/s: for ever, in a sense, at 0.
func took(n int64, rate float64) time.Duration {
	const ever = 1000 * time.Hour
	seconds := float64(n) / rate
	if !(seconds < ever.Seconds()) {
		return ever
	}
	return time.Duration(seconds * float64(time.Second))
}
