// Package byhand writes what people need to get their files back from S3 without
// firn: a list of all current files that a shell can read, files.csv.gz, and
// RESTORE.txt, which says how and is a script that does it. docs/s3.md describes
// both.
package byhand

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"github.com/firn-archive/firn"
)

// The names of both files.
const (
	ListName   = "files.csv.gz"
	SealedName = ListName + ".age"
	TextName   = "RESTORE.txt"
)

// header names the columns. Their order is part of the format: RESTORE.txt and
// people's own scripts count them.
const header = "tree,path,type,mode,mtime,owner,size,target,key,seal,offset,archive_size,tree_hash\n"

// Age is the Seal of what is in an age file.
const Age = "age"

// A Row is a file, link or folder of a tree.
type Row struct {
	Tree string
	File firn.File
	// Content is that of a file.
	Content firn.Content
	// Key is the whole key of the object that holds the content; empty: there is
	// none, or none any more.
	Key string
	// Seal is Age, or how else the object's maker has packed the content; empty:
	// the object has it as it is.
	Seal   string
	Offset int64 // of the content in the object, opened where it is sealed
	Size   int64 // of the object
}

// lost is the type of a file whose content is gone.
const lost = "lost"

// A Writer writes a list.
type Writer struct {
	zip  *gzip.Writer
	to   *bufio.Writer
	line []byte
}

// NewWriter begins a list.
func NewWriter(to io.Writer) (*Writer, error) {
	zip, err := gzip.NewWriterLevel(to, gzip.DefaultCompression)
	if err != nil {
		return nil, err
	}
	w := &Writer{zip: zip, to: bufio.NewWriterSize(zip, 64<<10)}
	_, err = w.to.WriteString(header)
	return w, err
}

// Write adds a file.
func (w *Writer) Write(r *Row) error {
	f := &r.File
	kind := string(f.Kind)
	if f.Kind == firn.Regular && r.Content.Size > 0 && r.Key == "" {
		kind = lost
	}
	b := w.line[:0]
	text := func(s string) { b = append(appendEscaped(b, s), ',') }
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), ',') }
	text(r.Tree)
	text(f.Path)
	text(kind)
	b = fmt.Appendf(b, "%04o,", unixMode(f.Mode))
	b = append(appendTime(b, f.Stamp.ModTime), ',')
	if f.UID >= 0 && f.GID >= 0 {
		b = fmt.Appendf(b, "%d:%d", f.UID, f.GID)
	}
	b = append(b, ',')
	if f.Kind != firn.Regular {
		text("")
		text(f.Target)
		w.line = append(b, ",,,,\n"...)
	} else {
		number(r.Content.Size)
		text("")
		b = r.appendPlace(b)
		if !r.Content.Tree.IsZero() {
			b = append(b, r.Content.Tree.String()...)
		}
		w.line = append(b, '\n')
	}
	_, err := w.to.Write(w.line)
	return err
}

// appendPlace adds where the content is.
func (r *Row) appendPlace(b []byte) []byte {
	if r.Key == "" {
		return append(b, ",,,,"...)
	}
	b = append(appendEscaped(b, r.Key), ',')
	b = append(appendEscaped(b, r.Seal), ',')
	b = append(strconv.AppendInt(b, r.Offset, 10), ',')
	return append(strconv.AppendInt(b, r.Size, 10), ',')
}

// Close ends the list.
func (w *Writer) Close() error {
	if err := w.to.Flush(); err != nil {
		return err
	}
	return w.zip.Close()
}

// appendEscaped adds a text of which `printf %b` makes the same bytes again, and
// that has neither comma, quote nor line feed: every reader of CSV takes it as it
// is, and one that knows only commas and lines is enough.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == ',' || r == '"' || r == '\\' || unicode.IsControl(r) {
			for _, c := range []byte(s[i : i+n]) {
				b = append(b, '\\', '0', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			}
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return b
}

// The bits of a mode in Unix that aren't permissions.
const (
	setuid = 0o4000
	setgid = 0o2000
	sticky = 0o1000
)

// unixMode is a mode as chmod takes it.
func unixMode(m fs.FileMode) uint32 {
	n := uint32(m.Perm())
	for bit, unix := range map[fs.FileMode]uint32{fs.ModeSetuid: setuid, fs.ModeSetgid: setgid, fs.ModeSticky: sticky} {
		if m&bit != 0 {
			n |= unix
		}
	}
	return n
}

// appendTime adds a time as touch takes it; nothing where that has no such year.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return b
	}
	return t.AppendFormat(b, time.RFC3339Nano)
}
