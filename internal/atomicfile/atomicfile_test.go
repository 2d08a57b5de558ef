package atomicfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/firn-archive/firn/internal/atomicfile"
)

func TestWriteReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"a longer first text", "second"} {
		if err := atomicfile.Write(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}

func TestFailureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub")
	if err := os.MkdirAll(filepath.Join(path, "not empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x"), 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
}

// TestFileComesWhole: until Commit nothing is at its path, and after Abort
// nothing anywhere.
func TestFileComesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, abort := range []bool{true, false} {
		f, err := atomicfile.Create(path, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"some ", "text"} {
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("it is there before it is whole")
		}
		end := f.Commit
		if abort {
			end = f.Abort
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		names, _ := os.ReadDir(filepath.Dir(path))
		if abort && len(names) != 0 {
			t.Errorf("left over: %v", names)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "some text" {
		t.Errorf("read %q, %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 && runtime.GOOS != "windows" {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
