package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
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
	name := runLock(run)
	l, err := lock(env, name, command, "lock run", fmt.Sprint(run))
	if err != nil {
		return nil, err
	}
	return &RunLock{l, filepath.Join(dir, "locks", name)}, nil
}

// BeginRun begins a run of a whole store, for a command, and takes its lock. From the
// moment that the catalog has the run others may look whether it is dead, or settle what
// they take it to have left: who holds its lock does no more than that, and is waited for.
// Errors: those of the catalog; Conflict, where the lock can't be had for minutes.
func BeginRun(ctx context.Context, env Env, cat *catalog.Catalog, store int64, command string) (catalog.Run, *RunLock, error) {
	run, err := cat.BeginRun(ctx, store, 0, command)
	if err != nil {
		return run, nil, err
	}
	lock, err := AwaitRun(ctx, env, run.ID, command, ownWait)
	if err != nil {
		err = errors.Join(err, cat.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{}))
	}
	return run, lock, err
}

// How long the lock of an own run is waited for, how often any is tried, and when it is
// told that one is waited for: to recall what a run left somebody may have to go through
// all archives of a store.
const (
	ownWait = 10 * time.Minute
	runPoll = 100 * time.Millisecond
	runTold = 2 * time.Second
)

// AwaitRun is LockRun that waits for some time while another process has the lock, and
// tells of it where that is longer than a moment.
func AwaitRun(ctx context.Context, env Env, run int64, command string, atMost time.Duration) (*RunLock, error) {
	for waited := time.Duration(0); ; waited += runPoll {
		lock, err := LockRun(env, run, command)
		if firn.KindOf(err) != firn.Conflict || waited >= atMost {
			return lock, err
		}
		if waited == runTold {
			env.Events(firn.NoticeEvent{Text: fmt.Sprintf("waiting for another firn that looks after what earlier runs left: %v", errors.Unwrap(err))})
		}
		if err := env.Clock.Sleep(ctx, runPoll); err != nil {
			return nil, err
		}
	}
}

// RunAlive reports whether a run without an end goes on, in this process or in
// another one of this machine. A sync has its tree's lock, whose name is tree,
// and what works on the whole store one of its own. What can't be told goes on.
func RunAlive(env Env, run catalog.Run, tree string) bool {
	name := runLock(run.ID)
	if run.Tree != 0 {
		name = treeLock(run.Store, tree)
	}
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return true
	}
	if _, err := os.Stat(filepath.Join(dir, "locks", name)); errors.Is(err, fs.ErrNotExist) {
		return run.Tree == 0 && env.Clock.Now().Sub(run.Started) < lockless
	}
	l, err := lock(env, name, "snapshot", "lock run", name)
	if err != nil {
		return true
	}
	l.Unlock()
	return false
}

// lockless is how long a run is taken to go on that has no lock: longer than any
// command without one takes.
const lockless = 24 * time.Hour

// runLock names the lock of a run.
func runLock(run int64) string { return fmt.Sprint(runPrefix, run) }

const runPrefix = "run-"

// AnyRuns reports whether there are runs with locks of their own: such as go on, and
// such as were killed. It looks at nothing but names, and takes no time. What can't be
// told is so.
func AnyRuns(env Env) bool {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return true
	}
	entries, err := os.ReadDir(filepath.Join(dir, "locks"))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), runPrefix) })
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
