package sqldb_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// TestPatiently: what waits for others is committed by the first that comes, and alone
// where nobody does.
func TestPatiently(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	insert := func(ctx context.Context, k int) error {
		return db.WriteAgain(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO t VALUES (?, 'v')", k)
			return err
		})
	}
	patiently := sqldb.Patiently(t.Context())
	const tries = 100
	together := 0
	for k := range tries {
		done := make(chan error, 1)
		go func() { done <- insert(patiently, 2*k) }()
		for db.Waiting() == 0 && len(done) == 0 {
		}
		before := 0
		for range 50 { // each waits for who commits: whoever is not patient does it now
			before = db.Commits()
			runtime.Gosched()
		}
		waits := db.Waiting() == 1
		if err := errors.Join(insert(t.Context(), 2*k+1), <-done); err != nil {
			t.Fatal(err)
		}
		if waits && db.Commits() == before+1 {
			together++
		}
	}
	if together < tries/4 { // it doesn't wait for ever, and this machine may be slow
		t.Errorf("%d of %d were committed with another", together, tries)
	}
	if err := insert(patiently, 2*tries); err != nil {
		t.Errorf("alone: %v", err)
	}
	if n := count(t, db); n != 2*tries+1 {
		t.Errorf("%d rows", n)
	}
}

// TestPatientlyInVain: a patient write whose context ends doesn't happen.
func TestPatientlyInVain(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	no := errors.New("no")
	ctx, cancel := context.WithCancelCause(sqldb.Patiently(t.Context()))
	cancel(no)
	err := db.WriteAgain(ctx, func(*sqldb.Tx) error {
		t.Error("it ran")
		return nil
	})
	if !errors.Is(err, no) {
		t.Error(err)
	}
	db.Close()
	if err := db.Write(sqldb.Patiently(t.Context()), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
