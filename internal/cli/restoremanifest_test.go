package cli

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/testprog"
)

// manifest makes a manifest of hard names, in a bucket with versions or without.
func manifest(t *testing.T, versioned bool) (w *bucketWorld, dir string, names []string) {
	w = newBucketWorld(t, s3test.Options{Versioned: versioned})
	names = []string{"a,b.txt", `a"b.txt`, "a b+c%20.txt", "ä.txt", "it's&=?#.txt", "~x!*().txt"}
	for _, name := range names {
		w.lay("tree/"+name, []byte(name))
	}
	w.firn(Done, "store", "create", photos)
	w.firn(Done, "sync", "tree", photos, "--no-bundle")
	w.wait(30 * 24 * time.Hour)
	w.firn(NotYet, "restore", photos, "--to", "back", "--yes", "--batch-manifest", "batch")
	return w, filepath.Join(w.env.Dir, "batch"), names
}

// TestManifestKeys: two fields a line, with the keys as in a URL, whichever bucket it is.
func TestManifestKeys(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		_, dir, names := manifest(t, versioned)
		text, err := os.ReadFile(filepath.Join(dir, manifestName))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), ",")
			if len(fields) != 2 || fields[0] != "bucket" || strings.ContainsAny(fields[1], "\" +") {
				t.Fatalf("a line %q", line)
			}
			key, err := url.QueryUnescape(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			got[key] = true
		}
		for _, name := range names {
			if !got["photos/tree/"+name] {
				t.Errorf("versions %v: %q isn't in %s", versioned, name, text)
			}
		}
	}
}

// TestManifestIsSubmitted: aws takes the commands that submit it, and would send what
// they say.
func TestManifestIsSubmitted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the aws command")
	}
	aws := testprog.Need(t, "aws")
	_, dir, _ := manifest(t, false)
	bin := t.TempDir()
	// What would be sent is checked by the model of the service, and nothing is.
	fake := "#!/bin/sh\nif [ \"$1\" = s3api ]; then echo '\"0123456789abcdef0123456789abcdef\"'; exit; fi\nexec " + aws + " \"$@\" --generate-cli-skeleton output\n"
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, submitName))
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ACCOUNT=123456789012", "ROLE=arn:aws:iam::123456789012:role/batch", "WORK=work")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "JobId") {
		t.Errorf("%v: %s", err, out)
	}
}
