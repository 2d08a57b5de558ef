package glaciercli

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/testprog"
)

// A world is a service, in a time of its own, and the program in a home of its own.
type world struct {
	*testing.T
	clock *clock.Manual
	home  string
	env   Env
	url   string
	stdin string // of the next run

	mu       sync.Mutex
	refusing func(*http.Request) bool // set by refuse
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: clock.NewManual(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)), home: t.TempDir()}
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: w.clock, AuthClock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		w.mu.Lock()
		refused := w.refusing != nil && w.refusing(in)
		w.mu.Unlock()
		if refused {
			http.Error(out, `{"code":"AccessDeniedException","message":"not now","type":"Client"}`, http.StatusForbidden)
			return
		}
		server.ServeHTTP(out, in)
	}))
	t.Cleanup(func() { front.Close(); server.Close() })
	w.url = front.URL
	for name, value := range map[string]string{
		"HOME": w.home, "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "", "FIRN_HOME": "", "AWS_ENDPOINT_URL_GLACIER": front.URL,
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true", "BOTO_CONFIG": "", "BOTO_PATH": "",
	} {
		t.Setenv(name, value) // the SDK asks the process
	}
	w.env = Env{Getenv: os.Getenv, Dir: t.TempDir(), Clock: w.clock}
	return w
}

// refuse has the service refuse, from now on, the requests that asked says true of;
// none for nil. It is asked of one request at a time.
func (w *world) refuse(asked func(*http.Request) bool) {
	w.mu.Lock() // requests of a program that has failed may still come in
	defer w.mu.Unlock()
	w.refusing = asked
}

// run runs the program, and gives its exit code and what it printed.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.Helper()
	var out, errs bytes.Buffer
	env := w.env
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(w.stdin), &out, &errs
	w.stdin = ""
	code = Main(w.Context(), args, env)
	return code, out.String(), errs.String()
}

// want runs a command line, and compares what comes of it.
func (w *world) want(line string, code int, stdout, stderr string) {
	w.Helper()
	gotCode, out, errs := w.run(strings.Fields(line)...)
	if gotCode != code || out != stdout || errs != stderr {
		w.Errorf("glacier %s: %d\nstdout %q\nstderr %q\nwant %d\nstdout %q\nstderr %q", line, gotCode, out, errs, code, stdout, stderr)
	}
}

// ok runs a command line that must say nothing.
func (w *world) ok(line string) {
	w.Helper()
	w.want(line, 0, "", "")
}

// upload stores text.
func (w *world) upload(name, text string) {
	w.Helper()
	w.stdin = text
	w.ok("archive upload --name " + name + " v -")
}

// id gives the id of an archive by its name.
func (w *world) id(name string) string {
	w.Helper()
	_, out, _ := w.run("archive", "list", "--force-ids", "v")
	for line := range strings.Lines(out) {
		if id, got, _ := strings.Cut(strings.TrimSpace(line), "\t"); got == name {
			return strings.TrimPrefix(id, "id:")
		}
	}
	w.Fatalf("no archive %s in %q", name, out)
	return ""
}

func (w *world) db() string { return filepath.Join(w.home, ".cache", "glacier-cli", "db") }

// sql changes the cache behind the program's back.
func (w *world) sql(statement string) string {
	w.Helper()
	out, err := exec.Command(testprog.Need(w, "sqlite3"), w.db(), statement).CombinedOutput()
	if err != nil {
		w.Fatalf("%s: %v\n%s", statement, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestRetrieveOverTime: queued, pending, there; asked for again it is pending, and
// fetched again while the job lasts.
func TestRetrieveOverTime(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	w.upload("b", "beta")
	w.want("archive retrieve v a", 75, "", "glacier: queued retrieval job for archive 'a'\n")
	w.want("archive retrieve v a", 75, "", "glacier: job still pending for archive 'a'\n")
	w.want("archive retrieve v name:a -o-", 75, "", "glacier: job still pending for archive 'name:a'\n")
	w.clock.Advance(6 * time.Hour)
	w.want("archive retrieve v a -o-", 0, "alpha", "")
	w.want("archive retrieve v a b", 75, "", "glacier: retrieved archive 'a'\nglacier: queued retrieval job for archive 'b'\n")
	w.file("a", "alpha")
	w.want("archive retrieve v a missing b", 1, "", "glacier: retrieved archive 'a'\nglacier: archive 'missing' not found\n")
	w.want("archive retrieve v a b -o x", 1, "", "glacier: cannot specify output filename with multi-archive retrieval\n")
	w.clock.Advance(6 * time.Hour)
	w.want("archive retrieve v a b", 0, "", "")
	w.file("b", "beta")
	w.clock.Advance(30 * time.Hour)
	w.want("archive retrieve --wait -o there/b v id:"+w.id("b"), 1, "", "glacier: write "+filepath.Join(w.env.Dir, "there", "b")+": no such file or directory\n")
	began := w.clock.Now()
	w.want("archive retrieve --wait -o c v id:"+w.id("b"), 0, "", "")
	w.file("c", "beta")
	if w.clock.Now() != began {
		t.Error("it waited for a job that was done")
	}
}

// file compares a file in the program's folder.
func (w *world) file(name, want string) {
	w.Helper()
	got, err := os.ReadFile(filepath.Join(w.env.Dir, name))
	if err != nil || string(got) != want {
		w.Errorf("%s is %q, %v; want %q", name, got, err, want)
	}
}

// TestSyncFindings: what differs between cache and inventory, in glacier-cli's words.
func TestSyncFindings(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	for _, name := range []string{"stays", "deleted", "late", "renamed", "ünï"} {
		w.upload(name, "of "+name)
	}
	ids := map[string]string{}
	for _, name := range []string{"stays", "deleted", "late", "renamed"} {
		ids[name] = w.id(name)
	}
	w.clock.Advance(48 * time.Hour)
	w.want("vault sync v", 75, "", "glacier: queued inventory job for 'v'\n")
	w.want("vault sync v", 75, "", "glacier: job still pending for inventory on 'v'\n")
	w.want("vault sync --max-age 0 v", 75, "", "glacier: job still pending for inventory on 'v'\n")
	w.upload("new", "too new")
	w.ok("archive delete v late")
	w.want("archive delete v late", 1, "", "glacier: archive 'late' not found\n")
	w.sql("UPDATE archive SET name = 'other' WHERE id = '" + ids["renamed"] + "'")
	w.sql("UPDATE archive SET deleted_here = created_here + 1 WHERE id = '" + ids["deleted"] + "'")
	w.sql("INSERT INTO archive VALUES ('GONE', 'gone', 'v', 'AKIAIOSFODNN7EXAMPLE', NULL, 1000000000.5, NULL, NULL, NULL)")
	w.sql("INSERT INTO archive VALUES ('LEFT', 'left', 'v', 'AKIAIOSFODNN7EXAMPLE', NULL, 1000000000.5, 1000000001.25, NULL, NULL)")
	w.sql("INSERT INTO archive VALUES ('THEIRS', 'theirs', 'v', 'AKIAOTHERACCOUNT', 1000000000, 1000000000, NULL, NULL, NULL)")
	w.sql("INSERT INTO archive VALUES ('FAR', 'far', 'v', 'AKIAIOSFODNN7EXAMPLE', 1000000000, 1000000000, NULL, NULL, 'eu-west-1')")
	w.clock.Advance(5 * time.Hour)
	code, out, errs := w.run("vault", "sync", "v")
	want := []string{
		"glacier: warning: archive '" + ids["renamed"] + "' appears to have changed name from 'other' to 'renamed'",
		"glacier: warning: archive 'deleted' marked deleted but still present",
		"glacier: warning: archive 'late' deletion not yet in inventory",
		"glacier: info: deleted archive 'left' has left inventory; removed from cache",
		"glacier: warning: archive disappeared: 'gone'",
		"glacier: warning: new archive not yet in inventory: 'new'",
	}
	if got := strings.Split(strings.TrimSpace(errs), "\n"); code != 0 || out != "" || !sameLines(got, want) {
		t.Errorf("%d %q\n%s\nwant\n%s", code, out, errs, strings.Join(want, "\n"))
	}
	code, _, errs = w.run("vault", "sync", "--fix", "v")
	if code != 0 || !strings.Contains(errs, "'other' to 'renamed' (fixed)\n") || !strings.Contains(errs, "archive disappeared: 'gone' (removed from cache)\n") {
		t.Errorf("fixed: %d\n%s", code, errs)
	}
	w.want("archive list v", 0, "new\nrenamed\nstays\ntheirs\nünï\n", "")
}

func sameLines(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	all := map[string]int{}
	for i := range got {
		all[got[i]]++
		all[want[i]]--
	}
	for _, n := range all {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestSyncWaits: a sync that waits for a job which is pending takes it in, too.
func TestSyncWaits(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	w.clock.Advance(48 * time.Hour)
	w.want("vault sync v", 75, "", "glacier: queued inventory job for 'v'\n")
	w.sql("DELETE FROM archive")
	w.ok("vault sync --wait v")
	w.want("archive list v", 0, "a\n", "")
}

// TestRetrieveWaits: one that waits looks every ten minutes, and brings the archive.
func TestRetrieveWaits(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	began := w.clock.Now()
	w.want("archive retrieve --wait -o - v a", 0, "alpha", "")
	if took := w.clock.Now().Sub(began); took < 5*time.Hour || took > 5*time.Hour+10*time.Minute {
		t.Errorf("it took %v", took)
	}
}

// TestCheckPresentOverTime: the exit code is 0, whatever comes out, and what was not
// seen for long doesn't count.
func TestCheckPresentOverTime(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	w.want("archive checkpresent v a", 0, "a\n", "")
	w.want("archive checkpresent v --quiet name:a", 0, "name:a\n", "")
	w.want("archive checkpresent v b", 0, "", "archive 'b' not found\n")
	w.want("archive checkpresent v --quiet b", 0, "", "")
	w.clock.Advance(81 * time.Hour)
	const old = "archive 'a' found, but has not been seen recently enough to consider it present\n"
	w.want("archive checkpresent v a", 0, "", old)
	w.want("job list", 0, "i/p 2026-11-04T21:00:00.000Z v          \n", "")
	w.clock.Advance(5 * time.Hour)
	w.want("archive checkpresent v a --max-age 0", 0, "", old)
	w.want("archive checkpresent v a", 0, "a\n", "")
	w.want("archive checkpresent v b", 0, "", "archive 'b' not found\n")
	w.want("archive checkpresent v --wait b", 0, "", "archive 'b' not found, but it may not be in the inventory yet\n")
	w.want("job list", 0, "i/d 2026-11-05T01:00:00.000Z v          \ni/p 2026-11-05T02:00:00.000Z v          \n", "")
}

// TestOldKey: the rows of an access key that the account had before are there still,
// and each key sees its own first.
func TestOldKey(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "old")
	w.upload("only-old", "old")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIANEW")
	w.upload("a", "new")
	w.want("archive checkpresent v only-old", 0, "only-old\n", "")
	w.want("archive retrieve v a", 75, "", "glacier: queued retrieval job for archive 'a'\n")
	w.clock.Advance(48 * time.Hour)
	w.want("archive retrieve v a -o-", 75, "", "glacier: queued retrieval job for archive 'a'\n")
	w.clock.Advance(6 * time.Hour)
	w.want("archive retrieve v a -o-", 0, "new", "")
	if got := w.sql("SELECT group_concat(DISTINCT \"key\") FROM archive"); got != "AKIAIOSFODNN7EXAMPLE,AKIANEW" {
		t.Errorf("keys %s", got)
	}
}

// deaf is a pipe that nobody reads.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestNobodyReads: a listing that can't be written is an error, and so is an archive.
func TestNobodyReads(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	w.want("archive retrieve v a", 75, "", "glacier: queued retrieval job for archive 'a'\n")
	w.clock.Advance(6 * time.Hour)
	for _, line := range []string{"vault list", "archive list v", "job list", "archive checkpresent v a", "archive retrieve v a -o-", "-h"} {
		var errs bytes.Buffer
		env := w.env
		env.Stdout, env.Stderr = deaf{}, &errs
		if code := Main(t.Context(), strings.Fields(line), env); code != 1 || !strings.Contains(errs.String(), "broken pipe") {
			t.Errorf("%s: %d, %q", line, code, errs.String())
		}
	}
}

// isPart: the request brings a part of an upload.
func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/multipart-uploads/")
}

// afterParts refuses everything once so many parts have been sent.
func afterParts(allowed int) func(*http.Request) bool {
	parts := 0
	return func(r *http.Request) bool {
		if isPart(r) {
			parts++
		}
		return parts > allowed
	}
}

// TestUploadGoesOn: an upload of a file that was cut short goes on when it is called
// again, and is one archive then.
func TestUploadGoesOn(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	const size = 5 << 20
	if err := os.WriteFile(filepath.Join(w.env.Dir, "big"), bytes.Repeat([]byte("firn "), size/5), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(w.env.Dir, "big"), 70<<20); err != nil {
		t.Fatal(err)
	}
	w.refuse(afterParts(20))
	if code, _, errs := w.run("archive", "upload", "--part-size", "1", "v", "big"); code != 1 || errs == "" {
		t.Fatalf("%d, %q", code, errs)
	}
	var parts atomic.Int64
	w.refuse(func(r *http.Request) bool {
		if isPart(r) {
			parts.Add(1)
		}
		return false
	})
	w.ok("archive upload --part-size 1 v big")
	if n := parts.Load(); n == 0 || n > 60 {
		t.Errorf("%d parts were sent the second time, of 70", n)
	}
	w.want("archive list v", 0, "big\n", "")
}

// TestInterrupted: nothing is stored, and a shell sees that it was a signal.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	env := w.env
	env.Stdout, env.Stderr, env.Stdin = &errs, &errs, strings.NewReader("beta")
	if code := Main(ctx, []string{"archive", "upload", "--name", "b", "v", "-"}, env); code != exitInterrupted || errs.String() != "glacier: interrupted\n" {
		t.Errorf("%d, %q", code, errs.String())
	}
	w.want("archive list v", 0, "a\n", "")
}
