package s3cold_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
)

// dying is a store whose process is killed before its nth request of an operation:
// nothing goes out any more.
func dying(t *testing.T, server *s3test.Server, is func(*http.Request) bool, nth int) *s3cold.Store {
	t.Helper()
	dead := false
	return open(t, server, func(cfg *s3cold.Config) {
		cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if is(r) {
				nth--
			}
			if dead = dead || nth == 0; dead {
				return nil, errors.New("killed")
			}
			return server.Transport().RoundTrip(r)
		})
	})
}

func opensUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}

func removesTicket(r *http.Request) bool {
	return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/.firn/uploads/")
}

// tickets are the notes about uploads that lie in the bucket.
func tickets(server *s3test.Server) (n int) {
	for _, key := range server.Keys("bucket") {
		if strings.HasPrefix(key, "photos/.firn/uploads/") {
			n++
		}
	}
	return n
}

// send stores an archive in parts, as far as it gets.
func send(ctx context.Context, s firn.Store, description string) error {
	body, sums := storetest.Body(bytes.Repeat([]byte("firn"), s3cold.MinPart/4))
	id, err := s.StartUpload(ctx, description, s3cold.MinPart)
	if err != nil {
		return err
	}
	if err := s.UploadPart(ctx, id, 0, body, sums); err != nil {
		return err
	}
	_, err = s.CompleteUpload(ctx, id, body.Size(), sums.Tree)
	return err
}

// fileA is firn's description of a file, which is stored as home/a.
func fileA(t *testing.T) string {
	description, _ := describeFile(t, "home", "a")
	return description
}

const week = 7 * 24 * time.Hour

func tidy(t *testing.T, s *s3cold.Store, dryRun bool) int {
	t.Helper()
	n, err := s.Tidy(t.Context(), week, dryRun)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTidyAfterAKill: wherever an upload is killed, the note about it goes once it is
// of no use: at once where its archive is there, else when it is old. Never while the
// upload is open.
func TestTidyAfterAKill(t *testing.T) {
	for name, c := range map[string]struct {
		is               func(*http.Request) bool
		nth              int
		now, later, left int // notes that go at once, and a week later; archives
	}{
		"before the upload is opened": {opensUpload, 1, 0, 1, 0},
		"before a part is sent":       {func(r *http.Request) bool { return r.URL.Query().Has("partNumber") }, 1, 0, 0, 0},
		"before it is completed":      {func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }, 1, 0, 0, 0},
		"before the note is removed":  {removesTicket, 1, 1, 0, 1},
	} {
		for _, versions := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, versions %v", name, versions), func(t *testing.T) {
				now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
				server, s := create(t, s3test.Options{Clock: now, Versioned: versions}, nil)
				_ = send(t.Context(), dying(t, server, c.is, c.nth), fileA(t))
				if tickets(server) != 1 {
					t.Fatalf("the kill left %d notes", tickets(server))
				}
				if would, did := tidy(t, s, true), tidy(t, s, false); would != c.now || did != c.now || tickets(server) != 1-c.now {
					t.Errorf("at once: it would remove %d, and removed %d; %d are left", would, did, tickets(server))
				}
				now.Advance(week)
				if did := tidy(t, s, false); did != c.later || tickets(server) != 1-c.now-c.later {
					t.Errorf("a week later: removed %d; %d are left", did, tickets(server))
				}
				open, err := storetest.Collect(s.Uploads(t.Context()))
				if err != nil || len(open) != tickets(server) {
					t.Errorf("%d uploads are open, of which %d are known: %v", len(open), tickets(server), err)
				}
				for _, u := range open {
					if err := s.AbortUpload(t.Context(), u.ID); err != nil || tickets(server) != 0 {
						t.Errorf("ended: %v; %d notes are left", err, tickets(server))
					}
				}
				if stored := slices.Contains(server.Keys("bucket"), "photos/home/a"); stored != (c.left == 1) {
					t.Errorf("%q", server.Keys("bucket"))
				}
			})
		}
	}
}

// TestTidyBesideOthers: what is being begun by others just now stays, and what a young
// note is about can be begun still.
func TestTidyBesideOthers(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, s := create(t, s3test.Options{Clock: now}, nil)
	description := fileA(t)
	_ = send(t.Context(), dying(t, server, opensUpload, 1), description)
	now.Advance(week - time.Second)
	if n := tidy(t, s, false); n != 0 {
		t.Fatalf("removed %d notes that are young", n)
	}
	if err := send(t.Context(), s, description); err != nil || tickets(server) != 0 {
		t.Errorf("%v; %d notes are left", err, tickets(server))
	}
	if used := requests(server, func() { tidy(t, s, false) }); fmt.Sprint(used) != "map[GET list-type:1]" {
		t.Errorf("with nothing to be tidied it took %v", used)
	}
}

// TestTidyDenied: who may only add is told so, and nothing is lost.
func TestTidyDenied(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, s := create(t, s3test.Options{Clock: now, Faults: s3test.NewFaults(s3test.Fault{Op: "DELETE", Kind: s3test.Denied, Times: -1})}, nil)
	if err := send(t.Context(), s, fileA(t)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Tidy(t.Context(), week, false); n != 0 || firn.KindOf(err) != firn.Denied || tickets(server) != 1 {
		t.Errorf("removed %d: %v; %d are left", n, err, tickets(server))
	}
}
