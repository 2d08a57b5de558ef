package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
)

// TestTreeOwners tells of each tree who synced it, and up to when the last of
// these saved what it knew.
func TestTreeOwners(t *testing.T) {
	a := newFixture(t)
	a.upload(t, a.run, regular("x", "one"))
	a.takeIn(t, found("y", "theirs", epoch))
	b, _ := stream(t, a.Catalog, a.store.ID, catalog.RowsOptions{Seq: 1})

	c, store := another(t)
	take(t, c, store, b)
	run, err := c.BeginRun(t.Context(), store, 0, "recover")
	check(t, err)
	find := catalog.Find{Archive: firn.Archive{ID: "snapshot 1", Size: 100, Created: epoch.Add(time.Hour)}}
	for row, err := range read(b) {
		check(t, err)
		check(t, c.TakeSnapshot(t.Context(), run, *row.(*rows.Header), find))
		break
	}
	owners := func() (photos, theirs catalog.TreeOwner) {
		t.Helper()
		all, err := c.TreeOwners(t.Context(), store)
		check(t, err)
		if len(all) != 2 || all[0].Name != "photos" || all[1].Name != "theirs" {
			t.Fatalf("%+v", all)
		}
		return all[0], all[1]
	}
	photos, theirs := owners()
	if !slices.Equal(photos.Catalogs, []firn.Token{a.ID()}) || !photos.Saved.Equal(find.Archive.Created.Truncate(time.Second)) {
		t.Errorf("%+v", photos)
	}
	if len(theirs.Catalogs) > 0 || !theirs.Saved.IsZero() {
		t.Errorf("%+v", theirs)
	}
	_, err = c.BeginRun(t.Context(), store, photos.ID, "sync")
	check(t, err)
	if photos, _ = owners(); len(photos.Catalogs) != 2 || !slices.Contains(photos.Catalogs, c.ID()) || !photos.Saved.IsZero() {
		t.Errorf("it was synced here, and nothing saved since: %+v", photos)
	}
}

// TestMayBe knows trees under the names that they got where others have theirs.
func TestMayBe(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, tt := range []struct {
		tree, host, name string
		want             bool
	}{
		{"photos", "nas", "photos", true}, {"photos@nas", "nas", "photos", true}, {"photos@nas-2", "nas", "photos", true},
		{"photos@nas", "laptop", "photos", false}, {"photo", "nas", "photos", false}, {"photos@nas", "nas", "photos@nas", true},
		{catalog.NameOf(long, "a/b\n"), "a/b\n", long, true}, {"photos", "", "", false},
	} {
		if got := (catalog.Tree{Name: tt.tree, Host: tt.host}).MayBe(tt.name); got != tt.want {
			t.Errorf("%q of %q may be %q: %t", tt.tree, tt.host, tt.name, got)
		}
	}
}
