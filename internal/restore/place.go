package restore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/firn-archive/firn"
)

// A target is the directory that files are restored to. Nothing is written
// outside it, or through a link within it, whatever the names are: all goes
// through an os.Root, and folders on the way must be real ones.
type target struct {
	root *os.Root

	mu   sync.Mutex
	real map[string]bool // folders known to exist and to be no links
}

// openTarget makes dir if need be and opens it.
func openTarget(dir string) (*target, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, localError("restore to", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, localError("restore to", dir, err)
	}
	return &target{root: root, real: map[string]bool{".": true}}, nil
}

func (t *target) close() error { return t.root.Close() }

// checkPath refuses what no sync records, but a damaged or hostile catalog
// might hold.
func checkPath(p string) error {
	if p == "" || strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) {
		return fmt.Errorf("%q is not a relative path", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%q is not a plain path", p)
		}
	}
	return nil
}

// folder makes the folder p and those above it. Each must be a real folder:
// one that is a link leads elsewhere.
func (t *target) folder(p string) error {
	if p == "." {
		return nil // the target itself
	}
	if err := checkPath(p); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.folderLocked(p)
}

func (t *target) folderLocked(p string) error {
	if t.real[p] {
		return nil
	}
	if err := t.folderLocked(path.Dir(p)); err != nil {
		return err
	}
	// Owner-only until its own mode is set, at the end.
	err := t.root.Mkdir(p, 0o700)
	if errors.Is(err, fs.ErrExist) {
		info, statErr := t.root.Lstat(p)
		switch {
		case statErr != nil:
			return statErr
		case !info.IsDir():
			return fmt.Errorf("%s is in the way: it is no folder", p)
		}
		err = nil
	}
	if err == nil {
		t.real[p] = true
	}
	return err
}

// tempName is the name a file has until it is whole. It depends on the path
// alone, so that a leftover of a killed run is found and written over, and it
// is short, so that it fits where the name fits.
func tempName(p string) string {
	sum := sha256.Sum256([]byte(p))
	return path.Join(path.Dir(p), fmt.Sprintf(".firn-%x.part", sum[:8]))
}

// create opens the temporary file for p, empty.
func (t *target) create(p string) (*os.File, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	if err := t.folder(path.Dir(p)); err != nil {
		return nil, err
	}
	tmp := tempName(p)
	// A leftover may be anything, a link too.
	if err := t.root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return t.root.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// commit gives the finished temporary file its metadata and its name. With
// replace false an existing file of that name stays, and it is an error.
func (t *target) commit(f *os.File, file firn.File, replace bool) error {
	tmp := tempName(file.Path)
	err := t.dress(tmp, file)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = t.place(tmp, file.Path, replace)
	}
	if err != nil {
		t.root.Remove(tmp)
	}
	return err
}

// discard drops the temporary file.
func (t *target) discard(f *os.File, p string) {
	f.Close()
	t.root.Remove(tempName(p))
}

func (t *target) place(tmp, p string, replace bool) error {
	if replace {
		return t.root.Rename(tmp, p)
	}
	// A hard link, unlike a rename, never takes a name that exists. Where the
	// file system has none, looking first has to do.
	err := t.root.Link(tmp, p)
	if err == nil {
		return t.root.Remove(tmp)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already", p)
	}
	if _, err := t.root.Lstat(p); err == nil {
		return fmt.Errorf("%s exists already", p)
	}
	return t.root.Rename(tmp, p)
}

// dress sets owner, mode and times of what lies at p: the owner first, since
// changing it clears setuid bits; the times last.
func (t *target) dress(p string, file firn.File) error {
	if os.Geteuid() == 0 && file.UID >= 0 && file.GID >= 0 {
		if err := t.root.Lchown(p, file.UID, file.GID); err != nil {
			return err
		}
	}
	if file.Kind == firn.Symlink {
		return t.linkTimes(p, file.Stamp.ModTime)
	}
	if err := t.root.Chmod(p, file.Mode); err != nil {
		return err
	}
	if y := file.Stamp.ModTime.Year(); y < 1679 || y > 2261 {
		// Chtimes counts nanoseconds in 64 bits, and so do most programs.
		return t.linkTimes(p, file.Stamp.ModTime)
	}
	return t.root.Chtimes(p, file.Stamp.ModTime, file.Stamp.ModTime)
}

// symlink makes a symbolic link, if the name is free or is that link already.
func (t *target) symlink(file firn.File) (made bool, err error) {
	if err := t.folder(path.Dir(file.Path)); err != nil {
		return false, err
	}
	if is, err := t.root.Readlink(file.Path); err == nil && is == file.Target {
		return false, nil
	}
	if err := t.root.Symlink(file.Target, file.Path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, fmt.Errorf("%s exists already", file.Path)
		}
		return false, err
	}
	return true, t.dress(file.Path, file)
}

// syncFolder makes the names in the folder of p durable.
func (t *target) syncFolder(dir string) error {
	d, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission) {
		err = nil // Windows, and some network file systems, have no such call
	}
	return errors.Join(err, d.Close())
}

// localError says what failed on the local disk, and tells a full disk apart.
func localError(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	var e *firn.Error
	if errors.As(err, &e) {
		return err
	}
	kind, hint := firn.Local, ""
	if isFull(err) {
		kind, hint = firn.Full, "free some space and run the same command again"
	}
	return &firn.Error{Op: op, Subject: subject, Kind: kind, Err: err, Hint: hint}
}
