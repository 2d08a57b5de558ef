package sqldb_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// TestTemporaryFilesLieBesideTheDatabase sorts more than fits into memory, and
// looks where the file is that SQLite does it in. It runs in a process of its
// own, since the first database of a process decides.
func TestTemporaryFilesLieBesideTheDatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's here")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	alone := exec.Command(os.Args[0], "-test.run=^TestSortInAProcess$")
	alone.Env = append(os.Environ(), sortIn+"="+dir)
	if out, err := alone.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const sortIn = "FIRN_TEST_SORT_IN"

func TestSortInAProcess(t *testing.T) {
	dir := os.Getenv(sortIn)
	if dir == "" {
		t.Skip("TestTemporaryFilesLieBesideTheDatabase runs this")
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "x.db"), sqldb.Options{ApplicationID: 1, Name: "x", Migrations: []string{"CREATE TABLE t(a)"}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var found []string
	err = db.Read(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(context.Background(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300000)
			SELECT hex(randomblob(100)) AS r FROM n ORDER BY r`)
		if err != nil {
			return err
		}
		defer rows.Close()
		if !rows.Next() {
			t.Error("no rows")
		}
		found = temporary(t)
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("the sort used no file: it shows nothing")
	}
	for _, f := range found {
		if filepath.Dir(f) != dir {
			t.Errorf("a temporary file is %s, want it in %s", f, dir)
		}
	}
}

// temporary lists SQLite's temporary files among those that this process has
// open. It removes their names as soon as it has made them.
func temporary(t *testing.T) (found []string) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		name, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		if err == nil && strings.Contains(name, "etilqs_") {
			found = append(found, name)
		}
	}
	return found
}
