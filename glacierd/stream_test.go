package glacierd_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/treehash"
)

// zeros is a body of n zero bytes that takes no memory.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func zeroHashes(t testing.TB, n int64) (linear, tree string) {
	t.Helper()
	d, l := treehash.New(), sha256.New()
	if _, err := io.Copy(io.MultiWriter(d, l), zeros(n)); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(l.Sum(nil)), d.Sum().String()
}

// allocated is what fn allocates, in bytes, here and on the server's side.
func allocated(fn func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// What a body takes of memory does not grow with it, on its way in and out.
func TestBodiesStream(t *testing.T) {
	const size, bound = 128 * mib, 4 * mib
	b := newBench(t, atOnce)
	b.createVault("v")
	b.upload("v", []byte("warm up"), "")
	linear, tree := zeroHashes(t, size)
	var archive string
	used := allocated(func() {
		r := b.requestWithHash("POST", "/-/vaults/v/archives", h{"x-amz-content-sha256", linear, "x-amz-sha256-tree-hash", tree}, zeros(size), size, linear)
		resp, err := b.send(r)
		if err != nil || resp.status != 201 {
			t.Fatalf("%d %s %v", resp.status, resp.body, err)
		}
		archive = resp.header.Get("x-amz-archive-id")
	})
	if used > bound {
		t.Errorf("uploading %d bytes allocates %d, more than %d", size, used, bound)
	}
	job := b.job("v", "Type", "archive-retrieval", "ArchiveId", archive)
	used = allocated(func() {
		resp, err := b.http.Do(b.request("GET", jobsPath+"/"+job+"/output", nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
			t.Fatal(n, err)
		}
	})
	if used > bound {
		t.Errorf("downloading %d bytes allocates %d, more than %d", size, used, bound)
	}
}

// The server works in a bubble of testing/synctest, and ends with it: nothing
// of it runs when nobody asks.
func TestInBubble(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := glacierd.New(glacierd.Config{Root: root, Credentials: glacierd.Credentials(key)})
		if err != nil {
			t.Fatal(err)
		}
		c := clientOf(t, s)
		c.createVault("v")
		archive := c.upload("v", []byte("hello"), "")
		job := c.job("v", "Type", "archive-retrieval", "ArchiveId", archive)
		time.Sleep(5*time.Hour - time.Second)
		c.do(400, "GET", jobsPath+"/"+job+"/output", nil, nil)
		time.Sleep(time.Second)
		if got := string(c.output("v", job).body); got != "hello" {
			t.Errorf("%q", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Many requests at once, over as many connections.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			body := fmt.Appendf(nil, "archive %d", i)
			archive := b.upload("v", body, "")
			if got := b.output("v", b.job("v", "Type", "archive-retrieval", "ArchiveId", archive)).body; string(got) != string(body) {
				t.Errorf("%q came back, want %q", got, body)
			}
		})
	}
	wg.Wait()
	if n := b.get("/-/vaults/v")["NumberOfArchives"]; n != 64.0 {
		t.Errorf("%v archives", n)
	}
}

// Stock clients insist on their own host and on https; both reach the server.
func TestTransportTakesAnyAddress(t *testing.T) {
	b := newBench(t)
	for _, base := range []string{"https://glacier.us-east-1.amazonaws.com", "http://localhost:1", "http://[::1]:9"} {
		c := b.client
		c.base = base
		c.do(200, "GET", "/-/vaults", nil, nil)
	}
}
