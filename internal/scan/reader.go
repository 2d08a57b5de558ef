package scan

import (
	"bytes"

	"github.com/firn-archive/firn"
)

// A reader reads one directory, piece by piece.
type reader struct {
	volume volume
	opts   Options
	piece  int    // entries in a piece, at most
	above  uint64 // the parent's volume; of the root its own
	left   bool   // the directory itself is left out

	file    firn.File // the directory itself
	mount   bool
	entries names // all of it
	next    int   // the first entry that was not looked at
	kids    names // the directories among those that were; sorted
}

// first opens the directory and reads its first piece; nil where it is gone.
func (r *reader) first(path string) *Dir {
	r.file = firn.File{Path: path, Kind: firn.Directory, UID: -1, GID: -1, Links: 1}
	dir, err := r.volume.open(path)
	switch {
	case err == nil:
		defer dir.close()
		err = dir.self(&r.file)
	case !gone(err):
		r.unopened()
	}
	if gone(err) {
		return nil
	}
	r.mount = path != "" && r.file.Stamp.Device != r.above
	if err == nil {
		err = dir.list(&r.entries)
		r.entries.sort()
	}
	d := r.read(dir)
	d.First = true
	if err != nil {
		d.Err = problem("read directory", path, err)
	}
	return d
}

// unopened asks the parent about a directory that can't be opened.
func (r *reader) unopened() {
	var f firn.File
	if _, err := r.volume.stat(r.file.Path, &f); err == nil && f.Kind == firn.Directory {
		f.Path = r.file.Path
		r.file = f
	}
}

// more reads another piece.
func (r *reader) more() *Dir {
	dir, err := r.volume.open(r.file.Path)
	if err != nil {
		// What is left of the names was there a while ago.
		r.next = r.entries.len()
		d := r.read(nil)
		d.Err = problem("read directory", r.file.Path, err)
		return d
	}
	defer dir.close()
	return r.read(dir)
}

// read looks at the next entries; dir may be nil where none are left.
func (r *reader) read(dir folder) *Dir {
	d := &Dir{File: r.file, Mount: r.mount, Left: r.left}
	end := min(r.next+r.piece, r.entries.len())
	if end > r.next {
		d.Files = make([]firn.File, 0, end-r.next)
	}
	for ; r.next < end; r.next++ {
		r.look(dir, r.entries.get(r.next), d)
	}
	d.More = r.next < r.entries.len()
	return d
}

// look puts one entry where it belongs.
func (r *reader) look(dir folder, name []byte, d *Dir) {
	path := join(r.file.Path, name)
	d.Files = append(d.Files, firn.File{Path: path})
	f := &d.Files[len(d.Files)-1]
	special, err := dir.stat(path[len(path)-len(name):], f)
	if err == nil && f.Kind != "" {
		v := r.judge(f)
		switch {
		case v.Leave && !v.Below:
			d.Skipped = append(d.Skipped, Skip{Path: path, Reason: v.Reason, Unseen: true, Litter: v.Litter})
		case special == placeholder || r.opts.Elsewhere != nil && r.opts.Elsewhere(f):
			// What is known of it stays, and of a directory all below it.
			d.Skipped = append(d.Skipped, Skip{Path: path, Err: errElsewhere(path), Unseen: true})
		case f.Kind != firn.Directory:
			return
		default:
			r.kids.add(kid(path[len(path)-len(name):], v.Leave))
		}
	}
	d.Files = d.Files[:len(d.Files)-1]
	switch {
	case gone(err):
	case err != nil:
		d.Skipped = append(d.Skipped, Skip{Path: path, Err: problem("look at", path, err), Unseen: true})
	case special != "" && special != placeholder:
		d.Skipped = append(d.Skipped, Skip{Path: path, Reason: special})
	}
}

// judge says what is wanted of an entry.
func (r *reader) judge(f *firn.File) Verdict {
	isDir := f.Kind == firn.Directory
	if isDir && r.opts.OneVolume && f.Stamp.Device != r.file.Stamp.Device {
		return Verdict{Leave: true, Reason: "on another volume"}
	}
	if r.opts.Filter == nil {
		return Verdict{}
	}
	v := r.opts.Filter(f)
	v.Below = v.Below && isDir
	return v
}

// leftMark ends the names of directories that are left out, in a reader's
// kids. No name has it, and it is the lowest byte, so that the order stays.
const leftMark = "\x00"

// kid notes a directory that is to be read.
func kid(name string, left bool) string {
	if left {
		return name + leftMark
	}
	return name
}

// cutKid undoes kid.
func cutKid(kid []byte) (name []byte, left bool) { return bytes.CutSuffix(kid, []byte(leftMark)) }
