package scan

import "golang.org/x/sys/unix"

// openBeneath opens a directory with a path of several names in one call, that
// fails where one of them is a link (Linux 5.6 and later).
func openBeneath(at int, path string) (int, error) {
	how := unix.OpenHow{Flags: openFlags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	return unix.Openat2(at, path, &how)
}
