package s3cold_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// strangePaths are those of files that servers, or the way there, may take for others.
var strangePaths = []string{
	"100%", "100%25", "a%2Fb", "a%252Fb", "%", "%zz", "a+b", "a b", " a", "a ", "a?b=c&d", "a#b", `a\b`, `"<&>'`, "a;b,c:d=e", "a//b", "/a", "a/",
	".", "..", "./a", "a/./b", "../a", "a/../b", "a/..", "...", ".hidden", "a\u007fb", "a\u0085b", "a\u2028b", "e\u0301", "\u00e9", "\u65e5\u672c", "\U0001f600",
	"~", "*", "[a]", "{a}", "|", "^", "`", "$a", "@", "-", "_", ".firn", ".firn/store.json", "CON", "a.", "a:b",
}

// keepsNames stores files of all such paths, and fails the test where one isn't told of,
// read and deleted as it was stored. ripen waits until what was asked for is ready.
func keepsNames(t *testing.T, s *s3cold.Store, ripen func()) {
	t.Helper()
	want := map[firn.ArchiveID]string{} // descriptions
	data := func(id firn.ArchiveID) []byte { return []byte("content of " + want[id]) }
	for _, path := range strangePaths {
		description, _ := describeFile(t, "home", path)
		body, sums := storetest.Body([]byte("content of " + description))
		id, err := s.UploadArchive(t.Context(), description, body, sums)
		if err != nil {
			t.Fatalf("%.60q: %v", path, err)
		}
		if before, twice := want[id]; twice {
			t.Fatalf("%.60q has the id of %s", path, before)
		}
		want[id] = description
	}
	job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	listed := map[firn.ArchiveID]bool{}
	if _, err := s.Inventory(t.Context(), job, func(a firn.Archive) error {
		if listed[a.ID] = true; a.Description != want[a.ID] || a.Size != int64(len(data(a.ID))) {
			t.Errorf("%q is listed as %+v", want[a.ID], a)
		}
		return nil
	}); err != nil || len(listed) != len(strangePaths) {
		t.Fatalf("%d are listed of %d: %v", len(listed), len(strangePaths), err)
	}
	for id := range want {
		if _, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: id, Tier: firn.Bulk}); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	ripen()
	for id := range want {
		job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: id, Tier: firn.Bulk})
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		out, err := s.Output(t.Context(), job, firn.Range{End: int64(len(data(id)))})
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		got, err := io.ReadAll(out)
		out.Close()
		if err != nil || !bytes.Equal(got, data(id)) {
			t.Errorf("%q holds %q, %v", id, got, err)
		}
		if err := s.DeleteArchive(t.Context(), id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	if info, err := s.Describe(t.Context()); err != nil || info.Archives != 0 {
		t.Errorf("left are %+v, %v", info, err)
	}
}

// TestStrangeNames: whatever a file is called, its archive is stored, listed, read and
// deleted under a name of its own, at servers that keep objects as files too.
func TestStrangeNames(t *testing.T) {
	const thaw = 12 * time.Hour
	for name, o := range map[string]s3test.Options{"objects": {}, "files": {Files: true}, "no conditions": {NoConditions: true}, "short pages": {Page: 7}} {
		t.Run(name, func(t *testing.T) {
			now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
			o.Clock, o.Thaw = now, thaw
			_, s := create(t, o, nil)
			keepsNames(t, s, func() { now.Advance(thaw) })
		})
	}
}

// TestLongKeys: a key has at most 1,024 bytes. A file whose own would have more lies
// beside them, and nothing is sent in vain to find that out.
func TestLongKeys(t *testing.T) {
	prefix := strings.Repeat("p", 200) + "/" + strings.Repeat("q", 200) + "/" + strings.Repeat("r", 200)
	puts := 0
	for bytes, own := range map[int]bool{1023: true, 1024: true, 1025: false} {
		server, s := create(t, s3test.Options{}, func(c *s3cold.Config) { c.Prefix = prefix })
		path := strings.Repeat("\u00e4", 100) + "/"
		path += strings.Repeat("x", bytes-len(prefix+"/home/"+path))
		description, token := describeFile(t, "home", path)
		id := upload(t, s, description, []byte("content"))
		want := "home/" + path
		if !own {
			want = ".firn/versions/" + token.String()
		}
		if n := server.Calls()["PUT"]; string(id) != want || puts != 0 && n != puts {
			t.Errorf("of %d bytes: %.40q, %v, others took %d requests", bytes, id, server.Calls(), puts)
		}
		puts = server.Calls()["PUT"]
		if data, _, _ := server.Object("bucket", prefix+"/"+want); string(data) != "content" {
			t.Errorf("of %d bytes: it holds %q", bytes, data)
		}
		if err := s.DeleteArchive(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// TestFullPages: a listing whose last page is full, or has one thing more, tells of each
// thing once, in as many requests as there are pages.
func TestFullPages(t *testing.T) {
	const page, own = 1000, 1 // store.json is listed too
	for _, n := range []int{page - own - 1, page - own, page - own + 1, 2*page - own, 2*page - own + 1} {
		now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		server, s := create(t, s3test.Options{Clock: now}, nil)
		server.Fill("bucket", "photos/home/", "DEEP_ARCHIVE", n)
		thawed := server.Thaw("bucket", now.Now().Add(time.Hour))
		count := func(what string, want int, each func(seen map[firn.ArchiveID]bool) error) {
			t.Helper()
			before, seen := server.Calls()["GET list-type"], map[firn.ArchiveID]bool{}
			if err := each(seen); err != nil || len(seen) != want {
				t.Errorf("%s of %d: %d of %d, %v", what, n, len(seen), want, err)
			}
			if pages := server.Calls()["GET list-type"] - before; pages != (n+own+page-1)/page {
				t.Errorf("%s of %d: %d requests", what, n, pages)
			}
		}
		count("jobs", thawed, func(seen map[firn.ArchiveID]bool) error {
			for job, err := range s.Jobs(t.Context()) {
				if err != nil || seen[job.Archive] {
					return fmt.Errorf("%s: %w", job.Archive, err)
				}
				seen[job.Archive] = true
			}
			return nil
		})
		job, err := s.StartInventory(t.Context(), firn.InventorySpec{})
		if err != nil {
			t.Fatal(err)
		}
		count("archives", n, func(seen map[firn.ArchiveID]bool) error {
			_, err := s.Inventory(t.Context(), job, func(a firn.Archive) error {
				if seen[a.ID] {
					t.Errorf("%s comes twice", a.ID)
				}
				seen[a.ID] = true
				return nil
			})
			return err
		})
	}
}
