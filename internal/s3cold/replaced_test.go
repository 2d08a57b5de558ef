package s3cold_test

import (
	"fmt"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/s3test"
)

// TestTagsLeaveNoVersions: in a bucket that keeps versions only the last tags stay;
// without the right to delete they are set all the same.
func TestTagsLeaveNoVersions(t *testing.T) {
	for name, c := range map[string]struct {
		options s3test.Options
		denied  bool
		hidden  int
	}{
		"kept":                {options: s3test.Options{Versioned: true}},
		"kept, not to delete": {options: s3test.Options{Versioned: true}, denied: true, hidden: 3},
		"not kept":            {},
	} {
		t.Run(name, func(t *testing.T) {
			faults := s3test.NewFaults()
			c.options.Faults = faults
			if c.denied {
				faults.Add(s3test.Fault{Op: "DELETE versionId", Times: -1, Kind: s3test.Denied})
			}
			server, s := create(t, c.options, nil)
			for i := range 3 {
				if err := s.SetTags(t.Context(), map[string]string{"run": fmt.Sprint(i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.RemoveTags(t.Context(), "run"); err != nil {
				t.Fatal(err)
			}
			if tags, err := s.Tags(t.Context()); len(tags) > 0 || err != nil {
				t.Error(tags, err)
			}
			if got := server.Hidden("bucket"); got != c.hidden {
				t.Errorf("%d versions are hidden, want %d", got, c.hidden)
			}
			deletions := server.Calls()["DELETE versionId"]
			if !c.options.Versioned && deletions > 0 {
				t.Errorf("%d versions deleted where there are none", deletions)
			}
			err := s.Delete(t.Context())
			if c.denied {
				wantKind(t, "Delete", err, firn.Denied)
				return
			}
			if err != nil || len(server.Keys("bucket")) > 0 || server.Hidden("bucket") > 0 {
				t.Errorf("%v; %q are there, and %d hidden", err, server.Keys("bucket"), server.Hidden("bucket"))
			}
		})
	}
}

// TestSuspendedVersions: where the bucket keeps versions no more, the new tags have the
// old ones' version: nothing is deleted.
func TestSuspendedVersions(t *testing.T) {
	server, s := create(t, s3test.Options{Suspended: true}, nil)
	for i := range 3 {
		if err := s.SetTags(t.Context(), map[string]string{"run": fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if tags, err := s.Tags(t.Context()); tags["run"] != "2" || err != nil {
		t.Error(tags, err)
	}
	if n := server.Calls()["DELETE versionId"]; n > 0 {
		t.Errorf("%d versions deleted", n)
	}
	id := upload(t, s, "x", []byte("content"))
	if err := s.DeleteArchive(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if server.Hidden("bucket") > 0 || len(inventoryIDs(t, s)) > 0 {
		t.Error("the archive is there still")
	}
}
