//go:build !unix

package usage

import "os"

// peakMemory is not told here.
func peakMemory(*os.ProcessState) int64 { return 0 }

// PeakMemory is not told here, and is 0.
func PeakMemory() int64 { return 0 }
