package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/sqldb"
)

// dump gives all rows of a query, each as text.
func dump(t *testing.T, tx *sqldb.Tx, query string) (all []string) {
	t.Helper()
	rows, err := tx.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return column(t, rows)
}

func column(t *testing.T, rows *sql.Rows) (all []string) {
	t.Helper()
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A name is a string of its own type, as callers have them.
type name string

// TestGivenIsBound: a value comes as it would as a parameter.
func TestGivenIsBound(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	values := []any{nil, 0, 1, -1, 1 << 62, int64(-1 << 63), uint8(7), true, 1.5, "", "text", "a\x00b", "\xff", name("named"), []byte(nil), []byte{}, []byte("blob\x00"), strings.Repeat("x", 100_000)}
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range []string{"bound", "given_to"} {
			if _, err := tx.Exec(t.Context(), "CREATE TABLE "+table+" (id INTEGER PRIMARY KEY, v ANY) STRICT"); err != nil {
				return err
			}
		}
		var rows []any
		for i, v := range values {
			rows = append(rows, i, v)
			if _, err := tx.Exec(t.Context(), "INSERT INTO bound VALUES (?, ?)", i, v); err != nil {
				return err
			}
		}
		_, err := tx.ExecGiven(t.Context(), "INSERT INTO given_to SELECT column1, column2 FROM given", 2, rows)
		if err != nil {
			return err
		}
		const all = "SELECT id || ' ' || typeof(v) || ' ' || quote(v) FROM "
		if diff := cmp.Diff(dump(t, tx, all+"bound"), dump(t, tx, all+"given_to")); diff != "" {
			t.Error(diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestGivenRows reads rows of several widths, none at all, with parameters beside
// them, and within each other, where one can read and where one can write.
func TestGivenRows(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	check := func(tx *sqldb.Tx) error {
		for width := 1; width <= sqldb.GivenColumns; width++ {
			for _, n := range []int{0, 1, 3} {
				var values []any
				var want []string
				for i := range n {
					want = append(want, fmt.Sprint(100*i+width, " of ", n))
					for c := range width {
						values = append(values, 100*i+c+1)
					}
				}
				rows, err := tx.QueryGiven(t.Context(), fmt.Sprintf("SELECT column%d || ' of ' || ? FROM given", width), width, values, n)
				if err != nil {
					return err
				}
				if diff := cmp.Diff(want, column(t, rows)); diff != "" {
					t.Error(diff)
				}
			}
		}
		outer, err := tx.QueryGiven(t.Context(), "SELECT column1 FROM given", 1, []any{"a", "b", "c"})
		if err != nil {
			return err
		}
		defer outer.Close()
		var seen string
		for outer.Next() {
			var s string
			if err := outer.Scan(&s); err != nil {
				return err
			}
			inner, err := tx.QueryGiven(t.Context(), "SELECT column2 || a.column1 FROM given a", 2, []any{1, s, 2, s})
			if err != nil {
				return err
			}
			seen += strings.Join(column(t, inner), " ") + " "
		}
		if seen != "a1 a2 b1 b2 c1 c2 " {
			t.Errorf("seen %q", seen)
		}
		return outer.Err()
	}
	for range 3 { // the statements are kept
		if err := errors.Join(db.Read(t.Context(), check), db.Write(t.Context(), check)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGivenFails: an error takes back the rows before it, and what comes then
// works.
func TestGivenFails(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
	const into = "INSERT INTO t SELECT column1, column2 FROM given"
	for what, values := range map[string][]any{
		"a value of no type":       {1, "one", 2, struct{}{}},
		"a value that can't be":    {1, "one", 2, nil},
		"a key that is there":      {1, "one", 1, "two"},
		"a number that is no text": {1, "one", "x", "two"},
	} {
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.ExecGiven(t.Context(), into, 2, values); err == nil {
				t.Errorf("%s: no error", what)
			}
			if rows := dump(t, tx, "SELECT v FROM t"); len(rows) > 0 {
				t.Errorf("%s: %q", what, rows)
			}
			_, err := tx.ExecGiven(t.Context(), into, 2, []any{7, "seven"})
			return errors.Join(err, errors.New("roll back"))
		})
		if err == nil || err.Error() != "roll back" {
			t.Errorf("%s: %v", what, err)
		}
	}
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecGiven(t.Context(), into, 1, []any{1})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "column 2 was asked for") {
		t.Errorf("a column too few: %v", err)
	}
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows stay", n)
	}
}

// TestGivenApart: connections and databases have rows of their own.
func TestGivenApart(t *testing.T) {
	var all sync.WaitGroup
	for d := range 3 {
		db := open(t, filepath.Join(t.TempDir(), "x.db"), options)
		for r := range 4 {
			all.Go(func() {
				err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
					for i := range 200 {
						want := fmt.Sprint(d, r, i)
						rows, err := tx.QueryGiven(context.Background(), "SELECT column1 FROM given", 1, []any{want, want})
						if err != nil {
							return err
						}
						for rows.Next() {
							var got string
							if err := rows.Scan(&got); err != nil || got != want {
								t.Errorf("%q, not %q: %v", got, want, err)
							}
						}
						if err := rows.Close(); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

// BenchmarkRows compares rows that are given with such that are bound, one and a
// dozen a statement.
func BenchmarkRows(b *testing.B) {
	for _, way := range []struct {
		name string
		rows int // a statement
	}{{"bound-1", 1}, {"bound-12", 12}, {"given-1000", 1000}} {
		b.Run(way.name, func(b *testing.B) {
			db, err := sqldb.Open(b.Context(), filepath.Join(b.TempDir(), "x.db"), options)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			bound := "INSERT INTO w VALUES " + strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?)", way.rows)[2:]
			const given = "INSERT INTO w SELECT column1, column2, column3, column4, column5, column6, column7, column8 FROM given"
			k := 0
			write := func(tx *sqldb.Tx) (err error) {
				if k == 0 {
					_, err = tx.Exec(b.Context(), "CREATE TABLE w (k INTEGER PRIMARY KEY, a, b, c, d, e, f, g)")
				}
				for done := 0; done < 12_000 && err == nil; done += way.rows {
					values := make([]any, 0, 8*way.rows)
					for range way.rows {
						k++
						values = append(values, k, 1, int64(k)<<20, "a text", "another text, a longer one", []byte("0123456789abcdef"), nil, 0)
					}
					if way.name[0] == 'b' {
						_, err = tx.Exec(b.Context(), bound, values...)
					} else {
						_, err = tx.ExecGiven(b.Context(), given, 8, values)
					}
				}
				return err
			}
			for b.Loop() {
				if err := db.Write(b.Context(), write); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
