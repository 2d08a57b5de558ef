package restore

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestRemoveLeftovers: only what restores leave goes, wherever links lead.
func TestRemoveLeftovers(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	gone := []string{tempName("a"), "sub/" + tempName("sub/b"), markName}
	stay := []string{"a", ".firn-0123456789abcdef", ".firn-0123456789abcde.part", ".firn-0123456789abcdeg.part", "sub/" + markName, "sub/x.firn-0123456789abcdef.part"}
	if err := os.MkdirAll(filepath.Join(dir, "sub", tempName("folder")), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(gone, stay...) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	victim := filepath.Join(outside, tempName("victim"))
	if err := os.WriteFile(victim, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"out": outside, tempName("link"): victim} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	got, err := RemoveLeftovers(t.Context(), dir)
	if want := (firn.Count{Files: 3, Bytes: 15}); err != nil || got != want {
		t.Errorf("removed %+v, %v; want %+v", got, err, want)
	}
	for _, name := range gone {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range append(stay, "sub/"+tempName("folder"), tempName("link")) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error("it went through a link")
	}
	if got, err := RemoveLeftovers(t.Context(), filepath.Join(dir, "nowhere")); err != nil || got != (firn.Count{}) {
		t.Errorf("of a folder that isn't there: %+v, %v", got, err)
	}
}

// TestKeys: what a restore brings, and where to, tells it from others; how it
// does that doesn't.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	base := func() Options {
		return Options{To: dir, Trees: []catalog.Tree{{ID: 1}}, Paths: []string{"a", "b"}}
	}
	key := func(change func(*Options)) string {
		o := base()
		if change != nil {
			change(&o)
		}
		k, err := Key(o)
		if err != nil || k == "" {
			t.Fatal(k, err)
		}
		return k
	}
	first := key(nil)
	for name, change := range map[string]func(*Options){
		"target": func(o *Options) { o.To = filepath.Join(dir, "x") },
		"tree":   func(o *Options) { o.Trees[0].ID = 2 },
		"paths":  func(o *Options) { o.Paths = []string{"a"} },
		"time":   func(o *Options) { o.As = "3d" },
		"globs":  func(o *Options) { o.Globs = &Globs{Text: "*.jpg"} },
	} {
		if key(change) == first {
			t.Errorf("another %s makes no other restore", name)
		}
	}
	for name, change := range map[string]func(*Options){
		"order":     func(o *Options) { o.Paths = []string{"b", "a", "a/c"} },
		"tier":      func(o *Options) { o.Tiers = []firn.Tier{firn.Expedited} },
		"way to it": func(o *Options) { o.To = filepath.Join(dir, "x", "..") },
	} {
		if key(change) != first {
			t.Errorf("another %s makes another restore", name)
		}
	}
}
