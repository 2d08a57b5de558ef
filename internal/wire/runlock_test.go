package wire_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

// TestRunLock: one that is held says so, and one that was given back leaves no
// file, since there are many runs.
func TestRunLock(t *testing.T) {
	env := environment(t)
	if wire.AnyRuns(env) {
		t.Error("there is none yet")
	}
	l, err := wire.LockRun(env, 7, "archive upload")
	if err != nil {
		t.Fatal(err)
	}
	if !wire.AnyRuns(env) {
		t.Error("there is one")
	}
	if _, err := wire.LockRun(env, 7, "sync"); firn.KindOf(err) != firn.Conflict {
		t.Errorf("a run that lives: %v", err)
	}
	other, err := wire.LockRun(env, 8, "sync")
	if err != nil {
		t.Fatalf("another run: %v", err)
	}
	if err := other.Unlock(); err != nil {
		t.Error(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "locks")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if wire.AnyRuns(env) {
		t.Error("there is one no more")
	}
	again, err := wire.LockRun(env, 7, "sync")
	if err != nil {
		t.Fatalf("a run that has ended: %v", err)
	}
	again.Unlock()
}

// A sleepless clock is told of each sleep, and doesn't wait.
type sleepless struct {
	clock.Clock
	slept func(time.Duration)
}

func (c sleepless) Sleep(_ context.Context, d time.Duration) error {
	c.slept(d)
	return nil
}

// TestBeginRun: others may look whether a run is dead before it has its lock: they are
// waited for, and not for ever. A run that doesn't get it has ended.
func TestBeginRun(t *testing.T) {
	env := environment(t)
	cat := openCatalog(t, env)
	row, err := cat.Register(t.Context(), catalog.StoreSpec{URL: "local:/v", Kind: "local", Identity: "v", Name: "v"})
	if err != nil {
		t.Fatal(err)
	}
	first, lock, err := wire.BeginRun(t.Context(), env, cat, row.ID, "adopt")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	if _, err := wire.LockRun(env, first.ID, "status"); firn.KindOf(err) != firn.Conflict {
		t.Errorf("it has no lock: %v", err)
	}

	look, err := wire.LockRun(env, first.ID+1, "status") // at what comes next
	if err != nil {
		t.Fatal(err)
	}
	slept, told := time.Duration(0), []string(nil)
	env.Events = func(e firn.Event) {
		if n, ok := e.(firn.NoticeEvent); ok {
			told = append(told, n.Text)
		}
	}
	env.Clock = sleepless{env.Clock, func(d time.Duration) {
		if slept += d; slept == d {
			look.Unlock()
		}
	}}
	second, lock, err := wire.BeginRun(t.Context(), env, cat, row.ID, "adopt")
	if err != nil || second.ID != first.ID+1 || slept == 0 {
		t.Fatalf("run %d after %v: %v", second.ID, slept, err)
	}
	defer lock.Unlock()

	if told != nil {
		t.Errorf("after a moment: %q", told)
	}

	look, err = wire.LockRun(env, second.ID+1, "status")
	if err != nil {
		t.Fatal(err)
	}
	defer look.Unlock()
	slept = time.Second // it stays
	third, _, err := wire.BeginRun(t.Context(), env, cat, row.ID, "adopt")
	if firn.KindOf(err) != firn.Conflict || slept < time.Minute || slept > time.Hour {
		t.Errorf("after %v: %v", slept, err)
	}
	if len(told) != 1 || !strings.Contains(told[0], "waiting for another firn") || !strings.Contains(told[0], "firn status, process") {
		t.Errorf("told: %q", told)
	}
	if run, err := cat.Run(t.Context(), third.ID); err != nil || run.Ended.IsZero() || run.Complete {
		t.Errorf("%+v, %v", run, err)
	}
}

// TestRunAlive: who has the lock goes on; who has died has none, whatever file
// is left; and a short work that takes none is given its time.
func TestRunAlive(t *testing.T) {
	env := environment(t)
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	env.Clock = clock.NewManual(now)
	sync := catalog.Run{ID: 1, Store: 1, Tree: 5, Command: "sync", Started: now.Add(-time.Minute)}
	upload := catalog.Run{ID: 2, Store: 1, Command: "archive upload", Started: now.Add(-240 * time.Hour)}
	refresh := catalog.Run{ID: 3, Store: 1, Command: "refresh", Started: now.Add(-time.Minute)}
	check := func(what string, want ...bool) {
		t.Helper()
		for i, run := range []catalog.Run{sync, upload, refresh} {
			if got := wire.RunAlive(env, run, "photos"); got != want[i] {
				t.Errorf("%s: %s is alive: %t", what, run.Command, got)
			}
		}
	}
	check("before any lock", false, false, true)
	tree, err := wire.LockTree(t.Context(), env, catalog.Store{ID: 1}, "photos", 0)
	if err != nil {
		t.Fatal(err)
	}
	run, err := wire.LockRun(env, 2, "archive upload")
	if err != nil {
		t.Fatal(err)
	}
	check("with locks", true, true, true)
	tree.Unlock() // as a kill does: the file stays
	run.Unlock()
	refresh.Started = now.Add(-25 * time.Hour)
	check("after them", false, false, false)
}

// TestSnapshotLock: one store's snapshots are made one at a time.
func TestSnapshotLock(t *testing.T) {
	env := environment(t)
	l, err := wire.LockSnapshots(env, catalog.Store{ID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	if _, err := wire.LockSnapshots(env, catalog.Store{ID: 1}); firn.KindOf(err) != firn.Conflict {
		t.Errorf("a second time: %v", err)
	}
	other, err := wire.LockSnapshots(env, catalog.Store{ID: 2})
	if err != nil {
		t.Fatalf("of another store: %v", err)
	}
	other.Unlock()
}
