package wire

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/lockfile"
)

// A RunLock shows other processes that a run is alive. There is one for each
// run, whose number no other ever has, so its file can go with it.
type RunLock struct {
	lock *lockfile.Lock
	path string
}

// LockRun takes the lock of a run, for a command. It must be taken before the
// run records anything that others might settle: whoever gets the lock of a run
// that left something open knows that it is dead. Errors: Conflict (it lives, or
// somebody settles what it left).
func LockRun(env Env, run int64, command string) (*RunLock, error) {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("run-%d", run)
	l, err := lock(env, name, command, "lock run", fmt.Sprint(run))
	if err != nil {
		return nil, err
	}
	return &RunLock{l, filepath.Join(dir, "locks", name)}, nil
}

// Unlock gives the lock back, and removes its file: while it is still held where
// the system does that, so that nobody waits at a file without a name.
func (l *RunLock) Unlock() error {
	removed := os.Remove(l.path) == nil
	err := l.lock.Unlock()
	if !removed {
		os.Remove(l.path)
	}
	return err
}
