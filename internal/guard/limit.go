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

// A Rate says how fast bytes may go.
type Rate interface {
	// At is the rate at a time, in bytes per second, where 0 is no limit, and
	// until when it holds; zero is always. It may change its mind.
	At(now time.Time) (rate int64, until time.Time)
}

// LimitOptions say how fast bodies may go.
type LimitOptions struct {
	// Upload and Download are for all bodies together; nil is no limit.
	Upload, Download Rate
	// Clock is waited on; nil is the machine's.
	Clock clock.Clock
}

// limiter holds bodies back.
type limiter struct {
	firn.Store
	up, down *bucket // nil: not held back
}

// Limit gives a store whose uploads and downloads keep within their rates,
// however many run at the same time. When a rate changes, it holds at once for
// the bodies that are under way, too. Listings and inventories are not held
// back: they are small beside what they list.
func Limit(s firn.Store, o LimitOptions) firn.Store {
	if o.Upload == nil && o.Download == nil {
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
	if sip := h.bucket.sip(); sip > 0 {
		p = p[:min(len(p), sip)]
	}
	n, err := h.ReadCloser.Read(p)
	if waited := h.bucket.take(h.ctx, int64(n)); waited != nil && err == nil {
		err = waited
	}
	return n, err
}

// patience bounds how long a wait goes by one answer of a Rate, which may change
// its mind.
const patience = time.Second

// A bucket lets bytes pass at a rate. Who comes takes a place in the queue, and
// waits until all bytes up to his own have passed.
type bucket struct {
	clock clock.Clock
	rate  Rate

	mu     sync.Mutex
	taken  float64   // bytes that were asked for, ever
	passed float64   // bytes that may have passed by the time below; a sip more than taken at most
	at     time.Time // zero at first
}

// newBucket makes a bucket, or none for no limit.
func newBucket(rate Rate, c clock.Clock) *bucket {
	if rate == nil {
		return nil
	}
	return &bucket{clock: c, rate: rate}
}

// most is how many bytes pass at once at any limit: little against the buffers of a
// network.
const most = 64 << 10

// sipOf is how many bytes may pass at once: those of a sixteenth of a second.
func sipOf(rate int64) int { return int(min(max(rate/16, 512), most)) }

// sip is how many bytes may pass at once now; 0: any number.
func (b *bucket) sip() int {
	rate, _ := b.rate.At(b.clock.Now())
	if rate <= 0 {
		return 0
	}
	return sipOf(rate)
}

// take waits until n more bytes may have passed.
func (b *bucket) take(ctx context.Context, n int64) error {
	b.mu.Lock()
	rate, until := b.advance()
	b.taken += float64(n)
	place := b.taken
	for {
		if rate <= 0 {
			b.passed = max(b.passed, place)
		}
		left := place - b.passed
		now := b.at
		b.mu.Unlock()
		if left <= 0 {
			return cause(ctx)
		}
		wait := time.Duration(min(left/float64(rate), patience.Seconds())*float64(time.Second)) + 1
		if !until.IsZero() {
			wait = min(wait, max(until.Sub(now), time.Millisecond))
		}
		if err := b.clock.Sleep(ctx, wait); err != nil {
			return err
		}
		b.mu.Lock()
		rate, until = b.advance()
	}
}

// advance lets pass what may have passed since it was last called, and gives the
// rate of now. Time in which nothing was taken is not saved up, but for one sip.
// The rates in between count, so that nobody who waited over a change gains or
// loses by it.
func (b *bucket) advance() (rate int64, until time.Time) {
	now := b.clock.Now()
	if b.at.IsZero() || now.Before(b.at) {
		b.at = now
	}
	for {
		rate, until = b.rate.At(b.at)
		end := now
		if !until.IsZero() && until.Before(now) && until.After(b.at) {
			end = until
		}
		switch {
		case rate <= 0 && end.After(b.at):
			b.passed = max(b.passed, b.taken)
		case rate > 0:
			b.passed = min(b.passed+end.Sub(b.at).Seconds()*float64(rate), b.taken+float64(sipOf(rate)))
		}
		b.at = end
		if !end.Before(now) {
			return b.rate.At(now)
		}
	}
}
