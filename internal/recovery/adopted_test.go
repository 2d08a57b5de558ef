package recovery_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/adopt"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
)

// adoptInto takes what others left in the store into a bench's catalog.
func adoptInto(b *worktest.Bench, tree string) {
	b.T.Helper()
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "adopt")
	if err != nil {
		b.T.Fatal(err)
	}
	asker := retrieval.New(retrieval.Options{Catalog: b.Catalog, Row: b.Row.ID, Store: b.Store, Clock: b.Clock, Run: run, Events: b.Events})
	_, err = adopt.Run(b.T.Context(), adopt.Options{
		Catalog: b.Catalog, Row: b.Row, Store: b.Store, Info: firn.StoreInfo{Name: "memory"}, Asker: asker, Clock: b.Clock, Events: b.Events, Run: run, Tree: tree,
	})
	if err != nil {
		b.T.Fatal(err)
	}
}

// save puts the catalog into the store.
func save(b *worktest.Bench) {
	b.T.Helper()
	maker := b.Snapshots()
	b.Maker = nil
	run, err := b.Catalog.BeginRun(b.T.Context(), b.Row.ID, 0, "snapshot")
	if err == nil {
		err = maker.Make(b.T.Context(), run)
	}
	if err == nil {
		err = b.Catalog.EndRun(b.T.Context(), run, catalog.Outcome{Complete: true})
	}
	if err != nil {
		b.T.Fatal(err)
	}
}

// entries lists all versions of a tree, without the numbers of the catalog.
func entries(t *testing.T, c *catalog.Catalog, tree int64) (all []string) {
	t.Helper()
	for e, err := range c.Files(t.Context(), catalog.ListQuery{Tree: tree, All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %o %d %s current=%t %s", e.Path, e.Kind, e.Mode, e.Stamp.Size, e.Stamp.ModTime, e.Until == 0, e.Location.Remote))
	}
	return all
}

// TestAdoptedTwice has two catalogs that adopted one vault as trees of one name.
// One of them synced a directory into its tree since. Whichever snapshot is read
// first, there is one tree, of that directory, with what it has.
func TestAdoptedTwice(t *testing.T) {
	for _, order := range []int{-1, 1} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{})
			b.Bundle(1000, 5000)
			for i := range 6 {
				name := fmt.Sprintf("d%d/file%d", i%2, i)
				put(b, name, "content of "+name)
				if i < 5 {
					b.Write(name, "content of "+name)
				}
				b.Clock.Advance(40 * time.Minute)
			}
			put(b, "d1/file1", "an older one")
			b.Write("d0/file0", "changed since")
			b.Write("new/file", "new")
			b.Write("large", strings.Repeat("large enough for an archive of its own ", 100))
			if err := os.MkdirAll(filepath.Join(b.Root, "empty"), 0o700); err != nil {
				t.Fatal(err)
			}
			b.Clock.Advance(48 * time.Hour)
			other := newMachine(b, nil)
			for first, n := b.Catalog.ID(), other.cat.ID(); bytes.Compare(first[:], n[:]) != order; n = other.cat.ID() {
				other = newMachine(b, nil)
			}
			adoptInto(b, "tree")
			syncAndSave(b)
			mine := b.Catalog
			mineRow := b.Row
			b.Catalog, b.Row = other.cat, other.row
			adoptInto(b, "tree")
			save(b)

			m := newMachine(b, nil)
			for _, c := range m.recover().Catalogs {
				if c.Trees != 1 {
					t.Errorf("%+v", c)
				}
			}
			trees, err := m.cat.Trees(t.Context(), m.row.ID)
			m.must(err)
			want, err := mine.Tree(t.Context(), mineRow.ID, "tree")
			m.must(err)
			if len(trees) != 1 || trees[0].Root != b.Root || trees[0].Files != want.Files || trees[0].Dirs != want.Dirs {
				t.Errorf("%+v, want %+v", trees, want)
			}
			if diff := cmp.Diff(entries(t, mine, want.ID), entries(t, m.cat, trees[0].ID)); diff != "" {
				t.Errorf("(-lost +recovered):\n%s", diff)
			}
			live, got := picture(t, b.Root), m.restored()
			maps.DeleteFunc(got, func(p, _ string) bool { return p == "d1/file5" })
			if diff := cmp.Diff(live, got); diff != "" {
				t.Errorf("(-lost +restored):\n%s", diff)
			}
		})
	}
}
