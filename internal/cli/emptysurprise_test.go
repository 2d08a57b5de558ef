package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/wire"
)

// A wiredCatalog is the catalog, and the number of glacier:v in it.
type wiredCatalog struct {
	*catalog.Catalog
	store int64
}

// catalog lets work have the catalog.
func (w *jobWorld) catalog(work func(c *wiredCatalog)) {
	w.Helper()
	env := wire.Env{Getenv: w.env.Getenv, Dir: w.env.Dir, Clock: w.clock, Events: firn.Discard}
	c, err := wire.OpenCatalog(w.Context(), env)
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	row, err := c.StoreByURL(w.Context(), "glacier:v")
	if err != nil {
		w.Fatal(err)
	}
	work(&wiredCatalog{c, row.ID})
}

// TestEmptyingThatIsOverBeginsNotAnew: a kill between the end of an emptying and
// that of its task leaves nothing to be gone on with. What came since stays.
func TestEmptyingThatIsOverBeginsNotAnew(t *testing.T) {
	w := newJobWorld(t)
	w.upload("old", []byte("old"))
	w.firn(NotYet, "store", "empty", "glacier:v", "--confirm", "v", "--yes")
	w.catalog(func(c *wiredCatalog) {
		if err := c.EndEmptying(t.Context(), c.store); err != nil {
			t.Fatal(err)
		}
	})
	w.clock.Advance(time.Hour)
	w.upload("new", []byte("new"))
	for range 4 {
		_, _, _ = try(w.env, "resume")
		w.clock.Advance(6 * time.Hour)
	}
	out, _ := w.firn(Done, "archive", "list", "glacier:v")
	if !strings.Contains(out, "new") || !strings.Contains(out, "old") {
		t.Errorf("left are: %s", out)
	}
	if _, text := w.firn(Done, "resume"); !strings.Contains(text, "nothing is pending") {
		t.Errorf("resume goes on with: %s", text)
	}
}

// TestWhatIsToGoIsNotSafe: while archives wait until they are free of fees nobody is
// told that the store has them, and a sync says what becomes of them.
func TestWhatIsToGoIsNotSafe(t *testing.T) {
	w := newJobWorld(t)
	tree := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "a"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.firn(Done, "sync", tree, "glacier:v")
	w.firn(NotYet, "store", "empty", "glacier:v", "--confirm", "v", "--when-free")
	w.clock.Advance(6 * time.Hour)
	w.firn(NotYet, "resume")
	_, said := w.firn(Done, "sync", tree, "glacier:v")
	if !strings.Contains(said, "is being emptied") {
		t.Errorf("sync says: %s", said)
	}
	status, out, said := try(w.env, "verify", "glacier:v", "--safe-to-delete")
	for ; status == NotYet; status, out, said = try(w.env, "verify", "glacier:v", "--safe-to-delete") {
		w.clock.Advance(6 * time.Hour)
	}
	if strings.Contains(out, "tree/a") {
		t.Errorf("called safe: %s%s", out, said)
	}
	w.clock.Advance(91 * 24 * time.Hour)
	w.firn(Done, "resume")
	if out, _ := w.firn(Done, "sync", tree, "glacier:v"); !strings.Contains(out, "sent  1 file") {
		t.Errorf("afterwards sync says: %s", out)
	}
}

// TestCancelledEmptying: what isn't deleted stays, and firn resume goes on no more.
// Forgetting the store cancels it too.
func TestCancelledEmptying(t *testing.T) {
	for name, end := range map[string][]string{
		"cancel": {"store", "empty", "glacier:v", "--cancel"},
		"forget": {"store", "forget", "glacier:v", "--yes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newJobWorld(t)
			w.upload("old", []byte("old"))
			w.clock.Advance(80 * 24 * time.Hour)
			w.upload("young", []byte("young"))
			w.firn(NotYet, "store", "empty", "glacier:v", "--confirm", "v", "--when-free", "--and-delete")
			w.clock.Advance(20 * 24 * time.Hour)
			w.firn(NotYet, "resume")
			w.clock.Advance(6 * time.Hour)
			w.firn(NotYet, "resume") // old is gone
			w.firn(Done, end...)
			w.clock.Advance(100 * 24 * time.Hour)
			for range 4 {
				try(w.env, "resume")
				w.clock.Advance(6 * time.Hour)
			}
			if _, text := w.firn(Done, "resume"); !strings.Contains(text, "nothing is pending") {
				t.Errorf("resume goes on with: %s", text)
			}
			w.upload("more", []byte("more"))
			if out, _ := w.firn(Done, "archive", "list", "glacier:v"); !strings.Contains(out, "young") || strings.Contains(out, "old") {
				t.Errorf("left are: %s", out)
			}
			w.firn(Failed, "store", "empty", "glacier:v", "--cancel")
			if out, _ := w.firn(Done, "catalog", "check"); strings.Contains(out, "fault") {
				t.Error(out)
			}
		})
	}
}
