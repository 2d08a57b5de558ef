// Package forest grows directory trees for benches and large tests, changes them
// as people do, and tells whether two of them are alike. A plan always grows the
// same tree, so that a failure can be had again.
package forest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// A Plan says what a tree is made of.
type Plan struct {
	Seed    uint64
	Files   int   // names of regular files
	Folders int   // that hold them; at least Branches
	Size    int64 // most files are of half as many bytes to half as many again
}

// Branches is how many folders the root has. Each holds as many files as the
// others, but for one or two.
const Branches = 10

// twigs is how many folders hang on one below a branch.
const twigs = 64

// MaxFile is the size in bytes of the largest files: more than what sync bundles
// by default.
const MaxFile = 5 << 18

// bareName is the name of an empty folder.
const bareName = "nothing in here"

// How many files there are for each one that is odd.
const (
	perEmpty   = 256  // without content
	perSizable = 512  // of 16 times the size
	perHuge    = 8192 // of MaxFile
	perTwin    = 128  // with the content of another file
	perLink    = 256  // symbolic links beside them
	perAlias   = 512  // hard links of the file before
	perBare    = 50   // folders: one of these has an empty one in it, bareName
)

// Check finds what makes no tree.
func (p Plan) Check() error {
	switch {
	case p.Folders < Branches:
		return fmt.Errorf("%d folders are too few: it takes %d", p.Folders, Branches)
	case p.Files < p.Folders:
		return fmt.Errorf("%d files are too few for %d folders", p.Files, p.Folders)
	case p.Size < 1:
		return errors.New("the files have to be of 1 byte or more")
	}
	return nil
}

// Grow makes the tree at root, which must not exist.
func (p Plan) Grow(root string) error {
	if err := p.Check(); err != nil {
		return err
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := p.eachFolder(func(g *gardener, folder int) error { return g.plant(root, folder) }); err != nil {
		return err
	}
	return p.dressFolders(root)
}

// eachFolder does something about each folder, some at a time.
func (p Plan) eachFolder(do func(g *gardener, folder int) error) error {
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	for w := range workers {
		group.Go(func() {
			g := &gardener{Plan: p}
			for folder := w; folder < p.Folders && errs[w] == nil; folder += workers {
				errs[w] = do(g, folder)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// files gives the first file of a folder, and the first one after it.
func (p Plan) files(folder int) (from, to int) {
	return folder * p.Files / p.Folders, (folder + 1) * p.Files / p.Folders
}

// folder gives the path of a folder below the root.
func (p Plan) folder(n int) string {
	branch := n * Branches / p.Folders
	within := n - (branch*p.Folders+Branches-1)/Branches // the branch's first is the least n with that branch
	path := filepath.Join(p.branch(branch), p.name(limbNames, within/twigs))
	if within%twigs == 0 {
		return path // it holds files and folders
	}
	return filepath.Join(path, p.name(twigNames, n))
}

func (p Plan) branch(n int) string { return p.name(branchNames, n) }

// A gardener works on one folder at a time.
type gardener struct {
	Plan
	buf []byte
}

// plant makes a folder and all in it.
func (g *gardener) plant(root string, folder int) error {
	dir := filepath.Join(root, g.folder(folder))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if folder%perBare == 0 {
		bare := filepath.Join(dir, bareName)
		if err := errors.Join(os.Mkdir(bare, 0o755), os.Chtimes(bare, firstTime, firstTime)); err != nil {
			return err
		}
	}
	from, to := g.files(folder)
	for file := from; file < to; file++ {
		path := filepath.Join(dir, g.name(fileNames, file))
		if file > from && g.one(aliases, file, perAlias) {
			if err := os.Link(filepath.Join(dir, g.name(fileNames, file-1)), path); err != nil {
				return err
			}
			continue
		}
		if err := g.write(path, file, 0); err != nil {
			return err
		}
		if g.one(links, file, perLink) {
			if err := os.Symlink(g.name(fileNames, file+1), path+".link"); err != nil {
				return err
			}
		}
	}
	return nil
}

// write makes a file as it is in a season, 0 being the first one.
func (g *gardener) write(path string, file int, season uint64) error {
	if err := os.WriteFile(path, g.content(file, season), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(path, g.mode(file, season)); err != nil {
		return err
	}
	return g.age(path, file, season)
}

// age gives a file its time: long ago, and to the nanosecond.
func (g *gardener) age(path string, file int, season uint64) error {
	mtime := g.mtime(file, season)
	return os.Chtimes(path, mtime, mtime)
}

// modes are those of files, some more common than others.
var modes = [...]os.FileMode{0o644, 0o644, 0o644, 0o644, 0o600, 0o640, 0o755, 0o444, 0o400}

func (p Plan) mode(file int, season uint64) os.FileMode {
	return modes[p.dice(modesOf+season, file)%uint64(len(modes))]
}

// Files of the first season are from between these two times, those of a later
// one from the day after.
var (
	firstTime = time.Date(1965, 3, 4, 5, 6, 7, 8, time.UTC)
	lastTime  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (p Plan) mtime(file int, season uint64) time.Time {
	n := p.dice(timesOf+season, file)
	if season > 0 {
		return lastTime.Add(time.Duration(n % uint64(24*time.Hour)))
	}
	return firstTime.Add(time.Duration(n % uint64(lastTime.Sub(firstTime))))
}

// content gives what is in a file. It is good until the next call.
func (g *gardener) content(file int, season uint64) []byte {
	if season == 0 && file > 0 && g.one(twins, file, perTwin) {
		file = int(g.dice(twinOf, file) % uint64(file))
	}
	n := g.size(file)
	if int64(cap(g.buf)) < n {
		g.buf = make([]byte, MaxFile+g.Size*16)
	}
	var seed [32]byte
	for i, part := range []uint64{g.Seed, season, uint64(file)} {
		for b := range 8 {
			seed[8*i+b] = byte(part >> (8 * b))
		}
	}
	rand.NewChaCha8(seed).Read(g.buf[:n]) // never fails
	return g.buf[:n]
}

func (p Plan) size(file int) int64 {
	switch {
	case p.one(empties, file, perEmpty):
		return 0
	case p.one(huge, file, perHuge):
		return MaxFile
	case p.one(sizable, file, perSizable):
		return 16 * p.Size
	}
	return p.Size/2 + int64(p.dice(sizes, file)%uint64(p.Size)) + 1
}

// dressFolders gives all folders their modes and times, once all is in them.
func (p Plan) dressFolders(root string) error {
	var dirs []string
	for folder := range p.Folders {
		dirs = append(dirs, filepath.Join(root, p.folder(folder)))
	}
	for n := range Branches {
		dirs = append(dirs, filepath.Join(root, p.branch(n)))
	}
	for i, dir := range append(dirs, root) {
		if err := os.Chmod(dir, 0o700|os.FileMode(p.dice(modesOf, -i)%0o100)); err != nil {
			return err
		}
		mtime := p.mtime(-i, 0)
		if err := os.Chtimes(dir, mtime, mtime); err != nil {
			return err
		}
	}
	return nil
}

// What dice are cast for.
const (
	aliases uint64 = iota << 32
	links
	empties
	huge
	sizable
	sizes
	twins
	twinOf
	modesOf
	timesOf
	fates
	kindsOfName
)

// one reports whether a file is the one among so many.
func (p Plan) one(what uint64, file, among int) bool {
	return p.dice(what, file)%uint64(among) == 0
}

// dice gives a number that depends on the seed, on what it is for, and on the
// file, and on nothing else.
func (p Plan) dice(what uint64, file int) uint64 {
	return rand.NewPCG(p.Seed^what<<1, uint64(file)).Uint64()
}
