package rows

import (
	"errors"
	"fmt"
	"io"

	"github.com/firn-archive/firn"
)

// maxLine is the longest line, in bytes: that of an archive of over half a
// million files. A bundle of firn's own takes about one MiB.
const maxLine = 64 << 20

// flushAt is how many bytes a Writer gathers before it hands them on.
const flushAt = 64 << 10

// A Writer writes one stream. What it refuses, Read would refuse too: a
// snapshot that was made can be read.
type Writer struct {
	w     io.Writer
	enc   encoder
	rules rules
	lines int64
	err   error // the first; no stream comes of it any more
}

// NewWriter begins a stream on w, which gets it in pieces of some 64 KiB.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write adds a row, of which it keeps nothing. The first is a *Header, whose
// Version is of no account; an *End needn't be written, since Close does.
//
// Errors: Invalid (the row can't be, or can't be here), and what w gave. There
// are no more rows after an error.
func (w *Writer) Write(row Row) error {
	if w.err == nil {
		w.err = w.write(row)
	}
	return w.err
}

func (w *Writer) write(row Row) error {
	w.lines++
	if err := w.rules.take(row); err != nil {
		return w.refuse(err)
	}
	begin := len(w.enc.buf)
	w.enc.row(row)
	if n := len(w.enc.buf) - begin; n > maxLine {
		return w.refuse(fmt.Errorf("it would have %d bytes; at most %d can be read", n, maxLine))
	}
	if len(w.enc.buf) < flushAt {
		return nil
	}
	return w.flush()
}

func (w *Writer) refuse(err error) error {
	return &firn.Error{Op: "write rows", Subject: fmt.Sprint("line ", w.lines), Kind: firn.Invalid, Err: err}
}

func (w *Writer) flush() error {
	_, err := w.w.Write(w.enc.buf)
	w.enc.buf = w.enc.buf[:0]
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

var errClosed = errors.New("write rows: the stream is closed")

// Close writes the end of the stream, and what was gathered. It doesn't close
// the writer below. After an error of Write it gives that.
func (w *Writer) Close() error {
	if w.err == nil && w.rules.stage != atEnd {
		end := w.rules.counts
		w.err = w.write(&end)
	}
	if w.err == nil {
		w.err = w.flush()
	}
	err := w.err
	if err == nil {
		w.err = errClosed
	}
	return err
}
