package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
	"golang.org/x/sync/errgroup"
)

// A Stream is what can be read only once, and to an end that nobody knows:
// standard input, or a pack that is being made.
type Stream struct {
	Path string // for events and errors
	// Body is read to its end. A Read that hangs when the upload has failed
	// goes on in the background until it returns.
	Body    io.Reader
	Journal Journal
	// Expect is how many bytes there will be, about; 0: nobody knows. All parts
	// of an upload have one size, so it can't grow with the stream.
	Expect int64
	// Spool is a folder. Parts wait there until the store has them, in a file
	// of the part size times the concurrency at most (but two parts at least)
	// that has no name where the system allows it, and so outlives nobody.
	Spool string
}

// UploadStream stores a stream as one archive. What ends within the first part,
// and within MaxSingle, goes up in one request. Whatever fails leaves nothing in
// the store, since nobody could go on with it, unless that is not known.
// Errors:
//
//   - InDoubt: all was sent and no answer came. Recorded; reconcile.
//   - Invalid: the stream is empty, or has more than Traits.MaxParts parts.
//   - Local: the stream can't be read; Full or Local: the spool can't be written.
//   - else that of the store, or Other with the context's cause. Where the
//     completion was asked for and not answered it stays recorded: a
//     reconciliation asks again.
//
// The journal's stamps are zero but for the size, which is 0 until it is known.
func (u *Uploader) UploadStream(ctx context.Context, t Stream) (Result, error) {
	if t.Body == nil || t.Journal == nil || t.Expect < 0 {
		return Result{}, failure("upload", t.Path, usage("check task", "it has no body or no journal, or expects %d bytes", t.Expect))
	}
	s := &stream{upload: &upload{Uploader: u, Task: Task{Source: Source{Path: t.Path}, Journal: t.Journal}}, expect: t.Expect}
	r, err := s.run(ctx, t)
	if cerr := s.close(); err == nil && cerr != nil {
		u.opt.Events(firn.NoticeEvent{Text: t.Path + ": " + cerr.Error(), Warn: true})
	}
	if err != nil {
		return Result{}, failure("upload", t.Path, err)
	}
	return r, nil
}

// A stream is one under way. Its file is the spool.
type stream struct {
	*upload
	in       *input
	spool    *spool
	expect   int64
	smallest int64 // part size below which there's no going

	spans      []treehash.Span // by part, as sent or to be sent
	size       int64           // read so far
	completing bool            // it may be an archive already
}

// A chunk is a part of a stream, or the first of it whole, in the spool.
type chunk struct {
	at, n int64 // in the spool
	sums  hashes
}

// run reads the first part, and makes attempts to send it. Only while all that
// was read is in the spool there can be another attempt.
func (s *stream) run(ctx context.Context, t Stream) (Result, error) {
	var err error
	if s.smallest, err = smallestPart(s.expect, s.traits); err != nil {
		return Result{}, err
	}
	part := s.partSize()
	slots := max(2, s.opt.Concurrency)
	if s.spool, err = newSpool(t.Spool, part, slots); err != nil {
		return Result{}, err
	}
	s.file = s.spool
	s.in = newInput(t.Body)
	defer s.in.close()
	head, err := s.read(ctx, 0, part)
	if err == nil && head.n == 0 && !s.traits.EmptyArchives {
		err = &firn.Error{Op: "read", Kind: firn.Invalid, Err: errors.New("there is nothing in it, and the store takes no empty archives")}
	}
	if err != nil {
		return Result{}, err
	}
	for {
		r, err := s.attempt(ctx, head)
		switch {
		case err == nil:
			return r, nil
		case !errors.Is(err, errTooSlow):
			return Result{}, s.giveUp(ctx, err)
		}
		if err := s.drop(ctx); err != nil {
			return Result{}, err
		}
	}
}

// partSize is the size of parts, as far as the line is known. Where no size is
// expected it also limits the whole.
func (s *stream) partSize() int64 {
	return partSize(s.opt.PartSize, s.smallest, s.reach(), s.traits)
}

// giveUp leaves nothing of a stream that can't be sent, also where the context
// has ended. Where it can't be told what there is, the record stays.
func (s *stream) giveUp(ctx context.Context, err error) error {
	kind := firn.KindOf(err)
	unknown := s.begun && !s.single && s.id == "" && (kind == firn.Lost || kind == firn.Other)
	if unknown || s.completing && kind != firn.Invalid && kind != firn.Corrupt {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return both(err, s.drop(ctx))
}

// patience is how long a user who wants to stop is kept waiting for an upload
// to be aborted. What is left is recorded, and aborted later.
const patience = 20 * time.Second

// attempt sends the stream, of which head was read.
func (s *stream) attempt(ctx context.Context, head chunk) (Result, error) {
	ended := head.n < s.spool.slot
	if !ended {
		more, err := s.in.more(ctx)
		if err != nil {
			return Result{}, err
		}
		ended = !more
	}
	reach := s.reach()
	s.single = ended && head.n <= min(MaxSingle, s.traits.MaxSingle) && (head.n <= s.smallest || reach == 0 || head.n <= reach)
	if !s.single {
		return s.inParts(ctx, head)
	}
	s.stamp = firn.Stamp{Size: head.n}
	c := firn.Content{Size: head.n, Tree: head.sums.Tree}
	if err := s.begin(ctx, c); err != nil {
		return Result{}, err
	}
	lone := maxBody
	if head.n <= s.smallest {
		lone = 0
	}
	id, err := s.sendOne(ctx, head.sums.Sums, lone)
	if err != nil {
		return Result{}, err
	}
	return s.stored(ctx, id, c, s.stamp)
}

// inParts sends the stream as a multipart upload: first the parts in head, by
// which the line gets known, then the rest.
func (s *stream) inParts(ctx context.Context, head chunk) (Result, error) {
	part := min(s.partSize(), s.spool.slot)
	if part < s.opt.PartSize && s.expect == 0 {
		s.opt.Events(firn.NoticeEvent{Text: fmt.Sprintf("%s: the line is slow; sending it in parts of %s, %s in all at most", s.Path, inMiB(part), inGiB(s.capacity(part)))})
	}
	s.stamp = firn.Stamp{}
	if err := s.begin(ctx, firn.Content{Size: s.expect}); err != nil {
		return Result{}, err
	}
	var err error
	if s.id, err = s.start(ctx, part); err != nil {
		return Result{}, err
	}
	if err := s.Journal.Opened(context.WithoutCancel(ctx), s.id, part); err != nil {
		return Result{}, err
	}
	if err := s.sendHead(ctx, head, part); err != nil {
		return Result{}, err
	}
	if err := s.sendRest(ctx, part); err != nil {
		return Result{}, err
	}
	c := firn.Content{Size: s.size, Tree: treehash.JoinSpans(s.spans)}
	s.completing = true
	return s.complete(ctx, c, firn.Stamp{Size: s.size})
}

// capacity is how many bytes fit into one upload.
func (s *stream) capacity(part int64) int64 { return part * int64(s.traits.MaxParts) }

// sendHead sends the parts in head. They get smaller together, and begin anew,
// where they are too large for the line.
func (s *stream) sendHead(ctx context.Context, head chunk, part int64) error {
	p := parts{head.n, part}
	s.spans = make([]treehash.Span, p.count())
	lone := maxBody
	if part <= s.smallest {
		lone = 0
	}
	for i := range s.spans {
		off, n := p.at(i)
		c := chunk{at: head.at + off, n: n, sums: head.sums}
		if len(s.spans) > 1 {
			var err error
			if c.sums, err = s.hash(ctx, c.at, off, c.n); err != nil {
				return err
			}
		}
		s.spans[i] = c.sums.span
		if err := s.sendPart(ctx, i, part, c, lone); err != nil {
			return err
		}
	}
	return nil
}

// hash reads n bytes at a place of the spool, which are at off in the stream.
func (s *stream) hash(ctx context.Context, at, off, n int64) (hashes, error) {
	d := treehash.NewDoubleAt(off)
	err := s.feed(ctx, d, at, n)
	return hashes{d.Sums(), d.Span()}, err
}

// sendRest reads the stream to its end, part by part, and sends as many parts at
// a time as the line gives slots for while it reads the next. The part size
// can't be changed any more: each takes as long as it takes.
func (s *stream) sendRest(ctx context.Context, part int64) error {
	free := make(chan int64, s.spool.slots)
	for i := range s.spool.slots {
		free <- int64(i) * s.spool.slot
	}
	group, inner := errgroup.WithContext(ctx)
	err := s.readRest(inner, part, free, func(i int, c chunk) {
		group.Go(func() error {
			err := s.sendPart(inner, i, part, c, 0)
			free <- c.at
			return err
		})
	})
	if failed := group.Wait(); failed != nil {
		return failed
	}
	return err
}

// readRest reads one part after the other into free slots, and hands them on.
func (s *stream) readRest(ctx context.Context, part int64, free <-chan int64, hand func(i int, c chunk)) error {
	for {
		if more, err := s.in.more(ctx); err != nil || !more {
			return err
		}
		if len(s.spans) == s.traits.MaxParts || s.size >= s.traits.MaxArchive {
			return s.tooLong(part)
		}
		var at int64
		select {
		case at = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c, err := s.read(ctx, at, part)
		if err != nil {
			return err
		}
		s.spans = append(s.spans, c.sums.span)
		hand(len(s.spans)-1, c)
	}
}

// tooLong says what would have sufficed: the next larger part size, at least.
func (s *stream) tooLong(part int64) error {
	e := &firn.Error{Op: "read", Kind: firn.Invalid, Hint: "split it"}
	e.Err = fmt.Errorf("there is more of it than fits into %d parts of %s, which is %s", s.traits.MaxParts, inMiB(part), inGiB(s.capacity(part)))
	larger := 2 * part
	if s.traits.AnyPart {
		larger = min(larger, s.traits.MaxPart)
	}
	if larger > part && larger <= s.traits.MaxPart {
		e.Hint = fmt.Sprintf("send it again from its start with parts of %s, for up to %s, or say how much to expect", inMiB(larger), inGiB(s.capacity(larger)))
	}
	return e
}

func inGiB(bytes int64) string { return fmt.Sprintf("%.4g GiB", float64(bytes)/(1<<30)) }

// read reads the next n bytes, or what there is, into the spool at a place, and
// hashes them on the way.
func (s *stream) read(ctx context.Context, at, n int64) (chunk, error) {
	c := chunk{at: at}
	d := treehash.NewDoubleAt(s.size)
	for c.n < n {
		p, err := s.in.next(ctx, n-c.n)
		if err != nil {
			return c, err
		}
		if len(p) == 0 {
			break
		}
		d.Write(p)
		if err := s.spool.write(p, at+c.n); err != nil {
			return c, err
		}
		c.n += int64(len(p))
	}
	s.size += c.n
	c.sums = hashes{d.Sums(), d.Span()}
	return c, nil
}

// sendPart sends part i until the store has it, and records that. What is in
// the spool was hashed when it came: it is not read again where it is refused.
func (s *stream) sendPart(ctx context.Context, i int, part int64, c chunk, lone time.Duration) error {
	off := int64(i) * part
	for try := 1; ; {
		t, err := s.line.acquire(ctx, c.n)
		if err != nil {
			return err
		}
		_, err = s.send(ctx, t, c.at, c.n, lone, func(ctx context.Context, body *io.SectionReader) error {
			return s.store.UploadPart(ctx, s.id, off, body, c.sums.Sums)
		})
		t.release()
		if err == nil {
			return s.Journal.Part(context.WithoutCancel(ctx), firn.Part{Offset: off, Size: c.n, Tree: c.sums.Tree})
		}
		switch kind := firn.KindOf(err); {
		case errors.Is(err, errCrowded):
		case errors.Is(err, errTooSlow), kind == firn.SlowBody && lone > 0:
			return s.tooSlow(part)
		case kind == firn.SlowBody && try < tries:
			s.line.halve()
			try++
		case kind == firn.Corrupt && try < tries:
			try++
		case kind == firn.NotFound:
			return fmt.Errorf("%w: %w", errGone, err)
		default:
			return err
		}
	}
}
