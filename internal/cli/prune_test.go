package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// version makes a file of the tree t, or another version of it.
func (w *jobWorld) version(name, content string) {
	w.Helper()
	path := filepath.Join(w.env.Dir, "t", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
	now := w.clock.Now().Add(-time.Hour)
	if err := os.Chtimes(path, now, now); err != nil {
		w.Fatal(err)
	}
}

func (w *jobWorld) sync() {
	w.Helper()
	w.firn(Done, "sync", "t", "glacier:v", "--no-bundle")
	w.clock.Advance(24 * time.Hour)
}

// TestPruneOverMonths: what a prune lets go waits for its day, whatever else gets
// old meanwhile; a round of resume needs no rule, and nothing of the environment.
func TestPruneOverMonths(t *testing.T) {
	w := newJobWorld(t)
	home := w.env.LookupEnv
	w.env.LookupEnv = func(name string) (string, bool) {
		if v, set := home(name); set {
			return v, true
		}
		return os.LookupEnv(name)
	}
	w.env.Setenv = func(name, value string, _ bool) { t.Setenv(name, value) }
	for _, text := range []string{"one", "second", "the third"} {
		w.version("a", text)
		w.version("b", text+" of b")
		w.sync()
	}
	out, stderr := w.firn(Done, "prune", "glacier:v", "--keep-last", "1", "--dry-run")
	w.says(out, "delete 0 archives (0 B) now")
	w.says(out, "4 archives (")
	w.says(stderr, "to delete at once what would wait costs $")
	out, _ = w.firn(NotYet, "prune", "glacier:v", "--keep-last", "1")
	w.says(out, "and deleted 0 archives")
	w.says(out, "firn resume deletes them then, and --pay at once")
	out, _ = w.firn(NotYet, "status", "glacier:v")
	w.says(out, "to be deleted, free of fees from ")

	// Other versions get old, by the same rule.
	w.clock.Advance(30 * 24 * time.Hour)
	w.version("a", "the fourth")
	w.sync()
	_, stderr = w.firn(NotYet, "resume")
	w.says(stderr, "not done yet: glacier:v: 4 archives")
	if out, _ = w.firn(NotYet, "resume", "--json"); !strings.Contains(out, `"type":"deletions"`) || !strings.Contains(out, `"waiting":{"archives":4,`) {
		t.Errorf("resume says %s", out)
	}

	// The first two are free after 90 days, the others a day later.
	w.clock.Advance(56*24*time.Hour + time.Hour)
	t.Setenv("AWS_ENDPOINT_URL_GLACIER", "")
	t.Setenv("AWS_REGION", "")
	_, stderr = w.firn(NotYet, "resume", "glacier:v")
	w.says(stderr, "deleted 2 archives")
	w.clock.Advance(24 * time.Hour)
	_, stderr = w.firn(Done, "resume")
	w.says(stderr, "deleted 2 archives")
	_, stderr = w.firn(Done, "resume")
	w.says(stderr, "nothing is pending")
	out, _ = w.firn(Done, "history", "glacier:v", "a")
	if strings.Count(out, "stored") != 2 {
		t.Errorf("the versions of a are\n%s", out)
	}
}

// TestPruneThatPaysAsks: fees above $5 need a yes, and are those of the dry run.
func TestPruneThatPaysAsks(t *testing.T) {
	w := newJobWorld(t)
	w.version("a", "one")
	w.sync()
	w.version("a", "second")
	w.sync()
	_, stderr := w.firn(WrongUsage, "prune", "glacier:v", "--keep-last", "1", "--pay", "--max-cost", "0.000000001")
	w.says(stderr, "that is more than --max-cost")
	out, _ := w.firn(Done, "history", "glacier:v", "a")
	if strings.Count(out, "stored") != 2 {
		t.Errorf("a refused prune has forgotten something:\n%s", out)
	}
	out, stderr = w.firn(Done, "prune", "glacier:v", "--keep-last", "1", "--pay")
	w.says(stderr, "the deletion of 1 archive costs $")
	w.says(out, "and deleted 1 archive (3 B)")
	w.firn(Done, "status", "glacier:v")
}

// TestRulesHaveNames: a rule is called alike on the command line and in a profile.
func TestRulesHaveNames(t *testing.T) {
	want := "[last within daily weekly monthly yearly older_than removed_older_than]"
	if got := fmt.Sprint(ruleKeys()); got != want {
		t.Errorf("the keys are %s, want %s", got, want)
	}
}

// TestPruneNeedsTheTime: a clock that is years ahead makes everything old.
func TestPruneNeedsTheTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		off  time.Duration
		fits bool
	}{{0, true}, {5 * time.Hour, true}, {-5 * time.Hour, true}, {7 * time.Hour, false}, {-7 * time.Hour, false}, {20 * 365 * 24 * time.Hour, false}} {
		if err := checkClock(now.Add(c.off), now); (err == nil) != c.fits {
			t.Errorf("off by %v: %v", c.off, err)
		}
	}
}
