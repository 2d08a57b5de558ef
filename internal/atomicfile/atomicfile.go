// Package atomicfile writes files that are there whole or not at all, through
// power cuts too.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Write puts data at path with the given mode: under another name first,
// synced, then renamed, and the folder synced. On an error nothing is left
// behind and what was at path is untouched.
func Write(path string, data []byte, mode os.FileMode) error {
	f, err := Create(path, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

// A File is one that is written bit by bit, under another name until Commit.
type File struct {
	*os.File
	path string
}

// Create begins a file that is to be at path, with the given mode. It must be
// ended by Commit or Abort.
func Create(path string, mode os.FileMode) (*File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".firn-*.tmp")
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(err, (&File{File: f}).Abort())
	}
	return &File{f, path}, nil
}

// Commit puts the file into its place, as Write does.
func (f *File) Commit() error {
	err := f.Sync()
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return SyncDir(filepath.Dir(f.path))
}

// Abort removes the file; what was at its path is untouched.
func (f *File) Abort() error { return errors.Join(f.Close(), os.Remove(f.Name())) }

// SyncDir makes the names in a folder durable. Windows has no such call and
// needs none: there it does nothing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
