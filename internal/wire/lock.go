package wire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/lockfile"
)

// lockPoll is how often a lock is tried that another process holds.
const lockPoll = time.Second

// LockTree takes the lock of one tree in a store, so that two syncs of it
// don't run at the same time on this machine. One that another process holds is
// waited for, and that is told once; a wait of 0 is none. Errors: Conflict, with
// who holds it.
func LockTree(ctx context.Context, env Env, store catalog.Store, tree string, wait time.Duration) (*lockfile.Lock, error) {
	name := treeLock(store.ID, tree)
	deadline := env.Clock.Now().Add(wait)
	for told := false; ; told = true {
		l, err := lock(env, name, "sync", "lock tree", tree)
		left := deadline.Sub(env.Clock.Now())
		if firn.KindOf(err) != firn.Conflict || left <= 0 {
			return l, err
		}
		if !told {
			env.Events(firn.WaitEvent{What: fmt.Sprintf("the tree %s, %v", tree, errors.Unwrap(err)), Until: deadline})
		}
		if err := env.Clock.Sleep(ctx, min(lockPoll, left)); err != nil {
			return nil, err
		}
	}
}

// treeLock names the lock of a tree.
func treeLock(store int64, tree string) string { return fmt.Sprintf("store-%d-tree-%x", store, tree) }

// LockTarget takes the lock of a folder that files are restored to, so that no
// other restore of this user works in it. dir is its real path. Errors:
// Conflict.
func LockTarget(env Env, dir string) (*lockfile.Lock, error) {
	return lock(env, fmt.Sprintf("target-%x", sha256.Sum256([]byte(dir))), "restore", "lock folder", dir)
}

// lock takes the lock of a name in the data folder, for a command.
func lock(env Env, name, command, op, subject string) (*lockfile.Lock, error) {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &firn.Error{Op: "make the lock folder", Subject: dir, Kind: firn.Local, Err: err}
	}
	l, err := lockfile.Acquire(filepath.Join(dir, name), fmt.Sprintf("firn %s, process %d, since %s", command, os.Getpid(), env.Clock.Now().Format(time.DateTime)))
	if errors.Is(err, lockfile.ErrHeld) {
		more := ""
		if command == "sync" {
			more = "; firn sync waits with --lock-wait 1h"
		}
		return nil, &firn.Error{Op: op, Subject: subject, Kind: firn.Conflict, Err: err, Hint: "wait until it is done, or stop it" + more}
	}
	if err != nil {
		return nil, &firn.Error{Op: op, Subject: subject, Kind: firn.Local, Err: err}
	}
	return l, nil
}

// LockSnapshots takes the lock of a store's snapshots, so that two processes on
// this machine don't make one at the same time. Errors: Conflict.
func LockSnapshots(env Env, store catalog.Store) (*lockfile.Lock, error) {
	return lock(env, fmt.Sprintf("store-%d-snapshot", store.ID), "snapshot", "lock snapshots", store.URL)
}

// LockStore takes the lock of a store for a command that works on all of it.
// Errors: Conflict.
func LockStore(env Env, store catalog.Store, command string) (*lockfile.Lock, error) {
	return lock(env, fmt.Sprintf("store-%d", store.ID), command, command, store.URL)
}
