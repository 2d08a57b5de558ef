// Package pack makes one tar stream of many entries, plain or compressed, as it
// is written: nothing of it is kept. It reads no directories and opens no files.
package pack

import (
	"archive/tar"
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
)

// A Format is how a pack is written.
type Format string

// The formats. Each is named as its files end.
const (
	Tar    Format = "tar"
	TarZst Format = "tar.zst"
	TarXz  Format = "tar.xz"
)

// Formats lists all formats, the default one first.
func Formats() []Format { return []Format{TarXz, TarZst, Tar} }

// ParseFormat reads a format's name. Errors have the kind Usage.
func ParseFormat(s string) (Format, error) {
	for _, f := range Formats() {
		if s == string(f) {
			return f, nil
		}
	}
	return "", &firn.Error{Op: "read format", Subject: s, Kind: firn.Usage, Err: fmt.Errorf("there is no such format of packs; there are %v", Formats())}
}

const (
	// bufferSize is how many bytes go through memory at a time.
	bufferSize = 256 << 10
	// window is how far zstd looks back, in bytes, and workers how many blocks
	// it compresses at a time. They cost 11 MiB of memory.
	window  = 4 << 20
	workers = 2
)

// A Writer writes a pack. It is not safe for concurrent use.
type Writer struct {
	tar      *tar.Writer
	compress io.WriteCloser // nil: nothing is compressed
	out      *bufio.Writer
	buf      []byte
}

// NewWriter begins a pack that goes to w, which Close does not close.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	p := &Writer{out: bufio.NewWriterSize(w, bufferSize), buf: make([]byte, bufferSize)}
	var err error
	switch f {
	case Tar:
	case TarZst:
		p.compress, err = zstd.NewWriter(p.out, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(workers))
	case TarXz:
		p.compress = newXZWriter(p.out)
	default:
		_, err = ParseFormat(string(f))
	}
	if err != nil {
		return nil, err
	}
	if p.compress == nil {
		p.tar = tar.NewWriter(p.out)
	} else {
		p.tar = tar.NewWriter(p.compress)
	}
	return p, nil
}

// ErrEntry marks the errors of Add that are about the entry alone: the pack is
// sound, and takes more.
var ErrEntry = errors.New("the pack goes on without it")

// entryError is an error about one entry. It reads as its cause.
type entryError struct{ err *firn.Error }

func (e entryError) Error() string        { return e.err.Error() }
func (e entryError) Unwrap() error        { return e.err }
func (e entryError) Is(target error) bool { return target == ErrEntry }

func ofEntry(path string, kind firn.Kind, err error) error {
	return entryError{&firn.Error{Op: "pack", Subject: path, Kind: kind, Err: err}}
}

// Add writes one entry under the name Path: relative, with slashes. Of a
// regular file content gives the bytes, as many as its stamp says; of all else
// it is not read, and may be nil.
//
// Errors that are ErrEntry: Invalid (a name or a target that no tar can hold, no
// kind of file), and what went wrong with the content once the entry was begun,
// which then is filled up with zeros: Changed (there were fewer bytes, or more,
// which are left out), Local (it can't be read). All others are those of what
// the pack goes to; it is broken then.
func (p *Writer) Add(f firn.File, content io.Reader) error {
	h, err := header(f)
	if err != nil {
		return err
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	if f.Kind != firn.Regular {
		return nil
	}
	return p.content(f, content)
}

// header is the entry's head, in the PAX format: it holds names of any length
// and bytes, and times to the nanosecond.
func header(f firn.File) (*tar.Header, error) {
	h := &tar.Header{
		Format: tar.FormatPAX, Name: f.Path, Mode: int64(firn.PosixMode(f.Mode)), ModTime: f.Stamp.ModTime,
		Uid: max(0, f.UID), Gid: max(0, f.GID),
	}
	if h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0)
	}
	switch f.Kind {
	case firn.Regular:
		h.Typeflag, h.Size = tar.TypeReg, f.Stamp.Size
	case firn.Directory:
		h.Typeflag, h.Name = tar.TypeDir, f.Path+"/"
	case firn.Symlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Target
	default:
		return nil, ofEntry(f.Path, firn.Invalid, fmt.Errorf("%q is no kind of file", f.Kind))
	}
	const none = "\x00" // what no PAX record holds
	switch {
	case f.Path == "", strings.HasPrefix(f.Path, "/"), strings.HasSuffix(f.Path, "/"), strings.Contains(f.Path, none):
		return nil, ofEntry(f.Path, firn.Invalid, fmt.Errorf("%q is no path for a pack", f.Path))
	case strings.Contains(f.Target, none), h.Size < 0:
		return nil, ofEntry(f.Path, firn.Invalid, fmt.Errorf("a link to %q, or of %d bytes", f.Target, h.Size))
	}
	return h, nil
}

// content copies exactly as many bytes as the head says.
func (p *Writer) content(f firn.File, r io.Reader) error {
	left := f.Stamp.Size
	var failed error
	for left > 0 && failed == nil {
		n, err := r.Read(p.buf[:min(left, bufferSize)])
		if _, werr := p.tar.Write(p.buf[:n]); werr != nil {
			return werr
		}
		left -= int64(n)
		if err != nil && left > 0 {
			failed = err
		}
	}
	if left > 0 {
		return p.pad(f, left, failed)
	}
	if n, err := io.ReadFull(r, p.buf[:1]); n > 0 {
		return ofEntry(f.Path, firn.Changed, fmt.Errorf("it grew while it was read: only its first %d bytes are packed", f.Stamp.Size))
	} else if err != io.EOF {
		return ofEntry(f.Path, firn.Local, fmt.Errorf("at its end: %w", err))
	}
	return nil
}

// pad fills an entry up whose content came to an end too early, because of err.
func (p *Writer) pad(f firn.File, left int64, err error) error {
	clear(p.buf)
	for n := left; n > 0; {
		k, werr := p.tar.Write(p.buf[:min(n, bufferSize)])
		if werr != nil {
			return werr
		}
		n -= int64(k)
	}
	if err == io.EOF {
		return ofEntry(f.Path, firn.Changed, fmt.Errorf("it shrank while it was read: its last %d bytes are packed as zeros", left))
	}
	return ofEntry(f.Path, firn.Local, fmt.Errorf("its last %d bytes are packed as zeros: %w", left, err))
}

// Close ends the pack. It must be called once, also after an error, since it
// ends what goes on in the background; only where it gives none the pack is
// whole.
func (p *Writer) Close() error {
	err := p.tar.Close()
	if p.compress != nil {
		err = cmp.Or(err, p.compress.Close())
	}
	return cmp.Or(err, p.out.Flush())
}
