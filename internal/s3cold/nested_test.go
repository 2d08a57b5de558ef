package s3cold_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/treehash"
)

// around gives the store that is all of the bucket, as an earlier firn let it be made
// around others.
func around(t *testing.T, server *s3test.Server) *s3cold.Store {
	t.Helper()
	data, _, _ := server.Object("bucket", "photos/.firn/store.json")
	lay(t, server, ".firn/store.json", bytes.Replace(data, []byte(`"id":"`), []byte(`"id":"other`), 1))
	return open(t, server, func(c *s3cold.Config) { c.Prefix = "" })
}

// lay puts an object into the bucket, as another program does.
func lay(t *testing.T, server *s3test.Server, key string, data []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://s3/bucket/"+key, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	answer, err := server.Transport().RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(err, answer)
	}
}

// TestNestedStores: no store is made in another, nor around one that shows.
func TestNestedStores(t *testing.T) {
	for name, c := range map[string]struct {
		there, at string
		folders   int // with an object each, that stand before the store
		each      int // objects in each
		refused   bool
	}{
		"in the bucket":                {there: "", at: "p", refused: true},
		"in a prefix":                  {there: "p", at: "p/sub", refused: true},
		"deep in it":                   {there: "p", at: "p/a/b/c", refused: true},
		"in a deep one":                {there: "p/a/b", at: "p/a/b/c/d", refused: true},
		"around it":                    {there: "p/sub", at: "p", refused: true},
		"around it, all of the bucket": {there: "p/sub", at: "", refused: true},
		"around it, behind others":     {there: "p/zzz", at: "p", folders: 3, each: 500, refused: true},
		"beside it":                    {there: "p", at: "q"},
		"with the beginning in common": {there: "p", at: "pq"},
		"which has the beginning":      {there: "pq", at: "p"},
		"beside it, deep":              {there: "p/a", at: "p/b"},
		"itself":                       {there: "p", at: "p"},
	} {
		t.Run(name, func(t *testing.T) {
			server := s3test.New(s3test.Options{Buckets: []string{"bucket"}})
			place := func(prefix string) *s3cold.Store {
				return open(t, server, func(c *s3cold.Config) { c.Prefix = prefix })
			}
			if err := place(c.there).Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i := range c.folders {
				server.Fill("bucket", fmt.Sprintf("p/folder%d/", i), "STANDARD", c.each)
			}
			err := place(c.at).Create(t.Context())
			if !c.refused {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantKind(t, "Create", err, firn.Conflict)
			for _, prefix := range []string{c.there, c.at} {
				if want := strings.TrimSuffix("s3:bucket/"+prefix, "/"); err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%v doesn't name %s", err, want)
				}
			}
			if data, _, _ := server.Object("bucket", strings.TrimPrefix(c.at+"/.firn/store.json", "/")); data != nil {
				t.Error("it was made all the same")
			}
		})
	}
}

// TestNestedAlready: what is nested already can be read, and what the credentials may
// not see forbids nothing.
func TestNestedAlready(t *testing.T) {
	faults := s3test.NewFaults()
	server, s := create(t, s3test.Options{Faults: faults}, nil)
	around(t, server)
	id := upload(t, s, "x", []byte("content"))
	if ids := inventoryIDs(t, s); len(ids) != 1 || ids[0] != id {
		t.Errorf("the inventory has %q", ids)
	}
	wantKind(t, "CheckAlone", s.CheckAlone(t.Context()), firn.Conflict)
	faults.Add(s3test.Fault{Op: "HEAD", Key: ".firn/store.json", Times: -1, Kind: s3test.Denied})
	if err := s.CheckAlone(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBeside: by identities alone.
func TestBeside(t *testing.T) {
	const other = "http://s3.other:9000 bucket/ 2"
	for _, c := range []struct {
		prefix, identity string
		inside, around   bool
	}{
		{"p/q", "HOME bucket/p/ 2", true, false},
		{"p", "HOME bucket/ 2", true, false},
		{"p", "HOME bucket/p/q/ 2", false, true},
		{"", "HOME bucket/p/ 2", false, true},
		{"p", "HOME bucket/pq/ 2", false, false},
		{"pq", "HOME bucket/p/ 2", false, false},
		{"p", "HOME bucket/p/ 2", false, false},
		{"", "HOME bucket/ 2", false, false},
		{"p", "HOME bucket2/ 2", false, false},
		{"a b/c", "HOME bucket/a b/ 2", true, false},
		{"p", other, false, false},
		{"p", "local:abc", false, false},
		{"p", "", false, false},
	} {
		server := s3test.New(s3test.Options{Buckets: []string{"bucket"}})
		s := open(t, server, func(cfg *s3cold.Config) { cfg.Prefix = "home" })
		if err := s.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		info, err := s.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		home, _, _ := strings.Cut(info.Identity, " ")
		identity := strings.Replace(c.identity, "HOME", home, 1)
		s = open(t, server, func(cfg *s3cold.Config) { cfg.Prefix = c.prefix })
		if err := s.CheckBeside(identity, false); (err != nil) != c.inside {
			t.Errorf("%q beside %q: %v", c.prefix, identity, err)
		}
		if err := s.CheckBeside(identity, true); (err != nil) != (c.inside || c.around) {
			t.Errorf("%q beside, and around, %q: %v", c.prefix, identity, err)
		}
	}
}

// TestStrangeKeys: the key of what firn didn't write is its name, as describe reads it.
func TestStrangeKeys(t *testing.T) {
	for key, want := range map[string]string{
		"2019/b.jpg": "2019/b.jpg", "2019/b ä/ö.jpg": "2019/b ä/ö.jpg", "100%.txt": "100%.txt", "a\tb": "a\tb", "日本": "日本",
		"not \xff UTF-8": "not %FF UTF-8", strings.Repeat("ä", 400): "",
	} {
		server, s := create(t, s3test.Options{}, nil)
		lay(t, server, url.PathEscape("photos/"+key), []byte("x"))
		id, err := s.StartInventory(t.Context(), firn.InventorySpec{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if _, err := s.Inventory(t.Context(), id, func(a firn.Archive) error {
			got, _ := describe.Unescape(a.Description)
			if n++; got != want {
				t.Errorf("%q is called %q, which is %q", key, a.Description, got)
			}
			return nil
		}); err != nil || n != 1 {
			t.Errorf("%d archives, %v", n, err)
		}
	}
}

// TestStrangeOnes: of what an inventory lists, exactly that is strange which DeleteOnly
// refuses as another program's.
func TestStrangeOnes(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	upload(t, s, "", []byte("without a description"))
	upload(t, s, "x", []byte("content"))
	lay(t, server, "photos/of%20others.txt", []byte("theirs"))
	job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	strange := 0
	if _, err := s.Inventory(t.Context(), job, func(a firn.Archive) error {
		is := s3cold.IsStrange(a.ID, a.Description, a.Tree != (treehash.Hash{}))
		if err := s.DeleteOnly(t.Context(), firn.Deletable{Archive: a, Own: true}); (firn.KindOf(err) == firn.Invalid) != is {
			t.Errorf("%s: strange is %v, and it is deleted: %v", a.ID, is, err)
		}
		if is {
			strange++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if strange != 1 {
		t.Errorf("%d are strange, want 1", strange)
	}
}
