//go:build unix

package restore

import (
	"errors"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// linkTimes sets the time of a symbolic link itself.
func (t *target) linkTimes(p string, mtime time.Time) error {
	dir, err := t.root.Open(path.Dir(p))
	if err != nil {
		return err
	}
	defer dir.Close()
	ts, err := unix.TimeToTimespec(mtime)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), path.Base(p), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
