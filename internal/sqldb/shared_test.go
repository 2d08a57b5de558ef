package sqldb_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/sqldb"
	"github.com/firn-archive/firn/internal/testprog"
)

const sharedSchema = "CREATE TABLE IF NOT EXISTS thing (id VARCHAR NOT NULL, at INTEGER, PRIMARY KEY (id))"

func openShared(t *testing.T, path string) *sqldb.Shared {
	t.Helper()
	s, err := sqldb.OpenShared(t.Context(), path, sharedSchema, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestSharedStaysAsItIs: another program's file keeps its journal and its marks,
// and what is written that program reads.
func TestSharedStaysAsItIs(t *testing.T) {
	sqlite := testprog.Need(t, "sqlite3")
	path := filepath.Join(t.TempDir(), "deep", "db")
	add := func(id string) {
		t.Helper()
		s := openShared(t, path)
		defer s.Close()
		err := s.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO thing VALUES (?, ?)", id, 1.5)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add("new")
	ask := func(query, want string) {
		t.Helper()
		if out, err := exec.Command(sqlite, path, query).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: %q, %v; want %q", query, out, err, want)
		}
	}
	ask("SELECT id, at, typeof(at) FROM thing", "new|1.5|real")
	ask("PRAGMA journal_mode", "delete")
	ask("PRAGMA application_id; PRAGMA user_version", "0\n0")
	ask("PRAGMA user_version=7; PRAGMA journal_mode=WAL", "wal")
	add("second")
	ask("PRAGMA user_version; PRAGMA journal_mode; SELECT count(*) FROM thing", "7\nwal\n2")
}

// TestSharedByMany: several connections write at a time, and none is refused.
func TestSharedByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			s, err := sqldb.OpenShared(t.Context(), path, sharedSchema, time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for i := range 10 {
				err := s.Write(t.Context(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(t.Context(), "INSERT INTO thing (id) VALUES (?)", fmt.Sprint(n, " ", i))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	rows := 0
	if err := openShared(t, path).Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM thing").Scan(&rows)
	}); err != nil || rows != 40 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// TestSharedTakesBack: a function that fails leaves nothing.
func TestSharedTakesBack(t *testing.T) {
	s := openShared(t, filepath.Join(t.TempDir(), "db"))
	broken := errors.New("broken")
	err := s.Write(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO thing (id) VALUES ('x')"); err != nil {
			t.Error(err)
		}
		return broken
	})
	rows := -1
	readErr := s.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM thing").Scan(&rows)
	})
	if !errors.Is(err, broken) || readErr != nil || rows != 0 {
		t.Errorf("%v, %v, %d rows", err, readErr, rows)
	}
}

// TestSharedRefuses: what is no database is left as it is.
func TestSharedRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqldb.OpenShared(t.Context(), path, sharedSchema, time.Minute); !errors.Is(err, sqldb.ErrNotDatabase) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "dear diary" {
		t.Errorf("it is %q now", got)
	}
}
