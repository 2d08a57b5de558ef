package adopt_test

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/storetest"
)

// database makes one as another program does, and gives its path.
func (r *rig) database(name string, statements ...string) string {
	r.Helper()
	path := filepath.Join(r.dir, name)
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath())
	r.check(err)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			r.Fatalf("%s: %v", s, err)
		}
	}
	return path
}

// glacierCLI is the schema of glacier-cli's cache.
const glacierCLI = `CREATE TABLE archive (id VARCHAR NOT NULL, name VARCHAR, vault VARCHAR NOT NULL, "key" VARCHAR NOT NULL,
	last_seen_upstream INTEGER, created_here INTEGER, deleted_here INTEGER, PRIMARY KEY (id))`

func cached(id firn.ArchiveID, name, vault, deleted string) string {
	return "INSERT INTO archive VALUES ('" + string(id) + "', " + name + ", '" + vault + "', 'KEY', 1384000000, 1384000000.5, " + deleted + ")"
}

// TestGlacierCLI: the names that glacier-cli kept are those that its users gave,
// and one that it took from another program's description is read as that.
func TestGlacierCLI(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	one, two := r.upload("%C3%BCn%C3%AF", "one"), r.upload(mt2File, "two!")
	three, four := r.upload("<stdin>", "three"), r.upload("words", "xxxxxx")
	gone := r.upload("deleted", "1234567")
	db := r.database("db", glacierCLI, cached(one, "'ünï'", "memory", "NULL"), cached(two, "'"+mt2File+"'", "memory", "NULL"), cached(three, "'<stdin>'", "elsewhere", "NULL"),
		cached(four, "NULL", "memory", "NULL"), cached(gone, "'deleted'", "memory", "1800000000.25"), cached("nowhere", "'lost'", "memory", "NULL"), cached("others", "'x'", "elsewhere", "NULL"))
	res := r.adopt(func(o *adopt.Options) { o.Databases = []string{db} })
	r.want("vault", "<stdin> 5", "words 6", "ünï 3", "file/a 4")
	r.heard("lost is in "+db, "archive "+string(gone)+" was deleted")
	if res.Missing != 1 || res.Deleted != 1 || res.Bare.Files != 0 || res.Bad != 0 || !res.Complete() {
		t.Errorf("%+v", res)
	}
	if res = r.adopt(func(o *adopt.Options) { o.Databases = []string{db} }); res.Known != 4 || res.Files.Files != 0 || res.Deleted != 1 {
		t.Errorf("again: %+v", res)
	}
	// Without an inventory nothing says how large they are.
	r = newRig(t, storetest.MemoryOptions{})
	res = r.adopt(func(o *adopt.Options) { o.Databases, o.WithoutInventory = []string{db}, true })
	r.want("vault")
	r.heard("adopt with an inventory")
	if res.Unsized != 4 {
		t.Errorf("%+v", res)
	}
	other := r.database("other", glacierCLI, cached("x", "'y'", "elsewhere", "NULL"))
	r.adopt(func(o *adopt.Options) { o.Databases = []string{other} })
	r.heard("knows no vault called memory; it knows elsewhere")
}

// glacierSync is the schema of glaciersync.
var glacierSync = []string{
	"CREATE TABLE glaciersync_files (profile text, basepath text, fname text, mtime real, bytesize integer, archive_id text)",
	"CREATE TABLE glaciersync_hashes (archive_id text, hash text)",
	"CREATE TABLE glaciersync_tars (archive_id text, mtime real)",
	"CREATE TABLE glaciersync_tar_files (tar_rowid integer, file_rowid integer)",
}

// synced inserts a file's row; archive is empty for one in a tar.
func synced(name, size string, archive firn.ArchiveID) string {
	return "INSERT INTO glaciersync_files VALUES ('home', '/home/me', '" + name + "', 1367000000.25, " + size + ", '" + string(archive) + "')"
}

// tarOf packs files as glaciersync does, and gives where their contents are.
func tarOf(t *testing.T, names, contents []string) (packed string, offsets []int64) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(contents[i])), Format: tar.FormatGNU}); err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, int64(b.Len()))
		if _, err := w.Write([]byte(contents[i])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for b.Len()%10240 != 0 { // Python pads to whole records
		b.WriteByte(0)
	}
	return b.String(), offsets
}

// TestGlacierSync: files of their own, several of one content, and those in a
// tar, of which it is known where they begin.
func TestGlacierSync(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	long := strings.Repeat("long/", 30) + "name"
	packed, offsets := tarOf(t, []string{"home/me/a", "home/me/" + long, "home/me/empty"}, []string{"content of a", strings.Repeat("b", 1000), ""})
	r.upload(syncedDB, "an older database")
	r.upload("glaciersync sqlite3 db 2013-06-01 20:52:45.774243", "the newest")
	alone, inTar := r.upload(syncedFile, "alone"), r.upload(strings.Repeat("b", 40), packed)
	odd := r.upload(strings.Repeat("c", 40), "no tar of this size")
	db := r.database("db", append(glacierSync,
		synced("alone", "5", alone), synced("moved/alone", "5", alone), synced("a", "12", ""), synced(long, "1000", ""), synced("empty", "0", ""), synced("x", "7", ""),
		"INSERT INTO glaciersync_tars VALUES ('"+string(inTar)+"', 1367000000), ('"+string(odd)+"', 1367000001)",
		"INSERT INTO glaciersync_tar_files VALUES (1, 3), (1, 4), (1, 5), (2, 6)")...)
	first := r.adopt(nil)
	if first.Bare.Files != 3 || first.Files.Files != 2 {
		t.Errorf("without the database: %+v", first)
	}
	r.heard("the newest database of glaciersync is of 2013-06-01", "glaciersync/database.sqlite3 --tree vault.packed --to DIR")
	r.restored("vault.packed", map[string]string{"glaciersync/database.sqlite3": "the newest"})
	res := r.adopt(func(o *adopt.Options) { o.Databases, o.Strip = []string{db}, "/home/me" })
	r.want("vault", "a 12", "alone 5", "empty 0", long+" 1000", "moved/alone 5")
	r.want("vault.packed", "glaciersync/"+string(odd)+".tar 19", "glaciersync/database.sqlite3 10")
	if said := strings.Join(r.said(), "\n"); !strings.Contains(said, "a tar of glaciersync with 1 files") || strings.Contains(said, "the newest database") {
		t.Errorf("with a database that names all: %s", said)
	}
	if len(res.Sources) != 1 || res.Sources[0].Archives.Files != 3 || res.Sources[0].Names != 6 || res.Sources[0].Packed != 1 || res.Known != 2 {
		t.Errorf("%+v", res)
	}
	tree, err := r.catalog.Tree(t.Context(), r.row.ID, "vault")
	r.check(err)
	for i, path := range []string{"a", long} {
		all, err := r.catalog.History(t.Context(), tree.ID, path)
		r.check(err)
		if e := all[0]; e.Location.Remote != inTar || e.Location.Offset != offsets[i] || !e.Content.Tree.IsZero() || !e.Stamp.ModTime.Equal(time.Unix(1367000000, 25e7)) {
			t.Errorf("%s: %+v", path, e)
		}
	}
	all, err := r.catalog.History(t.Context(), tree.ID, "moved/alone")
	r.check(err)
	if e := all[0]; e.Location.Remote != alone || e.Content.Tree.IsZero() {
		t.Errorf("%+v", e)
	}
	r.restored("vault", map[string]string{"a": "content of a", "alone": "alone", "moved/alone": "alone", "empty": "", long: strings.Repeat("b", 1000)})
	if res = r.adopt(func(o *adopt.Options) { o.Databases, o.Strip = []string{db}, "/home/me" }); res.Known != 5 || res.Files.Files != 0 {
		t.Errorf("again: %+v", res)
	}
}

// TestPlaces puts what was below directories into the trees of these, by the longest
// path, and only what says where it was: whole names, none that looks alike.
func TestPlaces(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	packed, offsets := tarOf(t, []string{"home/me/photos/a", "home/me/photos/raw/b"}, []string{"content of a", "content of b"})
	alone, tar := r.upload(syncedFile, "alone"), r.upload(strings.Repeat("b", 40), packed)
	r.upload(cloudPlain, "xyz")
	r.upload("home/me/photos/relative", "xx")
	r.upload("/home/me/photosque/x", "yyy")
	db := r.database("db", append(glacierSync,
		`INSERT INTO glaciersync_files VALUES ('p', '/home/me/photos', 'alone', 1367000000, 5, '`+string(alone)+`'), ('p', '/home/me/docs', 'alone', 1367000000, 5, '`+string(alone)+`'),
			('p', '/home/me/photos', 'a', 1367000000, 12, ''), ('p', '/home/me/photos', 'raw/b', 1367000000, 12, ''), ('p', '/elsewhere', 'alone', 1367000000, 5, '`+string(alone)+`')`,
		"INSERT INTO glaciersync_tars VALUES ('"+string(tar)+"', 1367000000)", "INSERT INTO glaciersync_tar_files VALUES (1, 3), (1, 4)")...)
	r.adopt(func(o *adopt.Options) {
		o.Databases = []string{db}
		o.Places = []adopt.Place{{"/home/me/photos", "pictures"}, {"/home/me/photos/raw/", "raw"}, {"/home/me/docs", "docs"}, {`C:\Data`, "data"}}
	})
	r.want("pictures", "a 12", "alone 5")
	r.want("raw", "b 12")
	r.want("docs", "alone 5")
	r.want("data", "x.txt 3")
	r.want("vault", "elsewhere/alone 5", "home/me/photos/relative 2", "home/me/photosque/x 3")
	for _, said := range r.said() {
		if strings.Contains(said, "is kept as") && !strings.HasPrefix(said, "/elsewhere") && !strings.HasPrefix(said, "/home/me/photosque") {
			t.Error(said)
		}
	}
	tree, err := r.catalog.Tree(t.Context(), r.row.ID, "raw")
	r.check(err)
	all, err := r.catalog.History(t.Context(), tree.ID, "b")
	r.check(err)
	if e := all[0]; e.Location.Remote != tar || e.Location.Offset != offsets[1] {
		t.Errorf("%+v", e)
	}
	r.restored("pictures", map[string]string{"a": "content of a", "alone": "alone"})
	r.upload("/etc/hosts", "zzzz")
	r.adopt(func(o *adopt.Options) { o.Places = []adopt.Place{{"/", "root"}} })
	r.want("root", "etc/hosts 4")
	o := r.options()
	o.Places = []adopt.Place{{"/home", "a/b"}}
	if _, err := adopt.Run(t.Context(), o); firn.KindOf(err) != firn.Usage {
		t.Errorf("a tree that can't be: %v", err)
	}
}

// TestGlacierSyncOnWindows has paths that begin with a drive.
func TestGlacierSyncOnWindows(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	id := r.upload(syncedFile, "alone")
	db := r.database("db", append(glacierSync, `INSERT INTO glaciersync_files VALUES ('p', 'C:\Users\me', 'dir\f', 1367000000, 5, '`+string(id)+`')`)...)
	r.adopt(func(o *adopt.Options) { o.Databases, o.Strip = []string{db}, `c:\users` })
	r.want("vault", "me/dir/f 5")
}

// TestDamagedDatabase stops only itself, and what comes before the damage
// counts.
func TestDamagedDatabase(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	id := r.upload("by its words", "x")
	path := r.database("db", glacierCLI, cached(id, "'name'", "memory", "NULL"), "CREATE TABLE t AS WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT i, hex(randomblob(40)) FROM n")
	data, err := os.ReadFile(path)
	r.check(err)
	for at := 4096; at < 2*4096; at++ {
		data[at] ^= 0x5a // the page of the archives
	}
	r.check(os.WriteFile(path, data, 0o644))
	res := r.adopt(func(o *adopt.Options) { o.Databases = []string{path} })
	r.want("vault", "by its words 1")
	if res.Bad == 0 || res.Complete() {
		t.Errorf("%+v", res)
	}
	if said := r.said(); !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, path) }) {
		t.Errorf("%q", said)
	}
}
