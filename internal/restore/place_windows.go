package restore

import (
	"errors"
	"time"

	"golang.org/x/sys/windows"
)

// linkTimes does nothing: Windows keeps no time of a link that matters.
func (t *target) linkTimes(string, time.Time) error { return nil }

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
