package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/exchange"
)

// transport is a server in one function.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// client is a way to a server.
func client(t transport) *exchange.Client {
	return &exchange.Client{
		Transport: t, Clock: clock.System{}, Endpoint: "server.test",
		Judge: func(a exchange.Answer) exchange.Refusal {
			kind := firn.Invalid
			if a.Skewed {
				kind = firn.Skew
			}
			return exchange.Refusal{Status: a.Status, Code: string(a.Body), Kind: kind, Hint: "do better"}
		},
		Failed: func(body []byte) bool { return bytes.HasPrefix(body, []byte("no")) },
	}
}

func answers(status int, body io.Reader) transport {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
	}
}

// do makes one request, signed now, and gives what becomes of it.
func do(ctx context.Context, c *exchange.Client, body io.Reader, length int64) (*exchange.Exchange, *http.Response, error) {
	x := c.Begin(ctx, "try", "it")
	req, err := http.NewRequestWithContext(x.Ctx, http.MethodPut, "http://server.test/", body)
	if err != nil {
		panic(err)
	}
	req.ContentLength = length
	req.Header.Set("X-Amz-Date", clock.System{}.Now().UTC().Format("20060102T150405Z"))
	resp, err := c.Do(req)
	return x, resp, x.End(err)
}

// TestKinds: each way to fail has its kind, since callers decide by it whether to
// repeat.
func TestKinds(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		server transport
		body   io.Reader
		length int64
		kind   firn.Kind
		says   string
	}{
		"a refusal":        {answers(400, strings.NewReader("Code")), nil, 0, firn.Invalid, "Code; do better"},
		"one in a success": {answers(200, strings.NewReader("no way")), nil, 0, firn.Invalid, "no way"},
		"no connection": {func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: broken}
		}, nil, 0, firn.Network, "no connection to server.test"},
		"no answer":           {func(*http.Request) (*http.Response, error) { return nil, broken }, nil, 0, firn.Lost, "no answer came"},
		"an answer that ends": {answers(200, io.MultiReader(strings.NewReader("ye"), failing{broken})), nil, 0, firn.Lost, "broke off"},
		"a body that ends":    {answers(200, strings.NewReader("")), strings.NewReader("ab"), 3, firn.Changed, "after 2 of 3 bytes"},
		"a body that fails":   {answers(200, strings.NewReader("")), io.MultiReader(strings.NewReader("ab"), failing{broken}), 3, firn.Local, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			server := c.server
			if name == "a body that ends" {
				server = func(r *http.Request) (*http.Response, error) {
					io.Copy(io.Discard, r.Body)
					return nil, io.ErrUnexpectedEOF // as net/http does
				}
			}
			_, _, err := do(t.Context(), client(server), c.body, c.length)
			if firn.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v; want %v with %q", firn.KindOf(err), err, c.kind, c.says)
			}
		})
	}
	x, resp, err := do(t.Context(), client(answers(200, strings.NewReader("yes"))), nil, 0)
	if err != nil || resp.StatusCode != 200 || x.Refusal() != nil || x.RefusedWith() != "" {
		t.Errorf("a success: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestSkewed: the judge is told when the two clocks are far apart.
func TestSkewed(t *testing.T) {
	far := func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Date": {clock.System{}.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}
		return &http.Response{StatusCode: 403, Header: h, Body: http.NoBody, Request: r}, nil
	}
	if _, _, err := do(t.Context(), client(far), nil, 0); firn.KindOf(err) != firn.Skew {
		t.Error(err)
	}
}

// TestStopped: the caller's cause comes back, within Lost where it may have
// happened.
func TestStopped(t *testing.T) {
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, _, err := do(ctx, client(func(r *http.Request) (*http.Response, error) {
		cancel(because)
		return nil, context.Cause(r.Context())
	}), nil, 0)
	if firn.KindOf(err) != firn.Lost || !errors.Is(err, because) {
		t.Error(err)
	}
}

// TestSilence: a server that says nothing is given up.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, err := do(t.Context(), client(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}), nil, 0)
		if firn.KindOf(err) != firn.Lost || !strings.Contains(err.Error(), "nothing happened for 2m0s") {
			t.Error(err)
		}
	})
}

// TestDownload: a body has the length that was agreed upon, or an error.
func TestDownload(t *testing.T) {
	for _, c := range []struct {
		body   string
		length int64
		want   string
		kind   firn.Kind
	}{{"abc", 3, "abc", 0}, {"abcd", 3, "abc", 0}, {"ab", 3, "ab", firn.Network}, {"abc", exchange.Unbounded, "abc", 0}} {
		s := client(answers(200, strings.NewReader(c.body)))
		x := s.Begin(t.Context(), "read", "it")
		x.Streams = true
		req, _ := http.NewRequestWithContext(x.Ctx, http.MethodGet, "http://server.test/", nil)
		req.Header.Set("X-Amz-Date", "20260102T030405Z")
		resp, err := s.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := x.Download(resp.Body, c.length)
		got, err := io.ReadAll(body)
		if string(got) != c.want || firn.KindOf(err) != c.kind && c.kind != 0 || c.kind == 0 && err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if c.kind != 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// blanks are what a server sends before it knows its answer.
type blanks struct {
	ctx   context.Context // it hangs up at its end
	every time.Duration
	left  int
}

func (b *blanks) Read(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, io.EOF
	}
	return copy(p, " "), clock.System{}.Sleep(b.ctx, b.every)
}

// TestBlanks: an answer that comes slowly comes; and one that may take long may do so
// after its status came, too.
func TestBlanks(t *testing.T) {
	for _, c := range []struct {
		every, within time.Duration
		kind          firn.Kind
	}{{time.Minute, 0, 0}, {3 * time.Minute, 0, firn.Lost}, {30 * time.Minute, exchange.CompleteWithin, 0}, {90 * time.Minute, exchange.CompleteWithin, firn.Lost}} {
		synctest.Test(t, func(t *testing.T) {
			s := client(func(r *http.Request) (*http.Response, error) {
				body, in := io.Pipe()
				context.AfterFunc(r.Context(), func() { in.CloseWithError(context.Cause(r.Context())) })
				go func() {
					_, err := io.Copy(in, &blanks{r.Context(), c.every, 10})
					in.CloseWithError(err)
				}()
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
			})
			x := s.Begin(t.Context(), "try", "it")
			if c.within > 0 {
				x.AnswerWithin = c.within
			}
			req, err := http.NewRequestWithContext(x.Ctx, http.MethodPost, "http://server.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Date", clock.System{}.Now().UTC().Format("20060102T150405Z"))
			_, err = s.Do(req)
			err = x.End(err)
			if c.kind == 0 && err != nil || c.kind != 0 && firn.KindOf(err) != c.kind {
				t.Errorf("a blank each %v: %v", c.every, err)
			}
		})
	}
}

// TestNameless: that no host has the server's name is final for whoever may know that,
// and that depends on whether the server was met; that nobody can be asked never is,
// nor what is about another host.
func TestNameless(t *testing.T) {
	var fails error
	gone := &net.DNSError{Err: "no such host", Name: "server.test", IsNotFound: true}
	c := client(func(r *http.Request) (*http.Response, error) {
		if fails != nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fails}
		}
		return answers(http.StatusOK, strings.NewReader(""))(r)
	})
	c.Unmet = true
	c.Nowhere = func(unmet bool) string {
		if unmet {
			return "look it up"
		}
		return ""
	}
	attempt := func(name string, err error, kind firn.Kind, says string) {
		fails = err
		x, _, err := do(t.Context(), c, nil, 0)
		if err = x.End(err); firn.KindOf(err) != kind || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: %v: %v", name, firn.KindOf(err), err)
		}
	}
	attempt("no such host", gone, firn.Usage, "server.test: dial tcp: lookup server.test: no such host; look it up")
	attempt("the bucket's host", &net.DNSError{Err: "no such host", Name: "bucket.server.test", IsNotFound: true}, firn.Usage, "look it up")
	attempt("a proxy", &net.DNSError{Err: "no such host", Name: "proxy.test", IsNotFound: true}, firn.Network, "a server at server.test?")
	attempt("nobody to ask", &net.DNSError{Err: "server misbehaving", Name: "server.test", IsTemporary: true}, firn.Network, "is there a network?")
	attempt("an answer", nil, firn.Other, "<nil>")
	attempt("no such host any more", gone, firn.Network, "is the name of the server right?")
	c.Unmet = false
	attempt("one that others met", gone, firn.Network, "is there a network?")
}
