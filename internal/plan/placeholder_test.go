package plan_test

import (
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/scan"
)

// TestPlaceholdersAreNeverRemoved: a file or a folder that was archived, and is
// in the cloud alone by now, stays as it is known.
func TestPlaceholdersAreNeverRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"away", "here", "cold/file"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := scan.Walk(t.Context(), dir, scan.Options{Elsewhere: func(f *firn.File) bool { return f.Path == "away" || f.Path == "cold" }})
	entry := func(path string, kind firn.FileKind) plan.Entry {
		return plan.Entry{File: firn.File{Path: path, Kind: kind}, Stored: true}
	}
	root, cold := entry("", firn.Directory), entry("cold", firn.Directory)
	known := iter.Seq2[*plan.Known, error](func(yield func(*plan.Known, error) bool) {
		_ = yield(&plan.Known{Self: &root, Entries: []plan.Entry{entry("away", firn.Regular), entry("gone", firn.Regular), entry("here", firn.Regular)}}, nil) &&
			yield(&plan.Known{Path: "cold", Self: &cold, Entries: []plan.Entry{entry("cold/file", firn.Regular)}}, nil)
	})
	var removed, failed []string
	for d, err := range plan.Merge(seen, known, plan.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range append(d.Entries, d.Self) {
			if e.Action == plan.Removed {
				removed = append(removed, e.Known.File.Path)
			}
		}
		for _, s := range d.Skipped {
			failed = append(failed, s.Path)
		}
	}
	if len(removed) != 1 || removed[0] != "gone" {
		t.Errorf("removed %q, want only what is gone", removed)
	}
	if len(failed) != 2 {
		t.Errorf("told of %q", failed)
	}
}
