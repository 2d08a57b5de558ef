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
	"github.com/firn-archive/firn/internal/s3test"
)

// documentedGrants reads the policies of docs/permissions.md: for each heading what is
// allowed on the vault, on the bucket and on its objects.
func documentedGrants(t *testing.T) map[string]grant {
	t.Helper()
	text, err := os.ReadFile("../../docs/permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]grant{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		var g grant
		for _, block := range strings.Split(body, "```json\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			var p iamPolicy
			if err := json.Unmarshal([]byte(block), &p); err != nil {
				t.Fatalf("%s: %v", heading, err)
			}
			for _, s := range p.Statement {
				for _, action := range s.Action {
					service, op, _ := strings.Cut(action, ":")
					switch {
					case service == "glacier":
						g.Vault = append(g.Vault, op)
					case strings.HasSuffix(s.Resource, "/*"):
						g.Objects = append(g.Objects, op)
					default:
						g.Bucket = append(g.Bucket, op)
					}
				}
			}
		}
		all[heading] = g
	}
	return all
}

// TestPoliciesAreDocumented: firn policy prints what docs/permissions.md says.
func TestPoliciesAreDocumented(t *testing.T) {
	documented := documentedGrants(t)
	for _, w := range workGrants() {
		if w.Both {
			continue
		}
		d := documented[w.Heading]
		for name, lists := range map[string][2][]string{"vault": {w.On.Vault, d.Vault}, "bucket": {w.On.Bucket, d.Bucket}, "objects": {w.On.Objects, d.Objects}} {
			ours, theirs := slices.Sorted(slices.Values(lists[0])), slices.Sorted(slices.Values(lists[1]))
			if !slices.Equal(ours, theirs) {
				t.Errorf("%s, %s: firn policy says %v, the document %v", w.Work, name, ours, theirs)
			}
		}
		deletes := slices.ContainsFunc(slices.Concat(w.On.Vault, w.On.Objects), func(op string) bool { return strings.HasPrefix(op, "Delete") })
		if deletes && (w.Work == "sync" || w.Work == "restore" || w.Work == "verify") {
			t.Errorf("%s may delete", w.Work)
		}
	}
}

// A permitBucket is an S3 that does only what is allowed, and notes what it was asked.
type permitBucket struct {
	server *s3test.Server
	clock  *clock.Manual

	mu      sync.Mutex
	allowed []string // "bucket ListBucket", "object GetObject"
	used    map[string]bool
}

// actionOf is the action of IAM that a request needs. Source: Amazon S3 user guide,
// "Required permissions for Amazon S3 API operations".
func actionOf(r *http.Request) string {
	q := r.URL.Query()
	object := strings.Count(strings.Trim(r.URL.Path, "/"), "/") > 0
	switch {
	case !object && q.Has("uploads"):
		return "bucket ListBucketMultipartUploads"
	case !object:
		return "bucket ListBucket"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "object AbortMultipartUpload"
	case r.Method == http.MethodDelete && q.Has("versionId"):
		return "object DeleteObjectVersion"
	case r.Method == http.MethodDelete:
		return "object DeleteObject"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "object ListMultipartUploadParts"
	case r.Method == http.MethodPost && q.Has("restore"):
		return "object RestoreObject"
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return "object GetObject"
	}
	return "object PutObject"
}

func (b *permitBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action := actionOf(r)
	b.mu.Lock()
	b.used[action] = true
	ok := b.allowed == nil || slices.Contains(b.allowed, action)
	b.mu.Unlock()
	if ok {
		b.server.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Date", b.clock.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusForbidden)
	if r.Method != http.MethodHead {
		w.Write([]byte("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"))
	}
}

// allow lets only a work be done from now on, and forgets what was done; "": all.
func (b *permitBucket) allow(work string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used, b.allowed = map[string]bool{}, nil
	if work == "" {
		return
	}
	w, err := findWork(work)
	if err != nil {
		panic(err)
	}
	for _, op := range w.On.Bucket {
		b.allowed = append(b.allowed, "bucket "+op)
	}
	for _, op := range w.On.Objects {
		b.allowed = append(b.allowed, "object "+op)
	}
}

// TestPermissionsOnS3AreEnough: with what docs/permissions.md allows on S3 and nothing
// else the commands do their work, and each of it they need.
func TestPermissionsOnS3AreEnough(t *testing.T) {
	const store = "s3:bucket/photos"
	now := clock.NewManual(time.Now())
	b := &permitBucket{clock: now, server: s3test.New(s3test.Options{Buckets: []string{"bucket"}, Clock: now, Thaw: 12 * time.Hour}), used: map[string]bool{}}
	listening := httptest.NewServer(b)
	defer listening.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": listening.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	} {
		t.Setenv(name, value)
	}
	w := &jobWorld{T: t, clock: now, env: homeEnv(t)}
	w.env.Clock = now
	w.firn(Done, "store", "create", store)
	w.lay("tree/film.mov", noise(1, 66<<20))
	w.lay("tree/a.txt", []byte("a"))
	unseen := map[string]string{
		"sync bucket ListBucket":                   "by it an object that isn't there is told from one that nobody may see",
		"sync object AbortMultipartUpload":         "only where a file changes while it is sent",
		"prune object DeleteObjectVersion":         "only where the bucket keeps versions",
		"prune object PutObject":                   "of tags, where a snapshot goes",
		"prune bucket ListBucketMultipartUploads":  "only of a store that is deleted",
		"sync bucket ListBucketMultipartUploads":   "only after a kill",
		"verify bucket ListBucketMultipartUploads": "only of store refresh",
	}
	for _, step := range []struct {
		work string
		do   func()
	}{
		{"sync", func() {
			w.firn(Done, "sync", "tree", store)
			w.lay("tree/b.txt", []byte("b"))
			now.Advance(48 * time.Hour)
			w.firn(Done, "sync", "tree", store)
		}},
		{"verify", func() { w.firn(Done, "verify", store); w.firn(Done, "store", "refresh", store) }},
		{"restore", func() {
			home := w.env
			w.env = homeEnv(t)
			w.env.Clock = now
			w.firn(Done, "recover", store)
			w.firn(NotYet, "restore", store, "--to", "back", "--yes")
			now.Advance(12 * time.Hour)
			w.firn(Done, "restore", store, "--to", "back", "--yes")
			w.env = home
		}},
		{"prune", func() {
			if err := os.Remove(filepath.Join(w.env.Dir, "tree", "film.mov")); err != nil {
				t.Fatal(err)
			}
			b.allow("")
			w.firn(Done, "sync", "tree", store)
			b.allow("prune")
			now.Advance(200 * 24 * time.Hour)
			w.firn(Done, "prune", store, "--keep-last", "1", "--removed-older-than", "1d", "--trust-clock", "--yes", "--pay")
		}},
	} {
		b.allow(step.work)
		step.do()
		for action := range b.used {
			if !slices.Contains(b.allowed, action) && action != "object DeleteObject" { // which sync asks for, and bears to be refused
				t.Errorf("%s: %s is used, and not allowed", step.work, action)
			}
		}
		for _, action := range b.allowed {
			if !b.used[action] && unseen[step.work+" "+action] == "" {
				t.Errorf("%s: %s is allowed, and nothing needs it", step.work, action)
			}
		}
	}
}
