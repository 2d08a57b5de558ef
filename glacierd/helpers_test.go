package glacierd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/sigv4"
	"github.com/firn-archive/firn/treehash"
)

const mib = 1 << 20

// key signs the requests of all tests.
var key = glacierd.KeyPair{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"}

// A manualClock is a service's clock that moves when a test moves it.
type manualClock struct {
	mu  sync.Mutex
	now time.Time
}

func (m *manualClock) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manualClock) advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// start is when the clocks of all tests begin: a Monday.
var start = time.Date(2026, 3, 2, 10, 30, 15, 250e6, time.UTC)

// A bench is a server with a clock, and a client that signs.
type bench struct {
	*testing.T
	server *glacierd.Server
	clock  *manualClock
	faults *glacierd.Faults
	client
}

// A client makes signed requests.
type client struct {
	t      testing.TB
	http   *http.Client
	base   string
	region string
	key    sigv4.Key
}

// open starts a server for the settings, which may lack all but the folder.
func open(t testing.TB, cfg glacierd.Config) (*glacierd.Server, client) {
	t.Helper()
	if cfg.Credentials == nil {
		cfg.Credentials = glacierd.Credentials(key)
	}
	s, err := glacierd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, clientOf(t, s)
}

func clientOf(t testing.TB, s *glacierd.Server) client {
	return client{
		t: t, http: &http.Client{Transport: s.Transport()}, base: "http://glacier.local", region: "us-east-1",
		key: sigv4.Key{AccessKeyID: key.AccessKeyID, Secret: key.SecretAccessKey},
	}
}

// newBench starts a server with the service's own timing on a manual clock.
func newBench(t *testing.T, change ...func(*glacierd.Config)) *bench {
	t.Helper()
	b := &bench{T: t, clock: &manualClock{now: start}, faults: glacierd.NewFaults(1)}
	cfg := glacierd.Config{Root: t.TempDir(), Clock: b.clock, Faults: b.faults}
	for _, f := range change {
		f(&cfg)
	}
	b.server, b.client = open(t, cfg)
	return b
}

// atOnce is the timing where nothing takes time.
func atOnce(cfg *glacierd.Config) { cfg.Timing = &glacierd.Timing{} }

// A response is an answer, read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
}

// h is headers, as pairs of name and value.
type h []string

// request makes a request and signs it.
func (c client) request(method, path string, headers h, body []byte) *http.Request {
	c.t.Helper()
	return c.requestWithHash(method, path, headers, bytes.NewReader(body), int64(len(body)), hexSum(body))
}

// requestWithHash is request for a body that is not in memory.
func (c client) requestWithHash(method, path string, headers h, body io.Reader, size int64, hash string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequest(method, c.base+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.ContentLength = size; size == 0 {
		r.Body = http.NoBody
	}
	r.Header.Set("x-amz-glacier-version", "2012-06-01")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	sigv4.Sign(r, c.key, c.region, "glacier", hash, time.Now())
	return r
}

func hexSum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// send sends a request as it is.
func (c client) send(r *http.Request) (response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, body}, err
}

// try makes a request that may fail.
func (c client) try(method, path string, headers h, body []byte) (response, error) {
	return c.send(c.request(method, path, headers, body))
}

// do makes a request that must get the status.
func (c client) do(status int, method, path string, headers h, body []byte) response {
	c.t.Helper()
	r, err := c.try(method, path, headers, body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.body)
	}
	if len(r.header.Get("x-amzn-RequestId")) != 47 {
		c.t.Errorf("%s %s: request id %q", method, path, r.header.Get("x-amzn-RequestId"))
	}
	return r
}

// refuse makes a request that must be refused, with that code and a message
// that contains text.
func (c client) refuse(status int, code, text, method, path string, headers h, body []byte) {
	c.t.Helper()
	r := c.do(status, method, path, headers, body)
	var e struct{ Code, Message, Type string }
	if err := json.Unmarshal(r.body, &e); err != nil {
		c.t.Fatalf("%s %s: %s: %v", method, path, r.body, err)
	}
	want := "Client"
	if status >= 500 {
		want = "Server"
	}
	if e.Code != code || !strings.Contains(e.Message, text) || e.Type != want || r.header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s: got %+v, want code %s and message with %q", method, path, e, code, text)
	}
}

// get fetches JSON.
func (c client) get(path string) map[string]any {
	c.t.Helper()
	r := c.do(200, "GET", path, nil, nil)
	if ct := r.header.Get("Content-Type"); ct != "application/json" {
		c.t.Errorf("GET %s: Content-Type %q", path, ct)
	}
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		c.t.Fatalf("GET %s: %s: %v", path, r.body, err)
	}
	return v
}

func (c client) createVault(name string) { c.do(201, "PUT", "/-/vaults/"+name, nil, nil) }

// uploadHeaders are those that go with stored bytes.
func uploadHeaders(body []byte, more ...string) h {
	return append(h{"x-amz-content-sha256", hexSum(body), "x-amz-sha256-tree-hash", treehash.Sum(body).String()}, more...)
}

// upload stores an archive and gives its id.
func (c client) upload(vault string, body []byte, description string) string {
	c.t.Helper()
	r := c.do(201, "POST", "/-/vaults/"+vault+"/archives", uploadHeaders(body, "x-amz-archive-description", description), body)
	return r.header.Get("x-amz-archive-id")
}

// initiate starts a multipart upload and gives its id.
func (c client) initiate(vault string, partSize int, description string) string {
	c.t.Helper()
	r := c.do(201, "POST", "/-/vaults/"+vault+"/multipart-uploads",
		h{"x-amz-part-size", fmt.Sprint(partSize), "x-amz-archive-description", description}, nil)
	return r.header.Get("x-amz-multipart-upload-id")
}

// part sends one part.
func (c client) part(vault, upload string, at int, body []byte) response {
	c.t.Helper()
	return c.do(204, "PUT", "/-/vaults/"+vault+"/multipart-uploads/"+upload, partHeaders(at, body), body)
}

func partHeaders(at int, body []byte) h {
	return uploadHeaders(body, "Content-Range", fmt.Sprintf("bytes %d-%d/*", at, at+len(body)-1))
}

func completeHeaders(whole []byte) h {
	return h{"x-amz-archive-size", fmt.Sprint(len(whole)), "x-amz-sha256-tree-hash", treehash.Sum(whole).String()}
}

// uploadParts stores an archive in parts and gives its id.
func (c client) uploadParts(vault string, partSize int, whole []byte, description string) string {
	c.t.Helper()
	id := c.initiate(vault, partSize, description)
	for at := 0; at < len(whole); at += partSize {
		c.part(vault, id, at, whole[at:min(len(whole), at+partSize)])
	}
	r := c.do(201, "POST", "/-/vaults/"+vault+"/multipart-uploads/"+id, completeHeaders(whole), nil)
	return r.header.Get("x-amz-archive-id")
}

// job starts a job with fields, as pairs of name and value, and gives its id.
func (c client) job(vault string, fields ...string) string {
	c.t.Helper()
	r := c.do(202, "POST", "/-/vaults/"+vault+"/jobs", nil, jobBody(fields...))
	return r.header.Get("x-amz-job-id")
}

func jobBody(fields ...string) []byte {
	o := map[string]string{}
	for i := 0; i < len(fields); i += 2 {
		o[fields[i]] = fields[i+1]
	}
	body, _ := json.Marshal(o)
	return body
}

func (c client) output(vault, job string, headers ...string) response {
	c.t.Helper()
	status := 200
	if len(headers) > 0 {
		status = 206
	}
	return c.do(status, "GET", "/-/vaults/"+vault+"/jobs/"+job+"/output", headers, nil)
}

// An inventory is the JSON of one.
type inventory struct {
	VaultARN, InventoryDate string
	ArchiveList             []struct {
		ArchiveId, ArchiveDescription, CreationDate string
		Size                                        int64
		SHA256TreeHash                              string
	}
}

// ids lists the archives in an inventory.
func (i inventory) ids() []string {
	var list []string
	for _, a := range i.ArchiveList {
		list = append(list, a.ArchiveId)
	}
	return list
}

func (c client) inventory(vault, job string) inventory {
	c.t.Helper()
	var i inventory
	body := c.output(vault, job).body
	if err := json.Unmarshal(body, &i); err != nil {
		c.t.Fatalf("%s: %v", body, err)
	}
	return i
}

// pattern is n bytes that differ from MiB to MiB and byte to byte.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i/mib*7)
	}
	return b
}
