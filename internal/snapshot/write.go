package snapshot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/transfer"
)

// window is the largest distance at which the compressor looks for what it has
// seen: who reads a snapshot needs as much memory.
const window = 4 << 20

// draw draws the snapshot's key.
func (s *shot) draw(ctx context.Context) (err error) {
	s.key, s.sealed, err = s.drawKey(ctx)
	return err
}

// drawKey draws a key, where any tree of the store is encrypted, or was: for all
// who can open one of the trees. nil: none is.
func (m *Maker) drawKey(ctx context.Context) (*seal.Key, catalog.Recipients, error) {
	none := catalog.Recipients{}
	trees, err := m.Catalog.Trees(ctx, m.Row.ID)
	if err != nil {
		return nil, none, err
	}
	lines, err := recipients(trees)
	if err != nil || len(lines) == 0 {
		return nil, none, err
	}
	all, err := seal.ParseRecipients(lines)
	if err != nil {
		return nil, none, err
	}
	key, err := all.NewKey()
	return &key, all.ID(), err
}

// strong begins the recipients that are safe from quantum computers too.
const strong = "age1pq1"

// recipients gives those whom the trees are encrypted for, or were last; none
// where no tree ever was. Where some of them are post-quantum, all others are left out: they can't
// be mixed, and what is encrypted for the stronger ones must not be readable
// with the weaker. Errors: Usage (a tree is encrypted, and nobody knows for
// whom).
func recipients(trees []catalog.Tree) (lines []string, err error) {
	for _, t := range trees {
		if t.Recipients != (catalog.Recipients{}) && t.Keys == "" {
			return nil, &firn.Error{Op: "encrypt", Kind: firn.Usage, Err: fmt.Errorf("the tree %s is encrypted, and its recipients are not known here", t.Name), Hint: "sync it once with --recipient"}
		}
		lines = append(lines, strings.Fields(t.Keys)...)
	}
	isStrong := func(line string) bool { return strings.HasPrefix(line, strong) }
	if slices.ContainsFunc(lines, isStrong) {
		lines = slices.DeleteFunc(lines, func(line string) bool { return !isStrong(line) })
	}
	return lines, nil
}

// prefix begins the names of a store's spool files: its lock guards them.
func (m *Maker) prefix() string { return fmt.Sprintf("catalog-%d-", m.Row.ID) }

// write writes the rows into the spool, durable.
func (s *shot) write(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.Spool, 0o700); err != nil {
		return spoolError(s.Spool, err)
	}
	s.path = filepath.Join(s.Spool, s.prefix()+firn.NewToken().String())
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return spoolError(s.path, err)
	}
	out := &spoolFile{file: f}
	err = s.writeTo(ctx, out)
	if err == nil {
		err = out.note(f.Sync())
	}
	if cerr := f.Close(); err == nil {
		err = out.note(cerr)
	}
	s.plain = out.size
	if out.err != nil {
		err = spoolError(s.path, out.err)
	}
	if err != nil {
		os.Remove(s.path)
	}
	return err
}

// writeTo writes the rows, compressed.
func (s *shot) writeTo(ctx context.Context, out io.Writer) error {
	buffered := bufio.NewWriterSize(out, 256<<10)
	// Concurrent: the lines are made on another core meanwhile.
	enc, err := zstd.NewWriter(buffered, zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	o := catalog.RowsOptions{Profiles: s.Profiles, Seq: s.seq, BaseSeq: s.baseSeq(), Alive: s.Alive}
	if s.base != nil {
		o.Base = s.base.Through
	}
	w := rows.NewWriter(enc)
	written, err := s.Catalog.WriteRows(ctx, s.Row.ID, s.Host, o, w)
	s.through = written.Through
	if err == nil {
		err = w.Close()
	}
	if cerr := enc.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = buffered.Flush()
	}
	return err
}

// A spoolFile counts what is written, and remembers that it could not be, which
// is told apart from a catalog that can't be read.
type spoolFile struct {
	file *os.File
	size int64
	err  error
}

// Write writes to the file.
func (f *spoolFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.size += int64(n)
	return n, f.note(err)
}

func (f *spoolFile) note(err error) error {
	f.err = errors.Join(f.err, err)
	return err
}

func spoolError(path string, err error) error {
	kind := firn.Local
	if atomicfile.IsFull(err) {
		kind = firn.Full
	}
	return &firn.Error{Op: "write snapshot", Subject: path, Kind: kind, Err: err, Hint: "a snapshot needs space in the state folder until it is stored"}
}

// open opens the archive's bytes for the engine: those of the spool file, sealed
// where it is.
func (s *shot) open() (transfer.File, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	a := &archive{File: f, bytes: f, shot: s}
	if s.key != nil {
		a.bytes = s.key.Seal(f, s.plain)
	}
	return a, nil
}

// An archive is what is sent.
type archive struct {
	*os.File
	bytes io.ReaderAt
	shot  *shot
}

// ReadAt reads the bytes of the archive.
func (a *archive) ReadAt(p []byte, off int64) (int, error) { return a.bytes.ReadAt(p, off) }

// Stamp is that of the spool file, with the archive's size while it has its own.
func (a *archive) Stamp() (firn.Stamp, error) {
	info, err := a.File.Stat()
	if err != nil {
		return firn.Stamp{}, err
	}
	stamp := firn.Stamp{Size: info.Size(), ModTime: info.ModTime()}
	if stamp.Size == a.shot.plain {
		stamp.Size = a.shot.size()
	}
	return stamp, nil
}
