package restore

import (
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

// A linked file is the first of its group.
type linked struct {
	item
	settled chan struct{} // closed when it is in place, or won't be
	there   bool
}

// lead makes an item the first of its group, or gives the one that is.
func (b *linkBook) lead(it item) (first *linked, leads bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := linkKey{it.tree, it.group}
	if one, ok := b.files[key]; ok {
		return one, false
	}
	one := &linked{item: it, settled: make(chan struct{})}
	b.files[key] = one
	return one, true
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
	if !ok || one.file.Path != it.file.Path {
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

// isSame reports whether two names of a group are of one file: numbers of files
// are used again, and are not the same on two volumes.
func isSame(a, b *item) bool {
	return a.content == b.content && a.file.Mode == b.file.Mode && a.file.UID == b.file.UID && a.file.GID == b.file.GID &&
		a.file.Stamp.ModTime.Equal(b.file.Stamp.ModTime)
}

// linkTo gives an item the file that leads its group as another name, if that can
// be: else it is restored for itself.
func (r *restorer) linkTo(first *linked, it item) bool {
	if !first.there || !isSame(&first.item, &it) {
		return false
	}
	if err := r.target.reach(it.folder, write); err != nil {
		return false
	}
	if err := r.target.root.Link(first.file.Path, it.file.Path); err != nil {
		return false
	}
	r.settle(it, firn.Restored, nil)
	return true
}
