package bundle

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/firn-archive/firn"
)

// standard is what archive/tar calls f.
func standard(f firn.File) *tar.Header {
	h := &tar.Header{
		Typeflag: tarType(f.Kind), Name: tarName(&f), Mode: int64(firn.PosixMode(f.Mode)), Uid: max(f.UID, 0), Gid: max(f.GID, 0),
		ModTime: time.Unix(f.Stamp.ModTime.Unix(), 0),
	}
	switch f.Kind {
	case firn.Regular:
		h.Size = f.Stamp.Size
	case firn.Symlink:
		h.Linkname = f.Target
	}
	return h
}

// TestHeadersAreThoseOfTheStandardLibrary: wherever archive/tar finds that
// ustar can hold an entry, it is in ustar, and the same to the byte.
func TestHeadersAreThoseOfTheStandardLibrary(t *testing.T) {
	plain := 0
	for _, f := range oddFiles() {
		h := standard(f)
		h.Format = tar.FormatUSTAR
		var want bytes.Buffer
		if h.ModTime.IsZero() || tar.NewWriter(&want).WriteHeader(h) != nil {
			continue // archive/tar takes the year 1 for 1970
		}
		plain++
		if got := appendHeaders(nil, &f, h.Size); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%q:\n%q, want\n%q", f.Path, got, want.Bytes())
		}
	}
	if plain < 20 {
		t.Errorf("only %d of the files fit into ustar", plain)
	}
}

// TestHeadersAreAsLongAsNeeded: an extension costs a KiB and more, so it is
// there only where the entry needs one.
func TestHeadersAreAsLongAsNeeded(t *testing.T) {
	old := file("a", 0)
	old.Stamp.ModTime = time.Unix(-1, 0)
	user := file("a", 0)
	user.UID = 1 << 21
	tests := []struct {
		name   string
		f      firn.File
		size   int64
		blocks int
		types  string // of the entries
	}{
		{"100 bytes", file(deep(99)+"e", 0), 0, 1, "0"},
		{"split", file(deep(200), 0), 0, 1, "0"},
		{"256 bytes", file(deep(99)+"/"+deep(55)+"/"+deep(100), 0), 0, 1, "0"},
		{"257 bytes", file(deep(257), 0), 0, 3, "x0"},
		{"no slash", file(string(bytes.Repeat([]byte("n"), 101)), 0), 0, 3, "x0"},
		{"UTF-8", file("ü", 0), 0, 3, "x0"},
		{"not UTF-8", file("\xff", 0), 0, 1, "0"},
		{"split, not UTF-8", file(deep(150)+"\xff", 0), 0, 1, "0"},
		{"long, not UTF-8", file("\xff"+deep(300), 0), 0, 3, "L0"},
		{"8 GiB", file("a", 0), 1<<33 - 1, 1, "0"},
		{"over 8 GiB", file("a", 0), 1 << 33, 3, "x0"},
		{"before 1970", old, 0, 3, "x0"},
		{"large id", user, 0, 3, "x0"},
		{"link to 100 bytes", link("a", deep(100)), 0, 1, "2"},
		{"link to 101 bytes", link("a", deep(101)), 0, 3, "x2"},
		{"link, not UTF-8", link("a", "\xff"), 0, 1, "2"},
		{"long link, not UTF-8", link("a", "\xff"+deep(101)), 0, 3, "K2"},
		{"everything long, not UTF-8", link("\xff"+deep(300), "\xff"+deep(101)), 0, 5, "LK2"},
		{"folder of 100 bytes", folder(deep(99)), 0, 1, "5"},
		{"4,000 bytes", file(deep(4000), 0), 0, 10, "x0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := appendHeaders(nil, &tt.f, tt.size)
			types := ""
			for at := 0; at < len(got); at += blockSize {
				if string(got[at+magicAt:at+magicAt+5]) == "ustar" {
					types += string(got[at+typeAt])
				}
			}
			if len(got) != tt.blocks*blockSize || types != tt.types {
				t.Errorf("%d bytes of types %q, want %d of %q", len(got), types, tt.blocks*blockSize, tt.types)
			}
		})
	}
}

// TestRecordLength: the length of a PAX record counts its own digits.
func TestRecordLength(t *testing.T) {
	for n := range 1200 {
		record := appendRecord(nil, "path", string(bytes.Repeat([]byte("v"), n)))
		var length int
		for _, c := range record[:bytes.IndexByte(record, ' ')] {
			length = 10*length + int(c-'0')
		}
		if length != len(record) {
			t.Fatalf("a value of %d bytes: the record says %d and has %d", n, length, len(record))
		}
	}
}

// TestHugeHeader: sizes that only PAX can hold come back.
func TestHugeHeader(t *testing.T) {
	for _, f := range []firn.File{file("huge", 1<<62), file("huge\xff", 1<<40), file("\xff"+deep(400), 1<<40)} {
		h, err := tar.NewReader(io.MultiReader(bytes.NewReader(appendHeaders(nil, &f, f.Stamp.Size)), zeroReader{})).Next()
		if err != nil {
			t.Fatalf("%q: %v", f.Path, err)
		}
		if h.Size != f.Stamp.Size || h.Name != f.Path {
			t.Errorf("%q of %d bytes came back as %q of %d", f.Path, f.Stamp.Size, h.Name, h.Size)
		}
	}
}

// zeroReader has no end.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
