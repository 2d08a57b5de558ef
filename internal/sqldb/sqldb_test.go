package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/sqldb"
)

var options = sqldb.Options{
	ApplicationID: 0x6669726e,
	Name:          "test database",
	Migrations:    []string{"CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL)"},
}

func open(t *testing.T, path string, o sqldb.Options) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func insert(db *sqldb.DB, k int, v string) error {
	return db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(context.Background(), "INSERT INTO t VALUES (?, ?)", k, v)
		return err
	})
}

func count(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWritesGroupAndFailAlone(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	if err := insert(db, 7, "first"); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 100)
	var wg sync.WaitGroup
	for k := range errs {
		wg.Go(func() { errs[k] = insert(db, k, "v") })
	}
	wg.Wait()
	for k, err := range errs {
		if (err != nil) != (k == 7) {
			t.Errorf("insert %d: %v", k, err)
		}
	}
	if n := count(t, db); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
}

func TestFailureTakesBackItsOwnWritesOnly(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	no := errors.New("no")
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (1, 'x')"); err != nil {
			return err
		}
		return no
	})
	if err != no || count(t, db) != 0 {
		t.Errorf("err %v, %d rows left", err, count(t, db))
	}
	if err := insert(db, 1, "y"); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

func TestTwoHandlesOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	a, b := open(t, path, options), open(t, path, options)
	var wg sync.WaitGroup
	for i, db := range []*sqldb.DB{a, b, a, b} {
		wg.Go(func() {
			for k := range 50 {
				if err := insert(db, i*1000+k, "v"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, a); n != 200 {
		t.Errorf("%d rows, want 200", n)
	}
}

func TestWithdrawnWriteNeverRuns(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	ctx, cancel := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	go db.Write(t.Context(), func(*sqldb.Tx) error {
		close(entered)
		<-leave
		return nil
	})
	<-entered
	cancel()
	ran := false
	err := db.Write(ctx, func(*sqldb.Tx) error { ran = true; return nil })
	close(leave)
	if err := insert(db, 1, "v"); err != nil { // behind both
		t.Fatal(err)
	}
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("err %v, ran %v", err, ran)
	}
}

// TestEndedContextNeverWrites: whoever leads may take such a write along.
func TestEndedContextNeverWrites(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // which branch of a select is taken is random
		err := db.Write(ctx, func(*sqldb.Tx) error { t.Error("it ran"); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestClosed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := insert(db, 1, "v"); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
	if err := db.Read(t.Context(), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
}

// TestPanicDoesNotHang: a program that dies of a panic closes what it has open.
// TestGlance: it sees what is committed, also by others and since the last one, writes
// nothing, and leaves no transaction behind.
func TestGlance(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, other := open(t, path, options), open(t, path, options)
	for i := range 3 {
		if err := insert(other, i, "v"); err != nil {
			t.Fatal(err)
		}
		n := 0
		err := db.Glance(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n) })
		if err != nil || n != i+1 {
			t.Errorf("%d rows, %v; want %d", n, err, i+1)
		}
	}
	err := db.Glance(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), "DELETE FROM t")
		return err
	})
	if err == nil || count(t, db) != 3 {
		t.Errorf("a glance wrote: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Glance(t.Context(), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("when closed: %v", err)
	}
}

func TestPanicDoesNotHang(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, options)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		db.Write(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (1, 'v')"); err != nil {
				t.Error(err)
			}
			panic("a mistake")
		})
	}()
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("it can't be closed")
	}
	if n := count(t, open(t, path, options)); n != 0 {
		t.Errorf("%d rows of the transaction that panicked", n)
	}
}

// TestFolderThatCannotBeWritten: SQLite's own words say nothing of why.
func TestFolderThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes to every folder")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	if err := open(t, path, options).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	_, err := sqldb.Open(t.Context(), path, options)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "beside it") {
		t.Errorf("%v", err)
	}
}

func TestMigrationKeepsACopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?#%20\n.db")
	db := open(t, path, options)
	if err := insert(db, 1, "v"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	newer := options
	newer.Migrations = append(newer.Migrations, "ALTER TABLE t ADD COLUMN w TEXT", "UPDATE t SET w = v || '!'")
	db = open(t, path, newer)
	var w string
	err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT w FROM t WHERE k = 1").Scan(&w)
	})
	if err != nil || w != "v!" {
		t.Errorf("after migration: %q, %v", w, err)
	}
	db.Close()
	if n := count(t, open(t, path+".schema1", options)); n != 1 {
		t.Errorf("copy has %d rows", n)
	}
	if _, err := sqldb.Open(t.Context(), path, options); !errors.Is(err, sqldb.ErrNewer) {
		t.Errorf("opened by an older program: %v", err)
	}
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, path, options)
	insert(db, 1, "v")
	db.Close()
	broken := options
	broken.Migrations = append(broken.Migrations, "DELETE FROM t; CREATE TABLE t (again)")
	if _, err := sqldb.Open(t.Context(), path, broken); err == nil {
		t.Fatal("a broken migration went through")
	}
	if n := count(t, open(t, path, options)); n != 1 {
		t.Errorf("%d rows left", n)
	}
}

func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqldb.Open(t.Context(), text, options); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("text file: %v", err)
	}
	other := filepath.Join(dir, "other")
	raw, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec("CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	raw.Close()
	if _, err := sqldb.Open(t.Context(), other, options); !errors.Is(err, sqldb.ErrForeign) {
		t.Errorf("another program's database: %v", err)
	}
}

// BenchmarkWrite shows what grouping gains: one writer pays an fsync each
// time, sixteen share it.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db, err := sqldb.Open(b.Context(), filepath.Join(b.TempDir(), "x.db"), options)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for k := w; k < b.N; k += writers {
						if err := insert(db, k, "v"); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
