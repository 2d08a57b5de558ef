package foreign

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/inventory"
)

// maxWindow is how far back a zstd file may refer, in bytes. It is held in
// memory. All levels of zstd's program but --ultra and --long stay below.
const maxWindow = 32 << 20

// headSize is how much of a file is looked at to find out what it is.
const headSize = 64 << 10

// A Text is an open text file.
type Text struct {
	*bufio.Reader
	file   *os.File
	packed bool          // it is compressed
	unpack *zstd.Decoder // nil where it isn't zstd
}

// Open opens a text file for reading, and unpacks it on the way where it is
// compressed with gzip or zstd. The caller closes it. It answers only regular
// files. Errors have the kinds Local and Corrupt.
func Open(path string) (*Text, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	t := &Text{Reader: bufio.NewReaderSize(f, headSize), file: f}
	unpacked, err := t.decompress()
	if err != nil {
		return nil, errors.Join(corrupt(path, "", err), t.Close())
	}
	if unpacked != nil {
		t.Reader, t.packed = bufio.NewReaderSize(unpacked, headSize), true
	}
	return t, nil
}

// openRegular opens a file that is no pipe, folder or device.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, &firn.Error{Op: "open", Subject: path, Kind: firn.Local, Err: cause(err)}
	}
	return f, nil
}

// cause takes the operation and path off an error of the file system: ours have
// them already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// decompress gives the unpacker that the file's first bytes ask for, or nil.
func (t *Text) decompress() (io.Reader, error) {
	head, _ := t.Peek(4) // an error comes again with the first Read
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")): // RFC 1952
		return gzip.NewReader(t.Reader)
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")): // RFC 8878
		var err error
		t.unpack, err = zstd.NewReader(t.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		return t.unpack, err
	}
	return nil, nil
}

// Close closes the file.
func (t *Text) Close() error {
	if t.unpack != nil {
		t.unpack.Close()
	}
	return t.file.Close()
}

// ReadInventory reads an inventory that was saved to a file, as the service gave
// it or as other programs wrote it, and hands each archive to each, in the order
// of the file. The file may be compressed with gzip or zstd. An inventory in CSV
// says neither of which vault it is nor its date; what is answered is complete
// only where there is no error.
//
// Entries that can't be used go to bad. Errors have the kinds Local, Usage (it
// is no inventory) and Corrupt; those of each and bad come back as they are.
func ReadInventory(path string, each func(firn.Archive) error, bad Bad) (firn.InventoryInfo, error) {
	t, err := Open(path)
	if err != nil {
		return firn.InventoryInfo{}, err
	}
	defer t.Close()
	head, err := t.head(path)
	if err != nil {
		return firn.InventoryInfo{}, err
	}
	kind, skip, err := sniffText(head)
	if err == nil && kind == Journal {
		err = errors.New("it is a " + string(kind) + ", not an inventory")
	}
	if err != nil {
		return firn.InventoryInfo{}, unknown(path, err)
	}
	t.Discard(skip) // it is in the buffer
	read := inventory.ReadJSON
	if kind == InventoryCSV {
		read = inventory.ReadCSV
	}
	var tell func(error) error
	if bad != nil {
		tell = func(err error) error { return bad(placed(path, err)) }
	}
	info, err := read(t, each, tell)
	if _, own := err.(*inventory.Error); own {
		err = placed(path, err)
	}
	return info, err
}

// placed names the file in an error of package inventory.
func placed(path string, err error) error {
	e, ok := err.(*inventory.Error)
	if !ok {
		return err
	}
	var file *os.PathError
	if errors.As(err, &file) {
		return &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: file.Err}
	}
	return corrupt(path, e.Where, e.Err)
}

// head gives the beginning of the text, at most headSize bytes.
func (t *Text) head(path string) ([]byte, error) {
	head, err := t.Peek(headSize)
	var file *os.PathError
	switch {
	case err == nil || err == io.EOF:
		return head, nil
	case errors.As(err, &file):
		return nil, &firn.Error{Op: "read", Subject: path, Kind: firn.Local, Err: file.Err}
	case len(head) > 0:
		return head, nil // the error comes again
	}
	return nil, corrupt(path, "", fmt.Errorf("it can't be unpacked: %w", err))
}
