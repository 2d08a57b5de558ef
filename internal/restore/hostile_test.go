package restore_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/sqldb"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/worktest"
)

// A forger writes rows into a catalog that no firn would.
type forger struct {
	*worktest.Bench
	db *sqldb.DB
}

// newForger gives a bench whose catalog has one good file.
func newForger(t *testing.T) *forger {
	t.Helper()
	b := worktest.New(t, storetest.MemoryOptions{})
	path := filepath.Join(t.TempDir(), "catalog.db")
	var err error
	b.Catalog, err = catalog.Open(t.Context(), path, b.Clock)
	must(t, err)
	b.Row, err = b.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "memory:", Kind: "memory", Identity: "memory", Name: "memory"})
	must(t, err)
	find := catalog.Find{Archive: stored(b, []byte("content")), Kind: catalog.ForeignArchive}
	find.Members = []catalog.FoundMember{{
		Tree: "tree", Content: firn.Content{Size: 7, Tree: find.Archive.Tree},
		File: firn.File{Path: "good", Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1, Stamp: firn.Stamp{Size: 7, ModTime: long}},
	}}
	takeIn(b, find)
	db, err := sqldb.Open(t.Context(), path, sqldb.Options{ApplicationID: catalog.ApplicationID, Name: "catalog", Migrations: make([]string, 5)})
	must(t, err)
	t.Cleanup(func() {
		db.Close()
		b.Catalog.Close()
	})
	return &forger{b, db}
}

func (f *forger) exec(query string, args ...any) {
	f.T.Helper()
	must(f.T, f.db.Write(f.T.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(f.T.Context(), query, args...)
		return err
	}))
}

// entry writes a row for whatever has a name in a folder; the empty name is the
// folder. All else is as in the row of the good file.
func (f *forger) entry(dir, name string, mode int, target []byte) {
	f.T.Helper()
	key := bytes.ReplaceAll([]byte(dir), []byte("/"), []byte{0})
	f.exec("INSERT INTO dir (tree, key) SELECT id, ? FROM tree WHERE true ON CONFLICT DO NOTHING", append([]byte{}, key...))
	f.exec(`INSERT INTO file (dir, name, since, mode, size, mtime, mtime_ns, uid, gid, archive, member, target)
		SELECT (SELECT id FROM dir WHERE key = ?), ?, since, ?, size, mtime, mtime_ns, uid, gid, archive, member, ? FROM file WHERE name = CAST('good' AS BLOB)`,
		append([]byte{}, key...), append([]byte{}, name...), mode, target)
}

// The modes of rows.
const (
	aFile   = 0o100644
	aFolder = 0o040777
	aLink   = 0o120777
)

func (f *forger) file(dir, name string) { f.T.Helper(); f.entry(dir, name, aFile, nil) }
func (f *forger) folder(dir string)     { f.T.Helper(); f.entry(dir, "", aFolder, nil) }
func (f *forger) link(dir, name, target string) {
	f.T.Helper()
	f.entry(dir, name, aLink, []byte(target))
}

// TestHostileNames: whatever a catalog says, nothing is made or changed outside
// the target, each entry that can't be fails by its name, and the rest comes.
func TestHostileNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other names are hostile there: see TestCheckPath")
	}
	for name, test := range map[string]struct {
		forge func(f *forger, outside string)
		fail  []string
		come  []string // beside the good one
	}{
		"up": {func(f *forger, _ string) {
			f.file("..", "x")
			f.file("a/../..", "x")
			f.file("", "..")
			f.file("", ".")
			f.file("", "../../x")
			f.file("dir", "x/../../../y")
			f.file("dir", "kept")
			f.link("..", "link", "good")
		}, []string{"../x", "a/../../x", "..", ".", "../../x", "dir/x/../../../y", "../link"}, []string{"dir/kept"}},
		"folders": {func(f *forger, outside string) {
			f.folder("..")
			f.folder("../outside")
			f.folder("dir/../..")
			f.folder("/" + outside)
		}, []string{"..", "../outside", "dir/../..", "/outside"}, nil},
		"absolute": {func(f *forger, outside string) {
			f.file(outside, "x")
			f.file("", "/x")
			f.file("/", "x")
			f.file("a//b", "x")
		}, []string{"/outside/x", "/x", "//x", "a//b/x"}, nil},
		"zero bytes": {func(f *forger, _ string) {
			f.file("", "a\x00b")
			f.file("", "\x00")
			f.file("", "good\x00")
		}, []string{"a\x00b", "\x00", "good\x00"}, nil},
		"through a link": {func(f *forger, outside string) {
			f.link("", "link", outside)
			f.file("link", "passwd")
			f.file("link/below", "x")
			f.link("", "up", "..")
			f.folder("up")
			f.file("up/outside", "x")
			f.link("up", "link", "x")
		}, nil, []string{"link/passwd", "link/below/x", "link~b1b1bdb4", "up/outside/x", "up/link", "up~75a288c0"}},
		"a link as the folder of a link": {func(f *forger, outside string) {
			f.link("", "a", "b")
			f.link("", "b", outside)
			f.link("a", "c", "x")
			f.file("b", "x")
		}, nil, []string{"a/c", "a~ca978112", "b/x", "b~3e23e816"}},
		"only strange": {func(f *forger, _ string) {
			for _, name := range []string{`a\..\b`, "C:x", `C:\x`, "CON", "dot.", "space ", "a:b", "Case", "case", "...", "\x1b[2J\a", "new\nline", "\xff\xfe", "\u202egnp.exe", "~", "-rf"} {
				f.file("", name)
			}
		}, nil, []string{`a\..\b`, "C:x", `C:\x`, "CON", "dot.", "space ", "a:b", "Case", "case", "...", "\x1b[2J\a", "new\nline", "\xff\xfe", "\u202egnp.exe", "~", "-rf"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			outer := t.TempDir()
			outside, to := filepath.Join(outer, "outside"), filepath.Join(outer, "target")
			must(t, os.Mkdir(outside, 0o700))
			before := listing(t, outside)
			test.forge(f, outside)
			shown := &bytes.Buffer{}
			o := options(f.Bench, to)
			show := ui.New(ui.Options{Stdout: shown, Stderr: shown, Verbose: true, Clock: f.Clock, Command: "restore"})
			o.Events = func(e firn.Event) {
				show.Sink()(e)
				f.Events(e)
			}
			if res := run(f.Bench, o); res.Counts[firn.Failed].Files != int64(len(test.fail)) {
				t.Errorf("%+v, want %d failures", res.Counts, len(test.fail))
			}
			failed := f.Files(firn.Failed)
			for i, p := range failed {
				failed[i] = strings.ReplaceAll(strings.ReplaceAll(p, outside, "/outside"), "//outside", "/outside")
			}
			slices.Sort(failed)
			slices.Sort(test.fail)
			if diff := cmp.Diff(test.fail, failed); diff != "" {
				t.Errorf("what failed (-want +got):\n%s", diff)
			}
			if after := listing(t, outside); after != before {
				t.Errorf("outside there was\n%s\nand is\n%s", before, after)
			}
			if names, _ := os.ReadDir(outer); len(names) != 2 {
				t.Errorf("beside the target: %v", names)
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(append(test.come, "good"))), contents(t, to)); diff != "" {
				t.Errorf("what came (-want +got):\n%s", diff)
			}
			if strings.ContainsFunc(strings.ReplaceAll(shown.String(), "\n", ""), func(r rune) bool { return unicode.IsControl(r) || r == '\u202e' || r == unicode.ReplacementChar }) {
				t.Errorf("shown as %q", shown)
			}
		})
	}
}

// contents gives the files and links below a folder, in order, but for what a
// restore leaves there until it is complete.
func contents(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".firn-restore.part" {
			rel, _ := filepath.Rel(dir, name)
			names = append(names, rel)
		}
		return err
	}))
	slices.Sort(names)
	return names
}

// besideBoth is the name of a file "both" beside a folder of that name.
const besideBoth = "both~ff777205"

// TestAFileAndAFolderOfOneName: both come, the file by another name.
func TestAFileAndAFolderOfOneName(t *testing.T) {
	for range 3 {
		f := newForger(t)
		f.file("", "both")
		f.file("both", "x")
		to := filepath.Join(t.TempDir(), "target")
		res := run(f.Bench, options(f.Bench, to))
		f.Counts(res.Counts, map[firn.Action]int64{firn.Restored: 3})
		if came := contents(t, to); !slices.Equal(came, []string{"both/x", besideBoth, "good"}) {
			t.Errorf("there is %q", came)
		}
	}
}

// TestHostilePlaces: what can't be a place in an archive stops nothing else, nor
// does a catalog that contradicts the store.
func TestHostilePlaces(t *testing.T) {
	for name, test := range map[string]struct {
		change string
		comes  bool // since the archive's hash is enough, and a warning with it
	}{
		"negative offset":     {"UPDATE location SET offset = -9223372036854775808 WHERE archive = 2", false},
		"offset behind":       {"UPDATE location SET offset = 9223372036854775807 WHERE archive = 2", false},
		"no size of the file": {"UPDATE file SET size = -5 WHERE name = CAST('bad' AS BLOB)", false},
		"endless":             {"UPDATE file SET size = 9223372036854775807 WHERE name = CAST('bad' AS BLOB)", false},
		"endless archive":     {"UPDATE archive SET size = 9223372036854775807 WHERE id = 2", false},
		"large archive":       {"UPDATE archive SET size = 1125899906842624 WHERE id = 2", false},
		"no archive":          {"UPDATE file SET archive = 77 WHERE name = CAST('bad' AS BLOB)", false},
		"no id":               {"UPDATE archive SET remote = '' WHERE id = 2", false},
		"no hash":             {"UPDATE archive SET tree = NULL WHERE id = 2", false},
		"a short hash":        {"UPDATE location SET tree = x'01' WHERE archive = 2", false},
		"a hash of zeros":     {"UPDATE location SET tree = x'00' WHERE archive = 2", true},
		"negative size":       {"UPDATE location SET size = -1 WHERE archive = 2", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			second := catalog.Find{Archive: stored(f.Bench, []byte("the second one")), Kind: catalog.ForeignArchive}
			second.Members = []catalog.FoundMember{{
				Tree: "tree", Content: firn.Content{Size: 14},
				File: firn.File{Path: "bad", Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1, Stamp: firn.Stamp{Size: 14, ModTime: long}},
			}}
			takeIn(f.Bench, second)
			f.exec(test.change)
			to := filepath.Join(t.TempDir(), "target")
			want, come := map[firn.Action]int64{firn.Failed: 1, firn.Restored: 1}, []string{"good"}
			if test.comes {
				want, come = map[firn.Action]int64{firn.Restored: 2}, []string{"bad", "good"}
			}
			f.Counts(run(f.Bench, options(f.Bench, to)).Counts, want)
			if came := contents(t, to); !slices.Equal(came, come) {
				t.Errorf("there is %q", came)
			}
			if said := f.Notices(); (len(said) > 0) != test.comes {
				t.Errorf("said %q", said)
			}
		})
	}
}
