package foreign_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/foreign"
)

func openSync(t testing.TB, path string) *foreign.GlacierSync {
	t.Helper()
	g, err := foreign.OpenGlacierSync(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func sum(t testing.TB, s string) (sum [sha1.Size]byte) {
	t.Helper()
	if n, err := hex.Decode(sum[:], []byte(s)); err != nil || n != len(sum) {
		t.Fatal(s, err)
	}
	return sum
}

// What glaciersync does in three runs: files a to f are new; a and b go into
// tar 1, together with c; d is large; e and f are in tar 2. Then b changes and is
// sent again with e, in tar 3; c has grown above the threshold.
var threeRuns = []string{syncSchema,
	`INSERT INTO glaciersync_files VALUES
		('p', '/home/me', 'a', 1352924178.123456, 10, ''), ('p', '/home/me', 'sub/b', 1400000000, 20, ''), ('p', '/home/me', 'c', 1400000000.5, 5000, 'c-id'),
		('p', '/home/me', 'd', 1352924178, 6000, 'd-id'), ('p', '/home/me', 'e', 1400000000.75, 50, ''), ('p', '/home/me', 'f', 1352924178, 60, NULL)`,
	"INSERT INTO glaciersync_tars VALUES ('tar1', 1352924180.5), ('tar2', 1352924190), ('tar3', 1400000010)",
	"INSERT INTO glaciersync_tar_files VALUES (1,1), (1,2), (1,3), (2,5), (2,6), (3,2), (3,5)",
	"INSERT INTO glaciersync_hashes VALUES ('tar1', '" + sha1OfTar + "'), ('tar2', 'broken'), ('c-id', '" + sha1OfC + "')",
}

const (
	sha1OfTar = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	sha1OfC   = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
)

// filesOfThreeRuns is where the files are in the end.
func filesOfThreeRuns(t *testing.T) []foreign.SyncedFile {
	const base = "/home/me"
	tar, c := sum(t, sha1OfTar), sum(t, sha1OfC)
	return []foreign.SyncedFile{
		{Profile: "p", Base: base, Path: "a", ModTime: at(1352924178, 123456001), Size: 10, Archive: "tar1", Member: "home/me/a", Tar: 1, SHA1: tar, HasSHA1: true},
		{Profile: "p", Base: base, Path: "sub/b", ModTime: at(1400000000, 0), Size: 20, Archive: "tar3", Member: "home/me/sub/b", Tar: 3},
		{Profile: "p", Base: base, Path: "c", ModTime: at(1400000000, 5e8), Size: 5000, Archive: "c-id", SHA1: c, HasSHA1: true},
		{Profile: "p", Base: base, Path: "d", ModTime: at(1352924178, 0), Size: 6000, Archive: "d-id"},
		{Profile: "p", Base: base, Path: "e", ModTime: at(1400000000, 75e7), Size: 50, Archive: "tar3", Member: "home/me/e", Tar: 3},
		{Profile: "p", Base: base, Path: "f", ModTime: at(1352924178, 0), Size: 60, Archive: "tar2", Member: "home/me/f", Tar: 2},
	}
}

func TestGlacierSyncFiles(t *testing.T) {
	g := openSync(t, database(t, threeRuns...))
	var got []foreign.SyncedFile
	err := g.Files(t.Context(), gather(&got), nil)
	if diff := cmp.Diff(filesOfThreeRuns(t), got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	trees, err := g.Trees(t.Context())
	want := []foreign.SyncedTree{{Profile: "p", Base: "/home/me", Files: 6, Bytes: 11140}}
	if diff := cmp.Diff(want, trees); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// TestGlacierSyncTars: each tar has all its members, in order; those that are
// stored elsewhere by now are known by name only.
func TestGlacierSyncTars(t *testing.T) {
	g := openSync(t, database(t, append(threeRuns, "INSERT INTO glaciersync_tars VALUES ('tar4', NULL)")...))
	files := filesOfThreeRuns(t)
	current := func(i int) foreign.SyncedMember {
		f := files[i]
		return foreign.SyncedMember{TarMember: foreign.TarMember{Name: f.Member, Size: f.Size}, File: &f}
	}
	stale := func(name string) foreign.SyncedMember {
		return foreign.SyncedMember{TarMember: foreign.TarMember{Name: name, Size: -1}}
	}
	want := []foreign.SyncedTar{
		{Number: 1, Archive: "tar1", Made: at(1352924180, 5e8), SHA1: sum(t, sha1OfTar), HasSHA1: true,
			Members: []foreign.SyncedMember{current(0), stale("home/me/sub/b"), stale("home/me/c")}},
		{Number: 2, Archive: "tar2", Made: at(1352924190, 0), Members: []foreign.SyncedMember{stale("home/me/e"), current(5)}},
		{Number: 3, Archive: "tar3", Made: at(1400000010, 0), Members: []foreign.SyncedMember{current(1), current(4)}},
		{Number: 4, Archive: "tar4"},
	}
	var got []foreign.SyncedTar
	err := g.Tars(t.Context(), gather(&got), nil)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
	if offsets, _, ok := got[0].Layout(); ok || !cmp.Equal(offsets, []int64{512, -1, -1}) {
		t.Errorf("tar 1: %d, %t", offsets, ok)
	}
	if offsets, total, ok := got[2].Layout(); !ok || total != 10240 || !cmp.Equal(offsets, []int64{512, 1536}) {
		t.Errorf("tar 3: %d of %d, %t", offsets, total, ok)
	}
}

// TestGlacierSyncPaths: how paths and members are called, on Unix and Windows.
func TestGlacierSyncPaths(t *testing.T) {
	long := strings.Repeat("ü", 60)
	for _, c := range []struct {
		base, name   string
		path, member string
		size         int64
	}{
		{"/home/me", "sub/ä b", "sub/ä b", "home/me/sub/ä b", 1},
		{"/home/me", `back\slash`, `back\slash`, `home/me/back\slash`, 1},
		{"/", "/etc/hosts", "etc/hosts", "etc/hosts", 1},
		{`C:\Users\me`, `sub\f`, "sub/f", "Users/me/sub/f", 1},
		{`C:\`, `C:\sub\f`, "sub/f", "sub/f", 1},
		{`\\server\share\dir`, `sub\f`, "sub/f", "server/share/dir/sub/f", 1},
		{"/home/me", long, long, "home/me/" + long, 1},
		{`C:\me`, long, long, "me/" + long, -1}, // how many bytes it has there isn't known
		{"/home/me", "../../etc/passwd", "../../etc/passwd", "home/me/../../etc/passwd", 1},
	} {
		g := openSync(t, database(t, syncSchema,
			fmt.Sprintf("INSERT INTO glaciersync_files VALUES ('p', '%s', '%s', 1, 1, '')", c.base, c.name),
			"INSERT INTO glaciersync_tars VALUES ('tar', 1)", "INSERT INTO glaciersync_tar_files VALUES (1,1)"))
		var files []foreign.SyncedFile
		var tars []foreign.SyncedTar
		if err := g.Files(t.Context(), gather(&files), nil); err != nil || len(files) != 1 {
			t.Fatal(c.base, files, err)
		}
		if err := g.Tars(t.Context(), gather(&tars), nil); err != nil || len(tars) != 1 || len(tars[0].Members) != 1 {
			t.Fatal(c.base, tars, err)
		}
		if f := files[0]; f.Path != c.path || f.Member != c.member {
			t.Errorf("%s, %s: %s, %s; want %s, %s", c.base, c.name, f.Path, f.Member, c.path, c.member)
		}
		if m := tars[0].Members[0]; m.Name != c.member || m.Size != c.size {
			t.Errorf("%s, %s: member %+v; want %s, %d", c.base, c.name, m, c.member, c.size)
		}
	}
}

// TestGlacierSyncGoesOn: rows that tell nothing, as a kill or damage leaves
// them, are told and stop only themselves.
func TestGlacierSyncGoesOn(t *testing.T) {
	path := database(t, syncSchema, `INSERT INTO glaciersync_files VALUES
		('p', '/b', 'nowhere', 1, 1, ''), ('p', '/b', 'no tar', 1, 1, ''), ('p', '/b', 'bad tar', 1, 1, ''),
		('p', '/b', 'bad size', 1, 'x', 'id'), ('p', '/b', NULL, 1, 1, 'id'), ('p', '/b', 'bad id', 1, 1, 'i d'),
		('p', '/b', 'good', 'yesterday', 1, 'id')`,
		"INSERT INTO glaciersync_tars VALUES (NULL, 1), ('tar2', 1)",
		"INSERT INTO glaciersync_tar_files VALUES (7, 2), (1, 3), ('x', 1), (NULL, NULL), (2, 99), (2, 4), (2, 7)")
	g := openSync(t, path)
	var files []foreign.SyncedFile
	var bad []string
	if err := g.Files(t.Context(), gather(&files), faults(t, &bad)); err != nil || len(files) != 1 || files[0].Path != "good" || !files[0].ModTime.IsZero() {
		t.Error(files, err)
	}
	want := []string{
		`db, glaciersync_files row 1: it does not say where "nowhere" is stored: glaciersync was stopped before it wrote that down`,
		`db, glaciersync_files row 2: "no tar" is in tar 7: an archive without id`,
		`db, glaciersync_files row 3: "bad tar" is in tar 1: an archive without id`,
		`db, glaciersync_files row 4: "bad size" has no size`,
		"db, glaciersync_files row 5: its fname is no text",
		`db, glaciersync_files row 6: "i d" is not the id of an archive`,
	}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Error(diff)
	}
	var tars []foreign.SyncedTar
	bad = nil
	if err := g.Tars(t.Context(), gather(&tars), faults(t, &bad)); err != nil {
		t.Error(err)
	}
	want = []string{
		"db, glaciersync_tar_files row 4: its profile is no text",
		"db, glaciersync_tars row 0: an archive without id", // it stands for those that name no tar
		"db, glaciersync_tars row 1: an archive without id",
		"db, glaciersync_tar_files row 5: its profile is no text",
		`db, glaciersync_tar_files row 6: "bad size" has no size`,
		"db, glaciersync_tars row 7: an archive without id",
		"db, glaciersync_tars row 0: an archive without id",
	}
	if diff := cmp.Diff(want, bad); diff != "" {
		t.Error(diff)
	}
	unknown := foreign.SyncedMember{TarMember: foreign.TarMember{Size: -1}}
	stale := foreign.SyncedMember{TarMember: foreign.TarMember{Name: "b/good", Size: -1}}
	wantTars := []foreign.SyncedTar{{Number: 2, Archive: "tar2", Made: at(1, 0), Members: []foreign.SyncedMember{unknown, unknown, stale}}}
	if diff := cmp.Diff(wantTars, tars); diff != "" {
		t.Error(diff)
	}
}
