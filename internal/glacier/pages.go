package glacier

import (
	"errors"
	"iter"
)

// errMarker says that a server never comes to the end of a list.
var errMarker = errors.New("the server gave the same page twice")

// pages gives the items of a listing that comes in pages. fetch gets the page
// that marker leads to, nil for the first, and the marker of the next, nil or
// empty for none. No page size is assumed: the service has changed it.
func pages[T any](fetch func(marker *string) ([]T, *string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		var marker *string
		for {
			items, next, err := fetch(marker)
			if err != nil {
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil || *next == "" {
				return
			}
			if marker != nil && *marker == *next {
				yield(zero, errMarker)
				return
			}
			marker = next
		}
	}
}
