package heap_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/firn-archive/firn/internal/heap"
)

// TestSet: little memory in use is collected at eight MiB or so, and not at four as by
// default; and what isn't touched takes none.
func TestSet(t *testing.T) {
	keep := heap.Set()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if grows := m.NextGC - m.HeapAlloc; grows < 7<<20 || grows > 10<<20 {
		t.Errorf("collected after %d bytes more", grows)
	}
	keep()
	if was := debug.SetGCPercent(100); was != 25 {
		t.Errorf("%d %%", was)
	}
}
