// Package fetch brings what a job has ready to where it is wanted: a file, which
// comes whole and can be gone on with after a kill, or what takes bytes in their
// order, such as a pipe.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A partialFile is a file that is downloaded under another name beside its own,
// which it gets when it is whole. A process that was killed leaves it, with a
// list of the pieces that arrived behind its bytes, and the next one goes on.
type partialFile struct {
	*os.File
	temp  string // that it has
	path  string // that it gets
	size  int64  // bytes
	done  []transfer.Piece
	count int64 // records of the list
}

// pieceRecord is how many bytes the list has for a piece: its offset and size,
// big endian, and its tree hash. It need not be durable, nor even right: what it
// says is read back and compared.
const pieceRecord = 8 + 8 + treehash.Size

// openPartial begins a file, or goes on with one that an earlier process began,
// where both are of the same content: what tells contents apart is identity.
func openPartial(path, identity string, size int64) (*partialFile, error) {
	sum := sha256.Sum256([]byte(filepath.Base(path) + "\x00" + identity))
	name := fmt.Sprintf(".firn-%x.part", sum[:8])
	fail := func(err error) error {
		return &firn.Error{Op: "write", Subject: path, Kind: LocalKind(err), Err: cause(err)}
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fail(err)
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fail(err)
	}
	// Nobody else's link is written through.
	opened, err := f.Stat()
	there, lerr := root.Lstat(name)
	if err = errors.Join(err, lerr); err == nil && (!there.Mode().IsRegular() || !os.SameFile(opened, there)) {
		err = fmt.Errorf("%s, where it is written first, is no file of firn's", name)
	}
	if err != nil {
		f.Close()
		return nil, fail(err)
	}
	o := &partialFile{File: f, temp: filepath.Join(filepath.Dir(path), name), path: path, size: size}
	if err := o.readPieces(); err != nil {
		f.Close()
		return nil, fail(err)
	}
	return o, nil
}

// LocalKind is the kind of an error of a disk: Full or Local.
func LocalKind(err error) firn.Kind {
	if atomicfile.IsFull(err) {
		return firn.Full
	}
	return firn.Local
}

// readPieces reads the list behind the bytes, as far as it makes sense.
func (o *partialFile) readPieces() error {
	rest := io.NewSectionReader(o.File, o.size, 1<<62-o.size)
	for {
		var b [pieceRecord]byte
		_, err := io.ReadFull(rest, b[:])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
		p := transfer.Piece{Offset: int64(binary.BigEndian.Uint64(b[:])), Size: int64(binary.BigEndian.Uint64(b[8:])), Tree: treehash.Hash(b[16:])}
		if p.Offset < 0 || p.Size < 1 || p.Offset > o.size-p.Size {
			return nil
		}
		o.done = append(o.done, p)
		o.count++
	}
}

// arrived adds a piece to the list. A list that can't be written is none: then
// more is fetched again, and no more.
func (o *partialFile) arrived(_ context.Context, p transfer.Piece) error {
	var b [pieceRecord]byte
	binary.BigEndian.PutUint64(b[:], uint64(p.Offset))
	binary.BigEndian.PutUint64(b[8:], uint64(p.Size))
	copy(b[16:], p.Tree[:])
	if _, err := o.WriteAt(b[:], o.size+o.count*pieceRecord); err == nil {
		o.count++
	}
	return nil
}

// commit gives the file its name, once all its bytes are there. Without replace
// what is there by then stays.
func (o *partialFile) commit(replace bool) error {
	err := o.Truncate(o.size)
	if err == nil {
		err = o.Sync()
	}
	if err = errors.Join(err, o.Close()); err == nil && !replace {
		if _, there := os.Lstat(o.path); there == nil {
			err = fs.ErrExist
		}
	}
	if err == nil {
		err = os.Rename(o.temp, o.path)
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(o.path))
	}
	if err != nil {
		return &firn.Error{Op: "write", Subject: o.path, Kind: LocalKind(err), Err: cause(err)}
	}
	return nil
}

// leave keeps what is there, for the next process; where it is worth nothing it
// goes.
func (o *partialFile) leave(worthless bool) {
	o.Close()
	if worthless || o.count == 0 {
		os.Remove(o.temp)
	}
}

// cause strips the operation and the path from an error of package os.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
