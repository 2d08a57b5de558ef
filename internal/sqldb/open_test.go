package sqldb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// TestMadeByTwoAtOnce opens new files by several at the same moment: each of
// them may be the one that makes the schema, and all find it.
func TestMadeByTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		path := filepath.Join(dir, fmt.Sprint(i))
		var all sync.WaitGroup
		for k := range 4 {
			all.Go(func() {
				db, err := sqldb.Open(t.Context(), path, options)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				if err := insert(db, k, "v"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// TestMigratedByTwoAtOnce: one of them migrates, all find what was there, and the
// copy has the old schema.
func TestMigratedByTwoAtOnce(t *testing.T) {
	newer := options
	newer.Migrations = append(newer.Migrations[:1:1], "ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (2, 'two')", "ALTER TABLE u RENAME TO t")
	dir := t.TempDir()
	for i := range 20 {
		path := filepath.Join(dir, fmt.Sprint(i))
		old := open(t, path, options)
		if err := insert(old, 1, "one"); err != nil {
			t.Fatal(err)
		}
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		// What a process leaves that was killed while it made the copy, and after.
		for _, end := range []string{".schema1.part", ".schema1"} {
			if err := os.WriteFile(path+end, []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				db, err := sqldb.Open(t.Context(), path, newer)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				if n := count(t, db); n != 2 {
					t.Errorf("%d rows", n)
				}
			})
		}
		all.Wait()
		if n := count(t, open(t, path+".schema1", options)); n != 1 {
			t.Errorf("the copy has %d rows", n)
		}
		if left, err := filepath.Glob(path + "*.part"); err != nil || len(left) > 0 {
			t.Errorf("left: %q, %v", left, err)
		}
	}
}

// TestNewFilesHaveNoCopies: there is nothing to keep.
func TestNewFilesHaveNoCopies(t *testing.T) {
	newer := options
	newer.Migrations = append(newer.Migrations[:1:1], "INSERT INTO t VALUES (1, 'made')")
	path := filepath.Join(t.TempDir(), "x.db")
	if n := count(t, open(t, path, newer)); n != 1 {
		t.Errorf("%d rows", n)
	}
	if copies, err := filepath.Glob(path + ".schema*"); err != nil || len(copies) > 0 {
		t.Errorf("copies: %q, %v", copies, err)
	}
}
