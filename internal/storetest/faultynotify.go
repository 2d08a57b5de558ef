package storetest

import (
	"context"

	"github.com/firn-archive/firn"
)

// A store below faulty that is no firn.Notifier panics here: tests know what they
// put together.

func (f *faulty) Notifications(ctx context.Context) (n firn.Notifications, err error) {
	err = f.around("Notifications", func() error {
		n, err = f.Store.(firn.Notifier).Notifications(ctx)
		return err
	})
	return unless(err, n)
}

func (f *faulty) SetNotifications(ctx context.Context, n firn.Notifications) error {
	return f.around("SetNotifications", func() error { return f.Store.(firn.Notifier).SetNotifications(ctx, n) })
}

func (f *faulty) RemoveNotifications(ctx context.Context) error {
	return f.around("RemoveNotifications", func() error { return f.Store.(firn.Notifier).RemoveNotifications(ctx) })
}
