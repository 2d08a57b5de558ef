package restore

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/firn-archive/firn"
)

// A measurement of how fast a store's bytes arrive counts from so many on, in
// bytes and in time: less is mostly waiting.
const (
	meterBytes = 64 << 20
	meterTime  = 10 * time.Second
)

// A meter measures how fast bytes arrive.
type meter struct {
	began time.Time
	bytes atomic.Int64
}

func (m *meter) start(now time.Time) {
	m.began = now
	m.bytes.Store(0)
}

// arrived counts bytes that were fetched and verified.
func (m *meter) arrived(n int64) { m.bytes.Add(n) }

// stop records the rate, if it was measured. What went before counts for half.
func (m *meter) stop(ctx context.Context, r *restorer) {
	took, n := r.Clock.Now().Sub(m.began), m.bytes.Load()
	if n < meterBytes || took < meterTime {
		return
	}
	rate := float64(n) / took.Seconds()
	was, known, err := r.Catalog.DownloadRate(ctx, r.Row.ID)
	if err == nil && known {
		rate = (rate + was) / 2
	}
	if err == nil {
		err = r.Catalog.SetDownloadRate(ctx, r.Row.ID, rate)
	}
	if err != nil {
		r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("how fast the store's bytes arrive could not be recorded: %v", err)})
	}
}
