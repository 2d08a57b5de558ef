package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
	"golang.org/x/sync/errgroup"
)

// A multipart is one attempt in parts.
type multipart struct {
	*upload
	parts
	smallest int64    // part size below which there's no going
	ahead    []hashes // of each part, where all was hashed first

	mu     sync.Mutex
	trees  []treehash.Hash // by part; zero: not stored yet
	spans  []treehash.Span // of those that are stored
	stored int             // parts
}

func (up *upload) newMultipart(p parts, smallest int64) *multipart {
	n := p.count()
	return &multipart{upload: up, parts: p, smallest: smallest, trees: make([]treehash.Hash, n), spans: make([]treehash.Span, n)}
}

// inParts uploads the file as a new multipart upload.
func (up *upload) inParts(ctx context.Context, smallest int64) (Result, error) {
	part := partSize(up.opt.PartSize, smallest, up.reach(), up.traits)
	m := up.newMultipart(parts{up.stamp.Size, part}, smallest)
	c := firn.Content{Size: m.size}
	if up.HashFirst && up.Known != nil {
		if err := m.hashAhead(ctx, &c); err != nil {
			return Result{}, err
		}
		if yes, err := up.known(ctx, c); err != nil || yes {
			return up.duplicate(c), err
		}
	}
	if err := up.begin(ctx, c); err != nil {
		return Result{}, err
	}
	var err error
	if up.id, err = up.start(ctx, part); err != nil {
		if kind := firn.KindOf(err); kind != firn.Lost && kind != firn.Other {
			err = both(err, up.drop(ctx)) // surely nothing was opened
		}
		return Result{}, err
	}
	if err := up.Journal.Opened(context.WithoutCancel(ctx), up.id, part); err != nil {
		return Result{}, err
	}
	return m.finish(ctx)
}

// hashAhead reads the file once and keeps both hashes of each part, so that
// the parts need no pass of their own when they are sent.
func (m *multipart) hashAhead(ctx context.Context, c *firn.Content) error {
	t, err := m.line.acquire(ctx, 0)
	if err != nil {
		return err
	}
	defer t.release()
	m.ahead = make([]hashes, m.count())
	spans := make([]treehash.Span, m.count())
	for i := range m.ahead {
		off, n := m.at(i)
		if m.ahead[i], err = m.hash(ctx, off, n); err != nil {
			return err
		}
		spans[i] = m.ahead[i].span
	}
	c.Tree = treehash.JoinSpans(spans)
	return nil
}

// start opens an upload. A lost answer is looked for in the list of uploads.
func (up *upload) start(ctx context.Context, part int64) (firn.UploadID, error) {
	for try := 1; ; try++ {
		id, err := up.store.StartUpload(ctx, up.name.Description, part)
		if firn.KindOf(err) != firn.Lost || try == tries || up.opt.TokenOf == nil {
			return id, err
		}
		found, err := up.find(ctx, part)
		if err != nil {
			// Whatever this failure is, the upload is still lost.
			return "", &firn.Error{Op: "find upload", Kind: firn.Lost, Err: err}
		}
		if found.ID != "" {
			return found.ID, nil
		}
		if err := up.pause(ctx, try); err != nil {
			return "", err
		}
	}
}

// find looks for the open upload that bears the task's token and has parts of
// part bytes (0: any), and aborts all others that bear it. It answers with an
// empty id where there is none.
func (up *upload) find(ctx context.Context, part int64) (firn.Upload, error) {
	var found firn.Upload
	var extra []firn.UploadID
	for u, err := range up.store.Uploads(ctx) {
		if err != nil {
			return firn.Upload{}, err
		}
		token, ok := up.opt.TokenOf(u.Description)
		switch {
		case !ok || token != up.name.Token:
		case found.ID == "" && (part == 0 || u.PartSize == part):
			found = u
		default:
			extra = append(extra, u.ID)
		}
	}
	for _, id := range extra {
		if err := up.store.AbortUpload(ctx, id); err != nil {
			return firn.Upload{}, err
		}
	}
	return found, nil
}

// finish sends what is missing and makes the parts into an archive.
func (m *multipart) finish(ctx context.Context) (Result, error) {
	for try := 1; ; try++ {
		if err := m.sendMissing(ctx); err != nil {
			return Result{}, err
		}
		if err := m.unchanged(); err != nil {
			return Result{}, err
		}
		c := firn.Content{Size: m.size, Tree: treehash.JoinSpans(m.spans)}
		r, err := m.complete(ctx, c, m.stamp)
		kind := firn.KindOf(err)
		if kind != firn.Invalid && kind != firn.Corrupt || try > 1 {
			return r, err
		}
		if err := m.review(ctx); err != nil {
			return Result{}, err
		}
	}
}

// complete asks for the archive. An upload that is gone may be one.
func (up *upload) complete(ctx context.Context, c firn.Content, s firn.Stamp) (Result, error) {
	if err := up.Journal.Completing(ctx, c); err != nil {
		return Result{}, err
	}
	id, err := up.store.CompleteUpload(firn.WithReceipt(ctx, &up.receipt), up.id, c.Size, c.Tree)
	switch {
	case firn.KindOf(err) == firn.NotFound:
		return Result{}, up.doubt(ctx, err)
	case err != nil:
		return Result{}, err
	}
	return up.stored(ctx, id, c, s)
}

// review compares the store's list with what was sent, and forgets the parts
// that differ, after the store would not complete.
func (m *multipart) review(ctx context.Context) error {
	have := make(map[int64]firn.Part, m.count())
	for p, err := range m.store.Parts(ctx, m.id) {
		if firn.KindOf(err) == firn.NotFound {
			return m.doubt(ctx, err)
		}
		if err != nil {
			return err
		}
		have[p.Offset] = p
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.trees {
		off, n := m.at(i)
		if !same(have[off], firn.Part{Offset: off, Size: n, Tree: m.trees[i]}) {
			m.trees[i] = treehash.Hash{}
			m.stored--
		}
	}
	return nil
}

// sendMissing sends all parts that are not stored, as many at a time as the
// line gives slots for. It asks for one slot after another, so that files take
// turns.
func (m *multipart) sendMissing(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	room := make(chan struct{}, 2*m.opt.Concurrency) // some send, some record
	var stopped error
	for i := range m.trees {
		if m.has(i) {
			continue
		}
		room <- struct{}{} // before the slot, which must not wait for room
		_, n := m.at(i)
		t, err := m.line.acquire(ctx, n)
		if err != nil {
			stopped = err
			break
		}
		group.Go(func() error {
			defer func() { <-room }()
			return m.sendPart(ctx, i, t)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return stopped
}

func (m *multipart) has(i int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.trees[i].IsZero()
}

// keep notes that the store has part i.
func (m *multipart) keep(i int, tree treehash.Hash, span treehash.Span) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trees[i], m.spans[i] = tree, span
	m.stored++
}

// lone is how long a part may take when nothing else is in flight: as long as
// it takes where it can't be smaller, longer than planned where stored parts
// would be lost.
func (m *multipart) lone() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.part <= m.smallest:
		return 0
	case m.stored > 0:
		return ceiling
	}
	return maxBody
}

// sendPart sends part i until the store has it, and records that. It begins
// with the slot t and gives it back.
func (m *multipart) sendPart(ctx context.Context, i int, t *ticket) error {
	var sums hashes
	if m.ahead != nil {
		sums = m.ahead[i]
	}
	off, n := m.at(i)
	for try := 1; ; {
		lone := m.lone()
		err := m.tryPart(ctx, i, t, lone, &sums)
		t.release()
		if err == nil {
			m.keep(i, sums.Tree, sums.span)
			return m.Journal.Part(context.WithoutCancel(ctx), firn.Part{Offset: off, Size: n, Tree: sums.Tree})
		}
		kind := firn.KindOf(err)
		switch {
		case errors.Is(err, errCrowded), errors.Is(err, errTooSlow) && lone < m.lone():
			// Again, when there's room, or with more time.
		case errors.Is(err, errTooSlow):
			return m.tooSlow(m.part)
		case kind == firn.NotFound:
			return fmt.Errorf("%w: %w", errGone, err)
		case kind == firn.SlowBody && m.lone() == maxBody:
			return m.tooSlow(m.part)
		case kind == firn.SlowBody && try < tries:
			m.line.halve()
			try++
		case kind == firn.Corrupt && try < tries:
			sums = hashes{} // read it again
			try++
		default:
			return err
		}
		if t, err = m.line.acquire(ctx, n); err != nil {
			return err
		}
	}
}

// tryPart hashes part i, unless sums has its hashes, and sends it once.
func (m *multipart) tryPart(ctx context.Context, i int, t *ticket, lone time.Duration, sums *hashes) (err error) {
	off, n := m.at(i)
	if sums.Tree.IsZero() {
		*sums, err = m.hash(ctx, off, n)
	} else {
		err = m.unchanged()
	}
	if err != nil {
		return err
	}
	_, err = m.send(ctx, t, off, n, lone, func(ctx context.Context, body *io.SectionReader) error {
		return m.store.UploadPart(ctx, m.id, off, body, sums.Sums)
	})
	return err
}
