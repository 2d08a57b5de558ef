package glacier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/firn-archive/firn"
)

// How long nothing may happen. There is no limit on a whole body: 4 GiB may
// take a day.
const (
	// stallWithin is the longest pause in a body, up or down, and the longest
	// wait for a connection.
	stallWithin = 2 * time.Minute
	// answerWithin is the longest wait for an answer after the request left.
	answerWithin = 10 * time.Minute
	// completeWithin is the same for the completion of an upload: the service
	// has been seen to take many minutes over very large archives.
	completeWithin = time.Hour
)

// maxAnswer bounds the body of an answer that is not a download: a page of 50
// jobs, each with descriptions of 1,024 characters, is below 1 MiB.
const maxAnswer = 16 << 20

// An exchange is one request and what becomes of it. It begins before the SDK
// is called and knows afterwards what the SDK's error doesn't say: whether the
// request may have reached the service.
type exchange struct {
	ctx    context.Context // of the request
	caller context.Context // of whoever asked
	cancel context.CancelCauseFunc

	service      *service
	op, subject  string
	stream       bool          // a good answer's body goes to the caller
	answerWithin time.Duration // once the request has left

	mu        sync.Mutex
	since     time.Time     // when it began to wait for what it now waits for
	patience  time.Duration // how long it may; 0 for ever
	reached   bool          // the SDK had nothing against it, and handed it over
	asked     bool          // a connection was asked for, ...
	connected bool          // ... and was there
	broken    bool          // it broke before all was written
	sent      int64         // bytes of the body that the connection took
	length    int64         // bytes of the body
	bodyErr   error         // what reading the body gave, but io.EOF
	signed    time.Time     // when it was signed, by the service's clock as far as known
	started   time.Time     // when it was handed over, by ours
	status    int           // of the answer; 0 without one
	refusal   *refusal      // of an answer that isn't a success
}

type exchangeKey struct{}

// begin starts an exchange. Each ends in end, fail, forgive or release.
func (s *service) begin(ctx context.Context, op, subject string) *exchange {
	x := &exchange{caller: ctx, service: s, op: op, subject: subject, answerWithin: answerWithin}
	ctx, x.cancel = context.WithCancelCause(ctx)
	x.ctx = context.WithValue(ctx, exchangeKey{}, x)
	return x
}

// release frees what the exchange holds.
func (x *exchange) release() { x.cancel(nil) }

// A stall says that nothing happened for too long.
type stall time.Duration

func (s stall) Error() string { return fmt.Sprintf("nothing happened for %v", time.Duration(s)) }

// expect ends the exchange unless it expects something else, or pauses, within
// d from now.
func (x *exchange) expect(d time.Duration) {
	now := x.service.clock.Now()
	x.note(func() { x.since, x.patience = now, d })
}

// pause waits for as long as it takes.
func (x *exchange) pause() {
	x.note(func() { x.patience = 0 })
}

// watch ends the exchange when its patience runs out, and goes when it ends.
// It looks up at least every stallWithin, since what is expected changes.
func (x *exchange) watch() {
	for left := stallWithin; ; left = stallWithin {
		x.mu.Lock()
		since, patience := x.since, x.patience
		x.mu.Unlock()
		if patience > 0 {
			left = min(left, since.Add(patience).Sub(x.service.clock.Now()))
		}
		if left <= 0 {
			x.cancel(stall(patience))
			return
		}
		if x.service.clock.Sleep(x.ctx, left) != nil {
			return
		}
	}
}

// note changes what is known of the exchange.
func (x *exchange) note(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

// left reports whether the whole request may have left this machine. A part of
// one is never acted upon: the service has neither its end nor a body that
// agrees with the hash in its signature.
func (x *exchange) left() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.status != 0:
		return true
	case !x.reached, x.asked && !x.connected, x.broken, x.sent < x.length:
		return false
	}
	return true
}

// A carrier carries the SDK's requests over HTTP, each with its exchange.
type carrier struct {
	transport http.RoundTripper
}

func (c *carrier) closeIdle() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Do is one request, without redirects, which the service doesn't use. It
// gives an error and the response for every answer that isn't a success: the
// SDK learns from it what the service's clock shows.
func (c *carrier) Do(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("a request outside an exchange")
	}
	now := x.service.clock.Now()
	signed, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil, fmt.Errorf("an unsigned request: %w", err)
	}
	x.note(func() {
		x.reached, x.started, x.signed = true, now, signed
		x.length = max(0, req.ContentLength)
	})
	// Else the transport would ask for gzip behind our back.
	req.Header.Set("Accept-Encoding", "identity")
	if req.Body != nil {
		req.Body = &sending{ReadCloser: req.Body, x: x}
	}
	x.expect(stallWithin)
	go x.watch()
	resp, err := c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), x.trace())))
	if err != nil {
		return nil, err
	}
	x.pause()
	x.note(func() { x.status = resp.StatusCode })
	if x.stream && resp.StatusCode/100 == 2 {
		return resp, nil
	}
	body, err := x.readAnswer(resp.Body)
	if resp.StatusCode/100 != 2 {
		x.note(func() { x.refusal = refusalOf(resp, body, x) })
		return resp, x.refusal
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// readAnswer reads all of an answer, so that a break in it is told from an
// answer that makes no sense.
func (x *exchange) readAnswer(body io.ReadCloser) ([]byte, error) {
	defer body.Close()
	x.expect(stallWithin)
	defer x.pause()
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		err = &lostAnswer{err}
	}
	return b, err
}

// A lostAnswer says that the answer broke off.
type lostAnswer struct{ error }

func (e *lostAnswer) Unwrap() error { return e.error }

// trace watches how far the request gets.
func (x *exchange) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { x.note(func() { x.asked = true }) },
		GotConn: func(httptrace.GotConnInfo) {
			x.note(func() { x.connected, x.broken = true, false })
			x.expect(stallWithin)
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				x.note(func() { x.broken = true })
				return
			}
			x.expect(x.answerWithin)
		},
	}
}

// sending is the body of a request on its way. Reading it may take its time,
// where a limit on the rate holds it back; sending what was read may not.
type sending struct {
	io.ReadCloser
	x      *exchange
	closed bool // guarded by x.mu
}

func (s *sending) Read(p []byte) (int, error) {
	s.x.pause()
	n, err := s.ReadCloser.Read(p)
	s.x.note(func() {
		if s.closed {
			return // the request is over: that the body is too is no news
		}
		s.x.sent += int64(n)
		switch {
		case err == io.EOF && s.x.sent < s.x.length:
			s.x.bodyErr = io.ErrUnexpectedEOF
		case err != nil && err != io.EOF:
			s.x.bodyErr = err
		}
	})
	s.x.expect(stallWithin)
	return n, err
}

func (s *sending) Close() error {
	s.x.note(func() { s.closed = true })
	return s.ReadCloser.Close()
}

// body gives how far the body got, and what was wrong with it.
func (x *exchange) body() (sent int64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sent, x.bodyErr
}

// refusedWith is the code of the refusal; "" where there is none.
func (x *exchange) refusedWith() string {
	if x.refusal == nil {
		return ""
	}
	return x.refusal.code
}

// forgive ends an exchange whose refusal is as good as a success.
func (x *exchange) forgive() error {
	x.release()
	return nil
}

// fail ends the exchange with an error of a known kind.
func (x *exchange) fail(kind firn.Kind, err error, hint string) error {
	x.release()
	if final := x.final(kind); final != kind {
		kind, hint = final, "look at the disk of the vault's folder, and at the folder itself"
	}
	return &firn.Error{Op: x.op, Subject: x.subject, Kind: kind, Err: err, Hint: hint}
}

// final gives what a kind of failure means where the server is in this process:
// there is no network, and no problem that passes. A download that fails is one
// of an archive whose bytes are damaged, or gone.
func (x *exchange) final(kind firn.Kind) firn.Kind {
	if !x.service.cfg.InProcess {
		return kind
	}
	switch kind {
	case firn.Unavailable, firn.Network:
		if x.stream {
			return firn.Corrupt
		}
		return firn.Other
	case firn.Lost:
		if x.stream {
			return firn.Corrupt
		}
	}
	return kind
}

// garbled ends an exchange whose answer is not what the protocol says.
func (x *exchange) garbled(err error) error {
	return x.fail(firn.Other, fmt.Errorf("unexpected answer: %w", err), "")
}

// end ends the exchange with what the SDK said, nil for success.
func (x *exchange) end(err error) error {
	if err == nil {
		x.release()
		return nil
	}
	why := x.explain(err)
	if why.kind == firn.Other && x.caller.Err() != nil {
		x.release()
		return why.err
	}
	return x.fail(why.kind, why.err, why.hint)
}

// brokenOff is the error of a download that ended too soon.
func (x *exchange) brokenOff(err error) error {
	switch cause := context.Cause(x.ctx); {
	case x.caller.Err() != nil:
		return x.stopped()
	case cause != nil:
		err = cause
	}
	return &firn.Error{Op: x.op, Subject: x.subject, Kind: x.final(firn.Network), Err: fmt.Errorf("broken off: %w", err)}
}

// stopped is why the caller ended the exchange.
func (x *exchange) stopped() error { return context.Cause(x.caller) }
