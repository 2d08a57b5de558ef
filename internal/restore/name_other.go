//go:build !linux

package restore

// giveName gives what is at tmp its name, if that is free.
func giveName(d *dir, tmp, name string) error { return linkName(d.Root, tmp, name) }
