package glacierd

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A FaultKind says what goes wrong.
type FaultKind string

// The kinds of faults, and the fields of Fault that shape them.
const (
	// FaultTimeout answers an upload with 408 RequestTimeoutException when
	// Delay has passed and the body isn't all there; or, without a Delay, after
	// After bytes of the body, 0 meaning half of it.
	FaultTimeout FaultKind = "timeout"
	// FaultInternal answers 500 ServiceUnavailableException.
	FaultInternal FaultKind = "internal"
	// FaultUnavailable answers 503 ServiceUnavailableException.
	FaultUnavailable FaultKind = "unavailable"
	// FaultThrottle answers 400 ThrottlingException.
	FaultThrottle FaultKind = "throttle"
	// FaultLostAnswer does what was asked, then hangs up without an answer.
	FaultLostAnswer FaultKind = "lost-answer"
	// FaultTruncate ends a download after After bytes of it, 0 meaning half of
	// it, and hangs up.
	FaultTruncate FaultKind = "truncate"
	// FaultCorrupt inverts the byte at offset After of a download.
	FaultCorrupt FaultKind = "corrupt"
	// FaultExpiredJob makes a job expire the moment it is asked about.
	FaultExpiredJob FaultKind = "expired-job"
	// FaultFailedJob makes a job that will fail when its time comes.
	FaultFailedJob FaultKind = "failed-job"
	// FaultClockSkew moves the clock that judges signatures, and the Date
	// header, by Delay, which may be negative; 0 means an hour ahead.
	FaultClockSkew FaultKind = "clock-skew"
	// FaultSlow waits for Delay between looking at a request and doing it.
	FaultSlow FaultKind = "slow"
	// FaultReset breaks the connection off after After bytes of the body, or
	// at once where there is none.
	FaultReset FaultKind = "reset"
	// FaultLateSignature finds the signature too old when an upload is all there.
	FaultLateSignature FaultKind = "late-signature"
	// FaultNoCapacity answers an Expedited retrieval with 503
	// InsufficientCapacityException.
	FaultNoCapacity FaultKind = "no-capacity"
	// FaultNoLongerSupported answers 400 NoLongerSupportedException, as an
	// account without vaults has got since 2025-12-15.
	FaultNoLongerSupported FaultKind = "no-longer-supported"
)

// faultKinds is every kind, with the operations it can strike; nil means all.
func faultKinds() map[FaultKind][]string {
	uploads := []string{"UploadArchive", "UploadMultipartPart"}
	return map[FaultKind][]string{
		FaultTimeout:           uploads,
		FaultInternal:          nil,
		FaultUnavailable:       nil,
		FaultThrottle:          nil,
		FaultLostAnswer:        nil,
		FaultTruncate:          {"GetJobOutput"},
		FaultCorrupt:           {"GetJobOutput"},
		FaultExpiredJob:        {"GetJobOutput", "DescribeJob"},
		FaultFailedJob:         {"InitiateJob"},
		FaultClockSkew:         nil,
		FaultSlow:              nil,
		FaultReset:             nil,
		FaultLateSignature:     uploads,
		FaultNoCapacity:        {"InitiateJob"},
		FaultNoLongerSupported: nil,
	}
}

// A Fault is a failure to act out, and at which calls. Without aim it strikes
// every call that its kind can strike.
type Fault struct {
	Kind FaultKind
	// Op is the operation to strike, such as "UploadArchive"; empty means all
	// that the kind can strike.
	Op string
	// Nth strikes from the n-th such call on; the first is 1. With Times 0, it
	// strikes that call only.
	Nth int
	// Times is how often it strikes at most; 0 means no limit, or once where
	// Nth is set.
	Times int
	// Probability strikes only some of the calls, chosen at random; 0 means all.
	Probability float64
	// After is a number of bytes, see the kinds.
	After int64
	// Delay is a time, see the kinds.
	Delay time.Duration
}

// Faults are the failures that a server acts out. Its methods are safe for
// concurrent use. Faults may be added and removed while the server runs.
type Faults struct {
	mu     sync.Mutex
	random *rand.Rand
	armed  []*ArmedFault
}

// NewFaults gives a registry without faults. Equal seeds choose equally where
// faults strike at random.
func NewFaults(seed uint64) *Faults {
	return &Faults{random: rand.New(rand.NewPCG(seed, seed))}
}

// An ArmedFault is a fault in a registry.
type ArmedFault struct {
	Fault
	owner *Faults
	ops   []string
	// under owner.mu:
	seen    int // calls that it could strike
	pending int // calls chosen, and not yet over
	struck  int
}

// Add arms a fault. Where it is malformed it fails, as ParseFault does.
func (fs *Faults) Add(f Fault) (*ArmedFault, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	a := &ArmedFault{Fault: f, owner: fs, ops: faultKinds()[f.Kind]}
	if f.Op != "" {
		a.ops = []string{f.Op}
	}
	if f.Nth > 0 && f.Times == 0 {
		a.Times = 1
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.armed = append(fs.armed, a)
	return a, nil
}

// Armed lists the faults, in the order they were added.
func (fs *Faults) Armed() []*ArmedFault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.Clone(fs.armed)
}

// Clear removes all faults.
func (fs *Faults) Clear() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.armed = nil
}

// Struck is the number of calls that the fault has really spoilt.
func (a *ArmedFault) Struck() int {
	a.owner.mu.Lock()
	defer a.owner.mu.Unlock()
	return a.struck
}

// Remove disarms the fault; calls under way may still meet it.
func (a *ArmedFault) Remove() {
	a.owner.mu.Lock()
	defer a.owner.mu.Unlock()
	a.owner.armed = slices.DeleteFunc(a.owner.armed, func(b *ArmedFault) bool { return a == b })
}

// acts are the faults chosen for one call, and whether they have struck.
type acts []*act

type act struct {
	*ArmedFault
	done bool
}

// strike notes that the fault spoils its call now.
func (a *act) strike() {
	if a.done {
		return
	}
	a.done = true
	a.owner.mu.Lock()
	defer a.owner.mu.Unlock()
	a.pending--
	a.struck++
}

// choose picks the faults for a call of op.
func (fs *Faults) choose(op string) acts {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var chosen acts
	for _, a := range fs.armed {
		if a.ops != nil && !slices.Contains(a.ops, op) {
			continue
		}
		a.seen++
		if a.seen < a.Nth || a.Times > 0 && a.struck+a.pending >= a.Times {
			continue
		}
		if a.Probability > 0 && fs.random.Float64() >= a.Probability {
			continue
		}
		a.pending++
		chosen = append(chosen, &act{ArmedFault: a})
	}
	return chosen
}

// done gives back what a call that is over was chosen for, and did not meet.
func (as acts) done() {
	for _, a := range as {
		if !a.done {
			a.owner.mu.Lock()
			a.pending--
			a.owner.mu.Unlock()
		}
	}
}

// find gives the first chosen fault of a kind, or nil.
func (as acts) find(kind FaultKind) *act {
	for _, a := range as {
		if a.Kind == kind {
			return a
		}
	}
	return nil
}

// hit notes that a fault of this kind now strikes, and reports whether one does.
func (as acts) hit(kind FaultKind) bool {
	a := as.find(kind)
	if a != nil {
		a.strike()
	}
	return a != nil
}

// skew is what the clock of signatures is off by, for this call.
func (as acts) skew() time.Duration {
	a := as.find(FaultClockSkew)
	if a == nil {
		return 0
	}
	a.strike()
	if a.Delay == 0 {
		return time.Hour
	}
	return a.Delay
}

// errHangUp ends a call without an answer; errStruck is an answer that comes
// from a fault in the middle of a body, after which the connection is closed.
var (
	errHangUp = errors.New("fault: hung up")
	errReset  = errors.Join(errHangUp, errors.New("reset"))
	errStruck = errors.New("fault")
)

// actBefore acts out what comes before the request is even looked at.
func (c *call) actBefore() error {
	if a := c.acts.find(FaultReset); a != nil && (a.After == 0 || c.r.ContentLength == 0) {
		a.strike()
		return errReset
	}
	switch {
	case c.acts.hit(FaultInternal):
		return &apiError{http.StatusInternalServerError, "ServiceUnavailableException", "The request has failed due to a temporary failure of the server."}
	case c.acts.hit(FaultUnavailable):
		return &apiError{http.StatusServiceUnavailable, "ServiceUnavailableException", "Service is unavailable. Please try again."}
	case c.acts.hit(FaultThrottle):
		return &apiError{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"}
	}
	return nil
}

// actRefuse acts out a slow answer, and the refusal of an account.
func (c *call) actRefuse() error {
	if a := c.acts.find(FaultSlow); a != nil {
		a.strike()
		if err := sleep(c.ctx, a.Delay); err != nil {
			return errors.Join(errHangUp, err)
		}
	}
	if c.acts.hit(FaultNoLongerSupported) {
		return &apiError{http.StatusBadRequest, "NoLongerSupportedException", "The service no longer takes new customers. Use the storage classes of Amazon S3."}
	}
	return nil
}

// actLostAnswer runs a handler; where its answer is to be lost, and it
// succeeds, the client learns nothing of it.
func (c *call) actLostAnswer(run func(*call) error) error {
	c.w.lost = c.acts.find(FaultLostAnswer) != nil
	err := run(c)
	if !c.w.lost {
		return err
	}
	c.w.lost = false
	if err == nil {
		c.acts.hit(FaultLostAnswer)
		return errHangUp
	}
	return err
}

// cutBody acts out failures after a number of bytes of a body: it shortens the
// next read so that it ends there, or gives the error once there.
func (as acts) cutBody(p []byte, read, size int64) ([]byte, error) {
	for _, a := range as {
		after := a.After
		switch {
		case a.Kind == FaultReset:
		case a.Kind == FaultTimeout && a.Delay == 0:
			if after == 0 {
				after = size / 2
			}
		default:
			continue
		}
		if read < after {
			p = p[:min(int64(len(p)), after-read)]
			continue
		}
		a.strike()
		if a.Kind == FaultReset {
			return nil, errReset
		}
		return nil, errors.Join(timedOut(), errStruck)
	}
	return p, nil
}

// hangUp ends the connection without an answer. A reset is told from an
// ordinary end by a client on a network.
func (c *call) hangUp(err error) {
	if errors.Is(err, errReset) {
		if conn, _, err := http.NewResponseController(c.w).Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				tcp.SetLinger(0)
			}
			conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// download wraps the way of a download's bytes, the first of which is at
// offset 0, in the failures that were chosen for it.
func (c *call) download(size int64) io.Writer {
	if c.acts.find(FaultTruncate) == nil && c.acts.find(FaultCorrupt) == nil {
		return c.w
	}
	return &spoilt{c: c, size: size}
}

type spoilt struct {
	c        *call
	at, size int64
}

// end is where a truncated download ends.
func (s *spoilt) end(a *act) int64 {
	if a.After == 0 {
		return s.size / 2
	}
	return a.After
}

func (s *spoilt) Write(p []byte) (int, error) {
	if a := s.c.acts.find(FaultCorrupt); a != nil && s.at <= a.After && a.After < s.at+int64(len(p)) {
		a.strike()
		p = slices.Clone(p)
		p[a.After-s.at] ^= 0xff
	}
	if a := s.c.acts.find(FaultTruncate); a != nil && s.end(a) < s.at+int64(len(p)) {
		a.strike()
		s.c.w.Write(p[:max(0, s.end(a)-s.at)])
		http.NewResponseController(s.c.w).Flush()
		return 0, errHangUp
	}
	n, err := s.c.w.Write(p)
	s.at += int64(n)
	return n, err
}

// sleep waits on the standard clock, which tests may replace with
// testing/synctest.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
