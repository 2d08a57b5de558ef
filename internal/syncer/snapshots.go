package syncer

import (
	"context"
	"time"

	"github.com/firn-archive/firn"
)

// withSnapshots does work, which may take weeks, and makes snapshots of the
// catalog beside it whenever it is time. One that can't be made is told, and the
// next one has it all.
func (s *syncer) withSnapshots(ctx context.Context, work func(context.Context) error) error {
	if s.Snapshots == nil {
		return work(ctx)
	}
	beside, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	wanted, done := make(chan struct{}, 1), make(chan struct{})
	s.midway = wanted
	go func() {
		defer close(done)
		for range wanted {
			if err := s.Snapshots.Make(beside, s.this); err != nil && beside.Err() == nil {
				s.Events(firn.NoticeEvent{Text: err.Error(), Warn: true})
			}
		}
	}()
	err := work(ctx)
	if err != nil {
		stop(err)
	}
	s.midway = nil
	close(wanted)
	<-done
	return err
}

// noteStored notes that so many bytes more are stored.
func (s *syncer) noteStored(bytes int64) {
	if s.midway == nil || !s.Snapshots.Sent(bytes) {
		return
	}
	select {
	case s.midway <- struct{}{}:
	default: // one is to be made already
	}
}

// saveBefore puts a snapshot of the catalog into the store before the archives
// are deleted that are due: else a machine that is lost afterwards would be
// recovered with versions whose content is gone. Where that can't be, nothing is
// deleted.
func (s *syncer) saveBefore(ctx context.Context, due time.Time) error {
	if s.Snapshots == nil {
		return nil
	}
	any := false
	for _, err := range s.Catalog.Deletions(ctx, s.Row.ID, due) {
		if err != nil {
			return err
		}
		any = true
		break
	}
	if !any {
		return nil
	}
	err := s.Snapshots.Make(ctx, s.this)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.letGo.Unsaved = true
	s.Events(firn.NoticeEvent{Text: "nothing is deleted: " + err.Error(), Warn: true})
	return nil
}
