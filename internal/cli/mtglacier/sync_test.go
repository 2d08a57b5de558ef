package mtglacier

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// made gives a bench with a vault.
func made(t testing.TB) *bench {
	t.Helper()
	return newBench(t).withVault()
}

func (b *bench) withVault() *bench {
	b.t.Helper()
	b.same(b.ok("create-vault photos"), "PID Created vault photos")
	return b
}

const syncing3 = "sync --dir tree --journal journal"

// TestCycle: from the first sync to a vault that is purged and deleted.
func TestCycle(t *testing.T) {
	b := made(t)
	b.write("tree/a.txt", "hello\n")
	b.write("tree/dir/b.txt", "world\n")
	b.write("tree/empty", "")
	b.same(b.ok(syncing3+" --dry-run"), "Will UPLOAD tree/a.txt", "Will UPLOAD tree/dir/b.txt")
	if b.read("journal") != "" {
		t.Error("a dry run wrote into the journal")
	}
	b.same(b.ok(syncing3),
		"PID Uploaded part for a.txt at offset [0]", "PID Finished a.txt hash [T] archive_id [A]",
		"PID Uploaded part for dir/b.txt at offset [0]", "PID Finished dir/b.txt hash [T] archive_id [A]")
	b.same(b.journal(), "B 0 CREATED A 6 1352924178 T a.txt", "B 0 CREATED A 6 1352924178 T dir/b.txt")
	b.same(b.ok(syncing3), "Skip a.txt", "Skip dir/b.txt")
	b.same(b.ok("check-local-hash --dir tree --journal journal"), "OK a.txt 6 T", "OK dir/b.txt 6 T", "TOTALS:",
		"2 OK", "0 MODIFICATION TIME MISSMATCHES", "0 TREEHASH MISSMATCH", "0 SIZE MISSMATCH", "0 ZERO SIZE", "0 MISSED", "0 ERRORS")
	b.same(b.ok("purge-vault --journal journal --dry-run"), "Will DELETE archive A (filename a.txt)", "Will DELETE archive A (filename dir/b.txt)")
	b.same(b.ok("purge-vault --journal journal"), "PID Deleted a.txt archive_id [A]", "PID Deleted dir/b.txt archive_id [A]")
	b.same(b.ok("purge-vault --journal journal"), "Nothing to delete")
	b.same(b.journal(), "B 0 CREATED A 6 1352924178 T a.txt", "B 0 CREATED A 6 1352924178 T dir/b.txt", "B 0 DELETED A a.txt", "B 0 DELETED A dir/b.txt")
	b.fails("delete-vault photos")
	b.service.Advance(48 * 3600e9)
	b.same(b.ok("delete-vault photos"), "PID Deleted vault photos")
}

// BenchmarkSync sends 1,000 tiny files from a process of its own, which takes
// mt-aws-glacier 6.5 s. The server is in this one, on the same cores. It keeps them in
// memory, as good as on a disk that the client doesn't wait for; or on the client's own
// disk; or it forgets them, which shows what the client costs.
func BenchmarkSync(b *testing.B) {
	b.Run("kept elsewhere", func(b *testing.B) {
		const memory = "/dev/shm"
		if _, err := os.Stat(memory); err != nil {
			b.Skip("no folder is known that is in memory: ", err)
		}
		benchmarkSync(b, nil, memory)
	})
	b.Run("kept", func(b *testing.B) { benchmarkSync(b, nil, "") })
	b.Run("forgotten", func(b *testing.B) {
		var n atomic.Int64
		benchmarkSync(b, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/archives") {
				return false
			}
			io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Amz-Archive-Id", fmt.Sprintf("%0138d", n.Add(1)))
			w.Header().Set("X-Amz-Sha256-Tree-Hash", r.Header.Get("X-Amz-Sha256-Tree-Hash"))
			w.WriteHeader(http.StatusCreated)
			return true
		}, "")
	})
}

// benchmarkSync has the server in a folder below the given one; "": beside the client.
func benchmarkSync(b *testing.B, before func(http.ResponseWriter, *http.Request) bool, server string) {
	var client time.Duration
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		vaults := filepath.Join(dir, "vaults")
		if server != "" {
			var err error
			if vaults, err = os.MkdirTemp(server, "firn-bench-"); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { os.RemoveAll(vaults) })
		}
		m := newBenchIn(b, dir, vaults).withVault()
		m.before = before
		for i := range 1000 {
			m.write(fmt.Sprintf("tree/%02d/%03d", i%10, i), fmt.Sprintf("file %d\n", i))
		}
		cmd := m.program(syncing3)
		b.StartTimer()
		m.must(cmd.Run())
		client += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	b.ReportMetric(float64(client.Milliseconds())/float64(b.N), "client-cpu-ms/op")
}

// TestModes: what each way to detect a change does, dry and in earnest.
func TestModes(t *testing.T) {
	const size, touched, same, other = "size", "touched", "same", "other"
	upload := func(name string) string { return "Will UPLOAD tree/" + name }
	verify := func(name string) string { return "Will VERIFY treehash and UPLOAD tree/" + name + " if modified" }
	for mode, want := range map[string]struct{ dry, sent, match []string }{
		"always-positive":    {[]string{upload(size), upload(touched), upload(same), upload(other)}, []string{size, touched, same, other}, nil},
		"size-only":          {[]string{upload(size)}, []string{size}, nil},
		"mtime":              {[]string{upload(size), upload(touched), upload(other)}, []string{size, touched, other}, nil},
		"treehash":           {[]string{upload(size), verify(touched), verify(same), verify(other)}, []string{size, other}, []string{touched, same}},
		"mtime-and-treehash": {[]string{upload(size), verify(touched), verify(other)}, []string{size, other}, []string{touched}},
		"mtime-or-treehash":  {[]string{upload(size), upload(touched), verify(same), upload(other)}, []string{size, touched, other}, []string{same}},
		"":                   {[]string{upload(size), verify(touched), verify(other)}, []string{size, other}, []string{touched}},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := made(t)
			for _, name := range []string{size, touched, same, other} {
				b.write("tree/"+name, "content of "+name)
			}
			b.ok(syncing3)
			b.write("tree/"+size, "longer than it was before")
			b.touch("tree/"+touched, 1352924179)
			b.write("tree/"+other, "CONTENT OF other")
			b.touch("tree/"+other, 1352924180)
			line := syncing3 + " --replace-modified"
			if mode != "" {
				line += " --detect=" + mode
			}
			b.same(b.ok(line+" --dry-run"), want.dry...)
			var lines []string
			for _, name := range want.sent {
				if mode != "always-positive" && slices.Contains(want.dry, verify(name)) {
					lines = append(lines, "PID Checked treehash for "+name+" - DOES NOT MATCH")
				}
				lines = append(lines, "PID Uploaded part for "+name+" at offset [0]", "PID Finished "+name+" hash [T] archive_id [A]", "PID Deleted "+name+" archive_id [A]")
			}
			for _, name := range want.match {
				lines = append(lines, "PID Checked treehash for "+name+" - MATCH")
			}
			b.same(b.ok(line), lines...)
			if n := len(b.journal()); n != 4+2*len(want.sent) {
				t.Errorf("the journal has %d lines", n)
			}
		})
	}
}

// TestUnknownTime: where the journal has no mtime it counts as the same.
func TestUnknownTime(t *testing.T) {
	b := made(t)
	b.write("tree/a", "12345")
	b.write("journal", "B\t1355666755\tCREATED\tid1\t5\tNONE\t"+strings.Repeat("0", 64)+"\ta\n")
	b.same(b.ok(syncing3 + " --replace-modified --dry-run"))
	b.same(b.ok(syncing3 + " --replace-modified --detect=mtime --dry-run"))
	b.same(b.ok(syncing3+" --replace-modified --detect=treehash --dry-run"), "Will VERIFY treehash and UPLOAD tree/a if modified")
}

// TestReplacementOrder: the new archive is in the journal before the old one is
// deleted.
func TestReplacementOrder(t *testing.T) {
	b := made(t)
	b.write("tree/a", "one")
	b.ok(syncing3)
	b.write("tree/a", "another")
	b.ok(syncing3 + " --replace-modified")
	want := []string{"B 0 CREATED A 3 1352924178 T a", "B 0 CREATED A 7 1352924178 T a", "B 0 DELETED A a"}
	if got := b.journal(); !slices.Equal(got, want) {
		t.Errorf("the journal: %q", got)
	}
	lines := strings.Split(b.read("journal"), "\n")
	if strings.Split(lines[0], "\t")[3] != strings.Split(lines[2], "\t")[3] {
		t.Error("it isn't the old archive that was deleted")
	}
}

// TestOnlyModified: without --new what is new is told, and not sent.
func TestOnlyModified(t *testing.T) {
	b := made(t)
	b.write("tree/a", "one")
	b.ok(syncing3)
	b.write("tree/b", "two")
	b.same(b.ok(syncing3+" --replace-modified"), "Not exists b")
	b.same(b.ok(syncing3+" --delete-removed"), "Not exists b")
	b.same(b.ok(syncing3+" --new --replace-modified"), "PID Uploaded part for b at offset [0]", "PID Finished b hash [T] archive_id [A]")
}

// TestDeleteRemoved: what is gone is deleted, one archive of a name in a run; what
// is empty, or not to be seen, stays.
func TestDeleteRemoved(t *testing.T) {
	b := made(t)
	for _, name := range []string{"a", "b", "dir/c", "stays"} {
		b.write("tree/"+name, "content of "+name)
	}
	b.ok(syncing3)
	b.remove("tree/a")
	b.remove("tree/dir")
	b.write("tree/b", "")
	if b.status(syncing3+" --delete-removed --dry-run") != 0 || !strings.Contains(b.stderr, "b is empty now") {
		t.Errorf("%s%s", b.stdout, b.stderr)
	}
	b.same(strings.Split(strings.TrimSpace(b.stdout), "\n")[2:], "Will DELETE archive A (filename a)", "Will DELETE archive A (filename dir/c)", "OK DONE")
	b.write("tree/b", "content of b")
	b.same(b.ok(syncing3+" --delete-removed --max-number-of-files=1 --dry-run"), "Will DELETE archive A (filename a)")
	b.same(b.ok(syncing3+" --delete-removed --exclude=/dir/"), "PID Deleted a archive_id [A]")
	b.same(b.ok(syncing3+" --delete-removed"), "PID Deleted dir/c archive_id [A]")
	if n := len(b.asked(http.MethodDelete)); n != 2 {
		t.Errorf("%d archives were deleted", n)
	}
	// A directory that is empty, as when its disk isn't mounted, deletes nothing.
	b.remove("tree")
	b.must(os.Mkdir(filepath.Join(b.dir, "tree"), 0o755))
	b.fails(syncing3+" --delete-removed", "there are no files in tree, and 2 in the journal", "mounted")
	if n := len(b.asked(http.MethodDelete)); n != 0 {
		t.Errorf("%d archives were deleted", n)
	}
}

// TestLimit: --max-number-of-files counts what is done, and not what is as it was.
func TestLimit(t *testing.T) {
	b := made(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		b.write("tree/"+name, "content of "+name)
	}
	b.same(b.ok(syncing3 + " --max-number-of-files=0"))
	b.same(b.ok(syncing3+" --max-number-of-files=4 --dry-run"), "Will UPLOAD tree/a", "Will UPLOAD tree/b", "Will UPLOAD tree/c", "Will UPLOAD tree/d")
	b.ok(syncing3)
	b.write("tree/e", "other content")
	b.touch("tree/a", 1)
	b.touch("tree/b", 1)
	b.ok(syncing3 + " --replace-modified --max-number-of-files=1")
	if !strings.Contains(b.stdout, "Finished e hash") {
		t.Error(b.stdout)
	}
}

// TestWhatIsFiltered: they hold for the disk and for the journal, and what is in no rule
// is included.
func TestWhatIsFiltered(t *testing.T) {
	b := made(t)
	for _, name := range []string{"a.txt", "b.gz", "data/c.gz", "data/d", "log/e.gz"} {
		b.write("tree/"+name, "x")
	}
	b.same(b.words(syncing3, "--dry-run", "--filter", "+*.gz -"), "Will UPLOAD tree/b.gz", "Will UPLOAD tree/data/c.gz", "Will UPLOAD tree/log/e.gz")
	b.same(b.words(syncing3, "--dry-run", "--exclude", "/data/", "--include", "*.gz"), "Will UPLOAD tree/a.txt", "Will UPLOAD tree/b.gz", "Will UPLOAD tree/log/e.gz")
	b.ok(syncing3)
	purge := "purge-vault --journal journal --dry-run"
	b.same(b.words(purge, "--filter", "+a.txt -"), "Will DELETE archive A (filename a.txt)")
	b.same(b.words(purge, "--filter", "-!/data/"), "Will DELETE archive A (filename data/c.gz)", "Will DELETE archive A (filename data/d)")
	b.same(b.words(purge, "--filter", "-"), "Nothing to delete")
	if n := len(b.ok(purge + " --filter=+a.txt")); n != 5 {
		t.Errorf("a filter without an end selects %d", n)
	}
}

// TestLinks: a link to a file counts as the file, one to a folder is followed only
// where that is asked for, and once.
func TestLinks(t *testing.T) {
	b := made(t)
	b.write("tree/file", "x")
	b.write("outside/f", "y")
	b.must(os.Symlink("file", filepath.Join(b.dir, "tree/link")), os.Symlink("../outside", filepath.Join(b.dir, "tree/dir")),
		os.Symlink("nothing", filepath.Join(b.dir, "tree/dangling")), os.Symlink("..", filepath.Join(b.dir, "outside/loop")))
	b.same(b.ok(syncing3+" --dry-run"), "Will UPLOAD tree/file", "Will UPLOAD tree/link")
	b.remove("outside/loop")
	b.must(os.Symlink("../tree", filepath.Join(b.dir, "outside/loop")))
	b.same(b.ok(syncing3+" --follow --dry-run"), "Will UPLOAD tree/dir/f", "Will UPLOAD tree/file", "Will UPLOAD tree/link")
	b.ok(syncing3 + " --follow")
	b.same(b.ok("check-local-hash --dir tree --journal journal")[:3], "OK dir/f 1 T", "OK file 1 T", "OK link 1 T")
}

// TestOddNames: a name that no journal holds stops itself alone, and the status is
// that of a failure.
func TestOddNames(t *testing.T) {
	b := made(t)
	b.write("tree/good", "x")
	b.write("tree/with\ttab", "x")
	b.write("tree/new\nline/f", "x")
	b.write("tree/\xff", "x")
	b.fails(syncing3, `Not allowed characters in filename: "with\ttab"`, `"new\nline/f"`, `does not map to desired encoding UTF-8: "\xff"`)
	b.same(b.journal(), "B 0 CREATED A 1 1352924178 T good")
	b.same(b.words(syncing3, "--filter", "+good -"), "Skip good")
}

// TestLongNames: as long as those of mt-aws-glacier, and no longer.
func TestLongNames(t *testing.T) {
	b := made(t)
	long := strings.Repeat("d", 240) + "/" + strings.Repeat("e", 240) + "/" + strings.Repeat("f", 241)
	b.write("tree/"+long, "x")
	b.write("tree/"+long+"g", "x")
	b.write("tree/"+long[:100], "x")
	b.fails(syncing3, "the name is too long")
	if n := strings.Count(b.read("journal"), "CREATED"); n != 2 {
		t.Errorf("%d archives", n)
	}
}

// TestNamesInOtherEncodings: names in another encoding than UTF-8 come and go.
func TestNamesInOtherEncodings(t *testing.T) {
	b := made(t)
	b.write("tree/\xd4\xc5\xd3\xd4", "x") // тест in KOI8-R
	b.same(b.ok(syncing3+" --filenames-encoding=KOI8-R --journal-encoding=windows-1251"),
		"PID Uploaded part for тест at offset [0]", "PID Finished тест hash [T] archive_id [A]")
	if !strings.HasSuffix(b.read("journal"), "\t\xf2\xe5\xf1\xf2\n") {
		t.Errorf("the journal: %q", b.read("journal"))
	}
	b.same(b.ok(syncing3+" --filenames-encoding=KOI8-R --journal-encoding=windows-1251"), "Skip тест")
	b.fails(syncing3, "Invalid format of journal, line 1")
}

// TestLocalFilesAreCounted: each thousand is told.
func TestLocalFilesAreCounted(t *testing.T) {
	b := made(t)
	for i := range 2001 {
		b.write(fmt.Sprintf("tree/%d", i), "x")
	}
	lines := b.ok(syncing3 + " --dry-run")
	if !slices.Contains(lines, "Found 1000 local files") || !slices.Contains(lines, "Found 2000 local files") || len(lines) != 2003 {
		t.Errorf("%d lines", len(lines))
	}
}
