package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3test"
)

// onS3 are the scripts of TestScripts that run a second time with stores in S3, and
// which of the stores in them there are from the beginning: nothing makes one
// there but firn store create.
var onS3 = map[string]string{
	"archive":     "vault",
	"archivepipe": "vault", "badinput": "vault", "bundles": "all single vault", "damaged": "vault other", "detect": "vault",
	"encryption": "vault vault2 vault3", "filter": "v1 v2 v3 v4 v5 v6 v7 v8 v9 homevault", "find": "vault", "limits": "vault", "modes": "vault bundled", "names": "vault",
	"prune": "vault bundled sparse-vault", "recover": "vault sealed empty", "refresh": "vault", "restorechoice": "vault",
	"restoreinplace": "vault", "storeempty": "vault", "sync": "vault", "trees": "vault", "trusttimes": "vault", "verify": "vault",
	"versions": "vault vault2",
	"profile":  "vault usb vault2", "uploads": "vault",
}

// localStore is a store in a folder, as scripts write it.
var localStore = regexp.MustCompile(`local:(?:\$WORK/|\.\./|\./)*`)

// inS3 makes of a script one whose stores are in S3. Lines that begin with [!s3] are
// left out, and so are paragraphs whose first line ends with it; those with [s3],
// which TestScripts leaves out, are there.
func inS3(script, stores string) string {
	var b strings.Builder
	fmt.Fprintln(&b, "s3")
	for store := range strings.FieldsSeq(stores) {
		fmt.Fprintf(&b, "exec firn store create s3:bucket/%s --class STANDARD\n", store)
	}
	left := false
	for line := range strings.Lines(script) {
		switch {
		case line == "\n":
			left = false
		case strings.HasPrefix(line, "#") && strings.HasSuffix(line, " [!s3]\n"):
			left = true
		}
		if !left && !strings.HasPrefix(line, "[!s3] ") {
			b.WriteString(localStore.ReplaceAllString(strings.TrimPrefix(line, "[s3] "), "s3:bucket/"))
		}
	}
	return b.String()
}

// An ahead is a clock that is ahead of the machine's, and the S3 that goes by it.
type ahead struct {
	by     atomic.Int64
	server *s3test.Server
}

// Now gives the time.
func (a *ahead) Now() time.Time { return clock.System{}.Now().Add(time.Duration(a.by.Load())) }

// isCondition tells scripts where they run: see inS3.
func isCondition(name string) (bool, error) {
	if name != "s3" {
		return false, fmt.Errorf("no condition %q", name)
	}
	return false, nil
}

// TestScriptsOnS3 runs scripts a second time, with stores in S3.
func TestScriptsOnS3(t *testing.T) {
	if testing.Short() {
		t.Skip("those of S3's own run")
	}
	dir := t.TempDir()
	var files []string
	for name, stores := range onS3 {
		script, err := os.ReadFile(filepath.Join("testdata", "script", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name+".txtar")
		if err := os.WriteFile(file, []byte(inS3(string(script), stores)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	runScripts(t, files, nil)
}

// vanishFromS3 deletes objects as somebody else would.
func vanishFromS3(ts *testscript.TestScript, neg bool, args []string) {
	server := ts.Value(s3Key{}).(*ahead).server
	if neg || len(args) != 1 || server == nil {
		ts.Fatalf("usage: vanish PREFIX, after s3")
	}
	gone := 0
	for _, key := range server.Keys("bucket") {
		_, below, _ := strings.Cut(key, "/")
		if !strings.HasPrefix(below, args[0]) {
			continue
		}
		r, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, "http://s3/bucket/"+(&url.URL{Path: key}).EscapedPath(), nil)
		ts.Check(err)
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sha256.New().Sum(nil)))
		answer, err := server.Transport().RoundTrip(r)
		ts.Check(err)
		if answer.StatusCode != http.StatusNoContent {
			ts.Fatalf("%s: %s", key, answer.Status)
		}
		gone++
	}
	if gone == 0 {
		ts.Fatalf("no object is at %s, of %q", args[0], server.Keys("bucket"))
	}
}
