package guard

import (
	"context"
	"errors"

	"github.com/firn-archive/firn"
)

// What a store tells to others passes through each decorator, though a firn.Store
// need not tell anything.
var (
	_ firn.Notifier = (*counting)(nil)
	_ firn.Notifier = (*limiter)(nil)
	_ firn.Notifier = (*retrier)(nil)
	_ firn.Notifier = dryRun{}
)

// below is the Notifier that a decorator stands before.
func below(s firn.Store) firn.Notifier {
	if n, ok := s.(firn.Notifier); ok {
		return n
	}
	return silent{}
}

// silent stands for a store that tells nothing to anybody.
type silent struct{}

func (silent) refuse(op string) error {
	return &firn.Error{Op: op, Subject: "of the store", Kind: firn.Invalid, Err: errors.New("it is none that tells what is ready")}
}

func (s silent) Notifications(context.Context) (firn.Notifications, error) {
	return firn.Notifications{}, s.refuse("read notifications")
}

func (s silent) SetNotifications(context.Context, firn.Notifications) error {
	return s.refuse("set notifications")
}

func (s silent) RemoveNotifications(context.Context) error { return s.refuse("remove notifications") }

func (c *counting) Notifications(ctx context.Context) (firn.Notifications, error) {
	n, err := below(c.Store).Notifications(ctx)
	return one(c, OpNotifications, n, err)
}

func (c *counting) SetNotifications(ctx context.Context, n firn.Notifications) error {
	return c.none(OpSetNotifications, below(c.Store).SetNotifications(ctx, n))
}

func (c *counting) RemoveNotifications(ctx context.Context) error {
	return c.none(OpRemoveNotifications, below(c.Store).RemoveNotifications(ctx))
}

func (l *limiter) Notifications(ctx context.Context) (firn.Notifications, error) {
	return below(l.Store).Notifications(ctx)
}

func (l *limiter) SetNotifications(ctx context.Context, n firn.Notifications) error {
	return below(l.Store).SetNotifications(ctx, n)
}

func (l *limiter) RemoveNotifications(ctx context.Context) error {
	return below(l.Store).RemoveNotifications(ctx)
}

func (r *retrier) Notifications(ctx context.Context) (n firn.Notifications, err error) {
	err = r.do(ctx, repeatable, func() error {
		n, err = below(r.Store).Notifications(ctx)
		return err
	})
	return n, err
}

func (r *retrier) SetNotifications(ctx context.Context, n firn.Notifications) error {
	return r.do(ctx, repeatable, func() error { return below(r.Store).SetNotifications(ctx, n) })
}

func (r *retrier) RemoveNotifications(ctx context.Context) error {
	return r.do(ctx, repeatable, func() error { return below(r.Store).RemoveNotifications(ctx) })
}

func (d dryRun) Notifications(ctx context.Context) (firn.Notifications, error) {
	return below(d.Store).Notifications(ctx)
}

func (dryRun) SetNotifications(context.Context, firn.Notifications) error {
	return refuse("set notifications")
}

func (dryRun) RemoveNotifications(context.Context) error { return refuse("remove notifications") }
