package foreign_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
)

// readAll opens a file as whatever it is, and reads all there is in it. What it
// gives is how much that was.
func readAll(t testing.TB, path string) (rows int, err error) {
	kind, err := foreign.Sniff(t.Context(), path)
	if err != nil {
		return 0, err
	}
	bad := func(err error) error { rows++; return nil }
	switch kind {
	case foreign.GlacierCLIDatabase, foreign.ForkDatabase:
		return readCLI(t.Context(), path, bad, &rows)
	case foreign.GlacierSyncDatabase:
		return readSync(t.Context(), path, bad, &rows)
	case foreign.InventoryJSON, foreign.InventoryCSV:
		_, err = foreign.ReadInventory(path, func(firn.Archive) error { rows++; return nil }, bad)
	}
	return rows, err
}

func readCLI(ctx context.Context, path string, bad foreign.Bad, rows *int) (int, error) {
	g, err := foreign.OpenGlacierCLI(ctx, path)
	if err != nil {
		return 0, err
	}
	_, err1 := g.Vaults(ctx)
	err2 := g.Archives(ctx, "", func(a foreign.CachedArchive) error {
		a.Tree(1)
		*rows++
		return nil
	}, bad)
	return *rows, errors.Join(err1, err2, g.Close())
}

func readSync(ctx context.Context, path string, bad foreign.Bad, rows *int) (int, error) {
	g, err := foreign.OpenGlacierSync(ctx, path)
	if err != nil {
		return 0, err
	}
	_, err1 := g.Trees(ctx)
	err2 := g.Files(ctx, func(foreign.SyncedFile) error { *rows++; return nil }, bad)
	err3 := g.Tars(ctx, func(tar foreign.SyncedTar) error {
		if offsets, _, _ := tar.Layout(); len(offsets) != len(tar.Members) {
			return fmt.Errorf("%s: %d offsets of %d members", path, len(offsets), len(tar.Members))
		}
		*rows++
		return nil
	}, bad)
	return *rows, errors.Join(err1, err2, err3, g.Close())
}

// TestHostileSchemas: a schema that computes instead of storing runs nothing.
func TestHostileSchemas(t *testing.T) {
	columns := []string{"id", "name", "vault", `"key"`}
	endless := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i"
	for name, statements := range map[string][]string{
		"endless view": {"CREATE VIEW archive(" + strings.Join(columns, ",") + ") AS " + endless + ",i,i,i FROM n"},
		"computed":     {`CREATE TABLE archive(id, name AS (upper(id)), vault, "key")`, "INSERT INTO archive VALUES('id', 'v', 'k')"},
		"virtual":      {"CREATE VIRTUAL TABLE archive USING fts5(id, name, vault, key)"},
		"view of sync": {strings.ReplaceAll(syncSchema, "CREATE TABLE glaciersync_tars (archive_id text, mtime real)", "CREATE VIEW glaciersync_tars(archive_id, mtime) AS "+endless+",i FROM n")},
	} {
		if rows, err := readAll(t, database(t, statements...)); firn.KindOf(err) != firn.Usage {
			t.Errorf("%s: %d rows, %v", name, rows, err)
		}
	}
	for name, statements := range map[string][]string{
		"trigger":    {cliSchema, "CREATE TRIGGER x AFTER INSERT ON archive BEGIN DELETE FROM archive; END"},
		"odd types":  {strings.ReplaceAll(cliSchema, "VARCHAR", "TIMESTAMP"), "INSERT INTO archive VALUES('2013-12-19', '2013-12-19 00:00:00', 1, 2, 3, 4, 5)"},
		"no row ids": {cliSchema + " WITHOUT ROWID", "INSERT INTO archive VALUES('id', 'a', 'v', 'k', 3, 4, 5)"},
	} {
		if _, err := readAll(t, database(t, statements...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHostileValues: what is larger than any name is not held.
func TestHostileValues(t *testing.T) {
	path := database(t, "PRAGMA page_size=65536", cliSchema, "INSERT INTO archive VALUES('a', CAST(zeroblob(100000000) AS TEXT), 'v', 'k', 1, 1, 1)")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows, err := readAll(t, path)
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 64<<20 {
		t.Errorf("%d rows, %v, %d MiB", rows, err, (after.TotalAlloc-before.TotalAlloc)>>20)
	}
}

// TestEndlessTable: pages that lead back to themselves end with an error, not
// with a full disk.
func TestEndlessTable(t *testing.T) {
	for _, schema := range [][]string{
		{cliSchema, "INSERT INTO archive WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) SELECT 'id'||i, 'a', 'v', 'k', 1, 1, NULL FROM n"},
		{syncSchema, "INSERT INTO glaciersync_files WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) SELECT 'p', '/b', 'f', 1, 1, '' FROM n"},
	} {
		path := database(t, schema...)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		loop(t, data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if rows, err := readAll(t, path); firn.KindOf(err) != firn.Corrupt {
			t.Errorf("%d rows, %v", rows, err)
		}
	}
}

// loop makes all children of inner pages of tables the page itself. Source:
// sqlite.org, "Database File Format", "B-tree Pages".
func loop(t *testing.T, data []byte) {
	const page, inner = 512, 5
	loops := 0
	for n := 2; n*page <= len(data); n++ {
		p := data[(n-1)*page : n*page]
		if p[0] != inner {
			continue
		}
		loops++
		binary.BigEndian.PutUint32(p[8:], uint32(n))
		for cell := range int(binary.BigEndian.Uint16(p[3:])) {
			at := binary.BigEndian.Uint16(p[12+2*cell:])
			binary.BigEndian.PutUint32(p[at:], uint32(n))
		}
	}
	if loops == 0 {
		t.Fatal("the table has one page only")
	}
}

// TestTornDatabase: of a file that is cut short what is there is read, or the
// error says that it is damaged.
func TestTornDatabase(t *testing.T) {
	data, err := os.ReadFile(database(t, threeRuns...))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(data); n += 100 {
		if _, err := readAll(t, file(t, string(data[:n]))); err == nil {
			t.Errorf("%d of %d bytes: no error", n, len(data))
		} else if kind := firn.KindOf(err); kind != firn.Corrupt && n >= 512 {
			t.Errorf("%d of %d bytes: %v (%v)", n, len(data), err, kind)
		}
	}
}

// TestDamagedPages: a page that holds something else spoils what was on it, and
// what is left is read or refused with an error that names the file.
func TestDamagedPages(t *testing.T) {
	const page = 512
	for _, statements := range [][]string{
		{forkSchema, "INSERT INTO archive WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<30) SELECT 'id'||i, 'a', 'v', 'k', 'h', 1, 1, NULL FROM n"},
		threeRuns,
	} {
		data, err := os.ReadFile(database(t, statements...))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(data); at += page {
			for _, with := range []string{"\x00", "\xff", "\x05", "\x0d", "\x02\x01"} {
				damaged := string(data[:at]) + strings.Repeat(with, page/len(with)) + string(data[at+page:])
				if at == 0 {
					damaged = string(data[:100]) + damaged[100:] // it stays a database
				}
				path := file(t, damaged)
				if _, err := readAll(t, path); err != nil && !strings.Contains(err.Error(), path) {
					t.Errorf("page %d with %q: %v", at/page, with, err)
				}
			}
		}
	}
}

// TestWrittenMeanwhile: what is read while another writes may be of two moments,
// and that is said.
func TestWrittenMeanwhile(t *testing.T) {
	path := database(t, cliSchema, "INSERT INTO archive VALUES('id1', 'a', 'v', 'k', 1, 1, NULL), ('id2', 'b', 'v', 'k', 1, 1, NULL)")
	g := openCLI(t, path)
	var got []foreign.CachedArchive
	err := g.Archives(t.Context(), "", func(a foreign.CachedArchive) error {
		if len(got) == 0 {
			write(t, path, "INSERT INTO archive VALUES('id3', 'c', 'v', 'k', 1, 1, NULL)")
		}
		got = append(got, a)
		return nil
	}, nil)
	if firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// TestManyMembers: of a tar with more members than are held, none is told, and
// that is said; its files are told still, and so are the other tars.
func TestManyMembers(t *testing.T) {
	g := openSync(t, database(t, threeRuns...))
	g.LimitMembers(2)
	var tars []foreign.SyncedTar
	var bad []string
	if err := g.Tars(t.Context(), gather(&tars), faults(t, &bad)); err != nil || len(tars) != 3 {
		t.Fatalf("%d tars, %v", len(tars), err)
	}
	for i, want := range []int{0, 2, 2} {
		if n := len(tars[i].Members); n != want {
			t.Errorf("tar %d has %d members, want %d", i+1, n, want)
		}
	}
	if len(bad) != 1 || bad[0] != "db, glaciersync_tars row 1: it has more than 2 members" {
		t.Errorf("%q", bad)
	}
	var files []foreign.SyncedFile
	if err := g.Files(t.Context(), gather(&files), nil); err != nil || len(files) != 6 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// FuzzFile: whatever a file holds, it is read or refused, with an error that
// names it, and it stays as it is.
func FuzzFile(f *testing.F) {
	for _, statements := range [][]string{
		{cliSchema, "INSERT INTO archive VALUES('id1', 'a', 'v', 'k', 1, 1.5, NULL)"},
		{forkSchema, "INSERT INTO archive VALUES('id1', 'a', 'v', 'k', '" + hashOfA + "', 1, 1.5, 2)"},
		threeRuns,
		{"PRAGMA journal_mode=WAL", cliSchema},
	} {
		data, err := os.ReadFile(database(f, statements...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{inJSON, inCSV, journal, chatter + inCSV, packed(f, inJSON, false), packed(f, inCSV, true)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(t, path); err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%v doesn't name the file", err)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(data) {
			t.Errorf("the file has changed, %v", err)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
	})
}
