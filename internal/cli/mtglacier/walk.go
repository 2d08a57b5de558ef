package mtglacier

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/mtjournal"
)

// A local is a file on the disk that can be in a vault: a plain one, or a link
// to one, which is not empty.
type local struct {
	name  string // as text: in the journal and in the vault
	path  string // as the disk has it, below the root
	size  int64
	mtime time.Time
	// linked: a link is on the way to it, so that its path has to be followed.
	linked bool
}

// A walk goes over the tree.
type walk struct {
	*runner
	dir  string // absolute
	each func(local) error

	files   int64           // that were found
	present bool            // anything is there that is worth keeping, wanted or not
	empty   map[string]bool // names of files without bytes
	unread  []string        // folders that could not be read, with a slash behind them
	own     map[string]bool // firn's own files beside the journal, by their paths
	seen    map[inode]bool  // with Follow: what was visited
}

// An inode tells whether two names are of one file.
type inode struct{ device, number uint64 }

func (r *runner) newWalk(each func(local) error) *walk {
	w := &walk{runner: r, dir: r.at(r.Dir), each: each, empty: map[string]bool{}, own: map[string]bool{}, seen: map[inode]bool{}}
	for _, suffix := range []string{".lock", ".torn"} { // see mtjournal.OpenAppend
		if real, err := filepath.EvalSymlinks(r.at(r.Journal)); err == nil {
			w.own[real+suffix] = true
		}
	}
	return w
}

// run goes over all of the tree.
func (w *walk) run(ctx context.Context) error {
	real, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		return err
	}
	return w.tree(ctx, real, "")
}

// tree goes over what is below a directory, which is called prefix in the tree:
// empty, or with a slash behind it.
func (w *walk) tree(ctx context.Context, dir, prefix string) error {
	judge := func(f *firn.File) scan.Verdict { return w.judge(prefix, f) }
	var links []string
	for d, err := range scan.Walk(ctx, dir, scan.Options{Filter: judge}) {
		if err != nil {
			return err
		}
		if w.Follow && d.First && !w.visit(d.File.Stamp) {
			continue
		}
		if d.Err != nil {
			w.unread = append(w.unread, prefix+d.File.Path+"/")
			w.error("%v", d.Err)
		}
		for i := range d.Skipped {
			w.skipped(prefix, &d.Skipped[i])
		}
		for i := range d.Files {
			f := &d.Files[i]
			target, err := w.file(dir, prefix, f)
			if err != nil {
				return err
			}
			if target != "" {
				links = append(links, f.Path)
			}
		}
	}
	for _, path := range links {
		if err := w.follow(ctx, filepath.Join(dir, filepath.FromSlash(path)), prefix+path+"/"); err != nil {
			return err
		}
	}
	return nil
}

// follow goes over the directory that a link leads to.
func (w *walk) follow(ctx context.Context, link, prefix string) error {
	if text, err := w.Encodings.Filenames.Decode(prefix); err == nil {
		v := w.Filter.Judge(&firn.File{Path: strings.TrimSuffix(text, "/"), Kind: firn.Directory})
		if v.Leave && !v.Below {
			return nil
		}
	}
	real, err := filepath.EvalSymlinks(link)
	if err != nil {
		w.astray(strings.TrimSuffix(prefix, "/"))
		return nil
	}
	return w.tree(ctx, real, prefix)
}

// visit reports whether a file is visited for the first time. Of what has no
// number nobody knows.
func (w *walk) visit(s firn.Stamp) bool {
	id := inode{s.Device, s.Inode}
	if id.number == 0 {
		return true
	}
	before := len(w.seen)
	w.seen[id] = true
	return len(w.seen) > before
}

// judge is the filter on what is on the disk. What a link leads to is judged when
// that is known, and a name that can't be read is told of.
func (w *walk) judge(prefix string, f *firn.File) scan.Verdict {
	if f.Kind != firn.Directory && filter.IsUnfinished([]byte(baseName(f.Path))) {
		return scan.Verdict{Leave: true, Litter: true, Reason: filter.UnfinishedReason}
	}
	if f.Kind == firn.Symlink {
		return scan.Verdict{}
	}
	named := *f
	named.Path = prefix + f.Path
	if text, err := w.Encodings.Filenames.Decode(named.Path); err == nil {
		named.Path = text
	}
	return w.Filter.Judge(&named)
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// skipped notes what a scan passed over.
func (w *walk) skipped(prefix string, s *scan.Skip) {
	w.present = w.present || !s.Litter
	if s.Err != nil {
		w.unread = append(w.unread, prefix+s.Path+"/")
		w.error("%v", s.Err)
	}
}

// file takes one file. It gives where a link leads that is to be followed.
func (w *walk) file(dir, prefix string, f *firn.File) (target string, err error) {
	full := filepath.Join(dir, filepath.FromSlash(f.Path))
	if w.own[full] {
		return "", nil
	}
	w.present = true
	l := local{path: prefix + f.Path, size: f.Stamp.Size, mtime: f.Stamp.ModTime, linked: prefix != ""}
	if f.Kind == firn.Symlink {
		info, err := os.Stat(full)
		switch {
		case err != nil:
			w.astray(l.path)
			return "", nil
		case info.IsDir() && w.Follow:
			return full, nil
		case !info.Mode().IsRegular():
			return "", nil
		}
		l.size, l.mtime, l.linked = info.Size(), info.ModTime(), true
	}
	if w.Follow && f.Kind == firn.Regular && !w.visit(f.Stamp) {
		return "", nil
	}
	if l.name, err = w.nameOf(l.path); err != nil {
		w.error("%v", err)
		return "", nil
	}
	if f.Kind == firn.Symlink && w.leaves(l.name) {
		return "", nil
	}
	if l.size == 0 {
		w.empty[l.name] = true
		return "", nil
	}
	if w.files++; w.files%1000 == 0 {
		w.say("Found %d local files", w.files)
	}
	return "", w.each(l)
}

// astray notes a link that leads nowhere. What was behind it may lie on a disk that
// isn't mounted.
func (w *walk) astray(path string) { w.unread = append(w.unread, path+"/") }

// nameOf gives the name of a file as text, if it is one that a journal holds.
func (r *runner) nameOf(path string) (string, error) {
	name, err := r.Encodings.Filenames.Decode(path)
	switch {
	case err != nil:
		return "", problemf("Invalid octets in filename, does not map to desired encoding %s: %q", r.Encodings.Filenames, path)
	case !mtjournal.ValidName(name):
		return "", problemf("Not allowed characters in filename: %q", name)
	}
	return name, nil
}

// missing reports whether a name of the journal has no file any more, as far as
// can be told.
func (w *walk) missing(name string) bool {
	path, err := w.Encodings.Filenames.Encode(name)
	if err != nil || w.empty[name] {
		return false
	}
	for _, folder := range w.unread {
		if strings.HasPrefix(path+"/", folder) || folder == "/" {
			return false
		}
	}
	info, err := os.Stat(filepath.Join(w.dir, filepath.FromSlash(path)))
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || isNoFolder(err)
	}
	return !info.Mode().IsRegular()
}

// open opens a file of the tree for reading.
func (l *local) open(root *scan.Root, dir string) (transfer.File, error) {
	if !l.linked {
		return root.Open(l.path)
	}
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(l.path)))
	if err != nil {
		return nil, err
	}
	return &scan.File{File: f}, nil
}
