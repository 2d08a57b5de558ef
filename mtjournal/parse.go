package mtjournal

import (
	"bytes"
	"math"
)

// maxDigits is how many digits a number may have.
const maxDigits = 20

// noTime stands for an mtime that is not known.
const noTime = "NONE"

// A raw is a record whose texts are still pieces of the line it was read from.
type raw struct {
	line     int64
	version  byte
	op       Op
	time     int64
	size     int64
	mtime    int64
	hasMTime bool

	archive, tree, path, job []byte
}

// record copies the texts.
func (r *raw) record() Record {
	return Record{
		Line: r.line, Version: r.version, Op: r.op, Time: r.time,
		Archive: string(r.archive),
		Size:    r.size, MTime: r.mtime, HasMTime: r.hasMTime, Tree: string(r.tree),
		Path: string(r.path), Job: string(r.job),
	}
}

// parse reads a line without its end. Where the reason is 0 or NoMTime all
// fields were read.
func parse(line []byte) (raw, Reason) {
	switch {
	case len(line) < 2:
		return raw{}, Unknown
	case line[1] == '\t' && 'A' <= line[0] && line[0] <= 'C':
		return parseTabs(line)
	case line[1] == '\t' && 'D' <= line[0] && line[0] <= 'Z':
		return raw{}, Future
	case isDigit(line[0]):
		return parseBlanks(line)
	}
	return raw{}, Unknown
}

// parseTabs reads versions A, B and C.
func parseTabs(line []byte) (raw, Reason) {
	r := raw{version: line[0]}
	f := fields{rest: line[2:]}
	r.time = f.number(f.until('\t'))
	op := f.until('\t')
	r.archive = f.solid(f.until('\t'))
	switch string(op) {
	case string(Created):
		r.op = Created
		r.size = f.number(f.until('\t'))
		r.mtime, r.hasMTime = f.mtime(f.until('\t'))
		r.tree = f.solid(f.until('\t'))
		r.path = f.rest
	case string(Deleted):
		r.op, r.path = Deleted, f.rest
	case string(RetrieveJob):
		r.op, r.job = RetrieveJob, f.rest
	default:
		return raw{}, Broken
	}
	if reason := f.reason(); reason != 0 {
		return raw{}, reason
	}
	if r.op == Created && r.version == 'A' {
		if !r.hasMTime {
			return r, NoMTime
		}
		if bytes.Equal(r.path, r.archive) {
			r.mtime, r.hasMTime = 0, false
		}
	}
	return r, 0
}

// parseBlanks reads version 0.
func parseBlanks(line []byte) (raw, Reason) {
	r := raw{version: '0'}
	f := fields{rest: line}
	time := f.word()
	blanks := f.blanks()
	switch op := string(f.word()); op {
	case string(Created):
		r.op = Created
		// From here on single blanks, also before the word.
		single := len(blanks) == 1 && blanks[0] == ' ' && bytes.HasPrefix(f.rest, []byte(" "))
		if !single {
			return raw{}, Broken
		}
		f.rest = f.rest[1:]
		r.archive = f.solid(f.until(' '))
		r.size = f.number(f.until(' '))
		r.tree = f.solid(f.until(' '))
		r.path = f.rest
	case string(Deleted):
		r.op = Deleted
		f.blanks()
		r.archive = f.word()
		f.blanks()
		r.path = f.rest
	case string(RetrieveJob):
		r.op = RetrieveJob
		f.blanks()
		r.archive = f.word()
		f.bad = f.bad || len(f.rest) > 0
	default:
		return raw{}, Unknown
	}
	r.time = f.number(time)
	if reason := f.reason(); reason != 0 {
		return raw{}, reason
	}
	return r, 0
}

// fields cuts a line. It remembers what was wrong on the way.
type fields struct {
	rest []byte
	bad  bool // the line is not of the form
	huge bool // a number does not fit 63 bits
}

func (f *fields) reason() Reason {
	switch {
	case f.bad:
		return Broken
	case f.huge:
		return Overflow
	}
	return 0
}

// until cuts off what stands before the next sep, and sep.
func (f *fields) until(sep byte) []byte {
	i := bytes.IndexByte(f.rest, sep)
	if i < 0 {
		f.bad = true
		return nil
	}
	b := f.rest[:i]
	f.rest = f.rest[i+1:]
	return b
}

// word cuts off what stands before the next white space, at least a byte.
func (f *fields) word() []byte {
	i := 0
	for i < len(f.rest) && !isBlank(f.rest[i]) {
		i++
	}
	f.bad = f.bad || i == 0
	b := f.rest[:i]
	f.rest = f.rest[i:]
	return b
}

// blanks cuts off white space, at least a byte.
func (f *fields) blanks() []byte {
	i := 0
	for i < len(f.rest) && isBlank(f.rest[i]) {
		i++
	}
	f.bad = f.bad || i == 0
	b := f.rest[:i]
	f.rest = f.rest[i:]
	return b
}

// solid gives b, which must not be empty nor have white space in it.
func (f *fields) solid(b []byte) []byte {
	f.bad = f.bad || len(b) == 0
	for _, c := range b {
		if isBlank(c) {
			f.bad = true
			break
		}
	}
	return b
}

// number reads digits.
func (f *fields) number(digits []byte) int64 {
	if len(digits) == 0 || len(digits) > maxDigits {
		f.bad = true
		return 0
	}
	var n uint64
	for _, c := range digits {
		if !isDigit(c) {
			f.bad = true
			return 0
		}
		d := uint64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			f.huge = true // and go on: a later byte may not be a digit
			continue
		}
		n = n*10 + d
	}
	return int64(n)
}

// mtime reads digits with a sign or without, or NONE.
func (f *fields) mtime(text []byte) (seconds int64, known bool) {
	if string(text) == noTime {
		return 0, false
	}
	negative := len(text) > 0 && text[0] == '-'
	if negative || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	seconds = f.number(text)
	if negative {
		seconds = -seconds
	}
	return seconds, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isBlank reports whether c is white space, as \s in Perl has it for ASCII.
func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
