package catalog_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// manyArchives makes n archives of 1 MiB, in no order of time, and gives ranges
// of them.
func (f *fixture) manyArchives(b *testing.B, n int) (all []catalog.RestoreRange) {
	b.Helper()
	check(b, f.Exec(b.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO archive (store, kind, state, run, settled, remote, size, tree, created, created_ns)
		SELECT ?, 'file', 10, ?, ?, 'a remote id, which is as long as those of vaults are: 138 characters. ' || hex(randomblob(32)), 1 << 20, randomblob(32), abs(random()) % 100000000, 0 FROM n`,
		n, f.store.ID, f.run.ID, f.run.ID))
	for id := range int64(n) {
		all = append(all, catalog.RestoreRange{Archive: id + 1, Range: firn.Range{End: 1 << 20}, Files: 1, Bytes: 1 << 20})
	}
	return all
}

// BenchmarkRestoreRanges takes a restore through its life: its ranges are added,
// listed, asked for, summed up and dropped.
func BenchmarkRestoreRanges(b *testing.B) {
	n := benchRows(b)
	f := newFixture(b)
	ctx := b.Context()
	ranges := f.manyArchives(b, n)
	id := f.plan(b, "k")
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			check(b, f.DropRestore(ctx, id))
			id = f.plan(b, "k")
			for i := 0; i < n; i += 10_000 {
				check(b, f.AddRanges(ctx, id, ranges[i:min(n, i+10_000)]))
			}
		}
		perSecond(b, n, "ranges")
	})
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			got := 0
			for _, err := range f.RestoreRanges(ctx, id) {
				check(b, err)
				got++
			}
			if got != n {
				b.Fatalf("%d ranges", got)
			}
		}
		perSecond(b, n, "ranges")
	})
	b.Run("set", func(b *testing.B) {
		changes := make([]catalog.RangeChange, 0, 1000)
		for b.Loop() {
			for r, err := range f.RestoreRanges(ctx, id) {
				check(b, err)
				changes = append(changes, catalog.RangeChange{Archive: r.Archive, From: r.Range.Start, State: catalog.RangeRequested, Tier: firn.Bulk, Asked: r.Asked + 1, Ready: f.clock.Now()})
				if len(changes) == cap(changes) {
					check(b, f.SetRanges(ctx, id, changes))
					changes = changes[:0]
				}
			}
		}
		perSecond(b, n, "ranges")
	})
	b.Run("totals", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.RangeTotals(ctx, id); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("wanted", func(b *testing.B) {
		for i := int64(0); b.Loop(); i++ {
			if is, err := f.WantedByRestore(ctx, i%int64(n)+1); err != nil || !is {
				b.Fatal(is, err)
			}
		}
	})
	b.Run("drop", func(b *testing.B) {
		for b.Loop() {
			check(b, f.DropRestore(ctx, id))
			b.StopTimer()
			id = f.plan(b, "k")
			check(b, f.AddRanges(ctx, id, ranges))
			b.StartTimer()
		}
		perSecond(b, n, "ranges")
	})
}
