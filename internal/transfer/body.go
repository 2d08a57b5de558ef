package transfer

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/firn-archive/firn"
)

// eventBytes is how many bytes go over the wire between two events.
const eventBytes = 256 << 10

// errReleased is what a store gets that reads a body after its call returned.
var errReleased = errors.New("the request is over")

// A body is one request's body, a section of a file: it tells the line and the
// events how far the store has read, and remembers what was wrong with the file.
type body struct {
	ticket *ticket
	events firn.Sink
	path   string
	off, n int64 // the section

	mu     sync.Mutex
	file   io.ReaderAt // nil: released
	read   int64       // in this try
	total  int64       // in all tries
	told   int64       // of read, by events
	err    error       // of the file
	shrunk bool        // the file ended early
}

// ReadAt reads from the section.
func (b *body) ReadAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return 0, errReleased
	}
	n, err := b.file.ReadAt(p, b.off+off)
	if off == 0 && b.read > 0 {
		b.tell(-b.told)
		b.read = 0
	}
	b.ticket.reads(off, int64(n))
	b.read = off + int64(n)
	b.total += int64(n)
	if b.read-b.told >= eventBytes {
		b.tell(b.read - b.told)
	}
	switch {
	case n == len(p):
		return n, nil
	case err == io.EOF:
		b.shrunk = true
		return n, io.ErrUnexpectedEOF
	default:
		b.err = err
		return n, err
	}
}

// tell emits n more bytes. The store reads in order, so told never exceeds read.
func (b *body) tell(n int64) {
	if n != 0 {
		b.told += n
		b.events(firn.TransferEvent{Path: b.path, Bytes: n})
	}
}

// release ends all reading, whatever the store's transport still does, and
// settles the events with the outcome.
func (b *body) release(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.file = nil
	if ok {
		b.tell(b.n - b.told)
	} else {
		b.tell(-b.told)
	}
}

// A request is one call that carries a body.
type request func(ctx context.Context, body *io.SectionReader) error

// send makes a request with the n bytes of up's file from off on, under the
// ticket t; lone is how long it may take when no other is under way, or 0. It
// gives what stopped it: an error of the file, errChanged,
// errCrowded, errTooSlow, the context's cause, or the store's own error. Unsure
// says that it may have succeeded all the same.
func (up *upload) send(ctx context.Context, t *ticket, off, n int64, lone time.Duration, do request) (unsure bool, err error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := &body{ticket: t, events: up.opt.Events, path: up.Path, off: off, n: n, file: up.file}
	t.send(cancel, lone)
	err = do(inner, io.NewSectionReader(b, 0, n))
	stopped := context.Cause(inner)
	b.release(err == nil)
	t.sent(err == nil)
	up.sent.Add(b.total)
	kind := firn.KindOf(err)
	switch {
	case err == nil:
		up.landed.Add(n)
		return false, nil
	case b.err != nil:
		err = local("read", b.err)
	case b.shrunk:
		err = errChanged
	case stopped != nil:
		err = stopped
	}
	// Without its last byte no request succeeds. What has a kind of its own
	// surely failed.
	return b.read >= n && (kind == firn.Lost || kind == firn.Other), err
}
