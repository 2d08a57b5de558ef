package cli

import (
	"io/fs"
	"testing"

	"github.com/firn-archive/firn"
)

func TestModeText(t *testing.T) {
	for want, f := range map[string]firn.File{
		"-rw-r--r--": {Kind: firn.Regular, Mode: 0o644},
		"drwxr-x---": {Kind: firn.Directory, Mode: 0o750},
		"lrwxrwxrwx": {Kind: firn.Symlink, Mode: 0o777},
		"-rwsr-sr-x": {Kind: firn.Regular, Mode: 0o755 | fs.ModeSetuid | fs.ModeSetgid},
		"-rwSr-Sr--": {Kind: firn.Regular, Mode: 0o644 | fs.ModeSetuid | fs.ModeSetgid},
		"drwxrwxrwt": {Kind: firn.Directory, Mode: 0o777 | fs.ModeSticky},
		"drwxrwxrwT": {Kind: firn.Directory, Mode: 0o776 | fs.ModeSticky},
		"----------": {Kind: firn.Regular},
	} {
		if got := modeText(f); got != want {
			t.Errorf("%v %o: %s, want %s", f.Kind, f.Mode, got, want)
		}
	}
}
