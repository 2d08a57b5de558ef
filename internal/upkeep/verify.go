// Package upkeep keeps what is stored in order. It compares the disk with the
// catalog, without downloading anything.
package upkeep

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/filter"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/scan"
)

// VerifyOptions say what to verify.
type VerifyOptions struct {
	Catalog *catalog.Catalog
	Tree    catalog.Tree
	Root    string // the directory to compare with; absolute
	Events  firn.Sink
	// Filter says what of both sides is left out; nil for nothing.
	Filter *filter.Filter
	// Quick believes sizes and times, and reads no file.
	Quick bool
	// Concurrency is how many files are read at a time.
	Concurrency int
}

// A VerifyResult counts what was found: Verified, Missing, Extra, Differs,
// Excluded, and Failed for what could not be read.
type VerifyResult struct {
	Counts   map[firn.Action]firn.Count
	Excluded map[string]int64 // how many of the excluded, for each reason
}

// Clean reports whether disk and catalog agree.
func (r VerifyResult) Clean() bool {
	for _, a := range []firn.Action{firn.Missing, firn.Extra, firn.Differs, firn.Failed} {
		if r.Counts[a].Files > 0 {
			return false
		}
	}
	return true
}

// Verify compares a directory with what the catalog has of its tree: names,
// kinds, sizes, times, link targets and, by reading every file, content.
func Verify(ctx context.Context, o VerifyOptions) (VerifyResult, error) {
	root, err := scan.OpenRoot(o.Root)
	if err != nil {
		return VerifyResult{}, err
	}
	defer root.Close()
	v := &verifier{VerifyOptions: o, root: root, counts: map[firn.Action]firn.Count{}, excluded: map[string]int64{}}
	g, ctx := errgroup.WithContext(ctx)
	pairs := make(chan pair, 64)
	g.Go(func() error {
		defer close(pairs)
		return v.compare(ctx, pairs)
	})
	for range max(1, o.Concurrency) {
		g.Go(func() error {
			for p := range pairs {
				if err := v.content(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = g.Wait()
	return VerifyResult{v.counts, v.excluded}, err
}

// A pair is a file on both sides, whose content is to be compared.
type pair struct {
	disk  firn.File
	known catalog.Entry
}

type verifier struct {
	VerifyOptions
	root *scan.Root

	excluded map[string]int64

	mu     sync.Mutex
	counts map[firn.Action]firn.Count
}

// compare walks both sides at once: both are in walk order.
func (v *verifier) compare(ctx context.Context, pairs chan<- pair) error {
	next, stop := iter.Pull2(v.Catalog.Files(ctx, catalog.ListQuery{Tree: v.Tree.ID}))
	defer stop()
	known, err, more := next()
	advance := func() { known, err, more = next() }
	unseen := unseenPaths{}
	for dir, scanErr := range scan.Walk(ctx, v.Root, v.Filter.Scan()) {
		if scanErr != nil {
			return scanErr
		}
		v.report(dir, unseen)
		entries := dir.Files
		if dir.First {
			entries = append([]firn.File{dir.File}, entries...)
		}
		for _, f := range entries {
			for more && err == nil && order(known.File, f) < 0 {
				v.missing(known, unseen)
				advance()
			}
			if err != nil {
				return err
			}
			if !more || order(known.File, f) > 0 {
				if f.Kind != firn.Directory || !dir.Left && !(more && isBelow(known.Path, f.Path)) {
					v.extra(f)
				}
				continue
			}
			if err := v.both(ctx, f, known, pairs); err != nil {
				return err
			}
			advance()
		}
	}
	for ; more && err == nil; advance() {
		v.missing(known, unseen)
	}
	return err
}

// isBelow reports whether a path is below a folder. In walk order the first entry
// of a folder comes right behind it: where that is below it, the folder is known,
// though nobody recorded its mode, as programs that store files alone don't.
func isBelow(p, dir string) bool {
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// order is the order of the walk, in which a folder's files come before the
// folders in it.
func order(a, b firn.File) int {
	dirA, dirB := folderOf(a), folderOf(b)
	if c := scan.Compare(dirA, dirB); c != 0 {
		return c
	}
	selfA, selfB := a.Kind == firn.Directory, b.Kind == firn.Directory
	switch {
	case selfA && selfB:
		return 0
	case selfA:
		return -1
	case selfB:
		return 1
	}
	return cmp.Compare(a.Path, b.Path)
}

// folderOf is the folder that an entry is listed with: itself, or its parent.
func folderOf(f firn.File) string {
	if f.Kind == firn.Directory {
		return f.Path
	}
	return f.Path[:max(0, strings.LastIndexByte(f.Path, '/'))]
}

// report tells what could not be seen, and remembers it: nothing below can be
// called missing.
func (v *verifier) report(dir *scan.Dir, unseen unseenPaths) {
	if dir.Err != nil {
		unseen.add(dir.File.Path)
		v.event(firn.Failed, dir.File, "", dir.Err)
	}
	for _, s := range dir.Skipped {
		if s.Unseen {
			unseen.add(s.Path)
		}
		switch {
		case s.Err != nil:
			v.event(firn.Failed, firn.File{Path: s.Path}, s.Reason, s.Err)
		case s.Unseen:
			v.excluded[s.Reason]++
			v.event(firn.Excluded, firn.File{Path: s.Path}, s.Reason, nil)
		}
	}
}

func (v *verifier) missing(e catalog.Entry, unseen unseenPaths) {
	if e.Kind == firn.Directory && e.Path == "" || unseen.covers(e.Path) || v.Filter.Covers(&e.File) {
		return
	}
	v.event(firn.Missing, e.File, "", nil)
}

// extra is on disk alone. The root is no entry that anybody looks for.
func (v *verifier) extra(f firn.File) {
	if f.Path != "" {
		v.event(firn.Extra, f, "", nil)
	}
}

// both compares what needs no reading, and passes on what does.
func (v *verifier) both(ctx context.Context, f firn.File, known catalog.Entry, pairs chan<- pair) error {
	switch {
	case f.Kind != known.Kind:
		v.event(firn.Differs, f, "it is a "+string(f.Kind)+", and was a "+string(known.Kind), nil)
	case f.Kind == firn.Directory:
	case f.Kind == firn.Symlink && f.Target != known.Target:
		v.event(firn.Differs, f, "the link leads elsewhere", nil)
	case f.Kind == firn.Symlink:
		v.event(firn.Verified, f, "", nil)
	case f.Stamp.Size != known.Stamp.Size:
		v.event(firn.Differs, f, "size", nil)
	case f.Stamp.Size > 0 && known.Location.State != catalog.Stored:
		v.event(firn.Differs, f, "not in the store", nil)
	case v.Quick && !sameTime(f, known):
		v.event(firn.Differs, f, "time", nil)
	case v.Quick:
		v.event(firn.Verified, f, "", nil)
	case f.Stamp.Size > 0 && known.Content.Tree.IsZero():
		v.event(firn.Failed, f, "", errNoHash)
	default:
		select {
		case pairs <- pair{f, known}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// errNoHash is about a file that lies in an archive of many, of which only the
// archive has a hash.
var errNoHash = errors.New("nobody recorded a hash to compare it with, and its size is the same; a restore of it, or a sync, records one")

// sameTime reports whether a file has the time that was recorded, as exactly as
// that was; true where nobody recorded any.
func sameTime(f firn.File, known catalog.Entry) bool {
	recorded := known.Stamp.ModTime
	return recorded.IsZero() || plan.Agrees(f.Stamp.ModTime, recorded)
}

// content reads a file and compares its hash.
func (v *verifier) content(ctx context.Context, p pair) error {
	got, err := v.hash(ctx, p.disk.Path)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		v.event(firn.Failed, p.disk, "", err)
	case got != p.known.Content:
		v.event(firn.Differs, p.disk, "content", nil)
	case !sameTime(p.disk, p.known):
		v.event(firn.Differs, p.disk, "time; the content is the same", nil)
	default:
		v.event(firn.Verified, p.disk, "", nil)
	}
	return nil
}

func (v *verifier) hash(ctx context.Context, path string) (firn.Content, error) {
	f, err := v.root.Open(path)
	if err != nil {
		return firn.Content{}, err
	}
	defer f.Close()
	return scan.Hash(ctx, f)
}

func (v *verifier) event(a firn.Action, f firn.File, reason string, err error) {
	size := f.Stamp.Size
	if f.Kind != firn.Regular {
		size = 0
	}
	v.mu.Lock()
	c := v.counts[a]
	c.Files++
	c.Bytes += size
	v.counts[a] = c
	v.mu.Unlock()
	v.Events(firn.FileEvent{Action: a, Tree: v.Tree.Name, Path: f.Path, Size: size, Reason: reason, Err: err})
}

// unseenPaths are paths about which, and about all below which, a scan says
// nothing.
type unseenPaths map[string]bool

func (u unseenPaths) add(path string) { u[path] = true }

func (u unseenPaths) covers(path string) bool {
	if len(u) == 0 {
		return false
	}
	if u[""] || u[path] {
		return true
	}
	for i := range path {
		if path[i] == '/' && u[path[:i]] {
			return true
		}
	}
	return false
}
