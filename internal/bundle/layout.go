package bundle

import (
	"errors"
	"fmt"
	"io"

	"github.com/firn-archive/firn"
)

// A Layout is the bundle of one member, of any size, that is never written: its
// content stays where it is, and what stands around it is computed. The same
// arguments give the same bytes, in every version of firn that knows the
// format, and those that a Writer gives: so another process can go on with an
// upload.
type Layout struct {
	member Member
	head   []byte // up to the content
	tail   []byte // from the content's end on
	footer Footer
}

// NewLayout gives the bundle that has f alone. Its content was read and hashed
// before; c is zero for what is not a regular file. group: see
// Member.LinkGroup.
//
// Errors: Invalid (a bundle can't hold this), Changed (f and c differ in size).
func NewLayout(f firn.File, c firn.Content, group int64, info Info) (*Layout, error) {
	m, err := newMember(f, group, info)
	if err != nil {
		return nil, err
	}
	if m.Content.Size != c.Size {
		return nil, changed(f.Path, c.Size, m.Content.Size)
	}
	l := &Layout{member: m}
	l.head = appendHeaders(nil, &f, c.Size)
	if m.hasContent() {
		l.member.Content = c
		l.member.Offset = int64(len(l.head))
	}
	l.tail = appendZeroes(nil, padding(c.Size))
	end := int64(len(l.head)) + c.Size + padding(c.Size)
	l.tail, l.footer = appendTail(l.tail, end, info, &l.member)
	return l, nil
}

// Member is the one member.
func (l *Layout) Member() Member { return l.member }

// Footer is the footer; its Offset is where the tar ends and the index begins.
func (l *Layout) Footer() Footer { return l.footer }

// Size is that of the whole bundle, in bytes.
func (l *Layout) Size() int64 {
	return int64(len(l.head)) + l.member.Content.Size + int64(len(l.tail))
}

// Over gives the bundle with this content, which has to be that which was
// hashed; it may be nil where there is none. It can be read by several
// goroutines at a time if content can.
//
// Errors of ReadAt: Changed (content ends too early), and what content gave, as
// it is where it has a kind and as Local else.
func (l *Layout) Over(content io.ReaderAt) io.ReaderAt { return &overlay{l, content} }

// overlay is a bundle whose content lies elsewhere.
type overlay struct {
	*Layout
	content io.ReaderAt
}

// ReadAt is that of io.ReaderAt.
func (o *overlay) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("bundle %q: read at %d", o.member.File.Path, off)
	}
	begin := int64(len(o.head))
	end := begin + o.member.Content.Size
	for n < len(p) {
		at, rest := off+int64(n), p[n:]
		switch {
		case at < begin:
			n += copy(rest, o.head[at:])
		case at < end:
			rest = rest[:min(int64(len(rest)), end-at)]
			if err := o.readContent(rest, at-begin); err != nil {
				return n, err
			}
			n += len(rest)
		case at < o.Size():
			n += copy(rest, o.tail[at-end:])
		default:
			return n, io.EOF
		}
	}
	return n, nil
}

// readContent fills p from byte off of the content on.
func (o *overlay) readContent(p []byte, off int64) error {
	n, err := o.content.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return changed(o.member.File.Path, off+int64(n), o.member.Content.Size)
	}
	return readError(o.member.File.Path, err)
}
