package restore

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

const (
	// windowSize is what is fetched of a bundle at a time, in bytes, for a
	// member that nothing near it was wanted of.
	windowSize = 1 << 20
	// ahead is how many windows are fetched at once where members are wanted
	// one after the other.
	ahead = 2
	// windowsKept bounds the memory.
	windowsKept = 8
	// largeMember is a member that is fetched for itself, in pieces.
	largeMember = 4 * windowSize
)

// fetchMember fetches a member of a bundle, or of another program's tar, out of
// a job's output. Members lie
// in the order in which they are wanted, so that one request brings many.
func (r *restorer) fetchMember(ctx context.Context, it item, job firn.JobID, to *os.File) error {
	if done, err := r.copyFromTar(it, to); done || err != nil {
		return err
	}
	from, err := r.output(ctx, it, job)
	if err != nil {
		return err
	}
	if it.content.Size > largeMember {
		return r.fetchAlone(ctx, it, from, to)
	}
	for again := false; ; again = true {
		got, err := r.copyMember(ctx, it, from, to)
		switch {
		case firn.KindOf(err) == firn.Corrupt:
			// What is damaged may lie beside it.
			return r.fetchAlone(ctx, it, from, to)
		case err != nil:
			return err
		case got == it.content.Tree:
			r.Events(firn.TransferEvent{Path: it.file.Path, Bytes: it.content.Size})
			return nil
		case again:
			return &firn.Error{
				Op: "verify", Kind: firn.Corrupt,
				Err:  fmt.Errorf("bytes %d to %d of the archive have the tree hash %s, and should have %s", it.loc.Offset, it.loc.Offset+it.content.Size, got, it.content.Tree),
				Hint: "nothing of it is to be trusted",
			}
		}
		r.windows.forget(job)
	}
}

// fetchAlone fetches nothing but the member, in pieces.
func (r *restorer) fetchAlone(ctx context.Context, it item, from output, to *os.File) error {
	_, err := r.Downloader.Download(ctx, transfer.Download{
		Path: it.file.Path, Job: from.job, Open: from.open, Offset: it.loc.Offset, Size: it.content.Size, Tree: it.content.Tree, Dest: to,
	})
	return err
}

// copyMember writes a member to a file, and gives its tree hash.
func (r *restorer) copyMember(ctx context.Context, it item, from output, to *os.File) (sum treehash.Hash, err error) {
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return sum, localError("restore", it.from, err)
	}
	h := treehash.New()
	for off, end := it.loc.Offset, it.loc.Offset+it.content.Size; off < end; {
		data, err := r.windows.get(ctx, from, off)
		if err != nil {
			return sum, err
		}
		data = data[:min(int64(len(data)), end-off)]
		if len(data) == 0 {
			return sum, &firn.Error{Op: "verify", Kind: firn.Corrupt, Err: errors.New("the archive ends before its member")}
		}
		h.Write(data)
		if _, err := to.Write(data); err != nil {
			return sum, localError("restore", it.from, err)
		}
		off += int64(len(data))
	}
	return h.Sum(), nil
}

// windows keep what was fetched last of bundles, in memory.
type windows struct {
	fetch func(ctx context.Context, job firn.JobID, open transfer.Opening, at firn.Range) ([]byte, error)

	mu     sync.Mutex
	held   map[spot]*list.Element
	recent list.List // of *window; the one used last is first
}

// A spot is the n-th window of a job's output.
type spot struct {
	job firn.JobID
	n   int64
}

// A window is a piece that was fetched, or is being fetched.
type window struct {
	spot
	there chan struct{} // closed when data or err is set
	data  []byte
	err   error
}

func newWindows(d *transfer.Downloader) *windows {
	return &windows{fetch: d.Fetch, held: map[spot]*list.Element{}}
}

// get gives what is held of a job's output from an offset on: some bytes at
// least, unless the output ends there.
func (w *windows) get(ctx context.Context, from output, off int64) ([]byte, error) {
	if off >= from.size {
		return nil, nil
	}
	at := spot{from.job, off / windowSize}
	won, run := w.claim(at, (from.size+windowSize-1)/windowSize)
	if len(run) > 0 {
		w.fill(ctx, from, run)
	}
	select {
	case <-won.there:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if won.err != nil {
		return nil, won.err
	}
	return won.data[off%windowSize:], nil
}

// claim finds a window, or makes it and those to be fetched with it: run is
// what the caller has to fetch. count is how many the output has.
func (w *windows) claim(at spot, count int64) (won *window, run []*window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.held[at]; e != nil {
		w.recent.MoveToFront(e)
		return e.Value.(*window), nil
	}
	n := int64(1)
	if w.held[spot{at.job, at.n - 1}] != nil {
		n = ahead
	}
	for i := at.n; i < min(at.n+n, count); i++ {
		s := spot{at.job, i}
		if w.held[s] != nil {
			break
		}
		next := &window{spot: s, there: make(chan struct{})}
		w.held[s] = w.recent.PushFront(next)
		run = append(run, next)
	}
	for w.recent.Len() > windowsKept {
		w.drop(w.recent.Back())
	}
	return run[0], run
}

// drop lets a window go. Whoever waits for it still gets it.
func (w *windows) drop(e *list.Element) {
	delete(w.held, e.Value.(*window).spot)
	w.recent.Remove(e)
}

// fill fetches windows that stand side by side. What fails is not kept.
func (w *windows) fill(ctx context.Context, from output, run []*window) {
	start := run[0].n * windowSize
	data, err := w.fetch(ctx, from.job, from.open, firn.Range{Start: start, End: min(start+int64(len(run))*windowSize, from.size)})
	for i, one := range run {
		if one.err = err; err == nil {
			begin := i * windowSize
			one.data = bytes.Clone(data[begin:min(begin+windowSize, len(data))]) // each is let go for itself
		}
		close(one.there)
	}
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range run {
		if e := w.held[one.spot]; e != nil && e.Value.(*window) == one {
			w.drop(e)
		}
	}
}

// forget lets go of all that is held of a job's output.
func (w *windows) forget(job firn.JobID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := w.recent.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*window).job == job {
			w.drop(e)
		}
		e = next
	}
}
