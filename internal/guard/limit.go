package guard

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// LimitOptions say how fast bodies may go.
type LimitOptions struct {
	// Upload and Download are bytes per second, of all bodies together; 0 is
	// no limit.
	Upload, Download int64
	// Clock is waited on; nil is the machine's.
	Clock clock.Clock
}

// limiter holds bodies back.
type limiter struct {
	firn.Store
	up, down *bucket // nil: not held back
}

// Limit gives a store whose uploads and downloads keep within their rates,
// however many run at the same time. Listings and inventories are not held
// back: they are small beside what they list.
func Limit(s firn.Store, o LimitOptions) firn.Store {
	if o.Upload <= 0 && o.Download <= 0 {
		return s
	}
	c := o.Clock
	if c == nil {
		c = clock.System{}
	}
	return &limiter{Store: s, up: newBucket(o.Upload, c), down: newBucket(o.Download, c)}
}

func (l *limiter) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	return l.Store.UploadArchive(ctx, description, l.hold(ctx, body), sums)
}

func (l *limiter) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	return l.Store.UploadPart(ctx, id, offset, l.hold(ctx, body), sums)
}

// hold slows down the reading of body. A read is paid for before it is made,
// so that what goes out never runs ahead.
func (l *limiter) hold(ctx context.Context, body *io.SectionReader) *io.SectionReader {
	if l.up == nil {
		return body
	}
	return section(body, readerFunc(func(p []byte, off int64) (int, error) {
		if err := l.up.take(ctx, int64(len(p))); err != nil {
			return 0, err
		}
		return body.ReadAt(p, off)
	}))
}

func (l *limiter) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := l.Store.Output(ctx, id, at)
	if err == nil && l.down != nil {
		out.ReadCloser = &heldBack{ReadCloser: out.ReadCloser, ctx: ctx, bucket: l.down}
	}
	return out, err
}

// heldBack is a download that is read slowly. The pauses keep the sender back.
type heldBack struct {
	io.ReadCloser
	ctx    context.Context
	bucket *bucket
}

func (h *heldBack) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p[:min(len(p), h.bucket.sip)])
	if waited := h.bucket.take(h.ctx, int64(n)); waited != nil && err == nil {
		err = waited
	}
	return n, err
}

// A bucket lets bytes pass at a rate. Who comes takes a place in the queue, and
// waits until its bytes have their time.
type bucket struct {
	clock clock.Clock
	rate  float64 // bytes/s
	sip   int     // bytes that pass at once

	mu   sync.Mutex
	free time.Time // when all that was taken has passed
}

// newBucket makes a bucket, or none for no limit. A sip is what passes in a
// sixteenth of a second: small against the buffers of any network.
func newBucket(rate int64, c clock.Clock) *bucket {
	if rate <= 0 {
		return nil
	}
	return &bucket{clock: c, rate: float64(rate), sip: int(min(max(rate/16, 512), 64<<10))}
}

// take waits until n more bytes may have passed. Time in which nothing was
// taken is not saved up, but for one sip.
func (b *bucket) take(ctx context.Context, n int64) error {
	now := b.clock.Now()
	b.mu.Lock()
	if saved := now.Add(-b.lasts(float64(b.sip))); b.free.Before(saved) {
		b.free = saved
	}
	b.free = b.free.Add(b.lasts(float64(n)))
	wait := b.free.Sub(now)
	b.mu.Unlock()
	if wait <= 0 {
		return cause(ctx)
	}
	return b.clock.Sleep(ctx, wait)
}

// lasts is how long n bytes take.
func (b *bucket) lasts(n float64) time.Duration {
	return time.Duration(n / b.rate * float64(time.Second))
}
