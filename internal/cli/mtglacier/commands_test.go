package mtglacier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/wire"
)

const mib = 1 << 20

// TestUploadFile: a file from below a folder, one under a name of its own, and
// stdin.
func TestUploadFile(t *testing.T) {
	b := made(t)
	b.write("tree/dir/f", strings.Repeat("x", 2*mib+1))
	b.same(b.ok("upload-file --journal journal --filename tree/dir/f --dir tree --partsize=1"),
		"PID Created an upload_id A", "PID Uploaded part for dir/f at offset [0]", "PID Uploaded part for dir/f at offset [1048576]",
		"PID Uploaded part for dir/f at offset [2097152]", "PID Finished dir/f hash [T] archive_id [A]")
	b.same(b.ok("upload-file --journal journal --filename tree/dir/f --set-rel-filename other/name"),
		"PID Uploaded part for other/name at offset [0]", "PID Finished other/name hash [T] archive_id [A]")
	b.stdin = strings.Repeat("y", mib+1)
	before := time.Now().Unix()
	b.same(b.ok("upload-file --journal journal --stdin --set-rel-filename std/in --check-max-file-size=2 --partsize=1"),
		"PID Created an upload_id A", "PID Uploaded part for std/in at offset [0]", "PID Uploaded part for std/in at offset [1048576]",
		"PID Finished std/in hash [T] archive_id [A]")
	lines := b.journal()
	b.same(lines[:2], "B 0 CREATED A 2097153 1352924178 T dir/f", "B 0 CREATED A 2097153 1352924178 T other/name")
	var mtime int64
	if _, err := fmt.Sscanf(lines[2], "B 0 CREATED A 1048577 %d T std/in", &mtime); err != nil || mtime < before || mtime > time.Now().Unix() {
		t.Errorf("%q: %v", lines[2], err)
	}
	b.fails("upload-file --journal journal --filename tree/dir/f --dir tree", "File with same name already exists in Journal")
	b.stdin = ""
	b.asked(http.MethodPost)
	b.fails("upload-file --journal journal --stdin --set-rel-filename none --check-max-file-size=2", "mpty")
	if n := len(b.asked(http.MethodPost)); n != 0 {
		t.Errorf("%d requests for an empty stdin", n)
	}
}

// TestRestore: asked for once, brought back a virtual day later, as it was.
func TestRestore(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	b.write("tree/dir/big", strings.Repeat("0123456789abcdef", mib/8)+"!")
	b.write("tree/stays", "content")
	b.ok(syncing3)
	whole := b.read("tree/dir/big")
	b.remove("tree/a")
	b.remove("tree/dir")
	const ask, fetch = "restore --dir tree --journal journal --max-number-of-files=10", "restore-completed --dir tree --journal journal"
	b.same(b.ok(ask+" --dry-run"), "Will RETRIEVE archive A (filename a)", "Will RETRIEVE archive A (filename dir/big)")
	b.same(b.ok(strings.Replace(ask, "10", "1", 1)+" --dry-run"), "Will RETRIEVE archive A (filename a)")
	b.same(b.ok(ask), "PID Retrieved Archive A", "PID Retrieved Archive A")
	b.same(b.journal()[3:], "B 0 RETRIEVE_JOB A A", "B 0 RETRIEVE_JOB A A")
	b.same(b.ok(ask), "Nothing to restore")
	b.same(b.ok(fetch+" --dry-run"), "Will DOWNLOAD (if available) archive A (filename a)", "Will DOWNLOAD (if available) archive A (filename dir/big)")
	b.same(b.ok(fetch), "PID Retrieved Job List")
	b.service.Advance(6 * time.Hour)
	b.same(b.ok(fetch+" --exclude=/dir/"), "PID Retrieved Job List", "PID Downloaded archive tree/a")
	b.same(b.ok(fetch+" --segment-size=1"), "PID Retrieved Job List", "PID Downloaded part of archive tree/dir/big at offset 0, size 1048576",
		"PID Downloaded part of archive tree/dir/big at offset 1048576, size 1048576", "PID Downloaded part of archive tree/dir/big at offset 2097152, size 1")
	b.same(b.ok(fetch), "Nothing to restore")
	if b.read("tree/a") != "content of a" || b.read("tree/dir/big") != whole {
		t.Error("they are others now")
	}
	if info, err := os.Stat(filepath.Join(b.dir, "tree/dir/big")); err != nil || info.ModTime().Unix() != 1352924178 {
		t.Errorf("%v, %v", info.ModTime(), err)
	}
	if names, _ := filepath.Glob(filepath.Join(b.dir, "tree/dir/.*")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// TestRestoreWithoutTime: what has no time in the journal, or a hash that is wrong
// there, hinders no other.
func TestRestoreWithoutTime(t *testing.T) {
	b := made(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		b.write("tree/"+name, "content of "+name)
	}
	b.ok(syncing3)
	lines := strings.Split(b.read("journal"), "\n")
	for i, line := range lines {
		f := strings.Split(line, "\t")
		switch f[len(f)-1] {
		case "a":
			f[5] = "NONE"
		case "b":
			f[6] = strings.Repeat("0", 64)
		case "c":
			f[4] = "7"
		}
		lines[i] = strings.Join(f, "\t")
	}
	b.write("journal", strings.Join(lines, "\n"))
	b.remove("tree")
	b.must(os.Mkdir(filepath.Join(b.dir, "tree"), 0o755))
	b.ok("restore --dir tree --journal journal --max-number-of-files=9")
	b.service.Advance(6 * time.Hour)
	b.fails("restore-completed --dir tree --journal journal --segment-size=1", "restore b: treehash mismatch", "restore c: wrong file size in journal")
	names, _ := filepath.Glob(filepath.Join(b.dir, "tree/*"))
	if len(names) != 2 || b.read("tree/a") != "content of a" || b.read("tree/d") != "content of d" {
		t.Errorf("%v", names)
	}
}

// TestInventory: a journal is made anew from the vault, in both forms, whatever
// others stored there.
func TestInventory(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	b.write("tree/dir/ü", "content of ü")
	b.ok(syncing3)
	foreign := map[string]string{"named": "just a name", "mt2 WzFd": "an array", "mt2 eyJmaWxlbmFtZSI6Ii4uL2V2aWwiLCJtdGltZSI6IjIwMTIxMTE0VDIwMTYxOFoifQ": "outside"}
	for description, content := range foreign {
		b.upload(description, content)
	}
	b.same(b.ok("download-inventory --new-journal new"), "PID Fetched job list for inventory retrieval")
	if _, err := os.Stat(filepath.Join(b.dir, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a journal of no inventory: %v", err)
	}
	b.service.Advance(48 * time.Hour)
	for format, name := range map[string]string{"json": "JSON", "csv": "CSV"} {
		b.same(b.ok("retrieve-inventory --request-inventory-format="+format), "PID Retrieved Inventory, job id A")
		b.service.Advance(6 * time.Hour)
		b.same(b.ok("download-inventory --new-journal "+format), "PID Fetched job list for inventory retrieval", "PID Downloaded inventory in "+name+" format")
		text := b.read(format)
		if strings.Count(text, "\n") != 5 || strings.Count(text, "\tNONE\t") != 3 || strings.Contains(text, "evil") ||
			!strings.Contains(text, "\tCREATED\t") || !strings.Contains(text, "\t1352924178\t") || !strings.Contains(text, "\tdir/ü\n") {
			t.Errorf("%s:\n%s", format, text)
		}
		b.same(b.ok("sync --dir tree --journal "+format), "Skip a", "Skip dir/ü")
	}
	b.fails("download-inventory --new-journal json", "not empty")
}

// upload stores an archive as another program would.
func (b *bench) upload(description, content string) {
	b.t.Helper()
	s := b.session()
	defer s.close()
	body := strings.NewReader(content)
	_, err := s.store.UploadArchive(b.t.Context(), description, io.NewSectionReader(body, 0, body.Size()), sumsOf(content))
	b.must(err)
}

// session opens the vault beside the program.
func (b *bench) session() *session {
	b.t.Helper()
	r := &runner{Options: &Options{Vault: "photos", Region: "us-east-1", Key: testKey, Secret: testSecret, Endpoint: "http://" + b.host}}
	r.env = b.env(nil, nil)
	r.env.Stderr = io.Discard
	s, err := r.vault(b.t.Context())
	b.must(err)
	return s
}

// TestBadJournals: a line that can't be read ends every command, but for the last
// one where it is torn.
func TestBadJournals(t *testing.T) {
	const good = "B\t1355666755\tCREATED\tid1\t5\t1355566755\t1368761bd826f76cae8b8a74b3aae210b476333484c2d612d061d52e36af631a\tdef/abc\n"
	for text, want := range map[string]string{
		good + "FFFFFFFFF\n":                     "line 2 is in unknown format",
		"# a comment\n":                          "line 1 is in unknown format",
		"\n" + good:                              "line 1 is in unknown format",
		"D\t12\n":                                "line 1 is from future version of mtglacier",
		good + "B\t12\tCREATED\n":                `line 2 is broken: "B\t12\tCREATED"`,
		good + good:                              "duplicate entry",
		"B\t1355666755\tDELETED\tid1\tdef/abc\n": "archive id1 not found in archive_h",
		strings.Replace(good, "def/abc", "../abc", 1): "invalid filename",
		strings.Replace(good, "def/abc", "\xff", 1):   "not valid in the encoding UTF-8",
	} {
		b := newBench(t)
		b.write("journal", text)
		for _, line := range []string{"check-local-hash --dir tree --journal journal", "purge-vault --journal journal --dry-run", syncing3 + " --dry-run"} {
			b.fails(line, want)
		}
		if b.read("journal") != text {
			t.Errorf("it changed: %q", text)
		}
	}
	b := newBench(t)
	b.write("journal", "B\t1355666755\tDELETED\tid1\tdef/abc\n")
	b.same(b.ok("purge-vault --journal journal --dry-run --exclude=/def/"), "Nothing to delete")
}

// TestTornJournal: what a kill left of a line keeps nothing from being done.
func TestTornJournal(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	b.ok(syncing3)
	whole := b.read("journal")
	b.write("tree/b", "content of b")
	b.write("journal", whole+"B\t1355666755\tCREATED\tid1\t5")
	if b.status("check-local-hash --dir tree --journal journal") != 0 || !strings.Contains(b.stderr, "line 2") {
		t.Errorf("%s%s", b.stdout, b.stderr)
	}
	if b.status(syncing3) != 0 || !strings.Contains(b.stderr, "journal.torn") || strings.Contains(b.stderr, "WARNING") {
		t.Errorf("%s%s", b.stdout, b.stderr)
	}
	b.same(b.journal(), "B 0 CREATED A 12 1352924178 T a", "B 0 CREATED A 12 1352924178 T b")
	if torn := b.read("journal.torn"); !strings.HasPrefix(torn, "B\t1355666755\tCREATED\tid1\t5") {
		t.Errorf("torn: %q", torn)
	}
}

// TestOldJournals: what versions 0, A and B wrote is read, with CR LF too.
func TestOldJournals(t *testing.T) {
	b := newBench(t)
	const tree = "1368761bd826f76cae8b8a74b3aae210b476333484c2d612d061d52e36af631a"
	b.write("journal", "1355666755 CREATED id0 7684356 "+tree+" def/abc 0\n"+
		"1355666755 CREATED gone 7684356 "+tree+" def/gone\n1355666755 DELETED gone def/gone\n1355666755 RETRIEVE_JOB id0\n"+
		"A\t1355666755\tCREATED\tid1\t7684356\t1355566755\t"+tree+"\tdef/abc\r\n"+
		"A\t1355666755\tRETRIEVE_JOB\tid1\tjob\n"+
		"B\t1355666756\tCREATED\tid2\t7684356\t-5\t"+tree+"\tdef/abc\n"+
		"B\t1355666757\tCREATED\tid3\t7684356\t+6\t"+tree+"\t spaced \n"+
		"C\t1355666757\tCREATED\tid4\t7684356\tNONE\t"+tree+"\tnone\n")
	b.same(b.ok("purge-vault --journal journal --dry-run"), "Will DELETE archive id0 (filename def/abc 0)", "Will DELETE archive id1 (filename def/abc)",
		"Will DELETE archive id2 (filename def/abc)", "Will DELETE archive id3 (filename  spaced )", "Will DELETE archive id4 (filename none)")
	b.same(b.ok("restore --dir tree --journal journal --max-number-of-files=9 --dry-run"), "Will RETRIEVE archive id0 (filename def/abc 0)",
		"Will RETRIEVE archive id1 (filename def/abc)", "Will RETRIEVE archive id3 (filename  spaced )", "Will RETRIEVE archive id4 (filename none)")
}

// TestOneAtATime: two commands that write one journal don't run at a time.
func TestOneAtATime(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	j, err := (&runner{Options: &Options{Journal: "journal"}, env: b.env(nil, nil)}).openJournal(false)
	b.must(err)
	b.fails(syncing3, "another firn writes to this journal")
	j.close()
	b.ok(syncing3)
}

// TestFaults: what the service refuses for a moment is asked again, and what it
// refuses for one file stops no other.
func TestFaults(t *testing.T) {
	b := made(t)
	for i := range 10 {
		b.write(fmt.Sprintf("tree/%d", i), "content")
	}
	n := 0
	b.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/archives") {
			return false
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		switch n++; n {
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 4:
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"code": "ThrottlingException", "message": "slower", "type": "Client"}`)
		case 6:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"code": "InvalidParameterValueException", "message": "not this one", "type": "Client"}`)
		default:
			return false
		}
		return true
	})
	b.fails(syncing3, "not this one")
	if n := strings.Count(b.stderr, "ERROR"); n != 1 {
		t.Errorf("%d errors: %s", n, b.stderr)
	}
	if n := len(b.journal()); n != 9 {
		t.Errorf("%d files are stored", n)
	}
	b.ok(syncing3)
	if n := len(b.journal()); n != 10 {
		t.Errorf("%d files are stored", n)
	}
}

// TestLostAnswer: a file whose answer is lost is sent again, and both archives are
// accounted for.
func TestLostAnswer(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	lost := false
	b.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/archives") || lost {
			return false
		}
		lost = true
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	b.ok(syncing3)
	b.same(b.journal(), "B 0 CREATED A 12 1352924178 T a")
	cat := b.catalog()
	defer cat.Close()
	stores, err := cat.Stores(t.Context())
	b.must(err)
	open, err := cat.OpenIntents(t.Context(), stores[0].ID)
	if err != nil || len(open) != 1 || open[0].File.Path != "a" {
		t.Errorf("open: %+v, %v", open, err)
	}
}

func (b *bench) catalog() *catalog.Catalog {
	b.t.Helper()
	cat, err := wire.OpenCatalog(b.t.Context(), wire.Env{Getenv: b.env(nil, nil).Getenv, Clock: clock.System{}})
	b.must(err)
	return cat
}

// TestResume: an upload that was interrupted goes on with the parts that are there.
func TestResume(t *testing.T) {
	b := made(t)
	b.write("tree/big", strings.Repeat("0123456789abcdef", 5*mib/16))
	ctx, stop := context.WithCancel(t.Context())
	parts := 0
	b.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/multipart-uploads/") {
			return false
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if parts++; parts == 4 {
			stop()
		}
		return false
	})
	if status := b.run(ctx, append(strings.Fields(syncing3), "--config=glacier.cfg", "--partsize=1", "--concurrency=1")...); status != 1 || !strings.Contains(b.stderr, "interrupted") {
		t.Fatalf("%d\n%s%s", status, b.stdout, b.stderr)
	}
	done := strings.Count(b.stdout, "Uploaded part")
	b.ok(syncing3 + " --partsize=1")
	if again := strings.Count(b.stdout, "Uploaded part"); done < 2 || again > 5-done || strings.Contains(b.stdout, "Created an upload_id") {
		t.Errorf("%d parts, then\n%s", done, b.stdout)
	}
	b.same(b.journal(), "B 0 CREATED A 5242880 1352924178 T big")
}

// TestMovedVault: nothing is stored in a vault whose archives went elsewhere.
func TestMovedVault(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	b.ok(syncing3)
	b.write("tree/b", "content of b")
	s := b.session()
	b.must(s.store.SetTags(t.Context(), map[string]string{snapshot.MovedTag: snapshot.MovedValue("s3:bucket/photos")}))
	s.close()
	b.fails(syncing3, "moved to s3:bucket/photos")
	b.fails("upload-file --journal journal --filename tree/b --dir tree", "moved to s3:bucket/photos")
	if n := len(b.journal()); n != 1 {
		t.Errorf("%d lines", n)
	}
	b.same(b.ok("purge-vault --journal journal"), "PID Deleted a archive_id [A]")
}

// TestKeptByFirn: an archive that a tree of firn's has too is not deleted.
func TestKeptByFirn(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	b.write("tree/b", "content of b")
	b.ok(syncing3)
	cat := b.catalog()
	stores, err := cat.Stores(t.Context())
	b.must(err)
	tree, err := cat.Bind(t.Context(), stores[0].ID, "photos", "here", "/photos")
	b.must(err)
	run, err := cat.BeginRun(t.Context(), stores[0].ID, tree.ID, "sync")
	b.must(err)
	file := firn.File{Path: "kept", Kind: firn.Regular, Mode: 0o644, Stamp: firn.Stamp{Size: 12}}
	intents := []catalog.Intent{{Store: stores[0].ID, Run: run.ID, Token: firn.NewToken(), Kind: catalog.FileArchive, Tree: tree.ID, File: file, Size: 12}}
	b.must(cat.Intend(t.Context(), intents))
	content := firn.Content{Size: 12, Tree: sumsOf("content of c").Tree}
	archive := firn.Archive{ID: "firns", Size: content.Size, Tree: content.Tree}
	b.must(cat.Stored(t.Context(), intents[0].ID, archive, run, &catalog.Change{File: file, Content: content, Read: time.Now()}), cat.Close())
	b.write("journal", b.read("journal")+"B\t1355666755\tCREATED\tfirns\t12\t1352924178\t"+content.Tree.String()+"\tc\n")
	b.fails("purge-vault --journal journal", "archive firns of c stays: firn keeps kept of the tree photos in it")
	if text := b.read("journal"); strings.Count(text, "DELETED") != 2 || strings.Contains(text, "DELETED\tfirns") {
		t.Error(text)
	}
}

// TestWithoutDescribe: a policy that was written for mt-aws-glacier need not allow
// what that never asked for.
func TestWithoutDescribe(t *testing.T) {
	b := made(t)
	b.write("tree/a", "content of a")
	b.write("tree/big", strings.Repeat("x", 2*mib))
	b.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		describes := r.Method == http.MethodGet && (strings.HasSuffix(r.URL.Path, "/vaults/photos") || strings.HasSuffix(r.URL.Path, "/tags"))
		if describes {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"code": "AccessDeniedException", "message": "no", "type": "Client"}`)
		}
		return describes
	})
	b.ok(syncing3 + " --partsize=1")
	b.remove("tree/a")
	b.ok("restore --dir tree --journal journal --max-number-of-files=1")
	b.service.Advance(6 * time.Hour)
	b.ok("restore-completed --dir tree --journal journal")
	b.ok("purge-vault --journal journal")
	if b.read("tree/a") != "content of a" || len(b.journal()) != 5 {
		t.Errorf("%q", b.journal())
	}
}
