package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/sigv4"
)

// A served is a firn serve that runs in this process.
type served struct {
	serveRecord
	stop func() (status Status, stdout, stderr string)
}

// serveIn runs firn serve with a free port until stop is called.
func serveIn(t *testing.T, env Env, args ...string) served {
	t.Helper()
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	env.Stdout, env.Stderr, env.Clock = writer, &stderr, clock.System{}
	ctx, cancel := context.WithCancel(t.Context())
	status := make(chan Status, 1)
	go func() {
		status <- Status(Main(ctx, append([]string{"firn", "serve", "--json", "--listen", "127.0.0.1:0"}, args...), env))
		writer.Close()
	}()
	out := bufio.NewReader(reader)
	line, err := out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("firn serve: %v\n%s", err, stderr.String())
	}
	var s served
	if err := json.Unmarshal(line, &s.serveRecord); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	rest := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(out)
		rest <- string(all)
	}()
	s.stop = func() (Status, string, string) {
		cancel()
		return <-status, <-rest, stderr.String()
	}
	return s
}

// ask sends a request to the server, signed with the pair unless its id is
// empty, and gives the status of the answer and the code of the error.
func (s served) ask(t *testing.T, key sigv4.Key, method, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.Endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Glacier-Version", "2012-06-01")
	if key.AccessKeyID != "" {
		sigv4.Sign(r, key, "eu-west-1", "glacier", sigv4.EmptyHash, time.Now())
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var e struct{ Code string }
	if answer.StatusCode >= 400 {
		if err := json.NewDecoder(answer.Body).Decode(&e); err != nil {
			t.Fatal(err)
		}
	}
	return answer.StatusCode, e.Code
}

func TestServe(t *testing.T) {
	env := testEnv(t)
	s := serveIn(t, env, "vaults", "--log-requests", "--fault", "throttle op=DescribeVault nth=2")
	key := sigv4.Key{AccessKeyID: s.AccessKeyID, Secret: s.SecretAccessKey}
	for _, step := range []struct {
		key          sigv4.Key
		method, path string
		status       int
		code         string
	}{
		{sigv4.Key{}, "GET", "/-/vaults", 400, "MissingAuthenticationTokenException"},
		{sigv4.Key{AccessKeyID: s.AccessKeyID, Secret: "wrong"}, "GET", "/-/vaults", 403, "InvalidSignatureException"},
		{key, "PUT", "/-/vaults/photos", 201, ""},
		{key, "GET", "/-/vaults", 200, ""},
		{key, "GET", "/-/vaults/photos", 200, ""},
		{key, "GET", "/-/vaults/photos", 400, "ThrottlingException"},
	} {
		status, code := s.ask(t, step.key, step.method, step.path)
		if status != step.status || code != step.code {
			t.Errorf("%s %s: %d %s, want %d %s", step.method, step.path, status, code, step.status, step.code)
		}
	}
	if _, err := os.Stat(filepath.Join(env.Dir, "vaults", "photos")); err != nil {
		t.Error(err)
	}
	status, stdout, stderr := s.stop()
	if status != Done || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	for _, want := range []string{"CreateVault", "throttle op=DescribeVault nth=2 times=1\\\" struck once"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, s.SecretAccessKey) {
		t.Error("the secret is shown again")
	}
	again := serveIn(t, env, "vaults")
	if again.SecretAccessKey != "" || again.AccessKeyID != s.AccessKeyID {
		t.Errorf("the second start shows %+v", again.serveRecord)
	}
	if status, _ := again.ask(t, key, "GET", "/-/vaults/photos"); status != 200 {
		t.Errorf("the kept key pair is refused: %d", status)
	}
	again.stop()
}

func TestServeKeysOfTheEnvironment(t *testing.T) {
	env := testEnv(t)
	env.LookupEnv = func(name string) (string, bool) {
		v, ok := map[string]string{"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}[name]
		return v, ok
	}
	s := serveIn(t, env, "vaults", "--region", "eu-west-1")
	if s.AccessKeyID != "mine" || s.SecretAccessKey != "" || s.CredentialsFile != "" {
		t.Errorf("it shows %+v", s.serveRecord)
	}
	if status, code := s.ask(t, sigv4.Key{AccessKeyID: "mine", Secret: "secret", Token: "token"}, "GET", "/-/vaults"); status != 200 {
		t.Errorf("with the token: %d %s", status, code)
	}
	if status, _ := s.ask(t, sigv4.Key{AccessKeyID: "mine", Secret: "secret"}, "GET", "/-/vaults"); status != 400 {
		t.Errorf("without the token: %d", status)
	}
	s.stop()
	if _, err := os.Stat(filepath.Join(env.Dir, "vaults", "+account")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key pair was made that nobody needs: %v", err)
	}

	// A file that is named wins.
	keys := filepath.Join(env.Dir, "keys")
	if err := os.WriteFile(keys, []byte("[default]\naws_access_key_id = other\naws_secret_access_key = s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = serveIn(t, env, "vaults", "--credentials", "keys")
	if s.AccessKeyID != "other" || s.CredentialsFile != keys {
		t.Errorf("with --credentials it shows %+v", s.serveRecord)
	}
	s.stop()
}

func TestServePortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	status, _, stderr := try(testEnv(t), "serve", "vaults", "--listen", l.Addr().String())
	want := "firn: listen " + l.Addr().String() + ": " + syscall.EADDRINUSE.Error() + "; give another address with --listen; port 0 takes a free one\n"
	if status != Failed || !strings.HasSuffix(stderr, want) {
		t.Errorf("status %d, stderr %q, want %q", status, stderr, want)
	}
}

func TestServeDirections(t *testing.T) {
	o := &serveOptions{Region: "eu-west-1"}
	got := strings.Join(o.directions("http://127.0.0.1:9012", serveKeys{file: "/tmp/it's/keys"}), "\n")
	want := `to use it:
  export AWS_ENDPOINT_URL_GLACIER=http://127.0.0.1:9012
  export AWS_REGION=eu-west-1
  export AWS_SHARED_CREDENTIALS_FILE='/tmp/it'\''s/keys'
  firn sync FOLDER glacier:VAULT
  aws glacier list-vaults --account-id - --endpoint-url http://127.0.0.1:9012`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestServeDelays(t *testing.T) {
	service := glacierd.ServiceTiming()
	tests := []struct {
		args string
		want glacierd.Timing
	}{
		{"", service},
		{"--job-delay 1m", glacierd.Timing{Expedited: time.Minute, Standard: time.Minute, Bulk: time.Minute, Inventory: time.Minute, InventoryEvery: service.InventoryEvery}},
		{"--bulk-delay 1h --job-delay 0", glacierd.Timing{Bulk: time.Hour, InventoryEvery: service.InventoryEvery}},
		{"--inventory-every 0 --expedited-delay 1s", glacierd.Timing{Expedited: time.Second, Standard: service.Standard, Bulk: service.Bulk, Inventory: service.Inventory}},
	}
	for _, tt := range tests {
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		d := (&serveOptions{}).addFlags(f)
		if err := f.Parse(strings.Fields(tt.args)); err != nil {
			t.Fatal(err)
		}
		if got := d.timing(f); got != tt.want {
			t.Errorf("%q: got %+v, want %+v", tt.args, got, tt.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": "''", "/a/b-c_d.e": "/a/b-c_d.e", "a b": "'a b'", "$x": "'$x'", "it's": `'it'\''s'`, "ü": "'ü'"} {
		if got := quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
