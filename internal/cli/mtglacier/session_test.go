package mtglacier

import (
	"context"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/wire"
)

// A sleepless clock is told of each sleep, and doesn't wait.
type sleepless struct {
	clock.Clock
	slept func(time.Duration)
}

func (c sleepless) Sleep(_ context.Context, d time.Duration) error {
	c.slept(d)
	return nil
}

// TestLockRun: the lock of a run that somebody looks at is waited for, and that of one
// that somebody goes on with, not for ever.
func TestLockRun(t *testing.T) {
	b := newBench(t)
	env := wire.Env{Getenv: b.env(nil, nil).Getenv, Clock: clock.System{}}
	hold := func() *wire.RunLock {
		t.Helper()
		l, err := wire.LockRun(env, 7, "status")
		b.must(err)
		return l
	}
	var waited time.Duration
	var held *wire.RunLock
	s := &session{runner: &runner{env: Env{Clock: sleepless{clock.System{}, func(d time.Duration) {
		if waited += d; held != nil {
			b.must(held.Unlock())
			held = nil
		}
	}}}}, wire: env}

	held = hold()
	l, err := s.lockRun(t.Context(), 7, "mtglacier")
	if err != nil || waited != lockPoll {
		t.Fatalf("after %v: %v", waited, err)
	}
	b.must(l.Unlock())

	other := hold()
	defer other.Unlock()
	waited = 0
	if _, err := s.lockRun(t.Context(), 7, "mtglacier"); firn.KindOf(err) != firn.Conflict || waited != lockWait {
		t.Errorf("after %v: %v", waited, err)
	}
}
