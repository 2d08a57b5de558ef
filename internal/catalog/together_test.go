package catalog_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestStoredTogether: outcomes of many uploads share a transaction, and one that
// can't be recorded changes nothing for the others, nor what is counted.
func TestStoredTogether(t *testing.T) {
	const many = 40
	f := newFixture(t)
	intents, changes := make([]catalog.Intent, many), make([]catalog.Change, many)
	var all sync.WaitGroup
	for i := range many {
		changes[i] = regular(fmt.Sprintf("d%d/f%d", i%3, i), fmt.Sprintf("content %02d", i))
		all.Go(func() { intents[i] = f.intend(t, f.run, changes[i]) })
	}
	all.Wait()
	fails := func(i int) bool { return i%8 == 5 }
	errs := make([]error, many)
	for i := range many {
		if fails(i) {
			check(t, f.Drop(t.Context(), intents[i].ID, "the test"))
		}
	}
	for i := range many {
		all.Go(func() {
			c := changes[i].Content
			archive := firn.Archive{ID: firn.ArchiveID(fmt.Sprint("archive ", i)), Size: c.Size, Tree: c.Tree, Created: epoch}
			errs[i] = f.Stored(t.Context(), intents[i].ID, archive, f.run, &changes[i])
		})
	}
	all.Wait()
	stored, bytes := int64(0), int64(0)
	for i, err := range errs {
		_, found, finding := f.FindContent(t.Context(), f.store.ID, changes[i].Content)
		check(t, finding)
		if fails(i) {
			wantKind(t, err, firn.Conflict, "dropped")
		} else {
			check(t, err)
			stored, bytes = stored+1, bytes+changes[i].Content.Size
		}
		if found == fails(i) {
			t.Errorf("content %d is found: %v", i, found)
		}
	}
	if n := len(f.openIntents(t)); n != 0 {
		t.Errorf("%d intents are open", n)
	}
	s, _ := f.StoreByURL(t.Context(), f.store.URL)
	tree, err := f.Tree(t.Context(), f.store.ID, "photos")
	check(t, err)
	if s.Archives != stored || s.Bytes != bytes || tree.Files != stored || tree.Bytes != bytes {
		t.Errorf("the store has %d archives of %d bytes, the tree %d files of %d; want %d of %d", s.Archives, s.Bytes, tree.Files, tree.Bytes, stored, bytes)
	}
}
