package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
)

// A measurement of how fast archives go from store to store counts from so many on,
// in bytes and in time, as that of a restore: less is mostly waiting.
const (
	meterBytes = 64 << 20
	meterTime  = 10 * time.Second
)

// measure records how fast the source's bytes were copied in a round, by which is
// decided how much is asked for at a time. What went before counts for half.
func (r *round) measure(ctx context.Context, bytes int64) {
	r.mover.mu.Lock()
	took := r.lastCopied.Sub(r.since)
	r.mover.mu.Unlock()
	if bytes < meterBytes || took < meterTime {
		return
	}
	rate := float64(bytes) / took.Seconds()
	if r.known {
		rate = (rate + r.rate) / 2
	}
	if err := r.Catalog.SetDownloadRate(ctx, r.From.Row.ID, rate); err != nil {
		r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("how fast the store's bytes arrive could not be recorded: %v", err)})
	}
}

// stay has copies that the source has thawed stay, while others are fetched.
func (m *mover) stay(ctx context.Context) {
	m.asker.Stay(ctx, func(yield func(retrieval.Want, error) bool) {
		var at catalog.CopyCursor
		for n := pageSize; n == pageSize; {
			page, next, err := m.Catalog.CopyPage(ctx, m.m.ID, at, pageSize)
			if err != nil {
				yield(retrieval.Want{}, err)
				return
			}
			for i := range page {
				if !yield(newTask(page[i]).want, nil) {
					return
				}
			}
			at, n = next, len(page)
		}
	})
}

func (m *mover) copiedBytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.res.Copied.Bytes
}

// began notes a job that was asked for.
func (r *round) began(id firn.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != "" {
		r.asked = id
	}
}

// refused notes when it may be asked again.
func (r *round) refused(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next.IsZero() || until.Before(r.next) {
		r.next = until
	}
}

// isQuick reports whether the source has ready at once what it is asked for, though
// it doesn't say so: one request tells.
func (r *round) isQuick(ctx context.Context) bool {
	if r.asked == "" {
		return false
	}
	job, err := r.From.Store.Job(ctx, r.asked)
	return err == nil && job.State == firn.JobReady
}
