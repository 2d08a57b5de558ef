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
	"github.com/firn-archive/firn/internal/atomicfile"
)

// A target is the directory that files are restored to. Nothing is written
// outside it, or through a link within it, whatever the names are: all goes
// through an os.Root, and folders on the way must be real ones.
type target struct {
	root *os.Root
	dirs *dirs
	// flush makes what is made in it durable.
	flush flusher
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

// openInPlace opens the directory that a tree was synced from. It is never made,
// since an empty one in its place mostly means that its disk isn't mounted; and
// it isn't ours, whatever a restore to it left there: its own mode, owner and
// times stay.
func openInPlace(dir string) (*target, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noFolder(dir)
	}
	if err != nil {
		return nil, localError("restore to", dir, err)
	}
	return &target{root: root, dirs: newDirs(root)}, nil
}

// noFolder says that a folder to restore to in place isn't there.
func noFolder(dir string) error {
	return &firn.Error{Op: "restore to", Subject: dir, Kind: firn.NotFound, Err: errors.New("there is no such folder"),
		Hint: "is its disk mounted? a new folder is made with --to"}
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
	if made == nil {
		if err = root.WriteFile(markName, []byte(markText), 0o600); err == nil {
			err = syncPath(parent)
		}
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	_, err = root.Lstat(markName)
	return &target{root: root, dirs: newDirs(root), ours: err == nil}, nil
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
	if err := t.flush.folder(t.root, "."); err != nil || file == nil {
		return err
	}
	return dress(t.root, ".", *file)
}

func (t *target) close() error {
	t.dirs.close()
	t.flush.close()
	return t.root.Close()
}

// in gives the open folder, which is made if need be, to search it or to write
// in it. Whoever takes one gives it back.
func (t *target) in(f *folder, need fs.FileMode) (*dir, error) {
	if err := t.reach(f, need); err != nil {
		return nil, err
	}
	return t.dirs.take(f.path)
}

// tempName is the name, in its folder, that the file at a path has until it is
// whole. It depends on the path alone, so that a leftover of a killed run is
// found and written over, and it is short, so that it fits where the name fits.
func tempName(p string) string {
	sum := sha256.Sum256([]byte(p))
	return fmt.Sprintf(".firn-%x.part", sum[:8])
}

// baseName is the last name of a path below the target.
func baseName(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// create opens the temporary file for p, which is in the folder, empty.
func (t *target) create(in *folder, p string) (*os.File, error) { return t.open(in, p, false) }

// dressNew gives the finished temporary file its metadata. Whoever makes a file
// owns it, mostly: then there is nothing to be said of its owner.
func (t *target) dressNew(in *folder, f *os.File, file firn.File) error {
	d, err := t.in(in, write)
	if err != nil {
		return err
	}
	defer t.dirs.give(d)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > file.Stamp.Size {
		// It was a leftover of another version.
		if err := f.Truncate(file.Stamp.Size); err != nil {
			return err
		}
	}
	if setsOwner(file) && isOwner(info, file) {
		file.UID, file.GID = -1, -1
	}
	return dress(d.Root, tempName(file.Path), file)
}

// discard drops the temporary file for p.
func (t *target) discard(in *folder, f *os.File, p string) {
	d, err := t.in(in, write)
	if err != nil {
		f.Close()
		return
	}
	defer t.dirs.give(d)
	discard(d.Root, f, tempName(p))
}

// discard drops the temporary file, unless another has its name.
func discard(d *os.Root, f *os.File, tmp string) {
	if isAt(d, f, tmp) == nil {
		d.Remove(tmp)
	}
	f.Close()
}

// isAt makes sure that it is this file which has the name.
func isAt(d *os.Root, f *os.File, name string) error {
	open, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := d.Lstat(name)
	if err == nil && !os.SameFile(open, named) {
		err = fmt.Errorf("%s was replaced by another program, perhaps a second restore to this folder", name)
	}
	return err
}

// linkName gives what is at tmp another name, if that is free. A hard link,
// unlike a rename, never takes a name that exists. Where the file system has
// none, looking first has to do.
func linkName(d *os.Root, tmp, name string) error {
	err := d.Link(tmp, name)
	if err == nil {
		return d.Remove(tmp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := d.Lstat(name); err == nil {
		return fs.ErrExist
	}
	return d.Rename(tmp, name)
}

// tidy does for a file whose content is in place what else belongs to it: its
// metadata, and that no temporary name is left, as a kill between the two
// steps of place leaves one.
func (t *target) tidy(it item) error {
	d, err := t.in(it.folder, search)
	if err != nil {
		return err
	}
	defer t.dirs.give(d)
	if err := t.dropLeftover(it.folder, d, tempName(it.file.Path)); err != nil {
		return err
	}
	return redress(d.Root, path.Base(it.file.Path), it.file)
}

// dropLeftover removes what has a temporary name in a folder, if anything has.
func (t *target) dropLeftover(in *folder, d *dir, tmp string) error {
	if _, err := d.Lstat(tmp); err != nil {
		return nil
	}
	if err := t.reach(in, write); err != nil {
		return err
	}
	return d.Remove(tmp)
}

// redress sets what is not yet as it should be.
func redress(d *os.Root, name string, file firn.File) error {
	info, err := d.Lstat(name)
	if err != nil {
		return err
	}
	if isDressed(info, file) {
		return nil
	}
	return dress(d, name, file)
}

// isDressed reports whether what was found has the metadata that it should have.
func isDressed(info fs.FileInfo, file firn.File) bool {
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	sameMode := file.Kind == firn.Symlink || info.Mode()&bits == file.Mode&bits
	sameTime := file.Stamp.ModTime.IsZero() || info.ModTime().Equal(file.Stamp.ModTime)
	return sameMode && sameTime && (!setsOwner(file) || isOwner(info, file))
}

// setsOwner reports whether the owner of files is set: root's business.
func setsOwner(file firn.File) bool { return os.Geteuid() == 0 && file.UID >= 0 && file.GID >= 0 }

// dress sets owner, mode and times of what has the name: the owner first, since
// changing it clears setuid bits; the times last. A time that nobody recorded
// stays that of its making.
func dress(d *os.Root, name string, file firn.File) error {
	if setsOwner(file) {
		if err := d.Lchown(name, file.UID, file.GID); err != nil {
			return err
		}
	}
	if file.Kind != firn.Symlink {
		if err := d.Chmod(name, file.Mode); err != nil {
			return err
		}
	}
	mtime := file.Stamp.ModTime
	switch y := mtime.Year(); {
	case mtime.IsZero():
		return nil
	case file.Kind == firn.Symlink, y < 1679, y > 2261:
		// Chtimes follows links. And it counts nanoseconds in 64 bits, as most
		// programs do.
		return linkTimes(d, name, mtime)
	}
	return d.Chtimes(name, mtime, mtime)
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
	if atomicfile.IsFull(err) {
		kind, hint = firn.Full, "free some space and run the same command again"
	}
	return &firn.Error{Op: op, Subject: subject, Kind: kind, Err: err, Hint: hint}
}
