package cli

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/sqldb"
	"github.com/firn-archive/firn/internal/testprog"
)

// A glacierHome is a home of the program glacier, and a service that it talks to.
type glacierHome struct {
	*testing.T
	program, dir string
	env          []string
	onStore      func() // called while an archive comes
}

func newGlacierHome(t *testing.T) *glacierHome {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it needs a link that runs")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &glacierHome{T: t, dir: t.TempDir()}
	h.program = filepath.Join(t.TempDir(), "glacier")
	if err := os.Symlink(self, h.program); err != nil {
		t.Fatal(err)
	}
	timing := glacierd.ServiceTiming()
	timing.InventoryEvery = 0 // one at each job
	service, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: clock.System{}, Timing: &timing})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.onStore != nil && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/archives") {
			h.onStore()
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.Close(); service.Close() })
	h.env = []string{
		"HOME=" + h.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.Getenv("TMPDIR"), "AWS_ENDPOINT_URL_GLACIER=" + front.URL, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret",
	}
	return h
}

// command gives a call of the program.
func (h *glacierHome) command(stdin string, args ...string) *exec.Cmd {
	cmd := exec.Command(h.program, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = h.env, h.dir, strings.NewReader(stdin)
	return cmd
}

// out runs the program, which must succeed, and gives what it printed.
func (h *glacierHome) out(args ...string) string {
	h.Helper()
	var errs bytes.Buffer
	cmd := h.command("", args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		h.Errorf("glacier %v: %v\n%s", args, err, &errs)
	}
	return string(out) + errs.String()
}

// holdCache keeps the cache from being written until release is called.
func (h *glacierHome) holdCache() (release func()) {
	h.Helper()
	db, err := sqldb.OpenShared(context.Background(), filepath.Join(h.dir, ".cache", "glacier-cli", "db"), "", time.Minute)
	if err != nil {
		h.Error(err)
		return func() {}
	}
	held, free, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		err := db.Write(context.Background(), func(*sqldb.Tx) error {
			close(held)
			<-free
			return nil
		})
		if err != nil {
			h.Error(err)
		}
		db.Close()
	}()
	<-held
	return func() { close(free); <-ended }
}

// isStored reports whether the catalog has a loose archive that is stored.
func (h *glacierHome) isStored() bool {
	out, err := exec.Command(testprog.Need(h, "sqlite3"), filepath.Join(h.dir, ".local", "share", "firn", "catalog.db"),
		"SELECT count(*) FROM archive WHERE kind = 'loose' AND state = 10").Output()
	return err == nil && strings.TrimSpace(string(out)) == "1"
}

// TestGlacierKilledBeforeCache: an upload that is killed when its archive is stored,
// and its cache doesn't know yet, is found by whatever comes next.
func TestGlacierKilledBeforeCache(t *testing.T) {
	for next, line := range map[string][]string{
		"checkpresent": {"archive", "checkpresent", "v", "--quiet", "ünï"},
		"upload":       {"archive", "upload", "--name", "other", "v", "-"},
		"retrieve":     {"archive", "retrieve", "v", "ünï"},
		"sync":         {"vault", "sync", "v"},
	} {
		t.Run(next, func(t *testing.T) {
			if testing.Short() && next != "upload" {
				t.Skip("whatever comes next, the same is read")
			}
			h := newGlacierHome(t)
			testprog.Need(t, "sqlite3")
			h.out("vault", "create", "v")
			if got := h.out("archive", "checkpresent", "v", "--quiet", "ünï"); got != "" {
				t.Fatalf("%q", got)
			}
			release := func() {}
			h.onStore = func() { h.onStore, release = nil, h.holdCache() }
			cmd := h.command("text", "archive", "upload", "--name", "ünï", "v", "-")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for i := 0; !h.isStored(); i++ {
				if i == 3000 {
					t.Fatal("it isn't stored")
				}
				(clock.System{}).Sleep(t.Context(), 1e7)
			}
			cmd.Process.Kill()
			cmd.Wait()
			release()
			if got := h.out("archive", "list", "v"); strings.Contains(got, "ünï\n") {
				t.Fatalf("it was in the cache already: %q", got)
			}
			again := h.command("more", line...)
			out, err := again.CombinedOutput()
			if code := again.ProcessState.ExitCode(); code != 0 && code != 75 {
				t.Errorf("%v: %v: %s", line, err, out)
			}
			if got := h.out("archive", "list", "v"); !strings.Contains(got, "ünï\n") {
				t.Errorf("after %v %q the list is %q", line, out, got)
			}
			if got := h.out("archive", "checkpresent", "v", "--quiet", "ünï"); got != "ünï\n" {
				t.Errorf("checkpresent: %q", got)
			}
			locks, err := os.ReadDir(filepath.Join(h.dir, ".local", "share", "firn", "locks"))
			for _, l := range locks {
				if strings.HasPrefix(l.Name(), "run-") {
					t.Errorf("%s is left", l.Name())
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}
