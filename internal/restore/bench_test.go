package restore

import (
	"runtime"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// BenchmarkSpans works on a million ranges, each of an archive of its own: what a
// restore holds of them, and what its rounds and passes do with it.
func BenchmarkSpans(b *testing.B) {
	const n = 1_000_000
	fill := func() *spans {
		s := &spans{}
		for i := range int64(n) {
			s.add(&catalog.RestoreRange{Archive: i + 1, Range: firn.Range{End: 5 << 20}, Files: 1, Bytes: 5 << 20, State: catalog.RangeRequested, Tier: firn.Bulk, Asked: 1}, firn.VaultPace)
		}
		s.sort()
		return s
	}
	b.Run("held", func(b *testing.B) {
		for b.Loop() {
			before := heapNow()
			s := fill()
			b.ReportMetric(float64(heapNow()-before)/n, "B/range")
			runtime.KeepAlive(s)
		}
	})
	s := fill()
	b.Run("round", func(b *testing.B) {
		for b.Loop() {
			s.beginPass()
			if s.anyReady() || s.left() != n || s.has(catalog.RangePlanned) || len(s.used()) > 0 {
				b.Fatal("nothing happened yet")
			}
		}
	})
	b.Run("judge", func(b *testing.B) {
		for i := int64(0); b.Loop(); i++ {
			if is, _, _ := s.judge(i%n+1, firn.Range{End: 5 << 20}, nil); is != notYet {
				b.Fatal(is)
			}
		}
	})
	one := &spans{} // of the largest archive there may be
	for i := range int64(40_000) {
		one.add(&catalog.RestoreRange{Archive: 1, Range: firn.Range{Start: i << 30, End: (i + 1) << 30}}, firn.VaultPace)
	}
	b.Run("find", func(b *testing.B) {
		for i := int64(0); b.Loop(); i++ {
			if one.find(1, i%40_000<<30) == nil {
				b.Fatal(i)
			}
		}
	})
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
