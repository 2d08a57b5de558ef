package wire

import "golang.org/x/sys/unix"

// volumeOf looks at the file system that holds dir. A disk in memory looks like
// any other here.
func volumeOf(dir string) (volume, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return volume{}, err
	}
	block := uint64(s.Bsize)
	return volume{total: s.Blocks * block, free: s.Bavail * block}, nil
}
