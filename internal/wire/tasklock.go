package wire

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/lockfile"
)

// A TaskLock is held by the process that works on a task.
type TaskLock struct{ RunLock }

// LockTask takes the lock of a task, whose number no other ever has, for a
// command. Errors: Conflict (a process works on it).
func LockTask(env Env, task int64, command string) (*TaskLock, error) {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return nil, err
	}
	name := taskLock(task)
	l, err := lock(env, name, command, "lock task", fmt.Sprint(task))
	if err != nil {
		return nil, err
	}
	return &TaskLock{RunLock{l, filepath.Join(dir, "locks", name)}}, nil
}

// Unlock gives the lock of a task back that is not done: its file stays, since
// others may have it open.
func (l *TaskLock) Unlock() error { return l.lock.Unlock() }

// Remove gives the lock of a task back that is no more.
func (l *TaskLock) Remove() error { return l.RunLock.Unlock() }

// TaskRuns reports whether a process works on a task. What can't be told does not.
func TaskRuns(env Env, task int64) bool {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return false
	}
	name := taskLock(task)
	if _, err := os.Stat(filepath.Join(dir, "locks", name)); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	l, err := lock(env, name, "status", "lock task", name)
	if err != nil {
		return IsHeld(err)
	}
	l.Unlock()
	return false
}

// IsHeld reports whether an error says that another process holds a lock: what
// was wanted is being worked on.
func IsHeld(err error) bool {
	return firn.KindOf(err) == firn.Conflict && errors.Is(err, lockfile.ErrHeld)
}

func taskLock(task int64) string { return fmt.Sprintf("task-%d", task) }
