package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// faults runs Check, and gives what it found as lines.
func faults(tb testing.TB, cat *catalog.Catalog) (lines []string, done catalog.Checked) {
	tb.Helper()
	done, err := cat.Check(tb.Context(), func(f catalog.Fault) error {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Rule, f.Where, f.What))
		return nil
	})
	check(tb, err)
	if int64(len(lines)) != done.Faults {
		tb.Errorf("%d faults were told, and %d counted", len(lines), done.Faults)
	}
	return lines, done
}

// lived makes a catalog that has seen all sorts of things, with small pages.
func lived(tb testing.TB) *fixture {
	tb.Helper()
	f := newFixture(tb)
	f.SetSizes(2, 2, 3)
	f.record(tb, f.run, directory(""), directory("d"), directory("d/e"), symlink("d/link", "x"), regular("empty", ""))
	for _, name := range []string{"a", "d/b", "d/e/c"} {
		f.upload(tb, f.run, regular(name, "first "+name))
	}
	f.run = f.begin(tb)
	f.upload(tb, f.run, regular("a", "second"))
	bundle := f.intendBundle(tb, f.run, bundled(regular("d/small 1", "1"), regular("d/small 2", "22"))...)
	f.stored(tb, f.run, bundle)
	sealed := newBundle()
	sealed.Seal = &catalog.Sealing{Header: []byte("header"), Recipients: catalog.Recipients{7}}
	run := f.begin(tb)
	run.Recipients = catalog.Recipients{7}
	check(tb, f.IntendBundle(tb.Context(), &sealed, run, bundled(regular("secret", strings.Repeat("s", 5000)))))
	check(tb, f.Stored(tb.Context(), sealed.ID, firn.Archive{ID: "sealed", Size: 5300, Tree: treehash.Sum([]byte("sealed"))}, run, nil))
	f.run = f.begin(tb)
	if _, err := f.Remove(tb.Context(), f.run, []string{"d/e"}); err != nil {
		tb.Fatal(err)
	}
	f.intend(tb, f.run, regular("on its way", "!"))
	return f
}

func TestCheckOfAGoodCatalog(t *testing.T) {
	f := lived(t)
	check(t, f.CheckFile(t.Context()))
	lines, done := faults(t, f.Catalog)
	if len(lines) > 0 {
		t.Errorf("faults:\n%s", strings.Join(lines, "\n"))
	}
	want := catalog.Checked{Stores: 1, Trees: 1, Dirs: 3, Files: 9, Versions: 3, Archives: 7, Locations: 7}
	if done != want {
		t.Errorf("looked at %+v, want %+v", done, want)
	}
}

// TestCheckCountsWhatIsToBeSentAgain: a loss is no fault of the catalog.
func TestCheckCountsWhatIsToBeSentAgain(t *testing.T) {
	f := lived(t)
	loc, ok, err := f.FindContent(t.Context(), f.store.ID, content("second"))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	check(t, f.MarkLost(t.Context(), f.run, []int64{loc.Archive}))
	if lines, done := faults(t, f.Catalog); len(lines) > 0 || done.Unstored != 1 {
		t.Errorf("%d are not stored, faults %q", done.Unstored, lines)
	}
}

// TestCheckFinds breaks one thing after the other: each is told, as what it is,
// and nothing else.
func TestCheckFinds(t *testing.T) {
	const newest = "(SELECT max(id) FROM archive)"
	for name, tt := range map[string]struct {
		harm string
		want []string
	}{
		"store sums":          {"UPDATE store SET bytes = bytes + 1", []string{"sum: store local:/v: it says "}},
		"tree sums":           {"UPDATE tree SET links = 4", []string{"sum: tree photos: it says 6 files of 5018 bytes, 2 directories, 4 links, and there are 6 files of 5018 bytes, 2 directories, 1 links"}},
		"lost entry":          {"DELETE FROM file WHERE name = CAST('a' AS BLOB)", []string{"sum: tree photos"}},
		"no directory":        {"UPDATE OR IGNORE file SET dir = 99 WHERE name = CAST('b' AS BLOB)", []string{"sum: tree photos", `entry: directory 99, "b": its directory is not there`}},
		"no parent":           {"DELETE FROM dir WHERE key = x'' AND NOT EXISTS (SELECT 1 FROM file WHERE name = 'none')", []string{"sum: tree", "directory: tree photos: /d: the directory above it is not there", "its directory is not there", "its directory is not there", "its directory is not there", "its directory is not there", "its directory is not there"}},
		"no tree":             {"INSERT INTO dir (tree, key) VALUES (99, x'')", []string{"directory: tree 99: /: its tree is not there"}},
		"no run":              {"UPDATE file SET since = 99 WHERE name = CAST('b' AS BLOB)", []string{"entry: tree photos: /d/b: the run 99 that made it is not there"}},
		"no archive":          {"UPDATE file SET archive = 0, member = 0 WHERE name = CAST('b' AS BLOB)", []string{"/d/b: it has 9 bytes, and is in no archive"}},
		"unknown archive":     {"UPDATE file SET archive = 99 WHERE name = CAST('b' AS BLOB)", []string{"/d/b: the archive 99 that it is in is not there"}},
		"unknown member":      {"UPDATE file SET member = 99 WHERE name = CAST('b' AS BLOB)", []string{"has no content 99"}},
		"another's content":   {"UPDATE file SET archive = 1, member = 0, size = 9 WHERE name = CAST('small 1' AS BLOB)", []string{"sum: tree", "it has 9 bytes, and its content in archive 1 has 7"}},
		"kind and name":       {"UPDATE file SET mode = 33188 WHERE name = x'' AND dir = 2", []string{"sum: tree", "doesn't fit its name", "/d: it has 4096 bytes, and is in no archive"}},
		"no kind":             {"UPDATE file SET mode = 420 WHERE name = CAST('empty' AS BLOB)", []string{"/empty: mode 644 is that of no file, directory or link"}},
		"a link to nowhere":   {"UPDATE file SET target = NULL WHERE name = CAST('link' AS BLOB)", []string{"and it has a target: false"}},
		"other store":         {"INSERT INTO store (id, identity, kind, url, name, region, address, registered, registered_ns, archives, bytes) SELECT 7, 'two', kind, 'u', name, region, address, registered, registered_ns, 1, 9 FROM store; UPDATE store SET archives = archives - 1, bytes = bytes - 9 WHERE id = 1; UPDATE archive SET store = 7 WHERE id = 2", []string{"/d/b: the archive 2 that it is in is in another store"}},
		"never stored":        {"UPDATE archive SET state = 20 WHERE id = 2", []string{"sum: store", "/d/b: the archive 2 that it is in was never stored: it is dropped"}},
		"deleted":             {"UPDATE archive SET state = 22 WHERE id = 2", []string{"sum: store", "/d/b: the archive 2 that it is in was deleted"}},
		"backward version":    {"UPDATE version SET until = since WHERE name = CAST('a' AS BLOB)", []string{"version: tree photos: /a: it is from run 1 and was replaced in run 1"}},
		"overlapping version": {"UPDATE version SET until = 4 WHERE name = CAST('a' AS BLOB)", []string{"version: tree photos: /a: it was replaced in run 4, and the version after it is from run 2"}},
		"replaced by nobody":  {"UPDATE version SET until = 99 WHERE name = CAST('c' AS BLOB)", []string{"version: tree photos: /d/e/c: the run 99 that replaced it is not there"}},
		"no such state":       {"UPDATE archive SET state = 12 WHERE id = 2", []string{"sum: store", "archive 2: there is no state 12"}},
		"no id":               {"UPDATE archive SET remote = NULL WHERE id = 2", []string{"archive 2: it is stored, and the store's id of it is missing"}},
		"open for ever":       {"DELETE FROM intent WHERE archive = " + newest, []string{"archive 7: it has no outcome yet, and nothing says what it was to be"}},
		"open and settled":    {"UPDATE archive SET state = 20 WHERE id = " + newest, []string{"archive 7: it is dropped, and still counts as under way"}},
		"intent of nothing":   {"UPDATE intent SET archive = 99", []string{"reference: intent: the archive 99", "archive 7: it has no outcome"}},
		"beyond the end":      {"UPDATE location SET offset = 1 << 30 WHERE archive = 5 AND member = 1", []string{"location: archive 5, member 1: its 2 bytes at 1073741824 reach beyond the end"}},
		"half a hash":         {"UPDATE location SET tree = x'00' WHERE archive = 2", []string{"with a hash of 1 bytes, can't be"}},
		"location of nothing": {"INSERT INTO location (archive, member, offset, size) VALUES (99, 0, 0, 1)", []string{"location: archive 99, member 0: its archive is not there"}},
		"content not found":   {"DELETE FROM by_tree WHERE archive = 2; DELETE FROM by_tree_new WHERE archive = 2", []string{"index: archive 2, member 0: the index of contents by hash lacks it"}},
		"archive not found":   {"DELETE FROM by_remote WHERE archive = 2; DELETE FROM by_remote_new WHERE archive = 2", []string{"index: archive 2: the index of archives by hash lacks it"}},
		"doubt of nothing":    {"INSERT INTO doubt (store, archive, since, since_ns, size, tree) VALUES (1, 99, 0, 0, 0, 0)", []string{"reference: doubt: the archive 99 that it refers to is not there"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := lived(t)
			for harm := range strings.SplitSeq(tt.harm, "; ") {
				check(t, f.Exec(t.Context(), harm))
			}
			lines, _ := faults(t, f.Catalog)
			if len(lines) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%s", len(lines), len(tt.want), strings.Join(lines, "\n"))
			}
			for i, want := range tt.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("fault %q, want %q", lines[i], want)
				}
			}
		})
	}
}

// TestRebuildIndex: what is missing comes back, and what is too much goes.
func TestRebuildIndex(t *testing.T) {
	f := lived(t)
	for _, harm := range []string{
		"DELETE FROM by_tree", "DELETE FROM by_remote_new",
		"INSERT INTO by_tree (h64, archive, member) VALUES (5, 2, 0), (6, 99, 0)", "INSERT INTO by_remote (h64, archive) VALUES (5, 2)",
	} {
		check(t, f.Exec(t.Context(), harm))
	}
	if lines, _ := faults(t, f.Catalog); len(lines) == 0 {
		t.Error("nothing is missing: this test shows nothing")
	}
	done, err := f.RebuildIndex(t.Context())
	check(t, err)
	if done.Added == 0 || done.Removed != 3 {
		t.Errorf("%+v", done)
	}
	if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
		t.Errorf("still: %q", lines)
	}
	checkInvariants(t, f.Catalog)
	if done, err = f.RebuildIndex(t.Context()); err != nil || done != (catalog.Reindexed{}) {
		t.Errorf("again: %+v, %v", done, err)
	}
}

// TestCheckBesideASync: what is written while it looks is no fault.
func TestCheckBesideASync(t *testing.T) {
	f := lived(t)
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; i < fewer(1000, 400); i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, err := f.Record(t.Context(), f.run, []catalog.Change{regular(fmt.Sprintf("d/%d", i), ""), directory(fmt.Sprintf("new/%d", i))}); err != nil {
				done <- err
				return
			}
			ch := regular(fmt.Sprintf("x/%d", i), fmt.Sprint("text ", i))
			if err := f.StoreAll(t.Context(), f.run, []catalog.Change{ch}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range fewer(5, 2) {
		if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
			t.Errorf("%d faults, such as %s", len(lines), lines[0])
		}
	}
	close(stop)
	check(t, <-done)
}

// TestDamagedCatalogs: damage is told at open, with what to do about it.
func TestDamagedCatalogs(t *testing.T) {
	for name, harm := range map[string]string{
		"table":    "DROP TABLE version",
		"id":       "DELETE FROM catalog",
		"short id": "UPDATE catalog SET token = x'0102'",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "catalog.db")
			f := openFixture(t, path)
			check(t, f.Exec(t.Context(), "PRAGMA foreign_keys=OFF"))
			check(t, f.Exec(t.Context(), "DELETE FROM run"))
			check(t, f.Exec(t.Context(), harm))
			check(t, f.Close())
			_, err := catalog.Open(t.Context(), path, f.clock)
			wantKind(t, err, firn.Corrupt, path)
			if err != nil && !strings.Contains(err.Error(), "firn recover STORE") {
				t.Errorf("it doesn't say what to do: %v", err)
			}
		})
	}
}

// TestDamagedPages writes over a page in the middle of the file: either it shows
// at open, or Check tells of it, with all that can be checked in spite of it.
func TestDamagedPages(t *testing.T) {
	for _, table := range []string{"version", "file", "archive", "by_tree", "catalog", "tree"} {
		t.Run(table, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "catalog.db")
			f := openFixture(t, path)
			for i := range 50 {
				f.upload(t, f.run, regular(fmt.Sprintf("d/%d", i), fmt.Sprint("text ", i)))
			}
			rows, err := f.Query(t.Context(), "SELECT rootpage * page_size, page_size FROM sqlite_schema, pragma_page_size WHERE name = ?", table)
			check(t, err)
			check(t, f.Close())
			end, size := rows[0][0].(int64), rows[0][1].(int64)
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			check(t, err)
			_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), end-size)
			check(t, errors.Join(err, file.Close()))
			cat, err := catalog.Open(t.Context(), path, f.clock)
			if err != nil {
				wantKind(t, err, firn.Corrupt, path)
				return
			}
			defer cat.Close()
			wantKind(t, cat.CheckFile(t.Context()), firn.Corrupt, path)
			lines, _ := faults(t, cat)
			if text := strings.Join(lines, "\n"); !strings.Contains(text, "file: the file: ") {
				t.Errorf("faults %q", text)
			}
		})
	}
}

// BenchmarkCheck looks at a catalog of b.N files.
func BenchmarkCheck(b *testing.B) {
	f := newFixture(b)
	changes := make([]catalog.Change, 0, 10_000)
	for i := range b.N {
		changes = append(changes, regular(fmt.Sprintf("%03d/%d", i/1000%1000, i), fmt.Sprint(i)))
		if len(changes) == cap(changes) || i == b.N-1 {
			check(b, f.StoreAll(b.Context(), f.run, changes))
			changes = changes[:0]
		}
	}
	start := time.Now()
	b.ResetTimer()
	if lines, _ := faults(b, f.Catalog); len(lines) > 0 {
		b.Fatal(lines[0])
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "files/s")
}
