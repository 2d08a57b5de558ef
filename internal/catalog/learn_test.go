package catalog_test

import (
	"fmt"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// unhashed is a tar of another program: nobody knows the hashes of the files.
func unhashed(texts ...string) catalog.Find {
	find := catalog.Find{Archive: firn.Archive{ID: "tar", Size: 1 << 20, Tree: content("tar").Tree, Created: epoch}, Kind: catalog.ForeignArchive}
	for i, text := range texts {
		m := found("dir/"+text, text, epoch).Members[0]
		m.Content.Tree = firn.Content{}.Tree
		m.Number, m.Offset = int64(i), int64(512+1024*i)
		find.Members = append(find.Members, m)
	}
	return find
}

// tarOf takes a tar in and gives its row.
func (f *fixture) tarOf(t *testing.T, texts ...string) int64 {
	t.Helper()
	f.takeIn(t, unhashed(texts...))
	loc, ok, err := f.ArchiveByRemote(t.Context(), f.store.ID, "tar")
	check(t, err)
	if !ok {
		t.Fatal("the tar isn't there")
	}
	return loc.Archive
}

// isFound reports whether the store is known to have a text.
func (f *fixture) isFound(t *testing.T, text string) bool {
	t.Helper()
	_, ok, err := f.FindContent(t.Context(), f.store.ID, content(text))
	check(t, err)
	return ok
}

// TestLearnContent: what was found out is known from then on, by the file's path
// and by the content.
func TestLearnContent(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 2, 3) // so that rows of the index move
	texts := []string{"one", "two", "three", "four", "five", "six", "seven"}
	tar := f.tarOf(t, texts...)
	for i, text := range texts {
		if f.isFound(t, text) {
			t.Errorf("%s is known before anybody read it", text)
		}
		for range 2 { // it may be said twice
			check(t, f.LearnContent(t.Context(), tar, int64(i), content(text)))
		}
	}
	tree, err := f.Tree(t.Context(), f.store.ID, "theirs")
	check(t, err)
	for i, text := range texts {
		if !f.isFound(t, text) {
			t.Errorf("%s isn't found by its content", text)
		}
		versions, err := f.History(t.Context(), tree.ID, "dir/"+text)
		check(t, err)
		if len(versions) != 1 || versions[0].Content != content(text) || versions[0].Location.Offset != int64(512+1024*i) {
			t.Errorf("%s is %+v", text, versions)
		}
	}
	if lines, _ := faults(t, f.Catalog); len(lines) > 0 {
		t.Errorf("faults %q", lines)
	}
}

func TestLearnContentRefused(t *testing.T) {
	for name, test := range map[string]struct {
		lesson catalog.Lesson
		kind   firn.Kind
	}{
		"no hash":      {catalog.Lesson{Member: 1, Content: firn.Content{Size: 3}}, firn.Invalid},
		"another size": {catalog.Lesson{Member: 1, Content: content("three")}, firn.Conflict},
		"another hash": {catalog.Lesson{Member: 2, Content: content("six")}, firn.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			tar := f.tarOf(t, "one", "two", "ten")
			check(t, f.LearnContent(t.Context(), tar, 2, content("ten")))
			test.lesson.Archive = tar
			err := f.LearnContents(t.Context(), []catalog.Lesson{{Archive: tar, Content: content("one")}, test.lesson})
			wantKind(t, err, test.kind, fmt.Sprintf("%d of archive %d", test.lesson.Member, tar))
			if f.isFound(t, "one") || !f.isFound(t, "ten") {
				t.Error("some of it was recorded")
			}
		})
	}
}

// TestLearnContentOfWhatIsGone: somebody may have removed it meanwhile.
func TestLearnContentOfWhatIsGone(t *testing.T) {
	f := newFixture(t)
	tar := f.tarOf(t, "one")
	check(t, f.LearnContents(t.Context(), nil))
	check(t, f.LearnContents(t.Context(), []catalog.Lesson{{tar + 1, 0, content("one")}, {tar, 7, content("one")}}))
	if f.isFound(t, "one") {
		t.Error("it was recorded of another place")
	}
}
