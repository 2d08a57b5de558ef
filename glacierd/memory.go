package glacierd

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// pipeSize is the buffer of one direction of a connection in memory. It is
// made when the first byte is sent.
const pipeSize = 256 << 10

// A memoryNet carries HTTP between a client in this process and the server:
// each dial makes a pair of connected ends, one of which an http.Server serves.
// It has no goroutines but those of its connections.
type memoryNet struct {
	server    *http.Server
	transport *http.Transport
	// serving is held, shared, by each request: whoever closes waits for the
	// last, which may still be writing to its vault.
	serving sync.RWMutex
}

func newMemoryNet(service http.Handler) *memoryNet {
	m := &memoryNet{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.serving.RLock()
		defer m.serving.RUnlock()
		service.ServeHTTP(w, r)
	})
	m.server = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	m.transport = &http.Transport{
		DialContext:         m.dial,
		DialTLSContext:      m.dial,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	return m
}

func (m *memoryNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	up, down := newPipe(), newPipe()
	client := &memoryConn{in: down, out: up}
	// Serve returns when its listener has no second connection to give; the
	// connection goes on in a goroutine of its own.
	err := m.server.Serve(&single{conn: &memoryConn{in: up, out: down}})
	if !errors.Is(err, errNoMore) {
		return nil, err
	}
	return client, nil
}

// close ends the connections, which fails the requests that they carry, and
// waits until those have let go.
func (m *memoryNet) close() {
	m.transport.CloseIdleConnections()
	m.server.Close()
	m.serving.Lock()
	defer m.serving.Unlock()
}

// A single is a listener with one connection.
type single struct{ conn net.Conn }

var errNoMore = errors.New("no more connections")

func (l *single) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, errNoMore
	}
	conn := l.conn
	l.conn = nil
	return conn, nil
}

func (*single) Close() error   { return nil }
func (*single) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "memory" }

// A memoryConn is one end of a connection.
type memoryConn struct{ in, out *pipe }

func (c *memoryConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memoryConn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions. What was sent before can still be read.
func (c *memoryConn) Close() error {
	c.in.abandon()
	c.out.end()
	return nil
}

// CloseWrite ends the outgoing direction only, as net/http does to let a
// client read an answer before the connection goes.
func (c *memoryConn) CloseWrite() error {
	c.out.end()
	return nil
}

func (*memoryConn) LocalAddr() net.Addr  { return memoryAddr{} }
func (*memoryConn) RemoteAddr() net.Addr { return memoryAddr{} }

func (c *memoryConn) SetDeadline(t time.Time) error {
	c.in.readBy.set(&c.in.mu, c.in.wake, t)
	c.out.writeBy.set(&c.out.mu, c.out.wake, t)
	return nil
}

func (c *memoryConn) SetReadDeadline(t time.Time) error {
	c.in.readBy.set(&c.in.mu, c.in.wake, t)
	return nil
}

func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	c.out.writeBy.set(&c.out.mu, c.out.wake, t)
	return nil
}

// A pipe is one direction: a ring of bytes.
type pipe struct {
	mu   sync.Mutex
	wake *sync.Cond
	ring []byte
	// bytes written and read so far; the ring holds those between
	head, tail int
	ended      bool // nothing more will be written
	abandoned  bool // nothing more will be read
	readBy     deadline
	writeBy    deadline
}

func newPipe() *pipe {
	p := &pipe{}
	p.wake = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) read(to []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.abandoned:
			return 0, net.ErrClosed
		case p.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(to) == 0:
			return 0, nil
		case p.head > p.tail:
			n := p.take(to)
			p.wake.Broadcast()
			return n, nil
		case p.ended:
			return 0, io.EOF
		}
		p.wake.Wait()
	}
}

// take copies from the ring.
func (p *pipe) take(to []byte) int {
	n := 0
	for n < len(to) && p.head > p.tail {
		from := p.tail % pipeSize
		k := copy(to[n:], p.ring[from:min(pipeSize, from+p.head-p.tail)])
		n += k
		p.tail += k
	}
	return n
}

func (p *pipe) write(from []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ring == nil {
		p.ring = make([]byte, pipeSize)
	}
	for {
		switch {
		case p.ended:
			return n, net.ErrClosed
		case p.abandoned:
			return n, io.ErrClosedPipe
		case p.writeBy.passed:
			return n, os.ErrDeadlineExceeded
		case n == len(from):
			return n, nil
		case p.head-p.tail < pipeSize:
			n += p.put(from[n:])
			p.wake.Broadcast()
			continue
		}
		p.wake.Wait()
	}
}

// put copies into the ring.
func (p *pipe) put(from []byte) int {
	n := 0
	for n < len(from) && p.head-p.tail < pipeSize {
		at := p.head % pipeSize
		k := copy(p.ring[at:min(pipeSize, at+pipeSize-(p.head-p.tail))], from[n:])
		n += k
		p.head += k
	}
	return n
}

func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.writeBy.stop()
	p.wake.Broadcast()
}

func (p *pipe) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.abandoned = true
	p.readBy.stop()
	p.wake.Broadcast()
}

// A deadline wakes those who wait in a pipe when its time comes.
type deadline struct {
	timer  *time.Timer
	turn   int // counts settings: an old timer must not end a new wait
	passed bool
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.turn++
}

func (d *deadline) set(mu *sync.Mutex, wake *sync.Cond, t time.Time) {
	mu.Lock()
	defer mu.Unlock()
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		wake.Broadcast()
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(wait, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.turn == turn {
			d.passed = true
			wake.Broadcast()
		}
	})
}
