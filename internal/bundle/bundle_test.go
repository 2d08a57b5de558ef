package bundle

import (
	"bytes"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

var (
	made  = time.Date(2026, 11, 22, 1, 2, 3, 400, time.UTC)
	mtime = time.Date(2012, 12, 25, 10, 0, 0, 123456789, time.UTC)
	info  = Info{Tree: "home", Host: "nas", Made: made}
)

// memory is a spool.
type memory struct{ data []byte }

func (s *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(s.data) {
		s.data = append(s.data, make([]byte, end-len(s.data))...)
	}
	return copy(s.data[off:], p), nil
}

func (s *memory) Truncate(size int64) error {
	s.data = s.data[:size]
	return nil
}

// file is a regular file like most.
func file(path string, size int64) firn.File {
	return firn.File{Path: path, Kind: firn.Regular, Stamp: firn.Stamp{Size: size, ModTime: mtime}, Mode: 0o644, UID: 1000, GID: 100, Links: 1}
}

func folder(path string) firn.File {
	f := file(path, 0)
	f.Kind, f.Mode = firn.Directory, 0o755
	return f
}

func link(path, target string) firn.File {
	f := file(path, 0)
	f.Kind, f.Target, f.Mode = firn.Symlink, target, 0o777
	return f
}

// add appends a file with that content.
func add(t testing.TB, w *Writer, f firn.File, data string) Member {
	t.Helper()
	m, err := w.Append(f, []byte(data), treehash.Sum([]byte(data)), 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// seal gives the finished bundle of w, whose spool is s.
func seal(t testing.TB, w *Writer, s *memory) ([]byte, Sealed) {
	t.Helper()
	sealed, err := w.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if sealed.Size != int64(len(s.data)) {
		t.Fatalf("the bundle has %d bytes, the spool %d", sealed.Size, len(s.data))
	}
	return s.data, sealed
}

// readAll reads the index at the end of a bundle, all of it.
func readAll(data []byte) (Footer, Info, []Member, error) {
	f, err := ParseFooter(data, int64(len(data)))
	if err != nil {
		return Footer{}, Info{}, nil, err
	}
	i, seq, err := ReadIndex(io.NewSectionReader(bytes.NewReader(data), f.Offset, f.Size), f)
	if err != nil {
		return f, Info{}, nil, err
	}
	members, err := collect(seq)
	return f, i, members, err
}

func collect(seq iter.Seq2[Member, error]) (members []Member, err error) {
	for m, err := range seq {
		if err != nil {
			return members, err
		}
		members = append(members, m)
	}
	return members, nil
}

// kept is what of a member comes back from an index.
func kept(m Member) Member {
	s := firn.Stamp{ModTime: m.File.Stamp.ModTime.UTC()}
	if m.File.Kind == firn.Regular {
		s.Size = m.File.Stamp.Size
	}
	if m.File.Kind != firn.Symlink {
		m.File.Target = ""
	}
	m.File.Stamp, m.File.Links = s, 1
	m.File.UID, m.File.GID = max(m.File.UID, -1), max(m.File.GID, -1)
	return m
}

// deep is a path of n bytes, in names of at most 100.
func deep(n int) string {
	p := strings.Repeat(strings.Repeat("d", 99)+"/", n/100+1)[:n]
	if p[n-1] == '/' {
		p = p[:n-1] + "e"
	}
	return p
}

// oddFiles are those that tars have trouble with, together with plain ones.
// Their paths don't depend on each other.
func oddFiles() []firn.File {
	files := []firn.File{
		folder(""), folder("empty folder"), folder("rüben"), folder("raw\xff folder"), folder(deep(300) + "/" + "f"),
		link("short link", "a/b"), link("long link", deep(900)), link("link ü", "zürich"), link("raw link", "\xff\xfe"), link("long raw link", "\xff"+deep(900)),
		link("L"+deep(300), "L"+deep(300)),
	}
	for _, path := range []string{
		"plain", " blank ", "-rf", "new\nline", "tab\tcr\r", "back\\slash", `quo"te`, "naïve", "日本語", "raw\xffname", "latin1 \xe4\xf6\xfc", "\x01\x7f",
		"a" + deep(98), "b" + deep(99), "c" + deep(100), "d" + deep(253), "e" + deep(254), "f" + deep(255), "g" + deep(256), "h" + deep(4000),
		"i" + deep(150) + "\xff", "j" + deep(300) + "\xff\n", "k" + strings.Repeat("ü/", 100), "l" + strings.Repeat("x", 150),
	} {
		files = append(files, file(strings.TrimSuffix(path, "/"), int64(len(path))))
	}
	for _, mode := range []fs.FileMode{0, 0o400, 0o777, 0o755 | fs.ModeSetuid, 0o755 | fs.ModeSetgid, 0o777 | fs.ModeSticky} {
		f := file("mode "+mode.String(), 3)
		f.Mode = mode
		files = append(files, f)
	}
	for name, t := range map[string]time.Time{
		"y1": {}, "y0": time.Unix(-62167219200, 1), "before": time.Unix(-62167219201, 999999999), "1960": time.Unix(-300000000, 5), "1970": time.Unix(0, 0),
		"2242": time.Unix(1<<33-1, 0), "2243": time.Unix(1<<33, 0), "9999": time.Unix(253402300799, 999999999), "10000": time.Unix(253402300800, 0),
	} {
		f := file("time "+name, 0)
		f.Stamp.ModTime = t
		files = append(files, f)
	}
	for name, id := range map[string]int{"none": -1, "root": 0, "most": 1<<21 - 1, "more": 1 << 21, "largest": 1<<31 - 1} {
		f := file("owner "+name, 1)
		f.UID, f.GID = id, id
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b firn.File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// content is some bytes for f.
func content(f firn.File) string {
	if f.Kind != firn.Regular {
		return ""
	}
	return strings.Repeat(f.Path[:1], int(f.Stamp.Size))
}
