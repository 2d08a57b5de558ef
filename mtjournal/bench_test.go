package mtjournal

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
)

// benchLines is the journal of the budget.
const benchLines = 300_000

// bigJournal has as many archives, with ids as long as the service's.
func bigJournal() []byte {
	var text []byte
	for i := range benchLines {
		r := stored('B', fmt.Sprintf("photos/%d/week %02d/IMG_%08d.jpg", 2000+i/20000, i/400%52, i))
		r.Archive = fmt.Sprintf("%08d", i) + r.Archive[8:]
		text, _ = r.AppendLine(text)
	}
	return text
}

// BenchmarkRead reads the journal.
func BenchmarkRead(b *testing.B) {
	text := bigJournal()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range Records(bytes.NewReader(text)) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != benchLines {
			b.Fatal(n, "records")
		}
	}
	b.ReportMetric(float64(b.N)*benchLines/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkLoad makes a state of it, and says how much memory that holds.
func BenchmarkLoad(b *testing.B) {
	text := bigJournal()
	b.ReportAllocs()
	var before, after runtime.MemStats
	var s *State
	for b.Loop() {
		s = nil
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		var err error
		if s, err = Load(bytes.NewReader(text), func(bad *LineError) { b.Fatal(bad) }); err != nil || s.Len() != benchLines {
			b.Fatal(err)
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.StartTimer()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchLines, "B/archive")
	b.ReportMetric(float64(b.N)*benchLines/b.Elapsed().Seconds(), "lines/s")
	runtime.KeepAlive(s)
}

// BenchmarkAppend makes lines durable, 100 at a time.
func BenchmarkAppend(b *testing.B) {
	a, err := OpenAppend(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	records := make([]Record, 100)
	for i := range records {
		records[i] = stored('B', fmt.Sprint("photos/", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Append(records...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(records))/b.Elapsed().Seconds(), "lines/s")
}
