//go:build unix

package scan

import (
	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
)

// openNonblock keeps a fifo that took a file's place from blocking the open.
const openNonblock = unix.O_NONBLOCK

// Info describes the open file as a scan would, but for its path.
func (f *File) Info() (firn.File, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(int(f.Fd()), &st) })
	if err != nil {
		return firn.File{}, &firn.Error{Op: "stat", Subject: f.Name(), Kind: firn.Local, Err: err}
	}
	var file firn.File
	fill(&file, &st)
	return file, nil
}
