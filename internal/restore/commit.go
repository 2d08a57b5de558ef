package restore

import (
	"context"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
)

const (
	// commitsAtOnce is how many finished files are made durable at a time: it
	// takes the disk as long as one.
	commitsAtOnce = 256
	// namesAtOnce is how many of them get their names side by side.
	namesAtOnce = 4
)

// A finished file is verified, and has a temporary name.
type finished struct {
	item
	f *os.File
}

// commitAll gives files their names, once they are durable.
func (r *restorer) commitAll(ctx context.Context, done <-chan finished) error {
	batch := make([]finished, 0, commitsAtOnce)
	for first := range done {
		batch = append(batch[:0], first)
		for more := true; more && len(batch) < commitsAtOnce; {
			select {
			case next, ok := <-done:
				if more = ok; ok {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		if err := r.commit(ctx, batch); err != nil {
			for left := range done {
				r.drop(left)
			}
			return err
		}
	}
	return nil
}

// commit gives a batch of files their metadata, makes them durable, and gives
// them their names.
func (r *restorer) commit(ctx context.Context, batch []finished) error {
	ready := batch[:0]
	for i, one := range batch {
		if err := r.target.dressNew(one.folder, one.f, one.file); err != nil {
			r.target.discard(one.folder, one.f, one.file.Path)
			if err := r.outcome(ctx, one.item, localError("restore", one.from, err)); err != nil {
				for _, left := range slices.Concat(ready, batch[i+1:]) {
					r.drop(left)
				}
				return err
			}
			continue
		}
		ready = append(ready, one)
	}
	if err := r.target.flush.files(ready); err != nil {
		for _, one := range ready {
			r.drop(one)
		}
		return localError("restore to", r.To, err)
	}
	if err := r.learn(ctx, ready...); err != nil {
		for _, one := range ready {
			r.drop(one)
		}
		return err
	}
	var g errgroup.Group
	g.SetLimit(namesAtOnce)
	for _, one := range ready {
		g.Go(func() error {
			if err := r.target.put(one.folder, one.f, one.file, one.was); err != nil {
				return r.outcome(ctx, one.item, localError("restore", one.from, err))
			}
			r.settle(one.item, firn.Restored, nil)
			if d := r.days; d != nil && !d.inParts(&one.item) {
				d.meter.arrived(one.content.Size)
			}
			return nil
		})
	}
	return g.Wait()
}

// drop gives a file up that the run can't finish.
func (r *restorer) drop(one finished) {
	r.target.discard(one.folder, one.f, one.file.Path)
	r.links.settle(one.item, false)
	r.leave(one.folder, true)
}
