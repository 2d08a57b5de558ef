package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
)

// An Overwrite says what becomes of what is in the place of a file or link. What
// has the same content stays in any case, and gets its metadata. A folder, a
// pipe or a device is never replaced, nor is anything that is in the place of a
// folder.
type Overwrite string

const (
	// Never leaves what is there, and the item fails. It is the default; ""
	// means the same.
	Never Overwrite = "never"
	// Changed takes a file of the recorded size and time of modification for
	// the same without reading it, and replaces any other that has other content.
	Changed Overwrite = "changed"
	// Always reads each file, and replaces it if it has other content.
	Always Overwrite = "always"
)

// ParseOverwrite reads the name of one. Errors: Usage.
func ParseOverwrite(s string) (Overwrite, error) {
	switch o := Overwrite(s); o {
	case Never, Changed, Always:
		return o, nil
	}
	return "", &firn.Error{Op: "overwrite", Subject: fmt.Sprintf("%q", s), Kind: firn.Usage,
		Err: errors.New("no such choice"), Hint: "give one of never, changed, always"}
}

// replaces reports whether anything is ever replaced.
func (o Overwrite) replaces() bool { return o == Changed || o == Always }

// A standing is what is in a file's place before it is restored.
type standing struct {
	state fileState
	// info is of what was compared; nil: nothing is there.
	info fs.FileInfo
	// stays says, of isOther, why it is not replaced; nil: it is.
	stays error
}

// lookAt tells what is where a file is to go, by its name in its folder or by its
// path from further up, and reads it where only that can tell whether it has the
// content.
func lookAt(ctx context.Context, d *os.Root, name string, it item, o Overwrite) (standing, error) {
	info, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return standing{state: isAbsent}, nil
	}
	if err != nil {
		return standing{}, err
	}
	was := standing{state: isOther, info: info}
	mtime := it.file.Stamp.ModTime
	switch {
	case !info.Mode().IsRegular() || info.Size() != it.content.Size:
	case o == Changed && !mtime.IsZero() && info.ModTime().Equal(mtime):
		was.state = isEqual
	case it.isUnread():
		was.state = isAlike
	default:
		got, err := hashSeen(ctx, d, name, info)
		if err != nil {
			return standing{}, err
		}
		if got == it.content {
			was.state = isEqual
		}
	}
	if was.state == isOther {
		was.stays = o.keeps(d, name, it.file.Path, info)
	}
	return was, nil
}

// keeps says why what has a name isn't replaced by what is to be at p; nil: it
// is.
func (o Overwrite) keeps(d *os.Root, name, p string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%s is a folder; it stays as it is", p)
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink:
		return fmt.Errorf("%s is a pipe, device or the like; it stays as it is", p)
	case !o.replaces():
		return fmt.Errorf("%s exists already, with other content; it stays as it is", p)
	}
	other, err := realName(d, name, info)
	if err == nil && other != baseName(name) {
		err = fmt.Errorf("%s is in the way: the file system here takes its name for that of %s; it stays as it is", other, p)
	}
	return err
}

// hashSeen reads the regular file that was seen under a name.
func hashSeen(ctx context.Context, d *os.Root, name string, seen fs.FileInfo) (firn.Content, error) {
	f, err := d.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return firn.Content{}, err
	}
	defer f.Close()
	if err := stillSame(f.Stat, name, seen); err != nil {
		return firn.Content{}, err
	}
	got, err := scan.Hash(ctx, f)
	if err != nil {
		return firn.Content{}, err
	}
	return got, stillSame(f.Stat, name, seen)
}

// stillSame makes sure that stat tells of what was seen, and that nobody wrote
// to it since, as far as the file system can tell. That somebody linked it, or
// changed its mode, does no harm.
func stillSame(stat func() (fs.FileInfo, error), name string, seen fs.FileInfo) error {
	now, err := stat()
	if err != nil {
		return err
	}
	if !os.SameFile(now, seen) || now.Mode().Type() != seen.Mode().Type() || now.Size() != seen.Size() || !now.ModTime().Equal(seen.ModTime()) {
		return fmt.Errorf("%s was changed by another program meanwhile; it stays as it is", name)
	}
	return nil
}

// put gives the finished temporary file, which is durable, its name, and closes
// it. It takes the place of what was compared, if that is to be replaced, and
// of nothing else.
func (t *target) put(in *folder, f *os.File, file firn.File, was standing) error {
	d, err := t.in(in, write)
	if err != nil {
		f.Close()
		return err
	}
	defer t.dirs.give(d)
	tmp, name := tempName(file.Path), baseName(file.Path)
	err = isAt(d.Root, f, tmp)
	if err == nil {
		err = takeName(d, tmp, name, was.info)
	}
	if err != nil {
		discard(d.Root, f, tmp)
		return err
	}
	return f.Close()
}

// takeName gives what is at tmp its name, in place of what was seen there, or, if
// that is nil or gone since, of nothing.
func takeName(d *dir, tmp, name string, was fs.FileInfo) error {
	if was != nil {
		if err := replace(d, tmp, name, was, swapNames); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return taken(giveName(d, tmp, name), name)
}

// taken says it in fewer words where somebody else has the name by now.
func taken(err error, name string) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already", name)
	}
	return err
}

// A swap exchanges what two names in a folder stand for, in one step;
// ErrUnsupported where that can't be.
type swap func(d *dir, a, b string) error

// replace gives what is at tmp the name of what was seen there, if that is
// still as it was: else somebody wrote to it, and it stays. There is no moment
// at which nothing has the name. Where names can be exchanged, what is thrown
// away is looked at once more, when nobody can write to it by its name any
// longer.
func replace(d *dir, tmp, name string, seen fs.FileInfo, exchange swap) error {
	if err := stillSame(func() (fs.FileInfo, error) { return d.Lstat(name) }, name, seen); err != nil {
		return err
	}
	err := swapOver(d, tmp, name, seen, exchange)
	if errors.Is(err, errors.ErrUnsupported) {
		return renameOver(d.Root, tmp, name, seen)
	}
	return err
}

// swapOver exchanges the names, and throws away what was seen, or changes them
// back if it isn't that.
func swapOver(d *dir, tmp, name string, seen fs.FileInfo, exchange swap) error {
	if err := exchange(d, tmp, name); err != nil {
		return err
	}
	err := stillSame(func() (fs.FileInfo, error) { return d.Lstat(tmp) }, name, seen)
	if err == nil {
		return d.Remove(tmp)
	}
	if back := exchange(d, tmp, name); back != nil {
		return fmt.Errorf("%w (it is now called %s: %w)", err, tmp, back)
	}
	return err
}

// renameOver is the rename that takes the place of what was seen. Windows
// replaces no file that is marked as read-only.
func renameOver(d *os.Root, tmp, name string, seen fs.FileInfo) error {
	err := d.Rename(tmp, name)
	if runtime.GOOS != "windows" || !errors.Is(err, fs.ErrPermission) || seen.Mode()&0o200 != 0 {
		return err
	}
	if err := d.Chmod(name, seen.Mode()|0o200); err != nil {
		return err
	}
	if err := d.Rename(tmp, name); err != nil {
		return errors.Join(err, d.Chmod(name, seen.Mode()))
	}
	return nil
}

// putLink makes a symbolic link in the folder, unless the name is that link
// already, or what has it stays.
func (t *target) putLink(in *folder, file firn.File, o Overwrite) (made bool, err error) {
	d, err := t.in(in, search)
	if err != nil {
		return false, err
	}
	defer t.dirs.give(d)
	name := baseName(file.Path)
	if is, err := d.Readlink(name); err == nil && is == file.Target {
		if err := t.dropLeftover(in, d, tempName(file.Path)); err != nil {
			return false, err
		}
		return false, redress(d.Root, name, file)
	}
	was, err := d.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		was = nil
	case err != nil:
		return false, err
	default:
		if err := o.keeps(d.Root, name, file.Path, was); err != nil {
			return false, err
		}
	}
	if err := t.reach(in, write); err != nil {
		return false, err
	}
	return true, makeLink(d, file, was)
}

// makeLink makes a symbolic link, in place of what was seen there, if anything.
func makeLink(d *dir, file firn.File, was fs.FileInfo) error {
	name := baseName(file.Path)
	if was == nil {
		if err := d.Symlink(file.Target, name); err != nil {
			return taken(err, name)
		}
		return dress(d.Root, name, file)
	}
	tmp := tempName(file.Path)
	return putMade(d, tmp, name, was, func() error {
		if err := d.Symlink(file.Target, tmp); err != nil {
			return err
		}
		return dress(d.Root, tmp, file)
	})
}

// putName gives a file of the target, which is at first, another name, in place
// of what was compared there.
func (t *target) putName(first string, in *folder, file firn.File, was standing) error {
	d, err := t.in(in, write)
	if err != nil {
		return err
	}
	defer t.dirs.give(d)
	if was.info == nil {
		return t.root.Link(first, file.Path)
	}
	tmp, tmpPath := tempName(file.Path), path.Join(path.Dir(file.Path), tempName(file.Path))
	return putMade(d, tmp, baseName(file.Path), was.info, func() error { return t.root.Link(first, tmpPath) })
}

// putMade makes something under a temporary name, in place of a leftover, and
// gives it its name, in place of what was seen there.
func putMade(d *dir, tmp, name string, was fs.FileInfo, do func() error) error {
	err := do()
	if errors.Is(err, fs.ErrExist) {
		if err := d.Remove(tmp); err != nil {
			return err
		}
		err = do()
	}
	if err != nil {
		return err
	}
	made, err := d.Lstat(tmp)
	if err != nil {
		return err
	}
	if err = takeName(d, tmp, name, was); err == nil {
		return nil
	}
	if left, gone := d.Lstat(tmp); gone == nil && os.SameFile(left, made) {
		d.Remove(tmp)
	}
	return err
}
