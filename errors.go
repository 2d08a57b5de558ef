package firn

import (
	"errors"
	"strings"
)

// A Kind is what sort of failure an Error is. Whoever handles an error looks
// at nothing else: the kind decides whether to repeat and how to exit.
type Kind int

// The kinds of error.
const (
	Other          Kind = iota // none of the below; a defect perhaps
	Usage                      // wrong options or arguments; nothing was done
	NotFound                   // the thing named does not exist (any more)
	Denied                     // no credentials, wrong ones, or not allowed
	NoNewCustomers             // the service takes no new accounts
	Invalid                    // the store refuses the request as it is
	NotEmpty                   // the store holds archives, or did lately
	Policy                     // a retrieval policy forbids it for now
	Capacity                   // no capacity for expedited retrievals now
	Throttled                  // too many requests; slower
	Unavailable                // the store has a problem of its own; later
	SlowBody                   // the body came too slowly and was refused
	Network                    // the request never reached the store
	Lost                       // the request left and no answer came: it may have happened
	NotReady                   // a job is pending: come back later
	Corrupt                    // bytes differ from their hash
	Changed                    // a file changed while it was read
	Conflict                   // somebody else holds it: a lock, a name, another store's identity
	Full                       // no space left on a local disk
	Local                      // a local file can't be read or written
	InDoubt                    // whether it is stored shows only in the next inventory
	Skew                       // the clocks here and at the store are too far apart; signed anew by the store's, it may succeed
)

var kindNames = [...]string{
	"error", "usage", "not found", "denied", "no new customers", "invalid", "not empty",
	"policy", "capacity", "throttled", "unavailable", "slow body", "network", "lost",
	"not ready", "corrupt", "changed", "conflict", "disk full", "local", "in doubt", "clock skew",
}

// String names the kind, for logs.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Temporary reports whether the same request may succeed later, and is known
// not to have happened.
func (k Kind) Temporary() bool {
	switch k {
	case Throttled, Unavailable, SlowBody, Network, Capacity, Skew:
		return true
	}
	return false
}

// An Error says what failed, on what, how, and where possible what to do.
type Error struct {
	Op      string // what was attempted: "upload", "start job"
	Subject string // on what: a path, an archive id, a store
	Kind    Kind
	Err     error  // the cause; may be nil
	Hint    string // what to do next, as a sentence without capital; may be empty
}

// Error reads "op subject: cause; hint".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Subject != "" {
		b.WriteString(" " + e.Subject)
	}
	b.WriteString(": ")
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		b.WriteString(e.Kind.String())
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf gives the kind of the outermost Error in err's chain; Other where
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}
