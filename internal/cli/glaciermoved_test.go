package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
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

	buckets *s3test.Server
	perMiB  atomic.Int64 // nanoseconds that a MiB takes from a bucket, by the clock
}

func newMovedWorld(t *testing.T, thaw time.Duration) *movedWorld {
	t.Helper()
	w := &movedWorld{T: t, clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	service, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: w.clock, AuthClock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	vaults := httptest.NewServer(service)
	w.buckets = s3test.New(s3test.Options{Buckets: []string{"bucket"}, Clock: w.clock, Thaw: thaw})
	buckets := httptest.NewServer(http.HandlerFunc(w.serveBucket))
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

// serveBucket answers a request for a bucket; what goes out takes its time.
func (w *movedWorld) serveBucket(out http.ResponseWriter, r *http.Request) {
	counted := &countedBody{ResponseWriter: out}
	w.buckets.ServeHTTP(counted, r)
	w.clock.Advance(time.Duration(float64(counted.n) / (1 << 20) * float64(w.perMiB.Load())))
}

// A countedBody is an answer of so many bytes.
type countedBody struct {
	http.ResponseWriter
	n int
}

func (c *countedBody) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.ResponseWriter.Write(p)
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

// TestDropInsKeepCopies: what a slow line has not brought while its copy was there is
// asked to stay, in time: of archives that come one after the other, whole or out of
// one bundle. What comes in time isn't.
func TestDropInsKeepCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	const glacier, mtglacier = "glacier archive retrieve --multipart-size 1048576 v", "mtglacier restore-completed --segment-size 1 --concurrency 1"
	for name, test := range map[string]struct {
		command       string
		archives, mib int
		perMiB        time.Duration
		stays         bool
	}{
		"glacier, several":           {glacier, 3, 16, 2 * time.Hour, true},
		"glacier, out of a bundle":   {glacier, 16, 0, 6 * time.Hour, true},
		"glacier, in time":           {glacier, 1, 4, time.Minute, false},
		"mtglacier, one large":       {mtglacier, 1, 16, 6 * time.Hour, true},
		"mtglacier, several":         {mtglacier, 4, 4, 6 * time.Hour, true},
		"mtglacier, out of a bundle": {mtglacier, 16, 0, 6 * time.Hour, true},
		"mtglacier, in time":         {mtglacier, 1, 4, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newMovedWorld(t, 12*time.Hour)
			texts, names := w.moveAll(test.archives, max(test.mib<<20, 1<<20-1))
			ask, fetch, status := test.command+" "+names, test.command+" "+names, 75
			if test.command == mtglacier {
				common := " --config " + filepath.Join(w.env.Dir, "cfg")
				ask, fetch, status = "mtglacier restore --max-number-of-files 99"+common, test.command+common, 0
			}
			w.run(status, ask)
			asked := w.buckets.Calls()["POST restore"]
			w.clock.Advance(12 * time.Hour)
			w.perMiB.Store(int64(test.perMiB))
			w.run(0, fetch)
			for name, text := range texts {
				if got, err := os.ReadFile(filepath.Join(w.env.Dir, name)); err != nil || string(got) != text {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
			}
			stays := w.buckets.Calls()["POST restore"] - asked
			if stays > 0 != test.stays || stays > 3*asked {
				t.Errorf("%d copies were asked to stay, of %d", stays, asked)
			}
		})
	}
}

// moveAll stores archives of so many bytes, moves them to a bucket in DEEP_ARCHIVE, and
// gives their texts and names; there are a journal of them and a config file, too.
func (w *movedWorld) moveAll(archives, size int) (texts map[string]string, names string) {
	w.Helper()
	w.run(0, "glacier vault create v")
	texts = map[string]string{}
	for i := range archives {
		name := fmt.Sprintf("f%02d", i)
		texts[name] = strings.Repeat(name, size/3)
		w.piped(0, texts[name], "glacier archive upload --name "+name+" v -")
		names += " " + name
	}
	journal := ""
	for line := range strings.Lines(w.run(0, "glacier archive list --force-ids --with-hash v")) {
		fields := strings.Split(strings.TrimSpace(strings.TrimPrefix(line, "id:")), "\t")
		journal += fmt.Sprintf("B\t1\tCREATED\t%s\t%d\t1\t%s\t%s\n", fields[0], len(texts[fields[2]]), fields[1], fields[2])
	}
	w.write("journal", journal)
	w.write("cfg", "key=AKIAIOSFODNN7EXAMPLE\nsecret=c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\nregion=us-east-1\nprotocol=http\nvault=v\njournal="+
		filepath.Join(w.env.Dir, "journal")+"\ndir="+w.env.Dir+"\n")
	w.clock.Advance(100 * 24 * time.Hour) // no fee any more
	w.Setenv("FIRN_HOME", w.T.TempDir())  // as if others had stored them: they become files, which are bundled
	w.run(0, "firn store create s3:bucket/moved --class DEEP_ARCHIVE")
	w.run(0, "firn migrate glacier:v s3:bucket/moved --class DEEP_ARCHIVE --bundle-below 1M --wait --yes")
	w.clock.Advance(48 * time.Hour) // the jobs of the move are gone
	return texts, names
}
