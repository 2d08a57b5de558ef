package adopt_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
)

// Descriptions of other programs, from their own tests and documents.
const (
	mt2File     = "mt2 eyJmaWxlbmFtZSI6ImZpbGUvYSIsIm10aW1lIjoiMjAxMjExMDNUMDYyOTM4WiJ9" // file/a
	mt1File     = "mt1 eyJmaWxlbmFtZSI6IsOQwq9Bw5DCryIsIm10aW1lIjoiMTk3MDAxMDFUMDAwMjAzWiJ9"
	fastPlain   = "<m><v>4</v><p>cGhvdG9zL2EuanBn</p><lm>20130322T120026Z</lm><ce>0:0:0cc175b9c0f1b6a831c399e269772661:1</ce></m>"
	fastPacked  = "<m><v>4</v><p>cGhvdG9zL2IuanBn</p><lm>20130322T120026Z</lm><ce>1:1:0cc175b9c0f1b6a831c399e269772661:1</ce></m>" // photos/b.jpg
	fastFolder  = "<m><v>4</v><p>cGhvdG9zL2VtcHR5Lw==</p><lm>20130322T120026Z</lm></m>"                                            // photos/empty/
	cloudPlain  = `{"Path":"c:+AFw-data+AFw-x.txt","UTCDateModified":"20130322T120026Z","Flags":0}`
	cloudPacked = `{"Path":"c:+AFw-data+AFw-y.txt","UTCDateModified":"20130322T120026Z","Flags":3}`
	syncedFile  = "0cc175b9c0f1b6a831c399e269772661aaaaaaaa"
	syncedDB    = "glaciersync sqlite3 db 2013-05-01 20:52:45.774243"
)

// TestByDescriptions takes in a vault of which nothing is left but what the
// programs wrote on the archives.
func TestByDescriptions(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	for i, d := range []string{mt2File, mt1File, fastPlain, fastPacked, fastFolder, cloudPlain, cloudPacked, syncedFile, syncedDB,
		"holiday.tar.gz", "%C3%BCn%C3%AF", "100%25.txt", "", "mt2 !!!!"} {
		r.upload(d, strings.Repeat("x", i+1))
	}
	res := r.adopt(nil)
	r.want("vault", "100%25.txt 12", "holiday.tar.gz 10", "ünï 11", "ЯAЯ 2", "c/data/x.txt 6", "file/a 1", "photos/a.jpg 3", "photos/empty/")
	r.want("vault.packed", "c/data/y.txt.cloudberry 7", "glaciersync/database.sqlite3 9", "photos/b.jpg.fastglacier 4")
	r.heard(`c:\data\x.txt is kept as c/data/x.txt`, "database of glaciersync", "3 archives")
	want := []adopt.Source{
		{Name: "mt2", Archives: firn.Count{Files: 1, Bytes: 1}, Names: 1}, {Name: "mt1", Archives: firn.Count{Files: 1, Bytes: 2}, Names: 1},
		{Name: "fastglacier", Archives: firn.Count{Files: 3, Bytes: 12}, Names: 3, Packed: 1}, {Name: "cloudberry", Archives: firn.Count{Files: 2, Bytes: 13}, Names: 2, Packed: 1},
		{Name: "glaciersync-db", Archives: firn.Count{Files: 1, Bytes: 9}, Names: 1},
		{Name: "plain", Archives: firn.Count{Files: 3, Bytes: 33}, Names: 3},
	}
	if diff := cmp.Diff(want, res.Sources); diff != "" {
		t.Error(diff)
	}
	if res.Listed.Files != 14 || res.Bare != (firn.Count{Files: 3, Bytes: 8 + 13 + 14}) || res.Known != 0 || res.Older != 0 || !res.Complete() {
		t.Errorf("%+v", res)
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	r.restored("vault", map[string]string{"100%25.txt": x(12), "holiday.tar.gz": x(10), "ünï": x(11), "ЯAЯ": x(2), "c/data/x.txt": x(6), "file/a": x(1), "photos/a.jpg": x(3)})
	r.restored("vault.packed", map[string]string{"c/data/y.txt.cloudberry": x(7), "glaciersync/database.sqlite3": x(9), "photos/b.jpg.fastglacier": x(4)})
	again := r.adopt(nil)
	if len(again.Sources) != 0 || again.Known != 14 || again.Bare.Files != 0 {
		t.Errorf("again: %+v", again)
	}
	var bare []string
	for h, err := range r.catalog.Archives(t.Context(), r.row.ID) {
		r.check(err)
		if h.State == catalog.Foreign {
			bare = append(bare, h.Description)
		}
	}
	if diff := cmp.Diff([]string{syncedFile, "", "mt2 !!!!"}, bare); diff != "" {
		t.Error(diff)
	}
}

// TestStrip takes a folder off the paths, however it is written, and tells what
// isn't below it.
func TestStrip(t *testing.T) {
	for _, strip := range []string{`c:\data\`, `C:\Data`, "c/data", "/c/data/"} {
		r := newRig(t, storetest.MemoryOptions{})
		r.upload(cloudPlain, "x")
		r.upload(cloudPacked, "yy")
		r.upload(mt2File, "mmm")
		r.upload("c/database", "dddd")
		r.adopt(func(o *adopt.Options) { o.Strip = strip })
		r.want("vault", "x.txt 1", "c/database 4", "file/a 3")
		r.want("vault.packed", "y.txt.cloudberry 2")
		r.heard("file/a is not below", "c/database is not below")
	}
	r := newRig(t, storetest.MemoryOptions{})
	o := r.options()
	o.Strip = "/"
	if _, err := adopt.Run(t.Context(), o); firn.KindOf(err) != firn.Usage {
		t.Errorf("a root: %v", err)
	}
}

// TestHostileNames: whatever is written on archives, paths stay below the tree,
// and two names are never taken for versions of one file.
func TestHostileNames(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.upload("../../etc/passwd", "1")
	r.upload("/etc/passwd", "22")
	r.upload("%41%0Ab", "333")
	r.upload(fastGlacier("%41\nb"), "4444")
	r.upload(fastGlacier("%41\nb"), "55555")
	r.upload("%41%0Ab", "666666")
	r.upload(fastGlacier("\x1b[2J"), "7777777")
	r.upload(fastGlacier("..\\..\\x"), "88888888")
	r.upload("//", "999999999")
	r.adopt(nil)
	got := r.ls("vault")
	i := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, "%41%0Ab~") })
	if i < 0 {
		t.Fatalf("no second path: %v", got)
	}
	clash, _, _ := strings.Cut(got[i], " ")
	r.want("vault", "%1B[2J 7", "%41%0Ab 6", clash+" 5", "___/___/x 8", "___/___/etc/passwd 1", "etc/passwd 2")
	if got := r.versions("vault", "%41%0Ab"); !slices.Equal(got, []string{"333", "666666"}) {
		t.Errorf("the first: %v", got)
	}
	if got := r.versions("vault", clash); !slices.Equal(got, []string{"4444", "55555"}) {
		t.Errorf("%s: %v", clash, got)
	}
	r.restored("vault", map[string]string{"%1B[2J": "7777777", "%41%0Ab": "666666", clash: "55555", "___/___/x": "88888888", "___/___/etc/passwd": "1", "etc/passwd": "22"})
	// A later version comes to the same path, in another run.
	r.upload(fastGlacier("%41\nb"), "later")
	r.upload("%41%0Ab", "later!")
	r.adopt(nil)
	if got := r.versions("vault", clash); !slices.Equal(got, []string{"4444", "55555", "later"}) {
		t.Errorf("%s, later: %v", clash, got)
	}
	if got := r.versions("vault", "%41%0Ab"); !slices.Equal(got, []string{"333", "666666", "later!"}) {
		t.Errorf("the first, later: %v", got)
	}
}

// TestFileAndFolder: in a vault a name may be a file and a folder at once, though
// on no disk. Both are kept.
func TestFileAndFolder(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.upload("a", "file")
	r.upload("a/b", "below")
	r.adopt(nil)
	r.want("vault", "a 4", "a/b 5")
}

// TestOwnFiles: what firn stored keeps its tree, its bytes and its mode; what
// only the archives know is left to firn recover.
func TestOwnFiles(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	encode := func(a describe.Archive) string {
		a.Token = firn.NewToken()
		text, err := describe.Encode(a)
		r.check(err)
		return text
	}
	when := time.Unix(1e9, 5).UTC()
	r.upload(encode(describe.Archive{Kind: describe.File, Tree: "photos", Path: "a.jpg", ModTime: when, Mode: 0o600, HasMode: true}), "a")
	r.upload(encode(describe.Archive{Kind: describe.File, Tree: "photos", Path: "odd\tname\xff", ModTime: when, Made: when}), "bb")
	r.upload(encode(describe.Archive{Kind: describe.File, Path: "alone", ModTime: when}), "ccc")
	r.upload(encode(describe.Archive{Kind: describe.Bundle, Tree: "photos", Made: when, Members: 3, Index: 100}), "dddd")
	r.upload(encode(describe.Archive{Kind: describe.Snapshot, Made: when}), "eeeee")
	res := r.adopt(nil)
	r.want("photos", "a.jpg 1", "odd\tname\xff 2")
	r.want("vault")
	r.heard("firn recover")
	if res.Own != (firn.Count{Files: 2, Bytes: 9}) || res.Bare.Files != 0 {
		t.Errorf("%+v", res)
	}
	tree, err := r.catalog.Tree(t.Context(), r.row.ID, "photos")
	r.check(err)
	all, err := r.catalog.History(t.Context(), tree.ID, "a.jpg")
	r.check(err)
	if e := all[0]; e.Mode != 0o600 || !e.Stamp.ModTime.Equal(when) || e.Location.Kind != catalog.FileArchive {
		t.Errorf("%+v", e)
	}
	if res = r.adopt(nil); res.Own.Files != 2 || res.Known != 3 {
		t.Errorf("again: %+v", res)
	}
}

// TestSavedInventory reads one from a file, and refuses that of another vault.
func TestSavedInventory(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.upload(mt2File, "one")
	r.upload("two.txt", "22")
	dated := r.clock.Now()
	saved := r.file("inventory.json", inventoryJSON(vaultARN, dated, r.memory.Archives()...))
	r.upload("three.txt", "333")
	res := r.adopt(func(o *adopt.Options) { o.Inventory = saved })
	r.want("vault", "two.txt 2", "file/a 3")
	if !res.Dated.Equal(dated.Truncate(time.Second)) || res.Listed.Files != 2 {
		t.Errorf("%+v", res)
	}
	other := r.file("other.json", inventoryJSON("arn:aws:glacier:us-east-1:012345678901:vaults/other", dated))
	o := r.options()
	o.Inventory = other
	if _, err := adopt.Run(t.Context(), o); firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), "vaults/other") {
		t.Errorf("of another vault: %v", err)
	}
	damaged := strings.Replace(inventoryJSON(vaultARN, dated, r.memory.Archives()...), `"Size":2`, `"Size":-2`, 1)
	res = r.adopt(func(o *adopt.Options) { o.Inventory = r.file("damaged.json", damaged) })
	r.want("vault", "three.txt 3", "two.txt 2", "file/a 3")
	if res.Bad != 1 || res.Complete() {
		t.Errorf("an entry of -2 bytes: %+v", res)
	}
	r.heard("damaged.json, archive 2")
}

// TestPending: an inventory that takes hours is asked for once, and the next run
// goes on.
func TestPending(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour})
	r.upload("two.txt", "22")
	o := r.options()
	if _, err := adopt.Run(t.Context(), o); firn.KindOf(err) != firn.NotReady {
		t.Errorf("before the first inventory: %v", err)
	}
	r.clock.Advance(25 * time.Hour)
	for range 2 {
		if res := r.adopt(nil); !res.Pending || res.Complete() || !res.Ready.After(r.clock.Now()) {
			t.Errorf("%+v", res)
		}
		r.want("vault")
	}
	jobs := 0
	for _, err := range r.memory.Jobs(t.Context()) {
		r.check(err)
		jobs++
	}
	if jobs != 1 {
		t.Errorf("%d jobs", jobs)
	}
	r.clock.Advance(5 * time.Hour)
	if res := r.adopt(nil); res.Pending || res.Listed.Files != 1 {
		t.Errorf("%+v", res)
	}
	r.want("vault", "two.txt 2")
	if open, err := r.catalog.OpenJobs(t.Context(), r.row.ID); err != nil || len(open) > 0 {
		t.Errorf("the catalog waits for %+v, %v", open, err)
	}
}

// TestWait stays until the inventory is there.
func TestWait(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour})
	r.upload("two.txt", "22")
	r.clock.Advance(25 * time.Hour)
	res := r.adopt(func(o *adopt.Options) { o.Wait = true })
	r.want("vault", "two.txt 2")
	if res.Pending {
		t.Errorf("%+v", res)
	}
}

// TestDryRun finds out the same as a run, and leaves nothing.
func TestDryRun(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	one := r.upload(mt2File, "one")
	r.upload("two.txt", "22")
	r.upload(cloudPacked, "333")
	journal := r.file("journal", journalLine(one, 3, "from/journal"))
	var run catalog.Run
	dry := r.adopt(func(o *adopt.Options) { o.DryRun, o.Journals, run = true, []string{journal}, o.Run })
	r.want("vault")
	if trees, err := r.catalog.Trees(t.Context(), r.row.ID); err != nil || len(trees) > 0 {
		t.Errorf("%v, %v", trees, err)
	}
	if _, pending, err := r.catalog.StagedInventory(t.Context(), run); err != nil || pending {
		t.Errorf("an inventory stays staged: %v", err)
	}
	real := r.adopt(func(o *adopt.Options) { o.Journals = []string{journal} })
	r.want("vault", "two.txt 2", "from/journal 3")
	dry.Dated, real.Dated = time.Time{}, time.Time{}
	if diff := cmp.Diff(real, dry); diff != "" {
		t.Errorf("(-run +dry run):\n%s", diff)
	}
}

// TestKilled stops a run after each of its commits in turn; the next ones go on,
// and come to the same.
func TestKilled(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	var want []string
	for i := range 40 {
		r.upload(fmt.Sprintf("name-%02d", i), strings.Repeat("x", i+1))
		want = append(want, fmt.Sprintf("name-%02d %d", i, i+1))
	}
	for stop := 2; ; stop += 7 {
		ctx, cancel := context.WithCancelCause(t.Context())
		o := r.options()
		o.Batch = 1
		n := 0
		o.Events = func(firn.Event) {
			if n++; n == stop {
				cancel(errKilled)
			}
		}
		_, err := adopt.Run(ctx, o)
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) && !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at event %d: %v", stop, err)
		}
		if stop > 1000 {
			t.Fatal("it never ends")
		}
	}
	r.want("vault", want...)
	if res := r.adopt(nil); res.Known != 40 || res.Files.Files != 0 {
		t.Errorf("again: %+v", res)
	}
}

func TestTreeNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"photos": true, "": false, "..": false, ".firn": false, "a/b": false, "a\nb": false,
		strings.Repeat("x", adopt.MaxTree): true, strings.Repeat("x", adopt.MaxTree+1): false,
	} {
		if err := adopt.CheckTree(name); (err == nil) != ok || err != nil && firn.KindOf(err) != firn.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
}
