package sqldb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// killed makes a database of n rows as a killed process leaves it: with a log,
// into which all its rows went that came after the first checkpoint.
func killed(t *testing.T, n int) (path string) {
	t.Helper()
	db := open(t, filepath.Join(t.TempDir(), "live.db"), options)
	for k := range n {
		if err := insert(db, k, strings.Repeat("v", 3000)); err != nil {
			t.Fatal(err)
		}
	}
	return copied(t, db.Path())
}

// copied gives a database that is in use as a kill would leave it.
func copied(t *testing.T, live string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(live + end)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+end, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// closed makes one that was closed: it has no log.
func closed(t *testing.T, n int) (path string) {
	t.Helper()
	path = killed(t, n)
	if err := open(t, path, options).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Fatal("a log is left")
	}
	return path
}

// isDamage reports whether err says that a file is damaged: in our words, or
// SQLite's (11 is SQLITE_CORRUPT, 26 SQLITE_NOTADB).
func isDamage(err error) bool {
	var coded interface{ Code() int }
	return errors.Is(err, sqldb.ErrDamaged) || errors.As(err, &coded) && (coded.Code()&0xff == 11 || coded.Code() == 26)
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// TestDamageIsNoticedAtOpen: and nothing is deleted on account of it.
func TestDamageIsNoticedAtOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(*testing.T, int) string
		harm func(t *testing.T, path string)
	}{
		"cut short":             {closed, func(t *testing.T, path string) { truncate(t, path, 8192) }},
		"cut within a page":     {closed, func(t *testing.T, path string) { truncate(t, path, 50_000) }},
		"cut short with a log":  {longLog, func(t *testing.T, path string) { truncate(t, path, 8192) }},
		"empty with a log":      {killed, func(t *testing.T, path string) { truncate(t, path, 0) }},
		"missing with a log":    {killed, func(t *testing.T, path string) { os.Remove(path) }},
		"header overwritten":    {closed, func(t *testing.T, path string) { overwrite(t, path, 0, 100) }},
		"schema overwritten":    {closed, func(t *testing.T, path string) { overwrite(t, path, 100, 3996) }},
		"page size overwritten": {closed, func(t *testing.T, path string) { overwrite(t, path, 16, 2) }},
	} {
		t.Run(name, func(t *testing.T) {
			path := tt.make(t, 50)
			tt.harm(t, path)
			before := sizes(t, path)
			db, err := sqldb.Open(t.Context(), path, options)
			if err == nil {
				db.Close()
			}
			if !isDamage(err) {
				t.Errorf("error %v", err)
			}
			if after := sizes(t, path); after != before {
				t.Errorf("files of %v bytes became %v", before, after)
			}
		})
	}
}

// longLog makes a database of which but a few pages are in the log.
func longLog(t *testing.T, n int) (path string) {
	path = closed(t, n)
	live := open(t, path, options)
	if err := insert(live, n, "one more"); err != nil {
		t.Fatal(err)
	}
	return copied(t, path)
}

func overwrite(t *testing.T, path string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("\xa5", n)), at); err != nil {
		t.Fatal(err)
	}
}

// sizes gives those of a database and its log.
func sizes(t *testing.T, path string) (all [2]int64) {
	t.Helper()
	for i, end := range []string{"", "-wal"} {
		if info, err := os.Stat(path + end); err == nil {
			all[i] = info.Size()
		}
	}
	return all
}

// TestLogsOfTheKilledAreNoDamage: all pages but the first may be in the log.
func TestLogsOfTheKilledAreNoDamage(t *testing.T) {
	for _, n := range []int{1, 50, 2000} {
		if got := count(t, open(t, killed(t, n), options)); got != n {
			t.Errorf("%d rows of %d", got, n)
		}
	}
}

func TestMoveAside(t *testing.T) {
	path := killed(t, 50)
	overwrite(t, path, 0, 100)
	before, to := sizes(t, path), path+".damaged"
	if err := sqldb.MoveAside(path, to); err != nil {
		t.Fatal(err)
	}
	if after := sizes(t, to); after != before {
		t.Errorf("files of %v bytes became %v", before, after)
	}
	if left := sizes(t, path); left != [2]int64{} {
		t.Errorf("left: %v", left)
	}
	if err := sqldb.MoveAside(path, to+"2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("when nothing is there: %v", err)
	}
	// A kill after the first rename leaves the log.
	path = killed(t, 50)
	os.Remove(path)
	if err := sqldb.MoveAside(path, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("under a name that is taken: %v", err)
	}
	if err := sqldb.MoveAside(path, to+"2"); err != nil || sizes(t, to+"2")[1] == 0 {
		t.Errorf("of a log alone: %v", err)
	}
}

// holdVar names the database that the test program is to open and keep open.
const holdVar = "SQLDB_TEST_HOLD"

func TestHold(t *testing.T) {
	path := os.Getenv(holdVar)
	if path == "" {
		t.Skip("it is for another test's child")
	}
	db, err := sqldb.Open(context.Background(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdout.WriteString("open\n"); err != nil {
		t.Fatal(err)
	}
	os.Stdin.Read(make([]byte, 1))
	db.Close()
}

// TestMoveAsideOfWhatIsOpen: a process that has the database open keeps it.
func TestMoveAsideOfWhatIsOpen(t *testing.T) {
	path := closed(t, 5)
	child := exec.Command(os.Args[0], "-test.run=^TestHold$")
	child.Env = append(os.Environ(), holdVar+"="+path)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.MoveAside(path, path+".aside"); err == nil {
		t.Error("it was moved away under another process")
	}
	in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.MoveAside(path, path+".aside"); err != nil {
		t.Errorf("after the other process: %v", err)
	}
}
