package syncer

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/treehash"
)

// ascertain hashes files that may have changed until it is sure whether there is
// a mass of changes. Those that have the content they had are recorded so, and
// not hashed again by this run.
func (s *syncer) ascertain(ctx context.Context, g *guard) error {
	if g.unsure > g.unread && (s.Detect == plan.ByTime || s.Detect == plan.ByTimeAndHash) {
		s.Events(firn.NoticeEvent{Text: "very many files were touched since the last sync: hashing them before anything is sent, to see whether they have changed"})
	}
	since := s.now()
	c := &checker{syncer: s, guard: g}
	files := make(chan plan.Decision, 4*s.Concurrency)
	group, during := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(files)
		return c.find(during, files)
	})
	for range s.Concurrency {
		group.Go(func() error {
			buf := make([]byte, 256<<10)
			for d := range files {
				if err := c.check(during, d, buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	// What was hashed before an interrupt isn't hashed again after it.
	err = errors.Join(err, c.flush(context.WithoutCancel(ctx)))
	s.since = since
	return err
}

// A checker hashes the files that a guard is unsure of.
type checker struct {
	*syncer
	mu      sync.Mutex
	guard   *guard
	changes []catalog.Change
	bytes   int64 // of their content
}

// recordBytes is how many bytes are hashed at most until that is recorded.
const recordBytes = 1 << 30

// isSettled reports whether more hashing would teach nothing.
func (c *checker) isSettled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.guard
	return g.isMass(g.changed+g.gone) || !g.isMass(g.changed+g.gone+g.unsure)
}

// find gives the files that are to be hashed.
func (c *checker) find(ctx context.Context, files chan<- plan.Decision) error {
	for dir, err := range c.compared(ctx) {
		if err != nil {
			return err
		}
		for _, d := range dir.Entries {
			if d.Action != plan.Hash || c.Modes.declines(&d) != "" {
				continue
			}
			if c.isSettled() {
				return nil
			}
			select {
			case files <- d:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// check hashes one file. What can't be read is no change: it is told later, when
// it can't be sent.
func (c *checker) check(ctx context.Context, d plan.Decision, buf []byte) error {
	if c.isSettled() {
		return nil
	}
	size := d.File.Stamp.Size
	c.Events(firn.PlanEvent{Files: 1, Bytes: size})
	change, err := c.hash(ctx, *d.File, buf)
	c.Events(firn.PlanEvent{Files: -1, Bytes: -size})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guard.unsure--
	switch {
	case err != nil:
		c.guard.same++
		return nil
	case change.Content != d.Known.Content:
		c.guard.changed++
		c.guard.show(d.File.Path)
		return nil
	}
	c.guard.same++
	c.changes = append(c.changes, change)
	c.bytes += change.Content.Size
	if len(c.changes) < recordBatch && c.bytes < recordBytes {
		return nil
	}
	return c.flush(ctx)
}

// flush records the files that were touched and nothing else.
func (c *checker) flush(ctx context.Context) error {
	if len(c.changes) == 0 {
		return nil
	}
	_, err := c.Catalog.Record(ctx, c.this, c.changes)
	c.changes, c.bytes = c.changes[:0], 0
	return err
}

// hash reads a file, with a buffer of the caller's, and gives what the catalog
// is told where it has changed in nothing but its metadata.
func (c *checker) hash(ctx context.Context, file firn.File, buf []byte) (catalog.Change, error) {
	read := c.now()
	f, err := c.root.Open(file.Path)
	if err != nil {
		return catalog.Change{}, err
	}
	defer f.Close()
	info, err := f.Info()
	if err != nil {
		return catalog.Change{}, err
	}
	content, err := contentOf(ctx, f, buf)
	if err != nil {
		return catalog.Change{}, err
	}
	now, err := f.Stamp()
	if err == nil && !now.Equal(info.Stamp) {
		err = &firn.Error{Op: "read", Subject: file.Path, Kind: firn.Changed}
	}
	file.Mode, file.UID, file.GID, file.Links = info.Mode, info.UID, info.GID, info.Links
	file.Stamp = stampOf(file.Stamp, info.Stamp)
	return catalog.Change{File: file, Content: content, Read: read, LinkGroup: linkGroup(&file)}, err
}

// contentOf reads r to its end. Most files fit in the buffer.
func contentOf(ctx context.Context, r io.Reader, buf []byte) (firn.Content, error) {
	n, err := io.ReadFull(r, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return firn.Content{Size: int64(n), Tree: treehash.Sum(buf[:n])}, nil
	}
	h := treehash.New()
	for err == nil {
		if ctx.Err() != nil {
			return firn.Content{}, context.Cause(ctx)
		}
		h.Write(buf[:n])
		n, err = r.Read(buf)
	}
	if err != io.EOF {
		return firn.Content{}, err
	}
	h.Write(buf[:n])
	return firn.Content{Size: h.Written(), Tree: h.Sum()}, nil
}
