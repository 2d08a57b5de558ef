package scan

import "github.com/firn-archive/firn"

const openNonblock = 0

// Stamp describes the open file as a scan would.
func (f *File) Stamp() (firn.Stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return firn.Stamp{}, &firn.Error{Op: "stat", Subject: f.Name(), Kind: firn.Local, Err: err}
	}
	return firn.Stamp{Size: info.Size(), ModTime: info.ModTime()}, nil
}
