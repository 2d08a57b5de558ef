package catalog_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/sqldb"
)

// schemaOne makes a catalog of schema 1 with the rows that a newer one has.
func schemaOne(t *testing.T, path string, newer *catalog.Catalog) *sqldb.DB {
	t.Helper()
	ctx := t.Context()
	old, err := sqldb.Open(ctx, path, sqldb.Options{ApplicationID: catalog.ApplicationID, Name: "catalog", Migrations: []string{catalog.Schema()}})
	check(t, err)
	t.Cleanup(func() { old.Close() })
	for _, table := range []string{"catalog", "store", "store_url", "tree", "run", "dir", "file", "version", "archive", "location", "by_tree", "by_tree_new", "by_remote", "by_remote_new", "seal", "intent", "job"} {
		rows, err := newer.Query(ctx, "SELECT * FROM "+table)
		check(t, err)
		if len(rows) == 0 {
			t.Fatalf("nothing in %s: this test shows little", table)
		}
		check(t, old.Write(ctx, func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
			var columns int // newer ones come behind
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM pragma_table_info(?)", table).Scan(&columns); err != nil {
				return err
			}
			for _, row := range rows {
				row = row[:columns]
				for i := range row {
					if b, ok := row[i].([]byte); ok && b == nil {
						row[i] = []byte{} // nil would be NULL
					}
				}
				if _, err := tx.Exec(ctx, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(row)-1)+")", row...); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return old
}

// count gives the number of rows of a table of a catalog of schema 1.
func count(t *testing.T, path, table string) (n int) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, sqldb.Options{ApplicationID: catalog.ApplicationID, Name: "catalog", Migrations: []string{catalog.Schema()}})
	check(t, err)
	defer db.Close()
	check(t, db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n)
	}))
	return n
}

// TestMigrationFromSchema1: all that was there stays, in the catalog and in a
// copy beside it.
func TestMigrationFromSchema1(t *testing.T) {
	f := lived(t)
	ctx := t.Context()
	_, err := f.JobIntent(ctx, catalog.Job{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Archive: 1, Remote: firn.Job{Kind: firn.RetrievalJob}})
	check(t, err)
	path := filepath.Join(t.TempDir(), "catalog.db")
	old := schemaOne(t, path, f.Catalog)
	check(t, old.Write(ctx, func(tx *sqldb.Tx) error {
		for _, left := range []string{ // which no firn wrote
			"INSERT INTO restore (store, run, at_run, target, tier, options, state, started) VALUES (1, 1, 0, x'2f', 'bulk', '{}', 2, 0)",
			"INSERT INTO restore_range (restore, archive, from_byte, to_byte, state) VALUES (1, 1, 0, 5, 1)",
			"INSERT INTO restore_file (restore, dir, name, since, state) VALUES (1, 1, x'61', 1, 1)",
			"INSERT INTO piece (restore, archive, offset, size, tree) VALUES (1, 1, 0, 5, x'00')",
		} {
			if _, err := tx.Exec(ctx, left); err != nil {
				return err
			}
		}
		return nil
	}))
	check(t, old.Close())

	cat := open(t, path, f.clock)
	if cat.ID() != f.ID() {
		t.Error("it became another catalog")
	}
	before, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	after, _ := stream(t, cat, f.store.ID, catalog.RowsOptions{})
	if diff := gocmp.Diff(portrait(t, before), portrait(t, after)); diff != "" {
		t.Error(diff)
	}
	checkInvariants(t, cat)
	if restores, err := cat.Restores(ctx, 0, false); err != nil || len(restores) > 0 {
		t.Errorf("restores that nobody began: %v, %v", restores, err)
	}
	id, err := cat.PlanRestore(ctx, catalog.Restore{Store: f.store.ID, Key: "k"})
	check(t, err)
	check(t, cat.AddRanges(ctx, id, []catalog.RestoreRange{{Archive: 1, Range: firn.Range{End: int64(len("first a"))}}}))
	checkInvariants(t, cat)
	if wanted, err := cat.WantedByRestore(ctx, 1); err != nil || !wanted {
		t.Errorf("a range that was added isn't wanted: %v", err)
	}
	check(t, cat.Close())

	copied := path + ".schema1"
	for table, want := range map[string]int{"archive": 7, "restore": 1, "restore_range": 1, "restore_file": 1, "piece": 1, "job": 1} {
		if n := count(t, copied, table); n != want {
			t.Errorf("the copy has %d rows in %s, want %d", n, table, want)
		}
	}
	again := open(t, path, f.clock) // is not migrated twice
	if _, err := again.RestoreByID(ctx, id); err != nil {
		t.Error(err)
	}
}

// TestNewCatalogsHaveNoCopies: there was nothing before.
func TestNewCatalogsHaveNoCopies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	cat, err := catalog.Open(context.Background(), path, clock.NewManual(epoch))
	check(t, err)
	check(t, cat.Close())
	if files, err := filepath.Glob(path + "*"); err != nil || len(files) != 1 {
		t.Errorf("%q, %v", files, err)
	}
}
