package restore

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
)

// TestWhatNobodyRecordedStays: neither the time nor the owner is made up.
func TestWhatNobodyRecordedStays(t *testing.T) {
	tgt, err := openTarget(filepath.Join(t.TempDir(), "target"))
	if err != nil {
		t.Fatal(err)
	}
	defer tgt.close()
	root := tgt.root
	for _, err := range []error{root.WriteFile("file", nil, 0o600), root.Mkdir("folder", 0o700), root.Symlink("file", "link")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	me := firn.File{UID: os.Geteuid(), GID: os.Getegid()}
	for name, kind := range map[string]firn.FileKind{"file": firn.Regular, "folder": firn.Directory, "link": firn.Symlink} {
		before, err := root.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, put := range []func(*os.Root, string, firn.File) error{dress, redress} {
			if err := put(root, name, firn.File{Kind: kind, Mode: 0o750, UID: -1, GID: -1}); err != nil {
				t.Fatal(err)
			}
			after, err := root.Lstat(name)
			if err != nil {
				t.Fatal(err)
			}
			if !after.ModTime().Equal(before.ModTime()) || !isOwner(after, me) {
				t.Errorf("%s had the time %v and has %v", name, before.ModTime(), after.ModTime())
			}
		}
	}
}

func FuzzNothingLeavesTheTarget(f *testing.F) {
	for _, p := range []string{"a", "../a", "/a", "dir/a", "link/a", "a/../../b", "..", `..\a`, `link\a`, "c:a", "con", "a\x00"} {
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
		safe := make([]string, 0, 8)
		for name := range strings.SplitSeq(p, "/") {
			name, _ = escapeName(name)
			safe = append(safe, name)
		}
		for _, p := range []string{p, strings.Join(safe, "/")} {
			in, meta := chain(path.Dir(p)), firn.File{Path: p, Kind: firn.Regular, UID: -1, GID: -1, Mode: 0o600}
			if file, err := tgt.create(in, p); err == nil {
				tgt.put(in, file, meta, standing{})
			}
			meta.Kind, meta.Target = firn.Symlink, ".."
			tgt.putLink(in, meta, Always)
			if file, err := tgt.open(in, p, true); err == nil {
				tgt.discard(in, file, p)
			}
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
