package restore

import (
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
)

func TestCheckPath(t *testing.T) {
	for _, p := range []string{"a", "a/b", "..a", "a..", "...", " ", "a\nb", "\xff"} {
		if err := checkPath(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\x00b"} {
		if checkPath(p) == nil {
			t.Errorf("%q is taken", p)
		}
	}
}

func FuzzNothingLeavesTheTarget(f *testing.F) {
	for _, p := range []string{"a", "../a", "/a", "dir/a", "link/a", "a/../../b", ".."} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "target")
		tgt, err := openTarget(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tgt.close()
		if err := os.Symlink(outer, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		if file, err := tgt.create(chain(path.Dir(p)), p); err == nil {
			tgt.commit(chain(path.Dir(p)), file, firn.File{Path: p, Kind: firn.Regular, UID: -1, GID: -1, Mode: 0o600})
		}
		names, err := os.ReadDir(outer)
		if err != nil || len(names) != 1 {
			t.Errorf("beside the target: %v, %v", names, err)
		}
	})
}

// chain is the folder p with those above it, whatever p is.
func chain(p string) *folder {
	f := &folder{path: p}
	if dir := path.Dir(p); dir != p {
		f.parent = chain(dir)
	}
	return f
}
