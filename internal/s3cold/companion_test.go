package s3cold_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// describeSnapshot is firn's description of a snapshot.
func describeSnapshot(t *testing.T) string {
	t.Helper()
	return encode(t, describe.Archive{Token: firn.NewToken(), Kind: describe.Snapshot, Made: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Catalog: firn.NewToken(), Seq: 1})
}

// listsOf gives the keys of a server below .firn/lists/ of the store.
func listsOf(server *s3test.Server) []string {
	return slices.DeleteFunc(server.Keys("bucket"), func(key string) bool { return !strings.HasPrefix(key, "photos/.firn/lists/") })
}

// TestCompanions: what is put beside an archive can be read at any time, is no
// archive, goes with the archive it belongs to, and with the store.
func TestCompanions(t *testing.T) {
	for name, o := range map[string]s3test.Options{"conditions": {}, "no conditions": {NoConditions: true}, "versions": {Versioned: true}} {
		t.Run(name, func(t *testing.T) {
			server, s := create(t, o, nil)
			body, sums := storetest.Body([]byte("a,b\n"))
			var snapshots []firn.ArchiveID
			for range 2 {
				id := upload(t, s, describeSnapshot(t), []byte("rows"))
				snapshots = append(snapshots, id)
				for _, file := range []string{"files.csv.gz", "RESTORE.txt"} {
					for range 2 { // in place of an earlier one
						if err := s.PutCompanion(t.Context(), id, "20260101T000000Z.machine", file, body, sums); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			lists := listsOf(server)
			if len(lists) != 4 || !strings.HasPrefix(lists[0], "photos/.firn/lists/20260101T000000Z.machine.") || !strings.HasSuffix(lists[0], "/RESTORE.txt") {
				t.Fatalf("there are %q", lists)
			}
			if data, class, _ := server.Object("bucket", lists[1]); string(data) != "a,b\n" || class != "STANDARD" {
				t.Errorf("%q is %q of %s", lists[1], data, class)
			}
			if ids := inventoryIDs(t, s); len(ids) != 2 {
				t.Errorf("the inventory has %q, want the two snapshots", ids)
			}
			description, _ := describeFile(t, "tree", "a")
			if err := s.DeleteArchive(t.Context(), upload(t, s, description, []byte("a"))); err != nil {
				t.Fatal(err)
			}
			if len(listsOf(server)) != 4 {
				t.Error("the deletion of a file took lists along")
			}
			for left := range slices.Backward(snapshots) {
				if err := s.DeleteArchive(t.Context(), snapshots[left]); err != nil {
					t.Fatal(err)
				}
				if got := listsOf(server); len(got) != 2*left {
					t.Errorf("with %d snapshots there are %q", left, got)
				}
			}
			if err := s.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			if server.Hidden("bucket") > 0 { // of those that were put twice
				t.Errorf("%d versions are hidden", server.Hidden("bucket"))
			}
			if left := server.Keys("bucket"); len(left) > 0 {
				t.Errorf("the store left %q", left)
			}
		})
	}
}

// inventoryIDs lists all archives.
func inventoryIDs(t *testing.T, s firn.Store) (ids []firn.ArchiveID) {
	t.Helper()
	job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Inventory(t.Context(), job, func(a firn.Archive) error { ids = append(ids, a.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestCompanionRefused: what has no place is refused, and nothing is stored.
func TestCompanionRefused(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	id := upload(t, s, describeSnapshot(t), []byte("rows"))
	description, _ := describeFile(t, "tree", "a")
	file := upload(t, s, description, []byte("a"))
	body, sums := storetest.Body([]byte("x"))
	for name, put := range map[string]struct {
		archive      firn.ArchiveID
		folder, name string
	}{
		"beside a file": {file, "folder", "name"}, "no archive": {".firn/store.json", "folder", "name"}, "a folder in it": {id, "folder", "a/b"},
		"above": {id, "../..", "name"}, "no name": {id, "folder", ""}, "a line feed": {id, "folder\n", "name"},
	} {
		if err := s.PutCompanion(t.Context(), put.archive, put.folder, put.name, body, sums); firn.KindOf(err) != firn.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
	if got := listsOf(server); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
}

// TestPlace: where other tools find the store, and what is in it.
func TestPlace(t *testing.T) {
	_, s := create(t, s3test.Options{}, nil)
	p, ok := s.Place()
	if want := (firn.Place{Bucket: "bucket", Prefix: "photos/", Region: s.Region(), Endpoint: p.Endpoint, Companions: ".firn/lists/"}); !ok || p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	if key := s.Key("tree/100%25"); key != "photos/tree/100%" {
		t.Errorf("the key is %q", key)
	}
	if key := s.Key(".firn/store.json"); key != "" {
		t.Errorf("what is no archive has the key %q", key)
	}
}
