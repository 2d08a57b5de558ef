//go:build unix

package usage

import (
	"os"
	"runtime"
	"syscall"
)

// peakMemory is the most memory that a process had at a time, in bytes.
func peakMemory(s *os.ProcessState) int64 {
	r, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return inBytes(r)
}

// PeakMemory is the most memory that this process had at a time, in bytes; 0 where
// the system doesn't tell. Run one benchmark alone for a figure that means
// something.
func PeakMemory() int64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return inBytes(&r)
}

// inBytes is the peak that getrusage(2) tells.
func inBytes(r *syscall.Rusage) int64 {
	if runtime.GOOS == "darwin" {
		return int64(r.Maxrss) // in bytes, as getrusage(2) of macOS has it
	}
	return int64(r.Maxrss) << 10 // in KiB
}
