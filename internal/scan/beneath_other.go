//go:build unix && !linux

package scan

import "golang.org/x/sys/unix"

// openBeneath has no counterpart here.
func openBeneath(int, string) (int, error) { return -1, unix.ENOSYS }
