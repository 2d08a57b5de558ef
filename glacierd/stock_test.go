package glacierd_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/testprog"
	"github.com/firn-archive/firn/treehash"
)

// stockOperations are all that the service has, with what a request for each
// looks like and the status of a success. Source: Amazon Glacier API reference.
var stockOperations = []struct {
	name, method, path string // {v} and {i}: a vault, something in it
	status             []int
}{
	{"CreateVault", "PUT", "vaults/{v}", []int{201}},
	{"DescribeVault", "GET", "vaults/{v}", []int{200}},
	{"ListVaults", "GET", "vaults", []int{200}},
	{"DeleteVault", "DELETE", "vaults/{v}", []int{204}},
	{"UploadArchive", "POST", "vaults/{v}/archives", []int{201}},
	{"DeleteArchive", "DELETE", "vaults/{v}/archives/{i}", []int{204}},
	{"InitiateMultipartUpload", "POST", "vaults/{v}/multipart-uploads", []int{201}},
	{"UploadMultipartPart", "PUT", "vaults/{v}/multipart-uploads/{i}", []int{204}},
	{"CompleteMultipartUpload", "POST", "vaults/{v}/multipart-uploads/{i}", []int{201}},
	{"AbortMultipartUpload", "DELETE", "vaults/{v}/multipart-uploads/{i}", []int{204}},
	{"ListMultipartUploads", "GET", "vaults/{v}/multipart-uploads", []int{200}},
	{"ListParts", "GET", "vaults/{v}/multipart-uploads/{i}", []int{200}},
	{"InitiateJob", "POST", "vaults/{v}/jobs", []int{202}},
	{"DescribeJob", "GET", "vaults/{v}/jobs/{i}", []int{200}},
	{"ListJobs", "GET", "vaults/{v}/jobs", []int{200}},
	{"GetJobOutput", "GET", "vaults/{v}/jobs/{i}/output", []int{200, 206}},
	{"SetVaultNotifications", "PUT", "vaults/{v}/notification-configuration", []int{204}},
	{"GetVaultNotifications", "GET", "vaults/{v}/notification-configuration", []int{200}},
	{"DeleteVaultNotifications", "DELETE", "vaults/{v}/notification-configuration", []int{204}},
	{"SetVaultAccessPolicy", "PUT", "vaults/{v}/access-policy", []int{204}},
	{"GetVaultAccessPolicy", "GET", "vaults/{v}/access-policy", []int{200}},
	{"DeleteVaultAccessPolicy", "DELETE", "vaults/{v}/access-policy", []int{204}},
	{"InitiateVaultLock", "POST", "vaults/{v}/lock-policy", []int{201}},
	{"CompleteVaultLock", "POST", "vaults/{v}/lock-policy/{i}", []int{204}},
	{"AbortVaultLock", "DELETE", "vaults/{v}/lock-policy", []int{204}},
	{"GetVaultLock", "GET", "vaults/{v}/lock-policy", []int{200}},
	{"AddTagsToVault", "POST", "vaults/{v}/tags?operation=add", []int{204}},
	{"RemoveTagsFromVault", "POST", "vaults/{v}/tags?operation=remove", []int{204}},
	{"ListTagsForVault", "GET", "vaults/{v}/tags", []int{200}},
	{"SetDataRetrievalPolicy", "PUT", "policies/data-retrieval", []int{204}},
	{"GetDataRetrievalPolicy", "GET", "policies/data-retrieval", []int{200}},
	{"PurchaseProvisionedCapacity", "POST", "provisioned-capacity", []int{201}},
	{"ListProvisionedCapacity", "GET", "provisioned-capacity", []int{200}},
}

// botoLacks are the operations that boto 2, which ended in 2018, has no calls
// for: they came after its time.
var botoLacks = []string{
	"AbortVaultLock", "AddTagsToVault", "CompleteVaultLock", "DeleteVaultAccessPolicy",
	"GetDataRetrievalPolicy", "GetVaultAccessPolicy", "GetVaultLock", "InitiateVaultLock",
	"ListProvisionedCapacity", "ListTagsForVault", "PurchaseProvisionedCapacity",
	"RemoveTagsFromVault", "SetDataRetrievalPolicy", "SetVaultAccessPolicy",
}

// A stockClient is a program to do the session with.
type stockClient struct {
	script string
	find   func(testing.TB) []string // the command line before and behind the script
	lacks  []string                  // operations that it has no calls for
	region string                    // that the server insists on; empty: any
	token  string                    // of temporary keys
}

var stockClients = map[string]stockClient{
	"aws": {
		script: "with_aws.py",
		find:   func(t testing.TB) []string { return []string{testprog.Need(t, "python3"), testprog.Need(t, "aws")} },
		region: stockRegion,
	},
	"boto3": {
		script: "with_boto3.py",
		find:   func(t testing.TB) []string { return []string{testprog.Python(t, "boto3")} },
		token:  "a/session+token==",
	},
	"boto": {
		script: "with_boto.py",
		find:   func(t testing.TB) []string { return []string{testprog.Python(t, "boto")} },
		lacks:  botoLacks,
	},
}

const (
	stockAccount = "012345678901"
	stockRegion  = "eu-west-1"
)

// TestStockClients lets programs that others wrote for Amazon's service do a
// full session: testdata/stock/session.py, once through each. The scripts check
// every answer; here it is checked that every operation was asked for, and
// answered with the status that the API reference gives.
func TestStockClients(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the aws command dozens of times")
	}
	for name, c := range stockClients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.session(t)
		})
	}
}

// session runs the client's script against a server of its own, on a port of
// the loopback interface, whose service clock the script winds.
func (c stockClient) session(t *testing.T) {
	command := c.find(t)
	clock := &manualClock{now: start}
	pair := key
	pair.SessionToken = c.token
	server, err := glacierd.New(glacierd.Config{
		Root:        t.TempDir(),
		Account:     stockAccount,
		Region:      c.region,
		Credentials: glacierd.Credentials(pair),
		Clock:       clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	seen := &stockWitness{server: server, succeeded: map[string]int{}}
	endpoint, control := httptest.NewServer(seen), httptest.NewServer(stockControl(clock))
	defer endpoint.Close()
	defer control.Close()

	args := append([]string{filepath.Join("testdata", "stock", c.script)}, command[1:]...)
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	cmd.Env = stockEnv(t, "STOCK_ENDPOINT="+endpoint.URL, "STOCK_CONTROL="+control.URL, "STOCK_ACCOUNT="+stockAccount)
	if c.token != "" {
		cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+c.token)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", c.script, err, out)
	}
	endpoint.Close() // waits until all is noted
	c.judge(t, stockSaid(out), seen)
}

// judge compares what the script says that it did with what the server saw and
// with what the client should have.
func (c stockClient) judge(t *testing.T, said map[string]int, seen *stockWitness) {
	for _, op := range stockOperations {
		lacks := slices.Contains(c.lacks, op.name)
		switch script, server := said[op.name], seen.succeeded[op.name]; {
		case lacks && script+server > 0:
			t.Errorf("%s succeeded, though the table says that the client has no call for it", op.name)
		case !lacks && (script == 0 || server == 0):
			t.Errorf("%s: the script did it %d times, the server %d times", op.name, script, server)
		}
	}
	for _, complaint := range seen.complaints {
		t.Error(complaint)
	}
	t.Logf("%d operations in %d requests", len(said), seen.requests)
}

// stockEnv is the environment of a client that has only what the test gives
// it, in a time zone that nobody expects.
func stockEnv(t *testing.T, more ...string) []string {
	return append(more,
		"PATH="+os.Getenv("PATH"),
		"HOME="+t.TempDir(),
		"TMPDIR="+t.TempDir(),
		"LANG=C.UTF-8",
		"TZ=Asia/Kathmandu",
		"PYTHONDONTWRITEBYTECODE=1",
		"AWS_ACCESS_KEY_ID="+key.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+key.SecretAccessKey,
		"AWS_DEFAULT_REGION="+stockRegion,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_PAGER=",
		"AWS_MAX_ATTEMPTS=1",
		"BOTO_CONFIG=/dev/null",
	)
}

// stockControl tells the service's time in milliseconds, and moves it on by
// as many seconds as are posted.
func stockControl(clock *manualClock) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			seconds, err := strconv.Atoi(string(body))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			clock.advance(time.Duration(seconds) * time.Second)
		}
		fmt.Fprint(w, clock.Now().UnixMilli())
	})
}

// stockSaid counts the lines "ok OPERATION" of a script.
func stockSaid(out []byte) map[string]int {
	said := map[string]int{}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "ok "); ok {
			said[name]++
		}
	}
	return said
}

// A stockWitness stands before a server and notes what was asked, and how it
// was answered.
type stockWitness struct {
	server http.Handler

	mu         sync.Mutex
	requests   int
	succeeded  map[string]int
	complaints []string
}

func (s *stockWitness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, status := stockOperation(r)
	answer := &stockAnswer{ResponseWriter: w}
	s.server.ServeHTTP(answer, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	switch {
	case name == "":
		s.complain("%s %s is no operation", r.Method, r.URL)
	case w.Header().Get("x-amzn-RequestId") == "":
		s.complain("%s: no x-amzn-RequestId", name)
	case slices.Contains(status, answer.status):
		s.succeeded[name]++
	case answer.status < 400 || answer.status >= 500:
		s.complain("%s: status %d; want %v", name, answer.status, status)
	}
}

func (s *stockWitness) complain(format string, args ...any) {
	s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
}

type stockAnswer struct {
	http.ResponseWriter
	status int
}

func (a *stockAnswer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *stockAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// stockOperation finds what a request asks for, and the status of a success.
func stockOperation(r *http.Request) (name string, status []int) {
	target := r.URL.Path
	if op := r.URL.Query().Get("operation"); op != "" {
		target += "?operation=" + op
	}
	for _, op := range stockOperations {
		pattern := regexp.QuoteMeta("/" + op.path)
		pattern = strings.NewReplacer(`\{v\}`, `[^/?]+`, `\{i\}`, `[^/?]+`).Replace(pattern)
		if r.Method == op.method && regexp.MustCompile(`^/[^/]+`+pattern+`$`).MatchString(target) {
			return op.name, op.status
		}
	}
	return "", nil
}

// TestTreeHashOfOthers compares the hashes that the server checks with those
// that botocore and boto 2 compute, at the edges of leaves and at random sizes.
func TestTreeHashOfOthers(t *testing.T) {
	python := testprog.Python(t, "botocore", "boto")
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 2, 1000, mib - 1, mib, mib + 1, 2*mib - 1, 2 * mib, 2*mib + 1, 3 * mib, 5*mib + 5, 7 * mib, 8 * mib, 9*mib - 1}
	for range 20 {
		sizes = append(sizes, 1+random.IntN(6*mib))
	}
	dir := t.TempDir()
	args := []string{filepath.Join("testdata", "stock", "hashes.py")}
	var want bytes.Buffer
	for i, size := range sizes {
		data := make([]byte, size)
		rand.NewChaCha8(sha256.Sum256([]byte{byte(i)})).Read(data)
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
		d := treehash.NewDouble()
		d.Write(data)
		sums := d.Sums()
		fmt.Fprintf(&want, "%s %s %x\n", sums.Tree, sums.Tree, sums.Linear)
	}
	cmd := exec.CommandContext(t.Context(), python, args...)
	cmd.Env = stockEnv(t)
	got, err := cmd.Output()
	if err != nil {
		t.Fatalf("hashes.py: %v", err)
	}
	theirs, ours := strings.Split(string(got), "\n"), strings.Split(want.String(), "\n")
	if len(theirs) != len(ours) {
		t.Fatalf("%d lines for %d files", len(theirs)-1, len(sizes))
	}
	for i, line := range ours {
		if theirs[i] != line {
			t.Errorf("%d bytes: botocore's tree hash, boto's, and boto's linear hash are\n%s\nours\n%s", sizes[i], theirs[i], line)
		}
	}
}
