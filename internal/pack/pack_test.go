package pack_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/pack"
	"github.com/firn-archive/firn/internal/testprog"
)

var when = time.Date(2020, 5, 17, 10, 11, 12, 123456789, time.UTC)

// regular is a file of so many bytes.
func regular(path string, size int) firn.File {
	return firn.File{Path: path, Kind: firn.Regular, Mode: 0o640, UID: 1000, GID: 100, Stamp: firn.Stamp{Size: int64(size), ModTime: when}}
}

// An entry is what a test packs, or what was found in a pack.
type entry struct {
	firn.File
	Content string
}

// opened undoes a format.
func opened(t testing.TB, f pack.Format, r io.Reader) io.Reader {
	t.Helper()
	switch f {
	case pack.TarXz:
		x, err := xz.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return x
	case pack.TarZst:
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		return z.IOReadCloser()
	}
	return r
}

// list reads a tar to its end.
func list(r io.Reader) (found []entry, err error) {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		content, err := io.ReadAll(t)
		if err != nil {
			return found, err
		}
		kind := map[byte]firn.FileKind{tar.TypeReg: firn.Regular, tar.TypeDir: firn.Directory, tar.TypeSymlink: firn.Symlink}[h.Typeflag]
		found = append(found, entry{firn.File{
			Path: strings.TrimSuffix(h.Name, "/"), Kind: kind, UID: h.Uid, GID: h.Gid, Target: h.Linkname,
			Mode:  h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky),
			Stamp: firn.Stamp{Size: h.Size, ModTime: h.ModTime.UTC()},
		}, string(content)})
	}
}

// packed packs entries, and wants each of them taken.
func packed(t testing.TB, f pack.Format, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	p, err := pack.NewWriter(&out, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := p.Add(e.File, strings.NewReader(e.Content)); err != nil {
			t.Fatalf("%q: %v", e.Path, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestComesBackAsItWas(t *testing.T) {
	long := strings.Repeat("long/", 400) + "name"
	entries := []entry{
		{firn.File{Path: "photos", Kind: firn.Directory, Mode: 0o755 | fs.ModeSetgid | fs.ModeSticky, UID: 1, GID: 2, Stamp: firn.Stamp{ModTime: when}}, ""},
		{regular("photos/a.jpg", 5), "hello"},
		{regular("photos/empty", 0), ""},
		{regular("photos/large", 1<<20), strings.Repeat("x", 1<<20)},
		{regular(long, 1), "y"},
		{regular("bytes \xff\xfe, ünï, new\nline", 1), "z"},
		{firn.File{Path: "link", Kind: firn.Symlink, Mode: 0o777, Target: "../" + long, Stamp: firn.Stamp{ModTime: when}}, ""},
		{firn.File{Path: "old", Kind: firn.Regular, Mode: 0o600 | fs.ModeSetuid, Stamp: firn.Stamp{ModTime: time.Date(1901, 1, 1, 0, 0, 0, 5, time.UTC)}}, ""},
	}
	for _, f := range pack.Formats() {
		found, err := list(opened(t, f, bytes.NewReader(packed(t, f, entries))))
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if diff := cmp.Diff(entries, found); diff != "" {
			t.Errorf("%s (-want +got)\n%s", f, diff)
		}
	}
}

func TestOwnersAndTimesThatAreNotKnown(t *testing.T) {
	in := entry{firn.File{Path: "a", Kind: firn.Regular, UID: -1, GID: -1}, ""}
	found, err := list(bytes.NewReader(packed(t, pack.Tar, []entry{in})))
	if err != nil || len(found) != 1 || found[0].UID != 0 || found[0].GID != 0 || found[0].Stamp.ModTime.Unix() != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestAnyEntries: whatever is taken comes back; what isn't leaves no trace.
func TestAnyEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		p, err := pack.NewWriter(&out, pack.Tar)
		if err != nil {
			t.Fatal(err)
		}
		var want []entry
		for i := range rapid.IntRange(0, 8).Draw(t, "entries") {
			content := rapid.StringN(0, 3000, -1).Draw(t, "content")
			e := entry{regular(string(rapid.SliceOf(rapid.Byte()).Draw(t, "name")), len(content)), content}
			err := p.Add(e.File, iotest.HalfReader(strings.NewReader(content)))
			switch {
			case err == nil:
				want = append(want, e)
			case !errors.Is(err, pack.ErrEntry) || firn.KindOf(err) != firn.Invalid:
				t.Fatalf("entry %d, %q: %v", i, e.Path, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		found, err := list(&out)
		if err != nil || len(found) != len(want) {
			t.Fatalf("%d entries of %d: %v", len(found), len(want), err)
		}
		for i := range want {
			if diff := cmp.Diff(want[i], found[i]); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
		}
	})
}

func TestEntriesThatNoPackHolds(t *testing.T) {
	var out bytes.Buffer
	p, err := pack.NewWriter(&out, pack.Tar)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []firn.File{
		regular("", 0), regular("/a", 0), regular("a/", 0), regular("a\x00b", 0), regular("a", -1),
		{Path: "socket"}, {Path: "link", Kind: firn.Symlink, Target: "a\x00b"},
	} {
		if err := p.Add(f, strings.NewReader("")); !errors.Is(err, pack.ErrEntry) || firn.KindOf(err) != firn.Invalid {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if err := errors.Join(p.Add(regular("b", 1), strings.NewReader("c")), p.Close()); err != nil {
		t.Fatal(err)
	}
	if found, err := list(&out); err != nil || len(found) != 1 || found[0].Content != "c" {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestContentThatIsNotWhatItWas: the entry is told of and made whole, and the
// next one is where it should be.
func TestContentThatIsNotWhatItWas(t *testing.T) {
	broken := errors.New("input/output error")
	for name, c := range map[string]struct {
		content func() io.Reader
		kind    firn.Kind
		want    string
	}{
		"shorter":     {text("abc"), firn.Changed, "abc\x00\x00"},
		"gone":        {text(""), firn.Changed, "\x00\x00\x00\x00\x00"},
		"longer":      {text("abcdefg"), firn.Changed, "abcde"},
		"broken":      {text("ab", broken), firn.Local, "ab\x00\x00\x00"},
		"broken late": {text("abcde", broken), firn.Local, "abcde"},
	} {
		for _, f := range pack.Formats() {
			t.Run(fmt.Sprint(name, " ", f), func(t *testing.T) {
				var out bytes.Buffer
				p, err := pack.NewWriter(&out, f)
				if err != nil {
					t.Fatal(err)
				}
				err = p.Add(regular("x", 5), c.content())
				if !errors.Is(err, pack.ErrEntry) || firn.KindOf(err) != c.kind || !strings.HasPrefix(err.Error(), "pack x: ") {
					t.Errorf("error %v", err)
				}
				if c.kind == firn.Local && !errors.Is(err, broken) {
					t.Errorf("error %v hides its cause", err)
				}
				if err := errors.Join(p.Add(regular("y", 1), strings.NewReader("z")), p.Close()); err != nil {
					t.Fatal(err)
				}
				found, err := list(opened(t, f, &out))
				if err != nil || len(found) != 2 || found[0].Content != c.want || found[1].Content != "z" {
					t.Errorf("%+v, %v", found, err)
				}
			})
		}
	}
}

// text makes readers of a text, with errors at its end.
func text(s string, errs ...error) func() io.Reader {
	return func() io.Reader {
		readers := []io.Reader{strings.NewReader(s)}
		for _, err := range errs {
			readers = append(readers, iotest.ErrReader(err))
		}
		return io.MultiReader(readers...)
	}
}

// TestOutputThatFails is no error of the entry.
func TestOutputThatFails(t *testing.T) {
	full := errors.New("the pipe is closed")
	for _, f := range pack.Formats() {
		for _, after := range []int{0, 100_000, 700_000} {
			p, err := pack.NewWriter(&limited{left: after, err: full}, f)
			var errs []error
			for i := 0; err == nil && i < 4; i++ {
				err = p.Add(regular(fmt.Sprint(i), 1<<20), io.LimitReader(&noise{}, 1<<20))
			}
			if errs = append(errs, err); p != nil {
				errs = append(errs, p.Close())
			}
			if err := errors.Join(errs...); !errors.Is(err, full) || errors.Is(err, pack.ErrEntry) {
				t.Errorf("%s after %d: %v", f, after, err)
			}
		}
	}
}

// limited takes so many bytes.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}

// noise can't be compressed.
type noise struct{ state uint64 }

func (n *noise) Read(p []byte) (int, error) {
	for i := range p {
		n.state = n.state*6364136223846793005 + 1442695040888963407
		p[i] = byte(n.state >> 56)
	}
	return len(p), nil
}

func TestFormats(t *testing.T) {
	for _, f := range pack.Formats() {
		if got, err := pack.ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("%s: %v, %v", f, got, err)
		}
	}
	for _, s := range []string{"", "zip", "TAR", "tar.gz"} {
		if _, err := pack.ParseFormat(s); firn.KindOf(err) != firn.Usage {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := pack.NewWriter(io.Discard, pack.Format(s)); firn.KindOf(err) != firn.Usage {
			t.Errorf("a writer of %q: %v", s, err)
		}
	}
	if pack.Formats()[0] != pack.TarXz {
		t.Error("tar.xz is not the default any more")
	}
}

// TestStockToolsReadIt: tar alone brings back what is in a pack.
func TestStockToolsReadIt(t *testing.T) {
	stock := testprog.Need(t, "tar")
	unpack := map[pack.Format][]string{pack.Tar: {"cat"}, pack.TarXz: {testprog.Need(t, "xz"), "-dc"}, pack.TarZst: {testprog.Need(t, "zstd"), "-dc"}}
	hard, err := io.ReadAll(io.LimitReader(&noise{}, 9<<20)) // more than a segment of xz
	if err != nil {
		t.Fatal(err)
	}
	entries := []entry{{regular("dir/a", 5), "hello"}, {regular("noise", len(hard)), string(hard)}, {regular("dir/"+strings.Repeat("n", 200), 3), "abc"}}
	for f, tool := range unpack {
		dir := t.TempDir()
		file := filepath.Join(dir, "pack")
		if err := os.WriteFile(file, packed(t, f, entries), 0o600); err != nil {
			t.Fatal(err)
		}
		unpacked := exec.Command(tool[0], append(slices.Clone(tool[1:]), file)...)
		untar := exec.Command(stock, "-x", "-C", dir, "-f", "-")
		if untar.Stdin, err = unpacked.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
		if err := unpacked.Start(); err != nil {
			t.Fatal(err)
		}
		out, err := untar.CombinedOutput()
		if err := errors.Join(err, unpacked.Wait()); err != nil {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
		for _, e := range entries {
			got, err := os.ReadFile(filepath.Join(dir, e.Path))
			if err != nil || string(got) != e.Content {
				t.Errorf("%s: %s has %d bytes, %v", f, e.Path, len(got), err)
			}
		}
	}
}

// TestStockXZ takes streams of all sizes for whole, compressed or not.
func TestStockXZ(t *testing.T) {
	stock := testprog.Need(t, "xz")
	for _, size := range []int{0, 1, 3, 64<<10 - 1, 64 << 10, 64<<10 + 1, 4<<20 - 1536, 4 << 20, 5 << 20} {
		for name, content := range map[string]io.Reader{"noise": &noise{}, "words": &words{}} {
			if name == "words" && size > 1<<20 {
				continue // takes its time
			}
			var text strings.Builder
			io.CopyN(&text, content, int64(size))
			cmd := exec.Command(stock, "--test", "--verbose")
			cmd.Stdin = bytes.NewReader(packed(t, pack.TarXz, []entry{{regular("x", size), text.String()}}))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%d bytes of %s: %v\n%s", size, name, err, out)
			}
		}
	}
}

// TestSegmentsOfXZ: many of them come out in their order.
func TestSegmentsOfXZ(t *testing.T) {
	var entries []entry
	for i := range 6 {
		content := strings.Repeat(fmt.Sprintf("%d of many\n", i), 60_000)
		if i%2 == 1 {
			var b strings.Builder
			io.CopyN(&b, &noise{state: uint64(i)}, 3<<20)
			content = b.String()
		}
		entries = append(entries, entry{regular(fmt.Sprint(i), len(content)), content})
	}
	data := packed(t, pack.TarXz, entries)
	found, err := list(opened(t, pack.TarXz, bytes.NewReader(data)))
	if diff := cmp.Diff(entries, found); err != nil || diff != "" {
		t.Errorf("%v (-want +got) of %d bytes", err, len(diff))
	}
	if len(data) > 10<<20 {
		t.Errorf("%d bytes, of which 9 MiB are noise", len(data))
	}
}

func BenchmarkWrite(b *testing.B) {
	const size = 8 << 20
	contents := map[string]func() io.Reader{"words": func() io.Reader { return &words{} }, "noise": func() io.Reader { return &noise{} }}
	for _, f := range pack.Formats() {
		for name, content := range contents {
			b.Run(string(f)+" of "+name, func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					p, err := pack.NewWriter(io.Discard, f)
					if err != nil {
						b.Fatal(err)
					}
					if err := errors.Join(p.Add(regular("a", size), io.LimitReader(content(), size)), p.Close()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// words are text of a sort.
type words struct{ noise noise }

func (w *words) Read(p []byte) (int, error) {
	w.noise.Read(p)
	for i := range p {
		p[i] = "the of and to a in is it\n"[p[i]%25]
	}
	return len(p), nil
}
