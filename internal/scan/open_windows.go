package scan

import (
	"io/fs"

	"github.com/firn-archive/firn"
)

const openNonblock = 0

// Info describes the open file as a scan would, but for its path.
func (f *File) Info() (firn.File, error) {
	info, err := f.Stat()
	if err != nil {
		return firn.File{}, &firn.Error{Op: "stat", Subject: f.Name(), Kind: firn.Local, Err: err}
	}
	return firn.File{
		Kind: firn.Regular, Mode: info.Mode() & fs.ModePerm, UID: -1, GID: -1, Links: 1,
		Stamp: firn.Stamp{Size: info.Size(), ModTime: info.ModTime()},
	}, nil
}
