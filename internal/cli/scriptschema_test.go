package cli

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/sqldb"
)

// olderSchema is that of the version before this one's.
const olderSchema = 4

// makeOlder writes the catalog as the version before this one had it: what came since
// isn't in it.
func makeOlder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: older")
	}
	var scripts []string
	for n := 1; n <= olderSchema+1; n++ {
		name := "schema.sql"
		if n > 1 {
			name = fmt.Sprintf("schema%d.sql", n)
		}
		script, err := os.ReadFile(filepath.Join("..", "catalog", name))
		ts.Check(err)
		scripts = append(scripts, string(script))
	}
	path := filepath.Join(ts.Getenv("FIRN_HOME"), "catalog.db")
	open := func(path string, schema int) *sqldb.DB {
		db, err := sqldb.Open(context.Background(), path, sqldb.Options{ApplicationID: catalog.ApplicationID, Name: "catalog", Migrations: scripts[:schema]})
		ts.Check(err)
		return db
	}
	older, now := open(path+".older", olderSchema), open(path, olderSchema+1)
	ts.Check(copyTables(older, now))
	ts.Check(older.Close())
	ts.Check(now.Close())
	ts.Check(os.Rename(path+".older", path))
}

// copyTables fills the tables of a new database with the rows of another's, in the
// columns that it has.
func copyTables(to, from *sqldb.DB) error {
	ctx := context.Background()
	return to.Write(ctx, func(w *sqldb.Tx) error {
		if _, err := w.Exec(ctx, "PRAGMA defer_foreign_keys = ON"); err != nil {
			return err
		}
		tables, err := texts(ctx, w, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
		if err != nil {
			return err
		}
		for _, table := range tables {
			columns, err := texts(ctx, w, "SELECT name FROM pragma_table_info(?)", table)
			if err != nil {
				return err
			}
			if table == "object" {
				continue // nothing used it
			}
			if _, err := w.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
			insert := fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (?%s)", table, strings.Join(columns, ", "), strings.Repeat(", ?", len(columns)-1))
			err = from.Read(ctx, func(r *sqldb.Tx) error {
				return copyRows(ctx, w, insert, r, "SELECT "+strings.Join(columns, ", ")+" FROM "+table, len(columns))
			})
			if err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		return nil
	})
}

func copyRows(ctx context.Context, w *sqldb.Tx, insert string, r *sqldb.Tx, query string, columns int) error {
	rows, err := r.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, dest := make([]any, columns), make([]any, columns)
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i := range row {
			if b, ok := row[i].([]byte); ok && b == nil {
				row[i] = []byte{} // nil would be NULL
			}
		}
		if _, err := w.Exec(ctx, insert, row...); err != nil {
			return err
		}
	}
	return rows.Err()
}

// texts gives a column of text.
func texts(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (all []string, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one sql.NullString
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one.String)
	}
	return all, rows.Err()
}
