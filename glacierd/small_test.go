package glacierd_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn/glacierd"
)

// maxSmall is the most bytes of a body that lies in the database.
const maxSmall = 16 << 10

// alter changes a vault's database behind the server's back.
func alter(t *testing.T, root string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(root, "v", "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestSmallBodies: they lie in the database, whole and in ranges come back what was
// stored, and none is left of one that was deleted.
func TestSmallBodies(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	var ids []string
	for _, size := range []int{1, maxSmall - 1, maxSmall, maxSmall + 1} {
		body := pattern(size)
		ids = append(ids, b.upload("v", body, ""))
		job := b.job("v", "Type", "archive-retrieval", "ArchiveId", ids[len(ids)-1])
		if out := b.output("v", job); !bytes.Equal(out.body, body) {
			t.Errorf("of %d bytes %d came back, or others", size, len(out.body))
		}
		out := b.do(206, "GET", jobsPath+"/"+job+"/output", h{"Range", "bytes=0-0"}, nil)
		if !bytes.Equal(out.body, body[:1]) {
			t.Errorf("the first byte of %d: %q", size, out.body)
		}
		if size > 1000 {
			out := b.do(206, "GET", jobsPath+"/"+job+"/output", h{"Range", "bytes=100-999"}, nil)
			if !bytes.Equal(out.body, body[100:1000]) {
				t.Errorf("900 bytes of %d: %d, or others", size, len(out.body))
			}
		}
	}
	if n := rows(t, root, "SELECT count(*) FROM small"); n != 3 {
		t.Errorf("%d small bodies, want 3", n)
	}
	if files, err := filepath.Glob(filepath.Join(root, "v", "archives", "*", "*", "*")); err != nil || len(files) != 1 {
		t.Errorf("files of bodies: %q, %v", files, err)
	}
	b.clock.advance(2 * day) // no output keeps them any more
	for _, id := range ids {
		b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	}
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("bodies of deleted archives: %q", left)
	}
	if n := rows(t, root, "SELECT count(*) FROM garbage"); n > 1 {
		t.Errorf("%d bodies count as garbage: only the file did", n)
	}
}

// TestDeletedSmallBodyStaysForItsOutput: as long as that can be asked for.
func TestDeletedSmallBodyStaysForItsOutput(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	id := b.upload("v", []byte("small"), "")
	job := b.job("v", "Type", "archive-retrieval", "ArchiveId", id)
	b.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	b.clock.advance(23 * time.Hour)
	if out := b.output("v", job); string(out.body) != "small" {
		t.Errorf("%q", out.body)
	}
	b.clock.advance(2 * time.Hour)
	b.get("/-/vaults/v") // any request tidies up
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("left after the output expired: %q", left)
	}
}

// TestSmallBodyOfOtherSize: damage that SQLite doesn't notice ends a request before
// its answer begins.
func TestSmallBodyOfOtherSize(t *testing.T) {
	var root string
	b := newBench(t, atOnce, func(c *glacierd.Config) { root = c.Root })
	b.createVault("v")
	job := b.job("v", "Type", "archive-retrieval", "ArchiveId", b.upload("v", []byte("small"), ""))
	alter(t, root, "UPDATE small SET body = x'0102'")
	b.refuse(500, "ServiceUnavailableException", "2 bytes instead of 5", "GET", jobsPath+"/"+job+"/output", nil, nil)
}

// TestVaultWithoutSmallBodies: in a vault that was made before there were any, all
// bodies are files. They stay where they are; it takes small ones from now on, and
// leaves nothing behind when it is deleted.
func TestVaultWithoutSmallBodies(t *testing.T) {
	root := t.TempDir()
	s, c := open(t, glacierd.Config{Root: root, Timing: &glacierd.Timing{}})
	c.createVault("v")
	old := c.upload("v", []byte("a file"), "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "v", "archives", "000", "000")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "001"), []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	alter(t, root, "DROP TABLE small", "PRAGMA user_version = 1")

	s, c = open(t, glacierd.Config{Root: root, Timing: &glacierd.Timing{}})
	young := c.upload("v", []byte("in the database"), "")
	for id, want := range map[string]string{old: "a file", young: "in the database"} {
		if out := c.output("v", c.job("v", "Type", "archive-retrieval", "ArchiveId", id)); string(out.body) != want {
			t.Errorf("%q came back of %q", out.body, want)
		}
	}
	if n := rows(t, root, "SELECT count(*) FROM small"); n != 1 {
		t.Errorf("%d small bodies", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	later := &manualClock{now: time.Now().Add(3 * day)} // when the outputs are gone
	_, c = open(t, glacierd.Config{Root: root, Clock: later, Timing: &glacierd.Timing{}})
	for _, id := range []string{old, young} {
		c.do(204, "DELETE", "/-/vaults/v/archives/"+id, nil, nil)
	}
	if left := bodies(t, root); len(left) != 0 {
		t.Errorf("left of deleted archives: %q", left)
	}
	later.advance(40 * day) // an inventory has seen it empty
	c.do(204, "DELETE", "/-/vaults/v", nil, nil)
	if entries, err := os.ReadDir(root); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "v" }) {
		t.Errorf("left of a deleted vault: %v, %v", entries, err)
	}
}
