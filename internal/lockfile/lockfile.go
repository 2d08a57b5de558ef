// Package lockfile holds locks between processes. The kernel gives them back
// when their holder dies, however it dies, so a lock is never stale.
package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ErrHeld says that another process holds the lock.
var ErrHeld = errors.New("locked by another process")

// A Lock is held until Unlock, or until the process ends.
type Lock struct{ f *os.File }

// Acquire takes the lock that the file at path stands for, making the file if
// need be, or fails at once with an error that wraps ErrHeld and says what
// note the holder left. The file stays when the lock is given back; who removes
// it does so while it holds the lock.
func Acquire(path, note string) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			holder, _ := os.ReadFile(path)
			f.Close()
			if errors.Is(err, ErrHeld) && len(holder) > 0 {
				return nil, fmt.Errorf("%w (%s)", ErrHeld, strings.TrimSpace(string(holder)))
			}
			return nil, err
		}
		named, err := isNamed(f, path)
		if err != nil {
			f.Close()
			return nil, err
		}
		if !named {
			f.Close()
			continue
		}
		// The note is a courtesy; a full disk must not keep anybody from working.
		if f.Truncate(0) == nil {
			f.WriteAt([]byte(note+"\n"), 0)
		}
		return &Lock{f}, nil
	}
}

// isNamed reports whether path stands for the file. Its last holder may have removed it
// between its opening and its locking: the next one locks another file of this name.
func isNamed(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, now), err
}

// Unlock gives the lock back.
func (l *Lock) Unlock() error {
	l.f.Truncate(0)
	return l.f.Close()
}
