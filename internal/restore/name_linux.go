package restore

import (
	"errors"
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

// swapNames exchanges what two names stand for, in one step; ErrUnsupported
// where the file system can't.
func swapNames(d *dir, a, b string) error {
	fd := int(d.self.Fd())
	err := unix.Renameat2(fd, a, fd, b, unix.RENAME_EXCHANGE)
	if err == unix.ENOSYS || err == unix.EINVAL {
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("renameat2", err)
}
