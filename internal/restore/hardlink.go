package restore

import (
	"io/fs"
	"sync"

	"github.com/firn-archive/firn"
)

// A linkBook knows the files that have other names too (hard links), so that
// each is downloaded once and has all its names again.
type linkBook struct {
	mu    sync.Mutex
	files map[linkKey]*linked
}

// A linkKey is a group of names of one tree.
type linkKey struct {
	tree  string
	group int64
}

// A linked file is the first of its group. There may be a great many: this is
// all that is kept of one.
type linked struct {
	path    string        // below the target
	settled chan struct{} // closed when it is in place, or won't be
	there   bool
	face    face
	old     bool // it was put in place before this process began, and is to be looked at
}

// A face is what names of one file have in common.
type face struct {
	content  firn.Content
	mode     fs.FileMode
	uid, gid int32
	mtime    int64 // nanoseconds of the second, and some of the seconds
}

func faceOf(it *item) face {
	f := &it.file
	return face{it.content, f.Mode, int32(f.UID), int32(f.GID), f.Stamp.ModTime.Unix()<<30 + int64(f.Stamp.ModTime.Nanosecond())}
}

// lead makes an item the first of its group, or gives the one that is.
func (b *linkBook) lead(it item) (first *linked, leads bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := linkKey{it.tree, it.group}
	if one, ok := b.files[key]; ok {
		return one, false
	}
	one := &linked{path: it.file.Path, settled: make(chan struct{}), face: faceOf(&it)}
	b.files[key] = one
	return one, true
}

// stands makes an item that an earlier process put in place the first of its
// group, if there is none.
func (b *linkBook) stands(it *item) {
	if it.group == 0 {
		return
	}
	if one, leads := b.lead(*it); leads {
		one.there, one.old = true, true
		close(one.settled)
	}
}

// has reports whether what leads a group is there, and whether it is still to be
// looked at.
func (b *linkBook) has(first *linked) (there, old bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return first.there, first.old
}

// confirm says whether what leads an item's group is there. If it isn't, it leads
// no more.
func (b *linkBook) confirm(it *item, first *linked, there bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first.old = false
	if key := (linkKey{it.tree, it.group}); !there && b.files[key] == first {
		first.there = false
		delete(b.files, key)
	}
}

// settle says what became of an item, which may lead a group. One that isn't
// there leads it no more.
func (b *linkBook) settle(it item, there bool) {
	if it.group == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := linkKey{it.tree, it.group}
	one, ok := b.files[key]
	if !ok || one.path != it.file.Path {
		return
	}
	if !there {
		delete(b.files, key)
	}
	select {
	case <-one.settled:
	default:
		one.there = there
		close(one.settled)
	}
}

// linkTo gives an item the file that leads its group as another name, if that can
// be: else it is restored for itself.
func (r *restorer) linkTo(first *linked, it item) bool {
	// Numbers of files are used again, and are not the same on two volumes.
	if first.face != faceOf(&it) {
		return false
	}
	if err := r.target.putName(first.path, it.folder, it.file, it.was); err != nil {
		return false
	}
	r.settle(it, firn.Restored, nil)
	return true
}
