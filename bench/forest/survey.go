package forest

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// An Entry is what a survey finds at one path.
type Entry struct {
	Path    string      // below the root, "." for itself
	Mode    fs.FileMode // type and permissions; of links only the type
	Size    int64       // of regular files, bytes
	ModTime time.Time
	Hash    [sha256.Size]byte // of a file's content
	Target  string            // of symbolic links
	Alias   string            // path of the first name of the file, where that is another one

	inode uint64 // of files with several names
}

// A Survey is all that is in a tree, by path.
type Survey []Entry

// Look surveys a tree: it reads all of it.
func Look(root string) (Survey, error) {
	var s Survey
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		s = append(s, Entry{Path: path})
		return err
	})
	if err != nil {
		return nil, err
	}
	var group sync.WaitGroup
	workers := 2 * runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(s) && errs[w] == nil; i += workers {
				errs[w] = s[i].look(root)
			}
		})
	}
	group.Wait()
	slices.SortFunc(s, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	s.findAliases()
	return s, errors.Join(errs...)
}

// findAliases finds the names that belong to one file.
func (s Survey) findAliases() {
	first := map[uint64]string{}
	for i := range s {
		switch e := &s[i]; {
		case e.inode == 0:
		case first[e.inode] == "":
			first[e.inode] = e.Path
		default:
			e.Alias = first[e.inode]
		}
	}
}

// look fills in what is at the path.
func (e *Entry) look(root string) error {
	path := filepath.Join(root, e.Path)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	e.Mode, e.ModTime, e.inode = info.Mode(), info.ModTime(), inode(info)
	switch {
	case e.Mode.IsRegular():
		e.Size = info.Size()
		e.Hash, err = hash(path)
	case e.Mode.Type() == fs.ModeSymlink:
		e.Mode = fs.ModeSymlink // systems differ in the permissions of links, and none looks at them
		e.Target, err = os.Readlink(path)
	}
	return err
}

func hash(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// Files counts the regular files, and their bytes.
func (s Survey) Files() (files, bytes int64) {
	for i := range s {
		if s[i].Mode.IsRegular() {
			files, bytes = files+1, bytes+s[i].Size
		}
	}
	return files, bytes
}

// News is what one survey has that an earlier one hasn't.
type News struct {
	Contents, Bytes int64 // of files, each counted once
	AllBytes        int64 // each counted as often as files have it
}

// News compares with an earlier survey. What is empty has no content.
func (s Survey) News(before Survey) (n News) {
	const old, new = 1, 2
	known := make(map[[sha256.Size]byte]int, len(before))
	for i := range before {
		known[before[i].Hash] = old
	}
	for i := range s {
		e := &s[i]
		if e.Size == 0 || known[e.Hash] == old {
			continue
		}
		n.AllBytes += e.Size
		if known[e.Hash] != new {
			known[e.Hash] = new
			n.Contents++
			n.Bytes += e.Size
		}
	}
	return n
}

// Differences tells what the other survey has otherwise, a line each.
func (s Survey) Differences(other Survey) []string {
	var lines []string
	for len(s) > 0 || len(other) > 0 {
		switch {
		case len(other) == 0 || len(s) > 0 && s[0].Path < other[0].Path:
			lines = append(lines, fmt.Sprintf("%q is missing", s[0].Path))
			s = s[1:]
		case len(s) == 0 || other[0].Path < s[0].Path:
			lines = append(lines, fmt.Sprintf("%q should not be there", other[0].Path))
			other = other[1:]
		default:
			if d := s[0].difference(other[0]); d != "" {
				lines = append(lines, fmt.Sprintf("%q has %s", s[0].Path, d))
			}
			s, other = s[1:], other[1:]
		}
	}
	return lines
}

func (e Entry) difference(o Entry) string {
	switch {
	case e.Mode != o.Mode:
		return fmt.Sprintf("mode %v, not %v", o.Mode, e.Mode)
	case e.Size != o.Size:
		return fmt.Sprintf("%d bytes, not %d", o.Size, e.Size)
	case e.Hash != o.Hash:
		return fmt.Sprintf("other content: SHA-256 %x, not %x", o.Hash, e.Hash)
	case e.Target != o.Target:
		return fmt.Sprintf("target %q, not %q", o.Target, e.Target)
	case e.Alias != o.Alias:
		return fmt.Sprintf("as the first name of its file %q, not %q", o.Alias, e.Alias)
	case !e.ModTime.Equal(o.ModTime):
		return fmt.Sprintf("mtime %s, not %s", o.ModTime.Format(time.RFC3339Nano), e.ModTime.Format(time.RFC3339Nano))
	}
	return ""
}
