package s3test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
)

// A FaultKind says what goes wrong.
type FaultKind string

// The kinds of fault. Source: Amazon S3 API reference, "Error responses".
const (
	Internal    FaultKind = "internal"    // 500 InternalError, and nothing was done
	SlowDown    FaultKind = "slow down"   // 503 SlowDown
	Unavailable FaultKind = "unavailable" // 503 ServiceUnavailable
	Reset       FaultKind = "reset"       // the connection is gone, and nothing was done
	LostAnswer  FaultKind = "lost answer" // it was done, and the connection is gone
	Truncate    FaultKind = "truncate"    // it was done, and half of the answer's body comes
	Skew        FaultKind = "skew"        // 403 RequestTimeTooSkewed
	Conflict    FaultKind = "conflict"    // 409 OperationAborted: another request is under way
	Denied      FaultKind = "denied"      // 403 AccessDenied
	Spoilt      FaultKind = "spoilt"      // bodies arrive with another byte, up or down
	NoHeader    FaultKind = "no header"   // 501 NotImplemented to requests with conditions
	Late        FaultKind = "late"        // 200 with InternalError in its body, and nothing was done
)

// statuses are those of faults that are answers.
var statuses = map[FaultKind]struct {
	status int
	code   string
}{
	Internal: {500, "InternalError"}, SlowDown: {503, "SlowDown"}, Unavailable: {503, "ServiceUnavailable"},
	Skew: {403, "RequestTimeTooSkewed"}, Conflict: {409, "OperationAborted"}, Denied: {403, "AccessDenied"},
}

// A Fault is a failure to act out at calls of one operation.
type Fault struct {
	Op    string // as Calls has it; empty: any
	Key   string // what the key must have in it; empty: any
	Nth   int    // the first call that it strikes; 0 means 1
	Times int    // how many calls in a row; 0 means 1, below 0 all
	Kind  FaultKind
}

// Faults are failures that a server acts out. They count how often each strikes.
type Faults struct {
	mu     sync.Mutex
	faults []Fault
	seen   []int
	struck []int
}

// NewFaults plans faults.
func NewFaults(faults ...Fault) *Faults {
	return &Faults{faults: faults, seen: make([]int, len(faults)), struck: make([]int, len(faults))}
}

// Add plans one more.
func (f *Faults) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.seen, f.struck = append(f.faults, fault), append(f.seen, 0), append(f.struck, 0)
}

// Clear forgets all that is planned.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.seen, f.struck = nil, nil, nil
}

// Struck is how often the i-th fault has struck.
func (f *Faults) Struck(i int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.struck[i]
}

// strike counts a call, and gives the kind of the fault that strikes it; "" for none.
func (f *Faults) strike(op, key string) (kind FaultKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.faults {
		if fault.Op != "" && fault.Op != op || !strings.Contains(key, fault.Key) {
			continue
		}
		f.seen[i]++
		since := f.seen[i] - max(1, fault.Nth)
		if kind == "" && since >= 0 && (fault.Times < 0 || since < max(1, fault.Times)) {
			f.struck[i]++
			kind = fault.Kind
		}
	}
	return kind
}

// serveFaulty answers a call as the faults have it.
func (c *call) serveFaulty() {
	kind := c.o.Faults.strike(c.op(), c.key)
	switch kind {
	case "":
		c.answer()
	case Reset:
		panic(http.ErrAbortHandler)
	case LostAnswer:
		c.w = httptest.NewRecorder()
		c.answer()
		panic(http.ErrAbortHandler)
	case Truncate:
		c.truncate()
	case Spoilt:
		c.spoil()
	case NoHeader:
		if c.r.Header.Get("If-None-Match")+c.r.Header.Get("If-Match") == "" {
			c.answer()
			return
		}
		c.refuse(no(501, "NotImplemented"))
	case Late:
		c.refuse(no(http.StatusOK, "InternalError"))
	default:
		c.refuse(no(statuses[kind].status, statuses[kind].code))
	}
}

// truncate ends the answer amid its body, and the connection with it.
func (c *call) truncate() {
	w := c.w
	all := httptest.NewRecorder()
	c.w = all
	c.answer()
	for k, v := range all.Header() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(all.Body.Len()))
	w.WriteHeader(all.Code)
	w.Write(all.Body.Bytes()[:all.Body.Len()/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush() // else the headers wouldn't leave either
	}
	panic(http.ErrAbortHandler)
}

// spoil changes a byte of the body, of the request or else of the answer.
func (c *call) spoil() {
	if len(c.body) > 0 {
		c.body = append([]byte(nil), c.body...)
		c.body[len(c.body)/2] ^= 1
		c.answer()
		return
	}
	w := c.w
	all := httptest.NewRecorder()
	c.w = all
	c.answer()
	for k, v := range all.Header() {
		w.Header()[k] = v
	}
	body := all.Body.Bytes()
	if len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	w.WriteHeader(all.Code)
	w.Write(body)
}
