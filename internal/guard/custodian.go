package guard

import (
	"context"
	"errors"

	"github.com/firn-archive/firn"
)

// The rules of a store pass through each decorator, as its notifications do.
var (
	_ firn.Custodian = (*counting)(nil)
	_ firn.Custodian = (*limiter)(nil)
	_ firn.Custodian = (*retrier)(nil)
	_ firn.Custodian = dryRun{}
)

// The calls of a firn.Custodian that are counted.
const (
	OpAccessPolicy       Op = "AccessPolicy"
	OpSetAccessPolicy    Op = "SetAccessPolicy"
	OpRemoveAccessPolicy Op = "RemoveAccessPolicy"
	OpLock               Op = "Lock"
	OpStartLock          Op = "StartLock"
	OpCompleteLock       Op = "CompleteLock"
	OpAbortLock          Op = "AbortLock"
	OpRetrievalPolicy    Op = "RetrievalPolicy"
	OpSetRetrievalPolicy Op = "SetRetrievalPolicy"
)

// ruled is the Custodian that a decorator stands before.
func ruled(s firn.Store) firn.Custodian {
	if c, ok := s.(firn.Custodian); ok {
		return c
	}
	return lawless{}
}

// lawless stands for a store that has no rules.
type lawless struct{}

func (lawless) refuse(op string) error {
	return &firn.Error{Op: op, Subject: "of the store", Kind: firn.Invalid, Err: errors.New("it is none that has policies and locks")}
}

func (l lawless) AccessPolicy(context.Context) (string, error) {
	return "", l.refuse("read access policy")
}

func (l lawless) SetAccessPolicy(context.Context, string) error { return l.refuse("set access policy") }

func (l lawless) RemoveAccessPolicy(context.Context) error { return l.refuse("remove access policy") }

func (l lawless) Lock(context.Context) (firn.Lock, error) { return firn.Lock{}, l.refuse("read lock") }

func (l lawless) StartLock(context.Context, string) (firn.LockID, error) {
	return "", l.refuse("start lock")
}

func (l lawless) CompleteLock(context.Context, firn.LockID) error { return l.refuse("complete lock") }

func (l lawless) AbortLock(context.Context) error { return l.refuse("abort lock") }

func (l lawless) RetrievalPolicy(context.Context) (firn.RetrievalPolicy, error) {
	return firn.RetrievalPolicy{}, l.refuse("read retrieval policy")
}

func (l lawless) SetRetrievalPolicy(context.Context, firn.RetrievalPolicy) error {
	return l.refuse("set retrieval policy")
}

func (c *counting) AccessPolicy(ctx context.Context) (string, error) {
	p, err := ruled(c.Store).AccessPolicy(ctx)
	return one(c, OpAccessPolicy, p, err)
}

func (c *counting) SetAccessPolicy(ctx context.Context, policy string) error {
	return c.none(OpSetAccessPolicy, ruled(c.Store).SetAccessPolicy(ctx, policy))
}

func (c *counting) RemoveAccessPolicy(ctx context.Context) error {
	return c.none(OpRemoveAccessPolicy, ruled(c.Store).RemoveAccessPolicy(ctx))
}

func (c *counting) Lock(ctx context.Context) (firn.Lock, error) {
	l, err := ruled(c.Store).Lock(ctx)
	return one(c, OpLock, l, err)
}

func (c *counting) StartLock(ctx context.Context, policy string) (firn.LockID, error) {
	id, err := ruled(c.Store).StartLock(ctx, policy)
	return one(c, OpStartLock, id, err)
}

func (c *counting) CompleteLock(ctx context.Context, id firn.LockID) error {
	return c.none(OpCompleteLock, ruled(c.Store).CompleteLock(ctx, id))
}

func (c *counting) AbortLock(ctx context.Context) error {
	return c.none(OpAbortLock, ruled(c.Store).AbortLock(ctx))
}

func (c *counting) RetrievalPolicy(ctx context.Context) (firn.RetrievalPolicy, error) {
	p, err := ruled(c.Store).RetrievalPolicy(ctx)
	return one(c, OpRetrievalPolicy, p, err)
}

func (c *counting) SetRetrievalPolicy(ctx context.Context, p firn.RetrievalPolicy) error {
	return c.none(OpSetRetrievalPolicy, ruled(c.Store).SetRetrievalPolicy(ctx, p))
}

func (l *limiter) AccessPolicy(ctx context.Context) (string, error) {
	return ruled(l.Store).AccessPolicy(ctx)
}

func (l *limiter) SetAccessPolicy(ctx context.Context, policy string) error {
	return ruled(l.Store).SetAccessPolicy(ctx, policy)
}

func (l *limiter) RemoveAccessPolicy(ctx context.Context) error {
	return ruled(l.Store).RemoveAccessPolicy(ctx)
}

func (l *limiter) Lock(ctx context.Context) (firn.Lock, error) { return ruled(l.Store).Lock(ctx) }

func (l *limiter) StartLock(ctx context.Context, policy string) (firn.LockID, error) {
	return ruled(l.Store).StartLock(ctx, policy)
}

func (l *limiter) CompleteLock(ctx context.Context, id firn.LockID) error {
	return ruled(l.Store).CompleteLock(ctx, id)
}

func (l *limiter) AbortLock(ctx context.Context) error { return ruled(l.Store).AbortLock(ctx) }

func (l *limiter) RetrievalPolicy(ctx context.Context) (firn.RetrievalPolicy, error) {
	return ruled(l.Store).RetrievalPolicy(ctx)
}

func (l *limiter) SetRetrievalPolicy(ctx context.Context, p firn.RetrievalPolicy) error {
	return ruled(l.Store).SetRetrievalPolicy(ctx, p)
}

func (r *retrier) AccessPolicy(ctx context.Context) (policy string, err error) {
	err = r.do(ctx, repeatable, func() error {
		policy, err = ruled(r.Store).AccessPolicy(ctx)
		return err
	})
	return policy, err
}

func (r *retrier) SetAccessPolicy(ctx context.Context, policy string) error {
	return r.do(ctx, repeatable, func() error { return ruled(r.Store).SetAccessPolicy(ctx, policy) })
}

func (r *retrier) RemoveAccessPolicy(ctx context.Context) error {
	return r.do(ctx, repeatable, func() error { return ruled(r.Store).RemoveAccessPolicy(ctx) })
}

func (r *retrier) Lock(ctx context.Context) (l firn.Lock, err error) {
	err = r.do(ctx, repeatable, func() error {
		l, err = ruled(r.Store).Lock(ctx)
		return err
	})
	return l, err
}

func (r *retrier) StartLock(ctx context.Context, policy string) (id firn.LockID, err error) {
	err = r.do(ctx, unique, func() error {
		id, err = ruled(r.Store).StartLock(ctx, policy)
		return err
	})
	return id, err
}

func (r *retrier) CompleteLock(ctx context.Context, id firn.LockID) error {
	return r.do(ctx, repeatable, func() error { return ruled(r.Store).CompleteLock(ctx, id) })
}

func (r *retrier) AbortLock(ctx context.Context) error {
	return r.do(ctx, repeatable, func() error { return ruled(r.Store).AbortLock(ctx) })
}

func (r *retrier) RetrievalPolicy(ctx context.Context) (p firn.RetrievalPolicy, err error) {
	err = r.do(ctx, repeatable, func() error {
		p, err = ruled(r.Store).RetrievalPolicy(ctx)
		return err
	})
	return p, err
}

func (r *retrier) SetRetrievalPolicy(ctx context.Context, p firn.RetrievalPolicy) error {
	return r.do(ctx, repeatable, func() error { return ruled(r.Store).SetRetrievalPolicy(ctx, p) })
}

func (d dryRun) AccessPolicy(ctx context.Context) (string, error) {
	return ruled(d.Store).AccessPolicy(ctx)
}

func (dryRun) SetAccessPolicy(context.Context, string) error { return refuse("set access policy") }

func (dryRun) RemoveAccessPolicy(context.Context) error { return refuse("remove access policy") }

func (d dryRun) Lock(ctx context.Context) (firn.Lock, error) { return ruled(d.Store).Lock(ctx) }

func (dryRun) StartLock(context.Context, string) (firn.LockID, error) {
	return "", refuse("start lock")
}

func (dryRun) CompleteLock(context.Context, firn.LockID) error { return refuse("complete lock") }

func (dryRun) AbortLock(context.Context) error { return refuse("abort lock") }

func (d dryRun) RetrievalPolicy(ctx context.Context) (firn.RetrievalPolicy, error) {
	return ruled(d.Store).RetrievalPolicy(ctx)
}

func (dryRun) SetRetrievalPolicy(context.Context, firn.RetrievalPolicy) error {
	return refuse("set retrieval policy")
}
