package seal

import (
	"io"
	"slices"
	"sync"
)

// sealed is an archive that is encrypted while it is read.
type sealed struct {
	payload
	prefix []byte
	src    io.ReaderAt
	shelf  shelf
}

// ReadAt implements io.ReaderAt.
func (s *sealed) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errNegative
	}
	if off < s.start {
		n = copy(p, s.prefix[off:])
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= s.size() {
			return n, io.EOF
		}
		m, err := s.read(p[n:], at)
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// read fills p from the offset at on, up to the end of the chunk there.
func (s *sealed) read(p []byte, at int64) (int, error) {
	i := (at - s.start) / sealedChunk
	skip, length := int(at-s.offset(i)), s.length(i)
	if skip == 0 && len(p) >= length {
		return length, s.seal(p[:length], i)
	}
	c := s.shelf.take(i)
	if c.number != i {
		if err := s.seal(c.data[:length], i); err != nil {
			s.shelf.put(c)
			return 0, err
		}
		c.number = i
	}
	n := copy(p, c.data[skip:length])
	if skip+n == length {
		c.number = blank // who reads on won't come back
	}
	s.shelf.put(c)
	return n, nil
}

// seal makes chunk i in b, which has its length.
func (s *sealed) seal(b []byte, i int64) error {
	text := b[:len(b)-overhead]
	if err := readFull(s.src, text, i*chunkSize); err != nil {
		clear(b) // no plaintext stays in a buffer that goes to a store
		return err
	}
	s.aead.Seal(b[:0], s.nonce(i), text, nil)
	return nil
}

// readFull fills b, or fails.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// maxShelf is how many chunks a shelf keeps: about as many parts of one archive
// as are read at once. Each further one costs time, not memory.
const maxShelf = 16

// blank is the number of a chunk that holds nothing worth keeping.
const blank = -1

// A chunk is a sealed chunk of an archive.
type chunk struct {
	number int64
	data   []byte
}

// A shelf keeps chunks of which only a part was read, so that a reader of small
// steps doesn't have one sealed at each of them. Who takes a chunk has it alone.
type shelf struct {
	size int // of a chunk, in bytes

	mu     sync.Mutex
	chunks []*chunk // blank ones first, then in the order of last use
}

// take gives chunk i where it is kept, else one to fill.
func (s *shelf) take(i int64) *chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.chunks, func(c *chunk) bool { return c.number == i })
	if at < 0 && len(s.chunks) > 0 && (s.chunks[0].number == blank || len(s.chunks) == maxShelf) {
		at = 0
		s.chunks[0].number = blank
	}
	if at < 0 {
		return &chunk{blank, make([]byte, s.size)}
	}
	c := s.chunks[at]
	s.chunks = slices.Delete(s.chunks, at, at+1)
	return c
}

// put takes a chunk back.
func (s *shelf) put(c *chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.number == blank && len(s.chunks) < maxShelf:
		s.chunks = slices.Insert(s.chunks, 0, c)
	case c.number != blank:
		if len(s.chunks) == maxShelf {
			s.chunks = slices.Delete(s.chunks, 0, 1)
		}
		s.chunks = append(s.chunks, c)
	}
}
