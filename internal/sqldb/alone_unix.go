//go:build unix

package sqldb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// The bytes by which SQLite locks a database, on each system: the first is that
// of a writer who waits, the last 510 are those of all who have it open in WAL
// mode, or read (sqlite3.c, PENDING_BYTE, SHARED_FIRST, SHARED_SIZE).
const (
	lockStart = 0x40000000
	lockSize  = 2 + 510
)

// lockAlone takes the locks of SQLite that nobody else has while another
// process has the database at path open, until unlock is called. SQLite itself
// can't be asked for them where the file is damaged. A file that is missing
// needs none.
func lockAlone(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	all := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: lockStart, Len: lockSize}
	err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &all)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrInUse
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
