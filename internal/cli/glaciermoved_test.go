package cli

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3test"
)

// A movedWorld is a service with vaults, and one with buckets, in one time.
type movedWorld struct {
	*testing.T
	clock *clock.Manual
	env   Env
}

func newMovedWorld(t *testing.T, thaw time.Duration) *movedWorld {
	t.Helper()
	w := &movedWorld{T: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	service, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: w.clock, AuthClock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	vaults := httptest.NewServer(service)
	buckets := httptest.NewServer(s3test.New(s3test.Options{Buckets: []string{"bucket"}, Clock: w.clock, Thaw: thaw}))
	t.Cleanup(func() { vaults.Close(); service.Close(); buckets.Close() })
	for name, value := range map[string]string{
		"HOME": t.TempDir(), "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "FIRN_HOME": "", "FIRN_HOST": "here",
		"AWS_ENDPOINT_URL_GLACIER": vaults.URL, "AWS_ENDPOINT_URL_S3": buckets.URL, "AWS_ENDPOINT_URL": "", "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true", "BOTO_CONFIG": "", "BOTO_PATH": "",
	} {
		t.Setenv(name, value) // the SDK asks the process
	}
	w.env = testEnv(t)
	w.env.LookupEnv, w.env.Clock = os.LookupEnv, w.clock
	return w
}

// run runs a command line, which must end with a status, and gives what it printed.
func (w *movedWorld) run(status int, line string) string {
	w.Helper()
	return w.piped(status, "", line)
}

func (w *movedWorld) piped(status int, stdin, line string) string {
	w.Helper()
	var out, errs bytes.Buffer
	env := w.env
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(stdin), &out, &errs
	if code := Main(w.Context(), strings.Fields(line), env); code != status {
		w.Fatalf("%s: %d, want %d\n%.300s%.300s", line, code, status, &out, &errs)
	}
	return out.String() + errs.String()
}

// TestGlacierAfterMigrate: what firn has moved to S3 is fetched from there, whole or
// out of a bundle, thawed or to be thawed, while the vault is there and when it is
// gone.
func TestGlacierAfterMigrate(t *testing.T) {
	for class, thaw := range map[string]time.Duration{"STANDARD": 0, "DEEP_ARCHIVE": 12 * time.Hour} {
		t.Run(class, func(t *testing.T) {
			w := newMovedWorld(t, thaw)
			w.run(0, "glacier vault create v")
			big := strings.Repeat("0123456789abcdef", 200_000)
			texts := map[string]string{"letter": "dear reader", "ünï": "another letter", "dir/third": "the third", "big": big}
			for name, text := range texts {
				w.piped(0, text, "glacier archive upload --name "+name+" v -")
			}
			w.clock.Advance(100 * 24 * time.Hour) // no fee any more
			t.Setenv("FIRN_HOME", t.TempDir())    // as if others had stored them: they become files, which are bundled
			w.run(0, "firn store create s3:bucket/moved --class "+class)
			w.run(0, "firn migrate glacier:v s3:bucket/moved --class "+class+" --bundle-below 1M --wait --yes")
			if list := w.run(0, "firn archive list s3:bucket/moved"); !strings.Contains(list, "\tbundle\t") || strings.Count(list, "\n") < 2 {
				t.Fatalf("nothing is in a bundle, or all:\n%s", list)
			}
			w.fetchAll(texts, thaw)
			w.run(1, "glacier archive upload v -")
			w.run(1, "glacier archive delete v letter")
			finished := 0
			for range 20 {
				var out, errs bytes.Buffer
				env := w.env
				env.Stdout, env.Stderr = &out, &errs
				if finished = Main(t.Context(), strings.Fields("firn migrate --finish glacier:v s3:bucket/moved --confirm v --yes"), env); finished == 0 {
					break
				}
				if finished != 75 {
					t.Fatalf("%d: %s%s", finished, &out, &errs)
				}
				w.clock.Advance(24 * time.Hour)
			}
			if got := w.run(0, "glacier vault list"); finished != 0 || got != "" {
				t.Fatalf("%d: the vault is still there: %q", finished, got)
			}
			w.clock.Advance(20 * 24 * time.Hour) // what was thawed is gone
			w.fetchAll(texts, thaw)
			for name := range texts {
				if got := w.run(0, "glacier archive checkpresent v --quiet "+name); got != name+"\n" {
					t.Errorf("%s: %q", name, got)
				}
			}
			if got := w.run(1, "glacier archive delete v letter"); !strings.Contains(got, "moved to s3:bucket/moved") {
				t.Error(got)
			}
			w.piped(1, "more", "glacier archive upload --name more v -")
			w.run(1, "glacier vault sync v")

			w.run(0, "glacier vault create v") // another vault of the same name
			w.piped(0, "more", "glacier archive upload --name more v -")
			if got := w.run(0, "glacier archive checkpresent v more"); got != "more\n" {
				t.Error(got)
			}
			w.clock.Advance(20 * 24 * time.Hour)
			w.fetchAll(texts, thaw)
		})
	}
}

// fetchAll fetches every archive, to a file and to stdout.
func (w *movedWorld) fetchAll(texts map[string]string, thaw time.Duration) {
	w.Helper()
	thawed := map[bool]bool{} // by whether it is small
	for name, text := range texts {
		// Members of one bundle thaw together, for a time.
		if thaw > 0 && !thawed[len(text) < 1<<20] {
			if got := w.run(75, "glacier archive retrieve v "+name+" -o-"); got != "glacier: queued retrieval job for archive '"+name+"'\n" {
				w.Errorf("%s: %q", name, got)
			}
			if got := w.run(75, "glacier archive retrieve v "+name+" -o-"); got != "glacier: job still pending for archive '"+name+"'\n" {
				w.Errorf("%s: %q", name, got)
			}
			w.clock.Advance(thaw)
			thawed[len(text) < 1<<20] = true
		}
		if got := w.run(0, "glacier archive retrieve v "+name+" -o-"); got != text {
			w.Errorf("%s: %d bytes, %.80q", name, len(got), got)
		}
		w.run(0, "glacier archive retrieve v "+name)
		file := filepath.Join(w.env.Dir, filepath.Base(name))
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			w.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		os.Remove(file)
	}
}
