package syncer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// TestFoundUnderOneName: what was put together from a store may have a file and a
// directory of one name. The one that isn't on the disk is removed, and nothing
// of the other.
func TestFoundUnderOneName(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a/b", "below")
	b.Write("c", "a file")
	b.Sync()
	find := func(path string) catalog.Find {
		return catalog.Find{Kind: catalog.FileArchive, Token: firn.NewToken(),
			Archive: firn.Archive{ID: firn.ArchiveID("old " + path), Size: 3, Created: time.Unix(1, 0)},
			Members: []catalog.FoundMember{{Tree: b.Tree().Name, Content: firn.Content{Size: 3},
				File: firn.File{Path: path, Kind: firn.Regular, Stamp: firn.Stamp{Size: 3}}}}}
	}
	if _, err := b.Catalog.TakeIn(t.Context(), catalog.Run{Store: b.Row.ID}, []catalog.Find{find("a"), find("c/d")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Sync()
		var there []string
		for e, err := range b.Catalog.Files(t.Context(), catalog.ListQuery{Tree: b.Tree().ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind != firn.Directory {
				there = append(there, e.Path)
			}
		}
		if want := []string{"c", "a/b"}; !slices.Equal(there, want) {
			t.Errorf("there are %v, want %v", there, want)
		}
	}
}
