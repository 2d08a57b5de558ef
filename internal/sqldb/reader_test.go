package sqldb_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/sqldb"
)

// foreign makes a database as another program does, and gives its connection.
func foreign(t *testing.T, path string, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	run(t, db, statements...)
	return db
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// rowsOf gives the texts of table t, or the error that came instead.
func rowsOf(t *testing.T, path string) ([]string, error) {
	t.Helper()
	r, err := sqldb.OpenReader(t.Context(), path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, err := r.Query(t.Context(), "SELECT coalesce(v, 'nothing') FROM t ORDER BY rowid")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, errors.Join(rows.Err(), r.Unchanged(), r.Whole(t.Context()))
}

// contents gives each file of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// crash copies a database and what is beside it, as they would be found if its
// program had died now.
func crash(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range contents(t, filepath.Dir(path)) {
		if strings.HasSuffix(name, "-shm") {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, filepath.Base(path))
}

// half makes a transaction that has begun to write into the file.
func half(t *testing.T, path string) *sql.DB {
	t.Helper()
	return foreign(t, path, "CREATE TABLE t(v)", "INSERT INTO t VALUES('one'),('two')", "CREATE TABLE filler(x)",
		"PRAGMA cache_size=2", "BEGIN", "UPDATE t SET v='half'",
		"INSERT INTO filler WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200) SELECT randomblob(3000) FROM n")
}

// TestReaderReadsAll: what was committed is read, whatever lies beside the
// file, and nothing in the folder changes, nor is left elsewhere.
func TestReaderReadsAll(t *testing.T) {
	made := []string{"CREATE TABLE t(v)", "INSERT INTO t VALUES('one'),('two')"}
	for name, make := range map[string]func(t *testing.T, path string) string{
		"closed": func(t *testing.T, path string) string {
			foreign(t, path, made...).Close()
			return path
		},
		"open": func(t *testing.T, path string) string {
			foreign(t, path, made...)
			return path
		},
		"locked": func(t *testing.T, path string) string {
			foreign(t, path, append(made, "BEGIN EXCLUSIVE", "INSERT INTO t VALUES('three')")...)
			return path
		},
		"closed WAL": func(t *testing.T, path string) string {
			foreign(t, path, append([]string{"PRAGMA journal_mode=WAL"}, made...)...).Close()
			return path
		},
		"open WAL": func(t *testing.T, path string) string {
			foreign(t, path, append([]string{"PRAGMA journal_mode=WAL"}, made...)...)
			return path
		},
		"WAL after a crash": func(t *testing.T, path string) string {
			foreign(t, path, append([]string{"PRAGMA journal_mode=WAL"}, made...)...)
			return crash(t, path)
		},
		"WAL behind a link": func(t *testing.T, path string) string {
			foreign(t, path, append([]string{"PRAGMA journal_mode=WAL"}, made...)...)
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(path, link); err != nil {
				t.Skip(err)
			}
			return link
		},
		"half a transaction": func(t *testing.T, path string) string {
			half(t, path)
			return crash(t, path)
		},
		"a kept journal": func(t *testing.T, path string) string {
			foreign(t, path, append([]string{"PRAGMA journal_mode=PERSIST"}, made...)...)
			return crash(t, path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			t.Setenv("TMP", temp)
			path := make(t, filepath.Join(t.TempDir(), "a b?#%.db"))
			before := contents(t, filepath.Dir(path))
			got, err := rowsOf(t, path)
			if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			if diff := cmp.Diff(before, contents(t, filepath.Dir(path))); diff != "" {
				t.Errorf("the folder has changed:\n%.2000s", diff)
			}
			left, err := filepath.Glob(filepath.Join(temp, "firn-reader-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// TestHalfIsHalf: the transaction that the test above reads past is really one
// that the file alone has half of.
func TestHalfIsHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	half(t, path)
	found := crash(t, path)
	if err := os.Remove(found + "-journal"); err != nil {
		t.Fatal(err)
	}
	if got, err := rowsOf(t, found); err == nil && cmp.Equal(got, []string{"one", "two"}) {
		t.Error("the file is whole without its journal")
	}
}

// TestReaderHindersNobody: while rows are read, the program that owns the
// database writes at once; the reader says that it happened.
func TestReaderHindersNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := foreign(t, path, "PRAGMA busy_timeout=0", "CREATE TABLE t(v)", "INSERT INTO t VALUES('one'),('two')")
	r, err := sqldb.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, err := r.Query(t.Context(), "SELECT v FROM t")
	if err != nil || !rows.Next() {
		t.Fatal("no rows", err)
	}
	defer rows.Close()
	if err := r.Unchanged(); err != nil {
		t.Error(err)
	}
	run(t, db, "INSERT INTO t VALUES('three')")
	if err := r.Unchanged(); !errors.Is(err, sqldb.ErrInUse) {
		t.Errorf("%v, want ErrInUse", err)
	}
}

// TestReaderHasTwoQueries: one goes on while another is asked.
func TestReaderHasTwoQueries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	foreign(t, path, "CREATE TABLE t(v)", "INSERT INTO t VALUES('one'),('two')")
	r, err := sqldb.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for a := range texts(t, r, "SELECT v FROM t ORDER BY v") {
		for b := range texts(t, r, "SELECT v FROM t ORDER BY v DESC") {
			got = append(got, a+b)
		}
	}
	if diff := cmp.Diff([]string{"onetwo", "oneone", "twotwo", "twoone"}, got); diff != "" {
		t.Error(diff)
	}
}

// texts gives the one column of a query.
func texts(t *testing.T, r *sqldb.Reader, query string) func(func(string) bool) {
	return func(yield func(string) bool) {
		rows, err := r.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var v string
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			if !yield(v) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	foreign(t, good, "CREATE TABLE t(v)", "INSERT INTO t VALUES('one')").Close()
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data string
		want error // nil: any
	}{
		"empty":    {"", sqldb.ErrNotDatabase},
		"text":     {"SQLite format 4", sqldb.ErrNotDatabase},
		"the head": {string(data[:90]), nil},
		"torn":     {string(data[:len(data)-100]), sqldb.ErrDamaged},
		"zeros":    {string(data[:100]) + strings.Repeat("\x00", len(data)-100), nil},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := rowsOf(t, path); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	if _, err := rowsOf(t, dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := rowsOf(t, filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestReaderWritesNothing: no statement does, whatever it is.
func TestReaderWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	foreign(t, path, "PRAGMA journal_mode=WAL", "CREATE TABLE t(v)")
	r, err := sqldb.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	other := filepath.Join(t.TempDir(), "other")
	for _, query := range []string{
		"INSERT INTO t VALUES(1) RETURNING v",
		fmt.Sprintf("ATTACH '%s' AS other", other),
		fmt.Sprintf("VACUUM INTO '%s'", other),
	} {
		rows, err := r.Query(t.Context(), query)
		if err == nil {
			for rows.Next() {
			}
			err = errors.Join(rows.Err(), rows.Close())
		}
		if err == nil {
			t.Errorf("%s: no error", query)
		}
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("a file was made")
	}
}

// TestReaderTakesNoHugeValue: a value larger than any name is an error, not
// memory.
func TestReaderTakesNoHugeValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	foreign(t, path, "CREATE TABLE t(v)", "INSERT INTO t VALUES(CAST(zeroblob(100000000) AS TEXT))").Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := rowsOf(t, path)
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 32<<20 {
		t.Errorf("%v, %d MiB", err, (after.TotalAlloc-before.TotalAlloc)>>20)
	}
}
