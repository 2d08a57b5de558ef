package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/testprog"
)

// A jobWorld is a machine and the service, whose hours pass when it waits.
type jobWorld struct {
	*testing.T
	env      Env
	clock    *clock.Manual
	endpoint string
	asked    atomic.Int64 // jobs that were asked for
}

// newJobWorld has the vault glacier:v.
func newJobWorld(t *testing.T, faults ...glacierd.Fault) *jobWorld {
	t.Helper()
	return newJobWorldOf(t, glacierd.ServiceTiming(), faults...)
}

// newJobWorldOf is newJobWorld whose jobs take as long as is said.
func newJobWorldOf(t *testing.T, timing glacierd.Timing, faults ...glacierd.Fault) *jobWorld {
	t.Helper()
	w := &jobWorld{T: t, clock: clock.NewManual(time.Now()), env: homeEnv(t)}
	timing.InventoryEvery = 0
	registry := glacierd.NewFaults(1)
	for _, f := range faults {
		if _, err := registry.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: w.clock, AuthClock: w.clock, Timing: &timing, Faults: registry})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs") {
			w.asked.Add(1)
		}
		server.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { listening.Close(); server.Close() })
	w.endpoint, w.env.Clock = listening.URL, w.clock
	for name, value := range w.aws() {
		t.Setenv(name, value) // the SDK asks the process
	}
	w.firn(Done, "store", "create", "glacier:v")
	return w
}

// aws is what clients need to reach the service.
func (w *jobWorld) aws() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_GLACIER": w.endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": "",
	}
}

// firn runs a command that must end with a status, and gives what it wrote.
func (w *jobWorld) firn(want Status, args ...string) (stdout, stderr string) {
	w.Helper()
	status, stdout, stderr := try(w.env, args...)
	if status != want {
		w.Fatalf("firn %v: status %d, want %d\n%s%s", args, status, want, stdout, stderr)
	}
	return stdout, stderr
}

// upload stores a file of some bytes, and gives the archive's id.
func (w *jobWorld) upload(name string, data []byte, args ...string) string {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.env.Dir, name), data, 0o600); err != nil {
		w.Fatal(err)
	}
	id, _ := w.firn(Done, append([]string{"archive", "upload", "glacier:v", name}, args...)...)
	return strings.TrimSpace(id)
}

// holds fails where a file hasn't the bytes.
func (w *jobWorld) holds(name string, want []byte) {
	w.Helper()
	got, err := os.ReadFile(filepath.Join(w.env.Dir, name))
	if err != nil || string(got) != string(want) {
		w.Errorf("%s has %d bytes, want %d, or others: %v", name, len(got), len(want), err)
	}
}

func (w *jobWorld) says(text, want string) {
	w.Helper()
	if !strings.Contains(text, want) {
		w.Errorf("it says %q, and not %q", text, want)
	}
}

func (w *jobWorld) wasAsked(want int64) {
	w.Helper()
	if n := w.asked.Load(); n != want {
		w.Errorf("%d jobs were asked for, want %d", n, want)
	}
}

// TestJobsOverDays: one waits for a job, fetches it, and comes too late.
func TestJobsOverDays(t *testing.T) {
	w := newJobWorld(t)
	data := []byte(strings.Repeat("some text ", 200_000))
	id := w.upload("f", data)
	began := w.clock.Now()
	job, _ := w.firn(Done, "job", "start", "glacier:v", "--archive="+id, "--yes", "--tier", "standard")
	job = strings.TrimSpace(job)
	w.firn(NotYet, "job", "output", "glacier:v", "-o", "out", "--", job)
	w.firn(Done, "job", "output", "glacier:v", "-o", "out", "--wait", "--", job)
	if took := w.clock.Now().Sub(began); took < 3*time.Hour || took > 6*time.Hour {
		t.Errorf("it took %v", took)
	}
	w.holds("out", data)
	w.clock.Advance(23 * time.Hour)
	list, _ := w.firn(Done, "job", "list", "glacier:v")
	w.says(list, "ready, until ")
	w.firn(Done, "job", "output", "glacier:v", "-o", "again", "--", job)
	w.clock.Advance(2 * time.Hour)
	_, stderr := w.firn(Failed, "job", "output", "glacier:v", "-o", "late", "--", job)
	w.says(stderr, "no such job; jobs stay for a day or so")
	w.wasAsked(1)
}

// TestServerThatIsDoneAtOnce: who waits for a server that isn't Amazon's, and that has all
// ready at once, doesn't wait for the hours of vaults.
func TestServerThatIsDoneAtOnce(t *testing.T) {
	w := newJobWorldOf(t, glacierd.Timing{})
	id := w.upload("f", []byte("text"))
	w.lay("tree/file", []byte("file"))
	w.firn(Done, "sync", "tree", "glacier:v")
	for _, args := range [][]string{
		{"restore", "glacier:v", "--to", "back", "--wait"},
		{"archive", "retrieve", "glacier:v", "-o", "out", "--wait", "--", id},
		{"verify", "glacier:v", "--store-only", "--wait"},
	} {
		before := w.clock.Now()
		w.firn(Done, args...)
		if took := w.clock.Now().Sub(before); took > 10*time.Second {
			t.Errorf("firn %s took %v", strings.Join(args, " "), took)
		}
	}
	w.holds("back/file", []byte("file"))
	w.holds("out", []byte("text"))
}

// TestFailedJob: an archive that is deleted while a job runs fails it, which is
// told, and seen in the list of all.
func TestFailedJob(t *testing.T) {
	w := newJobWorld(t)
	id := w.upload("f", []byte("text"))
	job, _ := w.firn(Done, "job", "start", "glacier:v", "--archive="+id, "--yes")
	w.firn(Done, "archive", "delete", "glacier:v", "--yes", "--state=other", "--", id)
	w.clock.Advance(6 * time.Hour)
	_, stderr := w.firn(Failed, "job", "output", "glacier:v", "-o", "out", "--wait", "--", strings.TrimSpace(job))
	w.says(stderr, "the job failed: The archive was deleted")
	if list, _ := w.firn(Done, "job", "list", "glacier:v"); list != "" {
		t.Errorf("listed: %s", list)
	}
	list, _ := w.firn(Done, "job", "list", "glacier:v", "--all")
	w.says(list, "failed: The archive was deleted")
	_, stderr = w.firn(Failed, "archive", "retrieve", "glacier:v", "-o", "out", "--yes", "--", id)
	w.says(stderr, "archive ID was not found")
}

// TestRetrieveAsksAgain: what failed or expired meanwhile is asked for again, a
// few times; what came once isn't.
func TestRetrieveAsksAgain(t *testing.T) {
	for name, c := range map[string]struct {
		faults []glacierd.Fault
		status Status
		asked  int64
	}{
		"nothing happens":        {nil, Done, 1},
		"the answer is lost":     {[]glacierd.Fault{{Kind: glacierd.FaultLostAnswer, Op: "InitiateJob", Nth: 1}}, Done, 1},
		"a job fails":            {[]glacierd.Fault{{Kind: glacierd.FaultFailedJob, Nth: 1}}, Done, 2},
		"jobs fail":              {[]glacierd.Fault{{Kind: glacierd.FaultFailedJob, Times: 9}}, Failed, 3},
		"the output expires":     {[]glacierd.Fault{{Kind: glacierd.FaultExpiredJob, Op: "GetJobOutput", Nth: 1}}, Done, 2},
		"bytes are wrong":        {[]glacierd.Fault{{Kind: glacierd.FaultCorrupt, Op: "GetJobOutput", Nth: 1}}, Done, 1},
		"the connection breaks":  {[]glacierd.Fault{{Kind: glacierd.FaultTruncate, Op: "GetJobOutput", After: 1000, Nth: 1}}, Done, 1},
		"no capacity":            {[]glacierd.Fault{{Kind: glacierd.FaultNoCapacity, Nth: 1}}, NotYet, 1},
		"the service is unwell ": {[]glacierd.Fault{{Kind: glacierd.FaultInternal, Op: "InitiateJob", Nth: 1}}, Done, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newJobWorld(t, c.faults...)
			data := []byte(strings.Repeat("some text ", 200_000))
			id := w.upload("f", data)
			tier := "bulk"
			if c.status == NotYet {
				tier = "expedited"
			}
			_, stderr := w.firn(c.status, "archive", "retrieve", "glacier:v", "-o", "out", "--wait", "--yes", "--tier", tier, "--", id)
			w.wasAsked(c.asked)
			if c.status != Done {
				if _, err := os.Stat(filepath.Join(w.env.Dir, "out")); err == nil {
					t.Error("there is a file all the same")
				}
				if name == "jobs fail" {
					w.says(stderr, "it was asked for 3 times, in vain: The job failed")
				}
				return
			}
			w.holds("out", data)
			w.firn(Done, "archive", "retrieve", "glacier:v", "-o", "out", "--", id)
			w.wasAsked(c.asked)
			w.firn(Done, "archive", "retrieve", "glacier:v", "-o", "second", "--", id) // the job is there still
			w.wasAsked(c.asked)
			names, err := os.ReadDir(w.env.Dir)
			if err != nil || len(names) > 4 {
				t.Errorf("left over: %v, %v", names, err)
			}
		})
	}
}

// TestPriceOfRetrievals: nothing is asked for that nobody agreed to, and the price
// is that of what isn't there yet.
func TestPriceOfRetrievals(t *testing.T) {
	w := newJobWorld(t)
	known, strange := w.upload("f", []byte("text")), w.upload("g", []byte("other text"), "--state=other")
	_, stderr := w.firn(WrongUsage, "archive", "retrieve", "glacier:v", "--to", "d", "--", known, strange)
	w.says(stderr, "1 archive whose size isn't known")
	w.says(stderr, "needs a yes")
	_, stderr = w.firn(WrongUsage, "archive", "retrieve", "glacier:v", "-o", "f2", "--tier", "expedited", "--max-cost", "0.005", "--", known)
	w.says(stderr, "more than --max-cost")
	w.wasAsked(0)
	w.firn(NotYet, "archive", "retrieve", "glacier:v", "--to", "d", "--", known)
	out, _ := w.firn(NotYet, "archive", "retrieve", "glacier:v", "--to", "d", "--yes", "--json", "--", known, strange)
	w.says(out, `"type":"price","what":"the retrieval of 1 archive"`)
	w.wasAsked(2)
}

// TestJobsOfTheAWSCommand: what one program asks for the other fetches.
func TestJobsOfTheAWSCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the aws command several times")
	}
	w := newJobWorld(t)
	program := testprog.Need(t, "aws")
	aws := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"--endpoint-url", w.endpoint, "glacier"}, args...)...)
		cmd.Dir = w.env.Dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("aws %v: %v", args, err)
		}
		return out
	}
	data := []byte(strings.Repeat("some text ", 200_000))
	id := w.upload("f", data, "--description", `with "quotes", a comma`)
	theirs := map[string]string{}
	for what, parameters := range map[string]string{
		"csv":     `{"Type":"inventory-retrieval","Format":"CSV","Description":"by aws"}`,
		"archive": `{"Type":"archive-retrieval","ArchiveId":"` + id + `","RetrievalByteRange":"0-1048575"}`,
	} {
		var said struct {
			JobID string `json:"jobId"`
		}
		if err := json.Unmarshal(aws("initiate-job", "--account-id", "-", "--vault-name", "v", "--job-parameters", parameters), &said); err != nil {
			t.Fatal(err)
		}
		theirs[what] = said.JobID
	}
	list, _ := w.firn(Done, "job", "list", "glacier:v")
	w.says(list, "by aws")
	ours, _ := w.firn(Done, "job", "start", "glacier:v", "--inventory")
	w.clock.Advance(13 * time.Hour)
	csv, _ := w.firn(Done, "job", "output", "glacier:v", "--", theirs["csv"])
	w.says(csv, id+`,"with \"quotes\", a comma",`)
	w.firn(Done, "job", "output", "glacier:v", "-o", "mib", "--", theirs["archive"])
	w.holds("mib", data[:1<<20])
	aws("get-job-output", "--account-id", "-", "--vault-name", "v", "--job-id="+strings.TrimSpace(ours), "theirs.json")
	w.firn(Done, "job", "output", "glacier:v", "-o", "ours.json", "--", strings.TrimSpace(ours))
	same, err := os.ReadFile(filepath.Join(w.env.Dir, "theirs.json"))
	if err != nil {
		t.Fatal(err)
	}
	w.holds("ours.json", same)
}
