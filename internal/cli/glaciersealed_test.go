package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSealedAfterMigrate: archives that firn had encrypted in a vault are moved byte
// by byte, and the older programs bring these bytes, as they did from the vault: they
// need no identity.
func TestSealedAfterMigrate(t *testing.T) {
	w := newMovedWorld(t, 0)
	w.write("tree/letter", strings.Repeat("dear reader ", 1000))
	w.run(0, "glacier vault create v")
	w.run(0, "firn key new")
	recipient := strings.TrimSpace(w.run(0, "firn key show"))
	recipient = recipient[strings.Index(recipient, "age1"):]
	recipient, _, _ = strings.Cut(recipient, "\n")
	w.run(0, "firn sync tree glacier:v --no-bundle --recipient "+recipient)
	w.clock.Advance(48 * time.Hour) // there is an inventory
	w.run(0, "glacier vault sync --wait v")
	var id, tree string
	for line := range strings.Lines(w.run(0, "glacier archive list --force-ids --with-hash v")) {
		fields := strings.Split(strings.TrimPrefix(line, "id:"), "\t")
		if strings.Contains(w.run(0, "firn archive show glacier:v "+fields[0]), "letter") {
			id, tree = fields[0], fields[1]
		}
	}
	w.run(0, "glacier archive retrieve --wait v -o was id:"+id)
	was, err := os.ReadFile(filepath.Join(w.env.Dir, "was"))
	if err != nil || !strings.HasPrefix(string(was), "age-encryption.org/v1\n") {
		t.Fatalf("%q, %v: %.40q", id, err, was)
	}
	w.clock.Advance(100 * 24 * time.Hour)
	w.run(0, "firn migrate glacier:v s3:bucket/moved --wait --yes")
	if got := w.run(0, "glacier archive retrieve --wait v -o- id:"+id); got != string(was) {
		t.Errorf("%d bytes of %d", len(got), len(was))
	}
	w.write("journal", fmt.Sprintf("B\t1\tCREATED\t%s\t%d\t1\t%s\tletter.age\n", id, len(was), tree))
	w.write("back/another", "")
	w.write("cfg", "key=AKIAIOSFODNN7EXAMPLE\nsecret=c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\nregion=us-east-1\nprotocol=http\n")
	for _, command := range []string{"restore --max-number-of-files 9", "restore-completed"} {
		w.run(0, "mtglacier "+command+" --config "+filepath.Join(w.env.Dir, "cfg")+" --dir "+filepath.Join(w.env.Dir, "back")+" --vault v --journal "+filepath.Join(w.env.Dir, "journal"))
	}
	if got, err := os.ReadFile(filepath.Join(w.env.Dir, "back", "letter.age")); err != nil || !bytes.Equal(got, was) {
		t.Errorf("%d bytes of %d, %v", len(got), len(was), err)
	}
}

// write writes a file into the folder that commands run in.
func (w *movedWorld) write(name, text string) {
	w.Helper()
	path := filepath.Join(w.env.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}
