package wire

import "golang.org/x/sys/windows"

// volumeOf looks at the file system that holds dir. A disk in memory looks like
// any other here.
func volumeOf(dir string) (volume, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return volume{}, err
	}
	var v volume
	err = windows.GetDiskFreeSpaceEx(path, &v.free, &v.total, nil)
	return v, err
}
