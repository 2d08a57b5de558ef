package mtglacier

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEncodingsOfAll: a name in one encoding on the disk, in another in the
// journal, in a third on the terminal, and in UTF-8 in the vault.
func TestEncodingsOfAll(t *testing.T) {
	const disk, inJournal, shown = "\xc6", "\xf4", "\xe4" // ф in KOI8-R, CP1251 and ISO-8859-5
	b := made(t)
	b.write("tree/a", "a")
	if err := os.WriteFile(filepath.Join(b.dir, "tree", disk), []byte("f"), 0o600); err != nil {
		t.Skipf("names here are UTF-8: %v", err)
	}
	const encodings = " --filenames-encoding=koi8-r --journal-encoding=cp1251 --terminal-encoding=iso-8859-5"
	has := func(text string) {
		t.Helper()
		if !strings.Contains(b.stdout, text) {
			t.Errorf("no %q in %q", text, b.stdout)
		}
	}
	b.ok(syncing3 + encodings + " --dry-run")
	has("Will UPLOAD tree/" + shown + "\n")
	b.ok(syncing3 + encodings + " --exclude " + shown)
	if strings.Contains(b.read("journal"), inJournal) {
		t.Error("the filter was not read in the terminal's encoding")
	}
	b.ok(syncing3 + encodings)
	has("Finished " + shown + " hash [")
	if !strings.HasSuffix(b.read("journal"), "\t"+inJournal+"\n") {
		t.Errorf("the journal is %q", b.read("journal"))
	}
	b.ok(syncing3 + encodings)
	has("Skip " + shown + "\n")
	b.ok("check-local-hash --dir tree --journal journal" + encodings)
	has("OK " + shown + " 1 ")

	// What isn't in the encoding that is named is refused, and nothing is changed.
	before := b.read("journal")
	b.fails(syncing3, "Invalid format of journal, line 2")
	b.fails("sync --dir tree --journal new", "Invalid octets in filename")
	if b.read("journal") != before {
		t.Error("the journal was changed")
	}

	b.must(os.Mkdir(filepath.Join(b.dir, "out"), 0o755))
	b.ok("restore --dir out --max-number-of-files 9 --journal journal" + encodings)
	b.service.Advance(6 * time.Hour)
	b.ok("restore-completed --dir out --journal journal" + encodings)
	has("Downloaded archive out/" + shown + "\n")
	if b.read("out/"+disk) != "f" {
		t.Error("another file came back")
	}
	// On a disk of another encoding the same file has the same letters.
	b.ok("restore-completed --dir out --journal journal --journal-encoding=cp1251")
	if b.read("out/ф") != "f" {
		t.Error("another file came back")
	}

	// The vault knows the name in UTF-8.
	b.service.Advance(48 * time.Hour)
	b.ok("retrieve-inventory")
	b.service.Advance(6 * time.Hour)
	b.ok("download-inventory --new-journal found")
	if !strings.Contains(b.read("found"), "\tф\n") {
		t.Errorf("the inventory has %q", b.read("found"))
	}
}
