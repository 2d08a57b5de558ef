package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/glacier"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

const partMiB = 1 << 20

// vault is the service as another program sees it.
func (w *jobWorld) vault() *glacier.Vault {
	w.Helper()
	v, err := glacier.Open(w.Context(), glacier.Config{
		Vault: "v", Region: "us-east-1", Endpoint: w.endpoint, Credentials: glacier.StaticCredentials("AKIDEXAMPLE", "secret", ""), Now: w.clock.Now,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { v.Close() })
	return v
}

// noise gives random bytes, the same for each seed.
func noise(seed byte, n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

// begin begins an upload of data as another program does, in parts of 1 MiB of which
// it sends some.
func (w *jobWorld) begin(v *glacier.Vault, description string, data []byte, parts ...int) string {
	w.Helper()
	id, err := v.StartUpload(w.Context(), description, partMiB)
	if err != nil {
		w.Fatal(err)
	}
	for _, i := range parts {
		piece := data[i*partMiB : min(len(data), (i+1)*partMiB)]
		d := treehash.NewDouble()
		d.Write(piece)
		if err := v.UploadPart(w.Context(), id, int64(i)*partMiB, io.NewSectionReader(bytes.NewReader(piece), 0, int64(len(piece))), d.Sums()); err != nil {
			w.Fatal(err)
		}
	}
	return string(id)
}

// isOpen reports whether the service has an upload open.
func (w *jobWorld) isOpen(v *glacier.Vault, id string) bool {
	w.Helper()
	for u, err := range v.Uploads(w.Context()) {
		if err != nil {
			w.Fatal(err)
		}
		if string(u.ID) == id {
			return true
		}
	}
	return false
}

// lay makes a file in the world's folder.
func (w *jobWorld) lay(name string, data []byte) {
	w.Helper()
	path := filepath.Join(w.env.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		w.Fatal(err)
	}
}

// records reads those of a kind from a command's output.
func recordsOf[T any](t *testing.T, stdout, kind string) (all []T) {
	t.Helper()
	for line := range strings.Lines(stdout) {
		var head struct{ Type string }
		if err := json.Unmarshal([]byte(line), &head); err != nil {
			t.Fatal(err)
		}
		if head.Type != kind {
			continue
		}
		var one T
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestUploadOfAnotherProgram: it is listed, compared, gone on with and completed;
// a file that is another one leaves it as it is.
func TestUploadOfAnotherProgram(t *testing.T) {
	w := newJobWorld(t)
	v, data := w.vault(), noise(1, 4*partMiB+9)
	id := w.begin(v, "my tape, 2014", data, 0, 2)
	w.lay("tape.tar", data)

	stdout, _ := w.firn(Done, "upload", "list", "glacier:v")
	w.says(stdout, id+"\t")
	w.says(stdout, "\t2\t2097152\tanother program\tmy tape, 2014\n")
	stdout, stderr := w.firn(Done, "upload", "parts", "glacier:v", "--", id)
	w.says(stdout, "0\t1048576\tthere\t")
	w.says(stdout, "2097152\t1048576\tthere\t")
	w.says(stderr, "my tape, 2014: 2.00 MiB are there in parts of 1.00 MiB; how large it is to be isn't known")
	_, stderr = w.firn(WrongUsage, "upload", "verify", "glacier:v", "--", id)
	w.says(stderr, "give the file that it is of")
	stdout, _ = w.firn(Done, "upload", "verify", "glacier:v", "--", id, "tape.tar")
	w.says(stdout, "2 parts are there (2.00 MiB): none differs; 3 parts missing")

	other := slices.Clone(data)
	other[2*partMiB+5]++
	w.lay("other.tar", other)
	stdout, _ = w.firn(Partial, "upload", "verify", "glacier:v", "--", id, "other.tar")
	w.says(stdout, "differs: 2097152 to 3145727, ")
	w.says(stdout, "1 part differs")
	_, stderr = w.firn(Failed, "upload", "resume", "glacier:v", "--", id, "other.tar")
	w.says(stderr, "the part at 2097152 holds other bytes")
	w.says(stderr, "firn upload verify glacier:v ")
	w.lay("short.tar", data[:2*partMiB])
	stdout, _ = w.firn(Partial, "upload", "verify", "glacier:v", "--json", "--", id, "short.tar")
	if all := recordsOf[uploadCheckRecord](t, stdout, "upload_check"); len(all) != 1 || all[0].Differ != 1 || all[0].Missing != 1 {
		t.Errorf("%+v", all)
	}
	_, stderr = w.firn(Failed, "upload", "resume", "glacier:v", "--", id, "short.tar")
	w.says(stderr, "the store has a part at 2097152")
	if !w.isOpen(v, id) {
		t.Fatal("the upload is gone")
	}

	stdout, stderr = w.firn(Done, "upload", "resume", "glacier:v", "--", id, "tape.tar")
	w.says(stderr, "stored tape.tar in glacier:v: 4.00 MiB")
	w.says(stderr, "of which 2.00 MiB were there already")
	archive := strings.TrimSpace(stdout)
	stdout, _ = w.firn(Done, "archive", "list", "glacier:v", "--json")
	all := recordsOf[archiveRecord](t, stdout, "archive")
	d := treehash.New()
	d.Write(data)
	if len(all) != 1 || string(all[0].Archive) != archive || all[0].Description != "my tape, 2014" || all[0].TreeHash != d.Sum().String() {
		t.Errorf("%+v, want %s", all, archive)
	}
	_, stderr = w.firn(Failed, "upload", "resume", "glacier:v", "--", id, "tape.tar")
	w.says(stderr, "has no such upload open")
}

// TestResumedUploadIsKilled: what it has begun it goes on with when it is run
// again, also with a copy of the file.
func TestResumedUploadIsKilled(t *testing.T) {
	w := newJobWorld(t, glacierd.Fault{Kind: glacierd.FaultNoLongerSupported, Op: "CompleteMultipartUpload", Nth: 1})
	v, data := w.vault(), noise(2, 3*partMiB)
	id := w.begin(v, "tape", data, 1)
	w.lay("tape", data)
	w.firn(Failed, "upload", "resume", "glacier:v", "--", id, "tape")
	stdout, _ := w.firn(Done, "upload", "list", "glacier:v", "--json")
	if all := recordsOf[uploadRecord](t, stdout, "open_upload"); len(all) != 1 || all[0].Owner != ownUpload || all[0].Running || all[0].Parts != 3 || all[0].Size != 3*partMiB || all[0].Kind != catalog.LooseArchive {
		t.Errorf("%+v", all)
	}
	// All was sent, and it may be an archive: that is not to be aborted.
	_, stderr := w.firn(Failed, "upload", "abort", "glacier:v", "--", id)
	w.says(stderr, "may be an archive already")
	w.lay("copy", data)
	w.firn(Done, "upload", "resume", "glacier:v", "--", id, "copy")
	stdout, _ = w.firn(Done, "archive", "list", "glacier:v")
	if strings.Count(stdout, "\n") != 1 {
		t.Errorf("%s", stdout)
	}
	stdout, _ = w.firn(Done, "status")
	if strings.Contains(stdout, "upload") {
		t.Errorf("%s", stdout)
	}
}

// TestUploadsOfASync: firn's own of a tree are seen as such, compared with the file,
// left to the sync that began them, and aborted only where nobody works on them.
func TestUploadsOfASync(t *testing.T) {
	w := newJobWorld(t, glacierd.Fault{Kind: glacierd.FaultNoLongerSupported, Op: "UploadMultipartPart", Nth: 3})
	v, data := w.vault(), noise(3, 66<<20)
	w.lay("tree/film.mov", data)
	w.firn(Failed, "sync", "tree", "glacier:v", "--part-size", "16", "--concurrency", "1")
	stdout, _ := w.firn(Done, "upload", "list", "glacier:v", "--json")
	all := recordsOf[uploadRecord](t, stdout, "open_upload")
	if len(all) != 1 || all[0].Owner != ownUpload || all[0].Running || all[0].Tree != "tree" || all[0].Path.Path != "film.mov" || all[0].Size != 66<<20 {
		t.Fatalf("%+v", all)
	}
	id := string(all[0].Upload)
	stdout, stderr := w.firn(Done, "upload", "parts", "glacier:v", "--", id)
	w.says(stdout, "missing")
	w.says(stderr, "3 parts missing of 66.0 MiB")
	stdout, _ = w.firn(Done, "upload", "verify", "glacier:v", "--", id)
	w.says(stdout, "2 parts are there (32.0 MiB): none differs; 3 parts missing")
	_, stderr = w.firn(Failed, "upload", "resume", "glacier:v", "--", id, "tree/film.mov")
	w.says(stderr, "firn sync "+filepath.Join(w.env.Dir, "tree")+" glacier:v goes on with it")
	stdout, _ = w.firn(Done, "upload", "clean", "glacier:v", "--older-than", "0h", "--yes")
	w.says(stdout, "nothing to clean")

	// A changed file: the record of what was sent tells as well.
	w.lay("tree/film.mov", data[:1])
	stdout, stderr = w.firn(Done, "upload", "verify", "glacier:v", "--", id)
	w.says(stderr, "film.mov has changed since")
	w.says(stdout, "none differs")

	w.firn(Done, "upload", "abort", "glacier:v", "--dry-run", "--", id)
	release := w.lockTree("tree")
	_, stderr = w.firn(Failed, "upload", "abort", "glacier:v", "--", id)
	w.says(stderr, "wait until it is done")
	stdout, _ = w.firn(Done, "upload", "list", "glacier:v")
	w.says(stdout, "\tunder way\ttree: film.mov\n")
	release()
	if !w.isOpen(v, id) {
		t.Fatal("it is gone")
	}
	stdout, _ = w.firn(Done, "upload", "abort", "glacier:v", "--", id)
	w.says(stdout, "aborted "+id+", of tree: film.mov: 32.0 MiB in 2 parts are lost")
	if w.isOpen(v, id) {
		t.Error("it is still there")
	}
	stdout, _ = w.firn(Done, "status", "glacier:v")
	if strings.Contains(stdout, "film.mov") {
		t.Errorf("%s", stdout)
	}
	_, stderr = w.firn(Failed, "upload", "abort", "glacier:v", "--", id)
	w.says(stderr, "no such upload open")
}

// lockTree takes the lock of a tree as a sync in another process does.
func (w *jobWorld) lockTree(name string) (release func()) {
	w.Helper()
	a := &app{env: w.env}
	env := wire.Env{Getenv: a.env.Getenv, Dir: a.env.Dir, Clock: a.env.Clock, Events: firn.Discard}
	c, err := wire.OpenCatalog(w.Context(), env)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	row, err := c.StoreByURL(w.Context(), "glacier:v")
	if err != nil {
		w.Fatal(err)
	}
	l, err := wire.LockTree(w.Context(), env, row, name, 0)
	if err != nil {
		w.Fatal(err)
	}
	return func() { l.Unlock() }
}

// TestUploadThatIsGone: one for which the catalog waits in vain is taken out of it.
func TestUploadThatIsGone(t *testing.T) {
	w := newJobWorld(t, glacierd.Fault{Kind: glacierd.FaultNoLongerSupported, Op: "UploadMultipartPart", Nth: 2})
	v := w.vault()
	w.lay("film.mov", noise(4, 66<<20))
	w.firn(Failed, "archive", "upload", "glacier:v", "film.mov", "--part-size", "32", "--concurrency", "1")
	var id firn.UploadID
	for u, err := range v.Uploads(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		id = u.ID
	}
	if err := v.AbortUpload(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	stdout, _ := w.firn(Done, "upload", "abort", "glacier:v", "--", string(id))
	w.says(stdout, "had ended already")
	if stdout, _ = w.firn(Done, "status", "glacier:v"); strings.Contains(stdout, "film.mov") {
		t.Errorf("%s", stdout)
	}
}

// TestUploadsAreCleaned: only those go that others have begun, long ago.
func TestUploadsAreCleaned(t *testing.T) {
	w := newJobWorld(t)
	v, data := w.vault(), noise(5, 2*partMiB)
	elsewhere, err := describe.Encode(describe.Archive{Token: firn.NewToken(), Kind: describe.File, Tree: "t", Path: "a/b.mov", ModTime: time.Unix(1e9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	const week = 7 * 24 * time.Hour
	w.clock.Advance(-week - time.Hour) // ages are by the Date of answers, which is real
	old, firns := w.begin(v, "old", data, 0), w.begin(v, elsewhere, data, 0, 1)
	w.clock.Advance(week + time.Hour)
	young := w.begin(v, "young", data, 0)
	open := func(want ...string) {
		t.Helper()
		for _, id := range []string{old, firns, young} {
			if got := w.isOpen(v, id); got != slices.Contains(want, id) {
				t.Errorf("%s is open: %t", id, got)
			}
		}
	}
	stdout, _ := w.firn(Done, "upload", "list", "glacier:v")
	w.says(stdout, "\tfirn elsewhere\tt: a/b.mov\n")
	_, stderr := w.firn(WrongUsage, "upload", "clean", "glacier:v")
	w.says(stderr, "give --yes")
	stdout, _ = w.firn(Done, "upload", "clean", "glacier:v", "--dry-run")
	w.says(stdout, "would abort "+old)
	open(old, firns, young)
	stdout, stderr = w.firn(Done, "upload", "clean", "glacier:v", "--yes")
	w.says(stdout, "aborted "+old+", of old: 1.00 MiB in 1 part are lost")
	w.says(stderr, "1 upload of firn on other machines")
	open(firns, young)
	_, stderr = w.firn(Failed, "upload", "resume", "glacier:v", "--", firns, w.file("b.mov", data))
	w.says(stderr, "give --force")
	w.firn(Done, "upload", "clean", "glacier:v", "--yes", "--include-firn")
	open(young)
	w.firn(Done, "upload", "clean", "glacier:v", "--yes", "--older-than", "0h")
	open()
	stdout, stderr = w.firn(Partial, "upload", "abort", "glacier:v", "--", w.begin(v, "a", data), "none")
	w.says(stdout, "aborted ")
	w.says(stderr, "no such upload open")
}

// file makes a file and gives its name.
func (w *jobWorld) file(name string, data []byte) string {
	w.lay(name, data)
	return name
}

// TestResumeOfFirnElsewhere keeps the description by which firn finds it again.
func TestResumeOfFirnElsewhere(t *testing.T) {
	w := newJobWorld(t)
	v, data := w.vault(), noise(6, 2*partMiB)
	description, err := describe.Encode(describe.Archive{Token: firn.NewToken(), Kind: describe.File, Tree: "t", Path: "a/b.mov", ModTime: time.Unix(1e9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	id := w.begin(v, description, data, 1)
	w.firn(Done, "upload", "resume", "glacier:v", "--force", "--", id, w.file("b.mov", data))
	stdout, _ := w.firn(Done, "archive", "list", "glacier:v", "--json")
	if all := recordsOf[archiveRecord](t, stdout, "archive"); len(all) != 1 || all[0].Description != description {
		t.Errorf("%+v", all)
	}
}

func TestAges(t *testing.T) {
	for s, want := range map[string]time.Duration{"0h": 0, "12h": 12 * time.Hour, "7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour} {
		var g age
		if err := g.Set(s); err != nil || time.Duration(g) != want || g.String() != s {
			t.Errorf("%s: %v, %q, %v", s, time.Duration(g), g.String(), err)
		}
	}
	for _, s := range []string{"", "d", "7", "7x", "-1d", "1.5d", "99999999d", "7 d"} {
		if err := new(age).Set(s); err == nil {
			t.Errorf("%q is an age", s)
		}
	}
}
