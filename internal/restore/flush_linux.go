package restore

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A flusher makes files and names durable: on Linux all that a file system
// holds at a time. A thousand small files take one such call no longer than one
// of them takes an fsync.
type flusher struct {
	mu      sync.Mutex
	devices map[uint64]*device
}

// A device is a file system that files went to.
type device struct {
	fd    int // a file on it, open; -1: each file is synced for itself
	dirty bool
}

// wholeSince is the Linux from which on syncfs(2) tells of what could not be
// written.
var wholeSince = [2]int{5, 8}

// syncsWhole reports whether a file system can be made durable as a whole. FUSE
// hands the call on to few of its servers.
func syncsWhole(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil || int64(st.Type) == unix.FUSE_SUPER_MAGIC {
		return false
	}
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	major, rest, _ := strings.Cut(unix.ByteSliceToString(name.Release[:]), ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(major)
	y, _ := strconv.Atoi(strings.TrimRight(minor, "-+abcdefghijklmnopqrstuvwxyz"))
	return err == nil && (x > wholeSince[0] || x == wholeSince[0] && y >= wholeSince[1])
}

// of finds the file system that an open file is on.
func (fl *flusher) of(fd int) (*device, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	if d := fl.devices[st.Dev]; d != nil {
		return d, nil
	}
	d := &device{fd: -1}
	if syncsWhole(fd) {
		var err error
		if d.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return nil, os.NewSyscallError("fcntl", err)
		}
	}
	if fl.devices == nil {
		fl.devices = map[uint64]*device{}
	}
	fl.devices[st.Dev] = d
	return d, nil
}

// files makes files durable.
func (fl *flusher) files(files []finished) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for _, one := range files {
		d, err := fl.of(int(one.f.Fd()))
		if err != nil {
			return err
		}
		if d.fd < 0 {
			if err := one.f.Sync(); err != nil {
				return err
			}
		}
		d.dirty = true
	}
	return fl.sync()
}

// sync makes durable what was written since the last call.
func (fl *flusher) sync() error {
	for _, d := range fl.devices {
		if d.dirty && d.fd >= 0 {
			if err := unix.Syncfs(d.fd); err != nil {
				return os.NewSyscallError("syncfs", err)
			}
		}
		d.dirty = false
	}
	return nil
}

// folder makes the names in a folder durable, or leaves it to names.
func (fl *flusher) folder(root *os.Root, dir string) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	f, err := root.Open(dir)
	if errors.Is(err, os.ErrPermission) {
		return nil // nobody may read it; its file system is known by others
	}
	if err != nil {
		return err
	}
	d, err := fl.of(int(f.Fd()))
	if err == nil && d.fd < 0 {
		return syncAndClose(f)
	}
	if err == nil {
		d.dirty = true
	}
	return errors.Join(err, f.Close())
}

// names makes all names durable.
func (fl *flusher) names() error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for _, d := range fl.devices {
		d.dirty = true
	}
	return fl.sync()
}

func (fl *flusher) close() {
	for _, d := range fl.devices {
		if d.fd >= 0 {
			unix.Close(d.fd)
		}
	}
	fl.devices = nil
}
