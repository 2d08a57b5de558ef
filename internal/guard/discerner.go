package guard

import (
	"context"

	"github.com/firn-archive/firn"
)

// Deletions of Discerners pass through each decorator as those of others do.
var (
	_ firn.Discerner = (*counting)(nil)
	_ firn.Discerner = (*limiter)(nil)
	_ firn.Discerner = (*retrier)(nil)
	_ firn.Discerner = dryRun{}
)

func (c *counting) DeleteOnly(ctx context.Context, a firn.Deletable) error {
	return c.none(OpDeleteArchive, firn.DeleteOnly(ctx, c.Store, a))
}

func (l *limiter) DeleteOnly(ctx context.Context, a firn.Deletable) error {
	return firn.DeleteOnly(ctx, l.Store, a)
}

func (r *retrier) DeleteOnly(ctx context.Context, a firn.Deletable) error {
	return r.do(ctx, repeatable, func() error { return firn.DeleteOnly(ctx, r.Store, a) })
}

func (dryRun) DeleteOnly(context.Context, firn.Deletable) error { return refuse("delete archive") }
