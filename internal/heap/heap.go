// Package heap says how far the memory of a program grows before it is collected.
package heap

import (
	"runtime"
	"runtime/debug"
)

// The heap grows by percent of what is in use and of ballast bytes, which nobody
// touches and which therefore take no memory, until it is collected: firn runs beside
// other programs, on small machines. Where 32 MiB are in use that is half as much
// again, and where little is, it is eight MiB at least. Else a run that sends many small
// files, of which little is in use at a time, would collect a hundred times a second.
const (
	percent = 25
	ballast = 32 << 20
)

// Set sets it for this program, until keep is called.
func Set() (keep func()) {
	debug.SetGCPercent(percent)
	untouched := make([]byte, ballast)
	return func() { runtime.KeepAlive(untouched) }
}
