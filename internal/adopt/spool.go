package adopt

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/retrieval"
)

const (
	// spoolName is the pattern of the names of spools.
	spoolName = "inventory-*"
	// spoolBuffer is how much is written or read at a time, in bytes.
	spoolBuffer = 256 << 10
	// maxHashes bounds the memory for the hashes of a spool's ids, of 8 bytes each.
	maxHashes = 4 << 20
)

// A spool is an inventory in a file. What can be taken in as it is listed goes
// there, and not into the catalog: written once, looked up never, it costs a tenth.
type spool struct {
	*os.File
	info   firn.InventoryInfo
	listed firn.Count
	seed   maphash.Seed
	hashes []uint64 // of the ids, sorted once all are there
	odd    bool     // some have no id, or one that may be another's
}

// newSpool makes a spool in dir. As transfer's it has no name from here on, where
// the system lets go of names of open files.
func newSpool(dir string, seed maphash.Seed) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, spoolError("make the spool folder", dir, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, spoolName))
	for _, name := range left {
		os.Remove(name) // fails where somebody has it open
	}
	f, err := os.CreateTemp(dir, spoolName)
	if err != nil {
		return nil, spoolError("make a spool file", dir, err)
	}
	os.Remove(f.Name())
	return &spool{File: f, seed: seed}, nil
}

// Close closes and removes it.
func (s *spool) Close() error {
	err := s.File.Close()
	os.Remove(s.Name()) // it may be gone already
	return err
}

// fill writes an inventory into an empty spool. Progress is told now and then what
// was read so far.
func (s *spool) fill(ctx context.Context, read retrieval.Reading, progress func(firn.Count)) (err error) {
	const often = 8192
	w := bufio.NewWriterSize(s.File, spoolBuffer)
	var row []byte
	s.info, err = read(ctx, func(one firn.Archive) error {
		s.count(&one)
		if s.listed.Files%often == 0 {
			progress(s.listed)
		}
		row = appendArchive(row[:0], &one)
		if _, err := w.Write(row); err != nil {
			return spoolError("write spool file", s.Name(), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return spoolError("write spool file", s.Name(), err)
	}
	slices.Sort(s.hashes)
	for i := 1; i < len(s.hashes); i++ {
		s.odd = s.odd || s.hashes[i-1] == s.hashes[i]
	}
	s.hashes = nil
	return nil
}

// count counts an archive as catalog.Stage does.
func (s *spool) count(one *firn.Archive) {
	one.Size = max(one.Size, 0)
	s.listed.Files++
	s.listed.Bytes += min(one.Size, math.MaxInt64-s.listed.Bytes)
	s.odd = s.odd || one.ID == "" || len(s.hashes) == maxHashes
	if !s.odd {
		s.hashes = append(s.hashes, maphash.String(s.seed, string(one.ID)))
	}
}

// isPlain reports whether each archive is there once, with an id, and all that
// were announced.
func (s *spool) isPlain() bool { return !s.odd && s.listed.Files == s.info.Archives }

// appendArchive writes an archive: the lengths of its id and its description, when
// it was made, its size, whether it has a hash; the two texts, and the hash.
func appendArchive(b []byte, one *firn.Archive) []byte {
	b = binary.AppendUvarint(b, uint64(len(one.ID)))
	b = binary.AppendUvarint(b, uint64(len(one.Description)))
	b = binary.AppendVarint(b, one.Created.UnixMicro())
	b = binary.AppendUvarint(b, uint64(one.Size))
	if one.Tree.IsZero() {
		return append(append(append(b, 0), one.ID...), one.Description...)
	}
	return append(append(append(append(b, 1), one.ID...), one.Description...), one.Tree[:]...)
}

// archives gives what was written, in its order. It ends with the first error.
func (s *spool) archives() iter.Seq2[firn.Archive, error] {
	return func(yield func(firn.Archive, error) bool) {
		r := listReader{Reader: bufio.NewReaderSize(io.NewSectionReader(s.File, 0, math.MaxInt64), spoolBuffer)}
		for range s.listed.Files {
			one := r.archive()
			if r.err != nil {
				yield(firn.Archive{}, spoolError("read spool file", s.Name(), r.err))
				return
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}

// A listReader reads what appendArchive wrote, up to the first error.
type listReader struct {
	*bufio.Reader
	err   error
	texts []byte // used again for each
}

func (r *listReader) archive() (one firn.Archive) {
	id, description := r.uvarint(), r.uvarint()
	micro, err := binary.ReadVarint(r)
	r.err = cmp.Or(r.err, err)
	one.Size = int64(r.uvarint())
	hashed, err := r.ReadByte()
	r.err = cmp.Or(r.err, err)
	if r.err != nil {
		return one
	}
	r.texts = slices.Grow(r.texts[:0], int(id+description))[:id+description]
	_, r.err = io.ReadFull(r, r.texts)
	// One by one: the id is kept for longer.
	one.ID, one.Description = firn.ArchiveID(r.texts[:id]), string(r.texts[id:])
	one.Created = time.UnixMicro(micro).UTC()
	if hashed != 0 {
		_, err = io.ReadFull(r, one.Tree[:])
		r.err = cmp.Or(r.err, err)
	}
	return one
}

func (r *listReader) uvarint() uint64 {
	n, err := binary.ReadUvarint(r)
	r.err = cmp.Or(r.err, err)
	return n
}

// read is a retrieval.Reading of the spool.
func (s *spool) read(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	for one, err := range s.archives() {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = each(one)
		}
		if err != nil {
			return s.info, err
		}
	}
	return s.info, nil
}

// spoolError says what is wrong with a spool.
func spoolError(op, subject string, err error) error {
	e := &firn.Error{Op: op, Subject: subject, Kind: firn.Local, Err: err}
	if atomicfile.IsFull(err) {
		e.Kind, e.Hint = firn.Full, "it needs room for the list of all archives, some 400 bytes for each"
	}
	var bare *fs.PathError
	if errors.As(err, &bare) {
		e.Err = bare.Err
	}
	return e
}
