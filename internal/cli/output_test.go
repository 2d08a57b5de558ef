package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/fetch"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// A bringer is a session with one job that is ready.
type bringer struct {
	*session
	downloader *transfer.Downloader
	load       fetch.Load
	data       []byte
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
	env := homeEnv(t)
	d, err := transfer.NewDownloader(m, transfer.DownloadOptions{Clock: env.Clock})
	if err != nil {
		t.Fatal(err)
	}
	return &bringer{
		session:    &session{env: wire.Env{Getenv: env.Getenv, Dir: env.Dir, Clock: env.Clock, Events: firn.Discard}},
		downloader: d, load: fetch.Load{Label: "it", Job: job, Want: firn.Content{Size: int64(size), Tree: treehash.Sum(data)}}, data: data,
	}
}

// TestPlace: stdout and what isn't a regular file get the bytes, a file is made.
func TestPlace(t *testing.T) {
	b := newBringer(t, 100)
	a := &app{env: homeEnv(t)}
	var stdout bytes.Buffer
	out := filepath.Join(t.TempDir(), "out")
	for _, name := range []string{"-", os.DevNull, out} {
		p, err := a.placeOf("fetch", name, false)
		if err != nil || p.inOrder != (name != out) {
			t.Fatalf("%s: %+v, %v", name, p, err)
		}
		if res, err := b.bring(t.Context(), b.downloader, b.load, p, &stdout); err != nil || !res.Proven {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
	}
	if !bytes.Equal(stdout.Bytes(), b.data) {
		t.Errorf("stdout got %d bytes", stdout.Len())
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, b.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestPlaceTaken: what is there is left alone, unless it is to be replaced.
func TestPlaceTaken(t *testing.T) {
	b := newBringer(t, 100)
	p := place{name: "out", path: filepath.Join(t.TempDir(), "out")}
	if there, err := p.has(b.load.Want); there || err != nil {
		t.Error(there, err)
	}
	if err := os.WriteFile(p.path, b.data, 0o600); err != nil {
		t.Fatal(err)
	}
	if there, err := p.has(b.load.Want); !there || err != nil {
		t.Error("the same:", there, err)
	}
	if _, err := p.has(firn.Content{Size: 100}); firn.KindOf(err) != firn.Conflict {
		t.Error("nobody knows:", err)
	}
	if err := os.WriteFile(p.path, b.data[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.has(b.load.Want); firn.KindOf(err) != firn.Conflict {
		t.Error("another:", err)
	}
	p.replace = true
	if there, err := p.has(b.load.Want); there || err != nil {
		t.Error("to be replaced:", there, err)
	}
}

// FuzzByteRange: what is taken for a range is written as it was read.
func FuzzByteRange(f *testing.F) {
	for _, s := range []string{"0-1048575", "1048576-2999999", "5-10", "-1-5", "0-", "-", "9223372036854775807-9223372036854775807", "0-18446744073709551615", "0x10-20", "1048576-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r byteRange
		if r.Set(s) != nil {
			return
		}
		if r.at.Start < 0 || r.at.Len() < 1 || r.at.Start%treehash.LeafSize != 0 {
			t.Errorf("%q is %+v", s, *r.at)
		}
		var again byteRange
		if err := again.Set(r.String()); err != nil || *again.at != *r.at {
			t.Errorf("%q is %+v, then %+v, %v", s, *r.at, again.at, err)
		}
	})
}
