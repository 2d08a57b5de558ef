//go:build !linux && !darwin && !windows

package cli

import "golang.org/x/sys/unix"

// lowerPriority lets other programs go first, at the processors.
func lowerPriority() error {
	const lowest = 19
	return unix.Setpriority(unix.PRIO_PROCESS, 0, lowest)
}
