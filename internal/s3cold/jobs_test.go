package s3cold_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/s3cold"
	"github.com/firn-archive/firn/internal/s3test"
	"github.com/firn-archive/firn/internal/storetest"
)

// A crowd lets the first requests of HEAD through once so many are under way, the
// last one first, and counts how many there are at a time.
type crowd struct {
	inner http.RoundTripper
	size  int

	mu    sync.Mutex
	gates []chan struct{} // of those that wait; nil once they went
	began int
	now   int
	most  int
}

func (c *crowd) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodHead {
		return c.inner.RoundTrip(r)
	}
	select {
	case <-c.enter():
	case <-r.Context().Done():
	}
	answer, err := c.inner.RoundTrip(r)
	c.leave()
	return answer, err
}

func (c *crowd) enter() (gate chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.now = c.began+1, c.now+1
	c.most = max(c.most, c.now)
	gate = make(chan struct{})
	if c.began > c.size {
		close(gate)
		return gate
	}
	if c.gates = append(c.gates, gate); c.began == c.size {
		close(gate)
	}
	return gate
}

// leave lets go whoever came before the one that leaves.
func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	if n := len(c.gates); n > 1 && c.began >= c.size {
		c.gates = c.gates[:n-1]
		close(c.gates[n-2])
	}
}

// TestJobsAskedAboutAtOnce: where lists don't tell what is restored, 32 objects are
// asked about at a time, each once, and the jobs come in the order of their ids,
// whatever the order of the answers.
func TestJobsAskedAboutAtOnce(t *testing.T) {
	const atOnce, objects = 32, 1_500 // two pages
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, _ := create(t, s3test.Options{Clock: now, Thaw: time.Hour, NoRestoreStatus: true}, nil)
	server.Fill("bucket", "photos/home/", "DEEP_ARCHIVE", objects)
	thawed := server.Thaw("bucket", now.Now().Add(24*time.Hour))
	c := &crowd{inner: server.Transport(), size: atOnce}
	s := open(t, server, func(cfg *s3cold.Config) { cfg.Transport = c })
	known(t, s)
	var jobs []firn.Job
	used := requests(server, func() {
		var err error
		if jobs, err = storetest.Collect(s.Jobs(t.Context())); err != nil {
			t.Fatal(err)
		}
	})
	if fmt.Sprint(used) != fmt.Sprintf("map[GET list-type:2 HEAD:%d]", objects) || c.most != atOnce {
		t.Errorf("it took %v, of which %d were under way at a time", used, c.most)
	}
	byID := func(a, b firn.Job) int {
		if a.Archive < b.Archive {
			return -1
		}
		return 1
	}
	if len(jobs) != thawed || !slices.IsSortedFunc(jobs, byID) {
		t.Errorf("%d jobs of %d, in order: %v", len(jobs), thawed, slices.IsSortedFunc(jobs, byID))
	}
	for _, j := range jobs {
		if j.State != firn.JobReady || j.Expires.IsZero() || j.ID != firn.JobID("thaw::"+string(j.Archive)) {
			t.Fatalf("%+v", j)
		}
	}
}

// TestJobsToldByThePage: one object of which a list says that it is restored shows that
// the server's lists say so of all, of those before it on the page, too.
func TestJobsToldByThePage(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, s := create(t, s3test.Options{Clock: now, Thaw: time.Hour}, nil)
	server.Fill("bucket", "photos/home/", "DEEP_ARCHIVE", 10)
	server.Thaw("bucket", now.Now().Add(24*time.Hour))
	server.Fill("bucket", "photos/cold/", "DEEP_ARCHIVE", 10) // before them
	known(t, s)
	ready, used := readyJobs(t, server, s)
	if ready == 0 || fmt.Sprint(used) != "map[GET list-type:1]" {
		t.Errorf("%d are ready; it took %v", ready, used)
	}
}

// TestJobsBreakOff: what goes wrong with one object ends the list.
func TestJobsBreakOff(t *testing.T) {
	server, _ := create(t, s3test.Options{Thaw: time.Hour, NoRestoreStatus: true}, nil)
	server.Fill("bucket", "photos/home/", "DEEP_ARCHIVE", 100)
	refuse := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodHead && r.URL.Path == "/bucket/photos/home/0000050" {
			return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		}
		return server.Transport().RoundTrip(r)
	})
	s := open(t, server, func(cfg *s3cold.Config) { cfg.Transport = refuse })
	if _, err := storetest.Collect(s.Jobs(t.Context())); firn.KindOf(err) != firn.Denied {
		t.Errorf("%v, want %s", err, firn.Denied)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFasterTier: a faster tier speeds up what is on its way, for as long a copy; a
// slower one is no error, and changes nothing, unless it is to speed it up.
func TestFasterTier(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	server, s := create(t, s3test.Options{Clock: now, Thaw: 48 * time.Hour, Thaws: map[string]time.Duration{"Standard": 12 * time.Hour}}, nil)
	archive := upload(t, s, "photo", []byte("x"))
	var jobs []firn.JobID
	for _, tier := range []firn.Tier{firn.Bulk, firn.Standard, firn.Bulk} {
		id, err := s.StartRetrieval(t.Context(), firn.RetrievalSpec{Archive: archive, Tier: tier, Days: 5})
		if err != nil {
			t.Fatalf("by %s: %v", tier, err)
		}
		jobs = append(jobs, id)
		now.Advance(time.Hour)
		other := firn.RetrievalSpec{Archive: archive, Tier: firn.Standard, Days: 4, Hastens: true}
		if _, err := s.StartRetrieval(t.Context(), other); firn.KindOf(err) != firn.Conflict {
			t.Errorf("speeding it up for other days than it is to stay: %v", err)
		}
	}
	if jobs[1] != jobs[0] || jobs[2] != jobs[0] || server.Calls()["POST restore"] != 6 {
		t.Errorf("%v, %v", jobs, server.Calls())
	}
	for _, state := range []firn.JobState{firn.JobRunning, firn.JobReady} {
		if job, err := s.Job(t.Context(), jobs[0]); err != nil || job.State != state {
			t.Errorf("after %v: %+v, %v", now.Now(), job, err)
		}
		now.Advance(10 * time.Hour)
	}
}
