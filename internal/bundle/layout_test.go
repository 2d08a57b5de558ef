package bundle

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// whole reads all of a layout's bundle.
func whole(t testing.TB, l *Layout, content io.ReaderAt) []byte {
	t.Helper()
	data := make([]byte, l.Size())
	if n, err := l.Over(content).ReadAt(data, 0); err != nil || n != len(data) {
		t.Fatalf("%d bytes of %d: %v", n, len(data), err)
	}
	return data
}

// contentOf is the content of f, whose bytes are data.
func contentOf(f firn.File, data string) firn.Content {
	if f.Kind != firn.Regular {
		return firn.Content{}
	}
	return firn.Content{Size: int64(len(data)), Tree: treehash.Sum([]byte(data))}
}

// TestLayoutIsWhatAWriterWrites: to the byte, for any file.
func TestLayoutIsWhatAWriterWrites(t *testing.T) {
	for _, f := range oddFiles() {
		data := content(f)
		l, err := NewLayout(f, contentOf(f, data), 9, info)
		if err != nil {
			t.Fatalf("%q: %v", f.Path, err)
		}
		spool := &memory{}
		w := NewWriter(spool, info)
		m, err := w.Append(f, []byte(data), treehash.Sum([]byte(data)), 9)
		if err != nil {
			t.Fatalf("%q: %v", f.Path, err)
		}
		want, sealed := seal(t, w, spool)
		if got := whole(t, l, strings.NewReader(data)); !bytes.Equal(got, want) {
			t.Errorf("%q: the layout differs from what is written", f.Path)
		}
		if l.Member() != m || l.Footer() != sealed.Footer {
			t.Errorf("%q: %+v, %+v, want %+v, %+v", f.Path, l.Member(), l.Footer(), m, sealed.Footer)
		}
	}
}

// TestLayoutReadAt: any piece is that of the whole, as io.ReaderAt has it.
func TestLayoutReadAt(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 100_000} {
		data := strings.Repeat("x", size)
		f := file("a\xff", int64(size))
		l, err := NewLayout(f, contentOf(f, data), 0, info)
		if err != nil {
			t.Fatal(err)
		}
		want := whole(t, l, strings.NewReader(data))
		if err := iotest.TestReader(io.NewSectionReader(l.Over(strings.NewReader(data)), 0, l.Size()), want); err != nil {
			t.Error(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			at := rapid.IntRange(0, len(want)+2000).Draw(t, "at")
			p := make([]byte, rapid.IntRange(0, len(want)+2000).Draw(t, "n"))
			n, err := l.Over(strings.NewReader(data)).ReadAt(p, int64(at))
			rest := want[min(at, len(want)):]
			if n != min(len(p), len(rest)) || !bytes.Equal(p[:n], rest[:n]) || err != nil && err != io.EOF || (n < len(p)) != (err == io.EOF) {
				t.Fatalf("%d bytes at %d of %d: %d, %v", len(p), at, len(want), n, err)
			}
		})
		if _, err := l.Over(nil).ReadAt(make([]byte, 1), -1); err == nil {
			t.Error("read before the beginning")
		}
	}
}

// TestLayoutTogether: parts are read by several at a time.
func TestLayoutTogether(t *testing.T) {
	data := strings.Repeat("firn", 1<<18)
	f := file("a", int64(len(data)))
	l, err := NewLayout(f, contentOf(f, data), 0, info)
	if err != nil {
		t.Fatal(err)
	}
	r, want := l.Over(strings.NewReader(data)), whole(t, l, strings.NewReader(data))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			got, err := io.ReadAll(io.NewSectionReader(r, int64(i*1000), l.Size()))
			if err != nil || !bytes.Equal(got, want[i*1000:]) {
				t.Errorf("from %d on: %v", i*1000, err)
			}
		})
	}
	wg.Wait()
}

// TestLayoutRefused: what can't be a bundle, and content that isn't what was
// hashed.
func TestLayoutRefused(t *testing.T) {
	if _, err := NewLayout(file("../a", 1), contentOf(file("a", 1), "x"), 0, info); firn.KindOf(err) != firn.Invalid {
		t.Errorf("a path out of the tree: %v", err)
	}
	if _, err := NewLayout(file("a", 2), contentOf(file("a", 1), "x"), 0, info); firn.KindOf(err) != firn.Changed {
		t.Errorf("content of another size: %v", err)
	}
	if _, err := NewLayout(file("a", 2), contentOf(file("a", 2), "xx"), 0, Info{Host: deep(MaxName + 1)}); firn.KindOf(err) != firn.Invalid {
		t.Errorf("a host with a long name: %v", err)
	}
	f := file("a", 5000)
	l, err := NewLayout(f, contentOf(f, strings.Repeat("x", 5000)), 0, info)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	tests := []struct {
		name    string
		content io.ReaderAt
		kind    firn.Kind
		n       int
	}{
		{"cut", strings.NewReader("short"), firn.Changed, blockSize},
		{"broken", failingAt{broken}, firn.Local, blockSize},
		{"denied", failingAt{&firn.Error{Kind: firn.Denied}}, firn.Denied, blockSize},
	}
	for _, tt := range tests {
		n, err := l.Over(tt.content).ReadAt(make([]byte, l.Size()), 0)
		if n != tt.n || firn.KindOf(err) != tt.kind {
			t.Errorf("%s: %d bytes, %v, want %d and kind %v", tt.name, n, err, tt.n, tt.kind)
		}
	}
}

// failingAt can't be read.
type failingAt struct{ err error }

func (f failingAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// TestLayoutOfAnySize: a bundle of terabytes is known at once.
func TestLayoutOfAnySize(t *testing.T) {
	const size = 39 << 40
	f := file("\xff"+deep(300), size)
	c := firn.Content{Size: size, Tree: treehash.Hash{1}}
	l, err := NewLayout(f, c, 0, info)
	if err != nil {
		t.Fatal(err)
	}
	r := l.Over(zeroesAt{})
	last := make([]byte, 4096)
	if _, err := r.ReadAt(last, l.Size()-int64(len(last))); err != nil {
		t.Fatal(err)
	}
	foot, err := ParseFooter(last, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	_, seq, err := ReadIndex(io.NewSectionReader(r, foot.Offset, foot.Size), foot)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(seq)
	if err != nil || len(got) != 1 || got[0] != kept(l.Member()) {
		t.Errorf("%+v, %v, want %+v", got, err, l.Member())
	}
}

// zeroesAt is content of any size.
type zeroesAt struct{}

func (zeroesAt) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}
