package scan

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

const marksPlaceholders = true

// sfDataless marks an object whose data is not on this volume, in st_flags.
// Source: Apple, XNU, bsd/sys/stat.h, SF_DATALESS.
const sfDataless = 0x40000000

func dataless(st *unix.Stat_t) bool { return st.Flags&sfDataless != 0 }

func isPlaceholder(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Flags&sfDataless != 0
}
