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
	// windowsKept bounds the memory: so many, and one for each file that is
	// worked on at a time.
	windowsKept = 8
	// largeMember is a member that is fetched for itself, in pieces.
	largeMember = 4 * windowSize
)

// fetchMember fetches a member of a bundle, or of another program's tar, out of
// what a job brings. Members lie in the order in which they are wanted, so that
// one request brings many.
func (r *restorer) fetchMember(ctx context.Context, it item, job firn.Job, to *os.File) error {
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
		r.windows.forget(job.ID)
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
	most  int

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
	at    firn.Range    // of the output, shorter than others at its ends
	there chan struct{} // closed when data or err is set
	data  []byte
	err   error
}

func newWindows(d *transfer.Downloader, concurrency int) *windows {
	return &windows{fetch: d.Fetch, most: windowsKept + concurrency, held: map[spot]*list.Element{}}
}

// get gives what is held of a job's output from an offset on: some bytes at
// least, unless the output ends there.
func (w *windows) get(ctx context.Context, from output, off int64) ([]byte, error) {
	if off < from.has.Start || off >= from.has.End {
		return nil, nil
	}
	won, run := w.claim(from, off/windowSize)
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
	return won.data[off-won.at.Start:], nil
}

// claim finds the n-th window, or makes it and those to be fetched with it: run
// is what the caller has to fetch.
func (w *windows) claim(from output, n int64) (won *window, run []*window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.held[spot{from.job, n}]; e != nil {
		w.recent.MoveToFront(e)
		return e.Value.(*window), nil
	}
	count := int64(1)
	if w.held[spot{from.job, n - 1}] != nil && w.held[spot{from.job, n - 2}] != nil {
		count = ahead // a single member that crosses from one to the next says nothing of what follows
	}
	for i := n; i < n+count && i*windowSize < from.has.End; i++ {
		s := spot{from.job, i}
		if w.held[s] != nil {
			break
		}
		at := firn.Range{Start: max(i*windowSize, from.has.Start), End: min((i+1)*windowSize, from.has.End)}
		next := &window{spot: s, at: at, there: make(chan struct{})}
		w.held[s] = w.recent.PushFront(next)
		run = append(run, next)
	}
	for w.recent.Len() > w.most {
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
	start := run[0].at.Start
	data, err := w.fetch(ctx, from.job, from.open, firn.Range{Start: start, End: run[len(run)-1].at.End})
	for _, one := range run {
		if one.err = err; err == nil {
			one.data = bytes.Clone(data[one.at.Start-start : one.at.End-start]) // each is let go for itself
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
