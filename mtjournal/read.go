package mtjournal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxLine is the longest line that is read or written, in bytes, LF included.
// The service bounds the description that holds a file's name to 1,024 bytes,
// so that lines of mtglacier are far shorter.
const MaxLine = 64 << 10

// maxQuote is how much of a bad line an error quotes, in bytes.
const maxQuote = 200

// A Reason is what is wrong with a line.
type Reason int

// The reasons. The last two are about the journal as a whole: State finds them.
const (
	Torn      Reason = iota + 1 // the last line, without LF
	TooLong                     // longer than MaxLine
	Future                      // of a version after C, which nobody has defined
	Broken                      // it begins like a record, but is none
	Unknown                     // nothing like a record; an empty line too
	Overflow                    // a number that does not fit 63 bits
	NoMTime                     // mtime NONE in version A
	Duplicate                   // it creates an archive that is there already
	Gone                        // it deletes an archive that is not there
)

var reasonText = [...]string{
	Torn:      "is torn: it has no end, and what it says may be cut short",
	TooLong:   "is too long for a journal",
	Future:    "is of a version that is not known",
	Broken:    "is broken",
	Unknown:   "is no record of a journal",
	Overflow:  "has a number that is too large",
	NoMTime:   "has mtime NONE, which its version A has not",
	Duplicate: "creates an archive that an earlier line created",
	Gone:      "deletes an archive that no earlier line created, or that is deleted already",
}

// String says the reason, as the end of a sentence about a line.
func (r Reason) String() string {
	if r <= 0 || int(r) >= len(reasonText) {
		return "is fine"
	}
	return reasonText[r]
}

// A LineError tells of one line that can't be taken as it is. The lines after
// it are not affected.
type LineError struct {
	Line   int64 // number of the line, from 1
	Reason Reason
	Text   string // how the line begins, at most 200 bytes; any bytes
	// Record is what the line says, where that can be read in spite of the
	// reason, else nil. Of a torn line its last field may be cut short: Path of
	// Created and Deleted, Job of RetrieveJob, Archive of RetrieveJob in
	// version 0.
	Record *Record
}

// Error reads like: journal line 7 is broken: "B\t12".
func (e *LineError) Error() string {
	return fmt.Sprintf("journal line %d %v: %q", e.Line, e.Reason, e.Text)
}

// Records reads a journal. It yields a record or an error for each line: a
// *LineError for a line that can't be taken, after which it goes on, or what r
// failed with, after which it ends. Its memory does not grow with the journal,
// however long its lines are.
func Records(r io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		err := scan(r, func(rec *raw, bad *LineError) bool {
			if bad != nil {
				return yield(Record{}, bad)
			}
			return yield(rec.record(), nil)
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Record{}, err)
		}
	}
}

// errStop says that whoever is told of the lines wants no more.
var errStop = errors.New("stopped")

// scan calls each for every line, with a record that is good until each
// returns, or with what is wrong. The error is that of r, or errStop.
func scan(r io.Reader, each func(*raw, *LineError) bool) error {
	in := bufio.NewReaderSize(r, MaxLine)
	var rec raw
	var bad *LineError
	for number := int64(1); ; number++ {
		line, err := in.ReadSlice('\n')
		tooLong := err == bufio.ErrBufferFull
		if tooLong {
			line = bytes.Clone(line[:maxQuote])
			err = skipLine(in)
		}
		if err != nil && (err != io.EOF || len(line) == 0) {
			return ended(err)
		}
		rec, bad = judge(line, number, err == io.EOF, tooLong)
		if !each(&rec, bad) {
			return errStop
		}
	}
}

// ended is nil at the regular end of a journal.
func ended(err error) error {
	if err == io.EOF {
		return nil
	}
	return fmt.Errorf("read journal: %w", err)
}

// skipLine reads to behind the next LF.
func skipLine(in *bufio.Reader) error {
	for {
		if _, err := in.ReadSlice('\n'); err != bufio.ErrBufferFull {
			return err
		}
	}
}

// judge reads one line, with its end. Of one that is too long, it has only the
// beginning.
func judge(line []byte, number int64, torn, tooLong bool) (raw, *LineError) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	var rec raw
	reason := TooLong
	if !tooLong {
		rec, reason = parse(line)
	}
	rec.line = number
	if reason == 0 && !torn {
		return rec, nil
	}
	bad := &LineError{Line: number, Reason: reason, Text: string(line[:min(len(line), maxQuote)])}
	if reason == 0 || reason == NoMTime {
		whole := rec.record()
		bad.Record = &whole
	}
	if torn {
		bad.Reason = Torn
	}
	return raw{}, bad
}
