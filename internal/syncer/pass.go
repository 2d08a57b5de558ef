package syncer

import (
	"context"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
)

// A job is something for the uploads to do. It gives an error only where the
// run can't go on.
type job func(context.Context) error

// pass takes decisions, records what needs no upload, and sends the rest, all
// at the same time: the first archive is on its way before the scan has ended.
//
//	decide -> route -> work, Concurrency at a time
//	               \-> bundles -/
func (s *syncer) pass(ctx context.Context, decisions iter.Seq2[*plan.Dir, error]) error {
	g, ctx := errgroup.WithContext(ctx)
	uploads := make(chan upload, 4*s.Concurrency)
	small, work := make(chan upload, batchFiles), make(chan job)
	g.Go(func() error {
		defer close(uploads)
		return s.decide(ctx, decisions, uploads)
	})
	var senders sync.WaitGroup // of work
	senders.Add(2)
	g.Go(func() error {
		defer senders.Done()
		defer close(small)
		return s.route(ctx, uploads, small, work)
	})
	g.Go(func() error {
		defer senders.Done()
		return s.bundleAll(ctx, small, work)
	})
	g.Go(func() error {
		senders.Wait()
		close(work)
		return nil
	})
	for range s.Concurrency {
		g.Go(func() error {
			for do := range work {
				if err := do(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// route sends small files and what has no content to the bundles, and all else
// to the uploads.
func (s *syncer) route(ctx context.Context, uploads <-chan upload, small chan<- upload, work chan<- job) error {
	for u := range uploads {
		if s.isSmall(&u.file) {
			select {
			case small <- u:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			continue
		}
		select {
		case work <- func(ctx context.Context) error { return s.uploadOne(ctx, u) }:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// uploadOne sees a file into the store that shares no archive.
func (s *syncer) uploadOne(ctx context.Context, u upload) error {
	if s.isLone(&u.file) {
		return s.sendLone(ctx, u)
	}
	return s.upload(ctx, u)
}

// isSmall reports whether a file belongs into a bundle. An upload that an
// earlier run began of it goes on, though.
func (s *syncer) isSmall(f *firn.File) bool {
	_, begun := s.resumable[f.Path]
	return s.Bundling.takes(f) && (f.Kind != firn.Regular || !begun)
}
