package glacierd_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/treehash"
)

// archiveIDForm is what clients have seen of archive ids.
var archiveIDForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{137}$`)

func TestUploadArchive(t *testing.T) {
	b := newBench(t, atOnce)
	b.createVault("v")
	for _, size := range []int{1, 1000, mib - 1, mib, mib + 1, 3*mib + 5} {
		body := pattern(size)
		r := b.do(201, "POST", "/-/vaults/v/archives", uploadHeaders(body, "x-amz-archive-description", "  spaces  inside "), body)
		id := r.header.Get("x-amz-archive-id")
		if !archiveIDForm.MatchString(id) {
			t.Errorf("id %q", id)
		}
		if got, want := r.header.Get("Location"), "/000000000000/vaults/v/archives/"+id; got != want {
			t.Errorf("Location %s, want %s", got, want)
		}
		if got, want := r.header.Get("x-amz-sha256-tree-hash"), treehash.Sum(body).String(); got != want {
			t.Errorf("tree hash %s, want %s", got, want)
		}
		out := b.output("v", b.job("v", "Type", "archive-retrieval", "ArchiveId", id))
		if !bytes.Equal(out.body, body) || out.header.Get("x-amz-sha256-tree-hash") != treehash.Sum(body).String() || out.header.Get("x-amz-archive-description") != "spaces  inside" {
			t.Errorf("size %d: %d bytes came back, with %v", size, len(out.body), out.header)
		}
	}
}

// Equal bodies are different archives: the call is not idempotent.
func TestUploadTwice(t *testing.T) {
	b := newBench(t)
	b.createVault("v")
	if one, two := b.upload("v", []byte("x"), "d"), b.upload("v", []byte("x"), "d"); one == two {
		t.Errorf("two archives have the id %s", one)
	}
}

func TestUploadRefusals(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	body := pattern(2*mib + 1)
	tree, linear := treehash.Sum(body).String(), hexSum(body)
	zeros := strings.Repeat("0", 64)
	for _, c := range []struct {
		name    string
		headers h
		body    []byte
		status  int
		code    string
		text    string
	}{
		{"no linear hash", h{"x-amz-sha256-tree-hash", tree}, body, 400, "MissingParameterValueException", "x-amz-content-sha256"},
		{"no tree hash", h{"x-amz-content-sha256", linear}, body, 400, "MissingParameterValueException", "x-amz-sha256-tree-hash"},
		{"odd tree hash", uploadHeaders(body, "x-amz-sha256-tree-hash", "xyz"), body, 400, "InvalidParameterValueException", "Invalid x-amz-sha256-tree-hash: xyz"},
		{"other tree hash", uploadHeaders(body, "x-amz-sha256-tree-hash", zeros), body, 400, "InvalidParameterValueException", "Checksum mismatch: expected " + zeros + ", computed " + tree},
		{"linear hash as tree hash", uploadHeaders(body, "x-amz-sha256-tree-hash", linear), body, 400, "InvalidParameterValueException", "Checksum mismatch"},
		{"empty", h{"x-amz-content-sha256", hexSum(nil), "x-amz-sha256-tree-hash", ""}, nil, 400, "InvalidParameterValueException", "Invalid Content-Length: 0"},
		{"long description", uploadHeaders(body, "x-amz-archive-description", strings.Repeat("d", 1025)), body, 400, "InvalidParameterValueException", "1025 characters, more than 1024"},
		{"description with an umlaut", uploadHeaders(body, "x-amz-archive-description", "f\u00fcr"), body, 400, "InvalidParameterValueException", "Only printable ASCII"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.client.t = t
			b.refuse(c.status, c.code, c.text, "POST", "/-/vaults/v/archives", c.headers, c.body)
		})
	}
	b.client.t = t
	t.Run("other linear hash", func(t *testing.T) {
		r := b.requestWithHash("POST", "/-/vaults/v/archives", uploadHeaders(body, "x-amz-content-sha256", zeros), bytes.NewReader(body), int64(len(body)), zeros)
		resp, err := b.send(r)
		want := "The value passed in as x-amz-content-sha256 does not match the computed payload hash. Computed digest: " + linear + " expected hash: " + zeros
		if err != nil || resp.status != 403 || !strings.Contains(string(resp.body), want) {
			t.Errorf("%d %s, %v", resp.status, resp.body, err)
		}
	})
	b.refuse(404, "ResourceNotFoundException", "Vault not found for ARN: "+arn+"w", "POST", "/-/vaults/w/archives", uploadHeaders(body), body)
	if n := b.get("/-/vaults/v")["NumberOfArchives"]; n != 0.0 {
		t.Errorf("%v archives after refusals", n)
	}
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("refused bodies are still there: %q", left)
	}
}

// bodies lists the files below the archive folders of all vaults, and the small bodies
// in their databases, as DATABASE:NUMBER.
func bodies(t testing.TB, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || e.IsDir():
		case e.Name() == "vault.db":
			for number := range strings.FieldsSeq(smallBodies(t, path)) {
				all = append(all, path+":"+number)
			}
		case strings.Contains(path, string(filepath.Separator)+"archives"+string(filepath.Separator)):
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// smallBodies gives the numbers of those that a vault's database holds, with blanks
// between them.
func smallBodies(t testing.TB, path string) (numbers string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT coalesce(group_concat(number, ' '), '') FROM small").Scan(&numbers); err != nil {
		t.Fatal(err)
	}
	return numbers
}

// A body above the limit is refused by its announced length alone.
func TestUploadTooLarge(t *testing.T) {
	s, err := glacierd.New(glacierd.Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call := func(method, path string, length int64) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader("x"))
		r.ContentLength = length
		r.Header.Set("x-amz-glacier-version", "2012-06-01")
		r.Header.Set("x-amz-content-sha256", strings.Repeat("0", 64))
		r.Header.Set("x-amz-sha256-tree-hash", strings.Repeat("0", 64))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	call("PUT", "/-/vaults/v", 0)
	for _, length := range []int64{38505164800, 4<<30 + 1} {
		w := call("POST", "/-/vaults/v/archives", length)
		if want := fmt.Sprint("Invalid Content-Length: ", length); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s, want %q", w.Code, w.Body, want)
		}
	}
	// Exactly the limit is taken up; here the body then ends early.
	if w := call("POST", "/-/vaults/v/archives", 4<<30); w.Code != 400 || !strings.Contains(w.Body.String(), "the body ended after 1 of 4294967296 bytes") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestDeleteArchive(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	b.createVault("w")
	id, parts := b.upload("v", pattern(2*mib), ""), b.uploadParts("v", mib, pattern(2*mib), "")
	b.refuse(400, "InvalidParameterValueException", "Invalid vault name: "+arn+"w", "DELETE", "/-/vaults/w/archives/"+id, nil, nil)
	for range 2 {
		b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
		b.do(204, "DELETE", "/-/vaults/v/archives/"+parts, nil, nil)
	}
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("bodies of deleted archives: %q", left)
	}
	for _, bad := range []string{"x", strings.Repeat("a", 138), id[:137], flip(id, 0), flip(id, 60), flip(id, 137)} {
		b.refuse(404, "ResourceNotFoundException", "The archive ID was not found: "+bad, "DELETE", "/-/vaults/v/archives/"+bad, nil, nil)
	}
}

// flip changes one character of an id.
func flip(id string, at int) string {
	c := byte('A')
	if id[at] == c {
		c = 'B'
	}
	return id[:at] + string(c) + id[at+1:]
}

// Long after its deletion nothing is left of an archive but that it was here.
func TestDeletedRowsGo(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) {
		root, c.Timing = c.Root, &glacierd.Timing{Inventory: time.Hour, InventoryEvery: day}
	})
	b.createVault("v")
	kept, id := b.upload("v", []byte("y"), "kept"), b.upload("v", []byte("x"), "")
	b.clock.advance(day)
	job := b.job("v", "Type", "inventory-retrieval")
	b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	b.clock.advance(time.Hour)
	if got := b.inventory("v", job).ids(); len(got) != 2 {
		t.Errorf("the inventory from before the deletion lists %q", got)
	}
	for range 3 {
		b.clock.advance(40 * day)
		b.get("/-/vaults/v")
	}
	b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	if d := b.get("/-/vaults/v"); d["NumberOfArchives"] != 1.0 || d["LastInventoryDate"] != "2026-03-04T10:30:15.000Z" {
		t.Errorf("%v", d)
	}
	for _, table := range []string{"archive", "change"} {
		if n := rows(t, root, "SELECT count(*) FROM "+table); n != 1 {
			t.Errorf("%d rows of %s are left, want 1", n, table)
		}
	}
	for _, table := range []string{"job", "garbage"} {
		if n := rows(t, root, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
	job = b.job("v", "Type", "inventory-retrieval")
	b.clock.advance(time.Hour)
	if got := b.inventory("v", job).ids(); len(got) != 1 || got[0] != kept {
		t.Errorf("inventory %q, want %q", got, kept)
	}
}

// Bodies that aren't small can be read without the server: parts in a row are the archive.
func TestBodiesAreOrdinaryFiles(t *testing.T) {
	var root string
	b := newBench(t, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	one, parts := pattern(16<<10+1), pattern(12*mib)
	b.upload("v", one, "")
	b.uploadParts("v", mib, parts, "")
	got, err := os.ReadFile(filepath.Join(root, "v", "archives", "000", "000", "001"))
	if err != nil || !bytes.Equal(got, one) {
		t.Errorf("archive 1: %d bytes, %v", len(got), err)
	}
	folder := filepath.Join(root, "v", "archives", "000", "000", "002")
	entries, err := os.ReadDir(folder) // sorted by name
	if err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for _, e := range entries {
		part, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, part...)
	}
	if !bytes.Equal(joined, parts) {
		t.Errorf("archive 2: the %d files in a row have %d bytes and differ", len(entries), len(joined))
	}
}
