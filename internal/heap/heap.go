// Package heap says how far the memory of a program grows before it is collected.
package heap

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Between two collections the heap grows by eight MiB and an eighth of what is in use:
// firn runs beside other programs, on small machines. The runtime itself knows only a
// percentage. One that is right for a hundred MiB has a run that sends many small files,
// of which little is in use at a time, collect a hundred times a second. And a ballast,
// which nobody touches, has it keep a tenth of the ballast's size in memory that is free.
const (
	least = 8 << 20
	share = 8 // one in so many bytes in use
)

// Set sets it for this program, from now on. Once is as good as often.
func Set() { set() }

var set = sync.OnceFunc(func() { adjust(0) })

// adjust sets the percentage, from was, by what the last collection found in use, and
// sees to it that the next one does the same.
func adjust(was int) {
	inUse := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(inUse)
	percent := percentOf(inUse[0].Value.Uint64())
	if percent != was { // that stops the world, if not for long
		debug.SetGCPercent(percent)
	}
	runtime.AddCleanup(&collected{}, adjust, percent)
}

// collected is gone once there was a collection. Its size has the runtime keep it in no
// block with others.
type collected struct{ _ [32]byte }

// percentOf is how much the heap grows. The runtime collects none that is smaller than
// four MiB, times the percentage: less in use is as good as that much.
func percentOf(inUse uint64) int {
	inUse = max(inUse, 4<<20)
	return int(100 * (least + inUse/share) / inUse)
}
