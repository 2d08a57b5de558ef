package cli

import "golang.org/x/sys/windows"

// lowerPriority lets other programs go first, at the processors and at the
// disks.
func lowerPriority() error {
	return windows.SetPriorityClass(windows.CurrentProcess(), windows.PROCESS_MODE_BACKGROUND_BEGIN)
}
