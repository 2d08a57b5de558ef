package wire_test

import (
	"os"
	"path/filepath"
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
