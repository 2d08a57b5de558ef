package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestKeyNewIsPrivate: neither the identity nor the folder that was made for it
// can be read by others.
func TestKeyNewIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such modes")
	}
	env := testEnv(t)
	dir := filepath.Join(env.Dir, "config")
	env.LookupEnv = func(name string) (string, bool) {
		if name != "XDG_CONFIG_HOME" {
			return "", false
		}
		return dir, true
	}
	if status, _, stderr := try(env, "key", "new"); status != Done {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for name, want := range map[string]os.FileMode{"firn": 0o700, "firn/identity.txt": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

// TestKeyNewNeverFollows: a link to nowhere isn't written through.
func TestKeyNewNeverFollows(t *testing.T) {
	env := testEnv(t)
	target := filepath.Join(env.Dir, "target")
	if err := os.Symlink(target, filepath.Join(env.Dir, "id.txt")); err != nil {
		t.Skip(err)
	}
	if status, _, stderr := try(env, "key", "new", "id.txt"); status != Failed || !strings.Contains(stderr, "stays as it is") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if err := writeNew(filepath.Join(env.Dir, "id.txt"), []byte("x")); err == nil {
		t.Error("it was written")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("the link's target was made")
	}
}

// TestKeyPostQuantum: a post-quantum identity opens what is encrypted for its
// recipient, and its recipient doesn't mix with others.
func TestKeyPostQuantum(t *testing.T) {
	env := testEnv(t)
	_, weak, _ := try(env, "key", "new", "weak.txt")
	status, strong, stderr := try(env, "key", "new", "--post-quantum", "strong.txt")
	if status != Done || !strings.HasPrefix(strong, "age1pq1") {
		t.Fatalf("status %d, recipient %s: %s", status, strong, stderr)
	}
	if status, out, stderr := try(env, "key", "test", "-r", strong, "strong.txt"); status != Done || !strings.HasPrefix(out, "yes: ") {
		t.Errorf("status %d, %s%s", status, out, stderr)
	}
	if status, _, stderr := try(env, "key", "test", "-r", strong, "-r", weak, "strong.txt"); status != WrongUsage || !strings.Contains(stderr, "can't be mixed") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// TestPassphraseFile: the first line is the passphrase, whatever ends it.
func TestPassphraseFile(t *testing.T) {
	env := testEnv(t)
	o := passphraseOptions{app: &app{env: env}, File: "word"}
	for _, tt := range []struct{ file, want, err string }{
		{"correct horse", "correct horse", ""},
		{"correct horse\n", "correct horse", ""},
		{" correct horse \r\nmore\n", " correct horse ", ""},
		{"", "", "is empty"},
		{"\ncorrect horse\n", "", "is empty"},
		{strings.Repeat("a", maxPassphrase), strings.Repeat("a", maxPassphrase), ""},
		{strings.Repeat("a", 1<<20), "", "longer than"},
	} {
		if err := os.WriteFile(env.Path("word"), []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := o.known(t.Context(), "id.txt")
		if got != tt.want || err == nil != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.20q: got %.20q, %v", tt.file, got, err)
		}
	}
}

// TestPassphraseNeedsATerminal: what only looks like one isn't asked.
func TestPassphraseNeedsATerminal(t *testing.T) {
	env := testEnv(t)
	env.Terminal = Terminal{Stdin: true, Stderr: true}
	env.Stdin = bytes.NewReader([]byte("correct horse\n"))
	if status, _, stderr := try(env, "key", "new", "--passphrase", "id.txt"); status != WrongUsage || !strings.Contains(stderr, "--passphrase-file") {
		t.Errorf("status %d: %s", status, stderr)
	}
}
