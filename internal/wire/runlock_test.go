package wire_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/wire"
)

// TestRunLock: one that is held says so, and one that was given back leaves no
// file, since there are many runs.
func TestRunLock(t *testing.T) {
	env := environment(t)
	l, err := wire.LockRun(env, 7, "archive upload")
	if err != nil {
		t.Fatal(err)
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
	again, err := wire.LockRun(env, 7, "sync")
	if err != nil {
		t.Fatalf("a run that has ended: %v", err)
	}
	again.Unlock()
}
