package glacierd

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// A body reads what the client sends, and gives up on one that stalls.
type body struct {
	c    *call
	conn *http.ResponseController
	read int64     // bytes so far
	stop time.Time // no byte after this; zero: no such limit
	dead bool      // the connection is of no use any more
}

func newBody(c *call) *body {
	b := &body{c: c, conn: http.NewResponseController(c.w)}
	if f := c.acts.find(FaultTimeout); f != nil && f.Delay > 0 {
		b.stop = time.Now().Add(f.Delay)
	}
	return b
}

// Read fails with an answer for the client: 408 when it sends nothing for too
// long, 400 when it hangs up before the end.
func (b *body) Read(p []byte) (int, error) {
	p, err := b.c.acts.cutBody(p, b.read, b.c.r.ContentLength)
	if err != nil {
		b.dead = true
		return 0, err
	}
	b.limitWait()
	n, err := b.c.r.Body.Read(p)
	b.read += int64(n)
	switch {
	case err == nil:
	case err == io.EOF:
		b.conn.SetReadDeadline(time.Time{}) // without a connection there is no deadline
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.dead = true
		b.c.acts.hit(FaultTimeout)
		err = timedOut()
	default:
		b.dead = true
		err = badRequest("the body ended after %d of %d bytes: %v", b.read, b.c.r.ContentLength, err)
	}
	return n, err
}

// limitWait sets how long the next Read may take. Handlers that are called
// without a connection, as by httptest.NewRecorder, wait as their reader does.
func (b *body) limitWait() {
	until := time.Now().Add(b.c.s.cfg.BodyTimeout)
	if !b.stop.IsZero() && b.stop.Before(until) {
		until = b.stop
	}
	b.conn.SetReadDeadline(until)
}

// drain takes in what is left of a body that was refused with err, so that a
// client that reads only after it has written sees the answer. One that asked
// beforehand whether to send the body is spared that.
func (b *body) drain(err error) {
	if b.dead || errors.Is(err, errStruck) || b.read == 0 && b.c.r.Header.Get("Expect") != "" {
		b.c.w.Header().Set("Connection", "close")
		return
	}
	if b.c.r.ContentLength != 0 {
		io.CopyN(io.Discard, b, maxDrain)
	}
	b.conn.SetReadDeadline(time.Time{})
}
