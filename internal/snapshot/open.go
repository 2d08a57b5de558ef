package snapshot

import (
	"bufio"
	"bytes"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/seal"
)

// maxMemory bounds what decompressing takes, in bytes: as much as the largest
// window. It is more than window, for snapshots of versions to come.
const maxMemory = 64 << 20

// Open reads a snapshot: an archive of size bytes, of which r gives all from the
// beginning. Where it is encrypted, identities is asked for what opens it; nil:
// nothing does. The rows are those of rows.Read, which see.
//
// Errors, of Open or with the rows: Denied (no identity opens it), those of
// identities and of r, Corrupt (it is no snapshot, or not whole).
func Open(r io.Reader, size int64, identities func() (seal.Identities, error)) iter.Seq2[rows.Row, error] {
	return func(yield func(rows.Row, error) bool) {
		if err := read(r, size, identities, yield); err != nil {
			yield(nil, err)
		}
	}
}

// read gives an error that wasn't yielded.
func read(r io.Reader, size int64, identities func() (seal.Identities, error), yield func(rows.Row, error) bool) error {
	plain, err := unsealed(r, size, identities)
	if err != nil {
		return err
	}
	source := &source{r: plain}
	dec, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMemory), zstd.WithDecoderMaxWindow(maxMemory), zstd.WithDecoderLowmem(true))
	if err != nil {
		return source.explain(err)
	}
	defer dec.Close()
	for row, err := range rows.Read(decompressed{dec, source}) {
		if !yield(row, err) || err != nil {
			return nil
		}
	}
	return nil
}

// unsealed gives the plaintext of what may be encrypted.
func unsealed(r io.Reader, size int64, identities func() (seal.Identities, error)) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(64)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !seal.IsSealed(start) {
		return buffered, nil
	}
	head := make([]byte, min(seal.MaxHeader, max(size, 0)))
	n, err := io.ReadFull(buffered, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	prefix, n, err := seal.ReadHeader(head)
	if err != nil {
		return nil, err
	}
	var ids seal.Identities
	if identities != nil {
		if ids, err = identities(); err != nil {
			return nil, err
		}
	}
	opener, err := ids.Open(prefix, size)
	if err != nil {
		return nil, err
	}
	rest := io.MultiReader(bytes.NewReader(head[n:]), buffered)
	return opener.Reader(rest, firn.Range{End: opener.PlainSize()}), nil
}

// A source remembers the error of a reader, which the decompressor may hide.
type source struct {
	r   io.Reader
	err error
}

// Read reads on.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// explain gives the reader's error, where it had one, else says that it gave no
// snapshot.
func (s *source) explain(err error) error {
	if s.err != nil {
		return s.err
	}
	return &firn.Error{Op: "decompress snapshot", Kind: firn.Corrupt, Err: err}
}

// decompressed explains its errors.
type decompressed struct {
	dec    *zstd.Decoder
	source *source
}

// Read decompresses.
func (d decompressed) Read(p []byte) (int, error) {
	n, err := d.dec.Read(p)
	if err != nil && err != io.EOF {
		err = d.source.explain(err)
	}
	return n, err
}
