package catalog_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// onDisk is a found file as a sync sees it.
func onDisk(path string, size int64) catalog.Change {
	ch := regular(path, "")
	ch.Stamp.Size, ch.Content = size, firn.Content{}
	return ch
}

// TestTrusted: a file that nobody read has the disk's metadata and its archive's
// content, whether anybody knows the hash of that or not.
func TestTrusted(t *testing.T) {
	for name, hash := range map[string]bool{"hash known": true, "hash unknown": false} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			find := found("dir/file", "content", epoch)
			find.Members[0].Tree = f.tree.Name
			want := content("content")
			if !hash {
				want.Tree = treehash.Hash{}
				find.Members[0].Content.Tree = want.Tree
			}
			f.takeIn(t, find)
			run := f.begin(t)
			ch := onDisk("dir/file", want.Size)
			for i, made := range []catalog.Recorded{{Versions: 1}, {Touched: 1}} {
				ch.Read = epoch.Add(time.Duration(i) * time.Hour)
				done, err := f.RecordTrusted(t.Context(), run, []catalog.Change{ch})
				check(t, err)
				if done != made {
					t.Errorf("the %d. time: %+v, want %+v", i, done, made)
				}
				run = f.begin(t)
			}
			for d, err := range f.Current(t.Context(), f.tree.ID) {
				check(t, err)
				for _, got := range d.Files {
					if got.Path != "dir/file" || !got.Stamp.Equal(ch.Stamp) || got.UID != ch.UID || got.Content != want || !got.IsStored() || !got.Read.Equal(ch.Read) {
						t.Errorf("current %+v", got)
					}
				}
			}
			tree, err := f.Tree(t.Context(), f.store.ID, f.tree.Name)
			check(t, err)
			if tree.Files != 1 || tree.Bytes != want.Size {
				t.Errorf("tree %+v", tree)
			}
			versions, err := f.History(t.Context(), f.tree.ID, "dir/file")
			check(t, err)
			if len(versions) != 2 || versions[0].Location != versions[1].Location || versions[1].Location.Remote != find.Archive.ID {
				t.Errorf("versions %+v", versions)
			}
		})
	}
}

// TestUntrusted: all are recorded, or none; and only what is a stored file of
// the size.
func TestUntrusted(t *testing.T) {
	f := newFixture(t)
	find := found("file", "content", epoch)
	find.Members[0].Tree = f.tree.Name
	f.takeIn(t, find)
	f.record(t, f.run, symlink("link", "x"))
	f.intend(t, f.run, regular("unstored", "on its way"))
	good := onDisk("file", 7)
	for path, ch := range map[string]catalog.Change{
		"file":     onDisk("file", 8),
		"nothing":  onDisk("nothing", 7),
		"in/no":    onDisk("in/no", 7),
		"link":     onDisk("link", 1),
		"unstored": onDisk("unstored", 10),
	} {
		_, err := f.RecordTrusted(t.Context(), f.begin(t), []catalog.Change{good, ch})
		wantKind(t, err, firn.Conflict, path)
	}
	before := f.run
	later := f.begin(t)
	_, err := f.RecordTrusted(t.Context(), later, []catalog.Change{good})
	check(t, err)
	good.Mode = 0o600
	_, err = f.RecordTrusted(t.Context(), before, []catalog.Change{good})
	wantKind(t, err, firn.Conflict, "file")
	if done, err := f.RecordTrusted(t.Context(), later, nil); err != nil || done != (catalog.Recorded{}) {
		t.Errorf("of nothing: %+v, %v", done, err)
	}
}
