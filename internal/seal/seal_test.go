package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/testprog"
	"github.com/firn-archive/firn/treehash"
)

// chunk is how much plaintext age encrypts at once.
const chunk = 64 << 10

// sizes are plaintexts at the edges of the format's rules: none at all, whole
// chunks, one byte less and more.
var sizes = []int{0, 1, 15, 16, 17, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 5<<20 + 333}

// random gives n bytes, the same for each n.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// A pair is an identity and its recipient.
type pair struct {
	file       []byte // identity file
	ids        seal.Identities
	recipients seal.Recipients
	name       string
}

func newPair(t testing.TB, postQuantum bool) pair {
	t.Helper()
	file, name, err := seal.NewIdentity(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), postQuantum)
	must(t, err)
	ids, err := seal.ReadIdentities(bytes.NewReader(file), "id.txt", nil)
	must(t, err)
	recipients, err := seal.ParseRecipients([]string{name})
	must(t, err)
	return pair{file, ids, recipients, name}
}

// library gives the same identity to the age library.
func (p pair) library(t testing.TB) []age.Identity {
	t.Helper()
	ids, err := age.ParseIdentities(bytes.NewReader(p.file))
	must(t, err)
	return ids
}

func newKey(t testing.TB, r seal.Recipients) seal.Key {
	t.Helper()
	key, err := r.NewKey()
	must(t, err)
	return key
}

// sealAll gives the whole archive, read in one go.
func sealAll(t testing.TB, key seal.Key, plain []byte) []byte {
	t.Helper()
	archive := make([]byte, key.Size(int64(len(plain))))
	n, err := key.Seal(bytes.NewReader(plain), int64(len(plain))).ReadAt(archive, 0)
	must(t, err)
	if n != len(archive) {
		t.Fatalf("%d bytes, want %d", n, len(archive))
	}
	return archive
}

// opener opens an archive as recovery does: its first bytes say all.
func opener(t testing.TB, ids seal.Identities, archive []byte) *seal.Opener {
	t.Helper()
	prefix, n, err := seal.ReadHeader(archive)
	must(t, err)
	if !bytes.Equal(prefix, archive[:n]) {
		t.Fatalf("the prefix is not the archive's first %d bytes", n)
	}
	o, err := ids.Open(prefix, int64(len(archive)))
	must(t, err)
	return o
}

// openRange reads a range of the plaintext from the bytes it needs alone.
func openRange(o *seal.Opener, archive []byte, at firn.Range) ([]byte, error) {
	need := o.SealedRange(at)
	return io.ReadAll(o.Reader(bytes.NewReader(archive[need.Start:need.End]), at))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind firn.Kind) {
	t.Helper()
	if firn.KindOf(err) != kind || err == nil {
		t.Fatalf("got %v (%v), want kind %v", err, firn.KindOf(err), kind)
	}
}

// TestLibraryOpensWhatWeSeal: the age library decrypts each size, for each kind
// of key, and any one of several recipients can.
func TestLibraryOpensWhatWeSeal(t *testing.T) {
	for _, postQuantum := range []bool{false, true} {
		p, other := newPair(t, postQuantum), newPair(t, postQuantum)
		both, err := seal.ParseRecipients([]string{p.name, other.name})
		must(t, err)
		for _, size := range sizes {
			t.Run(fmt.Sprintf("pq=%v/%d", postQuantum, size), func(t *testing.T) {
				plain := random(size)
				archive := sealAll(t, newKey(t, both), plain)
				for _, one := range []pair{p, other} {
					r, err := age.Decrypt(bytes.NewReader(archive), one.library(t)...)
					must(t, err)
					got, err := io.ReadAll(r)
					must(t, err)
					if !bytes.Equal(got, plain) {
						t.Error("the plaintext differs")
					}
				}
			})
		}
	}
}

// TestWeOpenWhatTheLibrarySeals: whole, and in ranges at every edge.
func TestWeOpenWhatTheLibrarySeals(t *testing.T) {
	p := newPair(t, false)
	r, err := age.ParseX25519Recipient(p.name)
	must(t, err)
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			plain := random(size)
			var archive bytes.Buffer
			w, err := age.Encrypt(&archive, r)
			must(t, err)
			_, err = w.Write(plain)
			must(t, errors.Join(err, w.Close()))
			o := opener(t, p.ids, archive.Bytes())
			if o.PlainSize() != int64(size) {
				t.Fatalf("PlainSize %d, want %d", o.PlainSize(), size)
			}
			for _, start := range sizes {
				for _, end := range sizes {
					if start > end || end > size {
						continue
					}
					got, err := openRange(o, archive.Bytes(), firn.Range{Start: int64(start), End: int64(end)})
					must(t, err)
					if !bytes.Equal(got, plain[start:end]) {
						t.Fatalf("bytes %d to %d differ", start, end)
					}
				}
			}
		})
	}
}

// TestDebiansAge: the program that people have opens what we seal, and we what
// it seals; it reads our identity files.
func TestDebiansAge(t *testing.T) {
	program := testprog.Need(t, "age")
	p := newPair(t, false)
	dir := t.TempDir()
	identity := filepath.Join(dir, "identity.txt")
	must(t, os.WriteFile(identity, p.file, 0o600))
	for _, size := range sizes {
		plain := random(size)
		cmd := exec.Command(program, "--decrypt", "--identity", identity)
		cmd.Stdin = bytes.NewReader(sealAll(t, newKey(t, p.recipients), plain))
		got, err := cmd.Output()
		must(t, err)
		if !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: age gives others", size)
		}
		cmd = exec.Command(program, "--encrypt", "--recipient", p.name)
		cmd.Stdin = bytes.NewReader(plain)
		archive, err := cmd.Output()
		must(t, err)
		o := opener(t, p.ids, archive)
		got, err = openRange(o, archive, firn.Range{End: o.PlainSize()})
		must(t, err)
		if !bytes.Equal(got, plain) {
			t.Errorf("%d bytes of age's: we give others", size)
		}
	}
}

// TestSealInAnySteps: reads at any offsets, of any length, give the bytes of the
// one archive; so do all of them under another key value restored from what
// was kept.
func TestSealInAnySteps(t *testing.T) {
	p := newPair(t, false)
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.SampledFrom(sizes[:11]), rapid.IntRange(0, 5*chunk)).Draw(rt, "size")
		plain := random(size)
		key := newKey(t, p.recipients)
		want := sealAll(t, key, plain)
		again, err := seal.RestoreKey(key.Prefix(), key.FileKey[:])
		must(t, err)
		sealed := again.Seal(bytes.NewReader(plain), int64(size))
		for range rapid.IntRange(1, 20).Draw(rt, "reads") {
			off := rapid.IntRange(0, len(want)+10).Draw(rt, "off")
			b := make([]byte, rapid.OneOf(rapid.IntRange(0, 3*chunk), rapid.IntRange(0, 20)).Draw(rt, "len"))
			n, err := sealed.ReadAt(b, int64(off))
			rest := want[min(off, len(want)):]
			if n != min(len(b), len(rest)) || !bytes.Equal(b[:n], rest[:n]) {
				rt.Fatalf("%d bytes at %d differ", n, off)
			}
			if n < len(b) && err != io.EOF || n == len(b) && err != nil && err != io.EOF {
				rt.Fatalf("%d of %d bytes at %d: %v", n, len(b), off, err)
			}
		}
	})
}

// TestSealReadByMany: goroutines that read the parts of one archive in small
// steps each get the right bytes. The race detector watches.
func TestSealReadByMany(t *testing.T) {
	p := newPair(t, false)
	plain := random(2<<20 + 5)
	key := newKey(t, p.recipients)
	want := sealAll(t, key, plain)
	sealed := key.Seal(bytes.NewReader(plain), int64(len(plain)))
	const readers = 20 // more than chunks are kept for
	var all sync.WaitGroup
	for i := range readers {
		all.Go(func() {
			from, to := len(want)*i/readers, len(want)*(i+1)/readers
			got, err := io.ReadAll(io.NewSectionReader(sealed, int64(from), int64(to-from)))
			if err != nil || !bytes.Equal(got, want[from:to]) {
				t.Errorf("part %d differs (%v)", i, err)
			}
		})
	}
	all.Wait()
}

// counter counts the bytes that are read.
type counter struct {
	io.ReaderAt
	bytes atomic.Int64
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.bytes.Add(int64(n))
	return n, err
}

// TestSealOnce: a stream in small steps has each chunk sealed once; parts of
// other sizes have a chunk sealed twice where two of them meet in it.
func TestSealOnce(t *testing.T) {
	p := newPair(t, false)
	const size = 16 * chunk
	for _, tt := range []struct {
		name        string
		part, steps int
		most        int64 // bytes of plaintext
	}{
		{"small steps", 1 << 30, 4 << 10, size},
		{"steps of net/http", 1 << 30, 32 << 10, size},
		{"steps of 256 KiB", 256 << 10, 256 << 10, size + 4*chunk},
		{"parts of 1 MiB", 1 << 20, 32 << 10, size + chunk},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &counter{ReaderAt: bytes.NewReader(random(size))}
			key := newKey(t, p.recipients)
			sealed := key.Seal(src, size)
			for off := int64(0); off < key.Size(size); off += int64(tt.part) {
				r := io.NewSectionReader(sealed, off, min(int64(tt.part), key.Size(size)-off))
				_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, tt.steps))
				must(t, err)
			}
			if got := src.bytes.Load(); got < size || got > tt.most {
				t.Errorf("read %d bytes of plaintext, want %d to %d", got, size, tt.most)
			}
		})
	}
}

// TestSealMemory: a stream needs one chunk of memory, and stops within many
// chunks need no more than are kept.
func TestSealMemory(t *testing.T) {
	p := newPair(t, false)
	const size = 200 * chunk
	plain := random(size)
	key := newKey(t, p.recipients)
	stream := func(sealed io.ReaderAt) error {
		r := io.NewSectionReader(sealed, 0, key.Size(size))
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 32<<10))
		return err
	}
	stops := func(sealed io.ReaderAt) error {
		var errs []error
		for i := range size / chunk {
			_, err := sealed.ReadAt(make([]byte, 1), int64(len(key.Prefix())+i*(chunk+16)))
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	for name, tt := range map[string]struct {
		read func(io.ReaderAt) error
		most uint64 // chunks
	}{"stream": {stream, 3}, "stops": {stops, 20}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		must(t, tt.read(key.Seal(bytes.NewReader(plain), size)))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > tt.most*chunk {
			t.Errorf("%s: %d KiB allocated, want at most %d chunks", name, n>>10, tt.most)
		}
	}
}

// failing gives an error instead of bytes.
type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// TestSealOfABadSource: errors come through, an early end is told from the
// archive's own, and no plaintext is left in the buffer.
func TestSealOfABadSource(t *testing.T) {
	p := newPair(t, false)
	key := newKey(t, p.recipients)
	plain := random(3 * chunk)
	broken := errors.New("the disk is broken")
	for _, tt := range []struct {
		name string
		src  io.ReaderAt
		want error
	}{
		{"shrunk", bytes.NewReader(plain[:chunk+5]), io.ErrUnexpectedEOF},
		{"broken", failing{broken}, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			archive := make([]byte, key.Size(3*chunk))
			n, err := key.Seal(tt.src, 3*chunk).ReadAt(archive, 0)
			if !errors.Is(err, tt.want) || n == len(archive) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if bytes.Contains(archive, plain[chunk:chunk+5]) {
				t.Error("plaintext is left in the buffer")
			}
			small := make([]byte, 10)
			if _, err := key.Seal(tt.src, 3*chunk).ReadAt(small, key.Size(2*chunk)+100); !errors.Is(err, tt.want) {
				t.Errorf("in a small step: %v", err)
			}
		})
	}
	if _, err := key.Seal(bytes.NewReader(plain), 3*chunk).ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is read")
	}
}

// BenchmarkHash is what the others are measured against: hashing the bytes once.
func BenchmarkHash(b *testing.B) {
	plain := random(64 << 20)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		h := treehash.New()
		h.Write(plain)
		h.Sum()
	}
}

// BenchmarkSeal reads an archive in steps of 1 MiB, as hashing does, and of 32
// KiB, as net/http does.
func BenchmarkSeal(b *testing.B) {
	p := newPair(b, false)
	plain := random(64 << 20)
	key := newKey(b, p.recipients)
	size := key.Size(int64(len(plain)))
	for _, step := range []int{1 << 20, 32 << 10} {
		b.Run(fmt.Sprintf("%dKiB", step>>10), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			buf := make([]byte, step)
			for b.Loop() {
				r := io.NewSectionReader(key.Seal(bytes.NewReader(plain), int64(len(plain))), 0, size)
				_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf)
				must(b, err)
			}
		})
	}
}

// BenchmarkOpen reads a whole plaintext.
func BenchmarkOpen(b *testing.B) {
	p := newPair(b, false)
	plain := random(64 << 20)
	archive := sealAll(b, newKey(b, p.recipients), plain)
	o := opener(b, p.ids, archive)
	all := firn.Range{End: o.PlainSize()}
	at := o.SealedRange(all)
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	buf := make([]byte, 1<<20)
	for b.Loop() {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, o.Reader(bytes.NewReader(archive[at.Start:at.End]), all), buf)
		must(b, err)
	}
}

// BenchmarkNewKey is what each archive costs besides its bytes.
func BenchmarkNewKey(b *testing.B) {
	for _, postQuantum := range []bool{false, true} {
		b.Run(fmt.Sprintf("pq=%v", postQuantum), func(b *testing.B) {
			p := newPair(b, postQuantum)
			b.ReportAllocs()
			for b.Loop() {
				newKey(b, p.recipients)
			}
		})
	}
}
