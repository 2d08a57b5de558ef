package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/sigv4"
)

// programVar makes the test program be firn itself.
const programVar = "FIRN_TEST_IS_FIRN"

func TestMain(m *testing.M) {
	if os.Getenv(programVar) != "" {
		main()
	}
	os.Exit(m.Run())
}

// key is what requests to the servers of these tests are signed with.
var key = sigv4.Key{AccessKeyID: "test", Secret: "secret"}

// start runs firn until it has written its first line, and gives that.
func start(t *testing.T, args ...string) (*exec.Cmd, *bufio.Reader, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), programVar+"=1", "AWS_ACCESS_KEY_ID="+key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+key.Secret)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, out, strings.TrimSpace(line)
}

func TestStatus(t *testing.T) {
	for args, want := range map[string]int{"--version": 0, "--nope": 64} {
		cmd := exec.Command(os.Args[0], args)
		cmd.Env = append(os.Environ(), programVar+"=1")
		cmd.Run() // the state tells
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("firn %s: status %d, want %d", args, got, want)
		}
	}
}

func TestOneSignalEndsInOrder(t *testing.T) {
	cmd, out, _ := start(t, "serve", "--json", "--listen", "127.0.0.1:0", t.TempDir())
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil || !strings.Contains(string(rest), "stopping") {
		t.Errorf("%q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestSecondSignalEndsAtOnce holds an upload open, so that the server can't end
// in order, and interrupts it twice.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	cmd, out, line := start(t, "serve", "--json", "--listen", "127.0.0.1:0", t.TempDir())
	var said struct{ Endpoint string }
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatal(err)
	}
	created := request(t, "PUT", said.Endpoint+"/-/vaults/v", nil)
	answer, err := http.DefaultClient.Do(created)
	if err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("%v, %v", answer, err)
	}
	wanted := make(chan struct{})
	go func() {
		upload := request(t, "POST", said.Endpoint+"/-/vaults/v/archives", &endless{wanted: wanted, end: t.Context().Done()})
		upload.Header.Set("Expect", "100-continue")
		(&http.Transport{ExpectContinueTimeout: time.Hour}).RoundTrip(upload) // ends with the server
	}()
	<-wanted // the server reads the body

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for line := ""; !strings.Contains(line, "stopping"); {
		if line, err = out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // the state tells
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("status %d, want 130", got)
	}
}

// request makes a signed request of the Glacier API.
func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Error(err)
	}
	hash := sigv4.EmptyHash
	r.Header.Set("X-Amz-Glacier-Version", "2012-06-01")
	if body != nil {
		r.ContentLength = 1 << 20
		r.Header.Set("X-Amz-Content-Sha256", hash)
		r.Header.Set("X-Amz-Sha256-Tree-Hash", hash)
	}
	sigv4.Sign(r, key, "us-east-1", "glacier", hash, time.Now())
	return r
}

// An endless body tells when it is first wanted, and then keeps its reader
// waiting.
type endless struct {
	wanted chan struct{}
	end    <-chan struct{}
}

func (e *endless) Read([]byte) (int, error) {
	close(e.wanted)
	<-e.end
	return 0, io.ErrUnexpectedEOF
}
