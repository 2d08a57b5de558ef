package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A watched store tells which parts of outputs were asked for, and may spoil them.
type watched struct {
	firn.Store
	asked []firn.Range
	spoil func(data []byte)
	after int // how many are given before all fail; 0: no end
}

func (w *watched) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	if w.asked = append(w.asked, at); w.after > 0 && len(w.asked) > w.after {
		return firn.Output{}, &firn.Error{Op: "download", Kind: firn.Denied}
	}
	out, err := w.Store.Output(ctx, id, at)
	if err != nil || w.spoil == nil {
		return out, err
	}
	data, err := io.ReadAll(out)
	w.spoil(data)
	return firn.Output{ReadCloser: io.NopCloser(bytes.NewReader(data))}, err
}

// A bringer has one job that is ready, and a folder.
type bringer struct {
	*testing.T
	store *watched
	data  []byte
	load  Load
	dir   string
}

func newBringer(t *testing.T, size int) *bringer {
	t.Helper()
	m := storetest.NewMemory(storetest.MemoryOptions{})
	data := storetest.Data(1, size)
	body, sums := storetest.Body(data)
	id, err := m.UploadArchive(t.Context(), "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	job, err := m.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: id, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	return &bringer{
		T: t, store: &watched{Store: m}, data: data, dir: t.TempDir(),
		load: Load{Label: "it", Job: job, Want: firn.Content{Size: int64(size), Tree: treehash.Sum(data)}},
	}
}

// downloader fetches in pieces of a MiB, one at a time.
func (b *bringer) downloader() *transfer.Downloader {
	b.Helper()
	d, err := transfer.NewDownloader(b.store, transfer.DownloadOptions{PieceSize: 1 << 20, Concurrency: 1, Clock: clock.System{}})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// bring downloads to the file.
func (b *bringer) bring() (transfer.Downloaded, error) {
	b.Helper()
	return b.load.ToFile(b.Context(), b.downloader(), b.file(), false)
}

// pour downloads to w.
func (b *bringer) pour(w io.Writer) (transfer.Downloaded, error) {
	b.Helper()
	return b.load.Pour(b.Context(), b.downloader(), w, firn.Discard)
}

func (b *bringer) file() string { return filepath.Join(b.dir, "out") }

// left lists what is in the folder.
func (b *bringer) left() (names []string) {
	b.Helper()
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (b *bringer) wants(err error, kind firn.Kind) {
	b.Helper()
	if firn.KindOf(err) != kind {
		b.Errorf("%v, want one of kind %v", err, kind)
	}
}

// TestOutputGoesOn: a download that was cut short goes on where it ended, also
// with another job, and leaves nothing beside its file.
func TestOutputGoesOn(t *testing.T) {
	b := newBringer(t, 5<<20+7)
	b.store.after = 3
	_, err := b.bring()
	b.wants(err, firn.Denied)
	if names := b.left(); len(names) != 1 || !strings.HasPrefix(names[0], ".firn-") || !strings.HasSuffix(names[0], ".part") {
		t.Fatalf("left over: %v", names)
	}
	b.store.asked, b.store.after = nil, 0
	another, err := b.store.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: "archive-1", Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	b.load.Job = another
	res, err := b.bring()
	if err != nil || res.Resumed != 3<<20 || res.Fetched != 2<<20+7 || !res.Proven || len(b.store.asked) != 3 {
		t.Errorf("%+v, %v, after %v", res, err, b.store.asked)
	}
	got, err := os.ReadFile(b.file())
	if err != nil || !bytes.Equal(got, b.data) || len(b.left()) != 1 {
		t.Errorf("%d bytes, %v; there are %v", len(got), err, b.left())
	}
}

// TestOutputBelievesNoList: what the list behind a partial file says is looked at.
func TestOutputBelievesNoList(t *testing.T) {
	for name, list := range map[string]func(b *bringer) []byte{
		"pieces that differ": func(b *bringer) (list []byte) {
			for at := range int64(3) {
				list = binary.BigEndian.AppendUint64(list, uint64(at<<20))
				list = append(binary.BigEndian.AppendUint64(list, 1<<20), make([]byte, treehash.Size)...)
			}
			return list
		},
		"a piece beyond all": func(*bringer) []byte {
			return append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 1<<62), 1<<62), make([]byte, treehash.Size)...)
		},
		"less than nothing": func(*bringer) []byte { return bytes.Repeat([]byte{0xff}, 3*pieceRecord) },
		"half a record":     func(*bringer) []byte { return make([]byte, pieceRecord/2) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBringer(t, 3<<20)
			f, err := openPartial(placeOf(t, b.file()), b.load.identity(), b.load.Want.Size)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(list(b), b.load.Want.Size); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if _, err := b.bring(); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(b.file()); err != nil || !bytes.Equal(got, b.data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// TestOutputThroughNoLink: a link that somebody put in the way isn't followed.
func TestOutputThroughNoLink(t *testing.T) {
	b := newBringer(t, 100)
	f, err := openPartial(placeOf(t, b.file()), b.load.identity(), b.load.Want.Size)
	if err != nil {
		t.Fatal(err)
	}
	f.leave(true)
	temp := filepath.Join(b.dir, f.temp)
	for name, to := range map[string]string{"inside": "victim", "outside": filepath.Join(t.TempDir(), "victim")} {
		target := to
		if !filepath.IsAbs(to) {
			target = filepath.Join(b.dir, to)
		}
		if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, temp); err != nil {
			t.Skip(err)
		}
		_, err := b.bring()
		b.wants(err, firn.Local)
		if got, err := os.ReadFile(target); err != nil || string(got) != "precious" {
			t.Errorf("%s: it was written to: %q, %v", name, got, err)
		}
		if err := os.Remove(temp); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOutputIsVerified: bytes that are wrong don't get the file's name, and don't
// stay; what took them in order is told.
func TestOutputIsVerified(t *testing.T) {
	b := newBringer(t, 9<<20)
	b.store.spoil = func(data []byte) { data[len(data)-1] ^= 1 }
	_, err := b.bring()
	b.wants(err, firn.Corrupt)
	if names := b.left(); len(names) > 0 {
		t.Errorf("left over: %v", names)
	}
	_, err = b.pour(io.Discard)
	b.wants(err, firn.Corrupt)
}

// TestOutputInOrder: a pipe gets all bytes in their order; one that takes no more ends the download.
func TestOutputInOrder(t *testing.T) {
	b := newBringer(t, 40<<20+3)
	var out bytes.Buffer
	res, err := b.pour(&out)
	if err != nil || !res.Proven || !bytes.Equal(out.Bytes(), b.data) {
		t.Errorf("%d bytes, %+v, %v", out.Len(), res, err)
	}
	b.store.asked = nil
	_, err = b.pour(&narrow{room: 1 << 20})
	b.wants(err, firn.Local)
	if len(b.store.asked) > 2+pourAhead {
		t.Errorf("it asked for %v all the same", b.store.asked)
	}
}

// narrow takes so many bytes, and no more.
type narrow struct{ room int }

func (f *narrow) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestOutputInTheWay: what comes while the bytes do stays, unless it is to be
// replaced.
func TestOutputInTheWay(t *testing.T) {
	b := newBringer(t, 100)
	if err := os.WriteFile(b.file(), b.data[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := b.bring()
	b.wants(err, firn.Local)
	if got, err := os.ReadFile(b.file()); err != nil || len(got) != 99 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := b.load.ToFile(t.Context(), b.downloader(), b.file(), true); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(b.file()); err != nil || !bytes.Equal(got, b.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// FuzzOutputList: whatever stands behind the bytes of a partial file, what is taken
// out of it are pieces of the file.
func FuzzOutputList(f *testing.F) {
	f.Add([]byte{}, int64(3<<20))
	f.Add(bytes.Repeat([]byte{0}, 2*pieceRecord), int64(1))
	f.Add(append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, 1<<20), 1<<20), make([]byte, treehash.Size+5)...), int64(2<<20))
	f.Fuzz(func(t *testing.T, list []byte, size int64) {
		if size < 0 || size > 1<<40 {
			t.Skip("no archive has so many bytes")
		}
		path := filepath.Join(t.TempDir(), "out")
		o, err := openPartial(placeOf(t, path), "it", size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.WriteAt(list, size); err != nil {
			t.Skip(err) // of a system without sparse files
		}
		o.Close()
		again, err := openPartial(placeOf(t, path), "it", size)
		if err != nil {
			t.Fatal(err)
		}
		defer again.leave(true)
		for _, p := range again.done {
			if p.Offset < 0 || p.Size < 1 || p.Offset+p.Size > size {
				t.Errorf("%+v is no piece of %d bytes", p, size)
			}
		}
	})
}

// placeOf is the place that ToFile downloads to.
func placeOf(t testing.TB, path string) Place {
	t.Helper()
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return Place{Root: root, Name: filepath.Base(path)}
}

// TestArrivals: each piece that came is told of, to a file as in order; what was there
// already is not.
func TestArrivals(t *testing.T) {
	for name, bring := range map[string]func(*bringer) error{
		"file":     func(b *bringer) error { _, err := b.bring(); return err },
		"in order": func(b *bringer) error { _, err := b.pour(io.Discard); return err },
	} {
		b := newBringer(t, 3<<20+7)
		var n atomic.Int64
		b.load.Arrived = func(context.Context) { n.Add(1) }
		if err := bring(b); err != nil || n.Load() < 1 || n.Load() > int64(len(b.store.asked)) {
			t.Errorf("%s: %d pieces came of %d that were asked for: %v", name, n.Load(), len(b.store.asked), err)
		}
	}
}
