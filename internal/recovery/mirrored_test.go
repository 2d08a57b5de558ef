package recovery_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// mirrored makes a tree of which files were deleted from disk and store after a
// full snapshot: one in an archive of its own, one in a bundle, one empty.
func mirrored(b *worktest.Bench) {
	b.T.Helper()
	fill(b)
	b.Write("gone", goneText)
	syncAndSave(b)
	b.Clock.Advance(48 * time.Hour)
	for _, name := range []string{"gone", "empty", "many/file07"} {
		if err := os.Remove(filepath.Join(b.Root, name)); err != nil {
			b.T.Fatal(err)
		}
	}
	b.Snapshots()
	o := b.Options()
	o.Modes = syncer.Modes{New: true, ReplaceModified: true, DeleteRemoved: true}
	res, err := b.SyncWith(o)
	b.Maker = nil
	if err != nil || res.LetGo.Deleted.Files == 0 {
		b.T.Fatalf("%+v, %v", res.LetGo, err)
	}
}

var goneText = strings.Repeat("content that was deleted from the store ", 100)

// TestMirroredBeforeTheLoss loses the machine right after it deleted archives. What
// was deleted doesn't come back, nor does its content count as stored, though
// the last snapshot was made before: a file that has it is sent.
func TestMirroredBeforeTheLoss(t *testing.T) {
	benches(t, func(t *testing.T, b *worktest.Bench, ids *seal.Identities) {
		mirrored(b)
		m := newMachine(b, ids)
		m.recover()
		if diff := cmp.Diff(picture(t, b.Root), m.restored()); diff != "" {
			t.Errorf("(-lost +restored):\n%s", diff)
		}
		var sealed catalog.Recipients
		if ids != nil {
			sealed = b.Tree().Recipients
		}
		gone := firn.Content{Size: int64(len(goneText)), Tree: treehash.Sum([]byte(goneText))}
		found, err := m.cat.FindContents(t.Context(), m.row.ID, sealed, []firn.Content{gone})
		m.must(err)
		if found[0].Archive != 0 {
			t.Errorf("content of a deleted archive counts as stored: %+v", found[0])
		}
	})
}

// TestDeletedIsNotLost recovers long after archives were deleted, of which the
// last snapshot knows only that they were to be.
func TestDeletedIsNotLost(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1000, 5000)
	mirrored(b)
	b.Clock.Advance(10 * 24 * time.Hour)
	m := newMachine(b, nil)
	if res := m.recover(); res.Lost != 0 {
		t.Errorf("%d archives are lost that were deleted on purpose", res.Lost)
	}
}

// TestTwoLossesInARow loses a machine, then the one that it was recovered on, which
// had deleted files. What the first one's snapshot still says of them stays gone,
// whichever of the two is read first.
func TestTwoLossesInARow(t *testing.T) {
	for _, order := range []int{-1, 1} {
		b := worktest.New(t, storetest.MemoryOptions{})
		b.Bundle(1000, 5000)
		fill(b)
		b.Write("gone", goneText)
		syncAndSave(b)
		second := newMachine(b, nil)
		for first, n := b.Catalog.ID(), second.cat.ID(); bytes.Compare(first[:], n[:]) != order; n = second.cat.ID() {
			second = newMachine(b, nil)
		}
		second.recover()
		b.Catalog, b.Row = second.cat, second.row
		syncAndSave(b)
		for _, name := range []string{"gone", "empty", "link", "many/file07"} {
			if err := os.Remove(filepath.Join(b.Root, name)); err != nil {
				t.Fatal(err)
			}
		}
		b.Snapshots()
		o := b.Options()
		o.Modes = syncer.Modes{DeleteRemoved: true}
		if res, err := b.SyncWith(o); err != nil || res.LetGo.Deleted.Files == 0 {
			t.Fatalf("%+v, %v", res.LetGo, err)
		}
		third := newMachine(b, nil)
		third.recover()
		if diff := cmp.Diff(picture(t, b.Root), third.restored()); diff != "" {
			t.Errorf("order %d (-lost +restored):\n%s", order, diff)
		}
	}
}
