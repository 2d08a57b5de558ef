package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/treehash"
)

// bufSize is how much a Writer gathers before it writes to the spool.
const bufSize = 256 << 10

// headerRoom is more than the headers of one entry take, padding included.
const headerRoom = 64 << 10

// minRead is how much of a large file is asked for at least at a time.
const minRead = 64 << 10

// A Spool is what a bundle is written to, an *os.File mostly. It must not be
// opened for appending.
type Spool interface {
	io.WriterAt
	Truncate(size int64) error
}

// A Writer makes a bundle in a spool. It is for one goroutine, and takes about
// 250 bytes of memory a member beside its names.
//
// A call that fails leaves the bundle as it was, and it can go on. The errors
// of all calls are Invalid (the bundle can't hold this entry), Full or Local
// (the spool can't be written), or as said with the call. A full bundle gives
// ErrFull; misuse of the Writer gives errors without a kind.
type Writer struct {
	spool Spool
	info  Info
	buf   []byte // what follows base
	base  int64  // the bytes written to the spool

	members []Member
	starts  []int64 // where the headers of each member begin, or would
	owners  []int32 // the members that have content of their own; their offsets ascend
	index   int     // the most that the lines of the index take
	hasher  *treehash.Hasher
	sealed  bool
}

// NewWriter begins a bundle at the spool's first byte. What is in the spool
// already is overwritten, or cut off by Seal.
func NewWriter(spool Spool, info Info) *Writer {
	return &Writer{
		spool: spool, info: info, hasher: treehash.New(),
		buf:   make([]byte, 0, bufSize+headerRoom),
		index: textLen(info.Tree) + textLen(info.Host) + lineRoom,
	}
}

// Len is the number of members.
func (w *Writer) Len() int { return len(w.members) }

// Size is the number of bytes of the tar so far, a multiple of 512; its end
// and the index come on top.
func (w *Writer) Size() int64 { return w.base + int64(len(w.buf)) }

// Append adds an entry whose content is at hand, f.Stamp.Size bytes with the
// tree hash tree. Of what has no content, data is empty and tree of no matter.
// f.Path may be "" for the root of the tree. group: see Member.LinkGroup.
//
// Errors: Changed (data has another size than f).
func (w *Writer) Append(f firn.File, data []byte, tree treehash.Hash, group int64) (Member, error) {
	m, err := w.member(f, group)
	if err != nil {
		return Member{}, err
	}
	if int64(len(data)) != m.Content.Size {
		return Member{}, changed(f.Path, int64(len(data)), m.Content.Size)
	}
	start := w.begin(&m)
	if m.hasContent() {
		m.Content.Tree = tree
		err = w.write(data)
	}
	return w.finish(m, start, err)
}

// AppendFrom adds an entry whose content is the next f.Stamp.Size bytes of r,
// and hashes them. It doesn't look whether r has more.
//
// Errors: Changed (r ended early), ctx's cause, and what r gave, as it is where
// it has a kind and as Local else.
func (w *Writer) AppendFrom(ctx context.Context, f firn.File, r io.Reader, group int64) (Member, error) {
	m, err := w.member(f, group)
	if err != nil {
		return Member{}, err
	}
	start := w.begin(&m)
	if m.hasContent() {
		m.Content.Tree, err = w.copy(ctx, r, &m)
	}
	return w.finish(m, start, err)
}

// copy takes m's content from r and gives its hash.
func (w *Writer) copy(ctx context.Context, r io.Reader, m *Member) (treehash.Hash, error) {
	w.hasher.Reset()
	for left := m.Content.Size; left > 0; {
		if err := w.flushAt(bufSize - minRead); err != nil {
			return treehash.Hash{}, err
		}
		if ctx.Err() != nil {
			return treehash.Hash{}, context.Cause(ctx)
		}
		begin := len(w.buf)
		n, err := r.Read(w.buf[begin : begin+int(min(left, int64(bufSize-begin)))])
		w.buf = w.buf[:begin+n]
		w.hasher.Write(w.buf[begin:])
		left -= int64(n)
		switch {
		case left == 0 || err == nil:
		case errors.Is(err, io.EOF):
			return treehash.Hash{}, changed(m.File.Path, m.Content.Size-left, m.Content.Size)
		default:
			return treehash.Hash{}, readError(m.File.Path, err)
		}
	}
	return w.hasher.Sum(), nil
}

// AppendSame adds an entry with the content of an earlier member, of which only
// the index tells: it takes no bytes of the tar, and tar doesn't restore it.
func (w *Writer) AppendSame(f firn.File, like Member, group int64) (Member, error) {
	m, err := w.member(f, group)
	if err != nil {
		return Member{}, err
	}
	if !w.holds(like) {
		return Member{}, fmt.Errorf("bundle %q: the content of %q is not in this bundle", f.Path, like.File.Path)
	}
	if m.Content.Size != like.Content.Size {
		return Member{}, changed(f.Path, like.Content.Size, m.Content.Size)
	}
	m.Content, m.Offset = like.Content, like.Offset
	w.add(m, w.Size())
	return m, nil
}

// holds says whether the content of like lies in the bundle where like says.
func (w *Writer) holds(like Member) bool {
	i, found := sort.Find(len(w.owners), func(i int) int { return cmp.Compare(like.Offset, w.members[w.owners[i]].Offset) })
	return found && w.members[w.owners[i]].Content == like.Content
}

// Undo takes the last entry back: its content turned out to be stored already,
// or its file changed while it was read. It may be called again, down to the
// first entry.
func (w *Writer) Undo() error {
	last := len(w.members) - 1
	if w.sealed || last < 0 {
		return errors.New("bundle: there is no entry to take back")
	}
	w.index -= lineBound(&w.members[last].File)
	w.rewind(w.starts[last])
	if n := len(w.owners); n > 0 && w.owners[n-1] == int32(last) {
		w.owners = w.owners[:n-1]
	}
	w.members[last] = Member{} // frees its names
	w.members, w.starts = w.members[:last], w.starts[:last]
	return nil
}

// Sealed is a finished bundle.
type Sealed struct {
	Size    int64 // of all of it, a multiple of 512
	Members []Member
	Footer  Footer // Footer.Offset is where the tar ends and the index begins
}

// Seal writes the end of the tar, index and footer; nothing can be added after
// that. The spool has exactly the bundle then, but is neither synced nor
// closed: whoever opened it does that, before it records that the bundle
// exists. A bundle without members can't be sealed.
func (w *Writer) Seal() (Sealed, error) {
	if w.sealed || len(w.members) == 0 {
		return Sealed{}, errors.New("bundle: sealed already, or without a member")
	}
	end := w.Size()
	f, err := w.writeTail()
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = spoolError(w.spool.Truncate(w.Size()))
	}
	if err != nil {
		w.rewind(end)
		return Sealed{}, err
	}
	w.sealed = true
	return Sealed{Size: w.Size(), Members: w.members, Footer: f}, nil
}

// writeTail writes what stands behind the last entry.
func (w *Writer) writeTail() (f Footer, err error) {
	if len(w.members) == 1 {
		w.buf, f = appendTail(w.buf, w.Size(), w.info, &w.members[0])
		return f, nil
	}
	w.buf = appendZeroes(w.buf, zeroes)
	offset := w.Size()
	f, err = writeIndex(sink{w}, w.info, w.members)
	f.Offset = offset
	w.buf = f.append(w.buf)
	return f, err
}

// sink writes an index into a bundle.
type sink struct{ w *Writer }

func (s sink) Write(p []byte) (int, error) {
	if err := s.w.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// member makes a member of f, without hash and offset, if there is room for
// one.
func (w *Writer) member(f firn.File, group int64) (Member, error) {
	if w.sealed {
		return Member{}, fmt.Errorf("bundle %q: the bundle is sealed", f.Path)
	}
	m, err := newMember(f, group, w.info)
	if err != nil {
		return Member{}, err
	}
	if len(w.members) == MaxMembers || w.index+lineBound(&f) > MaxIndex {
		return Member{}, ErrFull
	}
	return m, nil
}

// newMember makes a member of f, without hash and offset.
func newMember(f firn.File, group int64, info Info) (Member, error) {
	err := checkFile(&f)
	if err == nil {
		err = info.check()
	}
	if err != nil {
		return Member{}, &firn.Error{Op: "bundle", Subject: f.Path, Kind: firn.Invalid, Err: err}
	}
	m := Member{File: f, LinkGroup: group}
	if f.Kind == firn.Regular {
		m.Content = emptyContent()
		m.Content.Size = f.Stamp.Size
	}
	return m, nil
}

// begin writes the headers of m and says where they begin.
func (w *Writer) begin(m *Member) (start int64) {
	start = w.Size()
	w.buf = appendHeaders(w.buf, &m.File, m.Content.Size)
	if m.hasContent() {
		m.Offset = w.Size()
	}
	return start
}

// finish ends an entry that begins at start: it takes it in, or takes it back.
func (w *Writer) finish(m Member, start int64, err error) (Member, error) {
	if err == nil {
		w.buf = appendZeroes(w.buf, padding(m.Content.Size))
		err = w.flushAt(bufSize)
	}
	if err != nil {
		w.rewind(start)
		return Member{}, err
	}
	if m.hasContent() {
		w.owners = append(w.owners, int32(len(w.members)))
	}
	w.add(m, start)
	return m, nil
}

func (w *Writer) add(m Member, start int64) {
	w.members = append(w.members, m)
	w.starts = append(w.starts, start)
	w.index += lineBound(&m.File)
}

// write adds p to the bundle.
func (w *Writer) write(p []byte) error {
	for {
		if err := w.flushAt(bufSize); err != nil {
			return err
		}
		n := min(len(p), bufSize-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// flushAt writes the buffer out if it has n bytes or more.
func (w *Writer) flushAt(n int) error {
	if len(w.buf) < n {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if _, err := w.spool.WriteAt(w.buf, w.base); err != nil {
		return spoolError(err)
	}
	w.base += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

// rewind forgets all from byte to on. What of that is in the spool already will
// be written over, or cut off.
func (w *Writer) rewind(to int64) {
	if to < w.base {
		w.base, w.buf = to, w.buf[:0]
		return
	}
	w.buf = w.buf[:to-w.base]
}

// changed is the error for a file that hadn't the size that it should have.
func changed(path string, got, want int64) error {
	return &firn.Error{Op: "bundle", Subject: path, Kind: firn.Changed, Err: fmt.Errorf("%d bytes were read instead of %d", got, want)}
}

// readError is the error for a file that can't be read; it keeps the kind that
// err has.
func readError(path string, err error) error {
	kind := firn.KindOf(err)
	if kind == firn.Other {
		kind = firn.Local
	}
	return &firn.Error{Op: "bundle", Subject: path, Kind: kind, Err: err}
}

// SpoolError tells that a spool file can't be made or closed, so that it is not the
// file to be archived which is at fault. It ends the run: so would the next file.
func SpoolError(path string, err error) error {
	kind := firn.Other
	if atomicfile.IsFull(err) {
		kind = firn.Full
	}
	return &firn.Error{Op: "write bundle", Subject: path, Kind: kind, Err: err, Hint: "bundles need space in the state folder until they are stored"}
}

// spoolError is the error for a spool that can't be written.
func spoolError(err error) error {
	if err == nil {
		return nil
	}
	e := &firn.Error{Op: "write", Subject: "bundle", Kind: firn.Local, Err: err}
	if atomicfile.IsFull(err) {
		e.Kind, e.Hint = firn.Full, "free some space where bundles are made, and run the same command again"
	}
	return e
}
