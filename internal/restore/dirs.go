package restore

import (
	"container/list"
	"fmt"
	"os"
	"sync"
)

// dirsKept is how many folders of the target are kept open that nobody uses at
// the moment. What lies side by side is restored together.
const dirsKept = 64

// dirs are the open folders of a target: with one at hand, the folders above it
// need not be walked through for each step of each file.
type dirs struct {
	root *os.Root

	mu   sync.Mutex
	held map[string]*list.Element // by path
	idle list.List                // of *dir; those used last are first
}

// A dir is an open folder.
type dir struct {
	*os.Root
	self *os.File // the folder itself
	path string
	uses int // in dirs.mu
}

func newDirs(root *os.Root) *dirs { return &dirs{root: root, held: map[string]*list.Element{}} }

// take opens a folder, or finds it open. Whoever takes one gives it back.
func (d *dirs) take(path string) (*dir, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.held[path]; e != nil {
		one := e.Value.(*dir)
		one.uses++
		d.idle.MoveToFront(e)
		return one, nil
	}
	root, err := d.root.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	if err := isItself(d.root, root, path); err != nil {
		root.Close()
		return nil, err
	}
	self, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	one := &dir{Root: root, self: self, path: path, uses: 1}
	d.held[path] = d.idle.PushFront(one)
	d.trim(dirsKept)
	return one, nil
}

// isItself makes sure that the folder that was opened has the path, and is not
// what a link there leads to.
func isItself(root, opened *os.Root, path string) error {
	here, err := opened.Stat(".")
	if err != nil {
		return err
	}
	named, err := root.Lstat(path)
	if err == nil && !os.SameFile(here, named) {
		err = fmt.Errorf("%s was replaced by another program", path)
	}
	return err
}

// give gives a folder back.
func (d *dirs) give(one *dir) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one.uses--
}

// forget closes a folder that is about to get another mode, or to be done with.
func (d *dirs) forget(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.held[path]; e != nil && e.Value.(*dir).uses == 0 {
		d.drop(e)
	}
}

// trim closes folders that nobody uses until there are at most n.
func (d *dirs) trim(n int) {
	for e := d.idle.Back(); e != nil && d.idle.Len() > n; {
		before := e.Prev()
		if e.Value.(*dir).uses == 0 {
			d.drop(e)
		}
		e = before
	}
}

func (d *dirs) drop(e *list.Element) {
	one := e.Value.(*dir)
	one.self.Close()
	one.Root.Close()
	delete(d.held, one.path)
	d.idle.Remove(e)
}

func (d *dirs) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trim(0)
}
