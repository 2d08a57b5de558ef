package restore

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/firn-archive/firn"
)

// shelf is a target with tars that have nothing in them, and counts how often
// each was read.
type shelf struct {
	t *testing.T
	*target
	*tars
	mu    sync.Mutex
	reads map[int64]int
}

func newShelf(t *testing.T, most, kept int) *shelf {
	t.Helper()
	to, err := openTarget(filepath.Join(t.TempDir(), "target"))
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, target: to, tars: newTars(most), reads: map[int64]int{}}
	s.kept = kept
	t.Cleanup(func() {
		s.tars.close()
		if s.copies != 0 {
			t.Errorf("%d copies are left", s.copies)
		}
		to.close()
	})
	return s
}

// use takes a tar of so many files, or one that fails.
func (s *shelf) use(archive int64, files int, fails error) error {
	ball, err := s.take(s.t.Context(), archive, func(b *tarball) (*localCopy, error) {
		s.mu.Lock()
		s.reads[archive]++
		s.mu.Unlock()
		if fails != nil {
			return nil, fails
		}
		b.files = make([]inTar, files)
		return s.newLocalCopy(firn.ArchiveID(strings.Repeat("x", int(archive))))
	})
	if err == nil {
		s.give(ball)
	}
	return err
}

func TestTarsAreBounded(t *testing.T) {
	s := newShelf(t, 2, 25)
	for _, archive := range []int64{1, 2, 3, 1, 2, 3} {
		if err := s.use(archive, 10, nil); err != nil {
			t.Fatal(err)
		}
		if s.copies > 2 || s.files > 25 {
			t.Errorf("%d copies, %d files", s.copies, s.files)
		}
	}
	if s.copyOf(3) == nil || s.reads[3] != 2 {
		t.Errorf("the last one isn't at hand, or was read %d times", s.reads[3])
	}
	s.give(s.held[3].Value.(*tarball))
	if err := s.use(4, 1000, nil); err != nil || s.files != 1000 || s.copyOf(3) != nil {
		t.Errorf("a large one leaves %d files, %v", s.files, err)
	}
}

func TestTarsAreReadOnceByAll(t *testing.T) {
	s := newShelf(t, 4, 100)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if err := s.use(int64(i%4), 1, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for archive, n := range s.reads {
		if n != 1 {
			t.Errorf("%d was read %d times", archive, n)
		}
	}
}

// TestTarsThatFail: damage stays, all else may be gone the next time.
func TestTarsThatFail(t *testing.T) {
	s := newShelf(t, 1, 100)
	for kind, reads := range map[firn.Kind]int{firn.Corrupt: 1, firn.NotFound: 3, firn.Local: 3, firn.Other: 3} {
		archive := int64(kind) + 1
		for range 3 {
			if err := s.use(archive, 1, &firn.Error{Kind: kind, Err: errors.New("no")}); firn.KindOf(err) != kind {
				t.Errorf("%v: %v", kind, err)
			}
		}
		if s.reads[archive] != reads || s.copies != 0 {
			t.Errorf("%v: read %d times, %d copies", kind, s.reads[archive], s.copies)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := readTar(ctx, strings.NewReader(""), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestIsSameName(t *testing.T) {
	cut := strings.Repeat("n", 250)
	for _, test := range []struct {
		inTar, recorded string
		want            bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a.jpg", "a.jpg~01234567", true}, {"a.jpg", "a.jpg.bak", false},
		{"a\n", "a%0A", true}, {"a\n", "a", false}, {"\xfcbung", "übung", true}, {"übung", "ubung", false},
		{cut, cut[:240] + "~0123456789abcdef", true}, {"..", "___", true},
	} {
		if got := isSameName(test.inTar, test.recorded); got != test.want {
			t.Errorf("%q in the tar, %q recorded: %t", test.inTar, test.recorded, got)
		}
	}
}

// FuzzReadTar: whatever an archive is, reading it as a tar ends, and gives only
// places that are in it.
func FuzzReadTar(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x00", 1024)))
	f.Add([]byte("no tar"))
	var small bytes.Buffer
	w := tar.NewWriter(&small)
	for _, h := range []tar.Header{
		{Name: "dir/a", Size: 3, Format: tar.FormatGNU}, {Name: "dir/", Typeflag: tar.TypeDir}, {Name: "link", Linkname: "a", Typeflag: tar.TypeSymlink},
		{Name: strings.Repeat("long/", 30), Size: 3, Format: tar.FormatGNU}, {Name: "ü", Size: 3, Format: tar.FormatPAX},
	} {
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		io.WriteString(w, "abc"[:h.Size])
	}
	w.Close()
	f.Add(small.Bytes())
	f.Add(bytes.ReplaceAll(small.Bytes(), []byte("00000000003"), []byte("77777777777")))
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		files, _, err := readTar(t.Context(), strings.NewReader(string(data)), size)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.offset < 512 || f.size < 1 || f.offset+f.size > size {
				t.Errorf("%+v in %d bytes", f, size)
			}
		}
	})
}
