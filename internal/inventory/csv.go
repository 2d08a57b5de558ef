package inventory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/firn-archive/firn"
)

// maxLine is how long a line may be, in bytes. The service's have at most 3 KiB,
// but other columns may have been added.
const maxLine = 64 << 10

// columns are those that an inventory has. Source: Amazon Glacier API reference,
// "Initiate a Job", inventory retrieval in CSV.
var columns = [...]string{"ArchiveId", "ArchiveDescription", "CreationDate", "Size", "SHA256TreeHash"}

// A csvReader is on its way through an inventory.
type csvReader struct {
	in     *bufio.Reader
	number int64 // of the line last read, from 1
	fields int   // how many a line has
	at     [len(columns)]int
	header string
	split  splitter
}

// ReadCSV reads an inventory in CSV from r to its end, and hands each archive to
// each, in order. The first line names the columns, which may stand in any
// order, among others. Lines end in LF or CR LF. Of the info it knows how many
// archives there were, no more.
//
// The service puts a field with a comma or a quote into quotes, writes a quote
// in it as \" and leaves backslashes as they are, unlike any other program
// (seen in real inventories by mt-aws-glacier's author). A line that can't be
// read so is read as RFC 4180 has it, with quotes doubled, since other programs
// save it like that. A header in the middle, where files were joined, is passed
// over.
//
// A line that isn't an archive's goes to bad, as an *Error, and the rest is
// read; where bad is nil, or answers an error, that ends it.
func ReadCSV(r io.Reader, each func(firn.Archive) error, bad func(error) error) (firn.InventoryInfo, error) {
	var info firn.InventoryInfo
	c := &csvReader{in: past(byteOrderMark, bufio.NewReaderSize(r, maxLine))}
	if err := c.readHeader(); err != nil {
		return info, &Error{Err: err}
	}
	for {
		line, err := c.line()
		if err == io.EOF {
			return info, nil
		}
		if err != nil && err != errLongLine {
			return info, &Error{Where: c.where(), Err: err}
		}
		if err == nil && (len(line) == 0 || string(line) == c.header) {
			continue
		}
		var a firn.Archive
		if err == nil {
			a, err = c.archive(line)
		}
		if err != nil {
			err = &Error{Where: c.where(), Err: err}
			if bad != nil {
				err = bad(err)
			}
			if err != nil {
				return info, err
			}
			continue
		}
		if err := each(a); err != nil {
			return info, err
		}
		info.Archives++
	}
}

func (c *csvReader) where() string { return fmt.Sprintf("line %d", c.number) }

var errLongLine = fmt.Errorf("a line of more than %d KiB", maxLine>>10)

// line gives the next line, without its end, until the next call. It passes
// over one that is too long, and says so.
func (c *csvReader) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if len(line) == 0 && err != nil {
		return nil, err
	}
	c.number++
	if err == bufio.ErrBufferFull {
		for err == bufio.ErrBufferFull {
			_, err = c.in.ReadSlice('\n')
		}
		if err == nil || err == io.EOF {
			err = errLongLine
		}
		return nil, err
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}

// readHeader finds the columns.
func (c *csvReader) readHeader() error {
	line, err := c.line()
	if err == io.EOF {
		return errors.New("not an inventory: there is nothing")
	}
	if err != nil {
		return err
	}
	c.header = string(line)
	names, ok := c.split.doubled(line)
	if !ok {
		return fmt.Errorf("not an inventory: its first line is %s", quote(c.header))
	}
	c.fields = len(names)
	for i := range c.at {
		c.at[i] = -1
	}
	for n, name := range names {
		for i, column := range columns {
			if !strings.EqualFold(strings.TrimSpace(string(name)), column) {
				continue
			}
			if c.at[i] >= 0 {
				return fmt.Errorf("two columns are called %s", column)
			}
			c.at[i] = n
		}
	}
	return c.complete()
}

// complete says which columns the header lacks.
func (c *csvReader) complete() error {
	var missing []string
	for i, column := range columns {
		if c.at[i] < 0 {
			missing = append(missing, column)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case c.fields == 1 && strings.ContainsAny(c.header, ";\t") && strings.Contains(c.header, columns[0]):
		return errors.New("its columns are not separated by commas; save it again with commas")
	case len(missing) == len(columns):
		return fmt.Errorf("not an inventory: its first line is %s, which names none of the columns %s", quote(c.header), strings.Join(columns[:], ", "))
	}
	return fmt.Errorf("not a whole inventory: it has no column %s", strings.Join(missing, ", "))
}

// archive reads a line in the way that makes sense of it.
func (c *csvReader) archive(line []byte) (firn.Archive, error) {
	a, err := c.interpret(c.split.escaped(line))
	if err == nil || bytes.IndexByte(line, '"') < 0 {
		return a, err
	}
	if other, otherErr := c.interpret(c.split.doubled(line)); otherErr == nil {
		return other, nil
	}
	return a, err
}

func (c *csvReader) interpret(fields [][]byte, ok bool) (firn.Archive, error) {
	if !ok {
		return firn.Archive{}, errors.New("its quotes don't match")
	}
	if len(fields) != c.fields {
		return firn.Archive{}, fmt.Errorf("it has %d fields, and the header %d", len(fields), c.fields)
	}
	size, err := strconv.ParseInt(string(fields[c.at[3]]), 10, 64)
	if err != nil {
		return firn.Archive{}, fmt.Errorf("%s is not a size in bytes", quote(string(fields[c.at[3]])))
	}
	description, created := string(fields[c.at[1]]), string(fields[c.at[2]])
	e := entry{
		ArchiveID:          string(fields[c.at[0]]),
		ArchiveDescription: &description,
		CreationDate:       &created,
		Size:               &size,
		SHA256TreeHash:     string(fields[c.at[4]]),
	}
	return e.archive()
}

// A splitter cuts lines into fields. What it gives is good until the next call,
// and as long as the line is.
type splitter struct {
	fields [][]byte
	buf    []byte // of fields that are not as they stand in the line
}

// escaped cuts a line as the service writes it: a quote in a quoted field has a
// backslash before it.
func (s *splitter) escaped(line []byte) ([][]byte, bool) { return s.cut(line, '\\') }

// doubled cuts a line as RFC 4180 has it: a quote in a quoted field is doubled.
func (s *splitter) doubled(line []byte) ([][]byte, bool) { return s.cut(line, '"') }

func (s *splitter) cut(line []byte, escape byte) ([][]byte, bool) {
	s.fields = s.fields[:0]
	if cap(s.buf) < len(line) {
		s.buf = make([]byte, 0, 2*len(line)) // so that it never moves below
	}
	s.buf = s.buf[:0]
	for {
		var field []byte
		if len(line) > 0 && line[0] == '"' {
			var ok bool
			if field, line, ok = s.quoted(line[1:], escape); !ok {
				return nil, false
			}
		} else {
			end := bytes.IndexByte(line, ',')
			if end < 0 {
				end = len(line)
			}
			field, line = line[:end], line[end:]
			if bytes.IndexByte(field, '"') >= 0 {
				return nil, false
			}
		}
		s.fields = append(s.fields, field)
		if len(line) == 0 {
			return s.fields, true
		}
		line = line[1:] // the comma
	}
}

// quoted reads a field up to its closing quote, after which a comma or nothing
// must stand.
func (s *splitter) quoted(line []byte, escape byte) (field, rest []byte, ok bool) {
	begin := len(s.buf)
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == escape && i+1 < len(line) && line[i+1] == '"':
			i++
		case line[i] == '"':
			rest = line[i+1:]
			return s.buf[begin:len(s.buf):len(s.buf)], rest, len(rest) == 0 || rest[0] == ','
		}
		s.buf = append(s.buf, line[i])
	}
	return nil, nil, false
}
