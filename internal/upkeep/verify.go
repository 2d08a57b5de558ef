// Package upkeep keeps what is stored in order. It compares the disk with the
// catalog, without downloading anything.
package upkeep

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
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
	Clock   clock.Clock // nil: clock.System
	// Filter says what of both sides is left out; nil for nothing.
	Filter *filter.Filter
	// Quick believes sizes and times, and reads no file.
	Quick bool
	// Concurrency is how many files are read at a time.
	Concurrency int

	// Round is what this verification belongs to: hashes are kept for it, and
	// only the files of its part are looked at. Zero: none are kept, and all are.
	Round catalog.Round
	// Believe is since when a hash must have been read to be believed, where the
	// file has the same stamp; zero: none is.
	Believe time.Time
	// Until is when to stop: a file that is being read then is read to its end,
	// and no other is begun. Zero: never.
	Until time.Time
	// Batch is how many hashes are kept at a time; 0: 1,000.
	Batch int
}

// A VerifyResult counts what was found: Verified, Missing, Extra, Differs,
// Excluded, and Failed for what could not be read.
type VerifyResult struct {
	Counts   map[firn.Action]firn.Count
	Excluded map[string]int64 // how many of the excluded, for each reason
	Hashes   Hashes
	// Stopped: time was up, or it was interrupted, before all was compared.
	Stopped bool
}

// Clean reports whether disk and catalog agree, as far as they were compared.
func (r VerifyResult) Clean() bool {
	for _, a := range []firn.Action{firn.Missing, firn.Extra, firn.Differs, firn.Failed} {
		if r.Counts[a].Files > 0 {
			return false
		}
	}
	return true
}

// Verify compares a directory with what the catalog has of its tree: names,
// kinds, sizes, times, link targets and content, by reading every file whose hash
// isn't believed. What was read is kept even where it is interrupted.
func Verify(ctx context.Context, o VerifyOptions) (VerifyResult, error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	v := &verifier{VerifyOptions: o, began: o.Clock.Now(), counts: map[firn.Action]firn.Count{}, excluded: map[string]int64{}}
	var err error
	if v.root, err = scan.OpenRoot(o.Root); err != nil {
		return VerifyResult{}, err
	}
	defer v.root.Close()
	v.keeper = keeper{o: &v.VerifyOptions, at: v.began}
	v.plan()
	g, running := errgroup.WithContext(ctx)
	pairs := make(chan pair, 64)
	g.Go(func() error {
		defer close(pairs)
		return v.walk(running, &comparison{verifier: v, pairs: pairs})
	})
	for range max(1, o.Concurrency) {
		g.Go(func() error { return v.readAll(running, pairs) })
	}
	err = g.Wait()
	if err == nil || ctx.Err() != nil {
		err = errors.Join(err, v.keeper.flush(context.WithoutCancel(ctx)))
	}
	return VerifyResult{v.counts, v.excluded, v.dates, err != nil || v.stopped.Load()}, err
}

// A pair is a file on both sides, whose content is to be compared.
type pair struct {
	disk  firn.File
	known catalog.Entry
}

type verifier struct {
	VerifyOptions
	root    *scan.Root
	began   time.Time
	keeper  keeper
	stopped atomic.Bool // time is up

	excluded map[string]int64

	mu     sync.Mutex
	counts map[firn.Action]firn.Count
	dates  Hashes
}

// timeUp reports whether no more files are to be begun.
func (v *verifier) timeUp() bool {
	if !v.Until.IsZero() && !v.Clock.Now().Before(v.Until) {
		v.stopped.Store(true)
	}
	return v.stopped.Load()
}

// A visitor is told what a walk finds.
type visitor interface {
	missing(catalog.Entry)                                                                      // in the catalog alone
	extra(firn.File)                                                                            // on disk alone
	both(ctx context.Context, disk firn.File, known *catalog.Entry, kept *catalog.Hashed) error // kept may be nil
	aside(known *catalog.Entry, kept *catalog.Hashed)                                           // a file on both sides, of another part
	excluded(scan.Skip)
	failed(path, reason string, err error)
}

// A knownReader reads the entries of a tree ahead: the catalog is read beside the
// disk.
type knownReader struct {
	stop  context.CancelFunc
	pages chan knownPage
	page  []catalog.Entry
}

type knownPage struct {
	entries []catalog.Entry
	err     error
}

// knownAtOnce is how many entries are handed over at a time.
const knownAtOnce = 256

func (v *verifier) entries(ctx context.Context) *knownReader {
	ctx, stop := context.WithCancel(ctx)
	r := &knownReader{stop: stop, pages: make(chan knownPage, 8)}
	go func() {
		defer close(r.pages)
		page := make([]catalog.Entry, 0, knownAtOnce)
		hand := func(err error) bool {
			select {
			case r.pages <- knownPage{page, err}:
				page = make([]catalog.Entry, 0, knownAtOnce)
				return true
			case <-ctx.Done():
				return false
			}
		}
		for e, err := range v.Catalog.Files(ctx, catalog.ListQuery{Tree: v.Tree.ID}) {
			if err == nil {
				page = append(page, e)
			}
			if (err != nil || len(page) == knownAtOnce) && !hand(err) {
				return
			}
		}
		hand(nil)
	}()
	return r
}

// next gives the next entry; nil behind the last one.
func (r *knownReader) next() (*catalog.Entry, error) {
	for len(r.page) == 0 {
		next, more := <-r.pages
		if !more || next.err != nil {
			return nil, next.err
		}
		r.page = next.entries
	}
	e := &r.page[0]
	r.page = r.page[1:]
	return e, nil
}

func (r *knownReader) close() {
	r.stop()
	for range r.pages {
	}
}

// walk goes over both sides at once: both are in walk order.
func (v *verifier) walk(ctx context.Context, to visitor) (err error) {
	m := &merge{verifier: v, to: to, reader: v.entries(ctx), unseen: unseenPaths{}}
	defer m.reader.close()
	if v.Round.Place != 0 && !v.Quick {
		m.hashes = v.Catalog.Hashes(ctx, v.Round)
		defer m.hashes.Close()
	}
	if err := m.advance(); err != nil {
		return err
	}
	if err := m.disk(ctx); err != nil || v.stopped.Load() {
		return err
	}
	for m.known != nil {
		m.missing()
		if err := m.advance(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // which may look like the catalog's end
	}
	return nil
}

// A merge goes over disk and catalog.
type merge struct {
	*verifier
	to     visitor
	reader *knownReader
	known  *catalog.Entry // the next one; nil: there is none
	hashes *catalog.HashReader
	unseen unseenPaths
}

func (m *merge) advance() (err error) {
	m.known, err = m.reader.next()
	return err
}

// disk goes over the disk, and over what the catalog has up to its end.
func (m *merge) disk(ctx context.Context) error {
	for dir, err := range scan.Walk(ctx, m.Root, m.Filter.Scan()) {
		if err != nil {
			return err
		}
		if m.timeUp() {
			return nil
		}
		m.report(dir)
		if dir.First {
			if err := m.entry(ctx, dir.File, dir.Left); err != nil {
				return err
			}
		}
		for i := range dir.Files {
			if err := m.entry(ctx, dir.Files[i], false); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry takes one from the disk, and what is before it in the catalog.
func (m *merge) entry(ctx context.Context, f firn.File, left bool) error {
	for m.known != nil && order(m.known.File, f) < 0 {
		m.missing()
		if err := m.advance(); err != nil {
			return err
		}
	}
	if m.known == nil || order(m.known.File, f) > 0 {
		below := m.known != nil && isBelow(m.known.Path, f.Path)
		// The root is no entry that anybody looks for.
		if f.Path != "" && (f.Kind != firn.Directory || !left && !below) && m.inPart(f.Path) {
			m.to.extra(f)
		}
		return nil
	}
	if err := m.pair(ctx, f); err != nil {
		return err
	}
	return m.advance()
}

// pair takes an entry that is on both sides.
func (m *merge) pair(ctx context.Context, f firn.File) error {
	var kept *catalog.Hashed
	if m.hashes != nil && f.Kind == firn.Regular {
		found, ok, err := m.hashes.Find(f.Path)
		if err != nil {
			return err
		}
		if ok {
			kept = &found
		}
	}
	if m.inPart(f.Path) {
		return m.to.both(ctx, f, m.known, kept)
	}
	if f.Kind == firn.Regular && m.known.Kind == firn.Regular {
		m.to.aside(m.known, kept)
	}
	return nil
}

// missing takes an entry that is not on disk, unless nobody can tell.
func (m *merge) missing() {
	e := m.known
	if e.Kind == firn.Directory && e.Path == "" || !m.inPart(e.Path) || m.unseen.covers(e.Path) || m.Filter.Covers(&e.File) {
		return
	}
	m.to.missing(*e)
}

// report tells what could not be seen, and remembers it: nothing below can be
// called missing.
func (m *merge) report(dir *scan.Dir) {
	if dir.Err != nil {
		m.unseen.add(dir.File.Path)
		m.to.failed(dir.File.Path, "", dir.Err)
	}
	for _, s := range dir.Skipped {
		if s.Unseen {
			m.unseen.add(s.Path)
		}
		switch {
		case s.Err != nil:
			m.to.failed(s.Path, s.Reason, s.Err)
		case s.Unseen:
			m.to.excluded(s)
		}
	}
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

// A comparison is the visitor that verifies.
type comparison struct {
	*verifier
	pairs  chan<- pair
	spared int64 // bytes that need no reading, not told of yet
}

func (c *comparison) missing(e catalog.Entry) {
	c.spare(&e)
	c.event(firn.Missing, e.File, "", nil)
}

func (c *comparison) extra(f firn.File) { c.event(firn.Extra, f, "", nil) }

func (c *comparison) failed(path, reason string, err error) {
	c.event(firn.Failed, firn.File{Path: path}, reason, err)
}

func (c *comparison) excluded(s scan.Skip) {
	c.verifier.excluded[s.Reason]++
	c.event(firn.Excluded, firn.File{Path: s.Path}, s.Reason, nil)
}

func (c *comparison) aside(known *catalog.Entry, kept *catalog.Hashed) {
	if known.Stamp.Size > 0 {
		c.elsewhere(kept)
	}
}

// both compares what needs no reading, and passes on what does.
func (c *comparison) both(ctx context.Context, f firn.File, known *catalog.Entry, kept *catalog.Hashed) error {
	switch {
	case f.Kind != known.Kind:
		c.event(firn.Differs, f, "it is a "+string(f.Kind)+", and was a "+string(known.Kind), nil)
	case f.Kind == firn.Directory:
	case f.Kind == firn.Symlink && f.Target != known.Target:
		c.event(firn.Differs, f, "the link leads elsewhere", nil)
	case f.Kind == firn.Symlink:
		c.event(firn.Verified, f, "", nil)
	case f.Stamp.Size != known.Stamp.Size:
		c.event(firn.Differs, f, "size", nil)
	case f.Stamp.Size > 0 && known.Location.State != catalog.Stored:
		c.event(firn.Differs, f, "not in the store", nil)
	case c.Quick && !sameTime(f, known):
		c.event(firn.Differs, f, "time", nil)
	case c.Quick:
		c.event(firn.Verified, f, "", nil)
	case f.Stamp.Size > 0 && known.Content.Tree.IsZero():
		c.event(firn.Failed, f, "", errNoHash)
	case c.believes(&f, kept):
		c.believed(f.Stamp.Size, kept)
		c.judge(f, known, firn.Content{Size: f.Stamp.Size, Tree: kept.Tree})
	default:
		select {
		case c.pairs <- pair{f, *known}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return nil
	}
	c.spare(known)
	return nil
}

// errNoHash is about a file that lies in an archive of many, of which only the
// archive has a hash.
var errNoHash = errors.New("nobody recorded a hash to compare it with, and its size is the same; a restore of it, or a sync, records one")

// sameTime reports whether a file has the time that was recorded, as exactly as
// that was; true where nobody recorded any.
func sameTime(f firn.File, known *catalog.Entry) bool {
	recorded := known.Stamp.ModTime
	return recorded.IsZero() || plan.Agrees(f.Stamp.ModTime, recorded)
}

// readAll reads the files of pairs.
func (v *verifier) readAll(ctx context.Context, pairs <-chan pair) error {
	opener := v.root.Opener()
	defer opener.Close()
	buf := make([]byte, bufferSize)
	for p := range pairs {
		if v.timeUp() {
			continue
		}
		if err := v.content(ctx, opener, p, buf); err != nil {
			return err
		}
	}
	return nil
}

// content reads a file and compares its hash.
func (v *verifier) content(ctx context.Context, opener *scan.Opener, p pair, buf []byte) error {
	began := v.Clock.Now()
	got, stamp, err := v.hash(ctx, opener, p.disk.Path, buf)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		v.event(firn.Failed, p.disk, "", err)
		return nil
	}
	v.read(got.Size, began)
	p.disk.Stamp = stamp
	v.judge(p.disk, &p.known, got)
	return v.keeper.keep(ctx, catalog.Hashed{Path: p.disk.Path, Stamp: stamp, Read: began, Tree: got.Tree})
}

// judge says what the content of a file comes to.
func (v *verifier) judge(disk firn.File, known *catalog.Entry, got firn.Content) {
	switch {
	case got != known.Content:
		v.event(firn.Differs, disk, "content", nil)
	case !sameTime(disk, known):
		v.event(firn.Differs, disk, "time; the content is the same", nil)
	default:
		v.event(firn.Verified, disk, "", nil)
	}
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
