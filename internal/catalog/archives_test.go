package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// loose records the intent of an archive of no tree.
func (f *fixture) loose(t *testing.T, run catalog.Run, name, description string) catalog.Intent {
	t.Helper()
	intents := []catalog.Intent{{
		Store: run.Store, Run: run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: description,
		File: firn.File{Path: name, Kind: firn.Regular}, Size: 5, TreeHash: content("hello").Tree,
	}}
	check(t, f.Intend(t.Context(), intents))
	return intents[0]
}

// holdings collects what a store holds, without what differs in each run.
func (f *fixture) holdings(t *testing.T, store int64) (all []catalog.Holding) {
	t.Helper()
	for h, err := range f.Archives(t.Context(), store) {
		check(t, err)
		all = append(all, h)
	}
	return all
}

func TestArchives(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 10, 10) // several pages
	if all := f.holdings(t, f.store.ID); len(all) != 0 {
		t.Errorf("an empty store holds %+v", all)
	}
	other, err := f.Register(t.Context(), catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	elsewhere, err := f.BeginRun(t.Context(), other.ID, 0, "archive upload")
	check(t, err)
	bare, err := f.BeginRun(t.Context(), f.store.ID, 0, "archive upload")
	check(t, err)

	file := f.upload(t, f.run, regular("a", "content"))
	for i := range 5 {
		in := f.loose(t, elsewhere, "x", "")
		check(t, f.Stored(t.Context(), in.ID, firn.Archive{ID: firn.ArchiveID(fmt.Sprint("other", i)), Size: 5}, elsewhere, nil))
	}
	in := f.loose(t, bare, "dump.sql", "the dump")
	check(t, f.Stored(t.Context(), in.ID, firn.Archive{ID: "loose", Size: 5, Tree: content("hello").Tree}, bare, nil))
	f.loose(t, bare, "open", "not yet")
	dropped := f.loose(t, bare, "dropped", "never")
	check(t, f.Drop(t.Context(), dropped.ID, "test"))
	gone := f.upload(t, f.run, regular("b", "other content"))
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, gone)
	check(t, err)
	check(t, f.MarkDeleted(t.Context(), f.run, loc.Archive))

	got := f.holdings(t, f.store.ID)
	want := []catalog.Holding{
		{Kind: catalog.FileArchive, State: catalog.Stored, Remote: file, Size: 7, TreeHash: content("content").Tree,
			Created: epoch, Recorded: f.run.Started, Tree: "photos", Contents: 1},
		{Kind: catalog.LooseArchive, State: catalog.Stored, Remote: "loose", Size: 5, TreeHash: content("hello").Tree,
			Created: time.Time{}.UTC(), Recorded: bare.Started, Description: "the dump"},
	}
	for i := range got {
		got[i].ID = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if all := f.holdings(t, other.ID); len(all) != 5 || !slices.IsSortedFunc(all, func(a, b catalog.Holding) int { return int(a.ID - b.ID) }) {
		t.Errorf("the other store holds %+v", all)
	}
	for range f.Archives(t.Context(), other.ID) {
		break // wants no more
	}
}

// TestLooseIntents come back with their name, their stamp and their hash, and
// belong to no tree.
func TestLooseIntents(t *testing.T) {
	f := newFixture(t)
	run, err := f.BeginRun(t.Context(), f.store.ID, 0, "archive upload")
	check(t, err)
	f.loose(t, run, "stdin", "a stream")
	stamp := firn.Stamp{Size: 9, ModTime: epoch, Changed: epoch.Add(time.Minute), Inode: 12}
	file := []catalog.Intent{{
		Store: run.Store, Run: run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive,
		File: firn.File{Path: "backup.tar", Kind: firn.Regular, Stamp: stamp}, Size: 9,
	}}
	check(t, f.Intend(t.Context(), file))
	intents, err := f.OpenIntents(t.Context(), f.store.ID)
	check(t, err)
	if len(intents) != 2 {
		t.Fatalf("%d intents", len(intents))
	}
	stream, tar := intents[0], intents[1]
	if stream.File.Path != "stdin" || !stream.File.Stamp.ModTime.IsZero() || stream.TreeHash != content("hello").Tree || stream.Tree != 0 || stream.Description != "a stream" {
		t.Errorf("a stream: %+v", stream)
	}
	if tar.File.Path != "backup.tar" || !tar.File.Stamp.Equal(stamp) || !tar.TreeHash.IsZero() {
		t.Errorf("a file: %+v", tar)
	}
}
