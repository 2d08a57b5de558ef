//go:build unix

package restore

import (
	"errors"
	"io/fs"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
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

// isOwner reports whether what info tells of has the file's owner and group.
func isOwner(info fs.FileInfo, file firn.File) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == file.UID && int(st.Gid) == file.GID
}

func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
