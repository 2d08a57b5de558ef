// Package s3test is a small S3 in memory, with cold storage classes, for tests: it
// plays what other servers for tests don't, thawing by the clock, listings that
// tell of it, and the odd answers that a client has to bear. It checks the hashes of
// bodies, but no signature.
package s3test

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// A Clock tells the time.
type Clock interface{ Now() time.Time }

// Options shape a server. The zero value is one with the wall's clock whose
// objects thaw at once.
type Options struct {
	// Buckets are those that there are.
	Buckets []string
	// Clock is the server's; nil is the wall's.
	Clock Clock
	// Thaw is how long a retrieval takes, by the tier Bulk and by those that aren't in
	// Thaws. A faster tier speeds up what is on its way.
	Thaw time.Duration
	// Steady: what is on its way comes no faster, whatever is asked.
	Steady bool
	// Thaws is how long one takes by a tier, as the protocol calls it.
	Thaws map[string]time.Duration
	// Page is how many things a listing has on a page; 0: 1,000.
	Page int
	// NoConditions: If-None-Match and If-Match mean nothing to it.
	NoConditions bool
	// Files: it keeps objects as files, so that a key can't be another's folder.
	Files bool
	// NoRestoreStatus: its listings don't tell what is thawed.
	NoRestoreStatus bool
	// Versioned: its buckets keep versions, and say so.
	Versioned bool
	// Suspended: its buckets kept versions once. What is put has the version "null", in
	// place of the one that had it.
	Suspended bool
	// LateErrors is how many completions of uploads fail with the status of a
	// success, before the first that doesn't.
	LateErrors int
	// OneClass: it takes no notice of storage classes, and has one, STANDARD.
	OneClass bool
	// Cold are further classes whose objects must be asked for.
	Cold []string
	// Faults strike; nil: none do.
	Faults *Faults
}

// Server is an S3 in memory. It is safe for concurrent use.
type Server struct {
	o Options

	mu      sync.Mutex
	serial  int
	buckets map[string]*bucket
	calls   map[string]int
	thaws   map[string]int // by tier
}

type bucket struct {
	objects map[string]*object
	sorted  []string             // their keys; nil where these changed
	hidden  int                  // versions that a delete marker hides
	older   map[string][]*object // versions in whose place others were put
	uploads map[string]*upload
}

type object struct {
	data     []byte
	etag     string
	class    string
	version  string
	modified time.Time
	meta     map[string]string
	thawed   time.Time // when its copy can be read from
	expires  time.Time // and until; zero: there is none
	tier     string    // that it thaws by
	days     time.Duration
}

type upload struct {
	key     string
	class   string
	meta    map[string]string
	started time.Time
	parts   map[int]part
}

type part struct {
	data      []byte
	etag, sum string
}

// New gives a server.
func New(o Options) *Server {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Page == 0 {
		o.Page = 1000
	}
	s := &Server{o: o, buckets: map[string]*bucket{}, calls: map[string]int{}, thaws: map[string]int{}}
	for _, name := range o.Buckets {
		s.buckets[name] = &bucket{objects: map[string]*object{}, uploads: map[string]*upload{}, older: map[string][]*object{}}
	}
	return s
}

// Transport leads to the server, without a network.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	whole := t.s.serveWhole(w, in)
	if r.Body != nil {
		r.Body.Close()
	}
	if !whole {
		return nil, errDropped
	}
	r2 := w.Result()
	r2.Request = r
	if n := r2.Header.Get("Content-Length"); n != "" {
		r2.ContentLength, _ = strconv.ParseInt(n, 10, 64)
	}
	return r2, nil
}

// errDropped is what a client sees of a connection that is gone.
var errDropped = errors.New("read: connection reset by peer")

// serveWhole is ServeHTTP for a client in this process; false: it hung up.
func (s *Server) serveWhole(w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if thrown := recover(); thrown != nil && thrown != http.ErrAbortHandler {
			panic(thrown)
		}
	}()
	s.ServeHTTP(w, r)
	return true
}

// Calls says how often each operation was asked for, as "PUT", "PUT uploadId",
// "POST restore".
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Thaws says how many retrievals began by each tier, as the protocol calls it, or were
// sped up to it: those that are charged for.
func (s *Server) Thaws() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.thaws)
}

// Keys gives the keys of a bucket, in order.
func (s *Server) Keys(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.buckets[name].keys())
}

// Hidden counts the versions that a deletion without a version has only hidden, and
// those in whose place another was put.
func (s *Server) Hidden(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.buckets[name].hidden
	for _, older := range s.buckets[name].older {
		n += len(older)
	}
	return n
}

// Object gives the bytes, the class and the metadata of an object; nil where there
// is none.
func (s *Server) Object(name, key string) (data []byte, class string, meta map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.buckets[name].objects[key]
	if o == nil {
		return nil, "", nil
	}
	return o.data, o.class, o.meta
}

// A refusal is an error as S3 writes it.
type refusal struct {
	XMLName xml.Name `xml:"Error"`
	status  int
	Code    string
	Message string
}

func no(status int, code string) *refusal {
	return &refusal{status: status, Code: code, Message: "refused by the test's server"}
}

// A call is one request.
type call struct {
	*Server
	*bucket
	w     http.ResponseWriter
	r     *http.Request
	key   string
	query map[string]string
	body  []byte
	now   time.Time
}

// readAll gives the body of a request.
func readAll(r *http.Request) []byte {
	room := min(max(r.ContentLength, 0), 64<<20) + bytes.MinRead // growing as it comes, it would be copied many times
	body := bytes.NewBuffer(make([]byte, 0, room))
	n, err := body.ReadFrom(r.Body)
	if err != nil || r.ContentLength >= 0 && n != r.ContentLength {
		panic(http.ErrAbortHandler) // the client went
	}
	return body.Bytes()
}

// ServeHTTP answers a request in path style.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := readAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c := &call{Server: s, w: w, r: r, key: key, body: body, now: s.o.Clock.Now().UTC(), query: map[string]string{}}
	for k, v := range r.URL.Query() {
		c.query[k] = v[0]
	}
	w.Header().Set("Date", c.now.Format(http.TimeFormat))
	w.Header().Set("X-Amz-Request-Id", "test")
	c.bucket = s.buckets[name]
	if c.o.Faults != nil {
		c.serveFaulty()
		return
	}
	c.answer()
}

func (c *call) answer() {
	refused := c.check()
	if refused == nil {
		refused = c.serve()
	}
	if refused != nil {
		c.refuse(refused)
	}
}

func (c *call) refuse(e *refusal) {
	if c.r.Method == http.MethodHead || e.status == http.StatusNotModified {
		c.w.WriteHeader(e.status)
		return
	}
	c.xml(e.status, e)
}

func (c *call) xml(status int, v any) {
	b, err := xml.Marshal(v)
	if err != nil {
		panic(err)
	}
	b = append([]byte(xml.Header), b...)
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(status)
	c.w.Write(b)
}

// check refuses bodies that are not what their hashes say.
func (c *call) check() *refusal {
	sum := sha256.Sum256(c.body)
	if c.r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		return no(400, "XAmzContentSHA256Mismatch")
	}
	if given := c.r.Header.Get("X-Amz-Checksum-Sha256"); given != "" && given != base64.StdEncoding.EncodeToString(sum[:]) && c.r.Method == http.MethodPut {
		return no(400, "BadDigest")
	}
	if c.bucket == nil {
		return no(404, "NoSuchBucket")
	}
	return nil
}

// op names the operation, as Calls does.
func (c *call) op() string {
	for _, q := range []string{"uploads", "uploadId", "restore", "list-type", "versionId"} {
		if _, ok := c.query[q]; ok {
			return c.r.Method + " " + q
		}
	}
	return c.r.Method
}

// serve finds the operation.
func (c *call) serve() *refusal {
	op := c.op()
	c.calls[op]++
	switch {
	case op == "GET list-type":
		return c.list()
	case op == "GET uploads":
		return c.listUploads()
	case c.key == "":
		return no(501, "NotImplemented")
	}
	switch op {
	case "PUT":
		return c.put()
	case "GET", "HEAD":
		return c.get()
	case "DELETE", "DELETE versionId":
		return c.remove()
	case "POST restore":
		return c.restore()
	case "POST uploads":
		return c.startUpload()
	}
	u := c.uploads[c.query["uploadId"]]
	switch {
	case op == "DELETE uploadId" && u != nil:
		delete(c.uploads, c.query["uploadId"])
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	case u == nil || u.key != c.key:
		return no(404, "NoSuchUpload")
	case op == "PUT uploadId":
		return c.putPart(u)
	case op == "GET uploadId":
		return c.listParts(u)
	case op == "POST uploadId":
		return c.complete(u)
	}
	return no(501, "NotImplemented")
}

// maxKey is how many bytes a key has at most. Source: Amazon S3 user guide, "Naming Amazon
// S3 objects".
const maxKey = 1024

// allowed checks the name and the conditions of a write.
func (c *call) allowed() *refusal {
	if len(c.key) > maxKey {
		return no(400, "KeyTooLongError")
	}
	if e := c.crossed(); e != nil {
		return e
	}
	if c.o.NoConditions {
		return nil
	}
	old := c.objects[c.key]
	if c.r.Header.Get("If-None-Match") == "*" && old != nil {
		return no(412, "PreconditionFailed")
	}
	if want := c.r.Header.Get("If-Match"); want != "" && (old == nil || old.etag != want) {
		return no(412, "PreconditionFailed")
	}
	return nil
}

// crossed refuses what a server of files can't store, in the words of versitygw.
func (c *call) crossed() *refusal {
	if !c.o.Files {
		return nil
	}
	for key := range c.objects {
		switch {
		case strings.HasPrefix(c.key, key+"/"):
			return no(409, "ObjectParentIsFile")
		case strings.HasPrefix(key, c.key+"/"):
			return no(409, "ExistingObjectIsDirectory")
		}
	}
	return nil
}

func (c *call) metadata() map[string]string {
	m := map[string]string{}
	for k, v := range c.r.Header {
		if name, ok := strings.CutPrefix(strings.ToLower(k), "x-amz-meta-"); ok {
			m[name] = v[0]
		}
	}
	return m
}

func (c *call) classOf() string {
	if class := c.r.Header.Get("X-Amz-Storage-Class"); class != "" && !c.o.OneClass {
		return class
	}
	return "STANDARD"
}

func etag(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (c *call) store(o *object) {
	if c.o.Suspended {
		o.version = "null"
		c.w.Header().Set("X-Amz-Version-Id", o.version)
	}
	if c.o.Versioned {
		c.serial++
		o.version = fmt.Sprint("version-", c.serial)
		c.w.Header().Set("X-Amz-Version-Id", o.version)
		if old := c.objects[c.key]; old != nil {
			c.older[c.key] = append(c.older[c.key], old)
		}
	}
	c.keep(c.key, o)
}

// keep puts an object into the bucket.
func (b *bucket) keep(key string, o *object) {
	if b.objects[key] == nil {
		b.sorted = nil
	}
	b.objects[key] = o
}

// keys gives the keys of the objects, in order.
func (b *bucket) keys() []string {
	if b.sorted == nil {
		b.sorted = slices.Sorted(maps.Keys(b.objects))
	}
	return b.sorted
}

// Fill puts objects of one byte into a bucket, without a request: as many, of a
// class, under names that begin so.
func (s *Server) Fill(name, prefix, class string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		s.buckets[name].keep(fmt.Sprintf("%s%07d", prefix, i), &object{data: []byte{1}, etag: etag([]byte{1}), class: class, modified: s.o.Clock.Now().UTC().Truncate(time.Second)})
	}
}

// Thaw has every second object of a bucket readable, without a request.
func (s *Server) Thaw(name string, until time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	for i, key := range b.keys() {
		if o := b.objects[key]; i%2 == 0 && o.class != "STANDARD" {
			o.thawed, o.expires = s.o.Clock.Now(), until
			n++
		}
	}
	return n
}

func (c *call) put() *refusal {
	if e := c.allowed(); e != nil {
		return e
	}
	o := &object{data: c.body, etag: etag(c.body), class: c.classOf(), modified: c.now.Truncate(time.Second), meta: c.metadata()}
	c.store(o)
	c.w.Header().Set("ETag", o.etag)
	if sum := c.r.Header.Get("X-Amz-Checksum-Sha256"); sum != "" { // which was checked
		c.w.Header().Set("X-Amz-Checksum-Sha256", sum)
	}
	return nil
}

func (c *call) cold(o *object) bool {
	return o.class == "GLACIER" || o.class == "DEEP_ARCHIVE" || slices.Contains(c.o.Cold, o.class)
}

// restoring gives how far the thawing of an object is.
func (c *call) restoring(o *object) (ongoing, readable bool) {
	switch {
	case o.expires.IsZero() || !c.now.Before(o.expires):
		return false, false
	case c.now.Before(o.thawed):
		return true, false
	}
	return false, true
}

func (c *call) get() *refusal {
	o := c.objects[c.key]
	if o == nil {
		return no(404, "NoSuchKey")
	}
	ongoing, readable := c.restoring(o)
	if c.r.Method == http.MethodGet && c.cold(o) && !readable {
		return no(403, "InvalidObjectState")
	}
	h := c.w.Header()
	for k, v := range o.meta {
		h.Set("X-Amz-Meta-"+k, v)
	}
	h.Set("ETag", o.etag)
	h.Set("Last-Modified", o.modified.Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if o.class != "STANDARD" {
		h.Set("X-Amz-Storage-Class", o.class)
	}
	if o.version != "" {
		h.Set("X-Amz-Version-Id", o.version)
	}
	switch {
	case ongoing:
		h.Set("X-Amz-Restore", `ongoing-request="true"`)
	case readable:
		h.Set("X-Amz-Restore", fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, o.expires.Format(http.TimeFormat)))
	}
	return c.send(o.data)
}

// send sends a body, or the range of it that was asked for.
func (c *call) send(data []byte) *refusal {
	status, size := http.StatusOK, len(data)
	if at := c.r.Header.Get("Range"); at != "" {
		first, last, ok := span(at, size)
		if !ok {
			return no(416, "InvalidRange")
		}
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
		data, status = data[first:last+1], http.StatusPartialContent
	}
	c.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		if w, ok := c.w.(*httptest.ResponseRecorder); ok {
			w.Body = bytes.NewBuffer(make([]byte, 0, len(data)))
		}
		c.w.Write(data)
	}
	return nil
}

// span reads the header of a range of something of size bytes: from the first byte to
// the last, from one to the end, or the last so many. It reports whether there is
// anything there.
func span(header string, size int) (first, last int, ok bool) {
	from, to, ok := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	first, noFirst := strconv.Atoi(from)
	last, noLast := strconv.Atoi(to)
	switch {
	case !ok || from == "" && to == "" || from != "" && noFirst != nil || to != "" && noLast != nil:
		return 0, 0, false
	case from == "":
		first, last = max(0, size-last), size-1
	case to == "":
		last = size - 1
	}
	last = min(last, size-1)
	return first, last, first <= last
}

// remove deletes an object, or the version of it that is named. Where that was the one
// that shows, the one before shows again.
func (c *call) remove() *refusal {
	o, older, version := c.objects[c.key], c.older[c.key], c.query["versionId"]
	defer c.w.WriteHeader(http.StatusNoContent)
	if i := slices.IndexFunc(older, func(one *object) bool { return version != "" && one.version == version }); i >= 0 {
		c.older[c.key] = slices.Delete(older, i, i+1)
		return nil
	}
	if o != nil && (c.o.Versioned || c.o.Suspended) && version != o.version {
		c.hidden++
	}
	delete(c.objects, c.key)
	c.sorted = nil
	if n := len(older); version != "" && n > 0 {
		c.objects[c.key], c.older[c.key] = older[n-1], older[:n-1]
	}
	return nil
}

// midnight is the next midnight of UTC, at which copies end. Source: Amazon S3 user
// guide, "Restoring an archived object".
func midnight(t time.Time) time.Time {
	const day = 24 * time.Hour
	return t.Add(day - 1).Truncate(day)
}

func (c *call) restore() *refusal {
	o := c.objects[c.key]
	if o == nil {
		return no(404, "NoSuchKey")
	}
	var in struct {
		Days                 int
		GlacierJobParameters struct{ Tier string }
	}
	if xml.Unmarshal(c.body, &in) != nil || in.Days < 1 {
		return no(400, "MalformedXML")
	}
	ongoing, readable := c.restoring(o)
	days, tier := time.Duration(in.Days)*24*time.Hour, cmp.Or(in.GlacierJobParameters.Tier, "Standard")
	ready := c.now.Add(c.o.thaw(tier))
	switch {
	case !c.cold(o):
		return no(403, "InvalidObjectState")
	case o.class == "DEEP_ARCHIVE" && tier == "Expedited": // which it doesn't have
		return no(400, "InvalidArgument")
	case ongoing && (c.o.Steady || days != o.days || slices.Index(tiers, tier) <= slices.Index(tiers, o.tier)):
		return no(409, "RestoreAlreadyInProgress") // the tier alone may be another one
	case ongoing:
		if o.thawed.Before(ready) {
			ready = o.thawed
		}
	case readable:
		o.expires = midnight(c.now.Add(days))
		c.w.WriteHeader(http.StatusOK)
		return nil
	}
	c.thaws[tier]++
	o.tier, o.days, o.thawed, o.expires = tier, days, ready, midnight(ready.Add(days))
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

// tiers are those of retrievals, the slowest first.
var tiers = []string{"Bulk", "Standard", "Expedited"}

// thaw is how long a retrieval takes by a tier.
func (o *Options) thaw(tier string) time.Duration {
	if takes, ok := o.Thaws[tier]; ok {
		return takes
	}
	return o.Thaw
}
