package adopt

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A taker takes finds in, one batch while the next one is gathered.
type taker struct {
	Options
	ctx     context.Context
	finds   []catalog.Find
	names   int
	running chan error // nil where nothing is under way
}

// add takes one in, sooner or later.
func (t *taker) add(f catalog.Find) error {
	t.finds = append(t.finds, f)
	if t.names += len(f.Members); max(len(t.finds), t.names) < t.Batch {
		return nil
	}
	return t.flush()
}

// flush begins to take in what was gathered, once that before is done.
func (t *taker) flush() error {
	if err := t.wait(); err != nil || len(t.finds) == 0 {
		return err
	}
	finds := t.finds
	t.finds, t.names = make([]catalog.Find, 0, t.Batch), 0
	t.running = make(chan error, 1)
	go func() { t.running <- t.take(finds) }()
	return nil
}

// wait waits until nothing is under way.
func (t *taker) wait() error {
	if t.running == nil {
		return nil
	}
	err := <-t.running
	t.running = nil
	return err
}

func (t *taker) take(finds []catalog.Find) error {
	if !t.DryRun {
		if _, err := t.Catalog.TakeIn(t.ctx, t.Run, finds); err != nil {
			return err
		}
	} else if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	for i := range finds {
		f := &finds[i]
		for j := range f.Members {
			m := &f.Members[j]
			t.Events(firn.FileEvent{Action: firn.Recorded, Tree: m.Tree, Path: m.Path, Size: m.Stamp.Size, Archive: f.Archive.ID})
		}
	}
	return nil
}
