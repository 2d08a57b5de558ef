package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

func TestSleepEndsWithContext(t *testing.T) {
	for name, c := range map[string]clock.Clock{"system": clock.System{}, "manual": clock.NewManual(time.Unix(0, 0))} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Sleep(ctx, time.Hour); err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSleepTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]clock.Clock{"system": clock.System{}, "manual": clock.NewManual(time.Unix(0, 0))} {
			start := c.Now()
			if err := c.Sleep(t.Context(), 48*time.Hour); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := c.Now().Sub(start); d != 48*time.Hour {
				t.Errorf("%s: slept %v", name, d)
			}
		}
	})
}
