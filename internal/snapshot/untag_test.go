package snapshot_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
)

// TestUntag: tags of snapshots that are gone go, and no others.
func TestUntag(t *testing.T) {
	store := storetest.NewMemory(storetest.MemoryOptions{})
	token, other := firn.NewToken().String(), firn.NewToken().String()
	tags := map[string]string{
		"firn-store": "0123", "owner": "me", "firn-catalog-" + token: "3/gone", "firn-full-" + token: "1/gone too",
		"firn-catalog-" + other: "7/there", "firn-full-" + other: "by hand",
	}
	if err := store.SetTags(t.Context(), tags); err != nil {
		t.Fatal(err)
	}
	gone := func(_ context.Context, id firn.ArchiveID) (bool, error) { return id == "gone" || id == "gone too", nil }
	for range 2 {
		if err := snapshot.Untag(t.Context(), store, gone); err != nil {
			t.Fatal(err)
		}
	}
	left, err := store.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"firn-catalog-" + other, "firn-full-" + other, "firn-store", "owner"}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(left)); !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}
