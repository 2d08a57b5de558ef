package syncer

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/treehash"
)

const (
	// batchFiles and batchBytes bound what one goroutine reads at a time: large
	// enough that asking the catalog about all of it at once pays, small enough
	// that a few of them fit in memory.
	batchFiles = 128
	batchBytes = 1 << 20
	// readTries is how often a file is read that changes meanwhile.
	readTries = 3
)

// A reading is a file that is to be a member of a bundle, and what was read of
// it.
type reading struct {
	upload
	read    time.Time
	content firn.Content
	// data is the content; nil where there is none, where it is stored already,
	// and where the file is too large to be held in memory.
	data   []byte
	large  bool // it is to be read while it is written to the bundle
	stored bool // the store holds its content
	asked  int  // how many bundles had landed when it was asked whether it does
	twin   bool // it was large, and a bundle under way holds its content
	err    error
}

// A batch is some files that come one after the other.
type batch struct {
	files []reading
	bytes int64
	buf   []byte        // that their data is in
	done  chan struct{} // closed when they are read
}

// isStoredAs reports whether the file has the content that is stored of it, in
// whatever archive: for other recipients, perhaps.
func (u *upload) isStoredAs(c firn.Content) bool {
	return u.known != nil && u.known.Stored && u.known.Content == c
}

// A reader reads small files, in batches side by side, and hands them out in
// the order in which they came.
type reader struct {
	*syncer
	buffers sync.Pool // of *[]byte
}

// readAll reads what comes from files, and hands each batch to use, in order.
func (s *syncer) readAll(ctx context.Context, files <-chan upload, use func(*batch) error) error {
	r := &reader{syncer: s}
	g, ctx := errgroup.WithContext(ctx)
	todo := make(chan *batch)
	queue := make(chan *batch, s.Concurrency)
	g.Go(func() error {
		defer close(todo)
		defer close(queue)
		return gather(ctx, files, func(b *batch) error {
			for _, to := range []chan<- *batch{queue, todo} {
				select {
				case to <- b:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	})
	for range s.Concurrency {
		g.Go(func() error {
			o := r.root.Opener()
			defer o.Close()
			for b := range todo {
				if err := r.readBatch(ctx, o, b); err != nil {
					return err
				}
				close(b.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		for b := range queue {
			select {
			case <-b.done:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := use(b); err != nil {
				return err
			}
			r.buffers.Put(&b.buf)
		}
		return nil
	})
	return g.Wait()
}

// gather makes batches of files.
func gather(ctx context.Context, files <-chan upload, give func(*batch) error) error {
	var b *batch
	flush := func() error {
		if b == nil {
			return nil
		}
		full := b
		b = nil
		return give(full)
	}
	for {
		select {
		case u, ok := <-files:
			if !ok {
				return flush()
			}
			if b == nil {
				b = &batch{done: make(chan struct{})}
			}
			b.files = append(b.files, reading{upload: u})
			if u.file.Kind == firn.Regular {
				b.bytes += u.file.Stamp.Size
			}
			if len(b.files) == batchFiles || b.bytes >= batchBytes {
				if err := flush(); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// readBatch reads the files of a batch, and asks which of them are stored.
func (r *reader) readBatch(ctx context.Context, o *scan.Opener, b *batch) error {
	if p, ok := r.buffers.Get().(*[]byte); ok && int64(cap(*p)) >= b.bytes {
		b.buf = (*p)[:0]
	} else {
		b.buf = make([]byte, 0, min(b.bytes, 2*batchBytes))
	}
	var ask []firn.Content
	var asked []*reading
	landings := r.flying.landings()
	for i := range b.files {
		f := &b.files[i]
		f.read = r.now()
		if f.file.Kind == firn.Regular && f.file.Stamp.Size > 0 {
			f.err = r.readFile(o, f, &b.buf)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case f.err != nil || f.content.Size == 0 || r.always:
		case f.isStoredAs(f.content):
			f.stored, f.data = true, nil
		default:
			f.asked = landings
			ask, asked = append(ask, f.content), append(asked, f)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	found, err := r.Catalog.FindContents(ctx, r.Row.ID, r.this.Recipients, ask)
	for i, f := range asked {
		if err == nil && found[i].Archive != 0 {
			f.stored, f.data = true, nil
		}
	}
	return err
}

// readFile reads a file whole, into free space of buf, unless it is large. What
// the store is told of a file must be true of the bytes that it gets.
func (r *reader) readFile(o *scan.Opener, f *reading, buf *[]byte) error {
	for try := 1; ; try++ {
		err := r.readOnce(o, f, buf)
		if !errors.Is(err, errChanging) || try == readTries {
			return err
		}
	}
}

// errChanging is of kind Changed: the next run tries again.
var errChanging = errors.New("it changed while it was read")

func changing(path string) error {
	return &firn.Error{Op: "read", Subject: path, Kind: firn.Changed, Err: errChanging, Hint: "the next run tries again; stop what writes to it, or take a snapshot"}
}

func (r *reader) readOnce(o *scan.Opener, f *reading, buf *[]byte) error {
	file, err := o.Open(f.file.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	f.read = r.now()
	info, err := file.Info()
	if err != nil {
		return err
	}
	f.file = refreshed(f.file, info)
	size := info.Stamp.Size
	if f.large = size > batchBytes; f.large {
		return nil
	}
	if size == 0 {
		f.content = firn.Content{Tree: emptyTree}
		return nil
	}
	start := len(*buf)
	if int64(cap(*buf)-start) < size {
		// It is of another size than the scan saw.
		*buf, start = make([]byte, 0, size), 0
	}
	data := (*buf)[start : start+int(size)]
	if _, err := io.ReadFull(file, data); err == io.ErrUnexpectedEOF || err == io.EOF {
		return changing(f.file.Path)
	} else if err != nil {
		return &firn.Error{Op: "read", Subject: f.file.Path, Kind: firn.Local, Err: err}
	}
	now, err := file.Stamp()
	if err != nil {
		return err
	}
	if !now.Equal(info.Stamp) {
		return changing(f.file.Path)
	}
	*buf = (*buf)[:start+int(size)]
	f.data, f.content = data, firn.Content{Size: size, Tree: treehash.Sum(data)}
	return nil
}

// refreshed takes from the open file what may have changed since the scan.
func refreshed(scanned, opened firn.File) firn.File {
	scanned.Mode, scanned.UID, scanned.GID, scanned.Links = opened.Mode, opened.UID, opened.GID, opened.Links
	scanned.Stamp = stampOf(scanned.Stamp, opened.Stamp)
	return scanned
}

// copyInto adds a large file to a bundle while it reads it.
func (s *syncer) copyInto(ctx context.Context, p *pack, f *reading) error {
	for try := 1; ; try++ {
		err := s.copyOnce(ctx, p, f)
		if firn.KindOf(err) != firn.Changed || try == readTries {
			return err
		}
	}
}

func (s *syncer) copyOnce(ctx context.Context, p *pack, f *reading) error {
	file, err := s.root.Open(f.file.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	f.read = s.now()
	info, err := file.Info()
	if err != nil {
		return err
	}
	f.file = refreshed(f.file, info)
	m, err := p.w.AppendFrom(ctx, f.file, file, linkGroup(&f.file))
	if err != nil {
		return err
	}
	now, err := file.Stamp()
	if err == nil && !now.Equal(info.Stamp) {
		err = changing(f.file.Path)
	}
	if err != nil {
		return errors.Join(err, p.w.Undo())
	}
	f.content = m.Content
	if !s.always {
		// In this order: what lands in between is in the catalog by then.
		f.twin = s.flying.has(f.content)
		f.stored, err = s.isContentStored(ctx, f.content)
		f.twin = f.twin && !f.stored
	}
	if err != nil || f.stored || f.twin {
		return errors.Join(err, p.w.Undo())
	}
	p.add(f, m)
	return nil
}

// linkGroup is what the hard links of a file have in common.
func linkGroup(f *firn.File) int64 {
	if f.Links < 2 || f.Kind != firn.Regular {
		return 0
	}
	return int64(f.Stamp.Inode)
}

// change is what the catalog is told of a file that was read.
func (f *reading) change() catalog.Change {
	return catalog.Change{File: f.file, Content: f.content, Read: f.read, Mount: f.mount, LinkGroup: linkGroup(&f.file)}
}
