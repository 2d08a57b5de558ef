package restore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn"
)

// A target is the directory that files are restored to. Nothing is written
// outside it, or through a link within it, whatever the names are: all goes
// through an os.Root, and folders on the way must be real ones.
type target struct {
	root *os.Root
	real string // absolute, with links followed
	// ours: a restore made it, and has not finished since.
	ours bool
}

// markName is a file in a target that a restore made, until it is finished: it
// tells the next call that the target's mode, owner and times are ours to set.
const markName = ".firn-restore.part"

const markText = "firn restore has not finished in this folder. Run the same command again.\n"

// openTarget makes dir if need be and opens it.
func openTarget(dir string) (*target, error) {
	t, err := makeTarget(dir)
	if err != nil {
		return nil, localError("restore to", dir, err)
	}
	return t, nil
}

func makeTarget(dir string) (*target, error) {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	made := os.Mkdir(dir, 0o777)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, made
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := &target{root: root}
	if t.real, err = filepath.Abs(dir); err == nil {
		t.real, err = filepath.EvalSymlinks(t.real)
	}
	if err == nil && made == nil {
		err = root.WriteFile(markName, []byte(markText), 0o600)
	}
	if err == nil && made == nil {
		err = syncPath(parent)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	_, err = root.Lstat(markName)
	t.ours = err == nil
	return t, nil
}

// finish dresses the target, if it is ours, when all in it is done. file is nil
// where the target has no entry of its own.
func (t *target) finish(file *firn.File) error {
	if !t.ours {
		return nil
	}
	if err := t.root.Remove(markName); err != nil {
		return err
	}
	t.ours = false
	if err := t.syncFolder("."); err != nil || file == nil {
		return err
	}
	return t.dress(".", *file)
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

// tempName is the name a file has until it is whole. It depends on the path
// alone, so that a leftover of a killed run is found and written over, and it
// is short, so that it fits where the name fits.
func tempName(p string) string {
	sum := sha256.Sum256([]byte(p))
	return path.Join(path.Dir(p), fmt.Sprintf(".firn-%x.part", sum[:8]))
}

// create opens the temporary file for p, which is in the folder, empty.
func (t *target) create(in *folder, p string) (*os.File, error) {
	if err := checkPath(p); err != nil {
		return nil, err
	}
	if err := t.reach(in, write); err != nil {
		return nil, err
	}
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	f, err := t.root.OpenFile(tempName(p), flags, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	// A leftover may be anything, a link too.
	if err := t.root.Remove(tempName(p)); err != nil {
		return nil, err
	}
	return t.root.OpenFile(tempName(p), flags, 0o600)
}

// commit gives the finished temporary file its metadata and its name. A file
// that has the name already stays, and it is an error.
func (t *target) commit(f *os.File, file firn.File) error {
	tmp := tempName(file.Path)
	err := t.dress(tmp, file)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = t.place(f, tmp, file.Path)
	}
	if err != nil {
		t.discard(f, file.Path)
		return err
	}
	return f.Close()
}

// discard drops the temporary file, unless another has its name.
func (t *target) discard(f *os.File, p string) {
	if t.isAt(f, tempName(p)) == nil {
		t.root.Remove(tempName(p))
	}
	f.Close()
}

// isAt makes sure that it is this file which has the name.
func (t *target) isAt(f *os.File, name string) error {
	open, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := t.root.Lstat(name)
	if err == nil && !os.SameFile(open, named) {
		err = fmt.Errorf("%s was replaced by another program, perhaps a second restore to this folder", name)
	}
	return err
}

// place gives the file at tmp, which must be f, the name p.
func (t *target) place(f *os.File, tmp, p string) error {
	if err := t.isAt(f, tmp); err != nil {
		return err
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

// tidy does for a file whose content is in place what else belongs to it: its
// metadata, and that no temporary name is left, as a kill between the two
// steps of place leaves one.
func (t *target) tidy(it item) error {
	tmp := tempName(it.file.Path)
	if _, err := t.root.Lstat(tmp); err == nil {
		if err := t.reach(it.folder, write); err != nil {
			return err
		}
		if err := t.root.Remove(tmp); err != nil {
			return err
		}
	}
	return t.redress(it.file.Path, it.file)
}

// redress sets what is not yet as it should be.
func (t *target) redress(p string, file firn.File) error {
	info, err := t.root.Lstat(p)
	if err != nil {
		return err
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	sameMode := file.Kind == firn.Symlink || info.Mode()&bits == file.Mode&bits
	if sameMode && info.ModTime().Equal(file.Stamp.ModTime) && (!setsOwner(file) || isOwner(info, file)) {
		return nil
	}
	return t.dress(p, file)
}

// setsOwner reports whether the owner of files is set: root's business.
func setsOwner(file firn.File) bool { return os.Geteuid() == 0 && file.UID >= 0 && file.GID >= 0 }

// dress sets owner, mode and times of what lies at p: the owner first, since
// changing it clears setuid bits; the times last.
func (t *target) dress(p string, file firn.File) error {
	if setsOwner(file) {
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

// symlink makes a symbolic link in the folder, if the name is free or is that
// link already.
func (t *target) symlink(in *folder, file firn.File) (made bool, err error) {
	if err := t.reach(in, search); err != nil {
		return false, err
	}
	if is, err := t.root.Readlink(file.Path); err == nil && is == file.Target {
		return false, t.redress(file.Path, file)
	}
	if err := t.reach(in, write); err != nil {
		return false, err
	}
	if err := t.root.Symlink(file.Target, file.Path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, fmt.Errorf("%s exists already", file.Path)
		}
		return false, err
	}
	return true, t.dress(file.Path, file)
}

// syncFolder makes the names in a folder durable.
func (t *target) syncFolder(dir string) error {
	d, err := t.root.Open(dir)
	if err != nil {
		return err
	}
	return syncAndClose(d)
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return syncAndClose(d)
}

func syncAndClose(d *os.File) error {
	err := d.Sync()
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
