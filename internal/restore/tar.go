package restore

import (
	"archive/tar"
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/treehash"
)

const (
	// maxInTar is how many files of one tar are looked at. glaciersync made its
	// tars of what stays below a threshold of some megabytes.
	maxInTar = 1 << 18
	// inTarsKept is of how many files in tars it is remembered what they are,
	// beside the tar that was read last: some 100 bytes each.
	inTarsKept = 1 << 17
)

// A tarball is an archive that is a tar of another program, after it was
// downloaded whole and verified: the only way to know what the files in it are
// when nobody recorded their hashes.
type tarball struct {
	archive int64
	ready   chan struct{} // closed when it was read, or could not be
	err     error
	files   []inTar // in the order of their offsets
	damage  error   // why nothing behind them is known

	// In tars.mu:
	local *localCopy // nil: it is let go, or was never there
	uses  int
}

// An inTar is a regular file with content in a tar.
type inTar struct {
	offset, size int64
	name         string // the last element of its path
	tree         treehash.Hash
}

// tars remembers the tars that were read, and keeps as many local copies as
// files are worked on at a time: files of one tar mostly lie together. Of an
// older one the hashes stay, so that the rest is fetched, and verified, a piece
// at a time, and no tar is read twice because files of two alternate.
type tars struct {
	most int // local copies
	kept int // files of all tars, but for the last one

	mu     sync.Mutex
	held   map[int64]*list.Element
	recent list.List // of *tarball; the one used last is first
	copies int
	files  int
}

func newTars(most int) *tars {
	return &tars{most: max(1, most), kept: inTarsKept, held: map[int64]*list.Element{}}
}

// take gives a tar that was read, or reads it. Whoever takes one gives it back,
// but not after an error. What is damaged stays so, and is not read again.
func (t *tars) take(ctx context.Context, archive int64, read func(*tarball) (*localCopy, error)) (*tarball, error) {
	ball, mine := t.claim(archive)
	if mine {
		local, err := read(ball)
		ball.err = err
		t.settle(ball, local)
		close(ball.ready)
	}
	select {
	case <-ball.ready:
	case <-ctx.Done():
		t.give(ball)
		return nil, context.Cause(ctx)
	}
	if ball.err != nil {
		t.give(ball)
		return nil, ball.err
	}
	return ball, nil
}

// claim finds a tar, or makes one that is still to be read, and makes room for
// its copy: no more of them are in use than others are at work.
func (t *tars) claim(archive int64) (ball *tarball, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.held[archive]; e != nil {
		t.recent.MoveToFront(e)
		ball = e.Value.(*tarball)
		ball.uses++
		return ball, false
	}
	t.trimCopies(t.most - 1)
	t.copies++ // to be, until settle
	ball = &tarball{archive: archive, ready: make(chan struct{}), uses: 1}
	t.held[archive] = t.recent.PushFront(ball)
	return ball, true
}

// settle takes account of a tar that was read, or could not be, and forgets
// those that were used longest ago where they are too many.
func (t *tars) settle(ball *tarball, local *localCopy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ball.local = local; local == nil {
		t.copies--
	}
	if ball.err != nil && firn.KindOf(ball.err) != firn.Corrupt {
		t.recent.Remove(t.held[ball.archive])
		delete(t.held, ball.archive)
		return
	}
	t.files += len(ball.files)
	for e := t.recent.Back(); e != nil && t.files > t.kept; {
		before := e.Prev()
		if old := e.Value.(*tarball); old != ball && old.uses == 0 {
			t.letGo(old)
			t.files -= len(old.files)
			delete(t.held, old.archive)
			t.recent.Remove(e)
		}
		e = before
	}
}

func (t *tars) give(ball *tarball) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ball.uses--
}

// copyOf gives a tar whose local copy is at hand; else nil. Whoever gets one
// gives it back.
func (t *tars) copyOf(archive int64) *tarball {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.held[archive]
	if e == nil || e.Value.(*tarball).local == nil {
		return nil
	}
	ball := e.Value.(*tarball)
	ball.uses++
	return ball
}

// trimCopies lets local copies go that nobody uses until there are at most n.
func (t *tars) trimCopies(n int) {
	for e := t.recent.Back(); e != nil && t.copies > n; e = e.Prev() {
		if ball := e.Value.(*tarball); ball.uses == 0 {
			t.letGo(ball)
		}
	}
}

func (t *tars) letGo(ball *tarball) {
	if ball.local != nil {
		ball.local.close()
		ball.local = nil
		t.copies--
	}
}

func (t *tars) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trimCopies(0)
}

// find gives the hash of the file in a tar that an item is said to be.
func (b *tarball) find(it *item) (sum treehash.Hash, err error) {
	i, found := slices.BinarySearchFunc(b.files, it.loc.Offset, func(f inTar, off int64) int { return cmp.Compare(f.offset, off) })
	switch {
	case !found && b.damage != nil:
		err = fmt.Errorf("the archive can't be read as a tar as far as its byte %d: %w", it.loc.Offset, b.damage)
	case !found || b.files[i].size != it.content.Size:
		err = fmt.Errorf("the tar that it is recorded in has no file of %d bytes at byte %d", it.content.Size, it.loc.Offset)
	case !isSameName(b.files[i].name, path.Base(it.from)):
		err = fmt.Errorf("the tar that it is recorded in has the file %q at byte %d", b.files[i].name, it.loc.Offset)
	default:
		return b.files[i].tree, nil
	}
	return sum, &firn.Error{Op: "restore", Subject: it.from, Kind: firn.Corrupt, Err: err}
}

// isSameName reports whether a name in a tar may be the one that is recorded,
// which was made safe, and made another where two came to be the same. Python
// wrote names in its system's encoding, which nobody recorded.
func isSameName(inTar, recorded string) bool {
	const whole = 255 - len("~01234567") // what is longer was cut to make it another
	safe, _ := describe.SafePath(inTar)
	return inTar == recorded || safe == recorded || !utf8.ValidString(inTar) || strings.HasPrefix(recorded, safe+"~") || len(safe) > whole
}

// readTar lists the files of a tar, and hashes them. It goes from header to
// header, since what looks like one may be a file's content. What is behind
// damage isn't listed.
func readTar(ctx context.Context, from io.ReaderAt, size int64) (files []inTar, damage, err error) {
	at := io.NewSectionReader(from, 0, size)
	t := tar.NewReader(at)
	buf := make([]byte, 256<<10)
	for len(files) < maxInTar {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		h, err := t.Next()
		if err == io.EOF {
			return files, nil, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return files, err, nil
		}
		offset, _ := at.Seek(0, io.SeekCurrent) // the header was the last that was read
		if h.Typeflag != tar.TypeReg || h.Size == 0 || h.Size > size-offset {
			continue
		}
		sum := treehash.New()
		if _, err := io.CopyBuffer(onlyWriter{sum}, t, buf); err != nil {
			return files, err, nil
		}
		if end, _ := at.Seek(0, io.SeekCurrent); end != offset+h.Size {
			continue // a sparse file, whose bytes are not there as they are
		}
		files = append(files, inTar{offset: offset, size: h.Size, name: strings.Clone(path.Base(h.Name)), tree: sum.Sum()})
	}
	return files, fmt.Errorf("it has more than %d files", maxInTar), nil
}

// onlyWriter hides other methods, so that io.CopyBuffer takes the buffer.
type onlyWriter struct{ io.Writer }

// A localCopy is a file in the target that has no name from the start, where
// the system lets go of names of open files, so that nothing is left after a
// kill. Elsewhere (Windows) the next one of its archive replaces what is left.
type localCopy struct {
	*os.File
	root *os.Root
	name string
}

// newLocalCopy makes a file for what is stored under an id.
func (t *target) newLocalCopy(id firn.ArchiveID) (*localCopy, error) {
	name := tempName("/" + string(id)) // no file's path begins so
	f, err := createTemp(t.root, name)
	if err != nil {
		return nil, err
	}
	t.root.Remove(name)
	return &localCopy{File: f, root: t.root, name: name}, nil
}

func (c *localCopy) close() {
	c.File.Close()
	c.root.Remove(c.name) // it may be gone already
}
