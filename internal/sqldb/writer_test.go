package sqldb_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/firn-archive/firn/internal/sqldb"
)

// TestWriteAgain: functions that may run twice share what they do with all others of
// their group, and a failure among them is nobody else's.
func TestWriteAgain(t *testing.T) {
	no := errors.New("no")
	for _, c := range []struct {
		name string
		// What each member of a group is: a may run again, A fails each time, f fails
		// the first time it runs, x's context ends while it waits, w runs once, W does
		// and fails.
		group string
		runs  []int
	}{
		{"fine", "aaa", []int{1, 1, 1}},
		{"mixed", "waw", []int{1, 1, 1}},
		{"one fails", "aAa", []int{2, 2, 1}},
		{"the last fails", "waA", []int{1, 2, 2}},
		{"a single one that fails", "wWA", []int{1, 1, 2}},
		{"one that runs once fails", "aWa", []int{1, 1, 1}},
		{"the second run succeeds", "af", []int{2, 2}},
		{"all fail", "AAA", []int{2, 1, 1}},
		{"one has ended", "axa", []int{1, 0, 1}},
		{"one has ended, one fails", "xAw", []int{0, 2, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
			runs, errs := make([]int, len(c.group)), make([]error, len(c.group))
			ctx, end := context.WithCancelCause(t.Context())
			entered, leave := make(chan struct{}), make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() {
				db.Write(t.Context(), func(*sqldb.Tx) error {
					close(entered)
					<-leave
					end(no) // too late for what is taken along
					return nil
				})
			})
			<-entered
			for i, what := range c.group {
				member := func(tx *sqldb.Tx) error {
					runs[i]++
					if _, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (?, ?)", i, string(what)); err != nil {
						return err
					}
					if what == 'A' || what == 'W' || what == 'f' && runs[i] == 1 {
						return no
					}
					return nil
				}
				all.Go(func() {
					switch what {
					case 'w', 'W':
						errs[i] = db.Write(t.Context(), member)
					case 'x':
						errs[i] = db.WriteAgain(ctx, member)
					default:
						errs[i] = db.WriteAgain(t.Context(), member)
					}
				})
				for db.Waiting() <= i { // they come in this order
					runtime.Gosched()
				}
			}
			close(leave)
			all.Wait()
			rows := 0
			for i, what := range c.group {
				fails := what == 'A' || what == 'W' || what == 'x'
				if fails != errors.Is(errs[i], no) || !fails && errs[i] != nil {
					t.Errorf("%c, number %d: %v", what, i, errs[i])
				}
				if !fails {
					rows++
				}
			}
			if n := count(t, db); n != rows {
				t.Errorf("%d rows, want %d", n, rows)
			}
			// Of those after the first that fails nobody knows yet when it does.
			if !slices.Equal(runs, c.runs) {
				t.Errorf("runs %v, want %v", runs, c.runs)
			}
		})
	}
}
