package sqldb_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// logSize is that of a database's log, in bytes.
func logSize(t *testing.T, path string) int64 { return sizes(t, path)[1] }

// TestLogHasRoom: after some commits the log is as large as it gets, whoever writes, and
// what it holds is read by whoever comes after a kill.
func TestLogHasRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	one, two := open(t, path, options), open(t, path, options)
	rows := 0
	commit := func(db *sqldb.DB, n int) {
		t.Helper()
		for range n {
			if err := insert(db, rows, "v"); err != nil {
				t.Fatal(err)
			}
			rows++
		}
	}
	commit(one, sqldb.RoomAfter-1)
	if n := logSize(t, path); n == 0 || n > sqldb.RoomSize/4 {
		t.Errorf("after a few commits the log has %d bytes", n)
	}
	for range 3 * sqldb.RoomAfter {
		commit(one, 1)
		commit(two, 1)
	}
	if n := logSize(t, path); n != sqldb.RoomSize {
		t.Errorf("the log has %d bytes, want %d", n, sqldb.RoomSize)
	}
	if got := count(t, open(t, copied(t, path), options)); got != rows {
		t.Errorf("%d rows of %d", got, rows)
	}
}

// TestNoRoom: where there is no room the log stays as it is.
func TestNoRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := sqldb.MakeRoom(path); err == nil {
		t.Error("a log that isn't there has room")
	}
	if err := os.WriteFile(path+"-wal", []byte("a log"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.MakeRoom(path); os.Getuid() != 0 && err == nil {
		t.Error("a log that can't be written to has room")
	}
}
