package cli

import "golang.org/x/sys/unix"

// Values that setpriority takes. Source: setpriority(2) of macOS, sys/resource.h.
const (
	prioDarwinProcess = 4
	prioDarwinBG      = 0x1000
)

// lowerPriority lets other programs go first, at the processors, the disks and
// the network.
func lowerPriority() error { return unix.Setpriority(prioDarwinProcess, 0, prioDarwinBG) }
