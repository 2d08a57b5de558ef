package migrate

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A source is an archive of a store that is ready, as the file that an upload
// reads: from memory, a window of bodySize at most at a time, each of which is
// brought once and stays until it is stored. Parts that are larger than that, or
// for which there is no memory, are read straight from the store, each time anew.
type source struct {
	*mover
	ctx  context.Context
	task *task
	part int64 // bytes of an upload's parts, once it is open; 0: it is read as one

	mu      sync.Mutex
	windows map[int64]*window // by number
	streams map[int64]*stream // by part
}

// A window is a piece of the archive in memory.
type window struct {
	once sync.Once
	data []byte
	held int64         // of mover.memory
	tree treehash.Hash // of data, as it came
	err  error
}

// A stream reads on in a part.
type stream struct {
	mu   sync.Mutex
	body io.ReadCloser // nil: none is open
	at   int64         // of the next byte
}

// Stamp says how many bytes there are. An archive never changes.
func (s *source) Stamp() (firn.Stamp, error) { return s.task.stamp(), nil }

// Sums are known of an archive of one leaf, whose tree hash is its plain SHA-256: of
// its bytes as they came. If memory altered them since, the target refuses them.
func (s *source) Sums() (sums treehash.Sums, known bool, err error) {
	if s.part > 0 || s.task.Size < 1 || s.task.Size > treehash.LeafSize {
		return sums, false, nil
	}
	w, err := s.window(0)
	if err != nil {
		return sums, false, err
	}
	return treehash.Sums{Linear: w.tree, Tree: w.tree}, true, nil
}

// ReadAt reads from the archive.
func (s *source) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		at := off + int64(n)
		if at >= s.task.Size {
			return n, io.EOF
		}
		k, rerr := s.read(p[n:], at)
		n, err = n+k, rerr
	}
	return n, err
}

// read copies from the window that a byte is in, or else from the store.
func (s *source) read(p []byte, at int64) (int, error) {
	if s.part > bodySize {
		return s.streamed(p, at)
	}
	w, err := s.window(at / s.unit())
	if errors.Is(err, errFull) {
		return s.streamed(p, at)
	}
	if err != nil {
		return 0, err
	}
	return copy(p, w.data[at%s.unit():]), nil
}

// unit is the size of windows: that of parts, so that each is let go of with one.
func (s *source) unit() int64 {
	if s.part > 0 {
		return min(s.part, bodySize)
	}
	return bodySize
}

// errFull says that there is no memory for a window now. Parts don't wait for any:
// others that have some may wait for what they hold.
var errFull = errors.New("no memory for it now")

// window gives a window, and brings it if it isn't there.
func (s *source) window(number int64) (*window, error) {
	s.mu.Lock()
	w := s.windows[number]
	if w == nil {
		w = &window{}
		s.windows[number] = w
	}
	s.mu.Unlock()
	w.once.Do(func() { w.err = s.fetch(w, number*s.unit()) })
	if w.err != nil {
		s.mu.Lock()
		if s.windows[number] == w {
			delete(s.windows, number) // whoever tries again brings it anew
		}
		s.mu.Unlock()
	}
	return w, w.err
}

// fetch brings a window from the store, verified as far as the store's hashes go.
func (s *source) fetch(w *window, at int64) error {
	n := min(s.unit(), s.task.Size-at)
	if n <= 0 {
		return nil
	}
	data, held, err := s.borrow(s.ctx, n, s.part == 0)
	if err != nil {
		return err
	}
	d := transfer.Download{Path: s.task.label, Job: s.task.job.ID, Offset: at, Size: n, Dest: transfer.Memory(data)}
	if d.Tree = s.task.tree; n != s.task.Size || d.Tree.IsZero() {
		d.Tree, d.Unproven = [32]byte{}, true
	}
	d.Arrived = func(ctx context.Context, p transfer.Piece) error {
		w.tree = p.Tree // a window is one piece
		s.stay(ctx)
		return nil
	}
	if _, err := s.down.Download(s.ctx, d); err != nil {
		s.giveBack(data, held)
		s.task.note(err)
		return err
	}
	w.data, w.held = data, held
	return nil
}

// streamed reads on where the part was read to, or from anywhere else in it.
func (s *source) streamed(p []byte, at int64) (int, error) {
	number := at / s.part
	s.mu.Lock()
	st := s.streams[number]
	if st == nil {
		st = &stream{}
		s.streams[number] = st
	}
	s.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	end := min((number+1)*s.part, s.task.Size)
	p = p[:min(int64(len(p)), end-at)]
	for try := 1; ; try++ {
		n, err := st.read(s, p, at, end)
		if err == nil || n > 0 {
			return n, nil
		}
		if firn.KindOf(err) != firn.Network || try == streamTries || s.ctx.Err() != nil {
			s.task.note(err)
			return 0, err
		}
	}
}

// streamTries is how often a body that broke off is opened anew without a byte
// between.
const streamTries = 5

func (st *stream) read(s *source, p []byte, at, end int64) (int, error) {
	if st.body != nil && st.at != at {
		st.close()
	}
	if st.body == nil {
		out, err := s.From.Store.Output(s.ctx, s.task.job.ID, firn.Range{Start: at, End: end})
		if err != nil {
			return 0, err
		}
		st.body, st.at = out, at
	}
	n, err := io.ReadFull(st.body, p)
	st.at += int64(n)
	s.stay(s.ctx)
	if err != nil || st.at == end {
		st.close()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = &firn.Error{Op: "receive", Subject: s.task.label, Kind: firn.Network, Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

func (st *stream) close() {
	if st.body != nil {
		st.body.Close()
		st.body = nil
	}
}

// release lets go of the windows of a range, which is stored: all of them are there,
// while others may be on their way.
func (s *source) release(at, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, w := range s.windows {
		if from := number * s.unit(); from >= at && from < at+n {
			s.drop(number, w)
		}
	}
	if st := s.streams[at/max(s.part, 1)]; s.part > 0 && st != nil {
		st.close()
		delete(s.streams, at/s.part)
	}
}

func (s *source) drop(number int64, w *window) {
	delete(s.windows, number)
	if w.data != nil {
		s.giveBack(w.data, w.held)
		w.data = nil
	}
}

// Close lets go of everything.
func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, w := range s.windows {
		s.drop(number, w)
	}
	for _, st := range s.streams {
		st.close()
	}
	return nil
}

// borrow gives memory for n bytes, once there is some, or errFull.
func (m *mover) borrow(ctx context.Context, n int64, wait bool) (data []byte, held int64, err error) {
	held = min(n, memory)
	if !wait && !m.memory.TryAcquire(held) {
		return nil, 0, errFull
	}
	if wait && m.memory.Acquire(ctx, held) != nil {
		return nil, 0, context.Cause(ctx)
	}
	if b, ok := m.buffers.Get().(*[]byte); ok && int64(cap(*b)) >= n {
		return (*b)[:n], held, nil
	}
	return make([]byte, n), held, nil
}

func (m *mover) giveBack(data []byte, held int64) {
	m.buffers.Put(&data)
	m.memory.Release(held)
}
