package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/glacierd"
	"github.com/firn-archive/firn/internal/clock"
)

// TestPruneWaitsThroughKills: a prune lets versions go that are charged for. On
// their day, rounds of resume that are killed again and again delete just these,
// and not what got old in the meantime.
func TestPruneWaitsThroughKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills many processes")
	}
	service, there := newShelf(t)
	m := newMachine(t, there.env...)
	tree := filepath.Join(m.home, "tree")
	const files = 90
	name := func(i int) string { return filepath.Join(tree, fmt.Sprintf("f%03d", i)) }
	fill := func(from int, version uint64) {
		for i := from; i < files; i++ {
			write(t, name(i), 500+i, uint64(i)+1000*version)
		}
	}
	store := func() { m.must(0, "sync", tree, "glacier:v", "--no-bundle") }
	m.must(0, "store", "create", "glacier:v")
	fill(0, 1)
	store()
	fill(20, 2) // 100 old versions
	store()
	service.Advance(time.Minute)
	m.must(0, "store", "refresh", "glacier:v") // which tells when they were made

	// The prune is killed until it comes to its end.
	rng := rand.New(rand.NewPCG(1, 2))
	args := []string{"prune", "glacier:v", "--keep-last", "1"}
	for range 8 {
		m.cut(time.Duration(20+rng.IntN(150))*time.Millisecond, args...)
	}
	m.must(75, args...)
	queued := there.stock()
	if n := len(queued["f050"]); n != 2 {
		t.Fatalf("f050 is in %d archives, want 2", n)
	}

	// Meanwhile others get old, and one of the queued contents comes back.
	fill(60, 3)
	write(t, filepath.Join(tree, "again"), 500+79, 79+1000)
	store()
	m.must(75, "resume")
	want := there.stock()
	if len(want["again"]) > 0 {
		t.Error("content that the store has was sent again")
	}
	for i := 20; i < files; i++ {
		if name := fmt.Sprintf("f%03d", i); i != 79 {
			want[name] = want[name][1:] // the oldest
		}
	}
	service.Advance(90*24*time.Hour + 2*time.Hour)
	kills, status := 0, cut
	for status == cut && kills < 100 {
		if status = m.cut(longer(15*time.Millisecond, kills), "resume"); status == cut {
			kills++
		}
	}
	if status != 0 || kills < 3 {
		t.Errorf("after %d kills the status is %d", kills, status)
	}
	t.Logf("%d kills", kills)
	if got := there.stock(); !maps.EqualFunc(got, want, slices.Equal) {
		for name := range want {
			if !slices.Equal(got[name], want[name]) {
				t.Errorf("%s is in %d archives, want %d", name, len(got[name]), len(want[name]))
			}
		}
	}
	m.must(0, "status")
}

// cut is the status of a process that was killed.
const cut = -1

// cut runs firn, kills it after d, and gives its status.
func (m *machine) cut(d time.Duration, args ...string) int {
	m.t.Helper()
	cmd := m.command(args...)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	kill := time.AfterFunc(d, func() { cmd.Process.Kill() })
	defer kill.Stop()
	cmd.Wait() // its status says it
	return cmd.ProcessState.ExitCode()
}

// A shelf is the service, three months ago, which notes what it stores and
// deletes, whoever hears of it.
type shelf struct {
	http.Handler
	env []string

	mu    sync.Mutex
	files map[string][]string // archives of each path, the oldest first
}

func newShelf(t *testing.T) (*clock.Manual, *shelf) {
	t.Helper()
	service := clock.NewManual(time.Now().AddDate(0, 0, -91))
	server, err := glacierd.New(glacierd.Config{Root: t.TempDir(), Clock: service, AuthClock: service, Timing: &glacierd.Timing{}})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{Handler: server, files: map[string][]string{}}
	listening := httptest.NewServer(s)
	t.Cleanup(func() { listening.Close(); server.Close() })
	s.env = []string{"AWS_ENDPOINT_URL=" + listening.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIDTEST", "AWS_SECRET_ACCESS_KEY=secret"}
	return service, s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w2 := &countedAnswer{ResponseWriter: w}
	s.Handler.ServeHTTP(w2, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := w.Header().Get("X-Amz-Archive-Id"); r.Method == http.MethodPost && id != "" {
		if d := describe.Decode(r.Header.Get("X-Amz-Archive-Description")); d.Kind == describe.File {
			s.files[d.Path] = append(s.files[d.Path], id)
		}
	}
	if id := path.Base(r.URL.Path); r.Method == http.MethodDelete && w2.status == http.StatusNoContent {
		for p, ids := range s.files {
			s.files[p] = slices.DeleteFunc(slices.Clone(ids), func(one string) bool { return one == id })
		}
	}
}

// stock gives what is there now.
func (s *shelf) stock() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.files)
}
