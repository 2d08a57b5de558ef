package glacier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// counted counts what is read, and whether in order.
type counted struct {
	io.ReaderAt
	bytes, next int64
	disordered  bool
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.disordered = c.disordered || off != c.next
	c.bytes += int64(n)
	c.next = off + int64(n)
	return n, err
}

// recorder notes the headers of the requests that pass.
type recorder struct {
	http.RoundTripper
	mu   sync.Mutex
	seen []http.Header
	size []int64
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.seen = append(r.seen, req.Header.Clone())
	r.size = append(r.size, req.ContentLength)
	r.mu.Unlock()
	return r.RoundTripper.RoundTrip(req)
}

// TestBodiesAreReadOnce: the SDK would read a body three times and hash it as
// often. Should an update of it rename the step that preset stands before,
// uploads fail, and so does this.
func TestBodiesAreReadOnce(t *testing.T) {
	s := serve(t, nil)
	create(t, s)
	rec := &recorder{RoundTripper: s.Transport()}
	v := with(t, rec)
	for _, size := range []int{1, 1 << 20, 5<<20 + 3} {
		data := storetest.Data(1, size)
		plain, sums := storetest.Body(data)
		body := &counted{ReaderAt: plain}
		check := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if body.bytes != int64(size) || body.disordered {
				t.Errorf("%s: %d bytes were read of %d; out of order: %v", what, body.bytes, size, body.disordered)
			}
			*body = counted{ReaderAt: plain}
			last := len(rec.seen) - 1
			for name, want := range map[string]string{
				"X-Amz-Content-Sha256":   fmt.Sprintf("%x", sums.Linear),
				"X-Amz-Sha256-Tree-Hash": sums.Tree.String(),
				"X-Amz-Glacier-Version":  "2012-06-01",
				"Accept-Encoding":        "identity",
			} {
				if got := rec.seen[last].Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s is %q, want %q", what, name, got, want)
				}
			}
			if rec.size[last] != int64(size) {
				t.Errorf("%s: Content-Length %d, want %d", what, rec.size[last], size)
			}
		}
		_, err := v.UploadArchive(t.Context(), "x", io.NewSectionReader(body, 0, int64(size)), sums)
		check("UploadArchive", err)
		id, err := v.StartUpload(t.Context(), "x", 8<<20)
		if err != nil {
			t.Fatal(err)
		}
		check("UploadPart", v.UploadPart(t.Context(), id, 0, io.NewSectionReader(body, 0, int64(size)), sums))
	}
}

// TestJobsHaveNoTreeHash: the SDK would give every request with a body one, in a MiB
// of memory. Should an update of it rename the step, no job starts, and this fails.
func TestJobsHaveNoTreeHash(t *testing.T) {
	s := serve(t, nil)
	create(t, s)
	rec := &recorder{RoundTripper: s.Transport()}
	v := with(t, rec)
	data := storetest.Data(1, 10)
	body, sums := storetest.Body(data)
	archive, err := v.UploadArchive(t.Context(), "x", body, sums)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: archive, Tier: firn.Bulk}); err != nil {
		t.Fatal(err)
	}
	last := len(rec.seen) - 1
	if got := rec.seen[last].Values("X-Amz-Sha256-Tree-Hash"); len(got) > 0 || rec.size[last] == 0 {
		t.Errorf("a request of %d bytes with the tree hash %q", rec.size[last], got)
	}
}

// TestLostAnswersLeaveOne: an answer that is lost on the way is the caller's to
// look for. Neither the SDK nor the store asks again, whatever the environment
// says.
func TestLostAnswersLeaveOne(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "5")
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	faults := glacierd.NewFaults(0)
	s := serve(t, func(c *glacierd.Config) { c.Faults = faults })
	v := create(t, s)
	ctx := t.Context()
	body, sums := storetest.Body([]byte("x"))
	for name, store := range map[string]firn.Store{"bare": v, "beneath guard": retried(v)} {
		t.Run(name, func(t *testing.T) {
			before := census(t, v)
			for _, a := range faults.Armed() {
				a.Remove()
			}
			for _, op := range unique {
				arm(t, faults, glacierd.Fault{Kind: glacierd.FaultLostAnswer, Op: op, Nth: 1})
			}
			_, err := store.UploadArchive(ctx, "x", body, sums)
			wantKind(t, err, firn.Lost)
			_, err = store.StartUpload(ctx, "x", 1<<20)
			wantKind(t, err, firn.Lost)
			_, err = store.StartInventory(ctx, firn.InventorySpec{Description: "x"})
			wantKind(t, err, firn.Lost)
			after := census(t, v)
			if after.archives != before.archives+1 || after.uploads != before.uploads+1 || after.jobs != before.jobs+2 {
				t.Errorf("before %+v, after %+v: want one more of each, and one more job for counting", before, after)
			}
		})
	}
}

type counts struct{ archives, uploads, jobs int }

// census counts all that there is. It starts a job to do so.
func census(t *testing.T, v firn.Store) (c counts) {
	t.Helper()
	id, err := v.StartInventory(t.Context(), firn.InventorySpec{Description: "census"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Inventory(t.Context(), id, func(firn.Archive) error { c.archives++; return nil }); err != nil {
		t.Fatal(err)
	}
	uploads, err := storetest.Collect(v.Uploads(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := storetest.Collect(v.Jobs(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	c.uploads, c.jobs = len(uploads), len(jobs)
	return c
}

// TestBodiesThatFail: what is wrong with a file isn't the network's fault.
func TestBodiesThatFail(t *testing.T) {
	v := create(t, serve(t, nil))
	data := storetest.Data(2, 3<<20)
	good, sums := storetest.Body(data)
	broken := errors.New("input/output error")
	for name, c := range map[string]struct {
		read func(p []byte, off int64) (int, error)
		kind firn.Kind
		err  error
	}{
		"cut short": {func(p []byte, off int64) (int, error) {
			if off > 1<<20 {
				return 0, io.EOF
			}
			return good.ReadAt(p, off)
		}, firn.Changed, nil},
		"unreadable": {func(p []byte, off int64) (int, error) {
			if off > 1<<20 {
				return 0, broken
			}
			return good.ReadAt(p, off)
		}, firn.Local, broken},
		"unreadable, and known for what it is": {func(p []byte, off int64) (int, error) {
			return 0, &firn.Error{Op: "read", Kind: firn.Conflict, Err: broken}
		}, firn.Conflict, broken},
		"changed": {func(p []byte, off int64) (int, error) {
			n, err := good.ReadAt(p, off)
			p[0] ^= 1
			return n, err
		}, firn.Corrupt, nil},
	} {
		t.Run(name, func(t *testing.T) {
			body := io.NewSectionReader(readerAt(c.read), 0, int64(len(data)))
			_, err := v.UploadArchive(t.Context(), "x", body, sums)
			wantKind(t, err, c.kind)
			if c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("%v does not wrap %v", err, c.err)
			}
		})
	}
}

type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

// TestIDFromLocation: the header with the id may be missing; the location
// names it too. An answer with neither may have been a success.
func TestIDFromLocation(t *testing.T) {
	body, sums := storetest.Body([]byte("x"))
	v := with(t, answer{status: 201, header: http.Header{"Location": {"/1/vaults/photos/archives/abc"}}})
	id, err := v.UploadArchive(t.Context(), "x", body, sums)
	if id != "abc" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	_, err = with(t, answer{status: 201}).UploadArchive(t.Context(), "x", body, sums)
	wantKind(t, err, firn.Lost)
}

// TestCancelledUploads: whoever stops an upload learns whether it may have
// happened.
func TestCancelledUploads(t *testing.T) {
	because := errors.New("because")
	data := storetest.Data(3, 1<<20)
	good, sums := storetest.Body(data)
	faults := glacierd.NewFaults(0)
	v := create(t, serve(t, func(c *glacierd.Config) { c.Faults = faults }))

	ctx, cancel := context.WithCancelCause(t.Context())
	body := io.NewSectionReader(readerAt(func(p []byte, off int64) (int, error) {
		if off > 0 {
			cancel(because)
			p = p[:1]
		}
		return good.ReadAt(p, off)
	}), 0, int64(len(data)))
	_, err := v.UploadArchive(ctx, "x", body, sums)
	if !errors.Is(err, because) || firn.KindOf(err) != firn.Other {
		t.Errorf("in the middle: %v: %v", firn.KindOf(err), err)
	}

	ctx, cancel = context.WithCancelCause(t.Context())
	stopped := with(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		cancel(because)
		return nil, context.Canceled
	}))
	_, err = stopped.UploadArchive(ctx, "x", good, sums)
	if !errors.Is(err, because) || firn.KindOf(err) != firn.Lost {
		t.Errorf("after the end: %v: %v", firn.KindOf(err), err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// BenchmarkUploadArchive is what a small archive costs this side: everything
// but the network and the server.
func BenchmarkUploadArchive(b *testing.B) {
	v := with(b, answer{status: 201, header: http.Header{"X-Amz-Archive-Id": {"abc"}}})
	body, sums := storetest.Body(storetest.Data(1, 10_000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.UploadArchive(context.Background(), "description", body, sums); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUploadPart is what it costs to send a part over loopback, to a
// server in this process that throws it away, without hashing on either side.
func BenchmarkUploadPart(b *testing.B) {
	const size = 64 << 20
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer sink.Close()
	v := open(b, nil, func(c *glacier.Config) { c.Endpoint = sink.URL })
	body := io.NewSectionReader(readerAt(func(p []byte, _ int64) (int, error) { return len(p), nil }), 0, size)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.UploadPart(context.Background(), "id", 0, body, treehash.Sums{}); err != nil {
			b.Fatal(err)
		}
	}
}
