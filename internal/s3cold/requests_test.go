package s3cold_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
)

// requests gives how many requests of each operation a call takes.
func requests(s *s3test.Server, call func()) map[string]int {
	before := s.Calls()
	call()
	after := s.Calls()
	for op, n := range before {
		if after[op] -= n; after[op] == 0 {
			delete(after, op)
		}
	}
	return after
}

// readyJobs gives how many jobs are ready, and the requests that it takes to learn that.
func readyJobs(t *testing.T, server *s3test.Server, s firn.Store) (ready int, used map[string]int) {
	t.Helper()
	used = requests(server, func() {
		for j, err := range s.Jobs(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if j.State == firn.JobReady {
				ready++
			}
		}
	})
	return ready, used
}

// known has the store seen: what it is, is asked once in a process.
func known(t *testing.T, s firn.Store) {
	t.Helper()
	if _, err := s.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// many is how many objects there are where requests are counted.
func many(t *testing.T) int {
	if testing.Short() {
		return 5_000
	}
	return 100_000
}

// TestStateOfManyRestores: a thousand objects a request, where the server's lists
// tell which are restored.
func TestStateOfManyRestores(t *testing.T) {
	n := many(t)
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server := s3test.New(s3test.Options{Clock: now, Thaw: time.Hour, Buckets: []string{"the.bucket"}})
	// Amazon's lists tell; of another server that shows only once something is restored.
	s := open(t, server, func(c *s3cold.Config) { c.Bucket, c.Endpoint = "the.bucket", "https://s3.eu-west-1.amazonaws.com" })
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Fill("the.bucket", "photos/home/", "DEEP_ARCHIVE", n-1) // and one more object says what store it is
	thawed := server.Thaw("the.bucket", now.Now().Add(24*time.Hour))
	known(t, s)
	ready, used := readyJobs(t, server, s)
	if ready != thawed || fmt.Sprint(used) != fmt.Sprintf("map[GET list-type:%d]", n/1000) {
		t.Errorf("%d of %d are ready; it took %v", ready, thawed, used)
	}
}

// TestStateWithoutRestoreStatus: where lists don't tell, each object is asked about,
// and what comes is the same.
func TestStateWithoutRestoreStatus(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, s := create(t, s3test.Options{Clock: now, Thaw: time.Hour, NoRestoreStatus: true}, nil)
	server.Fill("bucket", "photos/home/", "DEEP_ARCHIVE", 10)
	thawed := server.Thaw("bucket", now.Now().Add(24*time.Hour))
	known(t, s)
	ready, used := readyJobs(t, server, s)
	if ready != thawed || fmt.Sprint(used) != "map[GET list-type:1 HEAD:10]" {
		t.Errorf("%d of %d are ready; it took %v", ready, thawed, used)
	}
}

// TestInventoryOfTheKnown: what is known costs a request for a thousand objects; of
// the rest each is asked about.
func TestInventoryOfTheKnown(t *testing.T) {
	n := many(t)
	server, s := create(t, s3test.Options{}, nil)
	server.Fill("bucket", "photos/home/", "DEEP_ARCHIVE", n-1)
	id, err := s.StartInventory(t.Context(), firn.InventorySpec{})
	if err != nil {
		t.Fatal(err)
	}
	strange := firn.ArchiveID("home/0000007")
	recall := func(_ context.Context, listed []firn.Archive) ([]bool, error) {
		known := make([]bool, len(listed))
		for i := range listed {
			if a := &listed[i]; a.ID != strange {
				if a.Size != 1 || a.Created.IsZero() || a.Created.Nanosecond() != 0 {
					t.Fatalf("%+v", a)
				}
				a.Description, known[i] = "as recorded", true
			}
		}
		return known, nil
	}
	var got, asked int
	used := requests(server, func() {
		info, err := s.InventoryBut(t.Context(), id, recall, func(a firn.Archive) error {
			got++
			if a.Description != "as recorded" {
				asked++
			}
			return nil
		})
		if err != nil || info.Archives != int64(got) {
			t.Error(info, err)
		}
	})
	if got != n-1 || asked != 1 || fmt.Sprint(used) != fmt.Sprintf("map[GET list-type:%d HEAD:1]", n/1000) {
		t.Errorf("%d archives, %d asked about; it took %v", got, asked, used)
	}
}

// TestConditionsAreTriedOnce: a server that doesn't know If-None-Match, whatever it
// answers, is noticed once; from then on names are random, and nothing is overwritten.
func TestConditionsAreTriedOnce(t *testing.T) {
	for name, o := range map[string]s3test.Options{
		"ignored": {NoConditions: true},
		"refused": {Faults: s3test.NewFaults(s3test.Fault{Times: -1, Kind: s3test.NoHeader})},
	} {
		o.Buckets = []string{"bucket"}
		server := s3test.New(o)
		s := open(t, server, nil)
		if err := s.Create(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d, _ := describeFile(t, "home", "a")
		again, _ := describeFile(t, "home", "a")
		var first, second firn.ArchiveID
		used := requests(server, func() { first, second = upload(t, s, d, []byte("1")), upload(t, s, again, []byte("2")) })
		if first == second || len(server.Keys("bucket")) != 3 {
			t.Errorf("%s: %q, %q; there are %q", name, first, second, server.Keys("bucket"))
		}
		if used["PUT"] > 3 {
			t.Errorf("%s: it took %v", name, used)
		}
		if s.Traits().RepeatableUploads {
			t.Errorf("%s: it says that uploads may be repeated", name)
		}
	}
}

// TestOtherClasses: a class of a server's own behaves as it is said to, also for
// whoever opens the store later and doesn't say it.
func TestOtherClasses(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	o := s3test.Options{Clock: now, Thaw: time.Hour, Cold: []string{"TAPE"}, Buckets: []string{"bucket"}}
	server := s3test.New(o)
	made := open(t, server, func(c *s3cold.Config) { c.Class = "TAPE,thaw" })
	if err := made.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := open(t, server, nil)
	id := upload(t, s, "x", []byte("content"))
	if _, class, _ := server.Object("bucket", "photos/"+string(id)); class != "TAPE" || s.Traits().InstantJobs || s.Traits().MinDuration != 0 {
		t.Errorf("%s, %+v", class, s.Traits())
	}
	job, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: id, Tier: firn.Bulk})
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []firn.JobState{firn.JobRunning, firn.JobReady} {
		if j, err := s.Job(t.Context(), job); err != nil || j.State != state {
			t.Errorf("%+v, %v; want it %s", j, err, state)
		}
		now.Advance(time.Hour)
	}
	warm := open(t, server, func(c *s3cold.Config) { c.Class, c.Prefix = "FAST_1,instant", "warm" })
	if err := warm.Create(t.Context()); err != nil || !warm.Traits().InstantJobs {
		t.Errorf("%v, %+v", err, warm.Traits())
	}
	for _, class := range []s3cold.Class{"TAPE", "TAPE,cold", "tape,thaw", ",thaw", "GLACIER\n,thaw"} {
		_, err := s3cold.Open(t.Context(), s3cold.Config{Bucket: "bucket", Endpoint: "http://s3.test", Credentials: credentials(), Class: class})
		wantKind(t, string(class), err, firn.Usage)
	}
	_, err = s3cold.Open(t.Context(), s3cold.Config{Bucket: "bucket", Region: "eu-west-1", Credentials: credentials(), Class: "TAPE,thaw"})
	wantKind(t, "of Amazon's", err, firn.Usage)
}

// TestConditionsAreTriedByOne: of uploads that begin at once, one tries.
func TestConditionsAreTriedByOne(t *testing.T) {
	server := s3test.New(s3test.Options{Buckets: []string{"bucket"}})
	s := open(t, server, nil)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	const uploads = 20
	used := requests(server, func() {
		var all sync.WaitGroup
		for range uploads {
			all.Go(func() {
				d, _ := describeFile(t, "home", firn.NewToken().String())
				upload(t, s, d, []byte("1"))
			})
		}
		all.Wait()
	})
	if used["PUT"] != uploads+1 {
		t.Errorf("it took %v", used)
	}
}
