package firn_test

import (
	"io/fs"
	"testing"

	"github.com/firn-archive/firn"
)

func TestPosixMode(t *testing.T) {
	for bits := uint32(0); bits <= 0o7777; bits++ {
		if got := firn.PosixMode(firn.FromPosixMode(bits)); got != bits {
			t.Errorf("%o came back as %o", bits, got)
		}
	}
	for m, want := range map[fs.FileMode]uint32{
		0o644: 0o644, fs.ModeSetuid | 0o755: 0o4755, fs.ModeSetgid | fs.ModeDir | 0o775: 0o2775, fs.ModeSticky | fs.ModeDir | 0o777: 0o1777,
	} {
		if got := firn.PosixMode(m); got != want {
			t.Errorf("%v is %o, want %o", m, got, want)
		}
	}
	if m := firn.FromPosixMode(0o100644); m != 0o644 {
		t.Errorf("with a type it is %v", m)
	}
}
