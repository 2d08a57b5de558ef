package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/wire"
)

// A glance is a clock of a command whose runs another process looks at as they begin: it
// has their locks until the command waits.
type glance struct {
	*clock.Manual
	held []*wire.RunLock
}

func (g *glance) Sleep(ctx context.Context, d time.Duration) error {
	for _, l := range g.held {
		l.Unlock()
	}
	g.held = nil
	return g.Manual.Sleep(ctx, d)
}

// glanceAt takes the locks of the runs that are next.
func (w *jobWorld) glanceAt() *glance {
	w.Helper()
	env := wire.Env{Getenv: w.env.Getenv, Dir: w.env.Dir, Clock: w.clock, Events: firn.Discard}
	cat, err := wire.OpenCatalog(w.Context(), env)
	if err != nil {
		w.Fatal(err)
	}
	defer cat.Close()
	last, err := cat.BeginRun(w.Context(), 1, 0, "status")
	if err != nil {
		w.Fatal(err)
	}
	g := &glance{Manual: w.clock}
	for next := range int64(5) {
		l, err := wire.LockRun(env, last.ID+1+next, "status")
		if err != nil {
			w.Fatal(err)
		}
		g.held = append(g.held, l)
	}
	return g
}

// TestRunsThatOthersLookAt: a command whose run another process looks at, in the moment
// before it has its lock, waits for that, and works.
func TestRunsThatOthersLookAt(t *testing.T) {
	w := newJobWorld(t)
	w.upload("photo", []byte("photo"))
	data := noise(1, 2*partMiB)
	id := w.begin(w.vault(), "tape", data, 0)
	w.lay("tape", data)
	w.lay("words", []byte("words"))
	w.lay("tree/file", []byte("file"))
	w.firn(Done, "sync", "tree", "glacier:v")
	for _, args := range [][]string{
		{"archive", "upload", "glacier:v", "words"},
		{"upload", "resume", "glacier:v", "--", id, "tape"},
		{"prune", "glacier:v", "--keep-last", "1"},
		{"adopt", "glacier:v", "--wait"},
	} {
		g := w.glanceAt()
		env := w.env
		env.Clock = g
		if status, _, said := try(env, args...); status != Done || g.held != nil {
			t.Errorf("firn %s: status %d, looked at %v: %s", strings.Join(args, " "), status, g.held == nil, said)
		}
		for _, l := range g.held {
			l.Unlock()
		}
	}
}
