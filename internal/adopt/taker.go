package adopt

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A taker takes finds in while the next ones are gathered.
type taker struct {
	Options
	ctx    context.Context
	intake *catalog.Intake
	finds  []catalog.Find
	names  int
	taken  []taken // used again for each transaction
	// full are finds on their way to a goroutine that takes them in, which says at
	// last how it ended; nil where none is under way.
	full chan []catalog.Find
	done chan error
}

const (
	// handfuls is of how many handfuls a batch is: those that are gathered, are on
	// their way, and are taken in are in memory.
	handfuls = 4
	// perCommit is how many batches go into one transaction.
	perCommit = 12
)

// add takes one in, sooner or later.
func (t *taker) add(f catalog.Find) error {
	f.Prepare()
	t.finds = append(t.finds, f)
	if t.names += len(f.Members); max(len(t.finds), t.names) < t.Batch/handfuls {
		return nil
	}
	return t.hand()
}

// hand hands over what was gathered.
func (t *taker) hand() error {
	if t.full == nil {
		t.full, t.done = make(chan []catalog.Find, handfuls-2), make(chan error, 1)
		go t.run(t.full, t.done)
	}
	select {
	case t.full <- t.finds:
		t.finds, t.names = make([]catalog.Find, 0, len(t.finds)), 0
		return nil
	case err := <-t.done:
		t.full = nil
		return err
	}
}

// flush hands over the rest, and waits until all is taken in.
func (t *taker) flush() error {
	if len(t.finds) > 0 {
		if err := t.hand(); err != nil {
			return err
		}
	}
	return t.wait()
}

// wait waits until what was handed over is taken in.
func (t *taker) wait() error {
	if t.full == nil {
		return nil
	}
	close(t.full)
	t.full = nil
	return <-t.done
}

// run takes in what it gets, until there is no more or it fails.
func (t *taker) run(full <-chan []catalog.Find, done chan<- error) {
	for first := range full {
		if err := t.take(first, full); err != nil {
			done <- err
			return
		}
	}
	done <- nil
}

// A taken is what is told of a name once that is taken in.
type taken struct {
	tree, path string
	size       int64
	archive    firn.ArchiveID
}

// take takes in the first finds, and in the same transaction those that are there
// already when these are written.
func (t *taker) take(first []catalog.Find, full <-chan []catalog.Find) error {
	names := t.taken[:0]
	var archives int
	next := func() (finds []catalog.Find) {
		if first != nil {
			finds, first = first, nil
		} else if max(archives, len(names)) < perCommit*t.Batch {
			select {
			case finds = <-full:
			default:
			}
		}
		archives += len(finds)
		for i := range finds {
			f := &finds[i]
			for j := range f.Members {
				m := &f.Members[j]
				names = append(names, taken{m.Tree, m.Path, m.Stamp.Size, f.Archive.ID})
			}
		}
		return finds
	}
	if !t.DryRun {
		if _, err := t.intake.Take(t.ctx, next); err != nil {
			return err
		}
	} else if next(); t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	for _, n := range names {
		t.Events(firn.FileEvent{Action: firn.Recorded, Tree: n.tree, Path: n.path, Size: n.size, Archive: n.archive})
	}
	clear(names)
	t.taken = names
	return nil
}
