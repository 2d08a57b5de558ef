package wire_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/wire"
)

func TestTreeLock(t *testing.T) {
	env := environment(t)
	row := catalog.Store{ID: 1}
	l, err := wire.LockTree(t.Context(), env, row, "photos", 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire.LockTree(t.Context(), env, row, "photos", 0)
	if firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), "firn sync, process") || !strings.Contains(err.Error(), "--lock-wait") {
		t.Errorf("a second lock: %v", err)
	}
	other, err := wire.LockTree(t.Context(), env, row, "music", 0)
	if err != nil {
		t.Fatalf("another tree: %v", err)
	}
	other.Unlock()
	l.Unlock()
	if l, err = wire.LockTree(t.Context(), env, row, "photos", 0); err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	l.Unlock()
}

// A waiting clock does something each time somebody sleeps.
type waitingClock struct {
	*clock.Manual
	slept func()
}

func (c *waitingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.slept()
	return c.Manual.Sleep(ctx, d)
}

func TestTreeLockIsWaitedFor(t *testing.T) {
	env := environment(t)
	row := catalog.Store{ID: 1}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var held *lockfile.Lock
	hold := func() {
		t.Helper()
		var err error
		if held, err = wire.LockTree(t.Context(), env, row, "photos", 0); err != nil {
			t.Fatal(err)
		}
	}
	sleeps := 0
	clk := &waitingClock{clock.NewManual(noon), func() {
		if sleeps++; sleeps == 90 {
			held.Unlock()
		}
	}}
	env.Clock = clk
	var told []firn.WaitEvent
	env.Events = func(e firn.Event) { told = append(told, e.(firn.WaitEvent)) }
	hold()
	l, err := wire.LockTree(t.Context(), env, row, "photos", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	l.Unlock()
	if took := clk.Now().Sub(noon); took < time.Minute || took > 2*time.Minute {
		t.Errorf("it took %v", took)
	}
	if len(told) != 1 || !strings.Contains(told[0].What, "photos") || !strings.Contains(told[0].What, "firn sync, process") || !told[0].Until.Equal(noon.Add(time.Hour)) {
		t.Errorf("told %+v", told)
	}
	sleeps = 100 // nobody gives it back any more
	hold()
	defer held.Unlock()
	began := clk.Now()
	if _, err := wire.LockTree(t.Context(), env, row, "photos", time.Minute); firn.KindOf(err) != firn.Conflict || clk.Now().Sub(began) != time.Minute {
		t.Errorf("in the end: %v after %v", err, clk.Now().Sub(began))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wire.LockTree(ctx, env, row, "photos", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestTargetLock(t *testing.T) {
	env := environment(t)
	l, err := wire.LockTarget(env, "/mnt/back")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	if _, err := wire.LockTarget(env, "/mnt/back"); firn.KindOf(err) != firn.Conflict {
		t.Errorf("a second lock: %v", err)
	}
	other, err := wire.LockTarget(env, "/mnt/other")
	if err != nil {
		t.Fatalf("another folder: %v", err)
	}
	other.Unlock()
}
