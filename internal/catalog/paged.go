package catalog

import (
	"context"
	"iter"
)

// A pager reads the next page of what it goes through, appends it to page, and
// reports whether there may be more.
type pager[T any] func(tx tx, page []T) (_ []T, more bool, err error)

// paged gives what a pager reads, with a transaction for each page, so that none
// is open while the consumer works, who may change what it is given. begin makes
// the pager of one walk. It ends with the first error.
func paged[T any](ctx context.Context, c *Catalog, op, subject string, begin func() pager[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := begin()
		var page []T
		for more := true; more; {
			err := c.read(ctx, op, subject, func(tx tx) (err error) {
				page, more, err = next(tx, page[:0])
				return err
			})
			if err != nil {
				yield(*new(T), err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
		}
	}
}
