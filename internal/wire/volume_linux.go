package wire

import "golang.org/x/sys/unix"

// volumeOf looks at the file system that holds dir. Source of the numbers:
// statfs(2).
func volumeOf(dir string) (volume, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return volume{}, err
	}
	kind := uint32(s.Type) // some machines have it with a sign
	block := uint64(s.Bsize)
	return volume{
		total: s.Blocks * block, free: s.Bavail * block,
		memory: kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC,
	}, nil
}
