package syncer

import (
	"container/list"
	"context"
	"hash/maphash"
	"io"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

const (
	// steadyBlock is what is read and checked at a time, in bytes: for a file
	// of a TiB that are 32 MiB of sums.
	steadyBlock = 256 << 10
	// steadyKept is how many blocks are kept for the next read, which mostly
	// goes on in one of them.
	steadyKept = 16
)

// steady is the content of a file as it was hashed: each read gives those bytes
// or fails with Changed, also where nothing of the file's times tells that it
// was written to. What was hashed and what is sent are two readings, and a key
// must never seal two contents.
type steady struct {
	path    string
	content firn.Content
	seed    maphash.Seed
	sums    []uint64 // of each block
}

// newSteady reads and hashes the content of a file with so many bytes.
func newSteady(ctx context.Context, path string, file io.ReaderAt, size int64) (*steady, error) {
	s := &steady{path: path, seed: maphash.MakeSeed(), sums: make([]uint64, 0, (size+steadyBlock-1)/steadyBlock)}
	h := treehash.New()
	buf := make([]byte, steadyBlock)
	for off := int64(0); off < size; off += steadyBlock {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b := buf[:min(steadyBlock, size-off)]
		if err := readBlock(path, file, b, off); err != nil {
			return nil, err
		}
		h.Write(b)
		s.sums = append(s.sums, maphash.Bytes(s.seed, b))
	}
	s.content = firn.Content{Size: size, Tree: h.Sum()}
	return s, nil
}

// readBlock fills b.
func readBlock(path string, file io.ReaderAt, b []byte, off int64) error {
	n, err := file.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF:
		return changing(path)
	}
	return &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: err}
}

// over gives the content as it is read from file. It may be read by several
// goroutines at a time.
func (s *steady) over(file io.ReaderAt) io.ReaderAt {
	return &steadyReader{steady: s, file: file, held: map[int64]*list.Element{}}
}

// A steadyReader checks what it reads.
type steadyReader struct {
	*steady
	file io.ReaderAt

	mu     sync.Mutex
	held   map[int64]*list.Element
	recent list.List // of *block; the one used last is first
}

// A block is verified.
type block struct {
	n    int64
	data []byte
}

// ReadAt implements io.ReaderAt.
func (r *steadyReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < r.content.Size {
		k, err := r.copy(p[n:], off)
		if err != nil {
			return n, err
		}
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// copy gives some bytes from off on, at least one.
func (r *steadyReader) copy(p []byte, off int64) (int, error) {
	i, from := off/steadyBlock, off%steadyBlock
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.held[i]; e != nil {
		r.recent.MoveToFront(e)
		return copy(p, e.Value.(*block).data[from:]), nil
	}
	spare := r.spare()
	r.mu.Unlock()
	data := spare[:min(steadyBlock, r.content.Size-i*steadyBlock)]
	err := r.check(data, i)
	r.mu.Lock()
	if err != nil {
		return 0, err
	}
	if r.held[i] == nil { // else another goroutine was quicker
		r.held[i] = r.recent.PushFront(&block{i, data})
	}
	return copy(p, data[from:]), nil
}

// spare gives a buffer that nobody uses.
func (r *steadyReader) spare() []byte {
	if r.recent.Len() < steadyKept {
		return make([]byte, steadyBlock)
	}
	b := r.recent.Remove(r.recent.Back()).(*block)
	delete(r.held, b.n)
	return b.data[:steadyBlock]
}

// check reads a block.
func (r *steadyReader) check(data []byte, i int64) error {
	if err := readBlock(r.path, r.file, data, i*steadyBlock); err != nil {
		return err
	}
	if maphash.Bytes(r.seed, data) != r.sums[i] {
		return changing(r.path)
	}
	return nil
}
