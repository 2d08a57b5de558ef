package restore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// newTouched gives a bench whose tree was restored once, and then changed in all
// kinds of ways; the folder that it was restored to.
func newTouched(t *testing.T) (b *worktest.Bench, to string) {
	t.Helper()
	b = worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"same", "longer", "altered", "hidden", "dir/gone", "twin"} {
		b.Write(p, "content of "+p)
	}
	must(t, os.Link(filepath.Join(b.Root, "twin"), filepath.Join(b.Root, "twin2")))
	must(t, os.Symlink("same", filepath.Join(b.Root, "link")))
	b.Sync()
	to = filepath.Join(t.TempDir(), "out")
	b.Counts(run(b, options(b, to)).Counts, map[firn.Action]int64{firn.Restored: 8})
	at := func(p string) string { return filepath.Join(to, p) }
	must(t, os.WriteFile(at("longer"), []byte("quite another content"), 0o644))
	must(t, os.WriteFile(at("altered"), []byte("CONTENT OF altered"), 0o644))
	info, err := os.Stat(at("hidden"))
	must(t, err)
	must(t, os.WriteFile(at("hidden"), []byte("CONTENT OF hidden"), 0o644))
	must(t, os.Chtimes(at("hidden"), info.ModTime(), info.ModTime())) // as a disk that goes bad does it
	must(t, os.Remove(at("dir/gone")))
	must(t, os.WriteFile(at("twin"), []byte("no twin any more"), 0o644)) // nor is the other
	must(t, os.Remove(at("link")))
	must(t, os.Symlink("elsewhere", at("link")))
	return b, to
}

// below is the listing of what is in a folder, without itself.
func below(t *testing.T, dir string) string {
	t.Helper()
	return strings.SplitAfterN(listing(t, dir), "\n", 2)[1]
}

// TestOverwriting: what each choice does to files that were changed.
func TestOverwriting(t *testing.T) {
	for policy, want := range map[restore.Overwrite]map[firn.Action]int64{
		"":              {firn.Failed: 6, firn.Restored: 1, firn.Equal: 1},
		restore.Never:   {firn.Failed: 6, firn.Restored: 1, firn.Equal: 1},
		restore.Changed: {firn.Restored: 6, firn.Equal: 2},
		restore.Always:  {firn.Restored: 7, firn.Equal: 1},
	} {
		t.Run(string(policy), func(t *testing.T) {
			b, to := newTouched(t)
			before, err := os.ReadFile(filepath.Join(to, "longer"))
			must(t, err)
			o := options(b, to)
			o.Overwrite = policy
			b.Counts(run(b, o).Counts, want)
			after, err := os.ReadFile(filepath.Join(to, "longer"))
			must(t, err)
			if stays := want[firn.Failed] > 0; (string(before) == string(after)) != stays {
				t.Errorf("it was %q and is %q", before, after)
			}
			if policy == restore.Always {
				if a, b := below(t, b.Root), below(t, to); a != b {
					t.Errorf("there is\n%s\nwant\n%s", b, a)
				}
				one, err := os.Stat(filepath.Join(to, "twin"))
				must(t, err)
				other, err := os.Stat(filepath.Join(to, "twin2"))
				must(t, err)
				if !os.SameFile(one, other) {
					t.Error("the twins are two files")
				}
			}
			if names, _ := filepath.Glob(filepath.Join(to, ".firn-*")); len(names) > 0 {
				t.Errorf("left over: %q", names)
			}
		})
	}
}

// TestWrittenWhileItIsFetched: what somebody writes to a file that is being
// replaced stays, and the file fails.
func TestWrittenWhileItIsFetched(t *testing.T) {
	b, to := newTouched(t)
	o := options(b, to)
	o.Paths, o.Overwrite = []string{"longer"}, restore.Always
	name := filepath.Join(to, "longer")
	o.Store = &hooked{b.Store, func() { must(t, os.WriteFile(name, []byte("the work of today"), 0o644)) }}
	o.Downloader = options(&worktest.Bench{T: t, Store: o.Store, Clock: b.Clock, Catalog: b.Catalog, Row: b.Row}, to).Downloader
	b.Files("")
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Failed: 1})
	if text, err := os.ReadFile(name); err != nil || string(text) != "the work of today" {
		t.Errorf("there is %q, %v", text, err)
	}
}

// TestRestoringInPlace brings back what is missing among what is there, leaves
// no trace that a sync would find, and never makes the directory.
func TestRestoringInPlace(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"a", "dir/b", "dir/c"} {
		b.Write(p, p)
	}
	b.Sync()
	before := below(t, b.Root)
	must(t, os.RemoveAll(filepath.Join(b.Root, "dir")))
	b.Write(".firn-restore.part", "of an earlier restore to here")
	o := options(b, b.Root)
	o.InPlace = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Restored: 2, firn.Equal: 1})
	must(t, os.Remove(filepath.Join(b.Root, ".firn-restore.part")))
	if after := below(t, b.Root); before != after {
		t.Errorf("there is\n%s\nwant\n%s", after, before)
	}

	must(t, os.Rename(b.Root, b.Root+".aside"))
	_, err := restore.Run(t.Context(), o)
	if firn.KindOf(err) != firn.NotFound {
		t.Errorf("without the directory: %v", err)
	}
	if _, err := os.Lstat(b.Root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}
