package foreign_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/sqldb"
	"github.com/firn-archive/firn/internal/testprog"
)

// holding runs fn while another connection has the database to itself.
func holding(t *testing.T, path string, fn func()) {
	t.Helper()
	other, err := sqldb.OpenShared(t.Context(), path, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	undone := errors.New("it is not for good")
	err = other.Write(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(t.Context(), "UPDATE archive SET name = 'x'"); err != nil {
			return err
		}
		fn()
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
}

// TestCacheStaysLocked: who has it locked for longer than anybody waits is told of,
// and nothing is changed; what only reads goes on meanwhile.
func TestCacheStaysLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	add(t, openCache(t, path), "A", "a", "r", "KEY")
	const wait = 50 * time.Millisecond
	c, err := foreign.OpenCacheWaiting(t.Context(), path, wait)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	holding(t, path, func() {
		for what, write := range map[string]func() error{
			"Prepare": func() error { return c.Prepare(t.Context()) },
			"Deleted": func() error { return c.Deleted(t.Context(), "A", day) },
			"Add":     func() error { return c.Add(t.Context(), foreign.CacheRow{ID: "B"}) },
		} {
			err := write()
			const says = "db: another program has had it locked for 50ms; it is as it was; try again when that program has ended"
			if firn.KindOf(err) != firn.Conflict || !strings.HasSuffix(err.Error(), says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got := names(t, c, "r"); got != "a" {
			t.Error(got)
		}
	})
	if err := c.Deleted(t.Context(), "A", day); err != nil {
		t.Error(err)
	}
}

// TestCacheLockedToReaders: a lock that keeps even readers out is told of likewise, by
// whoever opens it.
func TestCacheLockedToReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	add(t, openCache(t, path), "A", "a", "r", "KEY")
	cmd := exec.Command(testprog.Need(t, "sqlite3"), path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := in.Write([]byte("BEGIN EXCLUSIVE; SELECT 'locked';\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, len("locked\n"))); err != nil {
		t.Fatal(err)
	}
	_, err = foreign.OpenCacheWaiting(t.Context(), path, 50*time.Millisecond)
	if firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), "another program has had it locked") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := foreign.OpenCache(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestSpoiltCache: what is no cache, or a damaged one, is told of in one line by
// everything that is done with it, and stays as it is.
func TestSpoiltCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	c := openCache(t, path)
	for _, id := range []string{"A", "B", "C"} {
		add(t, c, id, strings.Repeat(id, 10_000), "r", "KEY") // some pages each
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for end := 1; end < len(good); end *= 3 {
		spoilt(t, good[:end], firn.Corrupt, firn.Usage)
	}
	const page = 4096
	for _, at := range []int{100, page} { // where the tables' own pages begin
		spoilt(t, append(append(bytes.Clone(good[:at]), bytes.Repeat([]byte{0xee}, 64)...), good[at+64:]...), firn.Corrupt)
	}
	spoilt(t, []byte("dear diary"), firn.Usage)
}

// spoilt opens a cache of some bytes, and does with it what commands do.
func spoilt(t *testing.T, data []byte, kinds ...firn.Kind) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := foreign.OpenCache(t.Context(), path)
	if err == nil {
		err = c.List(t.Context(), "r", "v", func(foreign.CacheRow) error { return nil })
		if err == nil {
			err = c.Prepare(t.Context())
		}
		c.Close()
	}
	if !slices.Contains(kinds, firn.KindOf(err)) || err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "the cache "+path+": ") {
		t.Errorf("%d bytes: %v", len(data), err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		t.Errorf("%d bytes: they are %d now, %v", len(data), len(now), err)
	}
}
