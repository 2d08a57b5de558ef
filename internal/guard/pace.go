package guard

import (
	"context"
	"sync"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// The bounds of the pause between two requests of a store that throttles.
const (
	minInterval = 20 * time.Millisecond
	maxInterval = 30 * time.Second
)

// pace spaces out the requests of all callers once the store says that there
// are too many: each refusal doubles the interval, each success takes a tenth
// off. A store that never throttles is never slowed down.
type pace struct {
	mu       sync.Mutex
	interval time.Duration // between the starts of two requests; 0: none
	next     time.Time     // earliest start of the next request
	slowed   time.Time     // when it last doubled
}

// wait waits for the turn of one request.
func (p *pace) wait(ctx context.Context, c clock.Clock) error {
	p.mu.Lock()
	if p.interval == 0 {
		p.mu.Unlock()
		return cause(ctx)
	}
	now := c.Now()
	turn := p.next
	if turn.Before(now) {
		turn = now
	}
	p.next = turn.Add(p.interval)
	p.mu.Unlock()
	return c.Sleep(ctx, turn.Sub(now))
}

// slower notes that a request which began at started was refused at now.
// Requests that were under way when it last slowed down say nothing new.
func (p *pace) slower(started, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !started.After(p.slowed) {
		return
	}
	p.interval = min(max(2*p.interval, minInterval), maxInterval)
	p.slowed = now
	if next := now.Add(p.interval); p.next.Before(next) {
		p.next = next
	}
}

// faster notes a success.
func (p *pace) faster() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interval -= p.interval / 10; p.interval < minInterval {
		p.interval = 0
	}
}
