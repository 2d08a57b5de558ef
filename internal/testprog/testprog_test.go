package testprog

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A recorder is a test that notes how it ended. Methods that it doesn't have
// are not to be called.
type recorder struct {
	testing.TB
	end, text string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) { r.stop("failed", format, args) }

func (r *recorder) Skipf(format string, args ...any) { r.stop("skipped", format, args) }

func (r *recorder) stop(end, format string, args []any) {
	r.end, r.text = end, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// run calls f as a test of its own.
func run(f func(testing.TB)) *recorder {
	r := &recorder{end: "passed"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return r
}

func TestMissing(t *testing.T) {
	noTmux := func(t testing.TB) { need(t, "tmux", []string{"", "/nowhere"}) }
	noBoto := func(t testing.TB) { Python(t, "boto") }
	for _, c := range []struct {
		name    string
		ask     func(testing.TB)
		require string
		end     string
		text    string
	}{
		{"program, at home", noTmux, "", "skipped", "tmux"},
		{"program, in CI", noTmux, "1", "failed", "Debian package tmux"},
		{"module, at home", noBoto, "", "skipped", "python3-boto"},
		{"module, in CI", noBoto, "1", "failed", "Debian package python3-boto"},
		{"not listed", func(t testing.TB) { Need(t, "rsync") }, "", "failed", "programs.txt"},
		{"a word of a comment", func(t testing.TB) { Need(t, "#") }, "", "failed", "programs.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(RequireVar, c.require)
			t.Setenv("PYTHONHOME", t.TempDir()) // no Python can start
			t.Setenv("PATH", "")
			if r := run(c.ask); r.end != c.end || !strings.Contains(r.text, c.text) {
				t.Errorf("%s: %q; want %s with %q", r.end, r.text, c.end, c.text)
			}
		})
	}
}

// TestFind: what Debian doesn't bring may be missing anywhere.
func TestFind(t *testing.T) {
	t.Setenv(RequireVar, "1")
	t.Setenv("PATH", "")
	r := run(func(t testing.TB) { Find(t, "no such program", "make it") })
	if r.end != "skipped" || !strings.Contains(r.text, "make it") {
		t.Errorf("%s: %q", r.end, r.text)
	}
}

// TestBuilt: what .ci/run builds is missing at home alone.
func TestBuilt(t *testing.T) {
	t.Setenv("PATH", "")
	for require, end := range map[string]string{"": "skipped", "1": "failed"} {
		t.Setenv(RequireVar, require)
		r := run(func(t testing.TB) { Built(t, "no such program", "make it") })
		if r.end != end || !strings.Contains(r.text, "make it") {
			t.Errorf("%s: %q", r.end, r.text)
		}
	}
}

// TestOrder: of two programs of one name the one in the earlier folder is
// taken, and what can't be executed is passed over.
func TestOrder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for a program is a shell script")
	}
	var dirs []string
	for _, mode := range []os.FileMode{0o644, 0o755, 0o755} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tmux"), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	if got, want := need(t, "tmux", dirs), filepath.Join(dirs[1], "tmux"); got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}

// TestSystemFirst: the system's folder comes before PATH.
func TestSystemFirst(t *testing.T) {
	t.Setenv("PATH", "/opt/first")
	if got := folders(); len(got) != 2 || got[0] != systemFolder || got[1] != "/opt/first" {
		t.Errorf("looked into %v", got)
	}
}
