package mtglacier

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// A bench is a machine with a tree, a journal and a config file, and a server whose
// hours are virtual.
type bench struct {
	t       testing.TB
	dir     string // of all that follows
	home    string
	service *clock.Manual
	server  http.Handler
	host    string
	stdin   string

	mu       sync.Mutex
	requests []string
	// before, unless nil, sees each request, and answers it if it likes to.
	before func(w http.ResponseWriter, r *http.Request) bool

	stdout, stderr string // of the last run
}

func newBench(t testing.TB) *bench {
	t.Helper()
	dir := t.TempDir()
	return newBenchIn(t, dir, filepath.Join(dir, "vaults"))
}

// newBenchIn makes a bench in a folder, with its server's in another.
func newBenchIn(t testing.TB, dir, vaults string) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, service: clock.NewManual(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC))}
	b.home = filepath.Join(b.dir, "home")
	b.must(os.MkdirAll(vaults, 0o755), os.MkdirAll(filepath.Join(b.dir, "tree"), 0o755))
	server, err := glacierd.New(glacierd.Config{Root: vaults, Clock: b.service, Credentials: func(id string) (glacierd.KeyPair, bool) {
		return glacierd.KeyPair{AccessKeyID: testKey, SecretAccessKey: testSecret}, id == testKey
	}})
	b.must(err)
	t.Cleanup(func() { server.Close() })
	b.server = server
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.requests = append(b.requests, r.Method+" "+r.URL.Path)
		before := b.before
		b.mu.Unlock()
		if before == nil || !before(w, r) {
			server.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	b.host = strings.TrimPrefix(front.URL, "http://")
	b.write("glacier.cfg", fmt.Sprintf("key=%s\nsecret=%s\nregion=us-east-1\nprotocol=http\nvault=photos\n", testKey, testSecret))
	return b
}

// intercept has each request seen, and answered if it likes to, by a function; nil: by
// none.
func (b *bench) intercept(before func(w http.ResponseWriter, r *http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = before
}

// start starts a program. Whoever sees a request of it knows its process.
func (b *bench) start(cmd *exec.Cmd) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.must(cmd.Start())
}

func (b *bench) must(errs ...error) {
	b.t.Helper()
	for _, err := range errs {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// write makes a file, with a time of long ago.
func (b *bench) write(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	b.must(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
	b.touch(name, 1352924178)
}

// touch sets the time of a file, in seconds since 1970.
func (b *bench) touch(name string, mtime int64) {
	b.t.Helper()
	b.must(os.Chtimes(filepath.Join(b.dir, name), time.Unix(mtime, 0), time.Unix(mtime, 0)))
}

func (b *bench) remove(name string) {
	b.t.Helper()
	b.must(os.RemoveAll(filepath.Join(b.dir, name)))
}

func (b *bench) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, name))
	b.must(err)
	return string(data)
}

func (b *bench) env(stdout, stderr *bytes.Buffer) Env {
	return Env{
		Stdin: strings.NewReader(b.stdin), Stdout: stdout, Stderr: stderr, Dir: b.dir, Clock: clock.System{},
		Getenv: func(name string) string {
			return map[string]string{"HOME": b.home, "FIRN_HOME": b.home, "MTGLACIER_FAKE_HOST": b.host}[name]
		},
	}
}

// status runs a command line, blanks between its words, with the config file.
func (b *bench) status(line string) int {
	b.t.Helper()
	return b.run(b.t.Context(), append(strings.Fields(line), "--config=glacier.cfg")...)
}

func (b *bench) run(ctx context.Context, args ...string) int {
	var stdout, stderr bytes.Buffer
	status := Main(ctx, args, b.env(&stdout, &stderr))
	b.stdout, b.stderr = stdout.String(), stderr.String()
	return status
}

// ok runs a command line that must do all that it was asked for, and gives its
// lines between the banner and OK DONE. Of clean runs nobody hears on stderr.
func (b *bench) ok(line string) []string {
	b.t.Helper()
	if status := b.status(line); status != 0 || b.stderr != "" {
		b.t.Fatalf("mtglacier %s: status %d\n%s%s", line, status, b.stdout, b.stderr)
	}
	lines := strings.Split(strings.TrimSuffix(b.stdout, "\n"), "\n")
	n := len(lines)
	if n < 3 || !strings.HasPrefix(lines[0], "MT-AWS-Glacier, Copyright") || !strings.HasSuffix(lines[0], "Version 1.120") || lines[1] != "" || lines[n-1] != "OK DONE" {
		b.t.Fatalf("mtglacier %s:\n%s", line, b.stdout)
	}
	return lines[2 : n-1]
}

// fails runs a command line that must fail, with an error in which all of texts
// are.
func (b *bench) fails(line string, texts ...string) {
	b.t.Helper()
	if status := b.status(line); status != 1 || strings.Contains(b.stdout, "OK DONE") {
		b.t.Fatalf("mtglacier %s: status %d\n%s%s", line, status, b.stdout, b.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(b.stderr, text) {
			b.t.Errorf("mtglacier %s: no %q in %s", line, text, b.stderr)
		}
	}
	if !strings.HasPrefix(b.stderr, "ERROR") && !strings.Contains(b.stderr, "\nERROR") {
		b.t.Errorf("mtglacier %s: %s", line, b.stderr)
	}
}

// shortened takes out of lines what differs from run to run.
var shortened = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`^PID [0-9]+ `), "PID "},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "T"},
	{regexp.MustCompile(`[A-Za-z0-9_-]{92,138}`), "A"},
}

// same compares lines, sorted, without what differs from run to run: PID's
// number, tree hashes (T), ids of archives, uploads and jobs (A).
func (b *bench) same(got []string, want ...string) {
	b.t.Helper()
	var short []string
	for _, line := range got {
		if line == "PID "+fmt.Sprint(os.Getpid())+" Started worker" {
			continue
		}
		for _, s := range shortened {
			line = s.pattern.ReplaceAllString(line, s.with)
		}
		short = append(short, line)
	}
	slices.Sort(short)
	slices.Sort(want)
	if strings.Join(short, "\n") != strings.Join(want, "\n") {
		b.t.Errorf("got\n%s\nwant\n%s", strings.Join(short, "\n"), strings.Join(want, "\n"))
	}
}

// lines gives the journal without what differs from run to run: times as 0, or
// with an mtime, tree hashes and ids.
func (b *bench) journal() (lines []string) {
	b.t.Helper()
	for line := range strings.Lines(b.read("journal")) {
		line = strings.TrimSuffix(line, "\n")
		line = regexp.MustCompile(`^B\t[0-9]+\t`).ReplaceAllString(line, "B\t0\t")
		for _, s := range shortened {
			line = s.pattern.ReplaceAllString(line, s.with)
		}
		lines = append(lines, strings.ReplaceAll(line, "\t", " "))
	}
	return lines
}

// asked forgets the requests, and gives those that there were, of a method.
func (b *bench) asked(method string) (paths []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if m, path, _ := strings.Cut(r, " "); m == method {
			paths = append(paths, path)
		}
	}
	b.requests = nil
	return paths
}

// words is ok of words with blanks in them.
func (b *bench) words(line string, more ...string) []string {
	b.t.Helper()
	if status := b.run(b.t.Context(), append(append(strings.Fields(line), "--config=glacier.cfg"), more...)...); status != 0 || b.stderr != "" {
		b.t.Fatalf("mtglacier %s %q: status %d\n%s%s", line, more, status, b.stdout, b.stderr)
	}
	lines := strings.Split(strings.TrimSuffix(b.stdout, "\n"), "\n")
	return lines[2 : len(lines)-1]
}

func sumsOf(content string) treehash.Sums {
	d := treehash.NewDouble()
	d.Write([]byte(content))
	return d.Sums()
}
