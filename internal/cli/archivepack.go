package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/pack"
	"github.com/firn-archive/firn/internal/scan"
)

// A packRoot is a file or a directory that was given to be packed.
type packRoot struct {
	given string // by the user
	path  string // absolute
	name  string // in the pack; "" for a directory whose entries stand at its top
	dir   bool
}

// newPackRoot names what is packed as tar does: by the path as it was given,
// without what leads to the root or upwards.
func newPackRoot(given, abs string, dir bool) packRoot {
	name := filepath.ToSlash(strings.TrimPrefix(filepath.Clean(given), filepath.VolumeName(given)))
	name = strings.TrimLeft(name, "/")
	for rest, up := strings.CutPrefix(name, "../"); up; rest, up = strings.CutPrefix(name, "../") {
		name = rest
	}
	if name == "." || name == ".." {
		name = ""
	}
	return packRoot{given: given, path: abs, name: name, dir: dir}
}

// checkApart refuses names that are packed twice, and a vault that would be
// packed into itself.
func (r packRoot) checkApart(others []packRoot, loc config.Location) error {
	for _, o := range others {
		if below(r.name, o.name) || below(o.name, r.name) {
			return wrongUsage("upload", "%s and %s have the same place in the pack; give one of them, or by other paths", o.given, r.given)
		}
	}
	if loc.Scheme != config.Local || !r.dir || !within(loc.Dir, r.path) {
		return nil
	}
	return wrongUsage("upload", "the vault %s lies in %s and would archive itself; put it somewhere else", loc.Dir, r.given)
}

// below reports whether the name a is b, or lies below it.
func below(a, b string) bool { return b == "" || a == b || strings.HasPrefix(a, b+"/") }

// A packer makes a pack in a goroutine of its own, for somebody who reads it.
type packer struct {
	ctx    context.Context
	app    *app
	events firn.Sink
	roots  []packRoot
	format pack.Format

	done   chan struct{} // closed when nothing below changes any more
	seen   firn.ScanEvent
	told   int64 // bytes of seen when an event told of them
	failed int64 // entries that are missing, or not whole
}

// start begins the pack and gives its bytes. They end with an error where it
// can't be made; to close them stops it.
func (p *packer) start() *io.PipeReader {
	r, w := io.Pipe()
	p.done = make(chan struct{})
	p.seen.Packing = true
	go func() {
		defer close(p.done)
		w.CloseWithError(p.write(w))
	}()
	return r
}

func (p *packer) write(w *io.PipeWriter) error {
	out, err := pack.NewWriter(w, p.format)
	if err != nil {
		return err
	}
	if err = p.all(out); err != nil {
		w.CloseWithError(err) // before the pack's end, with which it would look whole
	}
	return cmp.Or(err, out.Close())
}

// all packs all that was named.
func (p *packer) all(out *pack.Writer) (err error) {
	for _, root := range p.roots {
		if root.dir {
			err = p.tree(out, root)
		} else {
			err = p.single(out, root)
		}
		if err != nil {
			return err
		}
	}
	if p.seen.Files == 0 && p.failed > 0 {
		return &firn.Error{Op: "pack", Kind: firn.Local, Err: errors.New("nothing of it could be read")}
	}
	p.seen.Done = true
	p.events(p.seen)
	return nil
}

// single packs a file that was named itself.
func (p *packer) single(out *pack.Writer, root packRoot) error {
	f, err := os.Open(root.path)
	if err != nil {
		return p.fail(root.name, &firn.Error{Op: "open", Subject: root.given, Kind: firn.Local, Err: cause(err)})
	}
	return p.file(out, root.name, &scan.File{File: f})
}

// tree packs a directory with all below it.
func (p *packer) tree(out *pack.Writer, root packRoot) error {
	dir, err := scan.OpenRoot(root.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	opener := dir.Opener()
	defer opener.Close()
	keep := p.app.filterOf(filter.Options{KeepLitter: true}, root.path)
	for d, err := range scan.Walk(p.ctx, root.path, keep.Scan()) {
		if err != nil {
			return err
		}
		if err := p.directory(out, root, d); err != nil {
			return err
		}
		for i := range d.Files {
			if err := p.entry(out, root, opener, &d.Files[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// directory packs a directory itself, and tells what of it can't be packed.
func (p *packer) directory(out *pack.Writer, root packRoot, d *scan.Dir) error {
	if d.Err != nil {
		if err := p.fail(path.Join(root.name, d.File.Path), d.Err); err != nil {
			return err
		}
	}
	for _, skip := range d.Skipped {
		name := path.Join(root.name, skip.Path)
		switch {
		case skip.Err != nil:
			if err := p.fail(name, skip.Err); err != nil {
				return err
			}
		case !skip.Unseen:
			p.events(firn.FileEvent{Action: firn.Skipped, Path: name, Reason: skip.Reason})
		}
	}
	f := d.File
	if f.Path = path.Join(root.name, f.Path); !d.First || f.Path == "" {
		return nil
	}
	return p.add(out, f, nil)
}

// entry packs a file, or a link, of a tree.
func (p *packer) entry(out *pack.Writer, root packRoot, opener *scan.Opener, f *firn.File) error {
	name := path.Join(root.name, f.Path)
	if f.Kind == firn.Symlink {
		link := *f
		link.Path = name
		p.seen.Files++
		return p.add(out, link, nil)
	}
	file, err := opener.Open(f.Path)
	if err != nil {
		return p.fail(name, err)
	}
	return p.file(out, name, file)
}

// file packs an open file as it is now, closes it, and looks whether it stayed
// so.
func (p *packer) file(out *pack.Writer, name string, file *scan.File) error {
	defer file.Close()
	info, err := file.Info()
	if err != nil {
		return p.fail(name, err)
	}
	info.Path = name
	p.seen.Files++
	before := p.failed
	if err := p.add(out, info, &packReader{file, p}); err != nil || p.failed > before {
		return err
	}
	now, err := file.Stamp()
	if err == nil && !now.Equal(info.Stamp) {
		err = &firn.Error{Op: "pack", Subject: name, Kind: firn.Changed, Err: errors.New("it changed while it was read")}
	}
	if err != nil {
		return p.fail(name, err)
	}
	return nil
}

// add packs an entry. What is wrong with it alone is told, and no error.
func (p *packer) add(out *pack.Writer, f firn.File, content io.Reader) error {
	err := out.Add(f, content)
	if errors.Is(err, pack.ErrEntry) {
		return p.fail(f.Path, err)
	}
	return err
}

// fail tells of an entry that is missing, or not whole. Once all has to stop
// that is what is wrong.
func (p *packer) fail(name string, err error) error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	p.failed++
	p.events(firn.FileEvent{Action: firn.Failed, Path: name, Err: err})
	return nil
}

// toldEvery is how many bytes are packed between two events.
const toldEvery = 4 << 20

// packReader counts what is read, and ends with its context.
type packReader struct {
	file io.Reader
	p    *packer
}

func (r *packReader) Read(b []byte) (int, error) {
	if r.p.ctx.Err() != nil {
		return 0, context.Cause(r.p.ctx)
	}
	n, err := r.file.Read(b)
	s := &r.p.seen
	if s.Bytes += int64(n); s.Bytes-r.p.told >= toldEvery {
		r.p.told = s.Bytes
		r.p.events(*s)
	}
	return n, err
}
