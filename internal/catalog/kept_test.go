package catalog_test

import (
	"fmt"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestKept: all archives that the store has or had, page by page, with what
// tells whether they are files as they were; none that is on its way, or in
// another store.
func TestKept(t *testing.T) {
	f := newFixture(t)
	other, err := f.Register(t.Context(), catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two", Name: "w", Address: "/w"})
	check(t, err)
	want := map[firn.ArchiveID]catalog.Kept{}
	expect := func(id firn.ArchiveID, k catalog.Kept) {
		k.Remote = id
		want[id] = k
	}
	for i := range 7 {
		ch := regular(fmt.Sprint("own ", i), fmt.Sprint("content ", i))
		expect(f.upload(t, f.run, ch), catalog.Kept{Kind: catalog.FileArchive, State: catalog.Stored, Run: f.run.ID, Tree: f.tree.ID})
		elsewhere := found(fmt.Sprint("elsewhere ", i), fmt.Sprint("elsewhere ", i), epoch)
		_, err := f.TakeIn(t.Context(), catalog.Run{ID: f.run.ID, Store: other.ID}, []catalog.Find{elsewhere})
		check(t, err)
	}
	f.intend(t, f.run, regular("on its way", "x"))
	plain, packed, unknown := found("plain", "plain", epoch), found("packed", "packed", epoch), found("unknown", "unknown", epoch)
	packed.Packed, unknown.Members = "compressed", nil
	sealed := found("sealed", "sealed", epoch)
	sealed.Kind, sealed.Header, sealed.Recipients = catalog.BundleArchive, []byte("header"), catalog.Recipients{1}
	f.takeIn(t, plain, packed, unknown, sealed)
	expect(plain.Archive.ID, catalog.Kept{Kind: catalog.ForeignArchive, State: catalog.Stored})
	expect(packed.Archive.ID, catalog.Kept{Kind: catalog.ForeignArchive, State: catalog.Stored, Packed: true})
	expect(unknown.Archive.ID, catalog.Kept{Kind: catalog.ForeignArchive, State: catalog.Foreign})
	expect(sealed.Archive.ID, catalog.Kept{Kind: catalog.BundleArchive, State: catalog.Stored, Packed: true})
	buried := firn.Archive{ID: "buried", Size: 1}
	check(t, f.Bury(t.Context(), f.run, buried))
	for _, page := range []int{1, 3, 1000} {
		f.SetSizes(page, 100, 100)
		last, n := int64(0), 0
		for k, err := range f.Kept(t.Context(), f.store.ID) {
			check(t, err)
			if k.ID <= last {
				t.Errorf("row %d after %d", k.ID, last)
			}
			last = k.ID
			n++
			if k.Remote == buried.ID {
				if k.State != catalog.Deleted {
					t.Errorf("buried: %+v", k)
				}
				continue
			}
			k.ID = 0
			if k != want[k.Remote] {
				t.Errorf("%+v, want %+v", k, want[k.Remote])
			}
		}
		if n != len(want)+1 {
			t.Errorf("%d archives, want %d", n, len(want)+1)
		}
	}
}
