package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// An s3Ask is what a request asks IAM for.
type s3Ask struct {
	action, resource string
	prefix           *string // the key s3:prefix of conditions; nil: the request has none
}

// asksOf are what a request needs: all of it. Source: Amazon S3 user guide, "Required
// permissions for Amazon S3 API operations"; Service Authorization Reference, where of
// the actions of a bucket here only ListBucket has the key s3:prefix.
func asksOf(r *http.Request) []s3Ask {
	q := r.URL.Query()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	one := func(action string) []s3Ask {
		return []s3Ask{{action: "s3:" + action, resource: "arn:aws:s3:::" + bucket + "/" + key}}
	}
	switch {
	case key == "" && q.Has("uploads"):
		return []s3Ask{{action: "s3:ListBucketMultipartUploads", resource: "arn:aws:s3:::" + bucket}}
	case key == "":
		a := s3Ask{action: "s3:ListBucket", resource: "arn:aws:s3:::" + bucket}
		if q.Has("prefix") {
			a.prefix = new(q.Get("prefix"))
		}
		return []s3Ask{a}
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return one("AbortMultipartUpload")
	case r.Method == http.MethodDelete && q.Has("versionId"):
		return one("DeleteObjectVersion")
	case r.Method == http.MethodDelete:
		return one("DeleteObject")
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return one("ListMultipartUploadParts")
	case r.Method == http.MethodPost && q.Has("restore"):
		return one("RestoreObject")
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && q.Has("versionId"):
		return one("GetObjectVersion")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return one("GetObject")
	case r.Header.Get("If-Match") != "": // Source: Amazon S3 API reference, "PutObject"
		return append(one("PutObject"), one("GetObject")...)
	}
	return one("PutObject")
}

// allows reports whether a policy gives what is asked for.
func (p iamPolicy) allows(a s3Ask) bool {
	return slices.ContainsFunc(p.Statement, func(s iamStatement) bool {
		return s.Effect == "Allow" && slices.Contains(s.Action, a.action) && iamLike(s.Resource, a.resource) && s.holds(a)
	})
}

// holds reports whether the conditions of a statement do. One on a key that the request
// hasn't got fails, but for IfExists. Source: IAM user guide, "IfExists condition
// operators".
func (s iamStatement) holds(a s3Ask) bool {
	for operator, keys := range s.Condition {
		like, ifExists := strings.CutSuffix(operator, "IfExists")
		for key, patterns := range keys {
			if like != "StringLike" || key != "s3:prefix" {
				panic("this test knows no condition " + operator + " of " + key)
			}
			if a.prefix == nil && ifExists {
				continue
			}
			if a.prefix == nil || !slices.ContainsFunc(patterns, func(p string) bool { return iamLike(p, *a.prefix) }) {
				return false
			}
		}
	}
	return true
}

// iamLike compares as IAM does, where a * stands for anything.
func iamLike(pattern, s string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, first)
	for ; ok; s = s[1:] {
		if iamLike(rest, s) {
			return true
		}
		if s == "" {
			break
		}
	}
	return false
}

// TestIAMLike: the patterns of policies.
func TestIAMLike(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"photos/*", "photos/", true}, {"photos/*", "photos/a/b", true}, {"photos/*", "photos", false}, {"photos/*", "photos2/a", false},
		{"photos/*", "", false}, {"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abb", false},
	} {
		if got := iamLike(c.pattern, c.s); got != c.want {
			t.Errorf("%q like %q: %v", c.s, c.pattern, got)
		}
	}
}

// A permitBucket is an S3 that does only what a policy allows, as IAM reads it, and
// notes what it was asked.
type permitBucket struct {
	server *s3test.Server
	clock  *clock.Manual

	mu     sync.Mutex
	policy *iamPolicy      // nil: all is allowed
	used   map[string]bool // "s3:GetObject of bucket"
	denied map[string]bool
}

func (b *permitBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	policy, ok := b.policy, true
	for _, a := range asksOf(r) {
		bucket, _, _ := strings.Cut(strings.TrimPrefix(a.resource, "arn:aws:s3:::"), "/")
		b.used[a.action+" of "+bucket] = true
		if policy != nil && !policy.allows(a) {
			ok = false
			b.denied[a.action+" for "+a.resource] = true
		}
	}
	b.mu.Unlock()
	if !ok {
		b.deny(w, r)
		return
	}
	if policy == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		b.server.ServeHTTP(w, r)
		return
	}
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	b.server.ServeHTTP(&hiding{ResponseWriter: w, absent: func() bool {
		b.mu.Lock()
		b.used["s3:ListBucket of "+bucket] = true
		b.mu.Unlock()
		listed := policy.allows(s3Ask{action: "s3:ListBucket", resource: "arn:aws:s3:::" + bucket})
		if !listed {
			b.deny(w, r)
		}
		return !listed
	}}, r)
}

// A hiding hears of the answer that something isn't there, and may have another one sent
// for it. Source: Amazon S3 API reference, "GetObject": what isn't there is forbidden to
// who may not list.
type hiding struct {
	http.ResponseWriter
	absent func() (answered bool)
	silent bool // it was answered
}

func (h *hiding) WriteHeader(status int) {
	if h.silent = status == http.StatusNotFound && h.absent(); !h.silent {
		h.ResponseWriter.WriteHeader(status)
	}
}

func (h *hiding) Write(p []byte) (int, error) {
	if h.silent {
		return len(p), nil
	}
	return h.ResponseWriter.Write(p)
}

func (b *permitBucket) deny(w http.ResponseWriter, r *http.Request) {
	w.Header().Del("Content-Length")
	w.Header().Set("Date", b.clock.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusForbidden)
	if r.Method != http.MethodHead {
		w.Write([]byte("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"))
	}
}

// A bucketWorld is a jobWorld whose stores are in the buckets "bucket" and "other".
type bucketWorld struct {
	*jobWorld
	*permitBucket
}

func newBucketWorld(t *testing.T, o s3test.Options) *bucketWorld {
	now := clock.NewManual(time.Now())
	o.Buckets, o.Clock, o.Thaw = []string{"bucket", "other"}, now, 12*time.Hour
	b := &permitBucket{clock: now, server: s3test.New(o), used: map[string]bool{}, denied: map[string]bool{}}
	listening := httptest.NewServer(b)
	t.Cleanup(listening.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": listening.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	} {
		t.Setenv(name, value)
	}
	w := &bucketWorld{jobWorld: &jobWorld{T: t, clock: now, env: homeEnv(t)}, permitBucket: b}
	w.env.Clock = now
	return w
}

// only lets only what firn policy prints for a work be done from now on, and forgets
// what was done; no work: all.
func (w *bucketWorld) only(work string, stores ...string) {
	w.Helper()
	var policy *iamPolicy
	if work != "" {
		text, _ := w.firn(Done, append([]string{"policy", work}, stores...)...)
		if err := json.Unmarshal([]byte(text), &policy); err != nil {
			w.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy, w.used, w.denied = policy, map[string]bool{}, map[string]bool{}
}

// judge tells of what was refused, but for what may be, and of what is allowed in vain.
func (w *bucketWorld) judge(refused []string, unseen map[string]string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for what := range w.denied {
		if !slices.ContainsFunc(refused, func(may string) bool { return strings.HasPrefix(what, may) }) {
			w.Errorf("%s is needed, and not allowed", what)
		}
	}
	for _, s := range w.policy.Statement {
		bucket, _, _ := strings.Cut(strings.TrimPrefix(s.Resource, "arn:aws:s3:::"), "/")
		for _, action := range s.Action {
			what := action + " of " + bucket
			if !w.used[what] && unseen[what] == "" {
				w.Errorf("%s is allowed, and nothing needs it", what)
			}
		}
	}
}

// aside does something with all permissions, which doesn't count.
func (w *bucketWorld) aside(do func()) {
	w.mu.Lock()
	policy, used, denied := w.policy, w.used, w.denied
	w.policy, w.used, w.denied = nil, map[string]bool{}, map[string]bool{}
	w.mu.Unlock()
	do()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.policy, w.used, w.denied = policy, used, denied
}

// elsewhere does something on a machine without a catalog.
func (w *bucketWorld) elsewhere(do func()) {
	home := w.env
	w.env = homeEnv(w.T)
	w.env.Clock = w.jobWorld.clock
	do()
	w.env = home
}

func (w *bucketWorld) wait(d time.Duration) { w.jobWorld.clock.Advance(d) }

// remove removes a file of this machine.
func (w *bucketWorld) remove(name string) {
	w.Helper()
	if err := os.Remove(filepath.Join(w.env.Dir, name)); err != nil {
		w.Fatal(err)
	}
}

// A permitCase is a work on stores in S3.
type permitCase struct {
	stores  []string           // "s3:bucket/photos" where none is named
	do      func(*bucketWorld) // on a store that holds the files of fill
	refused []string           // what may be asked for in vain
	unseen  map[string]string  // what is allowed and not used here, and why
}

const photos = "s3:bucket/photos"

// fill makes stores, and archives some files in the first.
func (w *bucketWorld) fill(stores ...string) {
	w.Helper()
	for _, store := range stores {
		w.firn(Done, "store", "create", store)
	}
	w.lay("tree/film.mov", noise(1, 66<<20))
	w.lay("tree/a.txt", []byte("a"))
	w.firn(Done, "sync", "tree", stores[0])
}

// snapshotsStay: who only adds asks for old snapshots to be deleted, and bears that it
// may not.
var snapshotsStay = []string{"s3:DeleteObject"}

var permitCases = map[string]permitCase{
	"sync": {do: func(w *bucketWorld) {
		w.lay("tree/b.txt", []byte("b"))
		w.lay("tree/more.mov", noise(2, 66<<20))
		w.wait(48 * time.Hour)
		w.firn(Done, "sync", "tree", photos)
		w.wait(48 * time.Hour)
		w.lay("tree/c.txt", []byte("c"))
		w.firn(Done, "sync", "tree", photos)
		w.firn(Done, "archive", "upload", photos, w.file("loose", []byte("loose")))
	}, refused: snapshotsStay, unseen: map[string]string{
		"s3:AbortMultipartUpload of bucket":       "only where a file changes while it is sent",
		"s3:ListBucketMultipartUploads of bucket": "only after a kill",
		"s3:ListMultipartUploadParts of bucket":   "only after a kill",
		"s3:ListBucket of bucket":                 "by it what isn't there is told from what nobody may see",
	}},
	"verify": {do: func(w *bucketWorld) {
		w.firn(Done, "verify", photos)
		w.firn(Done, "store", "refresh", photos)
		w.firn(Done, "store", "show", photos)
	}, unseen: map[string]string{"s3:ListBucketMultipartUploads of bucket": "only where uploads are open"}},
	"restore": {do: func(w *bucketWorld) {
		w.elsewhere(func() {
			w.firn(Done, "recover", photos)
			w.firn(NotYet, "restore", photos, "--to", "back", "--yes")
			w.wait(12 * time.Hour)
			w.firn(Done, "restore", photos, "--to", "back", "--yes")
		})
		w.wait(30 * 24 * time.Hour)
		w.firn(NotYet, "restore", photos, "--to", "batch", "--yes", "--batch-manifest", "manifest")
	}},
	"prune": {do: func(w *bucketWorld) {
		id := ""
		w.aside(func() {
			id = strings.TrimSpace(first(w.firn(Done, "archive", "upload", photos, w.file("loose", []byte("loose")))))
			w.remove("tree/film.mov")
			w.firn(Done, "sync", "tree", photos)
		})
		w.wait(200 * 24 * time.Hour)
		w.firn(Done, "archive", "delete", photos, "--yes", "--", id)
		w.firn(Done, "prune", photos, "--keep-last", "1", "--removed-older-than", "1d", "--trust-clock", "--yes", "--pay")
		w.firn(Done, "store", "empty", photos, "--confirm", "bucket/photos", "--yes")
		w.firn(Done, "store", "delete", photos, "--yes")
	}, unseen: map[string]string{"s3:DeleteObjectVersion of bucket": "only where the bucket keeps versions"}},
	"upload": {do: (*bucketWorld).handlesUploads},
	"migrate": {stores: []string{photos, "s3:other/moved"}, do: func(w *bucketWorld) {
		w.firn(NotYet, "migrate", photos, "s3:other/moved", "--yes")
		w.wait(48 * time.Hour)
		w.firn(Done, "migrate", photos, "s3:other/moved", "--yes")
	}, refused: snapshotsStay, unseen: map[string]string{
		"s3:ListBucketMultipartUploads of bucket": "only where uploads are open",
		"s3:PutObject of bucket":                  "of a snapshot, where the store has none",
		"s3:AbortMultipartUpload of other":        "only where a copy can't be finished",
		"s3:ListBucketMultipartUploads of other":  "only after a kill",
		"s3:ListMultipartUploadParts of other":    "only after a kill",
		"s3:ListBucket of other":                  "by it what isn't there is told from what nobody may see",
	}},
	"finish": {stores: []string{photos, "s3:other/moved"}, do: func(w *bucketWorld) {
		w.aside(func() {
			w.firn(NotYet, "migrate", photos, "s3:other/moved", "--yes")
			w.wait(200 * 24 * time.Hour)
			w.firn(NotYet, "migrate", photos, "s3:other/moved", "--yes")
			w.wait(48 * time.Hour)
			w.firn(Done, "migrate", photos, "s3:other/moved", "--yes")
		})
		w.firn(Done, "migrate", "--finish", photos, "s3:other/moved", "--confirm", "bucket/photos")
	}, unseen: map[string]string{
		"s3:DeleteObjectVersion of bucket":       "only where the bucket keeps versions",
		"s3:AbortMultipartUpload of bucket":      "only where uploads are open",
		"s3:ListBucketMultipartUploads of other": "only where uploads are open",
	}},
}

// handlesUploads does all that can be done with uploads.
func (w *bucketWorld) handlesUploads() {
	data := noise(1, 2*partOfTape)
	var id, other string
	w.aside(func() { id, other = w.begin("tape", data), w.begin("other", data) })
	w.firn(Done, "upload", "list", photos)
	w.firn(Done, "upload", "parts", photos, "--", id)
	w.firn(Done, "upload", "resume", photos, "--", id, w.file("tape", data))
	w.firn(Done, "upload", "abort", photos, "--", other)
}

// partOfTape is the size of the parts of uploads here, in bytes.
const partOfTape = 8 << 20

// begin begins an upload of data, and sends the first of its parts.
func (w *bucketWorld) begin(description string, data []byte) string {
	w.Helper()
	s, err := s3cold.Open(w.Context(), s3cold.Config{Bucket: "bucket", Prefix: "photos"})
	if err != nil {
		w.Fatal(err)
	}
	defer s.Close()
	id, err := s.StartUpload(w.Context(), description, partOfTape)
	if err == nil {
		body, sums := storetest.Body(data[:partOfTape])
		err = s.UploadPart(w.Context(), id, 0, body, sums)
	}
	if err != nil {
		w.Fatal(err)
	}
	return string(id)
}

// TestPermissionsOnS3AreEnough: with what firn policy allows on S3, as IAM reads it, and
// nothing else the commands do their work, and each of it they need.
func TestPermissionsOnS3AreEnough(t *testing.T) {
	for _, w := range workGrants() {
		if _, ok := permitCases[w.Work]; !ok {
			t.Errorf("nothing tries the policy for %s", w.Work)
		}
	}
	for work, c := range permitCases {
		t.Run(work, func(t *testing.T) {
			if testing.Short() && work != "sync" {
				t.Skip("one of them does")
			}
			w := newBucketWorld(t, s3test.Options{})
			if c.stores == nil {
				c.stores = []string{photos}
			}
			w.fill(c.stores...)
			w.only(work, c.stores...)
			c.do(w)
			w.judge(c.refused, c.unseen)
		})
	}
}

// TestPermissionsOnVersions: the same in a bucket that keeps versions, of which nothing
// is left in the end.
func TestPermissionsOnVersions(t *testing.T) {
	for _, work := range []string{"sync", "prune"} {
		t.Run(work, func(t *testing.T) {
			if testing.Short() {
				t.Skip("it takes seconds")
			}
			w := newBucketWorld(t, s3test.Options{Versioned: true})
			w.fill(photos)
			w.only(work, photos)
			permitCases[work].do(w)
			for what := range w.denied {
				if work != "sync" || !strings.HasPrefix(what, "s3:DeleteObjectVersion for ") {
					t.Errorf("%s is needed, and not allowed", what)
				}
			}
			left, hidden := w.server.Keys("bucket"), w.server.Hidden("bucket")
			if work == "prune" && (len(left) > 0 || hidden > 0 || !w.used["s3:DeleteObjectVersion of bucket"]) {
				t.Errorf("%q are left, and %d hidden versions", left, hidden)
			}
		})
	}
}

// TestPolicyOfABucket: what a policy for a store in S3 allows elsewhere.
func TestPolicyOfABucket(t *testing.T) {
	w := newBucketWorld(t, s3test.Options{})
	list := func(prefix *string) s3Ask {
		return s3Ask{action: "s3:ListBucket", resource: "arn:aws:s3:::bucket", prefix: prefix}
	}
	for _, c := range []struct {
		store string
		ask   s3Ask
		want  bool
	}{
		{photos, s3Ask{action: "s3:PutObject", resource: "arn:aws:s3:::bucket/photos/a"}, true},
		{photos, s3Ask{action: "s3:PutObject", resource: "arn:aws:s3:::bucket/photos"}, false},
		{photos, s3Ask{action: "s3:PutObject", resource: "arn:aws:s3:::bucket/photos2/a"}, false},
		{photos, s3Ask{action: "s3:GetObject", resource: "arn:aws:s3:::other/photos/a"}, false},
		{photos, s3Ask{action: "s3:DeleteObject", resource: "arn:aws:s3:::bucket/photos/a"}, false},
		{photos, s3Ask{action: "s3:DeleteObjectVersion", resource: "arn:aws:s3:::bucket/photos/a"}, false},
		{photos, list(new("photos/")), true},
		{photos, list(new("photos/.firn/")), true},
		{photos, list(new("photos2/")), false},
		{photos, list(new("")), false},
		{"s3:bucket", list(new("anything")), true},
		{"s3:bucket", s3Ask{action: "s3:PutObject", resource: "arn:aws:s3:::bucket/a"}, true},
		{"s3:bucket", s3Ask{action: "s3:PutObject", resource: "arn:aws:s3:::bucket2/a"}, false},
	} {
		w.only("sync", c.store)
		if got := w.policy.allows(c.ask); got != c.want {
			t.Errorf("the policy of %s: %+v: %v", c.store, c.ask, got)
		}
	}
}
