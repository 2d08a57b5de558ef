package s3cold_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// TestDeleteOnly: a name that is free again may be another archive's by now, which
// another machine stored; who means the old one doesn't delete that.
func TestDeleteOnly(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, s := create(t, s3test.Options{Clock: now}, nil)
	const annex = "SHA256-s5--a" // a key of git-annex, whose description has no token
	old, oldToken := describeFile(t, "home", "a")
	next, nextToken := describeFile(t, "home", "a")
	for _, c := range []struct {
		first, then string
		wrong, is   firn.Deletable
	}{
		{old, next, firn.Deletable{Token: oldToken}, firn.Deletable{Token: nextToken}},
		{old, next, firn.Deletable{Archive: firn.Archive{Size: 5, Created: now.Now()}}, firn.Deletable{Archive: firn.Archive{Size: 5, Created: now.Now().Add(2 * time.Hour)}}},
		{annex, annex, firn.Deletable{Token: firn.NewToken(), Archive: firn.Archive{Size: 6}}, firn.Deletable{Token: firn.NewToken(), Archive: firn.Archive{Size: 5}}},
	} {
		id := upload(t, s, c.first, []byte("12345"))
		if err := s.DeleteOnly(t.Context(), firn.Deletable{Archive: firn.Archive{ID: id, Size: 5}}); err != nil {
			t.Fatal(err)
		}
		now.Advance(time.Hour)
		if again := upload(t, s, c.then, []byte("12345")); again != id {
			t.Fatalf("%q, then %q", id, again)
		}
		c.wrong.ID, c.is.ID = id, id
		wantKind(t, "another's", s.DeleteOnly(t.Context(), c.wrong), firn.Conflict)
		if data, _, _ := server.Object("bucket", "photos/"+string(id)); data == nil {
			t.Errorf("%q is gone", id)
		}
		c.is.Created = now.Now()
		for range 2 { // once more is no error
			if err := s.DeleteOnly(t.Context(), c.is); err != nil {
				t.Error(err)
			}
		}
		if data, _, _ := server.Object("bucket", "photos/"+string(id)); data != nil {
			t.Errorf("%q is still there", id)
		}
	}
}

// TestUploadLosesItsName: who takes the name of an open upload meanwhile keeps it, and
// what lies beside; the upload ends, so that it isn't tried for ever.
func TestUploadLosesItsName(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	mine, _ := describeFile(t, "home", "film")
	u, err := s.StartUpload(t.Context(), mine, s3cold.MinPart)
	if err != nil {
		t.Fatal(err)
	}
	body, sums := storetest.Body([]byte("part"))
	if err := s.UploadPart(t.Context(), u, 0, body, sums); err != nil {
		t.Fatal(err)
	}
	theirs, _ := describeFile(t, "home", "film")
	id := upload(t, s, theirs, []byte("theirs"))
	before := server.Keys("bucket")
	_, err = s.CompleteUpload(t.Context(), u, 4, treehash.Sum([]byte("part")))
	wantKind(t, "completed", err, firn.NotFound)
	if data, _, _ := server.Object("bucket", "photos/"+string(id)); string(data) != "theirs" {
		t.Errorf("%q is there", data)
	}
	after := server.Keys("bucket")
	if len(after) != len(before)-1 { // but for the ticket
		t.Errorf("before there were %q, now %q", before, after)
	}
	for open, err := range s.Uploads(t.Context()) {
		t.Errorf("still open: %+v, %v", open, err)
	}
}

// TestDeleteLeavesOthersUploads: what another program has begun to store below the
// prefix is not ended.
func TestDeleteLeavesOthersUploads(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	theirs, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://server.test/bucket/photos/theirs?uploads", nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Header.Set("X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") // of nothing
	resp, err := server.Transport().RoundTrip(theirs)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	mine, _ := describeFile(t, "home", "film")
	if _, err := s.StartUpload(t.Context(), mine, s3cold.MinPart); err != nil {
		t.Fatal(err)
	}
	ended := requests(server, func() {
		if err := s.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if ended["DELETE uploadId"] != 1 || slices.Contains(server.Keys("bucket"), "photos/.firn/store.json") {
		t.Errorf("%v; %q are there", ended, server.Keys("bucket"))
	}
}

// TestOwnAlone: who empties a store leaves what other programs keep below the prefix.
func TestOwnAlone(t *testing.T) {
	server, s := create(t, s3test.Options{}, nil)
	server.Fill("bucket", "photos/theirs/", "STANDARD", 1)
	mine, _ := describeFile(t, "home", "a")
	upload(t, s, mine, []byte("12345"))
	upload(t, s, "a text of one's own", []byte("12345"))
	for _, id := range inventoryIDs(t, s) {
		size := int64(5)
		theirs := strings.HasPrefix(string(id), "theirs/")
		if theirs {
			data, _, _ := server.Object("bucket", "photos/"+string(id))
			size = int64(len(data))
		}
		err := s.DeleteOnly(t.Context(), firn.Deletable{Archive: firn.Archive{ID: id, Size: size}, Own: true})
		if theirs {
			wantKind(t, string(id), err, firn.Invalid)
		} else if err != nil {
			t.Error(err)
		}
	}
	if ids := inventoryIDs(t, s); len(ids) != 1 {
		t.Errorf("left: %q", ids)
	}
}
