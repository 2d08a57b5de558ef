package retrieval_test

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/bench/usage"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/heap"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
)

// A crowd is a store with very many jobs, which it makes up when it lists them:
// the i-th brings the i-th archive.
type crowd struct {
	firn.Store
	jobs  int
	whole bool // each brings all of its archive
	now   time.Time
	state firn.JobState
	lists int

	catalog *catalog.Catalog // that knows it as
	row     int64
}

// The lengths of ids are those of the service.
func crowdArchive(i int) firn.ArchiveID { return firn.ArchiveID(fmt.Sprintf("%0138d", i)) }

func crowdToken(i int) (t firn.Token) {
	copy(t[:], fmt.Sprintf("%016d", i))
	return t
}

func (c *crowd) job(i int) firn.Job {
	j := firn.Job{
		ID: firn.JobID(fmt.Sprintf("%092d", i)), Kind: firn.RetrievalJob, State: c.state, Message: "Succeeded",
		Description: describe.Job(crowdToken(i), "restore"), Created: c.now, Tier: firn.Bulk,
		Archive: crowdArchive(i), ArchiveSize: 64 << 20, Range: firn.Range{Start: 4 << 20, End: 6 << 20},
	}
	j.ArchiveTree[0] = 1
	if c.whole {
		j.Range, j.RangeTree = firn.Range{End: j.ArchiveSize}, j.ArchiveTree
	}
	if c.state == firn.JobReady {
		j.Completed = c.now.Add(5 * time.Hour)
	}
	return j
}

func (c *crowd) Jobs(context.Context) iter.Seq2[firn.Job, error] {
	c.lists++
	return func(yield func(firn.Job, error) bool) {
		for i := range c.jobs {
			if !yield(c.job(i), nil) {
				return
			}
		}
	}
}

func (c *crowd) Job(context.Context, firn.JobID) (firn.Job, error) { panic("it asks for one job") }

// crowded gives an asker of a store with n jobs, of which the catalog knows that
// it asked for them.
func crowded(tb testing.TB, n int, ours, whole bool) (*retrieval.Asker, *crowd, *clock.Manual) {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	c, err := catalog.Open(tb.Context(), filepath.Join(tb.TempDir(), "catalog.db"), now)
	must(err)
	tb.Cleanup(func() { c.Close() })
	row, err := c.Register(tb.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	must(err)
	store := &crowd{Store: storetest.NewMemory(slow), jobs: n, whole: whole, now: now.Now(), state: firn.JobRunning, catalog: c, row: row.ID}
	if ours {
		var seen []catalog.SeenJob
		for i := range n {
			seen = append(seen, catalog.SeenJob{Token: crowdToken(i), Job: store.job(i)})
			if len(seen) == 5000 || i == n-1 {
				must(c.JobsSeen(tb.Context(), row.ID, seen))
				seen = seen[:0]
			}
		}
	}
	now.Advance(5 * time.Hour)
	store.state = firn.JobReady
	return retrieval.New(retrieval.Options{Catalog: c, Row: row.ID, Store: store, Clock: now}), store, now
}

// BenchmarkLook100k looks at 100,000 jobs: those of this catalog that have become
// ready, for parts of archives or all of them, the same again without news, those of
// others, and those that are gone; and it says what is kept of each.
func BenchmarkLook100k(b *testing.B) {
	const jobs = 100_000
	heap.Set() // as in firn, since memory is measured
	for _, how := range []struct {
		name                  string
		ours, whole, old, end bool
	}{
		{name: "ready", ours: true}, {name: "whole archives ready", ours: true, whole: true}, {name: "no news", ours: true, old: true},
		{name: "others"}, {name: "gone", ours: true, end: true},
	} {
		b.Run(how.name, func(b *testing.B) {
			var held uint64
			for b.Loop() {
				b.StopTimer()
				a, store, now := crowded(b, jobs, how.ours, how.whole)
				if how.old {
					look(b, a)
				}
				if how.end {
					store.jobs = 0
					now.Advance(48 * time.Hour)
				}
				before := inUse()
				b.StartTimer()
				look(b, a)
				b.StopTimer()
				held = max(held, inUse()-min(before, inUse()))
				if _, ok := a.Find(retrieval.Want{Remote: crowdArchive(jobs - 1), Range: &firn.Range{Start: 5 << 20, End: 6 << 20}}); ok == how.end {
					b.Error("the last job isn't as it should be")
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*jobs/b.Elapsed().Seconds(), "jobs/s")
			b.ReportMetric(float64(held)/jobs, "held-B/job")
			if peak := usage.PeakMemory(); peak > 0 {
				b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			}
		})
	}
}

func look(tb testing.TB, a *retrieval.Asker) {
	tb.Helper()
	if err := a.Look(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
