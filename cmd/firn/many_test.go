package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/bench/forest"
)

// TestManyFilesOfTwoDates is bench/million on the scale of a test: a tree of
// 20,000 files with odd names goes to two stores, to one of them encrypted, is
// changed, and goes there again. Each gives back what it was at one of the dates.
func TestManyFilesOfTwoDates(t *testing.T) {
	if testing.Short() {
		t.Skip("it archives and restores 40,000 files")
	}
	m := newMachine(t)
	plan := forest.Plan{Seed: 1, Files: 20_000, Folders: 400, Size: 100}
	tree, identity := filepath.Join(m.home, "tree"), filepath.Join(m.home, "identity.txt")
	plain, sealed := "local:"+filepath.Join(m.home, "plain"), "local:"+filepath.Join(m.home, "sealed")
	recipient := strings.TrimSpace(m.stdout("key", "new", identity))
	sync := func(s, before forest.Survey) time.Time {
		news := s.News(before)
		for store, more := range map[string][]string{plain: nil, sealed: {"--recipient", recipient, "--identity", identity}} {
			sent := m.sent(append([]string{"sync", tree, store}, more...)...)
			if sent < news.Bytes || sent > news.AllBytes {
				t.Errorf("%s: %d bytes were sent, new are %d to %d", store, sent, news.Bytes, news.AllBytes)
			}
		}
		return time.Now()
	}

	if err := plan.Grow(tree); err != nil {
		t.Fatal(err)
	}
	first := survey(t, tree)
	sync(first, nil)
	date := sync(first, first) // sends nothing
	if err := plan.Change(tree); err != nil {
		t.Fatal(err)
	}
	second := survey(t, tree)
	sync(second, first)

	m.givesBack(first, "--at", date.UTC().Format(time.RFC3339Nano), plain)
	m.givesBack(second, "--identity", identity, sealed)
}

func survey(t *testing.T, dir string) forest.Survey {
	t.Helper()
	s, err := forest.Look(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// givesBack restores a tree, which must be as it was when it was surveyed.
func (m *machine) givesBack(want forest.Survey, args ...string) {
	m.t.Helper()
	to := filepath.Join(m.t.TempDir(), "out")
	m.must(0, append([]string{"restore", "--quiet", "--wait", "--to", to}, args...)...)
	const shown = 20
	d := want.Differences(survey(m.t, to))
	for i, line := range d {
		if i == shown {
			m.t.Errorf("and %d more", len(d)-shown)
			break
		}
		m.t.Error(line)
	}
}

// stdout runs firn, which must end with status 0, and gives its results.
func (m *machine) stdout(args ...string) string {
	m.t.Helper()
	out, err := m.command(args...).Output()
	if err != nil {
		m.t.Fatalf("firn %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// sent runs a sync, and gives how many bytes of files it sent.
func (m *machine) sent(args ...string) int64 {
	m.t.Helper()
	out := m.stdout(append(args, "--json", "--quiet")...)
	for line := range strings.Lines(out) {
		var said struct {
			Type   string
			Counts map[string]struct{ Bytes int64 }
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			m.t.Fatal(err)
		}
		if said.Type == "summary" {
			return said.Counts["sent"].Bytes
		}
	}
	m.t.Fatalf("firn %s: no summary in %q", strings.Join(args, " "), out)
	return 0
}
