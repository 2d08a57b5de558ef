package snapshot_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strconv"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
)

func fmtInt(n int64) string { return strconv.FormatInt(n, 10) }

// readAll reads a snapshot, and gives how many rows it had and how it ended.
func readAll(data []byte) (n int, err error) {
	for _, err := range snapshot.Open(bytes.NewReader(data), int64(len(data)), nil) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func compress(t testing.TB, text []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var out bytes.Buffer
	enc, err := zstd.NewWriter(&out, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// written gives the snapshot of a small store.
func written(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := rows.NewWriter(&out)
	for _, row := range []rows.Row{
		&rows.Header{Version: rows.Version, Catalog: one, Host: "here", Seq: 1, Store: rows.Store{Identity: "memory", Kind: "memory", URL: "memory:", Name: "memory"}},
		&rows.Catalog{ID: 1, Token: one, Host: "here"},
	} {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compress(t, out.Bytes())
}

// TestOpenDamaged: whatever is wrong with an archive, it is an error and nothing
// else.
func TestOpenDamaged(t *testing.T) {
	good := written(t)
	if n, err := readAll(good); n != 3 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	flipped := bytes.Clone(good)
	flipped[len(good)/2] ^= 1
	for name, data := range map[string][]byte{
		"empty":          {},
		"text":           []byte("what is this?"),
		"cut short":      good[:len(good)-5],
		"flipped":        flipped,
		"no rows":        compress(t, nil),
		"other rows":     compress(t, []byte("{\"what\":{}}\n")),
		"age alone":      []byte("age-encryption.org/v1\n"),
		"twice":          append(bytes.Clone(good), good...),
		"garbage behind": append(bytes.Clone(good), "garbage"...),
		"a large window": compress(t, bytes.Repeat([]byte("x"), 1<<20), zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false)),
	} {
		if _, err := readAll(data); firn.KindOf(err) != firn.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpenBomb: some kilobytes that become gigabytes take no more memory than a
// line may.
func TestOpenBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("it decompresses a gigabyte")
	}
	var out bytes.Buffer
	enc, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 512 {
		if _, err := enc.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = readAll(out.Bytes())
	runtime.ReadMemStats(&after)
	if firn.KindOf(err) != firn.Corrupt {
		t.Errorf("%v", err)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 400 {
		t.Errorf("it took %d MiB", took)
	}
}

// TestOpenFailingReader: an error of the line is that, and no damage.
func TestOpenFailingReader(t *testing.T) {
	broken := errors.New("broken")
	good := written(t)
	for _, n := range []int{0, 10, len(good) - 4} {
		r := io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken))
		var last error
		for _, err := range snapshot.Open(r, int64(len(good)), nil) {
			last = err
		}
		if !errors.Is(last, broken) {
			t.Errorf("after %d bytes: %v", n, last)
		}
	}
}

// TestOpenStops: who has seen enough reads no further.
func TestOpenStops(t *testing.T) {
	good := written(t)
	for range snapshot.Open(bytes.NewReader(good), int64(len(good)), nil) {
		return
	}
}

// TestIdentitiesFail: the error of who has the identities comes through, and
// they are not asked for what isn't sealed.
func TestIdentitiesFail(t *testing.T) {
	refused := errors.New("no passphrase")
	ask := func() (seal.Identities, error) { return seal.Identities{}, refused }
	good := written(t)
	for _, err := range snapshot.Open(bytes.NewReader(good), int64(len(good)), ask) {
		if err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t, storetest.MemoryOptions{})
	b.Seal()
	b.change("a", "1")
	all := b.Memory.Archives()
	last := all[len(all)-1]
	for _, err := range snapshot.Open(bytes.NewReader(b.Memory.Content(last.ID)), last.Size, ask) {
		if !errors.Is(err, refused) {
			t.Errorf("%v", err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	good := written(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Add([]byte("age-encryption.org/v1\n-> X25519 x\n"))
	f.Add(compress(f, []byte("{\"end\":{}}\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := readAll(data); err == nil && n < 2 {
			t.Errorf("%d rows without an error", n)
		}
	})
}
