// Package transfer moves bytes between local files and a store: uploads in one
// request or in parts, downloads in pieces, both in parallel, resumable,
// verified by tree hash, and in memory that does not grow with the file. It
// emits events and never prints.
//
// An upload reads each byte twice, once to hash it and once to send it,
// straight from the file: no part is ever held in memory. What has happened is
// told to a Journal before and after each request that changes something, so
// that a process killed at any moment can be followed by one that resumes.
//
// Requests are repeated by whatever decorates the store. What is repeated here
// needs more than the request: a file that changed is read again, an upload
// that expired is begun anew, and a line that turns out slow gets fewer bodies
// at a time and then smaller ones (see line).
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/treehash"
)

const (
	mib = treehash.LeafSize

	// DefaultConcurrency is how many bodies are in flight unless told
	// otherwise, over files and parts alike.
	DefaultConcurrency = 4
	// bufferSize is what one hashing pass holds in memory. It is read into
	// once and hashed twice, so it should stay in a core's own cache.
	bufferSize = 256 << 10
)

// buffers lends buffers for copying and hashing.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[bufferSize]byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p
	}
	return new([bufferSize]byte)
}

func (b *buffers) put(p *[bufferSize]byte) { b.pool.Put(p) }

// feed writes the n bytes of r from off on to w, which must not fail. A reader
// that ends early gives io.ErrUnexpectedEOF.
func (b *buffers) feed(ctx context.Context, w io.Writer, r io.ReaderAt, off, n int64) error {
	buf := b.get()
	defer b.put(buf)
	for end := off + n; off < end; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		k, err := r.ReadAt(buf[:min(bufferSize, end-off)], off)
		w.Write(buf[:k])
		off += int64(k)
		if err == io.EOF {
			err = nil
			if off < end {
				return io.ErrUnexpectedEOF
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// failure wraps err with what was done to what. The kind is that of the
// error inside, so that callers need not look for it.
func failure(op, subject string, err error) error {
	return &firn.Error{Op: op, Subject: subject, Kind: firn.KindOf(err), Err: err}
}

// local marks an error of the local file system, unless it is marked already
// or is the end of the context.
func local(op string, err error) error {
	if err == nil || firn.KindOf(err) != firn.Other || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind := firn.Local
	if atomicfile.IsFull(err) {
		kind = firn.Full
	}
	return &firn.Error{Op: op, Kind: kind, Err: err}
}

// both is err, and where there is one, what went wrong after it, on one line.
func both(err, after error) error {
	if after == nil {
		return err
	}
	return fmt.Errorf("%w; and then: %w", err, after)
}

func usage(op, format string, args ...any) error {
	return &firn.Error{Op: op, Kind: firn.Usage, Err: fmt.Errorf(format, args...)}
}
