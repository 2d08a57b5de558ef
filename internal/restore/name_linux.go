package restore

import (
	"os"

	"golang.org/x/sys/unix"
)

// giveName gives what is at tmp its name, if that is free, in one step where the
// file system can: renameat2(2).
func giveName(d *dir, tmp, name string) error {
	fd := int(d.self.Fd())
	err := unix.Renameat2(fd, tmp, fd, name, unix.RENAME_NOREPLACE)
	if err == unix.ENOSYS || err == unix.EINVAL {
		return linkName(d.Root, tmp, name)
	}
	return os.NewSyscallError("renameat2", err)
}
