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
	at    Place
	temp  string // that it has, below Root
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
func openPartial(p Place, identity string, size int64) (*partialFile, error) {
	sum := sha256.Sum256([]byte(filepath.Base(p.Name) + "\x00" + identity))
	o := &partialFile{at: p, temp: filepath.Join(filepath.Dir(p.Name), fmt.Sprintf(".firn-%x.part", sum[:8])), size: size}
	var err error
	if o.File, err = p.Root.OpenFile(o.temp, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, diskError(o.at.path(), err)
	}
	// Nobody else's link is written through.
	opened, err := o.Stat()
	there, lerr := p.Root.Lstat(o.temp)
	if err = errors.Join(err, lerr); err == nil && (!there.Mode().IsRegular() || !os.SameFile(opened, there)) {
		err = fmt.Errorf("%s, where it is written first, is no file of firn's", o.temp)
	}
	if err == nil {
		err = o.readPieces()
	}
	if err != nil {
		o.Close()
		return nil, diskError(o.at.path(), err)
	}
	return o, nil
}

// path is the file's, for messages.
func (p *Place) path() string { return filepath.Join(p.Root.Name(), p.Name) }

// diskError says what failed on the disk.
func diskError(path string, err error) error {
	return &firn.Error{Op: "write", Subject: path, Kind: LocalKind(err), Err: cause(err)}
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
	if o.at.Arrived != nil {
		o.at.Arrived(p)
	}
	return nil
}

// commit gives the file its time and its name, once all its bytes are there. Without
// Replace what has the name by then stays.
func (o *partialFile) commit() error {
	err := o.Truncate(o.size)
	if err == nil {
		err = o.Sync()
	}
	err = errors.Join(err, o.Close())
	if err == nil && !o.at.ModTime.IsZero() {
		err = o.at.Root.Chtimes(o.temp, o.at.ModTime, o.at.ModTime)
	}
	if err == nil && !o.at.Replace {
		if _, there := o.at.Root.Lstat(o.at.Name); there == nil {
			err = fs.ErrExist
		}
	}
	if err == nil {
		err = o.at.Root.Rename(o.temp, o.at.Name)
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(o.at.path()))
	}
	if err != nil {
		return diskError(o.at.path(), err)
	}
	return nil
}

// leave keeps what is there, for the next process; where it is worth nothing it
// goes.
func (o *partialFile) leave(worthless bool) {
	o.Close()
	if worthless || o.count == 0 {
		o.at.Root.Remove(o.temp)
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
