package forest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// later is the season of what Change writes.
const later = 1

// Of 1,000 files so many meet each fate; the rest stay as they are.
const (
	rewritten  = 3  // in place, with other content of the same size
	backdated  = 1  // the same, and the time put back to what it was
	lengthened = 3  // a few bytes more
	emptied    = 1  // cut to nothing
	replaced   = 2  // another file took the name
	removed    = 10 // gone
	touched    = 1  // another time, the same content
	guarded    = 1  // another mode
	joined     = 1  // a new file beside
	linked     = 1  // became a symbolic link
	swapped    = 1  // traded its name with the next file
)

// Change makes of a tree that was grown the same tree a season later: 1% of the
// files have changed, 1% are gone, a few have met other fates, and the first
// branch, with all below it, has another name.
func (p Plan) Change(root string) error {
	err := p.eachFolder(func(g *gardener, folder int) error {
		dir := filepath.Join(root, g.folder(folder))
		from, to := g.files(folder)
		for file := from; file < to; file++ {
			if err := g.change(dir, file, file+1 == to); err != nil {
				return err
			}
		}
		if folder%perBare == 0 && folder > 0 {
			return os.Remove(filepath.Join(dir, bareName))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(root, "a new folder"), 0o755); err != nil {
		return err
	}
	return os.Rename(filepath.Join(root, p.branch(0)), filepath.Join(root, p.branch(0)+", renamed"))
}

// A fate is what happens to a file, and how many of 1,000 it happens to.
type fate struct {
	share  uint64
	happen func(g *gardener, path string, file int) error
}

// fatesOf lists what Change does to single files.
func fatesOf() []fate {
	return []fate{
		{rewritten, (*gardener).rewrite},
		{backdated, (*gardener).backdate},
		{lengthened, (*gardener).lengthen},
		{emptied, (*gardener).empty},
		{replaced, (*gardener).replace},
		{removed, func(_ *gardener, path string, _ int) error { return os.Remove(path) }},
		{touched, func(g *gardener, path string, file int) error { return g.age(path, file, later) }},
		{guarded, func(_ *gardener, path string, _ int) error { return os.Chmod(path, 0o604) }},
		{joined, func(g *gardener, path string, file int) error { return g.write(path+".new", file, later) }},
		{linked, func(_ *gardener, path string, _ int) error {
			return errors.Join(os.Remove(path), os.Symlink("where it was", path))
		}},
	}
}

// change does to a file what its number says.
func (g *gardener) change(dir string, file int, last bool) error {
	path := filepath.Join(dir, g.name(fileNames, file))
	n := g.dice(fates, file) % 1000
	for _, f := range fatesOf() {
		if n < f.share {
			return f.happen(g, path, file)
		}
		n -= f.share
	}
	if n < swapped && !last && g.dice(fates, file+1)%1000 > 500 { // the next one stays otherwise
		return g.swap(path, filepath.Join(dir, g.name(fileNames, file+1)))
	}
	return nil
}

// unlock lets the file's owner write to it.
func unlock(path string) error { return os.Chmod(path, 0o644) }

func (g *gardener) rewrite(path string, file int) error {
	return errors.Join(unlock(path), g.write(path, file, later))
}

func (g *gardener) backdate(path string, file int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := g.rewrite(path, file); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

func (g *gardener) lengthen(path string, file int) error {
	if err := unlock(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "file %d", file)
	return errors.Join(err, f.Close(), g.age(path, file, later))
}

func (g *gardener) empty(path string, file int) error {
	return errors.Join(unlock(path), os.Truncate(path, 0), g.age(path, file, later))
}

func (g *gardener) replace(path string, file int) error {
	if err := g.write(path+".new", file, later); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (g *gardener) swap(a, b string) error {
	return errors.Join(os.Rename(a, a+".swap"), os.Rename(b, a), os.Rename(a+".swap", b))
}
