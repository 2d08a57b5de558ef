package restore

import (
	"io/fs"
	"os"
	"time"

	win "golang.org/x/sys/windows"

	"github.com/firn-archive/firn"
)

// openNonblock has no meaning on Windows.
const openNonblock = 0

// linkTimes does nothing: Windows keeps no time of a link that matters.
func linkTimes(*os.Root, string, time.Time) error { return nil }

// isOwner is true: owners are not set on Windows.
func isOwner(fs.FileInfo, firn.File) bool { return true }

// isOurs reports whether an open file has one name. Who else may write to it is
// a matter of its folder.
func isOurs(f *os.File, _ fs.FileInfo) bool {
	var about win.ByHandleFileInformation
	err := win.GetFileInformationByHandle(win.Handle(f.Fd()), &about)
	return err == nil && about.NumberOfLinks == 1
}
