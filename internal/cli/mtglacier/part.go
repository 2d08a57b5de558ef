package mtglacier

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/mtjournal"
	"github.com/firn-archive/firn/treehash"
)

// A part is a file that is downloaded under another name beside its own, which it
// gets when it is whole. A process that was killed leaves it, with a list of the
// pieces that arrived behind its bytes, and the next one goes on.
type part struct {
	*os.File
	root  *os.Root
	temp  string // that it has
	path  string // that it gets
	size  int64  // bytes
	done  []transfer.Piece
	count int64 // records of the list
}

// pieceRecord is how many bytes the list has for a piece: its offset and size, big
// endian, and its tree hash. It need not be durable, nor even right: what it says
// is read back and compared.
const pieceRecord = 8 + 8 + treehash.Size

// newPart begins a file of the tree, or goes on with it: what tells contents apart
// is their hash. Nothing is written outside of the tree, wherever links lead.
func (b *bringing) newPart(name string, size int64, tree treehash.Hash) (*part, error) {
	if path.Base(name) == "." || name[len(name)-1] == '/' {
		return nil, &firn.Error{Op: "restore", Subject: name, Kind: firn.Invalid, Err: errors.New("its name is that of a folder")}
	}
	fail := func(err error) (*part, error) { return nil, diskError(name, err) }
	dir := path.Dir(name)
	if err := b.makeDir(dir); err != nil {
		return fail(err)
	}
	sum := sha256.Sum256([]byte(path.Base(name) + "\x00" + tree.String()))
	p := &part{root: b.root, path: name, temp: path.Join(dir, fmt.Sprintf(".firn-%x.part", sum[:8])), size: size}
	var err error
	if p.File, err = b.root.OpenFile(p.temp, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return fail(err)
	}
	// Nobody else's link is written through.
	opened, err := p.Stat()
	there, lerr := b.root.Lstat(p.temp)
	if err = errors.Join(err, lerr); err == nil && (!there.Mode().IsRegular() || !os.SameFile(opened, there)) {
		err = fmt.Errorf("%s, where it is written first, is no file of firn's", p.temp)
	}
	if err == nil {
		err = p.readPieces()
	}
	if err != nil {
		p.Close()
		return fail(err)
	}
	return p, nil
}

// makeDir makes a folder of the tree, and all above it.
func (b *bringing) makeDir(dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dirs[dir] {
		return nil
	}
	err := b.root.MkdirAll(dir, 0o777)
	b.dirs[dir] = err == nil
	return err
}

// diskError says what failed on the disk, and tells a full one apart.
func diskError(name string, err error) error {
	kind := firn.Local
	if atomicfile.IsFull(err) {
		kind = firn.Full
	}
	return &firn.Error{Op: "write", Subject: name, Kind: kind, Err: reason(err)}
}

// readPieces reads the list behind the bytes, as far as it makes sense.
func (p *part) readPieces() error {
	rest := io.NewSectionReader(p.File, p.size, 1<<62-p.size)
	for {
		var b [pieceRecord]byte
		_, err := io.ReadFull(rest, b[:])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
		piece := transfer.Piece{Offset: int64(binary.BigEndian.Uint64(b[:])), Size: int64(binary.BigEndian.Uint64(b[8:])), Tree: treehash.Hash(b[16:])}
		if piece.Offset < 0 || piece.Size < 1 || piece.Offset > p.size-piece.Size {
			return nil
		}
		p.done = append(p.done, piece)
		p.count++
	}
}

// arrived adds a piece to the list. A list that can't be written is none: then
// more is fetched again, and no more.
func (p *part) arrived(piece transfer.Piece) {
	var b [pieceRecord]byte
	binary.BigEndian.PutUint64(b[:], uint64(piece.Offset))
	binary.BigEndian.PutUint64(b[8:], uint64(piece.Size))
	copy(b[16:], piece.Tree[:])
	if _, err := p.WriteAt(b[:], p.size+p.count*pieceRecord); err == nil {
		p.count++
	}
}

// commit gives the file its time, where that is known, and its name, once all its
// bytes are there. What has the name by then stays.
func (p *part) commit(rec mtjournal.Record) error {
	err := p.Truncate(p.size)
	if err == nil {
		err = p.Sync()
	}
	err = errors.Join(err, p.Close())
	if err == nil && rec.HasMTime {
		mtime := time.Unix(rec.MTime, 0)
		err = p.root.Chtimes(p.temp, mtime, mtime)
	}
	if err == nil {
		if _, there := p.root.Lstat(p.path); there == nil {
			err = fs.ErrExist
		}
	}
	if err == nil {
		err = p.root.Rename(p.temp, p.path)
	}
	if err != nil {
		return diskError(p.path, err)
	}
	d, err := p.root.Open(path.Dir(p.path))
	if err != nil {
		return diskError(p.path, err)
	}
	d.Sync() // Windows, and some network file systems, have no such call
	return d.Close()
}

// leave keeps what is there, for the next process; where it is worth nothing it
// goes.
func (p *part) leave(worthless bool) {
	p.Close()
	if worthless || p.count == 0 {
		p.root.Remove(p.temp)
	}
}
