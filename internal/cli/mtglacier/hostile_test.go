package mtglacier

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWrongVault: a journal keeps its lines where the vault is that of another.
func TestWrongVault(t *testing.T) {
	b := made(t)
	b.ok("create-vault other")
	b.write("tree/a", "content of a")
	b.write("tree/b", "content of b")
	b.ok(syncing3)
	whole := b.read("journal")
	b.fails("purge-vault --journal journal --vault other", "Invalid vault name")
	b.remove("tree/b")
	b.fails(syncing3+" --delete-removed --vault other", "Invalid vault name")
	if b.read("journal") != whole {
		t.Errorf("the journal: %q", b.journal())
	}
	// Nor are there lines for what the service has never heard of.
	stray := "B\t1355666755\tCREATED\tnever\t1\t1352924178\t" + strings.Repeat("0", 64) + "\tstray\n"
	b.write("stray", stray)
	b.fails("purge-vault --journal stray", "archive never of stray was never in the vault photos")
	if b.read("stray") != stray {
		t.Errorf("the journal: %q", b.read("stray"))
	}
	// What was deleted before, and not written down, is deleted again.
	b.ok("purge-vault --journal journal")
	b.write("journal", whole)
	b.same(b.ok("purge-vault --journal journal"), "PID Deleted a archive_id [A]", "PID Deleted b archive_id [A]")
}

// killed runs a sync of its own process, and kills it when what it sends last but
// the file z is in the journal, and not in the catalog yet.
func (b *bench) killed(line string, lines int) {
	b.t.Helper()
	b.write("tree/z", "content of z")
	cmd := b.program(line)
	var once sync.Once
	b.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/archives") || r.ContentLength != int64(len("content of z")) {
			return false
		}
		for strings.Count(b.read("journal"), "CREATED") < lines && r.Context().Err() == nil {
			b.must(os.Chtimes(b.dir, time.Time{}, time.Time{})) // which takes a moment
		}
		once.Do(func() { cmd.Process.Kill() })
		return true
	})
	b.start(cmd)
	cmd.Wait() // it was killed
	b.intercept(nil)
	if n := len(b.openIntents()); n < lines {
		b.t.Fatalf("%d intents are open: it was not killed in time", n)
	}
}

// openIntents are the names of the files whose fate the catalog doesn't know.
func (b *bench) openIntents() (names []string) {
	b.t.Helper()
	cat := b.catalog()
	defer cat.Close()
	stores, err := cat.Stores(b.t.Context())
	b.must(err)
	open, err := cat.OpenIntents(b.t.Context(), stores[0].ID)
	b.must(err)
	for i := range open {
		names = append(names, open[i].File.Path)
	}
	return names
}

// TestKilledThenExcluded: what a run with a filter leaves out was written down all
// the same.
func TestKilledThenExcluded(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a!")
	b.write("tree/big", strings.Repeat("x", 2*mib))
	b.killed(syncing3+" --partsize=1", 2)
	before := b.read("journal")
	b.ok(syncing3 + " --exclude=/a --exclude=/big --exclude=/z")
	if got := b.read("journal"); got != before {
		t.Errorf("the journal: %q, then %q", before, got)
	}
	for _, name := range b.openIntents() {
		if name != "z" {
			t.Errorf("nobody knows of %s, which the journal has", name)
		}
	}
	b.ok(syncing3)
	b.same(b.journal(), "B 0 CREATED A 13 1352924178 T a", "B 0 CREATED A 2097152 1352924178 T big", "B 0 CREATED A 12 1352924178 T z")
	b.checkAccounted(3)
}

// TestKilledThenPurged: what was deleted since isn't looked for in the vault.
func TestKilledThenPurged(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a!")
	b.write("tree/big", strings.Repeat("x", 2*mib))
	b.killed(syncing3+" --partsize=1", 2)
	b.ok("purge-vault --journal journal")
	b.ok(syncing3 + " --exclude=/z")
	for _, name := range b.openIntents() {
		if name != "z" {
			t.Errorf("nobody knows of %s, which was deleted", name)
		}
	}
	b.ok(syncing3)
	b.same(b.journal()[4:], "B 0 CREATED A 13 1352924178 T a", "B 0 CREATED A 2097152 1352924178 T big", "B 0 CREATED A 12 1352924178 T z")
	b.checkAccounted(3)
}

// TestJournalRemoved: a sync whose lines would be lost stops, and names what it
// stored.
func TestJournalRemoved(t *testing.T) {
	b := made(t)
	const files = 100
	for i := range files {
		b.write(fmt.Sprintf("tree/%02d", i), "content")
	}
	n := 0
	b.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/archives") {
			return false
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if n++; n == 20 {
			b.must(os.Remove(filepath.Join(b.dir, "journal")))
		}
		return false
	})
	b.fails(syncing3, "but the journal can't be written", "removed or replaced meanwhile")
	if sent := len(b.asked(http.MethodPost)); sent > 20+2*filesAtOnce*4 {
		t.Errorf("%d files were sent\n%s", sent, b.stderr)
	}
	b.intercept(nil)
	b.ok(syncing3)
	if n := len(b.journal()); n != files {
		t.Errorf("%d lines", n)
	}
}

// TestTwoRestores: two commands don't bring files into one directory at a time.
func TestTwoRestores(t *testing.T) {
	b := made(t)
	whole := strings.Repeat("0123456789abcdef", mib/8)
	b.write("tree/a", whole)
	b.ok(syncing3)
	b.remove("tree/a")
	b.ok("restore --dir tree --journal journal --max-number-of-files=9")
	b.service.Advance(6 * time.Hour)
	const fetch = "restore-completed --dir tree --journal journal"
	first := b.program(fetch)
	there, done := make(chan bool), make(chan bool)
	var once sync.Once
	b.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/output") {
			once.Do(func() {
				close(there)
				<-done
			})
		}
		return false
	})
	b.start(first)
	<-there
	b.fails(fetch, "mtglacier restore-completed")
	close(done)
	b.must(first.Wait())
	if b.read("tree/a") != whole {
		t.Error("it is another file now")
	}
	if names, _ := filepath.Glob(filepath.Join(b.dir, "tree/.*")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	b.same(b.ok(fetch), "Nothing to restore")
}

// TestStrayLink: what lies behind a link that leads nowhere may be on a disk that
// isn't mounted, and keeps its archives.
func TestStrayLink(t *testing.T) {
	b := made(t)
	b.write("tree/stays", "x")
	b.write("tree/gone", "x")
	b.write("disk/f", "y")
	b.write("disk/dir/g", "z")
	b.must(os.Symlink("../disk", filepath.Join(b.dir, "tree/link")), os.Symlink("../disk/f", filepath.Join(b.dir, "tree/file")))
	b.ok(syncing3 + " --follow")
	before := len(b.journal())
	b.remove("disk")
	b.remove("tree/gone")
	b.same(b.ok(syncing3+" --follow --delete-removed --dry-run"), "Will DELETE archive A (filename gone)")
	b.same(b.ok(syncing3+" --follow --delete-removed"), "PID Deleted gone archive_id [A]")
	b.remove("tree/link")
	b.ok(syncing3 + " --follow --delete-removed")
	if got := len(b.journal()); got != before+1+2 {
		t.Errorf("%d lines, then %d", before, got)
	}
}

// TestNameForNoJournal: a name that the encoding of the journal has no letters for
// stops itself alone.
func TestNameForNoJournal(t *testing.T) {
	b := made(t)
	b.write("tree/ü", "x")
	b.write("tree/good", "x")
	b.write("tree/zoo", "x")
	b.fails(syncing3+" --journal-encoding=KOI8-R", `"ü" has a character that the encoding KOI8-R has not`)
	b.same(b.journal(), "B 0 CREATED A 1 1352924178 T good", "B 0 CREATED A 1 1352924178 T zoo")
}

// TestLostAnswers: of the completion of an upload, of a deletion and of a job.
func TestLostAnswers(t *testing.T) {
	b := made(t)
	b.write("tree/big", strings.Repeat("x", 2*mib))
	lost := map[string]int{}
	b.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		op := ""
		switch {
		case r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/multipart-uploads/"):
			op = "complete"
		case r.Method == http.MethodDelete:
			op = "delete"
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs"):
			op = "job"
		}
		b.mu.Lock()
		lost[op]++
		n := lost[op]
		b.mu.Unlock()
		if op == "" || n > 1 {
			return false
		}
		b.server.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	b.ok(syncing3 + " --partsize=1")
	b.same(b.journal(), "B 0 CREATED A 2097152 1352924178 T big")
	b.write("tree/big", strings.Repeat("y", 2*mib+1))
	b.ok(syncing3 + " --partsize=1 --replace-modified")
	b.same(b.journal()[1:], "B 0 CREATED A 2097153 1352924178 T big", "B 0 DELETED A big")
	b.remove("tree/big")
	const ask = "restore --dir tree --journal journal --max-number-of-files=9"
	b.fails(ask, "restore big: no answer came; run restore again in some minutes")
	b.same(b.ok(ask), "PID Retrieved Archive A")
	jobs := 0
	for _, path := range b.asked(http.MethodPost) {
		if strings.HasSuffix(path, "/jobs") {
			jobs++
		}
	}
	if jobs != 1 {
		t.Errorf("the archive was asked for %d times", jobs)
	}
	b.checkAccounted(1)
	if lost["complete"] < 2 || lost["delete"] < 2 || lost["job"] < 1 {
		t.Errorf("not lost: %v", lost)
	}
}

// TestHostileInventory: names that no journal can hold, or that lead out of the
// tree, are no names.
func TestHostileInventory(t *testing.T) {
	b := made(t)
	at := time.Unix(1352924178, 0)
	names := []string{"/etc/passwd", "../up", "a/../../up", "a//b", ".", "two\nB\t1\tDELETED\tx\ty", "cr\r", "tab\tx", ""}
	for i, name := range names {
		b.upload(plainMT2(name, at), fmt.Sprint("content ", i))
	}
	b.upload(plainMT2("good", at), "content")
	b.upload(plainMT2("good", at), "content")
	b.service.Advance(48 * time.Hour)
	b.ok("retrieve-inventory")
	b.service.Advance(6 * time.Hour)
	b.ok("download-inventory --new-journal new")
	text := b.read("new")
	if strings.Count(text, "\tNONE\t") != len(names) || strings.Count(text, "\n") != len(names)+2 || strings.Count(text, "\tgood\n") != 2 {
		t.Errorf("%s", text)
	}
	b.ok("purge-vault --journal new --dry-run")
}

// TestHostileTree: nothing is written outside of the tree, and no file hinders
// another.
func TestHostileTree(t *testing.T) {
	b := made(t)
	b.write("tree/out/a", "content of a")
	b.write("tree/file/b", "content of b")
	b.write("tree/c", "content of c")
	b.ok(syncing3)
	b.remove("tree")
	b.must(os.MkdirAll(filepath.Join(b.dir, "tree"), 0o755), os.MkdirAll(filepath.Join(b.dir, "outside"), 0o755),
		os.Symlink("../outside", filepath.Join(b.dir, "tree/out")), os.WriteFile(filepath.Join(b.dir, "tree/file"), []byte("mine"), 0o644))
	b.ok("restore --dir tree --journal journal --max-number-of-files=9")
	b.service.Advance(6 * time.Hour)
	b.fails("restore-completed --dir tree --journal journal", "out/a", "file/b")
	if b.read("tree/c") != "content of c" || b.read("tree/file") != "mine" {
		t.Error("c didn't come, or a file was replaced")
	}
	if _, err := os.Lstat(filepath.Join(b.dir, "outside/a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("written outside of the tree: %v", err)
	}
}
