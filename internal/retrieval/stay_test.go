package retrieval_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/transfer"
)

// A snail is a store whose bytes take their time, by the clock.
type snail struct {
	firn.Store
	clock *clock.Manual
	perMB time.Duration
}

func (s *snail) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	out, err := s.Store.Output(ctx, id, at)
	if err == nil {
		s.clock.Advance(time.Duration(float64(at.Len()) / mib * float64(s.perMB)))
	}
	return out, err
}

// TestCopiesStay: what a round fetches too slowly for its copies is asked to stay, in
// time, and thaws once; what is fetched in time isn't, nor what is fetched already.
func TestCopiesStay(t *testing.T) {
	for name, test := range map[string]struct {
		archives, size int
		perMB          time.Duration
		stays          bool
	}{
		"one large, slow":  {1, 16 * mib, 10 * time.Hour, true},
		"one large":        {1, 16 * mib, 2 * time.Hour, false},
		"many small, slow": {16, mib, 10 * time.Hour, true},
		"many small":       {16, mib, time.Minute, false},
	} {
		for _, pieces := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " in pieces ", pieces), func(t *testing.T) {
				c := newCold(t)
				var wants []retrieval.Want
				for i := range test.archives {
					w, _ := c.archive(fmt.Sprint("a", i), test.size)
					wants = append(wants, w)
				}
				c.store = &snail{c.store, c.Clock, test.perMB}
				o := c.options()
				down, err := transfer.NewDownloader(c.store, transfer.DownloadOptions{Clock: c.Clock, PieceSize: mib, Concurrency: 1})
				c.check(err)
				o.Store, o.Downloader, o.Concurrency = c.store, down, 1
				fetched := 0
				res, err := retrieval.New(o).Run(t.Context(), wants, func(ctx context.Context, w retrieval.Want, r *retrieval.Ready) error {
					fetched++
					if !pieces {
						return r.Download(ctx, transfer.Memory(make([]byte, w.Size)))
					}
					for at := int64(0); at < w.Size; at += mib {
						if _, err := r.Fetch(ctx, firn.Range{Start: at, End: at + mib}); err != nil {
							return err
						}
					}
					return nil
				}, true)
				if err != nil || len(res.Failed)+len(res.Pending) > 0 || fetched != len(wants) {
					t.Fatalf("%d fetched, %+v, %v", fetched, res, err)
				}
				ledger, err := c.Catalog.Ledger(t.Context(), c.Row.ID, c.Clock.Now().AddDate(0, -2, 0), c.Clock.Now().AddDate(0, 1, 0))
				c.check(err)
				calls := map[catalog.Op]int64{}
				for _, one := range ledger.Charges {
					calls[one.Op] += one.Calls
				}
				if n := int64(len(wants)); calls[catalog.CopyOp] != n || calls[catalog.ExtendOp] > 0 != test.stays || calls[catalog.ExtendOp] > 3*n {
					t.Errorf("asked %v times", calls)
				}
				c.restores(int(calls[catalog.CopyOp] + calls[catalog.ExtendOp]))
			})
		}
	}
}
