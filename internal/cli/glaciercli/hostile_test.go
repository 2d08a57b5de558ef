package glaciercli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// write writes a file into the program's folder.
func (w *world) write(name, text string) {
	w.Helper()
	path := filepath.Join(w.env.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// stores has the service store that much from now on, and refuse the rest.
func (w *world) stores(allowed int) {
	count := 0
	w.refuse(func(r *http.Request) bool {
		stores := r.Method == http.MethodPost && (strings.HasSuffix(r.URL.Path, "/archives") || strings.HasSuffix(r.URL.Path, "/multipart-uploads"))
		if stores {
			count++
		}
		return stores && count > allowed
	})
}

// TestSenderDiesEarly: git-annex may die before anything of its file was read.
func TestSenderDiesEarly(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	asked := 0
	w.env.Parent = func() int {
		if asked++; asked == 1 {
			return 7
		}
		return 1
	}
	w.stdin = "half of it"
	code, _, errs := w.run("archive", "upload", "--name", "GPGHMACSHA1--0123456789abcdef0123456789abcdef01234567", "v", "-")
	if code != 1 || !strings.Contains(errs, "the program that wrote it has ended") {
		t.Errorf("%d, %q", code, errs)
	}
	if got := w.sql("SELECT count(*) FROM archive"); got != "0" {
		t.Errorf("%s archives", got)
	}
}

// TestHashOfNothing: what the fork records of what it uploads is not believed.
func TestHashOfNothing(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.write("tree/a", "alpha")
	w.ok("archive upload v tree/a")
	w.sql("UPDATE archive SET hash = '" + emptyHash + "'")
	code, _, errs := w.run("vault", "reconcile", "--commit", "v", "tree")
	if code != 0 || !strings.Contains(errs, "the checksum of a in the vault is not known") || !strings.Contains(errs, "Nothing to do") {
		t.Errorf("%d, %q", code, errs)
	}
	w.want("archive list --with-hash v", 0, "a\t\n", "")
	w.ok("archive retrieve --wait -o back v a")
	w.file("back", "alpha")
}

// TestReconcileCutShort: what was stored has taken the place of what it replaces, so
// that the next one goes on.
func TestReconcileCutShort(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	for _, name := range []string{"a", "b", "c"} {
		w.write("tree/"+name, "old "+name)
		w.ok("archive upload v tree/" + name)
		w.write("tree/"+name, "new "+name)
	}
	w.stores(1)
	if code, _, errs := w.run("vault", "reconcile", "--commit", "v", "tree"); code != 1 || !strings.Contains(errs, "glacier: Failed upload for archive b\n") {
		t.Errorf("%d, %q", code, errs)
	}
	w.want("archive list v", 0, "a\nb\nc\n", "")
	w.refuse(nil)
	if code, _, errs := w.run("vault", "reconcile", "--commit", "v", "tree"); code != 0 {
		t.Errorf("%d, %q", code, errs)
	}
	w.want("archive list v", 0, "a\nb\nc\n", "")
	w.want("vault reconcile v tree", 0, "", "glacier: info: Computing checksums for 3 files. Please wait\nglacier: info: Nothing to do\n")
	w.ok("archive upload v tree/a")
	_, out, _ := w.run("archive", "list", "v")
	var ids string
	for line := range strings.Lines(out) {
		if id, _, twin := strings.Cut(line, "\t"); twin {
			ids += "glacier: " + id + "\n"
		}
	}
	code, _, errs := w.run("vault", "reconcile", "v", "tree")
	if code != 1 || !strings.HasPrefix(errs[strings.IndexByte(errs, '\n')+1:], "glacier: Multiple cache records found for a. Aborting.\nglacier: id:") || strings.Count(ids, "\n") != 2 {
		t.Errorf("%d, %q, %q", code, errs, ids)
	}
}

// TestLinkToFolder: a link to the folder is that.
func TestLinkToFolder(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.write("tree/sub/a", "alpha")
	if err := os.Symlink("tree", filepath.Join(w.env.Dir, "link")); err != nil {
		t.Skip(err)
	}
	w.want("archive multi-upload v link", 0, "", "glacier: info: Uploading archive a\nglacier: info: 1 archives uploaded\n")
	w.want("vault reconcile v link", 0, "", "glacier: info: Computing checksums for 1 files. Please wait\nglacier: info: Nothing to do\n")
	if code, _, errs := w.run("archive", "multi-upload", "v", "nowhere"); code != 1 || !strings.Contains(errs, "nowhere") {
		t.Errorf("%d, %q", code, errs)
	}
}

// TestEndlessAge: an age larger than any is no age.
func TestEndlessAge(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	w.clock.Advance(1000 * time.Hour)
	for _, age := range []string{"1001", "9999999", "99999999999999999999999"} {
		w.want("archive checkpresent v a --max-age "+age, 0, "a\n", "")
	}
	w.want("archive checkpresent v --quiet a --max-age -5", 0, "", "")
	w.want("archive checkpresent v a --max-age x", 2, "", "usage: glacier archive checkpresent [-h] [--wait] [--quiet]\n"+
		"                                    [--max-age MAX_AGE_HOURS]\n                                    vault name\n"+
		"glacier archive checkpresent: error: argument --max-age: invalid int value: 'x'\n")
}

// TestCacheThatCantBeWritten: nothing is stored, and nothing deleted, that could not
// be recorded.
func TestCacheThatCantBeWritten(t *testing.T) {
	for what, spoil := range map[string]func(w *world){
		"newer": func(w *world) {
			w.sql("CREATE TABLE n AS SELECT * FROM archive; DROP TABLE archive; " +
				"CREATE TABLE archive (id VARCHAR PRIMARY KEY, name VARCHAR, vault VARCHAR NOT NULL, \"key\" VARCHAR NOT NULL, last_seen_upstream, created_here, deleted_here, hash, region, size INTEGER NOT NULL); " +
				"INSERT INTO archive SELECT *, 5 FROM n; DROP TABLE n")
		},
		"read-only": func(w *world) {
			w.sql("CREATE TRIGGER readonly BEFORE INSERT ON archive BEGIN SELECT RAISE(ABORT, 'attempt to write a readonly database'); END")
		},
		"damaged": func(w *world) {
			w.sql("CREATE INDEX by_name ON archive (name); PRAGMA writable_schema = 1; UPDATE sqlite_schema SET rootpage = 999 WHERE name LIKE 'sqlite_autoindex%'")
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.ok("vault create v")
			w.upload("a", "alpha")
			spoil(w)
			var asked atomic.Int64
			w.refuse(func(r *http.Request) bool {
				if r.Method != http.MethodGet {
					asked.Add(1)
				}
				return false
			})
			for _, line := range []string{"archive upload --name b v -", "archive delete v a", "vault sync v"} {
				w.stdin = "beta"
				if code, out, errs := w.run(strings.Fields(line)...); code != 1 || out != "" || !strings.Contains(errs, "the cache ") || strings.Count(errs, "\n") != 1 {
					t.Errorf("%s: %d, %q, %q", line, code, out, errs)
				}
			}
			if n := asked.Load(); n > 0 {
				t.Errorf("%d requests changed something", n)
			}
		})
	}
}

// TestCacheReadOnly: what only reads does so where nothing can be written.
func TestCacheReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	if err := os.Chmod(w.db(), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(w.db()), 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Dir(w.db()), 0o700)
	w.want("archive list v", 0, "a\n", "")
	w.want("archive checkpresent v a", 0, "a\n", "")
	w.stdin = "beta"
	if code, _, errs := w.run("archive", "upload", "--name", "b", "v", "-"); code != 1 || !strings.Contains(errs, "the cache") {
		t.Errorf("%d, %q", code, errs)
	}
}

// TestSameNameAtOnce: two archives of one name that come at once are two.
func TestSameNameAtOnce(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			var out bytes.Buffer
			env := w.env
			env.Stdin, env.Stdout, env.Stderr = strings.NewReader(fmt.Sprint("text ", i)), &out, &out
			if code := Main(t.Context(), []string{"archive", "upload", "--name", "same", "v", "-"}, env); code != 0 || out.Len() > 0 {
				t.Errorf("%d, %q", code, out.String())
			}
		})
	}
	group.Wait()
	if got := w.sql("SELECT count(DISTINCT id), count(DISTINCT hash) FROM archive WHERE name = 'same'"); got != "4|4" {
		t.Errorf("%s archives and hashes", got)
	}
	w.want("archive checkpresent v same", 0, "same\n", "")
}

// TestRecallOfARunThatHasEnded: an upload that ended since it was listed is none that
// was killed, and nobody ends it a second time.
func TestRecallOfARunThatHasEnded(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	p := &program{Env: w.env, region: defaultRegion}
	s, err := p.openChecked(t.Context(), "v", true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.close(); p.cache.Close() }()
	runs, err := s.catalog.LastRuns(t.Context(), s.entry.ID)
	if err != nil || len(runs) != 1 || !runs[0].Complete {
		t.Fatalf("%+v, %v", runs, err)
	}
	if err := p.recallRun(t.Context(), s, runs[0].ID); err != nil {
		t.Error(err)
	}
	if run, err := s.catalog.Run(t.Context(), runs[0].ID); err != nil || !run.Complete {
		t.Errorf("%+v, %v", run, err)
	}
}

// TestGoneOnWithTwice: of two that go on with one upload at once neither harms the
// other's archive.
func TestGoneOnWithTwice(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.write("big", "")
	if err := os.Truncate(filepath.Join(w.env.Dir, "big"), 70<<20); err != nil {
		t.Fatal(err)
	}
	w.refuse(afterParts(20))
	if code, _, _ := w.run("archive", "upload", "--part-size", "1", "v", "big"); code != 1 {
		t.Fatal(code)
	}
	w.refuse(nil)
	var group sync.WaitGroup
	var codes [2]int
	var outs [2]bytes.Buffer
	for i := range codes {
		group.Go(func() {
			env := w.env
			env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &outs[i], &outs[i]
			codes[i] = Main(t.Context(), []string{"archive", "upload", "--part-size", "1", "v", "big"}, env)
		})
	}
	group.Wait()
	rows := w.sql("SELECT count(*) FROM archive WHERE name = 'big' AND hash IN (SELECT hash FROM archive WHERE name = 'big' LIMIT 1)")
	done := 0
	for _, code := range codes {
		if code == 0 {
			done++
		}
	}
	if done == 0 || rows != "1" && rows != fmt.Sprint(done) { // the two may end with one archive
		t.Errorf("codes %v, %s archives\n%s\n%s", codes, rows, &outs[0], &outs[1])
	}
	w.ok("archive upload v big") // nothing is left in anyone's way
}

// TestThroughLink: a link that a file is written through stays.
func TestThroughLink(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	w.upload("a", "alpha")
	w.write("there/file", "old")
	link := filepath.Join(w.env.Dir, "link")
	if err := os.Symlink("there/file", link); err != nil {
		t.Skip(err)
	}
	w.ok("archive retrieve --wait -o link v a")
	w.file("there/file", "alpha")
	if target, err := os.Readlink(link); err != nil || target != "there/file" {
		t.Errorf("%s, %v", target, err)
	}
}

// TestHostileNames: names are listed as they are, but to a terminal, and messages
// have none of their control characters.
func TestHostileNames(t *testing.T) {
	w := newWorld(t)
	w.ok("vault create v")
	const name = "a\x1b[2J\nb\tc"
	w.stdin = "alpha"
	if code, out, errs := w.run("archive", "upload", "--name", name, "v", "-"); code != 0 || out+errs != "" {
		t.Fatal(code, out, errs)
	}
	w.want("archive list v", 0, name+"\n", "")
	if code, out, _ := w.run("archive", "checkpresent", "v", name); code != 0 || out != name+"\n" {
		t.Errorf("%d, %q", code, out)
	}
	if code, _, errs := w.run("archive", "retrieve", "v", name); code != 75 || errs != "glacier: queued retrieval job for archive 'a\\x1b[2J\\nb\\tc'\n" {
		t.Errorf("%d, %q", code, errs)
	}
	if _, out, _ := w.run("job", "list"); !strings.HasSuffix(out, " "+name+"\n") {
		t.Errorf("%q", out)
	}
	w.env.Terminal = true
	w.want("archive list v", 0, `a\x1b[2J\nb\tc`+"\n", "")
	if _, out, _ := w.run("job", "list"); strings.ContainsAny(out, "\x1b\t") || strings.Count(out, "\n") != 1 {
		t.Errorf("%q", out)
	}
	if code, _, errs := w.run("archive", "multi-delete", "v", "no\x1b[2J"); code != 1 || errs != `glacier: archive no\x1b[2J not found`+"\n" {
		t.Errorf("%d, %q", code, errs)
	}
}
