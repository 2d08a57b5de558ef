package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/notify"
)

// The hooks of the tests are this program itself, which can do what actor says.
const actor = "FIRN_TEST_HOOK"

func TestMain(m *testing.M) {
	if os.Getenv(actor) == "" {
		os.Exit(m.Run())
	}
	in, _ := io.ReadAll(os.Stdin)
	switch os.Args[1] {
	case "copy":
		os.WriteFile(os.Args[2], in, 0o600)
		os.Stdout.WriteString("copied\n\n")
		os.Stderr.WriteString("and done") // without an end of line
	case "fail":
		os.Stdout.WriteString("it is\nno good\n")
		os.Exit(3)
	case "talk":
		os.Stdout.Write(bytes.Repeat([]byte("x"), 10_000))
		os.Stdout.WriteString("\n")
		os.Stdout.Write(bytes.Repeat([]byte("y\n"), 2000))
	case "hang":
		os.Stdout.WriteString("hanging\n")
		select {}
	}
	os.Exit(0)
}

// A recorder keeps what is told.
type recorder struct {
	mu   sync.Mutex
	said []string
	hear chan string // where given, gets it too
}

func (r *recorder) sink(e firn.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := e.(firn.NoticeEvent); ok && !n.Warn {
		r.said = append(r.said, n.Text)
		if r.hear != nil {
			r.hear <- n.Text
		}
	}
}

// self is a hook that calls this program.
func self(t *testing.T, args ...string) config.Hook {
	t.Setenv(actor, "1")
	return config.Hook{Args: append([]string{os.Args[0]}, args...)}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("", 3600))

func TestCommand(t *testing.T) {
	var said recorder
	out := filepath.Join(t.TempDir(), "message")
	c := &notify.Caller{Clock: clock.NewManual(noon), Events: said.sink}
	err := c.Call(t.Context(), self(t, "copy", out), notify.Message{
		Event: notify.After, Host: "here", Profile: "home", Store: "local:/v", Tree: "photos", Path: "/home/\xff", Status: notify.Partial, Exit: 3,
		Counts: notify.Counts(map[firn.Action]firn.Count{firn.Sent: {Files: 2, Bytes: 30}}), Error: "one failed",
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"event":"after","time":"2026-01-02T11:00:00Z","host":"here","profile":"home","store":"local:/v","tree":"photos",` +
		`"path":"/home/\ufffd","path_b64":"L2hvbWUv/w==","status":"partial","exit":3,"counts":{"sent":{"files":2,"bytes":30}},"error":"one failed"}` + "\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"after: copied", "after: and done"}, said.said); diff != "" {
		t.Error(diff)
	}
}

func TestCommandThatFails(t *testing.T) {
	var said recorder
	c := &notify.Caller{Events: said.sink}
	err := c.Call(t.Context(), self(t, "fail"), notify.Message{Event: notify.Before})
	if firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "call hook before: exit status 3: no good") {
		t.Errorf("%v", err)
	}
	err = c.Call(t.Context(), config.Hook{Args: []string{"/no/such/program"}}, notify.Message{Event: notify.Before})
	if firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("a missing one: %v", err)
	}
	if err := c.Call(t.Context(), config.Hook{}, notify.Message{}); err != nil {
		t.Errorf("none: %v", err)
	}
}

func TestShell(t *testing.T) {
	var said recorder
	c := &notify.Caller{Events: said.sink, Dir: t.TempDir()}
	if err := c.Call(t.Context(), config.Hook{Shell: "echo one && echo two > here"}, notify.Message{Event: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "here")); err != nil || len(said.said) != 1 || said.said[0] != "x: one" {
		t.Errorf("it said %q; %v", said.said, err)
	}
	if err := c.Call(t.Context(), config.Hook{Shell: "exit 7"}, notify.Message{Event: "x"}); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("%v", err)
	}
}

// TestWhatIsToldIsBounded: a command may write what it likes.
func TestWhatIsToldIsBounded(t *testing.T) {
	var said recorder
	c := &notify.Caller{Events: said.sink}
	if err := c.Call(t.Context(), self(t, "talk"), notify.Message{Event: "x"}); err != nil {
		t.Fatal(err)
	}
	if len(said.said) != 1001 || len(said.said[0]) > 5000 || !strings.Contains(said.said[1000], "not shown") {
		t.Errorf("%d lines, the first of %d bytes, the last %q", len(said.said), len(said.said[0]), said.said[len(said.said)-1])
	}
}

func TestCommandThatHangs(t *testing.T) {
	c := &notify.Caller{Timeout: 50 * time.Millisecond}
	err := c.Call(t.Context(), self(t, "hang"), notify.Message{Event: "x"})
	if firn.KindOf(err) != firn.Local || !strings.Contains(err.Error(), "stopped after 50ms") {
		t.Errorf("by itself: %v", err)
	}
	said := recorder{hear: make(chan string, 1)}
	c = &notify.Caller{Events: said.sink}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-said.hear
		cancel()
	}()
	// What it has started is stopped with it, or its output would be waited for.
	hook := self(t, "hang")
	if err := c.Call(ctx, config.Hook{Shell: hook.Args[0] + " hang; true"}, notify.Message{Event: "x"}); !errors.Is(err, context.Canceled) || firn.KindOf(err) != firn.Other {
		t.Errorf("at an interrupt: %v", err)
	}
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(code int) (*http.Response, error) {
	return &http.Response{StatusCode: code, Status: http.StatusText(code), Body: http.NoBody, Header: http.Header{"Location": {"https://else.example/"}}}, nil
}

func TestPost(t *testing.T) {
	var got notify.Message
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/secret" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	c := &notify.Caller{}
	if err := c.Call(t.Context(), config.Hook{URL: server.URL + "/secret"}, notify.Message{Event: notify.OnSuccess, Status: notify.Done}); err != nil {
		t.Fatal(err)
	}
	if got.V != 1 || got.Event != "on_success" || got.Status != "done" {
		t.Errorf("%+v", got)
	}
}

func TestPostIsRepeated(t *testing.T) {
	for _, c := range []struct {
		name  string
		codes []int // of the answers; 0: no answer
		tries int
		waits time.Duration
		want  string // of the error
	}{
		{"at once", []int{204}, 1, 0, ""},
		{"the third time", []int{503, 0, 200}, 3, 10 * time.Second, ""},
		{"too often", []int{429, 408, 500, 200}, 3, 10 * time.Second, "hooks.example: it answers Internal Server Error"},
		{"no network", []int{0, 0, 0}, 3, 10 * time.Second, "hooks.example: the cable is cut"},
		{"refused", []int{403, 200}, 1, 0, "it answers Forbidden"},
		{"moved", []int{301, 200}, 1, 0, "moved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clk := clock.NewManual(noon)
			n := 0
			caller := &notify.Caller{Clock: clk, Transport: transport(func(r *http.Request) (*http.Response, error) {
				n++
				if body, _ := io.ReadAll(r.Body); !json.Valid(body) {
					t.Errorf("try %d has the body %q", n, body)
				}
				if code := c.codes[n-1]; code > 0 {
					return answer(code)
				}
				return nil, errors.New("the cable is cut")
			})}
			err := caller.Call(t.Context(), config.Hook{URL: "https://hooks.example/secret?token=secret"}, notify.Message{Event: "x"})
			if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || firn.KindOf(err) != firn.Network) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if n != c.tries || clk.Now().Sub(noon) != c.waits {
				t.Errorf("%d tries in %v", n, clk.Now().Sub(noon))
			}
		})
	}
}

// TestPostWithoutAnswer: a server that is silent is given up.
func TestPostWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		began := time.Now()
		err := (&notify.Caller{Transport: silent}).Call(t.Context(), config.Hook{URL: "http://hooks.example/"}, notify.Message{Event: "x"})
		if took := time.Since(began); took != 40*time.Second || err == nil || !strings.Contains(err.Error(), "no answer within 10s") {
			t.Errorf("%v after %v", err, took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began = time.Now()
		err = (&notify.Caller{Transport: silent}).Call(ctx, config.Hook{URL: "http://hooks.example/"}, notify.Message{Event: "x"})
		if took := time.Since(began); took != time.Second || !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v after %v", err, took)
		}
	})
}
