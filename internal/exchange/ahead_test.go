package exchange_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/firn-archive/firn"
)

// A watched is a connection whose writes are counted, or fail.
type watched struct {
	net.Conn
	writes *atomic.Int64
	fails  error
}

func (w watched) Write(p []byte) (int, error) {
	if w.writes.Add(1); w.fails != nil {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: w.fails}
	}
	return w.Conn.Write(p)
}

// TestSmallBodies: they leave with their headers in one piece, and it is known whether
// they may have left.
func TestSmallBodies(t *testing.T) {
	var took atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		took.Store(n)
	}))
	defer server.Close()
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, c := range []struct {
		name         string
		size         int
		dial, write  error
		kind         firn.Kind // 0: a success
		pieces, most int64
	}{
		{"small", 10 << 10, nil, nil, 0, 1, 1},
		{"large", 1 << 20, nil, nil, 0, 2, 1000},
		{"nowhere", 10 << 10, refused, nil, firn.Network, 0, 0},
		{"unwritten", 10 << 10, nil, syscall.EPIPE, firn.Network, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var writes atomic.Int64
			way := &http.Transport{WriteBufferSize: 64 << 10, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				if c.dial != nil {
					return nil, c.dial
				}
				conn, err := new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
				return watched{conn, &writes, c.write}, err
			}}
			defer way.CloseIdleConnections()
			_, _, err := do(t.Context(), client(way.RoundTrip), strings.NewReader(strings.Repeat("x", c.size)), int64(c.size))
			if c.kind == 0 && (err != nil || took.Load() != int64(c.size)) {
				t.Fatalf("%v; the server has %d bytes", err, took.Load())
			}
			if c.kind != 0 && firn.KindOf(err) != c.kind {
				t.Errorf("%v: %v; want %v", firn.KindOf(err), err, c.kind)
			}
			if n := writes.Load(); n < c.pieces || n > c.most {
				t.Errorf("%d writes", n)
			}
		})
	}
}

// TestAnswerLost: a small body that the server took, and did not answer, is in doubt.
func TestAnswerLost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	way := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	_, _, err := do(t.Context(), client(way.RoundTrip), strings.NewReader("abc"), 3)
	if firn.KindOf(err) != firn.Lost || errors.Is(err, context.Canceled) {
		t.Errorf("%v: %v", firn.KindOf(err), err)
	}
}

// A last is a body during whose reading the caller gives up.
type last struct {
	io.Reader
	stop context.CancelFunc
}

func (l last) Read(p []byte) (int, error) {
	l.stop()
	return l.Reader.Read(p)
}

// TestStoppedAhead: a small body that was read, and for which nobody asked for a
// connection, surely is not stored.
func TestStoppedAhead(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	way := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a connection was asked for")
		return nil, syscall.ECONNREFUSED
	}}
	_, _, err := do(ctx, client(way.RoundTrip), last{strings.NewReader("abc"), stop}, 3)
	if !errors.Is(err, context.Canceled) || firn.KindOf(err) == firn.Lost {
		t.Errorf("%v: %v", firn.KindOf(err), err)
	}
}
