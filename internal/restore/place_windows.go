package restore

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/windows"

	"github.com/firn-archive/firn"
)

// linkTimes does nothing: Windows keeps no time of a link that matters.
func (t *target) linkTimes(string, time.Time) error { return nil }

// isOwner is true: owners are not set on Windows.
func isOwner(fs.FileInfo, firn.File) bool { return true }

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
