//go:build unix

package restore

import (
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
)

// openNonblock keeps a pipe that took a file's place from blocking the open.
const openNonblock = unix.O_NONBLOCK

// linkTimes sets the time of a symbolic link itself.
func linkTimes(d *os.Root, name string, mtime time.Time) error {
	at := path.Dir(name)
	dir, err := d.Open(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	ts, err := unix.TimeToTimespec(mtime)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(dir.Fd()), path.Base(name), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// isOwner reports whether what info tells of has the file's owner and group.
func isOwner(info fs.FileInfo, file firn.File) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == file.UID && int(st.Gid) == file.GID
}

// isOurs reports whether an open file is nobody else's: it has one name, and
// only we may write to it.
func isOurs(_ *os.File, info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && st.Nlink == 1 && info.Mode()&0o022 == 0
}
