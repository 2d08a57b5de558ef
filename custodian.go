package firn

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Custodian is a store with rules about who may do what with it. The decorators
// of stores are Custodians, whatever is below them: where that is none, each call
// gives Invalid.
//
// A policy is a document of AWS IAM in JSON, of MaxPolicy bytes at most.
type Custodian interface {
	// AccessPolicy gives the policy that says who may do what; empty: none is set.
	AccessPolicy(ctx context.Context) (string, error)
	// SetAccessPolicy sets it, in place of any other. Errors: Invalid (no policy,
	// or too long).
	SetAccessPolicy(ctx context.Context, policy string) error
	// RemoveAccessPolicy takes it away. That there was none is no error.
	RemoveAccessPolicy(ctx context.Context) error

	// Lock gives the lock, zero where there is none.
	Lock(ctx context.Context) (Lock, error)
	// StartLock puts a policy in force that AbortLock takes away, and that goes by
	// itself a day later, unless CompleteLock makes it stay for good. Not
	// idempotent: after Lost there may be a lock whose id nobody knows.
	// Errors: Invalid (as SetAccessPolicy), Conflict (there is a lock already).
	StartLock(ctx context.Context, policy string) (LockID, error)
	// CompleteLock makes the lock stay, which nobody can undo. Idempotent.
	// Errors: NotFound (no lock is in progress), Invalid (another id), Conflict
	// (it is locked already, with another id).
	CompleteLock(ctx context.Context, id LockID) error
	// AbortLock takes away a lock that isn't completed. That there was none is no
	// error. Errors: Conflict (it is completed).
	AbortLock(ctx context.Context) error

	// RetrievalPolicy says what may be retrieved from all stores of the account, in
	// this store's region.
	RetrievalPolicy(ctx context.Context) (RetrievalPolicy, error)
	// SetRetrievalPolicy sets that anew. Errors: Invalid.
	SetRetrievalPolicy(ctx context.Context, p RetrievalPolicy) error
}

// MaxPolicy is the size of an access or a lock policy, in bytes. Source: Amazon
// Glacier developer guide, "Vault access policies", "Vault Lock policies": 20 KB.
const MaxPolicy = 20 << 10

// LockLife is how long a lock that was started waits to be completed. Source:
// Amazon Glacier API reference, "Initiate Vault Lock".
const LockLife = 24 * time.Hour

// A LockID names a lock between its start and its completion.
type LockID string

// A Lock is a policy that can't be changed.
type Lock struct {
	Policy   string // empty: there is no lock
	Complete bool   // for good
	Created  time.Time
	Expires  time.Time // zero where it is complete
}

// A RetrievalStrategy is a way to bound what is retrieved.
type RetrievalStrategy string

// The strategies. They bind retrievals of the tier Standard alone. Source: Amazon
// Glacier API reference, "Set Data Retrieval Policy".
const (
	RetrieveAny     RetrievalStrategy = "None"         // no bound
	RetrieveFree    RetrievalStrategy = "FreeTier"     // what is free
	RetrievePerHour RetrievalStrategy = "BytesPerHour" // so many bytes an hour
)

// A RetrievalPolicy bounds the retrievals of an account in one region.
type RetrievalPolicy struct {
	Strategy     RetrievalStrategy
	BytesPerHour int64 // of RetrievePerHour, at least 1; else 0
}

// Check says what is wrong with the policy. Errors: Invalid.
func (p RetrievalPolicy) Check() error {
	var why error
	switch p.Strategy {
	case RetrievePerHour:
		if p.BytesPerHour < 1 {
			why = fmt.Errorf("%d bytes an hour: there is at least one", p.BytesPerHour)
		}
	case RetrieveAny, RetrieveFree:
		if p.BytesPerHour != 0 {
			why = fmt.Errorf("bytes an hour don't belong to the strategy %s", p.Strategy)
		}
	default:
		why = errors.New("no strategy that there is")
	}
	if why == nil {
		return nil
	}
	return &Error{Op: "check retrieval policy", Kind: Invalid, Err: why}
}
