package transfer

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// A Dest is where a download is written to: a file, mostly.
type Dest interface {
	io.WriterAt // called from several goroutines at once, never past Size
	// ReadAt reads back what an earlier process wrote, to verify it.
	io.ReaderAt
}

// An Opening opens a range of what is to be fetched. A body that breaks off may
// be opened again from there on.
type Opening func(ctx context.Context, at firn.Range) (firn.Output, error)

// A Piece is a range of a download that has arrived: Tree is the tree hash of
// its bytes. Offsets are multiples of a power of two MiB, so that each piece
// is a node of the whole's hash tree.
type Piece struct {
	Offset, Size int64 // bytes
	Tree         treehash.Hash
}

// A Download is the output of one retrieval job, to be fetched.
type Download struct {
	Path string // for events and errors
	Job  firn.JobID
	// Open, unless nil, gives bytes in place of the job's output: of an archive
	// that is encrypted, say. It is as Output of a firn.Retriever.
	Open Opening
	// Offset is where in the job's output the bytes begin: 0 unless they are a
	// member of an archive that holds more.
	Offset int64
	Size   int64         // bytes to fetch
	Tree   treehash.Hash // of these bytes, from a source that is trusted
	// Unproven: nobody knows Tree, which is zero. What the store says of the
	// pieces, if anything, is all that the bytes are verified with.
	Unproven bool
	Dest     Dest // where they go from 0 on
	// Done lists the pieces that an earlier process fetched. They are read
	// back from Dest and fetched again where they differ, so that the list
	// needs no fsync to be safe.
	Done []Piece
	// Arrived is told of each piece that is fetched and written, from one
	// goroutine at a time; nil: nobody. An error ends the download.
	Arrived func(ctx context.Context, p Piece) error
}

// A Downloaded is what became of a download.
type Downloaded struct {
	Fetched int64 // bytes received, repeats included
	Resumed int64 // bytes that were there already
	// Proven: every byte was verified. It is false only where Tree was unknown,
	// and the store gave no hash of some piece that it sent, or some piece was
	// there already.
	Proven bool
}

// DownloadOptions are the knobs of a Downloader. Zero values mean defaults.
type DownloadOptions struct {
	PieceSize   int64       // bytes; 1 MiB times a power of two; default 64 MiB
	Concurrency int         // pieces in flight over all downloads
	Clock       clock.Clock // the machine's
	Events      firn.Sink   // firn.Discard
}

const (
	// defaultPieceSize in bytes: large enough that a request is nothing
	// beside it, small enough to fetch again.
	defaultPieceSize = 64 * mib
	// maxPieces of one download: their hashes stay in memory.
	maxPieces = 1 << 16
)

// A Downloader fetches job outputs from one store. It is safe for concurrent
// use, and its bound on pieces in flight holds over all of them.
type Downloader struct {
	store firn.Retriever
	opt   DownloadOptions
	slots *semaphore.Weighted
	bufs  buffers
}

// NewDownloader gives a Downloader from a store. Options that make no sense
// give Usage.
func NewDownloader(store firn.Retriever, opt DownloadOptions) (*Downloader, error) {
	opt.PieceSize = cmp.Or(opt.PieceSize, defaultPieceSize)
	opt.Concurrency = cmp.Or(opt.Concurrency, DefaultConcurrency)
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	if opt.Events == nil {
		opt.Events = firn.Discard
	}
	if err := CheckPartSize(opt.PieceSize); err != nil {
		return nil, err
	}
	if opt.Concurrency < 1 {
		return nil, usage("set up downloads", "a concurrency of %d makes no sense", opt.Concurrency)
	}
	return &Downloader{store: store, opt: opt, slots: semaphore.NewWeighted(int64(opt.Concurrency))}, nil
}

// A download is one Download under way.
type download struct {
	*Downloader
	Download
	parts
	events firn.Sink

	mu    sync.Mutex
	trees []treehash.Hash // by piece, where it is there
	state []state         // by piece

	received atomic.Int64 // bytes
	resumed  atomic.Int64 // bytes
}

// A state says how sure a piece is.
type state byte

const (
	missing state = iota
	found         // in Dest, as an earlier process said it was
	fetched       // as it came; the store gave no hash of it
	proven        // the store gave a hash, and it was this
)

// Download fetches what is missing of a job's output, and returns nil when all
// of Dest has the expected tree hash. Whether Dest is durable is the caller's
// concern. An error's kind says what to make of it:
//
//   - NotFound, NotReady: the job's output is gone, or not there yet.
//   - Corrupt: what the store sends is not what is expected, however often it
//     is fetched.
//   - Local, Full: Dest can't be written or read.
//   - else that of the store, or Other with the context's cause. What arrived
//     stays, and was told to Arrived.
func (d *Downloader) Download(ctx context.Context, t Download) (Downloaded, error) {
	dl, err := d.plan(t)
	if err == nil {
		err = dl.run(ctx)
	}
	if err != nil {
		return Downloaded{}, failure("download", t.Path, err)
	}
	return Downloaded{Fetched: dl.received.Load(), Resumed: dl.resumed.Load(), Proven: dl.isProven()}, nil
}

// isProven reports whether every byte was verified, once all are there.
func (d *download) isProven() bool {
	return !d.Tree.IsZero() || !slices.ContainsFunc(d.state, func(s state) bool { return s != proven })
}

// Fetch brings a range of a job's output, or of what open gives if that isn't
// nil, into memory, for callers who know how to verify it, or to verify what
// they take out of it. A connection that breaks goes on where it broke. It emits
// no events. Errors: as of Download.
func (d *Downloader) Fetch(ctx context.Context, job firn.JobID, open Opening, at firn.Range) ([]byte, error) {
	size := at.End - at.Start
	if size < 1 || at.Start < 0 {
		return nil, usage("fetch", "bytes %d to %d are no range", at.Start, at.End)
	}
	if err := d.slots.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	defer d.slots.Release(1)
	to := make(Memory, size)
	dl := &download{
		Downloader: d, Download: Download{Job: job, Open: open, Offset: at.Start, Size: size, Dest: to}, parts: parts{size, size},
		events: firn.Discard, trees: make([]treehash.Hash, 1), state: make([]state, 1),
	}
	return to, dl.fetch(ctx, 0)
}

// Memory is a Dest of fixed size, into which bytes are read straight from the store.
type Memory []byte

// WriteAt writes to it.
func (m Memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, fmt.Errorf("%d bytes at %d are beyond %d", len(p), off, len(m))
	}
	return copy(m[off:], p), nil
}

// ReadAt reads from it.
func (m Memory) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (d *Downloader) plan(t Download) (*download, error) {
	if t.Dest == nil || t.Size < 0 || t.Offset < 0 {
		return nil, usage("check task", "it has no destination, or %d bytes from %d on", t.Size, t.Offset)
	}
	if m, ok := t.Dest.(Memory); ok && int64(len(m)) < t.Size {
		return nil, usage("check task", "it has %d bytes, and memory for %d", t.Size, len(m))
	}
	if t.Tree.IsZero() != t.Unproven {
		return nil, usage("check task", "it has no tree hash to verify the bytes with, or has one and shall not use it")
	}
	p := parts{t.Size, d.opt.PieceSize}
	for p.count() > maxPieces {
		p.part *= 2
	}
	return &download{
		Downloader: d, Download: t, parts: p, events: d.opt.Events,
		trees: make([]treehash.Hash, p.count()), state: make([]state, p.count()),
	}, nil
}

// run fetches, and, where the whole differs although each piece seemed right,
// fetches those once more that nothing but the whole can prove.
func (d *download) run(ctx context.Context) error {
	if err := d.confirm(ctx); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := d.fetchMissing(ctx); err != nil || d.Unproven {
			return err
		}
		whole := treehash.Combine(d.trees)
		if whole == d.Tree {
			return nil
		}
		if try > 1 || !d.forgetUnproven() {
			return &firn.Error{
				Op: "verify", Kind: firn.Corrupt,
				Err:  fmt.Errorf("the tree hash is %s, and should be %s", whole, d.Tree),
				Hint: "nothing of it is to be trusted",
			}
		}
	}
}

// forgetUnproven makes those pieces missing for which the store gave no hash,
// and reports whether there are any.
func (d *download) forgetUnproven() bool {
	forgot := false
	for i, st := range d.state {
		_, n := d.at(i)
		switch st {
		case proven:
			continue
		case found:
			d.resumed.Add(-n)
		case fetched:
			d.events(firn.TransferEvent{Path: d.Path, Bytes: -n})
		}
		d.state[i] = missing
		forgot = true
	}
	return forgot
}

// confirm keeps the pieces of Done that are in Dest.
func (d *download) confirm(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(d.opt.Concurrency)
	for _, p := range d.Done {
		i, ok := d.index(p.Offset, p.Size)
		if !ok {
			continue // of another plan
		}
		group.Go(func() error { return d.reread(ctx, i, p) })
	}
	return group.Wait()
}

// reread keeps piece i if Dest holds what p says.
func (d *download) reread(ctx context.Context, i int, p Piece) error {
	if err := d.slots.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer d.slots.Release(1)
	tree := treehash.New()
	switch err := d.bufs.feed(ctx, tree, d.Dest, p.Offset, p.Size); {
	case err == io.ErrUnexpectedEOF:
		return nil // lost in a power cut
	case err != nil && ctx.Err() == nil:
		return local("read", err)
	case err != nil:
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if tree.Sum() == p.Tree && d.state[i] == missing { // the list may have it twice
		d.trees[i], d.state[i] = p.Tree, found
		d.resumed.Add(p.Size)
	}
	return nil
}

// fetchMissing fetches all pieces that are not there. One that is alone needs no
// goroutine of its own, whose stack would have to grow for each anew.
func (d *download) fetchMissing(ctx context.Context) error {
	if len(d.trees) == 1 {
		return d.fetchAlone(ctx)
	}
	group, ctx := errgroup.WithContext(ctx)
	var stopped error
	for i := range d.trees {
		if d.is(i) != missing {
			continue
		}
		if stopped = d.slots.Acquire(ctx, 1); stopped != nil {
			stopped = context.Cause(ctx)
			break
		}
		group.Go(func() error {
			defer d.slots.Release(1)
			return d.fetch(ctx, i)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return stopped
}

// fetchAlone fetches the one piece that there is, unless it is there.
func (d *download) fetchAlone(ctx context.Context) error {
	if d.is(0) != missing {
		return nil
	}
	if err := d.slots.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer d.slots.Release(1)
	return d.fetch(ctx, 0)
}

// output opens a range of what is fetched.
func (d *download) output(ctx context.Context, at firn.Range) (firn.Output, error) {
	if d.Open != nil {
		return d.Open(ctx, at)
	}
	return d.store.Output(ctx, d.Job, at)
}

func (d *download) is(i int) state {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state[i]
}

// arrived notes that piece i is in Dest.
func (d *download) arrived(ctx context.Context, i int, tree treehash.Hash, st state) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trees[i], d.state[i] = tree, st
	if d.Arrived == nil {
		return nil
	}
	off, n := d.at(i)
	return d.Arrived(context.WithoutCancel(ctx), Piece{Offset: off, Size: n, Tree: tree})
}
