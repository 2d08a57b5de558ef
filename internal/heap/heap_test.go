package heap_test

import (
	"runtime"
	"testing"

	"github.com/firn-archive/firn/internal/heap"
)

// TestSet: little memory in use is collected at eight MiB more, and not at four in all
// as by default; much, at an eighth more, and not at twice as much; and little again as
// before.
func TestSet(t *testing.T) {
	heap.Set()
	grows(t, 7<<20, 12<<20)
	much := make([]byte, 128<<20)
	grows(t, 22<<20, 26<<20)
	runtime.KeepAlive(much)
	grows(t, 7<<20, 12<<20)
}

// grows wants the heap to grow by so many bytes before it is collected, once the
// collector has seen what is in use.
func grows(t *testing.T, least, most uint64) {
	t.Helper()
	var m runtime.MemStats
	for range 10_000 {
		runtime.GC() // which lets others run
		runtime.ReadMemStats(&m)
		if more := m.NextGC - m.HeapAlloc; more >= least && more <= most {
			return
		}
	}
	t.Errorf("collected after %d bytes more than %d", m.NextGC-m.HeapAlloc, m.HeapAlloc)
}
