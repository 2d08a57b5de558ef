package scan_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

func TestRootOpensOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(outside, []byte("x"), 0o600))
	check(os.WriteFile(filepath.Join(dir, "file"), []byte("hello"), 0o600))
	check(os.Chmod(filepath.Join(dir, "file"), 0o640)) // whatever the umask is
	check(os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	check(os.Symlink(outside, filepath.Join(dir, "away")))
	check(os.Symlink("file", filepath.Join(dir, "within")))
	root, err := scan.OpenRoot(dir)
	check(err)
	defer root.Close()
	for _, name := range []string{"folder", "away", "within", "missing", "../secret"} {
		if _, err := root.Open(name); firn.KindOf(err) != firn.Local {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, err := root.Open("file")
	check(err)
	defer f.Close()
	info, err := f.Info()
	stamp, stampErr := f.Stamp()
	if err != nil || stampErr != nil || info.Stamp != stamp || info.Mode != 0o640 || stamp.Size != 5 || info.Kind != firn.Regular {
		t.Errorf("%+v, %v; stamp %+v, %v", info, err, stamp, stampErr)
	}
	content, err := scan.Hash(t.Context(), f)
	if err != nil || content.Size != 5 || content.Tree.String() != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
		t.Errorf("%+v, %v", content, err)
	}
}

func TestGone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"full/file", "empty/x"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "full", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := scan.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for path, want := range map[string]bool{
		"full/file": false, "full/other": true, "full/no/such/folder": true, "other": true,
		"empty/file": false, "empty/no/such/folder": false, // a volume that isn't mounted perhaps
	} {
		if got := root.Gone(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestOpener: it opens what Open opens, whatever folder the file before was in.
func TestOpener(t *testing.T) {
	dir := t.TempDir()
	paths := []string{"a", "b", "d/a", "d/b", "d/e/a", "d/f", "z"}
	for _, p := range paths {
		full := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := scan.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	o := root.Opener()
	defer o.Close()
	for _, p := range append(paths, "d/a", "a") {
		f, err := o.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if f.Close(); string(data) != p || err != nil {
			t.Errorf("%s: %q, %v", p, data, err)
		}
	}
	for _, p := range []string{"d/none", "none/a", "../a", "d/e"} {
		_, err := o.Open(p)
		var e *firn.Error
		if !errors.As(err, &e) || e.Kind != firn.Local || e.Subject != p {
			t.Errorf("%s: %v", p, err)
		}
	}
}
