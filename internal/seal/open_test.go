package seal_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/seal"
)

// TestDamage: whatever is done to an archive, nobody gets bytes that weren't
// sealed: the good chunks before it come, then Corrupt.
func TestDamage(t *testing.T) {
	p := newPair(t, false)
	plain := random(3*chunk + 100)
	key := newKey(t, p.recipients)
	archive := sealAll(t, key, plain)
	start := len(key.Prefix())
	const sealedChunk = chunk + 16
	for _, tt := range []struct {
		name   string
		good   int // bytes of plaintext that come before
		damage func(b []byte) []byte
	}{
		{"a bit of the first chunk", 0, func(b []byte) []byte { b[start] ^= 1; return b }},
		{"a bit of a tag", chunk, func(b []byte) []byte { b[start+2*sealedChunk-1] ^= 0x80; return b }},
		{"the last bit", 3 * chunk, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }},
		{"a bit of the nonce", 0, func(b []byte) []byte { b[start-1] ^= 1; return b }},
		{"two chunks swapped", 0, func(b []byte) []byte {
			first := bytes.Clone(b[start : start+sealedChunk])
			copy(b[start:], b[start+sealedChunk:start+2*sealedChunk])
			copy(b[start+sealedChunk:], first)
			return b
		}},
		{"cut at the end of a chunk", 2 * chunk, func(b []byte) []byte { return b[:start+3*sealedChunk] }},
		{"cut within a chunk", 2 * chunk, func(b []byte) []byte { return b[:start+3*sealedChunk-1] }},
		{"a byte added", 3 * chunk, func(b []byte) []byte { return append(b, 0) }},
		{"a chunk added", 3 * chunk, func(b []byte) []byte { return append(b, b[start:start+sealedChunk]...) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.damage(bytes.Clone(archive))
			o := opener(t, p.ids, b)
			got, err := openRange(o, b, firn.Range{End: o.PlainSize()})
			wantKind(t, err, firn.Corrupt)
			if !bytes.Equal(got, plain[:tt.good]) {
				t.Errorf("%d bytes came before the error, want %d good ones", len(got), tt.good)
			}
		})
	}
}

// TestHeaderOfAnother: the catalog's prefix must be that of the archive.
func TestHeaderOfAnother(t *testing.T) {
	p := newPair(t, false)
	archive := sealAll(t, newKey(t, p.recipients), random(1000))
	o, err := p.ids.Open(newKey(t, p.recipients).Prefix(), int64(len(archive)))
	must(t, err)
	_, err = openRange(o, archive, firn.Range{End: 10})
	wantKind(t, err, firn.Corrupt)
}

// TestCutStream: the bytes of a range end too early, and the archive is whole.
func TestCutStream(t *testing.T) {
	p := newPair(t, false)
	plain := random(3 * chunk)
	archive := sealAll(t, newKey(t, p.recipients), plain)
	o := opener(t, p.ids, archive)
	all := firn.Range{End: 3 * chunk}
	at := o.SealedRange(all)
	whole := archive[at.Start:at.End]
	broken := errors.New("the connection broke")
	for _, tt := range []struct {
		name string
		src  io.Reader
		want func(error) bool
	}{
		{"empty", strings.NewReader(""), corrupt},
		{"after a chunk", bytes.NewReader(whole[:chunk+16]), corrupt},
		{"within a chunk", bytes.NewReader(whole[:len(whole)-1]), corrupt},
		{"an error", io.MultiReader(bytes.NewReader(whole[:chunk]), iotest.ErrReader(broken)), func(err error) bool { return errors.Is(err, broken) }},
		// A connection that breaks ends so: it may be tried again, damage not.
		{"an early end by the source's own word", io.MultiReader(bytes.NewReader(whole[:chunk]), iotest.ErrReader(io.ErrUnexpectedEOF)),
			func(err error) bool { return err == io.ErrUnexpectedEOF }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := o.Reader(tt.src, all)
			got, err := io.ReadAll(r)
			if !tt.want(err) || !bytes.Equal(got, plain[:len(got)]) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if _, again := r.Read(make([]byte, 1)); again != err {
				t.Errorf("then %v", again)
			}
		})
	}
	got, err := io.ReadAll(iotest.OneByteReader(o.Reader(iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(whole))), all)))
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("in small steps: %d bytes, %v", len(got), err)
	}
}

func corrupt(err error) bool { return firn.KindOf(err) == firn.Corrupt }

// TestReaderTakesNoMore: a stream may go on behind the range, as retrievals of
// whole MiB do.
func TestReaderTakesNoMore(t *testing.T) {
	p := newPair(t, false)
	archive := sealAll(t, newKey(t, p.recipients), random(5*chunk))
	o := opener(t, p.ids, archive)
	at := firn.Range{Start: chunk + 1, End: 2*chunk + 1}
	need := o.SealedRange(at)
	src := bytes.NewReader(archive[need.Start:])
	_, err := io.ReadAll(o.Reader(src, at))
	must(t, err)
	if read := src.Size() - int64(src.Len()); read != need.Len() || read != 2*(chunk+16) {
		t.Errorf("read %d bytes, want %d", read, need.Len())
	}
}

func TestSealedRange(t *testing.T) {
	p := newPair(t, false)
	const sealedChunk = chunk + 16
	key := newKey(t, p.recipients)
	start := int64(len(key.Prefix()))
	for _, tt := range []struct {
		size, from, to int64
		first, last    int64 // relative to the first chunk
	}{
		{0, 0, 0, 0, 16},
		{1, 0, 1, 0, 17},
		{1, 1, 1, 0, 0},
		{chunk, 0, chunk, 0, sealedChunk},
		{chunk, chunk, chunk, sealedChunk, sealedChunk},
		{chunk + 1, chunk, chunk + 1, sealedChunk, sealedChunk + 17},
		{3 * chunk, chunk - 1, chunk + 1, 0, 2 * sealedChunk},
		{3 * chunk, chunk, 2 * chunk, sealedChunk, 2 * sealedChunk},
		{3 * chunk, chunk, chunk, sealedChunk, sealedChunk},
		{10, -5, 1 << 40, 0, 26}, // clipped
		{10, 50, 60, 0, 0},
		{10, 5, 2, 0, 0},
	} {
		o, err := p.ids.Open(key.Prefix(), key.Size(tt.size))
		must(t, err)
		want := firn.Range{Start: start + tt.first, End: start + tt.last}
		if got := o.SealedRange(firn.Range{Start: tt.from, End: tt.to}); got != want {
			t.Errorf("%d to %d of %d: got %v, want %v", tt.from, tt.to, tt.size, got, want)
		}
	}
}

// TestRangesThatAreNone: a catalog may be damaged too.
func TestRangesThatAreNone(t *testing.T) {
	p := newPair(t, false)
	archive := sealAll(t, newKey(t, p.recipients), random(100))
	o := opener(t, p.ids, archive)
	for _, at := range [][2]int64{{-1, 10}, {0, 101}, {50, 40}, {math.MinInt64, math.MaxInt64}, {200, 300}} {
		_, err := openRange(o, archive, firn.Range{Start: at[0], End: at[1]})
		wantKind(t, err, firn.Corrupt)
	}
}

// TestSizesThatAreNone: sizes that no archive has are told from those that one
// has, which the library confirms.
func TestSizesThatAreNone(t *testing.T) {
	p := newPair(t, false)
	key := newKey(t, p.recipients)
	prefix := key.Prefix()
	n := int64(len(prefix))
	for _, size := range []int64{math.MinInt64, -1, 0, n - 1, n, n + 15, n + chunk + 16 + 1, n + chunk + 16 + 16} {
		_, err := p.ids.Open(prefix, size)
		wantKind(t, err, firn.Corrupt)
	}
	for plain := int64(0); plain < 3*chunk; plain += 1021 {
		size := key.Size(plain)
		o, err := p.ids.Open(prefix, size)
		must(t, err)
		archive := sealAll(t, key, random(int(plain)))
		_, library, err := age.DecryptReaderAt(bytes.NewReader(archive), size, p.library(t)...)
		must(t, err)
		if o.PlainSize() != plain || library != plain {
			t.Fatalf("%d bytes sealed, %d by us, %d by the library", plain, o.PlainSize(), library)
		}
	}
}

// TestOpenDenied: the wrong identity is told from damage.
func TestOpenDenied(t *testing.T) {
	p, other := newPair(t, false), newPair(t, false)
	key := newKey(t, p.recipients)
	for name, ids := range map[string]seal.Identities{"another": other.ids, "post-quantum": newPair(t, true).ids, "none": {}} {
		_, err := ids.Open(key.Prefix(), key.Size(1))
		wantKind(t, err, firn.Denied)
		if !strings.Contains(err.Error(), "give the identity file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	prefix := key.Prefix()
	prefix[len(prefix)-17-2] ^= 1 // of the MAC
	_, err := p.ids.Open(prefix, key.Size(1))
	wantKind(t, err, firn.Corrupt)
}

// FuzzOpen: an archive with any bytes changed gives what was sealed, or Corrupt.
func FuzzOpen(f *testing.F) {
	p := newPair(f, false)
	plain := random(chunk + 100)
	archive := sealAll(f, newKey(f, p.recipients), plain)
	f.Add(uint32(0), []byte("age"), uint32(0))
	f.Add(uint32(len(archive)-1), []byte{1}, uint32(0))
	f.Add(uint32(300), []byte{0xff, 0xff}, uint32(1))
	f.Add(uint32(30), []byte("\n-> scrypt AAAA 22\n"), uint32(0))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, cut uint32) {
		b := bytes.Clone(archive)
		for i := range change {
			b[(int(at)+i)%len(b)] ^= change[i]
		}
		b = b[:len(b)-int(cut)%len(b)]
		prefix, _, err := seal.ReadHeader(b)
		if err != nil {
			wantKind(t, err, firn.Corrupt)
			return
		}
		o, err := p.ids.Open(prefix, int64(len(b)))
		if kind := firn.KindOf(err); err != nil && (kind == firn.Corrupt || kind == firn.Denied) {
			return
		}
		must(t, err)
		got, err := openRange(o, b, firn.Range{End: o.PlainSize()})
		if !bytes.Equal(got, plain[:len(got)]) {
			t.Fatal("bytes that were never sealed")
		}
		if err == nil && !bytes.Equal(b, archive) {
			t.Fatal("another archive opens without an error")
		}
	})
}

// TestPlainRange: of what a part of an archive brings, exactly the chunks that lie
// in it whole can be opened.
func TestPlainRange(t *testing.T) {
	p := newPair(t, false)
	plain := random(3*chunk + 100)
	key := newKey(t, p.recipients)
	archive := sealAll(t, key, plain)
	o := opener(t, p.ids, archive)
	start, end := int64(len(key.Prefix())), int64(len(archive))
	const sealed = chunk + 16
	for _, tt := range []struct{ from, to, first, last int64 }{
		{0, end, 0, int64(len(plain))},
		{start, start + sealed, 0, chunk},
		{start + 1, start + 2*sealed, chunk, 2 * chunk},
		{start, start + 2*sealed - 1, 0, chunk},
		{start + 2*sealed, end, 2 * chunk, int64(len(plain))},
		{start + 3*sealed, end - 1, 3 * chunk, 3 * chunk},
		{0, start, 0, 0},
	} {
		got := o.PlainRange(firn.Range{Start: tt.from, End: tt.to})
		if want := (firn.Range{Start: tt.first, End: tt.last}); got != want {
			t.Errorf("%d to %d: %v, want %v", tt.from, tt.to, got, want)
			continue
		}
		if got.Len() == 0 {
			continue
		}
		// What is said to be there can be opened from what is at hand.
		need, err := seal.SealedRange(key.Prefix(), end, got)
		if err != nil || need != o.SealedRange(got) || need.Start < tt.from || need.End > tt.to {
			t.Errorf("%v needs %v, %v", got, need, err)
		}
	}
	if _, err := seal.SealedRange([]byte("nothing"), end, firn.Range{End: 1}); firn.KindOf(err) != firn.Corrupt {
		t.Errorf("a prefix of nothing: %v", err)
	}
}
