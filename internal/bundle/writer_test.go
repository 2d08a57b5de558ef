package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// names makes a path, or a target, of any bytes that Unix allows.
func names(t *rapid.T) string {
	part := rapid.OneOf(
		rapid.StringMatching(`[a-z ]{1,20}`),
		rapid.StringMatching(`[a-zäö\n"\\]{1,9}`),
		rapid.StringMatching(`[a-z]{90,140}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 12), func(b []byte) string {
			return "n" + strings.NewReplacer("/", "s", "\x00", "z").Replace(string(b))
		}),
	)
	return strings.Join(rapid.SliceOfN(part, 1, 6).Draw(t, "name"), "/")
}

// files makes a directory entry.
func files(t *rapid.T) firn.File {
	f := firn.File{
		Path: names(t), Links: 1,
		Kind: rapid.SampledFrom([]firn.FileKind{firn.Regular, firn.Regular, firn.Regular, firn.Directory, firn.Symlink}).Draw(t, "kind"),
		Mode: firn.FromPosixMode(rapid.Uint32Range(0, 0o7777).Draw(t, "mode")),
		UID:  rapid.IntRange(-1, math.MaxInt32).Draw(t, "uid"),
		GID:  rapid.IntRange(-1, 1000).Draw(t, "gid"),
	}
	f.Stamp.ModTime = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
	if f.Kind == firn.Symlink {
		f.Target = names(t)
	}
	return f
}

// entry is a member as it should come back, and its bytes.
type entry struct {
	Member
	data  []byte
	inTar bool
}

// step does one thing to a bundle, and to what is expected of it.
func step(t *rapid.T, w *Writer, want []entry) []entry {
	f := files(t)
	group := rapid.Int64Range(0, 3).Draw(t, "group")
	var data []byte
	if f.Kind == firn.Regular {
		size := rapid.OneOf(rapid.IntRange(0, 1200), rapid.IntRange(0, 400_000)).Draw(t, "size")
		data = bytes.Repeat([]byte{byte(len(want) + 1)}, size)
		f.Stamp.Size = int64(size)
	}
	var m Member
	var err error
	switch op := rapid.SampledFrom([]string{"append", "from", "same", "undo", "short"}).Draw(t, "op"); {
	case op == "undo" && len(want) > 0:
		if err := w.Undo(); err != nil {
			t.Fatal(err)
		}
		return want[:len(want)-1]
	case op == "short" && len(data) > 0:
		size := w.Size()
		_, err := w.AppendFrom(t.Context(), f, bytes.NewReader(data[1:]), group)
		if firn.KindOf(err) != firn.Changed || w.Size() != size {
			t.Fatalf("a short reader gave %v, and %d bytes became %d", err, size, w.Size())
		}
		return want
	case op == "same" && f.Kind == firn.Regular && len(want) > 0 && want[len(want)-1].hasContent():
		like := want[len(want)-1]
		f.Stamp.Size, data = like.Content.Size, like.data
		m, err = w.AppendSame(f, like.Member, group)
		if err != nil {
			t.Fatal(err)
		}
		return append(want, entry{Member: m, data: data})
	case op == "from":
		m, err = w.AppendFrom(t.Context(), f, bytes.NewReader(append(data, "more"...)), group)
	default:
		m, err = w.Append(f, data, treehash.Sum(data), group)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(want, entry{Member: m, data: data, inTar: true})
}

// TestRoundTrip: whatever is appended and taken back, the index names what is
// left, its content lies where it says, and tar finds the same.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spool := &memory{data: []byte(strings.Repeat("old", 1000))}
		w := NewWriter(spool, info)
		var want []entry
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			want = step(t, w, want)
		}
		if len(want) != w.Len() {
			t.Fatalf("%d members, want %d", w.Len(), len(want))
		}
		if len(want) == 0 {
			return
		}
		sealed, err := w.Seal()
		if err != nil {
			t.Fatal(err)
		}
		f, gotInfo, got, err := readAll(spool.data)
		if err != nil {
			t.Fatal(err)
		}
		if gotInfo != info || f != sealed.Footer || sealed.Size != int64(len(spool.data)) || sealed.Size%blockSize != 0 {
			t.Fatalf("%+v, %+v, want %+v, %+v", gotInfo, f, info, sealed)
		}
		var expect []Member
		for i, e := range want {
			expect = append(expect, kept(e.Member))
			if e.hasContent() && !bytes.Equal(spool.data[e.Offset:e.Offset+e.Content.Size], e.data) {
				t.Fatalf("member %d: its content is not at %d", i, e.Offset)
			}
			if e.File.Kind == firn.Regular && e.Content.Tree != treehash.Sum(e.data) {
				t.Fatalf("member %d: its hash is not that of its content", i)
			}
		}
		if d := cmp.Diff(expect, got); d != "" {
			t.Fatal(d)
		}
		checkTar(t, spool.data, want)
	})
}

// checkTar compares a bundle, as archive/tar reads it, with what it should hold.
func checkTar(t *rapid.T, data []byte, want []entry) {
	r := tar.NewReader(bytes.NewReader(data))
	for _, e := range want {
		if !e.inTar {
			continue
		}
		h, err := r.Next()
		if err != nil {
			t.Fatalf("%q: %v", e.File.Path, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, e.data) {
			t.Fatalf("%q: content differs (%v)", e.File.Path, err)
		}
		s := standard(e.File)
		if h.Name != s.Name || h.Linkname != s.Linkname || h.Typeflag != s.Typeflag || h.Mode != s.Mode || h.Uid != s.Uid || h.Gid != s.Gid || !h.ModTime.Equal(s.ModTime) {
			t.Fatalf("got %+v, want %+v", h, s)
		}
	}
	if h, err := r.Next(); err != io.EOF {
		t.Fatalf("after the last member: %+v, %v", h, err)
	}
}

// TestRefused: what a bundle can't hold is refused, and changes nothing.
func TestRefused(t *testing.T) {
	spool := &memory{}
	w := NewWriter(spool, info)
	kept := add(t, w, file("kept", 4), "kept")
	odd := file("odd", 0)
	odd.Kind = "socket"
	huge := file("huge", -1)
	tests := []struct {
		name string
		f    firn.File
		data string
		kind firn.Kind
	}{
		{"no path", file("", 1), "x", firn.Invalid},
		{"link without a path", link("", "x"), "", firn.Invalid},
		{"absolute", file("/etc/passwd", 1), "x", firn.Invalid},
		{"parent", file("a/../b", 1), "x", firn.Invalid},
		{"itself", file("./a", 1), "x", firn.Invalid},
		{"slash at the end", file("a/", 1), "x", firn.Invalid},
		{"two slashes", file("a//b", 1), "x", firn.Invalid},
		{"zero byte", file("a\x00b", 1), "x", firn.Invalid},
		{"zero byte in a target", link("a", "b\x00"), "", firn.Invalid},
		{"no target", link("a", ""), "", firn.Invalid},
		{"long path", file(deep(MaxName+1), 1), "x", firn.Invalid},
		{"long target", link("a", deep(MaxName+1)), "", firn.Invalid},
		{"socket", odd, "", firn.Invalid},
		{"negative size", huge, "", firn.Invalid},
		{"too short", file("a", 2), "x", firn.Changed},
		{"too long", file("a", 0), "x", firn.Changed},
		{"folder with content", folder("a"), "x", firn.Changed},
	}
	for _, tt := range tests {
		_, err := w.Append(tt.f, []byte(tt.data), treehash.Sum([]byte(tt.data)), 0)
		if firn.KindOf(err) != tt.kind {
			t.Errorf("%s: %v, want kind %v", tt.name, err, tt.kind)
		}
	}
	data, _ := seal(t, w, spool)
	if _, _, got, err := readAll(data); err != nil || len(got) != 1 || got[0].Content != kept.Content {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.Append(file("a", 0), nil, treehash.Hash{}, 0); err == nil {
		t.Error("a sealed bundle took a member")
	}
	if _, err := w.Seal(); err == nil {
		t.Error("a bundle was sealed twice")
	}
	if w.Undo() == nil {
		t.Error("a member of a sealed bundle was taken back")
	}
	if _, err := NewWriter(spool, info).Seal(); err == nil {
		t.Error("a bundle without members was sealed")
	}
	if _, err := NewWriter(spool, Info{Tree: deep(MaxName + 1)}).Append(file("a", 0), nil, treehash.Hash{}, 0); firn.KindOf(err) != firn.Invalid {
		t.Errorf("a tree with a long name: %v", err)
	}
}

// TestLongestNames: names of the full length go through, also where each byte
// becomes six in the index.
func TestLongestNames(t *testing.T) {
	for _, c := range []string{"\x01", "ü"[:2], "\xff"} {
		spool := &memory{}
		w := NewWriter(spool, info)
		f := link(strings.Repeat(c, MaxName/len(c)), strings.Repeat(c, MaxName/len(c)))
		for range 3 {
			add(t, w, f, "")
		}
		data, _ := seal(t, w, spool)
		_, _, got, err := readAll(data)
		if err != nil || len(got) != 3 || got[2].File.Path != f.Path || got[2].File.Target != f.Target {
			t.Errorf("%q: %d members, %v", c, len(got), err)
		}
	}
}

// TestFull: at its limits a bundle says that it is full, and can be sealed.
func TestFull(t *testing.T) {
	tests := []struct {
		name string
		f    func(i int) firn.File
		most int
	}{
		{"members", func(i int) firn.File { return file(fmt.Sprint(i), 0) }, MaxMembers},
		{"index", func(i int) firn.File { return link(fmt.Sprint(i), strings.Repeat("\x01", MaxName)) }, 339},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spool := &memory{}
			w := NewWriter(spool, info)
			var err error
			for err == nil {
				_, err = w.Append(tt.f(w.Len()), nil, treehash.Hash{}, 0)
			}
			if !errors.Is(err, ErrFull) || w.Len() != tt.most {
				t.Fatalf("%d members, then %v, want %d", w.Len(), err, tt.most)
			}
			if err := w.Undo(); err != nil {
				t.Fatal(err)
			}
			add(t, w, tt.f(w.Len()), "")
			data, sealed := seal(t, w, spool)
			if f, _, got, err := readAll(data); err != nil || len(got) != tt.most || f.Raw > MaxIndex {
				t.Errorf("%d members of %d in %+v, %v", len(got), tt.most, sealed.Footer, err)
			}
		})
	}
}

// TestReaders: content is read to its size, however it comes, and a reader that
// fails leaves no trace.
func TestReaders(t *testing.T) {
	const size = 3<<20 + 5
	data := bytes.Repeat([]byte("firn!"), size/5+1)[:size]
	broken := errors.New("broken")
	denied := &firn.Error{Op: "read", Kind: firn.Denied}
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	tests := []struct {
		name string
		ctx  context.Context
		r    io.Reader
		ok   bool
		kind firn.Kind
		err  error
	}{
		{"whole", t.Context(), bytes.NewReader(data), true, firn.Other, nil},
		{"more", t.Context(), io.MultiReader(bytes.NewReader(data), zeroReader{}), true, firn.Other, nil},
		{"in small pieces", t.Context(), iotest.HalfReader(bytes.NewReader(data)), true, firn.Other, nil},
		{"EOF with the last bytes", t.Context(), iotest.DataErrReader(bytes.NewReader(data)), true, firn.Other, nil},
		{"short by one", t.Context(), bytes.NewReader(data[1:]), false, firn.Changed, nil},
		{"empty", t.Context(), bytes.NewReader(nil), false, firn.Changed, nil},
		{"error at once", t.Context(), iotest.ErrReader(broken), false, firn.Local, broken},
		{"error late", t.Context(), io.MultiReader(bytes.NewReader(data[1:]), iotest.ErrReader(broken)), false, firn.Local, broken},
		{"error with a kind", t.Context(), iotest.ErrReader(denied), false, firn.Denied, denied},
		{"cancelled", cancelled, bytes.NewReader(data), false, firn.Other, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spool := &memory{}
			w := NewWriter(spool, info)
			add(t, w, file("first", 5), "first")
			before := w.Size()
			m, err := w.AppendFrom(tt.ctx, file("big", size), tt.r, 7)
			if (err == nil) != tt.ok || firn.KindOf(err) != tt.kind || tt.err != nil && !errors.Is(err, tt.err) {
				t.Fatalf("%v, want kind %v, %v", err, tt.kind, tt.err)
			}
			if err != nil && (w.Size() != before || w.Len() != 1) {
				t.Fatalf("%d bytes, %d members, want %d and 1", w.Size(), w.Len(), before)
			}
			last := add(t, w, file("last", 4), "last")
			bundle, _ := seal(t, w, spool)
			_, _, got, rerr := readAll(bundle)
			if rerr != nil || string(bundle[last.Offset:last.Offset+4]) != "last" {
				t.Fatalf("the last member is damaged: %v", rerr)
			}
			if err == nil && (len(got) != 3 || got[1].Content != (firn.Content{Size: size, Tree: treehash.Sum(data)}) || got[1].LinkGroup != 7 ||
				!bytes.Equal(bundle[m.Offset:m.Offset+size], data)) {
				t.Errorf("%+v is not what was appended", got)
			}
		})
	}
}

// small is a spool on a disk that takes room bytes.
type small struct {
	memory
	room int
	err  error
}

func (s *small) WriteAt(p []byte, off int64) (int, error) {
	if fits := s.room - int(off); fits < len(p) {
		n, _ := s.memory.WriteAt(p[:max(fits, 0)], off)
		return n, s.err
	}
	return s.memory.WriteAt(p, off)
}

// TestDiskFull: what doesn't fit is taken back, and what was there stays.
func TestDiskFull(t *testing.T) {
	for _, tt := range []struct {
		err  error
		kind firn.Kind
	}{{syscall.ENOSPC, firn.Full}, {syscall.EDQUOT, firn.Full}, {syscall.EIO, firn.Local}} {
		spool := &small{room: 1 << 20, err: tt.err}
		w := NewWriter(spool, info)
		add(t, w, file("first", 5), "first")
		data := strings.Repeat("x", 2<<20)
		for range 2 {
			if _, err := w.Append(file("big", int64(len(data))), []byte(data), treehash.Hash{}, 0); firn.KindOf(err) != tt.kind {
				t.Fatalf("%v, want kind %v", err, tt.kind)
			}
			if _, err := w.AppendFrom(t.Context(), file("big", int64(len(data))), strings.NewReader(data), 0); firn.KindOf(err) != tt.kind {
				t.Fatalf("%v, want kind %v", err, tt.kind)
			}
		}
		add(t, w, file("second", 6), "second")
		spool.room = 1000
		if _, err := w.Seal(); firn.KindOf(err) != tt.kind || w.Len() != 2 {
			t.Fatalf("sealed with %d members: %v, want kind %v", w.Len(), err, tt.kind)
		}
		spool.room = math.MaxInt
		add(t, w, file("third", 5), "third")
		bundle, sealed := seal(t, w, &spool.memory)
		_, _, got, err := readAll(bundle)
		if err != nil || len(got) != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, m := range sealed.Members {
			if s := string(bundle[m.Offset : m.Offset+m.Content.Size]); s != m.File.Path || kept(m) != got[i] {
				t.Errorf("%q has the content %q", m.File.Path, s)
			}
		}
	}
}

// TestUndo: entries are taken back one by one, from the buffer and from the
// spool, and what is appended then takes their place.
func TestUndo(t *testing.T) {
	spool := &memory{}
	w := NewWriter(spool, info)
	first := add(t, w, file("first", 5), "first")
	size := w.Size()
	big := strings.Repeat("x", 3*bufSize+1)
	gone := add(t, w, file("big", int64(len(big))), big)
	if _, err := w.AppendSame(file("copy", gone.Content.Size), gone, 1); err != nil {
		t.Fatal(err)
	}
	add(t, w, folder("folder"), "")
	for range 3 {
		if err := w.Undo(); err != nil {
			t.Fatal(err)
		}
	}
	if w.Size() != size || w.Len() != 1 {
		t.Fatalf("%d bytes, %d members, want %d and 1", w.Size(), w.Len(), size)
	}
	if _, err := w.AppendSame(file("copy", gone.Content.Size), gone, 1); err == nil {
		t.Error("content that was taken back was used")
	}
	other := add(t, w, file("other", 5), "other")
	if _, err := w.AppendSame(file("copy", 5), Member{Offset: other.Offset, Content: first.Content}, 0); err == nil {
		t.Error("content was used that lies elsewhere")
	}
	if _, err := w.AppendSame(file("copy", 6), other, 0); firn.KindOf(err) != firn.Changed {
		t.Errorf("content of another size was used: %v", err)
	}
	data, _ := seal(t, w, spool)
	_, _, got, err := readAll(data)
	if err != nil || len(got) != 2 || string(data[other.Offset:other.Offset+5]) != "other" || string(data[first.Offset:first.Offset+5]) != "first" {
		t.Errorf("%+v, %v", got, err)
	}
	empty := NewWriter(&memory{}, info)
	if empty.Undo() == nil {
		t.Error("an empty bundle gave an entry back")
	}
}

// TestMemory: what a member costs.
func TestMemory(t *testing.T) {
	w := NewWriter(&memory{}, info)
	f := file("path", 0)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	for range MaxMembers {
		if _, err := w.Append(f, nil, treehash.Hash{}, 0); err != nil {
			t.Fatal(err)
		}
		w.base, w.buf = w.Size(), w.buf[:0] // leaves out what the spool takes
	}
	if each := int64(used()-before) / MaxMembers; each > 300 {
		t.Errorf("a member takes %d bytes", each)
	}
	runtime.KeepAlive(w)
}

// TestAllocations: a file costs none, beside the growing list of members.
func TestAllocations(t *testing.T) {
	w := NewWriter(&memory{data: make([]byte, 1<<20)}, info)
	data := []byte("content")
	f, sum, r := file("folder/path", int64(len(data))), treehash.Sum(data), bytes.NewReader(nil)
	n := testing.AllocsPerRun(100, func() {
		r.Reset(data)
		_, err1 := w.Append(f, data, sum, 0)
		_, err2 := w.AppendFrom(t.Context(), f, r, 0)
		if err := errors.Join(err1, err2, w.Undo(), w.Undo()); err != nil {
			t.Fatal(err)
		}
	})
	if n > 3 {
		t.Errorf("%v allocations for two files", n)
	}
}
