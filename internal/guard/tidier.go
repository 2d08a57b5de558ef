package guard

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
)

// Tidying passes through each decorator.
var (
	_ firn.Tidier = (*counting)(nil)
	_ firn.Tidier = (*limiter)(nil)
	_ firn.Tidier = (*retrier)(nil)
	_ firn.Tidier = dryRun{}
)

// OpTidy is the call that removes what kills have left.
const OpTidy Op = "Tidy"

func (c *counting) Tidy(ctx context.Context, age time.Duration, dryRun bool) (int, error) {
	n, err := firn.Tidy(ctx, c.Store, age, dryRun)
	return n, c.none(OpTidy, err)
}

func (l *limiter) Tidy(ctx context.Context, age time.Duration, dryRun bool) (int, error) {
	return firn.Tidy(ctx, l.Store, age, dryRun)
}

// Tidy counts what every try has removed.
func (r *retrier) Tidy(ctx context.Context, age time.Duration, dryRun bool) (removed int, err error) {
	err = r.do(ctx, repeatable, func() error {
		n, err := firn.Tidy(ctx, r.Store, age, dryRun)
		removed += n
		return err
	})
	return removed, err
}

func (d dryRun) Tidy(ctx context.Context, age time.Duration, _ bool) (int, error) {
	return firn.Tidy(ctx, d.Store, age, true)
}
