package upkeep_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// takeIn makes the catalog know a file of the disk as another program stored it.
func takeIn(b *worktest.Bench, path string, modTime time.Time, hash treehash.Hash) {
	b.T.Helper()
	info, err := os.Stat(filepath.Join(b.Root, path))
	must(b.T, err)
	_, err = b.Catalog.TakeIn(b.T.Context(), catalog.Run{Store: b.Row.ID}, []catalog.Find{{
		Archive: firn.Archive{ID: firn.ArchiveID("theirs-" + path), Size: info.Size(), Tree: hash, Created: b.Clock.Now()},
		Kind:    catalog.ForeignArchive,
		Members: []catalog.FoundMember{{Tree: "tree", Content: firn.Content{Size: info.Size(), Tree: hash}, File: firn.File{
			Path: path, Kind: firn.Regular, Mode: 0o644, UID: -1, GID: -1, Stamp: firn.Stamp{Size: info.Size(), ModTime: modTime},
		}}},
	}})
	must(b.T, err)
}

// TestVerifyWhatOthersStored: their times are as exact as their formats, if there
// are any, and their folders are those that their files are in. Of what has no
// hash nobody can say that it is the same, or that it isn't.
func TestVerifyWhatOthersStored(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	moment := time.Date(2013, 5, 1, 20, 43, 20, 123456789, time.UTC)
	for _, tt := range []struct {
		path     string
		recorded time.Time
		hash     treehash.Hash
	}{
		{"a/b/whole second", moment.Truncate(time.Second), treehash.Sum([]byte("x"))},
		{"a/b/floating point", moment.Add(119 * time.Nanosecond), treehash.Sum([]byte("x"))},
		{"c/no time", time.Time{}, treehash.Sum([]byte("x"))},
		{"c/other time", moment.Add(-time.Minute), treehash.Sum([]byte("x"))},
		{"c/other content", moment, treehash.Sum([]byte("y"))},
		{"no hash", moment, treehash.Hash{}},
	} {
		b.Write(tt.path, "x")
		must(t, os.Chtimes(filepath.Join(b.Root, tt.path), moment, moment))
		takeIn(b, tt.path, tt.recorded, tt.hash)
	}
	must(t, os.MkdirAll(filepath.Join(b.Root, "a", "b new"), 0o755))
	for _, tt := range []struct {
		quick bool
		want  map[firn.Action][]string
	}{
		{false, map[firn.Action][]string{
			firn.Verified: {"a/b/floating point", "a/b/whole second", "c/no time"},
			firn.Differs:  {"c/other content", "c/other time"},
			firn.Extra:    {"a/b new"},
			firn.Failed:   {"no hash"},
			firn.Missing:  nil,
		}},
		{true, map[firn.Action][]string{
			firn.Verified: {"a/b/floating point", "a/b/whole second", "c/no time", "c/other content", "no hash"},
			firn.Differs:  {"c/other time"},
			firn.Extra:    {"a/b new"},
			firn.Failed:   nil,
			firn.Missing:  nil,
		}},
	} {
		for a, want := range tt.want {
			b.Files("")
			verify(b, tt.quick)
			got := b.Files(a)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("quick %t, %s: %s; want %s", tt.quick, a, strings.Join(got, ", "), strings.Join(want, ", "))
			}
		}
	}
}
