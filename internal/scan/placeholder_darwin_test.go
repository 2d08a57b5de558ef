package scan

import (
	"io/fs"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/firn-archive/firn"
)

// flagged is a file with these flags.
type flagged struct {
	fs.FileInfo
	flags uint32
}

func (f flagged) Sys() any { return &syscall.Stat_t{Flags: f.flags} }

func TestDataless(t *testing.T) {
	for flags, want := range map[uint32]bool{0: false, unix.UF_HIDDEN: false, sfDataless: true, sfDataless | unix.UF_COMPRESSED: true} {
		if got := isPlaceholder(flagged{flags: flags}); got != want {
			t.Errorf("flags %#x: %v", flags, got)
		}
		var f firn.File
		special := fill(&f, &unix.Stat_t{Mode: unix.S_IFREG, Flags: flags})
		if got := special == placeholder; got != want || f.Kind != firn.Regular {
			t.Errorf("flags %#x: a %s, %q", flags, f.Kind, special)
		}
	}
}
