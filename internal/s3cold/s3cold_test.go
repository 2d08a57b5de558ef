package s3cold_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// create opens the store "bucket/photos" of a new server, and creates it.
func create(t *testing.T, o s3test.Options, change func(*s3cold.Config)) (*s3test.Server, *s3cold.Store) {
	t.Helper()
	o.Buckets = []string{"bucket"}
	server := s3test.New(o)
	s := open(t, server, change)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server, s
}

// upload stores data.
func upload(t *testing.T, s firn.Store, description string, data []byte) firn.ArchiveID {
	t.Helper()
	body, sums := storetest.Body(data)
	id, err := s.UploadArchive(t.Context(), description, body, sums)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// describeFile is firn's description of a file, each time with another token.
func describeFile(t *testing.T, tree, path string) (description string, token firn.Token) {
	t.Helper()
	token = firn.NewToken()
	return encode(t, describe.Archive{
		Token: token, Kind: describe.File, Tree: tree, Path: path, ModTime: time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC),
		Mode: 0o640, HasMode: true, Made: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}), token
}

func encode(t *testing.T, a describe.Archive) string {
	t.Helper()
	d, err := describe.Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func wantKind(t *testing.T, what string, err error, kind firn.Kind) {
	t.Helper()
	if err == nil || firn.KindOf(err) != kind {
		t.Errorf("%s: %v: %v; want %v", what, firn.KindOf(err), err, kind)
	}
}

// TestNames: where which archive lies, so that a change of it is noticed.
func TestNames(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	first, _ := describeFile(t, "home", "a b/ä+%.jpg")
	second, token := describeFile(t, "home", "a b/ä+%.jpg")
	loose, _ := describeFile(t, "", "loose.txt")
	dots, dotted := describeFile(t, "home", "a/../b")
	bundle := firn.NewToken()
	snapshot := firn.NewToken()
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ description, key, class string }{
		{first, "home/a b/ä+%.jpg", "DEEP_ARCHIVE"},
		{second, ".firn/versions/" + token.String(), "DEEP_ARCHIVE"},
		{loose, "loose.txt", "DEEP_ARCHIVE"},
		{dots, ".firn/opaque/" + dotted.String(), "DEEP_ARCHIVE"},
		{encode(t, describe.Archive{Token: bundle, Kind: describe.Bundle, Made: made}), ".firn/bundle/" + bundle.String() + ".tar", "DEEP_ARCHIVE"},
		{encode(t, describe.Archive{Token: snapshot, Kind: describe.Snapshot, Made: made}), ".firn/catalog/" + snapshot.String() + ".jsonl.zst", "STANDARD"},
	} {
		data := []byte(c.key)
		id := upload(t, s, c.description, data)
		got, class, meta := server.Object("bucket", "photos/"+c.key)
		if !bytes.Equal(got, data) || class != c.class || meta["firn-tree"] != treehash.Sum(data).String() || meta["firn-description"] != c.description {
			t.Errorf("%s: %q of class %s, %v; there are %q", c.key, got, class, meta, server.Keys("bucket"))
		}
		if want := strings.ReplaceAll(c.key, "%", "%25"); string(id) != want {
			t.Errorf("its id is %q, want %q", id, want)
		}
	}
	if _, _, meta := server.Object("bucket", "photos/loose.txt"); meta["mtime"] != "1580702706.000000789" || meta["mode"] != "100640" {
		t.Errorf("for other tools: %v", meta)
	}
}

// TestRepeatedUpload: a request whose answer was lost may be made again.
func TestRepeatedUpload(t *testing.T) {
	for _, kind := range []describe.Kind{describe.File, describe.Bundle} {
		server, s := create(t, s3test.Options{}, nil)
		d := encode(t, describe.Archive{
			Token: firn.NewToken(), Kind: kind, Tree: "home", Path: "a", ModTime: time.Unix(1e9, 0), Made: time.Unix(1e9, 0),
		})
		before := len(server.Keys("bucket"))
		first, again := upload(t, s, d, []byte("content")), upload(t, s, d, []byte("content"))
		if first != again || len(server.Keys("bucket")) != before+1 {
			t.Errorf("%q, then %q; there are %q", first, again, server.Keys("bucket"))
		}
		// Other content with one token is no repetition, and overwrites nothing.
		body, sums := storetest.Body([]byte("another"))
		other, err := s.UploadArchive(t.Context(), d, body, sums)
		if kind == describe.Bundle {
			wantKind(t, "another bundle of the same token", err, firn.Conflict)
		} else if err != nil || other == first {
			t.Errorf("%q, %v", other, err)
		}
	}
}

// TestLateError: the completion of an upload that fails with the status of a
// success has failed, and may have happened.
func TestLateError(t *testing.T) {
	_, s := create(t, s3test.Options{LateErrors: 1}, nil)
	data := storetest.Data(1, s3cold.MinPart+1)
	id, err := s.StartUpload(t.Context(), "x", s3cold.MinPart)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += s3cold.MinPart {
		body, sums := storetest.Body(data[at:min(at+s3cold.MinPart, len(data))])
		if err := s.UploadPart(t.Context(), id, int64(at), body, sums); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.CompleteUpload(t.Context(), id, int64(len(data)), treehash.Sum(data))
	wantKind(t, "CompleteUpload", err, firn.Lost)
	if _, err := s.CompleteUpload(t.Context(), id, int64(len(data)), treehash.Sum(data)); err != nil {
		t.Error("once more: ", err)
	}
}

// TestUploadKeepsKey: an upload in parts takes the name of its file where that is
// free, and leaves nothing behind.
func TestUploadKeepsKey(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	d, _ := describeFile(t, "home", "large")
	again, token := describeFile(t, "home", "large")
	data := []byte("one small part")
	for _, c := range []struct{ description, key string }{{d, "home/large"}, {again, ".firn/versions/" + token.String()}} {
		id, err := s.StartUpload(t.Context(), c.description, s3cold.MinPart)
		if err != nil {
			t.Fatal(err)
		}
		body, sums := storetest.Body(data)
		if err := s.UploadPart(t.Context(), id, 0, body, sums); err != nil {
			t.Fatal(err)
		}
		archive, err := s.CompleteUpload(t.Context(), id, int64(len(data)), sums.Tree)
		if err != nil || string(archive) != c.key {
			t.Errorf("%q, %v; want %q", archive, err, c.key)
		}
		if err := s.DeleteArchive(t.Context(), firn.ArchiveID(c.key)); err != nil {
			t.Error(err)
		}
		if c.key == "home/large" {
			upload(t, s, d, data)
		}
	}
	if keys := server.Keys("bucket"); !slices.Equal(keys, []string{"photos/.firn/store.json", "photos/home/large"}) {
		t.Errorf("there are %q", keys)
	}
}

// TestPruneFrees: in a bucket that keeps versions a deletion deletes the version.
func TestPruneFrees(t *testing.T) {
	server, s := create(t, s3test.Options{Versioned: true}, nil)
	id := upload(t, s, "x", []byte("content"))
	if err := s.DeleteArchive(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if n := server.Hidden("bucket"); n > 0 {
		t.Errorf("%d versions are hidden, and still cost", n)
	}
}

// TestThaw: asked for again, a copy that is on its way or there already is no
// error, and is there for longer.
func TestThaw(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	_, s := create(t, s3test.Options{Clock: now, Thaw: 12 * time.Hour}, nil)
	spec := firn.RetrievalSpec{Archive: upload(t, s, "x", []byte("content")), Tier: firn.Bulk}
	_, err := s.Job(t.Context(), firn.JobID("thaw::"+string(spec.Archive)))
	wantKind(t, "before it was asked for", err, firn.NotFound)
	_, err = s.Output(t.Context(), firn.JobID("thaw::"+string(spec.Archive)), firn.Range{End: 1})
	wantKind(t, "Output, before it was asked for", err, firn.NotFound)
	for _, step := range []struct {
		wait  time.Duration
		state firn.JobState
	}{{0, firn.JobRunning}, {6 * time.Hour, firn.JobRunning}, {6 * time.Hour, firn.JobReady}, {47 * time.Hour, firn.JobReady}, {47 * time.Hour, firn.JobReady}} {
		now.Advance(step.wait)
		id, err := s.StartRetrieval(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if job, err := s.Job(t.Context(), id); err != nil || job.State != step.state {
			t.Errorf("after %v more: %+v, %v", step.wait, job, err)
		}
	}
}

// TestSnapshotsNeedNoThaw: what is of STANDARD is read at once, in a cold store too.
func TestSnapshotsNeedNoThaw(t *testing.T) {
	_, s := create(t, s3test.Options{Thaw: 12 * time.Hour}, nil)
	d := encode(t, describe.Archive{Token: firn.NewToken(), Kind: describe.Snapshot, Made: time.Unix(1e9, 0)})
	id, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: upload(t, s, d, []byte("rows")), Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := storetest.Collect(s.Jobs(t.Context()))
	if err != nil || len(jobs) != 1 || jobs[0].ID != id || jobs[0].State != firn.JobReady {
		t.Errorf("%+v, %v", jobs, err)
	}
	out, err := s.Output(t.Context(), id, firn.Range{Start: 1, End: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if got, err := io.ReadAll(out); string(got) != "ow" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestStrangers: objects that firn didn't write are listed with their keys.
func TestStrangers(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	other := around(t, server) // sees it all as its own
	upload(t, s, "ours", []byte("content"))
	id, err := other.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if _, err := other.Inventory(t.Context(), id, func(a firn.Archive) error {
		all = append(all, a.Description)
		return nil
	}); err != nil || !slices.Equal(all, []string{"ours", "photos/.firn/store.json"}) && !slices.Equal(all, []string{"photos/.firn/store.json", "ours"}) {
		t.Errorf("%q, %v", all, err)
	}
}

// TestNoBucket: what to do is said.
func TestNoBucket(t *testing.T) {
	server := s3test.New(s3test.Options{})
	s := open(t, server, nil)
	err := s.Create(t.Context())
	wantKind(t, "Create", err, firn.NotFound)
	if err == nil || !strings.Contains(err.Error(), "aws s3 mb s3://bucket") {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, change := range map[string]func(*s3cold.Config){
		"no bucket":  func(c *s3cold.Config) { c.Bucket = "" },
		"a slash":    func(c *s3cold.Config) { c.Bucket = "a/b" },
		"dots":       func(c *s3cold.Config) { c.Prefix = "a/../b" },
		"class":      func(c *s3cold.Config) { c.Class = "FROZEN" },
		"endpoint":   func(c *s3cold.Config) { c.Endpoint = "localhost:80" },
		"no ASCII":   func(c *s3cold.Config) { c.Endpoint = "https://b\u00fccher.example" },
		"its ending": func(c *s3cold.Config) { c.Prefix = "a/" },
	} {
		cfg := s3cold.Config{Bucket: "bucket", Region: "eu-west-1", Credentials: credentials()}
		change(&cfg)
		_, err := s3cold.Open(t.Context(), cfg)
		wantKind(t, name, err, firn.Usage)
	}
}

// reads counts the bytes that are read of a body.
type reads struct {
	*bytes.Reader
	n atomic.Int64
}

func (r *reads) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.Reader.ReadAt(p, at)
	r.n.Add(int64(n))
	return n, err
}

// TestBodiesAreReadOnce: the SDK would read each once more to hash it. Over TLS it
// would send other hashes instead.
func TestBodiesAreReadOnce(t *testing.T) {
	for _, endpoint := range []string{"http://s3.test", "https://s3.test"} {
		_, s := create(t, s3test.Options{}, func(c *s3cold.Config) { c.Endpoint = endpoint })
		data := storetest.Data(1, 3<<20)
		_, sums := storetest.Body(data)
		r := &reads{Reader: bytes.NewReader(data)}
		if _, err := s.UploadArchive(t.Context(), "x", io.NewSectionReader(r, 0, int64(len(data))), sums); err != nil {
			t.Fatal(err)
		}
		if n := r.n.Load(); n != int64(len(data)) {
			t.Errorf("%s: read %d of %d bytes for a single request", endpoint, n, len(data))
		}
		id, err := s.StartUpload(t.Context(), "x", s3cold.MinPart)
		if err != nil {
			t.Fatal(err)
		}
		r.n.Store(0)
		if err := s.UploadPart(t.Context(), id, 0, io.NewSectionReader(r, 0, int64(len(data))), sums); err != nil {
			t.Fatal(err)
		}
		if n := r.n.Load(); n != int64(len(data)) {
			t.Errorf("%s: read %d of %d bytes for a part", endpoint, n, len(data))
		}
	}
}

// answer is a server with one answer for everything.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, StatusCode: a.status, Header: a.header.Clone(),
		ContentLength: int64(len(a.body)), Body: io.NopCloser(strings.NewReader(a.body)),
	}, nil
}

// TestRefusals: what the service says comes through with its kind and a hint.
func TestRefusals(t *testing.T) {
	e := func(code string) string {
		return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>words</Message></Error>"
	}
	for _, c := range []struct {
		a    answer
		kind firn.Kind
		says string
	}{
		{answer{403, http.Header{}, e("AccessDenied")}, firn.Denied, "words (AccessDenied)"},
		{answer{403, http.Header{}, ""}, firn.Denied, "s3:GetObject for arn:aws:s3:::bucket/photos/*"},
		{answer{400, http.Header{}, e("ExpiredToken")}, firn.Denied, "aws sso login"},
		{answer{503, http.Header{}, e("SlowDown")}, firn.Throttled, "words"},
		{answer{503, http.Header{}, "no XML\nat all"}, firn.Unavailable, "no XML"},
		{answer{500, http.Header{}, e("InternalError")}, firn.Lost, "words"},
		{answer{502, http.Header{}, "<html>"}, firn.Lost, "502"},
		{answer{404, http.Header{}, e("NoSuchBucket")}, firn.NotFound, "aws s3 mb"},
		{answer{301, http.Header{"X-Amz-Bucket-Region": {"eu-north-1"}}, e("PermanentRedirect")}, firn.Usage, "?region=eu-north-1"},
		{answer{418, http.Header{}, "tea"}, firn.Other, "is there an S3 server at s3.test?"},
	} {
		s := open(t, nil, func(cfg *s3cold.Config) { cfg.Transport = c.a })
		_, err := s.Describe(context.Background())
		wantKind(t, c.says, err, c.kind)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v; want %q in it", err, c.says)
		}
	}
}
