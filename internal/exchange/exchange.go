// Package exchange carries the requests of an AWS SDK client over HTTP, and knows
// afterwards what the SDK's error doesn't say: whether a request may have reached
// the service. It gives up on a server that has gone silent, repeats nothing, and
// makes every failure an error of an exact kind.
package exchange

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
)

// How long nothing may happen. There is no limit on a whole body: 4 GiB may
// take a day.
const (
	// stallWithin is the longest pause in a body, up or down, and the longest
	// wait for a connection, unless Client.Stall says so.
	stallWithin = 2 * time.Minute
	// answerWithin is the longest wait for an answer after the request left.
	answerWithin = 10 * time.Minute
	// CompleteWithin is the same for the completion of an upload: services have
	// been seen to take many minutes over very large archives.
	CompleteWithin = time.Hour
)

// maxAnswer bounds the body of an answer that is not a download: a page of 1,000
// objects with keys of 1,024 characters is below 4 MiB, one of 50 jobs with
// descriptions as long below 1 MiB.
const maxAnswer = 16 << 20

// A Client is the way to a service. It is the HTTPClient of an SDK client.
type Client struct {
	Transport http.RoundTripper
	// Clock is what gives up on a server that has gone silent. It must really
	// wait, since the network does.
	Clock clock.Clock
	// Stall is the longest pause in a body, up or down, and the longest wait for a
	// connection; 0: two minutes. An answer may take as long at least.
	Stall time.Duration
	// Endpoint is the server's address, and Server what it is called, as in "a
	// Glacier server": for messages.
	Endpoint, Server string
	// Judge reads an answer that is no success: it says what that means, and what
	// to do about it.
	Judge func(Answer) Refusal
	// Failed reports whether the body of an answer whose status is that of a
	// success says that it is none; nil: none does.
	Failed func(body []byte) bool
	// NoCredentials gives why no credentials were found where an error of the SDK
	// says that, else nil; nil: no error does.
	NoCredentials func(error) error
	// Unmet: nobody has had an answer of the server from this machine before.
	Unmet bool
	// Nowhere says what to do where no host has the name of the server, and that is
	// no matter of the network, which would pass; nil, or "": it is. Unmet is that of
	// the client, until the first answer.
	Nowhere func(unmet bool) string
	// Final says what a kind of failure means at this server, and what to do about
	// it where that is another kind; nil: what it means at any. Streams is that of
	// the exchange.
	Final func(kind firn.Kind, streams bool) (final firn.Kind, hint string)

	answered atomic.Bool  // the server has, to this client
	apart    atomic.Int64 // how far its clock is ahead of ours, in ns; 0 where that is no matter
}

// An Answer is one that is no success.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Request is what it answers; its body was sent.
	Request *http.Request
	// Upload: the request had a body.
	Upload bool
	// Skewed: the clock of the service is far from the one by which the request
	// was signed.
	Skewed bool
}

// A Refusal is what an answer that is no success comes to.
type Refusal struct {
	Status  int
	Code    string // "" where the answer bears none
	Message string
	Kind    firn.Kind
	Hint    string
}

// Error is the service's own message, or what can be said without one.
func (r *Refusal) Error() string {
	switch {
	case r.Message != "" && r.Code != "":
		return r.Message + " (" + r.Code + ")"
	case r.Code != "":
		return r.Code
	case r.Message != "":
		return fmt.Sprintf("status %d without an error code: %s", r.Status, r.Message)
	}
	return fmt.Sprintf("status %d without an error code", r.Status)
}

// ErrorCode lets the SDK know the code, as its own errors do.
func (r *Refusal) ErrorCode() string { return r.Code }

// An Exchange is one request and what becomes of it. It begins before the SDK
// is called and ends in End, Fail, Forgive or Release; one that Streams, in the
// Close of its Download.
type Exchange struct {
	Ctx context.Context // of the request: the SDK's call gets it
	// Streams: a good answer's body goes to the caller as it comes.
	Streams bool
	// AnswerWithin is how long an answer may take once the request has left.
	AnswerWithin time.Duration

	caller      context.Context // of whoever asked
	cancel      context.CancelCauseFunc
	client      *Client
	op, subject string

	mu        sync.Mutex
	since     time.Time     // when it began to wait for what it now waits for
	patience  time.Duration // how long it may; 0 for ever
	reached   bool          // the SDK had nothing against it, and handed it over
	asked     bool          // a connection was asked for, ...
	connected bool          // ... and was there
	broken    bool          // it broke before all was written
	sent      int64         // bytes of the body that the connection took
	ahead     bool          // the body was read before there was one
	length    int64         // bytes of the body
	bodyErr   error         // what reading the body gave, but io.EOF
	signed    time.Time     // when it was signed, by the service's clock as far as known
	started   time.Time     // when it was handed over, by ours
	status    int           // of the answer; 0 without one
	refusal   *Refusal      // of an answer that isn't a success
}

type exchangeKey struct{}

// Begin starts an exchange: an attempt of op on subject, as errors say it.
func (c *Client) Begin(ctx context.Context, op, subject string) *Exchange {
	x := &Exchange{caller: ctx, client: c, op: op, subject: subject, AnswerWithin: max(answerWithin, c.Stall)}
	ctx, x.cancel = context.WithCancelCause(ctx)
	x.Ctx = context.WithValue(ctx, exchangeKey{}, x)
	return x
}

// stall is the longest pause.
func (c *Client) stall() time.Duration { return cmp.Or(c.Stall, stallWithin) }

// Release frees what the exchange holds.
func (x *Exchange) Release() { x.cancel(nil) }

// A stall says that nothing happened for too long.
type stall time.Duration

func (s stall) Error() string { return fmt.Sprintf("nothing happened for %v", time.Duration(s)) }

// expect ends the exchange unless it expects something else, or pauses, within
// d from now.
func (x *Exchange) expect(d time.Duration) {
	now := x.client.Clock.Now()
	x.note(func() { x.since, x.patience = now, d })
}

// pause waits for as long as it takes.
func (x *Exchange) pause() {
	x.note(func() { x.patience = 0 })
}

// watch ends the exchange when its patience runs out, and goes when it ends.
// It looks up at least as often as a stall takes, since what is expected changes.
func (x *Exchange) watch() {
	for left := x.client.stall(); ; left = x.client.stall() {
		x.mu.Lock()
		since, patience := x.since, x.patience
		x.mu.Unlock()
		if patience > 0 {
			left = min(left, since.Add(patience).Sub(x.client.Clock.Now()))
		}
		if left <= 0 {
			x.cancel(stall(patience))
			return
		}
		if x.client.Clock.Sleep(x.Ctx, left) != nil {
			return
		}
	}
}

// note changes what is known of the exchange.
func (x *Exchange) note(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

// left reports whether the whole request may have left this machine. A part of
// one is never acted upon: the service has neither its end nor a body that
// agrees with the hash in its signature.
func (x *Exchange) left() bool {
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

// CloseIdle gives up the connections that wait for further requests.
func (c *Client) CloseIdle() {
	if t, ok := c.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Do is one request, and follows no redirect: its signature would not fit. It
// gives an error and the response for every answer that isn't a success: the
// SDK learns from it what the service's clock shows.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().Value(exchangeKey{}).(*Exchange)
	if !ok {
		return nil, errors.New("a request outside an exchange")
	}
	now := x.client.Clock.Now()
	signed, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil, fmt.Errorf("an unsigned request: %w", err)
	}
	x.note(func() {
		x.reached, x.started, x.signed = true, now, signed
		x.length, x.ahead = max(0, req.ContentLength), false
	})
	// Else the transport would ask for gzip behind our back.
	req.Header.Set("Accept-Encoding", "identity")
	if req.Body != nil {
		req.Body = &sending{ReadCloser: req.Body, x: x}
		if err := x.readAhead(req); err != nil {
			return nil, err
		}
	}
	x.expect(x.client.stall())
	go x.watch()
	resp, err := c.Transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), x.trace())))
	if err != nil {
		x.unwritten(err)
		return nil, err
	}
	c.answered.Store(true)
	c.apart.Store(int64(apart(resp)))
	x.pause()
	x.note(func() { x.status = resp.StatusCode })
	if x.Streams && resp.StatusCode/100 == 2 {
		return resp, nil
	}
	body, err := x.readAnswer(resp.Body)
	if resp.StatusCode/100 != 2 || err == nil && c.Failed != nil && c.Failed(body) {
		refusal := c.Judge(Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Request: req, Upload: x.length > 0, Skewed: x.skewed(resp)})
		x.note(func() { x.refusal = &refusal })
		return resp, x.refusal
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// readAnswer reads all of an answer, so that a break in it is told from an
// answer that makes no sense.
func (x *Exchange) readAnswer(body io.ReadCloser) ([]byte, error) {
	defer body.Close()
	defer x.pause()
	b, err := io.ReadAll(io.LimitReader(&coming{body, x}, maxAnswer))
	if err != nil {
		err = &lostAnswer{err}
	}
	return b, err
}

// coming is an answer that comes: some send its status first, and then a blank now
// and again, until minutes later they know what it is. Source: Amazon S3 API
// reference, "CompleteMultipartUpload".
type coming struct {
	io.Reader
	x *Exchange
}

func (c *coming) Read(p []byte) (int, error) {
	patience := c.x.client.stall()
	if c.x.AnswerWithin > answerWithin {
		patience = c.x.AnswerWithin
	}
	c.x.expect(patience)
	return c.Reader.Read(p)
}

// A lostAnswer says that the answer broke off.
type lostAnswer struct{ error }

func (e *lostAnswer) Unwrap() error { return e.error }

// trace watches how far the request gets.
func (x *Exchange) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { x.note(func() { x.asked = true }) },
		GotConn: func(httptrace.GotConnInfo) {
			x.note(func() { x.connected, x.broken = true, false })
			x.wrote(false)
			x.expect(x.client.stall())
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				x.note(func() { x.broken = true })
				return
			}
			x.wrote(true)
			x.expect(x.AnswerWithin)
		},
	}
}

// sending is the body of a request on its way. Reading it may take its time,
// where a limit on the rate holds it back; sending what was read may not.
type sending struct {
	io.ReadCloser
	x      *Exchange
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
	s.x.expect(s.x.client.stall())
	return n, err
}

func (s *sending) Close() error {
	s.x.note(func() { s.closed = true })
	return s.ReadCloser.Close()
}

// body gives how far the body got, and what was wrong with it.
func (x *Exchange) body() (sent int64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sent, x.bodyErr
}

// RefusedWith is the code of the refusal; "" where there is none.
func (x *Exchange) RefusedWith() string {
	if x.refusal == nil {
		return ""
	}
	return x.refusal.Code
}

// Refusal is what the service's answer came to; nil where that was a success, or
// none came.
func (x *Exchange) Refusal() *Refusal { return x.refusal }

// Forgive ends an exchange whose refusal is as good as a success.
func (x *Exchange) Forgive() error {
	x.Release()
	return nil
}

// Fail ends the exchange with an error of a known kind.
func (x *Exchange) Fail(kind firn.Kind, err error, hint string) error {
	x.Release()
	if final, instead := x.final(kind); final != kind {
		kind, hint = final, instead
	}
	return &firn.Error{Op: x.op, Subject: x.subject, Kind: kind, Err: err, Hint: hint}
}

func (x *Exchange) final(kind firn.Kind) (firn.Kind, string) {
	if x.client.Final == nil {
		return kind, ""
	}
	return x.client.Final(kind, x.Streams)
}

// Garbled ends an exchange whose answer is not what the protocol says.
func (x *Exchange) Garbled(err error) error {
	return x.Fail(firn.Other, fmt.Errorf("unexpected answer: %w", err), "")
}

// End ends the exchange with what the SDK said, nil for success.
func (x *Exchange) End(err error) error {
	if err == nil {
		x.Release()
		return nil
	}
	why := x.explain(err)
	if why.kind == firn.Other && x.caller.Err() != nil {
		x.Release()
		return why.err
	}
	return x.Fail(why.kind, why.err, why.hint)
}

// brokenOff is the error of a download that ended too soon.
func (x *Exchange) brokenOff(err error) error {
	switch cause := context.Cause(x.Ctx); {
	case x.caller.Err() != nil:
		return x.stopped()
	case cause != nil:
		err = cause
	}
	kind, _ := x.final(firn.Network)
	return &firn.Error{Op: x.op, Subject: x.subject, Kind: kind, Err: fmt.Errorf("broken off: %w", err)}
}

// stopped is why the caller ended the exchange.
func (x *Exchange) stopped() error { return context.Cause(x.caller) }
