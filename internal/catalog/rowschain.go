package catalog

import (
	"iter"

	"github.com/firn-archive/firn/internal/rows"
)

// A chained stream is one whose first rows were read ahead.
type chained struct {
	read []pulled
	next func() (rows.Row, error, bool)
	stop func()
}

// A pulled is what a stream gave.
type pulled struct {
	row rows.Row
	err error
}

// ahead reads a stream as far as its trees. What it calls must be stopped.
func ahead(stream iter.Seq2[rows.Row, error]) (c chained) {
	c.next, c.stop = iter.Pull2(stream)
	for {
		row, err, ok := c.next()
		if !ok {
			return c
		}
		c.read = append(c.read, pulled{row, err}) // headers, catalogs, trees stay valid, the first row behind them until the next
		switch row.(type) {
		case *rows.Header, *rows.Catalog, *rows.Tree:
		default:
			return c
		}
	}
}

// trees gives those that were read ahead.
func (c *chained) trees() (all []*rows.Tree) {
	for _, p := range c.read {
		if t, ok := p.row.(*rows.Tree); ok {
			all = append(all, t)
		}
	}
	return all
}

// all gives the rows of the stream from its beginning, once.
func (c *chained) all() iter.Seq2[rows.Row, error] {
	return func(yield func(rows.Row, error) bool) {
		for _, p := range c.read {
			if !yield(p.row, p.err) {
				return
			}
		}
		for {
			row, err, ok := c.next()
			if !ok || !yield(row, err) {
				return
			}
		}
	}
}
