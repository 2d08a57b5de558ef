package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firn-archive/firn/internal/clock"
)

// A woundClock is the machine's clock, wound on by what a file says, so that the
// programs of a script live through days together. Whoever sleeps longer than a
// moment winds it on, and sleeps no more.
type woundClock struct {
	clock.System
	file   string
	sleeps bool // for real: the server's time is its callers' matter
}

// awhile is up to how long a sleep is for real: it waits for another process.
const awhile = 250 * time.Millisecond

// woundFile is the file's name in the script's home.
const woundFile = ".wound"

// inScript gives programs the clock of their script, where it was wound.
func inScript(env Env) Env {
	home := os.Getenv("HOME")
	if file := filepath.Join(home, woundFile); home != "" {
		if _, err := os.Stat(file); err == nil {
			env.Clock = woundClock{file: file, sleeps: slices.Contains(os.Args, "serve")}
		}
	}
	return env
}

// by is how far the clock was wound on.
func (c woundClock) by() time.Duration {
	text, err := os.ReadFile(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	d, parseErr := time.ParseDuration(string(text))
	if err = errors.Join(err, parseErr); err != nil {
		panic(err)
	}
	return d
}

// wind winds the clock on. Others read the file at any time.
func (c woundClock) wind(d time.Duration) error {
	f, err := os.CreateTemp(filepath.Dir(c.file), woundFile+"*")
	if err != nil {
		return err
	}
	_, err = f.WriteString((c.by() + d).String())
	return errors.Join(err, f.Close(), os.Rename(f.Name(), c.file))
}

// Now is the machine's time, and what was wound.
func (c woundClock) Now() time.Time { return c.System.Now().Add(c.by()) }

// Sleep waits a moment for real, and lets longer times pass at once.
func (c woundClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.sleeps || d <= awhile {
		return c.System.Sleep(ctx, d)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.wind(d)
}

func windAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: wind TIME | month")
	}
	clock := woundClock{file: filepath.Join(ts.Getenv("HOME"), woundFile)}
	if args[0] == "month" {
		now := clock.Now()
		ts.Check(clock.wind(monthOf(now).AddDate(0, 1, 1).Sub(now)))
		return
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Check(clock.wind(d))
}

// TestWoundClock: a long sleep takes no time, and is over for everybody.
func TestWoundClock(t *testing.T) {
	c := woundClock{file: filepath.Join(t.TempDir(), woundFile)}
	began := c.Now()
	if err := errors.Join(c.wind(time.Hour), c.Sleep(t.Context(), 24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	other := woundClock{file: c.file, sleeps: true}
	if took := other.Now().Sub(began); took < 25*time.Hour || took > 26*time.Hour {
		t.Errorf("it took %v", took)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, d := range []time.Duration{time.Nanosecond, time.Hour} {
		if err := c.Sleep(ended, d); d > awhile && err != context.Canceled {
			t.Errorf("%v: %v", d, err)
		}
	}
}
