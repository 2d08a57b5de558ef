package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/firn-archive/firn"
)

// A volume is the tree as the system shows it. Paths are relative to its root,
// "", and never lead through symbolic links.
type volume interface {
	// open opens a directory to be read.
	open(path string) (folder, error)
	// stat fills in everything of f but its path, as folder.stat does.
	stat(path string, f *firn.File) (special string, err error)
	close() error
}

// A folder is an open directory.
type folder interface {
	// self fills in everything of f but its path.
	self(f *firn.File) error
	// list adds the names of all entries, in no order. With an error it may
	// have added some.
	list(into *names) error
	// stat fills in everything of f but its path. What is neither a file, a
	// directory nor a symbolic link is special: it says what it is. So is a
	// placeholder, which has its kind all the same.
	stat(name string, f *firn.File) (special string, err error)
	close() error
}

// gone tells that there is no such entry any more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// problem makes an error that users can act on.
func problem(op, path string, err error) error {
	if path == "" {
		path = "."
	}
	return &firn.Error{Op: op, Subject: path, Kind: firn.Local, Err: cause(err), Hint: hint(err)}
}

// cause strips the paths that the os package puts into errors: the subject
// says it already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func hint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "allow firn's user to read it, or leave it out"
	case errors.Is(err, syscall.EIO):
		return "the disk fails to read it: check the disk, and the system's log"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many files are open: raise the limit (ulimit -n)"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return "something else took its place while it was read; the next run will see what"
	}
	return ""
}

// rootError says what is wrong with a root.
func rootError(root string, err error) error {
	e := &firn.Error{Op: "scan", Subject: root, Kind: firn.Local, Err: cause(err), Hint: hint(err)}
	switch {
	case gone(err):
		e.Kind, e.Err = firn.NotFound, errors.New("no such directory")
		e.Hint = "check the path, and whether the disk is mounted"
	case errors.Is(err, syscall.ENOTDIR):
		e.Kind, e.Err = firn.Usage, errors.New("not a directory")
		e.Hint = fmt.Sprintf("name the directory that holds it: %s", parentOf(root))
	}
	return e
}
