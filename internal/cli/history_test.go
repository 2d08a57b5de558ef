package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/clock"
)

// A weekOfSyncs is a world in which two directories are synced on several days:
// photos on the 1st, 3rd and 5th of March 2026 at noon, music on the 4th. What a sync
// waits for meanwhile, a moment at most, is on its clock too.
func weekOfSyncs(t *testing.T) Env {
	t.Helper()
	env := testEnv(t)
	now := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	env.Clock = now
	home := t.TempDir()
	env.LookupEnv = func(name string) (string, bool) { return home, name == "HOME" }
	sync := func(tree, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(env.Dir, tree), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(env.Dir, tree, "a"), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if status, _, stderr := try(env, "sync", tree, "local:vault"); status != Done {
			t.Fatalf("status %d: %s", status, stderr)
		}
	}
	day := 24 * time.Hour
	sync("photos", "1")
	now.Advance(2 * day)
	sync("photos", "333")
	now.Advance(day)
	sync("music", "4444")
	now.Advance(day)
	sync("photos", "55555")
	now.Advance(2 * day)
	return env
}

// TestAtATime: each tree is shown as its own last run by then left it. The
// content of each version is as long as the day of its run.
func TestAtATime(t *testing.T) {
	env := weekOfSyncs(t) // it is 7 March, noon
	for at, want := range map[string]string{
		"2026-03-01":                     "photos 1",
		"2026-03-01T12:00:00Z":           "photos 1",
		"2026-03-01T13:00:00+01:00":      "photos 1",
		"2026-03-02":                     "photos 1",
		"2026-03-03 11:59":               "photos 1",
		"2026-03-03 12:00":               "photos 3",
		"2026-03-03T12:00:00.999Z":       "photos 3",
		"2026-03-03T11:59:59.999999999Z": "photos 1",
		"4d":                             "photos 3",
		"97h":                            "photos 1",
		"3d":                             "music 4 photos 3",
		"2026-03-04":                     "music 4 photos 3",
		"2026-03-05":                     "music 4 photos 5",
		"0d":                             "music 4 photos 5",
		"2030-01-01":                     "music 4 photos 5",
		"run:1":                          "photos 1",
		"run:2":                          "photos 3",
		"run:3":                          "music 4 photos 3",
		"run:4":                          "music 4 photos 5",
	} {
		status, stdout, stderr := try(env, "ls", "local:vault", "--at", at)
		if got := sizesByTree(stdout); status != Done || got != want {
			t.Errorf("%s: status %d, %q, want %q; %s", at, status, got, want, stderr)
		}
	}
	for _, at := range []string{"2026-02-28", "2026-03-01 11:59", "1w", "1y"} {
		status, _, stderr := try(env, "ls", "local:vault", "--at", at)
		if status != Failed || !strings.Contains(stderr, "the first sync began at 2026-03-01T12:00:00Z; give a later time, or --at run:1\n") {
			t.Errorf("%s: status %d, %s", at, status, stderr)
		}
	}
	status, _, stderr := try(env, "ls", "local:vault", "--tree", "music", "--at", "2026-03-03")
	if status != Failed || !strings.Contains(stderr, "the first sync began at 2026-03-04T12:00:00Z; give a later time, or --at run:3\n") {
		t.Errorf("music on the 3rd: status %d, %s", status, stderr)
	}
}

// sizesByTree makes "photos 3" of a line of ls on a store with several trees.
func sizesByTree(ls string) string {
	var all []string
	for line := range strings.Lines(ls) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, cells[3]+" "+cells[1])
	}
	return strings.Join(all, " ")
}

func TestRestoreAtATime(t *testing.T) {
	env := weekOfSyncs(t)
	status, _, stderr := try(env, "restore", "local:vault", "--at", "3d", "--to", "out", "--wait")
	if status != Done {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for name, want := range map[string]string{"photos/a": "333", "music/a": "4444"} {
		if got, err := os.ReadFile(filepath.Join(env.Dir, "out", name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestHistoryHasTheTimesOfRuns(t *testing.T) {
	env := weekOfSyncs(t)
	_, stdout, _ := try(env, "history", "local:vault", "a", "--tree", "photos")
	var got []string
	for line := range strings.Lines(stdout) {
		cells := strings.Split(line, "\t")
		got = append(got, cells[0]+" "+cells[1]+" "+cells[4]+" "+cells[7])
	}
	momentLater := regexp.MustCompile(`\.[0-9]+Z`)
	want := `2026-03-01T12:00:00Z 1 1 replaced 2026-03-03T12:00:00Z
2026-03-03T12:00:00Z 2 3 replaced 2026-03-05T12:00:00Z
2026-03-05T12:00:00Z 4 5 current`
	if got := momentLater.ReplaceAllString(strings.Join(got, "\n"), "Z"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTreePath(t *testing.T) {
	for in, want := range map[string]string{
		"": "", ".": "", "/": "", "./": "", "a": "a", "/a/b/": "a/b", "./a": "a", "a//b": "a/b", "..": "..", "../a": "../a", "a/../b": "b",
	} {
		if got := treePath(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestWhatToDoAboutAPendingRestore(t *testing.T) {
	now := time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC)
	for ready, want := range map[time.Time]string{
		now.Add(5 * time.Hour): "the store is getting them ready, not before 2026-03-07 17:00:00; run the same command again, or firn resume, then",
		now:                    "the store is getting them ready; run the same command again, or firn resume, later",
		{}:                     "the store is getting them ready; run the same command again, or firn resume, later",
	} {
		if got := pendingText(ready, now); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
