package seal

import (
	"errors"
	"io"
	"sync"

	"filippo.io/age"

	"github.com/firn-archive/firn"
)

// An Opener opens the chunks of one archive. It may be used by several
// goroutines at once.
type Opener struct {
	payload
	buffers sync.Pool // of *[sealedChunk]byte
}

// Open gives the opener of an archive of size bytes that begins with prefix, as
// ReadHeader or Key.Prefix gave it. A prefix or a size that no archive has gives
// Corrupt; an archive that none of the identities opens, Denied.
func (ids Identities) Open(prefix []byte, size int64) (*Opener, error) {
	header, nonce, err := split(prefix)
	if err != nil {
		return nil, err
	}
	plain, ok := plainSize(size - int64(len(prefix)))
	if !ok {
		return nil, corrupt("no age file with a header of %d bytes has %d bytes", len(header), size)
	}
	fileKey, err := ids.fileKey(header)
	if err != nil {
		return nil, err
	}
	return &Opener{payload: newPayload(fileKey, nonce, int64(len(prefix)), plain)}, nil
}

// fileKey takes the file key out of a header.
func (ids Identities) fileKey(header []byte) (key [keySize]byte, err error) {
	if len(ids.list) == 0 {
		return key, &firn.Error{Op: "decrypt the archive", Kind: firn.Denied, Err: errors.New("it is encrypted, and there is no identity"), Hint: hintIdentity}
	}
	b, err := age.DecryptHeader(header, ids.list...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return key, &firn.Error{Op: "decrypt the archive", Kind: firn.Denied, Err: errors.New("it is encrypted for others than this identity"), Hint: hintIdentity}
	case err != nil:
		return key, corrupt("its header: %w", err)
	case len(b) != keySize:
		return key, corrupt("its file key has %d bytes, not %d", len(b), keySize)
	}
	return [keySize]byte(b), nil
}

// PlainSize is how many bytes of plaintext the archive holds.
func (o *Opener) PlainSize() int64 { return o.plain }

// SealedRange gives the bytes of the archive that Reader needs for a range of
// the plaintext: the chunks that hold it. What of the range lies outside of the
// plaintext counts for nothing. An empty range needs nothing, but for that of
// an empty archive, whose one chunk shows that it is meant to be empty.
func (o *Opener) SealedRange(plain firn.Range) firn.Range {
	start := min(max(plain.Start, 0), o.plain)
	end := min(max(plain.End, start), o.plain)
	if start == end && o.plain > 0 {
		at := o.offset(start / chunkSize)
		return firn.Range{Start: at, End: at}
	}
	final := chunks(end) - 1
	return firn.Range{Start: o.offset(start / chunkSize), End: o.offset(final) + int64(o.length(final))}
}

// PlainRange gives the bytes of the plaintext that can be read where no more is
// at hand than a range of the archive: those of the chunks that lie in it whole.
func (o *Opener) PlainRange(sealed firn.Range) firn.Range {
	if sealed.End >= o.size() {
		sealed.End = o.offset(o.last() + 1) // the last chunk may be short
	}
	first := max(0, (sealed.Start-o.start+sealedChunk-1)/sealedChunk)
	end := max(first, (sealed.End-o.start)/sealedChunk)
	return firn.Range{Start: min(first*chunkSize, o.plain), End: min(end*chunkSize, o.plain)}
}

// SealedRange is that of an Opener, for those who have no identity: the bytes of
// an archive of size bytes that hold a range of its plaintext. Errors: Corrupt (no
// archive has such a prefix or size).
func SealedRange(prefix []byte, size int64, plain firn.Range) (firn.Range, error) {
	header, _, err := split(prefix)
	if err != nil {
		return firn.Range{}, err
	}
	n, ok := plainSize(size - int64(len(prefix)))
	if !ok {
		return firn.Range{}, corrupt("no age file with a header of %d bytes has %d bytes", len(header), size)
	}
	o := &Opener{payload: payload{start: int64(len(prefix)), plain: n}}
	return o.SealedRange(plain), nil
}

// Reader reads a range of the plaintext from sealed, a stream that begins at
// SealedRange(plain).Start and isn't read beyond its End. The caller closes it.
//
// What was damaged, cut short or put elsewhere gives Corrupt, and no byte of its
// chunk; so does a range that doesn't lie in the plaintext. An error of sealed
// itself is handed on. For many ranges of an archive, read it once: each reader
// opens all of its chunks.
func (o *Opener) Reader(sealed io.Reader, plain firn.Range) io.Reader {
	r := &opening{o: o, src: sealed, plain: plain, next: plain.Start / chunkSize}
	if plain.Start < 0 || plain.End < plain.Start || plain.End > o.plain {
		r.err = corrupt("bytes %d to %d are wanted of a plaintext of %d", plain.Start, plain.End, o.plain)
	} else if at := o.SealedRange(plain); at.Len() == 0 {
		r.err = io.EOF
	}
	return r
}

// An opening reads one range of an archive.
type opening struct {
	o     *Opener
	src   io.Reader
	plain firn.Range
	next  int64              // chunk
	buf   *[sealedChunk]byte // nil before the first chunk, and after the end
	ready []byte             // of buf: opened and not yet read
	err   error              // once ready is used up
}

// Read implements io.Reader.
func (r *opening) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.ready) == 0 {
		if r.err != nil {
			r.release()
			return 0, r.err
		}
		r.err = r.open()
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// open reads and opens the next chunk; io.EOF says that it is the range's last.
func (r *opening) open() error {
	if r.buf == nil {
		var kept bool
		if r.buf, kept = r.o.buffers.Get().(*[sealedChunk]byte); !kept {
			r.buf = new([sealedChunk]byte)
		}
	}
	i, b := r.next, r.buf[:r.o.length(r.next)]
	if n, err := fill(r.src, b); err == io.EOF {
		return corrupt("it ends after %d of %d bytes", r.o.offset(i)+int64(n), r.o.size())
	} else if err != nil {
		return err
	}
	text, err := r.o.aead.Open(b[:0], r.o.nonce(i), b, nil)
	if err != nil {
		return corrupt("bytes %d to %d are not those that were encrypted", r.o.offset(i), r.o.offset(i)+int64(len(b)))
	}
	from := i * chunkSize
	r.next++
	r.ready = text[max(0, r.plain.Start-from):min(int64(len(text)), r.plain.End-from)]
	if r.next*chunkSize >= r.plain.End {
		return io.EOF
	}
	return nil
}

// fill reads b full. It is io.ReadFull, but for an end of r that comes too early,
// which is io.EOF: io.ErrUnexpectedEOF may be an error of r's own, such as that of
// a connection that broke.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

// release lets another reader have the buffer.
func (r *opening) release() {
	if r.buf != nil {
		r.o.buffers.Put(r.buf)
		r.buf = nil
	}
}
