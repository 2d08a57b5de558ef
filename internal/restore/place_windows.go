package restore

import (
	"io/fs"
	"os"
	"time"

	"github.com/firn-archive/firn"
)

// linkTimes does nothing: Windows keeps no time of a link that matters.
func linkTimes(*os.Root, string, time.Time) error { return nil }

// isOwner is true: owners are not set on Windows.
func isOwner(fs.FileInfo, firn.File) bool { return true }
