package catalog_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn/internal/catalog"
)

func (f *fixture) clashes(tb testing.TB, tree, at int64) []string {
	tb.Helper()
	found, err := f.FileAndFolder(tb.Context(), tree, at)
	check(tb, err)
	return slices.Sorted(maps.Keys(found))
}

// TestFileAndFolder: paths of an adopted store that are both are found, and
// none that only begin alike.
func TestFileAndFolder(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 100, 100)
	for i, path := range []string{"both", "both/x", "both!", "both.txt", "dir/both", "dir/both/deep/below", "dir/file", "other/both", "dir2", "dir2x/y", "both/x/y"} {
		f.takeIn(t, found(path, fmt.Sprint("text ", i), epoch))
	}
	theirs, err := f.Tree(t.Context(), f.store.ID, "theirs")
	check(t, err)
	if diff := cmp.Diff([]string{"both", "both/x", "dir/both"}, f.clashes(t, theirs.ID, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := f.clashes(t, f.tree.ID, 0); len(got) != 0 {
		t.Errorf("of another tree: %q", got)
	}
	if got := f.clashes(t, 77, 0); len(got) != 0 {
		t.Errorf("of a tree that there isn't: %q", got)
	}
}

// TestAFileBecomesAFolder: what was one after the other never clashed.
func TestAFileBecomesAFolder(t *testing.T) {
	f := newFixture(t)
	first := f.run
	f.upload(t, first, regular("path", "as a file"))
	second := f.begin(t)
	f.record(t, second, directory("path"))
	f.upload(t, second, regular("path/below", "in a folder"))
	for _, at := range []int64{0, first.ID, second.ID} {
		if got := f.clashes(t, f.tree.ID, at); len(got) != 0 {
			t.Errorf("at run %d: %q", at, got)
		}
	}
}

// TestFileAndFolderIsWhatFilesLists compares with what is listed, at each time.
func TestFileAndFolderIsWhatFilesLists(t *testing.T) {
	for seed := range uint64(fewer(30, 5)) {
		random := rand.New(rand.NewPCG(seed, 1))
		f := newFixture(t)
		f.SetSizes(1+random.IntN(7), 100, 100)
		var finds []catalog.Find
		for i := range 40 {
			names := make([]string, 1+random.IntN(4))
			for j := range names {
				names[j] = string(rune('a' + random.IntN(3)))
			}
			finds = append(finds, found(strings.Join(names, "/"), fmt.Sprint("text ", i), epoch.Add(time.Duration(random.IntN(100))*time.Hour)))
		}
		f.takeIn(t, finds...)
		theirs, err := f.Tree(t.Context(), f.store.ID, "theirs")
		check(t, err)
		for _, hours := range []int{-1, 10, 30, 60, 1000} {
			run, err := f.RunAt(t.Context(), theirs.ID, epoch.Add(time.Duration(hours)*time.Hour))
			at := run.ID
			if err != nil {
				at = 0
			}
			if diff := cmp.Diff(f.listedClashes(t, theirs.ID, at), f.clashes(t, theirs.ID, at)); diff != "" {
				t.Fatalf("seed %d, run %d (-listed +found):\n%s", seed, at, diff)
			}
		}
	}
}

// listedClashes finds them the long way.
func (f *fixture) listedClashes(tb testing.TB, tree, at int64) (both []string) {
	tb.Helper()
	files, folders := map[string]bool{}, map[string]bool{}
	for e, err := range f.Files(tb.Context(), catalog.ListQuery{Tree: tree, At: at}) {
		check(tb, err)
		files[e.Path] = true
		for i, c := range e.Path {
			if c == '/' {
				folders[e.Path[:i]] = true
			}
		}
	}
	for path := range files {
		if folders[path] {
			both = append(both, path)
		}
	}
	slices.Sort(both)
	return both
}

// BenchmarkFileAndFolder asks about a tree in which nothing clashes, of which one
// file was found.
func BenchmarkFileAndFolder(b *testing.B) {
	for _, perDir := range []int{10, 100} {
		b.Run(fmt.Sprintf("perDir=%d", perDir), func(b *testing.B) {
			n := benchRows(b)
			f := filled(b, n, perDir)
			one := found("found", "by an adopter", epoch)
			one.Members[0].Tree = f.tree.Name
			f.takeIn(b, one)
			b.ReportAllocs()
			for b.Loop() {
				if got := f.clashes(b, f.tree.ID, 0); len(got) != 0 {
					b.Fatal(got)
				}
			}
			perSecond(b, n, "files")
		})
	}
}
