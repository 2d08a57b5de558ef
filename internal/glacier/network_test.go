package glacier_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/storetest"
)

// hangUp is a server that reads at least after bytes of each request, head
// included, or all of it where after is below 0, and closes the connection.
func hangUp(t *testing.T, after int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if after >= 0 {
				io.CopyN(io.Discard, c, after)
			} else if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.Copy(io.Discard, r.Body)
			}
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestWhatMayHaveHappened: a request that left whole, and was not answered, may
// have had its effect. One that didn't hasn't, and may be made again.
func TestWhatMayHaveHappened(t *testing.T) {
	large, largeSums := storetest.Body(storetest.Data(1, 32<<20)) // more than sockets buffer
	small, smallSums := storetest.Body([]byte("x"))
	const nobody = "http://127.0.0.1:1" // a free port is somebody's the next moment
	upload := func(v firn.Store, body *io.SectionReader) error {
		sums := smallSums
		if body == large {
			sums = largeSums
		}
		_, err := v.UploadArchive(t.Context(), "x", body, sums)
		return err
	}
	for _, c := range []struct {
		name, endpoint string
		call           func(firn.Store) error
		kind           firn.Kind
	}{
		{"a body that was read", hangUp(t, -1), func(v firn.Store) error { return upload(v, small) }, firn.Lost},
		{"a large body that was read", hangUp(t, -1), func(v firn.Store) error { return upload(v, large) }, firn.Lost},
		{"a large body that was not", hangUp(t, 1000), func(v firn.Store) error { return upload(v, large) }, firn.Network},
		{"no body, read", hangUp(t, -1), func(v firn.Store) error { _, err := v.StartUpload(t.Context(), "x", 1<<20); return err }, firn.Lost},
		{"nobody there", nobody, func(v firn.Store) error { return upload(v, small) }, firn.Network},
		{"no such host", "http://host.invalid", func(v firn.Store) error { return upload(v, small) }, firn.Network},
	} {
		v := open(t, nil, func(cfg *glacier.Config) { cfg.Endpoint = c.endpoint })
		err := c.call(v)
		if firn.KindOf(err) != c.kind {
			t.Errorf("%s: %v: %v", c.name, firn.KindOf(err), err)
		}
		if err != nil && c.kind == firn.Network && !strings.Contains(err.Error(), "is there a network?") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestIdleConnectionThatCloses: net/http doesn't repeat a request with a body
// that met the close of its connection; it had not been sent.
func TestIdleConnectionThatCloses(t *testing.T) {
	v := with(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		return nil, errors.New("http: server closed idle connection")
	}))
	body, sums := storetest.Body([]byte("x"))
	_, err := v.UploadArchive(t.Context(), "x", body, sums)
	wantKind(t, err, firn.Network)
}

// TestAnswersThatBreakOff: the answer began, so that something happened.
func TestAnswersThatBreakOff(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(201)
		w.Write([]byte("{"))
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	v := open(t, nil, func(c *glacier.Config) { c.Endpoint = s.URL })
	body, sums := storetest.Body([]byte("x"))
	_, err := v.UploadArchive(t.Context(), "x", body, sums)
	wantKind(t, err, firn.Lost)
	_, err = storetest.Collect(v.Jobs(t.Context()))
	wantKind(t, err, firn.Lost)
}

// TestUntrustedCertificate: waiting for the network would not help.
func TestUntrustedCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := open(t, nil, func(c *glacier.Config) { c.Endpoint = s.URL }).Describe(t.Context())
	wantKind(t, err, firn.Denied)
	if err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") {
		t.Errorf("%v", err)
	}
}

// TestUnknownRegion: the name of a region that doesn't exist leads nowhere.
func TestUnknownRegion(t *testing.T) {
	nowhere := roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}}
	})
	at := func(region string) error {
		_, err := open(t, nil, func(c *glacier.Config) { c.Region, c.Endpoint, c.Transport = region, "", nowhere }).Describe(t.Context())
		return err
	}
	wantKind(t, at("eu-west-1"), firn.Network)
	err := at("eu-wset-1")
	wantKind(t, err, firn.Usage)
	if err == nil || !strings.Contains(err.Error(), `is there a region "eu-wset-1"?`) {
		t.Errorf("%v", err)
	}
}

// TestSilentServer: an answer is waited for as long as is sensible for what was
// asked, and no longer.
func TestSilentServer(t *testing.T) {
	for name, c := range map[string]struct {
		op   string
		call func(firn.Store) error
		wait time.Duration
	}{
		"of an upload": {"UploadArchive", func(v firn.Store) error {
			body, sums := storetest.Body([]byte("x"))
			_, err := v.UploadArchive(context.Background(), "x", body, sums)
			return err
		}, 10 * time.Minute},
		"of a completion": {"CompleteMultipartUpload", func(v firn.Store) error {
			_, sums := storetest.Body([]byte("x"))
			_, err := v.CompleteUpload(context.Background(), "x", 1, sums.Tree)
			return err
		}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				faults := glacierd.NewFaults(0)
				s := serve(t, func(c *glacierd.Config) { c.Faults = faults })
				v := create(t, s)
				arm(t, faults, glacierd.Fault{Kind: glacierd.FaultSlow, Op: c.op, Delay: 2 * time.Hour})
				began := time.Now()
				err := c.call(v)
				wantKind(t, err, firn.Lost)
				if took := time.Since(began); took < c.wait || took > c.wait+2*time.Minute {
					t.Errorf("waited for %v, want %v", took, c.wait)
				}
				time.Sleep(2 * time.Hour) // until the server has had its nap
			})
		})
	}
}

// A stuck connection takes a few bytes, then none; from it nothing comes.
type stuck struct {
	net.Conn
	takes int
	gone  chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.takes -= len(p); s.takes < 0 {
		<-s.gone
		return 0, net.ErrClosed
	}
	return len(p), nil
}

func (s *stuck) Read([]byte) (int, error) {
	<-s.gone
	return 0, net.ErrClosed
}

func (s *stuck) Close() error {
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
	return nil
}

func (s *stuck) LocalAddr() net.Addr              { return nil }
func (s *stuck) RemoteAddr() net.Addr             { return nil }
func (s *stuck) SetDeadline(time.Time) error      { return nil }
func (s *stuck) SetReadDeadline(time.Time) error  { return nil }
func (s *stuck) SetWriteDeadline(time.Time) error { return nil }

// TestStuckBody: a body that nobody takes any more is given up, and surely was
// not stored; one that is read slowly on this side is not.
func TestStuckBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := with(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return &stuck{takes: 1 << 20, gone: make(chan struct{})}, nil
		}})
		data, sums := storetest.Body(storetest.Data(1, 4<<20))
		slow := io.NewSectionReader(readerAt(func(p []byte, off int64) (int, error) {
			time.Sleep(10 * time.Minute)
			return data.ReadAt(p, off)
		}), 0, data.Size())
		began := time.Now()
		_, err := v.UploadArchive(context.Background(), "x", slow, sums)
		wantKind(t, err, firn.Network)
		if took := time.Since(began); took < time.Hour || took%(10*time.Minute) != 2*time.Minute {
			t.Errorf("gave up after %v: not two minutes after the last read", took)
		}
	})
}

// TestStalledDownload: bytes that stop coming are an error.
func TestStalledDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		v := with(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			context.AfterFunc(req.Context(), func() { r.CloseWithError(req.Context().Err()) })
			go w.Write([]byte("abc"))
			return &http.Response{StatusCode: 206, Header: http.Header{"Content-Range": {"bytes 0-9/10"}}, Body: r}, nil
		}))
		out, err := v.Output(context.Background(), "x", firn.Range{End: 10})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		got, err := io.ReadAll(out)
		wantKind(t, err, firn.Network)
		if string(got) != "abc" || time.Since(began) != 2*time.Minute {
			t.Errorf("%q after %v", got, time.Since(began))
		}
		out.Close()
	})
}

// TestStall: how long the server may be silent can be said.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		v := open(t, nil, func(c *glacier.Config) {
			c.Stall = 7 * time.Second
			c.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
				context.AfterFunc(req.Context(), func() { r.CloseWithError(req.Context().Err()) })
				return &http.Response{StatusCode: 206, Header: http.Header{"Content-Range": {"bytes 0-9/10"}}, Body: r}, nil
			})
		})
		out, err := v.Output(context.Background(), "x", firn.Range{End: 10})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		began := time.Now()
		_, err = io.ReadAll(out)
		wantKind(t, err, firn.Network)
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

// TestStrictDelete: that an archive was never in the vault is no error, unless that
// was asked for.
func TestStrictDelete(t *testing.T) {
	for _, strict := range []bool{false, true} {
		v := open(t, nil, func(c *glacier.Config) {
			c.StrictDelete = strict
			c.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
				body := `{"code": "ResourceNotFoundException", "message": "The archive ID was not found: x", "type": "Client"}`
				return &http.Response{StatusCode: 404, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
			})
		})
		err := v.DeleteArchive(t.Context(), "x")
		if strict {
			wantKind(t, err, firn.NotFound)
		} else if err != nil {
			t.Error(err)
		}
	}
}

// TestCancelledDownload gives the cause of the caller's context.
func TestCancelledDownload(t *testing.T) {
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	v := with(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		context.AfterFunc(req.Context(), func() { r.CloseWithError(req.Context().Err()) })
		return &http.Response{StatusCode: 206, Header: http.Header{"Content-Range": {"bytes 0-9/10"}}, Body: r}, nil
	}))
	out, err := v.Output(ctx, "x", firn.Range{End: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cancel(because)
	if _, err := io.ReadAll(out); !errors.Is(err, because) {
		t.Errorf("%v", err)
	}
}
