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
