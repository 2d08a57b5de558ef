// Package guard puts stores behind other stores that repeat, slow down, count
// or refuse calls, so that neither the stores below nor the works above need to
// think of it.
//
// Each decorator takes a firn.Store and gives one. Where several are used, the
// order is, from the works down to the store:
//
//		DryRun(Retry(Limit(Count(store))))
//
//	  - DryRun comes first: what it refuses must not even wait for the network.
//	  - Retry stands above Limit and Count, since a body that is sent again takes
//	    its share of the line again, and a request that is made again is billed
//	    again.
//	  - Limit stands above Count, so that Count is right at the store and sees
//	    what really goes in and out.
package guard

import (
	"context"
	"io"
)

// section gives the store another way to body's bytes: through reader.
func section(body *io.SectionReader, reader io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(reader, 0, body.Size())
}

// A readerFunc is an io.ReaderAt.
type readerFunc func(p []byte, off int64) (int, error)

func (f readerFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// cause is why ctx ended; nil while it goes on.
func cause(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
