package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/firn-archive/firn"
)

// A folder of the target is kept from when the walk enters it until the walk
// has left it and all below it is settled. Then it gets its mode, owner and
// times: later, since whatever is made in it changes them.
type folder struct {
	parent *folder   // nil: this is the target
	path   string    // below the target; "." is the target
	from   string    // path in its tree
	file   firn.File // its own entry, with path as Path
	known  bool      // it has one

	mu      sync.Mutex
	work    int         // the walk, if it is inside, and what is under way in it
	undone  bool        // something below it is missing
	made    bool        // it is there, and no link
	written bool        // it has new names
	mode    fs.FileMode // on disk
	was     fs.FileMode // before we gave ourselves access
	opened  bool        // we did
}

// enter keeps the folder until as many calls of leave.
func (f *folder) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.work++
}

// leave says that something in a folder is settled, or undone. The last one
// closes the folder, which settles something in its parent. f may be nil.
func (r *restorer) leave(f *folder, undone bool) {
	for ; f != nil; f = f.parent {
		f.mu.Lock()
		f.work--
		f.undone = f.undone || undone
		undone = f.undone
		last := f.work == 0
		f.mu.Unlock()
		if !last {
			return
		}
		if err := r.target.closeFolder(f); err != nil {
			undone = true
			r.event(firn.Failed, item{file: f.file, from: f.from}, localError("restore", f.from, err))
		}
	}
}

// closeFolder makes the names in a folder durable and dresses it, unless
// something in it is missing: what is still to come should find it writable.
func (t *target) closeFolder(f *folder) error {
	if !f.made {
		return nil
	}
	t.dirs.forget(f.path)
	if f.written {
		if err := t.flush.folder(t.root, f.path); err != nil {
			return err
		}
	}
	switch {
	case f.parent == nil:
		return nil // finish sees to it
	case f.known && !f.undone:
		return redress(t.root, f.path, f.file)
	case f.opened:
		return t.root.Chmod(f.path, f.was)
	}
	return nil
}

// What is needed of a folder, for its owner.
const (
	search fs.FileMode = 0o500 // it is opened to look for names in it
	write  fs.FileMode = 0o700
)

// reach makes the folder, and those above it, if need be, and sees to it that
// we may search it or write in it. Each must be a real folder: one that is a
// link leads elsewhere.
func (t *target) reach(f *folder, need fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.made {
		if err := t.make(f); err != nil {
			return err
		}
	}
	if f.parent != nil && f.mode&need != need {
		if err := t.root.Chmod(f.path, f.mode|write); err != nil {
			return err
		}
		if !f.opened {
			f.opened, f.was = true, f.mode
		}
		f.mode |= write
	}
	f.written = f.written || need == write
	return nil
}

// firstMode is how a folder is made: for its owner only until its own mode is set.
// Where nobody recorded one it gets what others have here.
func firstMode(f *folder) fs.FileMode {
	if f.known {
		return 0o700
	}
	return 0o755
}

func (t *target) make(f *folder) error {
	if f.parent == nil {
		f.made = true
		return nil
	}
	if err := checkPath(f.path); err != nil {
		return err
	}
	if err := t.reach(f.parent, search); err != nil {
		return err
	}
	info, err := t.root.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := t.reach(f.parent, write); err != nil {
			return err
		}
		if err := t.root.Mkdir(f.path, firstMode(f)); err != nil {
			return err
		}
		f.mode = 0o700
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is in the way: it is no folder", f.path)
	default:
		f.mode = info.Mode()
	}
	f.made = true
	return nil
}
