//go:build unix

package scan

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
)

// openFlags open a directory, and nothing else: a fifo would block.
const openFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// A unixVolume is a tree below an open directory.
type unixVolume struct{ fd int }

func openVolume(root string) (volume, error) {
	fd, err := openat(unix.AT_FDCWD, root, 0)
	if err != nil {
		return nil, err
	}
	return unixVolume{fd}, nil
}

func parentOf(root string) string { return filepath.Dir(root) }

func (v unixVolume) close() error { return unix.Close(v.fd) }

func (v unixVolume) open(path string) (folder, error) {
	if path == "" {
		path = "."
	}
	if fd, err := openBeneath(v.fd, path); err == nil {
		return unixFolder(fd), nil
	}
	// There is no such call here, or the path is too long for one, or it fails
	// for good: then the slow way says why.
	return v.openStepwise(path)
}

// openStepwise opens one component after the other, none of which may be a
// link.
func (v unixVolume) openStepwise(path string) (folder, error) {
	at := v.fd
	for name := range strings.SplitSeq(path, "/") {
		fd, err := openat(at, name, unix.O_NOFOLLOW)
		if at != v.fd {
			unix.Close(at)
		}
		if err != nil {
			return nil, err
		}
		at = fd
	}
	return unixFolder(at), nil
}

func (v unixVolume) stat(path string, f *firn.File) (string, error) {
	dir, name := split(path)
	parent, err := v.open(dir)
	if err != nil {
		return "", err
	}
	defer parent.close()
	return parent.stat(name, f)
}

// A unixFolder is the descriptor of an open directory.
type unixFolder int

func (d unixFolder) close() error { return unix.Close(int(d)) }

func (d unixFolder) self(f *firn.File) error {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(int(d), &st) }); err != nil {
		return err
	}
	fill(f, &st)
	return nil
}

// direntBuffer is what one call reads: some hundred entries.
const direntBuffer = 32 << 10

func (d unixFolder) list(into *names) error {
	var buf [direntBuffer]byte
	var some []string
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.ReadDirent(int(d), buf[:]) })
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		_, _, some = unix.ParseDirent(buf[:n], -1, some[:0])
		for _, name := range some {
			into.add(name)
		}
	}
}

func (d unixFolder) stat(name string, f *firn.File) (special string, err error) {
	var st unix.Stat_t
	err = retry(func() error { return unix.Fstatat(int(d), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return "", err
	}
	special = fill(f, &st)
	if f.Kind == firn.Symlink {
		f.Target, err = d.readlink(name)
	}
	return special, err
}

// readlink gives a link's target, which may be longer than its size says: in
// /proc it is 0.
func (d unixFolder) readlink(name string) (string, error) {
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := ignoringEINTR(func() (int, error) { return unix.Readlinkat(int(d), name, buf) })
		if err != nil {
			return "", err
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// fill takes over what stat says.
func fill(f *firn.File, st *unix.Stat_t) (special string) {
	f.Stamp = firn.Stamp{
		Size:    st.Size,
		ModTime: time.Unix(st.Mtim.Unix()),
		Changed: time.Unix(st.Ctim.Unix()),
		Inode:   uint64(st.Ino),
		Device:  uint64(st.Dev),
	}
	f.Mode = firn.FromPosixMode(uint32(st.Mode))
	f.UID, f.GID = int(st.Uid), int(st.Gid)
	f.Links = int(st.Nlink)
	f.Target = ""
	f.Kind, special = kind(uint32(st.Mode))
	if special == "" && dataless(st) {
		special = placeholder
	}
	return special
}

func kind(mode uint32) (kind firn.FileKind, special string) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return firn.Regular, ""
	case unix.S_IFDIR:
		return firn.Directory, ""
	case unix.S_IFLNK:
		return firn.Symlink, ""
	case unix.S_IFSOCK:
		return "", "a socket"
	case unix.S_IFIFO:
		return "", "a named pipe"
	case unix.S_IFBLK, unix.S_IFCHR:
		return "", "a device"
	}
	return "", "neither a file nor a directory"
}

func openat(at int, name string, flags int) (int, error) {
	return ignoringEINTR(func() (int, error) { return unix.Openat(at, name, openFlags|flags, 0) })
}

// ignoringEINTR repeats a call that a signal interrupted: slow file systems
// let them.
func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func retry(call func() error) error {
	_, err := ignoringEINTR(func() (int, error) { return 0, call() })
	return err
}
