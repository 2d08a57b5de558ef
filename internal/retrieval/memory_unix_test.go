//go:build unix

package retrieval_test

import (
	"runtime"
	"syscall"
	"testing"
)

// peakMemory is the most memory that this process had, in bytes. Run one
// benchmark alone for a figure that means something.
func peakMemory(testing.TB) int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss) // in bytes there
	}
	return int64(u.Maxrss) << 10
}
