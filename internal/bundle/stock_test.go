package bundle

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/testprog"
)

// stockBundle writes a bundle of odd files to disk, and names it.
func stockBundle(t *testing.T) (string, []firn.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle")
	spool, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	w := NewWriter(spool, info)
	files := oddFiles()
	for _, f := range files {
		add(t, w, f, content(f))
	}
	if _, err := w.AppendSame(file("only in the index", w.members[w.owners[0]].Content.Size), w.members[w.owners[0]], 0); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	return path, files
}

// run runs a program of others, which must have nothing to complain about, and
// gives what it says.
func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if stdin != "" {
		data, err := os.ReadFile(stdin)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = bytes.NewReader(data)
	}
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %q: %v\n%s", name, args, err, &complaints)
	}
	return out.String()
}

// TestTar: GNU tar lists a bundle and brings each file back, from a disk and
// from a pipe, and doesn't notice what stands behind the tar.
func TestTar(t *testing.T) {
	tar := testprog.Need(t, "tar")
	bundle, files := stockBundle(t)
	list := run(t, "", tar, "--quoting-style=literal", "-tf", bundle)
	var want strings.Builder
	for _, f := range files {
		want.WriteString(tarName(&f) + "\n")
	}
	if list != want.String() {
		t.Errorf("tar lists\n%q, want\n%q", list, want.String())
	}
	dir := t.TempDir()
	run(t, "", tar, "-xpf", bundle, "-C", dir, "--no-same-owner", "--warning=no-timestamp")
	checkRestored(t, dir, files)
	dir = t.TempDir()
	run(t, bundle, tar, "-xp", "-C", dir, "--no-same-owner", "--warning=no-timestamp")
	checkRestored(t, dir, files)
}

// TestPython: so does Python's tarfile, which shares no code with GNU tar.
func TestPython(t *testing.T) {
	python := testprog.Python(t)
	bundle, files := stockBundle(t)
	dir := t.TempDir()
	run(t, "", python, "-c", `
import sys, tarfile
if hasattr(tarfile, "fully_trusted_filter"):
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.fully_trusted_filter)
with tarfile.open(sys.argv[1]) as t:
    for m in t:
        m.uid, m.gid, m.uname, m.gname = 0, 0, "", ""
    t.extractall(sys.argv[2])
`, bundle, dir)
	checkRestored(t, dir, files)
}

// checkRestored compares what is in dir with what was bundled.
func checkRestored(t *testing.T, dir string, files []firn.File) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		fi, err := os.Lstat(path)
		if err != nil {
			t.Errorf("%q: %v", f.Path, err)
			continue
		}
		want := f.Stamp.ModTime
		// Not every file system holds every year.
		if y := want.Year(); y > 1902 && y < 2037 && f.Kind != firn.Symlink && fi.ModTime().Unix() != want.Unix() {
			t.Errorf("%q: time of modification %v, want %v", f.Path, fi.ModTime(), want)
		}
		switch f.Kind {
		case firn.Symlink:
			if target, err := os.Readlink(path); err != nil || target != f.Target {
				t.Errorf("%q: a link to %q (%v), want %q", f.Path, target, err, f.Target)
			}
			continue
		case firn.Regular:
			if err := os.Chmod(path, 0o600); err != nil {
				t.Errorf("%q: %v", f.Path, err)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != content(f) {
				t.Errorf("%q: its content differs (%v)", f.Path, err)
			}
		}
		if firn.PosixMode(fi.Mode()) != firn.PosixMode(f.Mode) || fi.IsDir() != (f.Kind == firn.Directory) {
			t.Errorf("%q: mode %v, want %v", f.Path, fi.Mode(), f.Mode)
		}
	}
}
