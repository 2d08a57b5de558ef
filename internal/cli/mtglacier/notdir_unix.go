//go:build !windows

package mtglacier

import (
	"errors"
	"syscall"
)

// isNoFolder reports whether a path leads through something that is no folder.
func isNoFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
