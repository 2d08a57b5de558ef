//go:build unix

package forest

import (
	"io/fs"
	"syscall"
)

// inode gives the number of a file with several names; 0 for all others.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && s.Nlink > 1 {
		return s.Ino
	}
	return 0
}
