package restore

import (
	"errors"
	"io/fs"
	"os"
)

// open opens the temporary file for p, which is in the folder, to read and
// write it. With keep what an earlier process left under the name stays in it,
// and goes on: it may be longer than what comes. Else, and where it can't surely
// be ours, the file is empty.
func (t *target) open(in *folder, p string, keep bool) (*os.File, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	d, err := t.in(in, write)
	if err != nil {
		return nil, err
	}
	defer t.dirs.give(d)
	name := tempName(p)
	if keep {
		if f := openLeftover(d.Root, name); f != nil {
			return f, nil
		}
	}
	return createTemp(d.Root, name)
}

// openLeftover opens what a restore of the same user left; nil where it can't be
// that: a link, a file of somebody else's, or one that others may have open,
// since it has another name or anybody may write to it. What it holds is
// verified by whoever goes on with it.
func openLeftover(d *os.Root, name string) *os.File {
	seen, err := d.Lstat(name)
	if err != nil || !seen.Mode().IsRegular() {
		return nil
	}
	f, err := d.OpenFile(name, os.O_RDWR|openNonblock, 0)
	if err != nil {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !os.SameFile(seen, info) || !isOurs(f, info) {
		f.Close()
		return nil
	}
	return f
}

// createTemp opens a temporary file, empty, in place of a leftover.
func createTemp(d *os.Root, name string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	f, err := d.OpenFile(name, flags, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	// A leftover may be anything, a link too.
	if err := d.Remove(name); err != nil {
		return nil, err
	}
	return d.OpenFile(name, flags, 0o600)
}
