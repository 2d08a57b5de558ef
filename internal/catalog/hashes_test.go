package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// hashedFile makes up what was read of a file.
func hashedFile(path string, read time.Time) catalog.Hashed {
	h := catalog.Hashed{Path: path, Read: read, Stamp: firn.Stamp{Size: int64(len(path)), ModTime: epoch, Changed: epoch.Add(1), Inode: 7}}
	copy(h.Tree[:], path)
	return h
}

// TestHashesComeInWalkOrder: whatever the pages, each file's hash is found beside
// it, and only in the place where it was read.
func TestHashesComeInWalkOrder(t *testing.T) {
	f := newFixture(t)
	var paths []string
	for i := range 30 {
		paths = append(paths, fmt.Sprintf("f%02d", i), fmt.Sprintf("d%d/x y", i%4+i), fmt.Sprintf("d%d/sub/f", i), fmt.Sprintf("d%d.x/f", i))
	}
	var changes []catalog.Change
	slices.Sort(paths)
	paths = slices.Compact(paths)
	for _, p := range paths {
		changes = append(changes, catalog.Change{File: firn.File{Path: p, Kind: firn.Regular, Mode: 0o644, Links: 1, Stamp: firn.Stamp{ModTime: epoch}}})
	}
	_, err := f.Record(t.Context(), f.run, changes)
	check(t, err)
	round, err := f.BeginRound(t.Context(), f.tree.ID, "/home/photos", 1, 1)
	check(t, err)
	other, err := f.BeginRound(t.Context(), f.tree.ID, "/mnt/copy", 1, 1)
	check(t, err)
	if round.Place == other.Place {
		t.Fatal("two directories have one place")
	}
	read := epoch.Add(time.Hour).Truncate(time.Microsecond)
	var hashes []catalog.Hashed
	for i, p := range paths {
		if i%3 != 0 { // the others were never read
			hashes = append(hashes, hashedFile(p, read))
		}
	}
	check(t, f.KeepHashes(t.Context(), round, append(hashes, hashedFile("no such folder/f", read))))
	check(t, f.KeepHashes(t.Context(), other, hashes[:3]))
	for _, page := range []int{1, 2, 3, 7, 1000} {
		f.SetSizes(page, 5, 10)
		h := f.Hashes(t.Context(), round)
		found := 0
		for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID}) {
			check(t, err)
			got, ok, err := h.Find(e.Path)
			check(t, err)
			i := slices.IndexFunc(hashes, func(h catalog.Hashed) bool { return h.Path == e.Path })
			if ok != (i >= 0) || ok && (got.Tree != hashes[i].Tree || !got.Stamp.Equal(hashes[i].Stamp) || !got.Read.Equal(read)) {
				t.Errorf("pages of %d: %s: %t, %+v", page, e.Path, ok, got)
			}
			if ok {
				found++
			}
		}
		h.Close()
		if found != len(hashes) {
			t.Errorf("pages of %d: found %d of %d", page, found, len(hashes))
		}
		// One who stops early leaves nothing behind.
		f.Hashes(t.Context(), round).Close()
	}
}

// TestRoundsEnd: a round goes on until its end, each part's for itself; then what
// was not read in it goes.
func TestRoundsEnd(t *testing.T) {
	f := newFixture(t)
	var changes []catalog.Change
	for i := range 25 {
		changes = append(changes, catalog.Change{File: firn.File{Path: fmt.Sprintf("f%02d", i), Kind: firn.Regular, Mode: 0o644, Links: 1, Stamp: firn.Stamp{ModTime: epoch}}})
	}
	_, err := f.Record(t.Context(), f.run, changes)
	check(t, err)
	f.SetSizes(4, 4, 10)
	begin := func(part, parts int) catalog.Round {
		r, err := f.BeginRound(t.Context(), f.tree.ID, "/home/photos", part, parts)
		check(t, err)
		return r
	}
	first := begin(1, 1)
	var old, read []catalog.Hashed
	for i := range changes {
		if i%2 == 0 {
			old = append(old, hashedFile(changes[i].Path, first.Began))
		}
	}
	check(t, f.KeepHashes(t.Context(), first, old))
	f.clock.Advance(time.Hour)
	if part := begin(1, 3); part.Resumed || part.Place != first.Place {
		t.Errorf("%+v", part)
	}
	if again := begin(1, 1); !again.Resumed || !again.Began.Equal(first.Began) {
		t.Errorf("%+v after %+v", again, first)
	}
	check(t, f.EndRound(t.Context(), first, time.Time{}))
	second := begin(1, 1)
	if second.Resumed || !second.Began.After(first.Began) || !begin(1, 3).Resumed {
		t.Errorf("%+v", second)
	}
	for i := range changes {
		if i%3 == 0 {
			read = append(read, hashedFile(changes[i].Path, second.Began))
		}
	}
	check(t, f.KeepHashes(t.Context(), second, read))
	count := func() (n int) {
		h := f.Hashes(t.Context(), second)
		defer h.Close()
		for i := range changes {
			_, ok, err := h.Find(changes[i].Path)
			check(t, err)
			if ok {
				n++
			}
		}
		return n
	}
	if n := count(); n != 17 { // every second, and every third
		t.Errorf("%d hashes", n)
	}
	check(t, f.EndRound(t.Context(), second, second.Began))
	if n := count(); n != len(read) {
		t.Errorf("%d hashes, want %d", n, len(read))
	}
}

// TestSampleStaysTheSame until another takes its place.
func TestSampleStaysTheSame(t *testing.T) {
	f := newFixture(t)
	want := []catalog.Sampled{
		{Tree: f.tree.ID, Path: "a\xff", Content: firn.Content{Size: 3, Tree: treehash.Hash{1}}},
		{Tree: f.tree.ID, Path: "b/c", Content: firn.Content{Size: 4, Tree: treehash.Hash{2}}},
	}
	check(t, f.SetSample(t.Context(), f.store.ID, 9, []catalog.Sampled{{Tree: f.tree.ID, Path: "old"}}))
	check(t, f.SetSample(t.Context(), f.store.ID, 2, want))
	got, asked, err := f.Sample(t.Context(), f.store.ID)
	check(t, err)
	if !slices.Equal(got, want) || asked != 2 {
		t.Errorf("%d: %+v", asked, got)
	}
	check(t, f.SetSample(t.Context(), f.store.ID, 0, nil))
	if got, asked, err = f.Sample(t.Context(), f.store.ID); err != nil || len(got) > 0 || asked != 0 {
		t.Errorf("%d: %+v, %v", asked, got, err)
	}
}

// TestAgreedIsTheNewest inventory that was told of, until one disagrees.
func TestAgreedIsTheNewest(t *testing.T) {
	f := newFixture(t)
	wants := func(want catalog.Agreement) {
		t.Helper()
		if got, err := f.Agreed(t.Context(), f.store.ID); err != nil || !got.Recorded.Equal(want.Recorded) || !got.All.Equal(want.All) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	wants(catalog.Agreement{})
	newest := epoch.Add(time.Hour).Truncate(time.Second)
	check(t, f.SetAgreed(t.Context(), f.store.ID, newest, false))
	wants(catalog.Agreement{Recorded: newest})
	older := newest.Add(-time.Minute)
	check(t, f.SetAgreed(t.Context(), f.store.ID, older, true))
	wants(catalog.Agreement{Recorded: newest, All: older})
	check(t, f.Disagreed(t.Context(), f.store.ID))
	wants(catalog.Agreement{})
}
