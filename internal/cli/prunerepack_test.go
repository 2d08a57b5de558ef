package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/wire"
)

// sparse makes a vault with a bundle of eight files, of which one, "a", is needed.
func (w *jobWorld) sparse(args ...string) {
	w.Helper()
	for i := range 7 {
		w.version(fmt.Sprint("old", i), strings.Repeat(fmt.Sprint("old content ", i), 40_000))
	}
	w.version("a", "is needed")
	w.firn(Done, append([]string{"sync", "t", "glacier:v"}, args...)...)
	w.clock.Advance(24 * time.Hour)
	for i := range 7 {
		if err := os.Remove(filepath.Join(w.env.Dir, "t", fmt.Sprint("old", i))); err != nil {
			w.Fatal(err)
		}
	}
	w.firn(Done, append([]string{"sync", "t", "glacier:v", "--expect-changes"}, args...)...)
	w.clock.Advance(24 * time.Hour)
}

// TestRepackOverMonths: a young bundle is repacked where that pays though its fee is
// due; it goes when it is free, nothing is retrieved, and what comes back then is
// what was there, encrypted or not.
func TestRepackOverMonths(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprint("sealed ", sealed), func(t *testing.T) {
			w := newJobWorld(t)
			var args []string
			if sealed {
				key, _ := w.firn(Done, "key", "new")
				args = []string{"--recipient", strings.TrimSpace(key)}
			}
			w.sparse(args...)
			asked := w.asked.Load()
			out, stderr := w.firn(Done, "prune", "glacier:v", "--removed-older-than", "1d", "--repack", "--dry-run")
			w.says(out, "would forget 7 versions")
			w.says(out, "would repack 1 bundle (")
			w.says(out, "and send 9 B of 1 file from disk; that costs $0.00003, and saves $0.0000")
			w.says(stderr, "the repacking of 1 bundle costs $0.00003: the requests to repack 1 bundle $0.00003")
			w.firn(WrongUsage, "prune", "glacier:v", "--removed-older-than", "1d", "--repack", "--max-cost", "0.00001")
			out, _ = w.firn(NotYet, "prune", "glacier:v", "--removed-older-than", "1d", "--repack")
			w.says(out, "repacked 1 bundle")
			w.says(out, "sent 9 B of 1 file from disk, and moved 1 version")
			w.says(out, "are charged for until")
			_, stderr = w.firn(NotYet, "resume")
			w.says(stderr, "not done yet: glacier:v: 1 archive")
			w.clock.Advance(90 * 24 * time.Hour)
			_, stderr = w.firn(Done, "resume")
			w.says(stderr, "deleted 1 archive")
			w.wasAsked(asked)
			out, _ = w.firn(Done, append([]string{"sync", "t", "glacier:v"}, args...)...)
			w.says(out, "nothing to send")
			w.firn(Done, "catalog", "check")
			w.firn(NotYet, "restore", "glacier:v", "--to", "back", "--yes")
			w.clock.Advance(13 * time.Hour)
			w.firn(Done, "restore", "glacier:v", "--to", "back", "--yes")
			w.holds("back/a", []byte("is needed"))
		})
	}
}

// TestRepackThatPays deletes the old bundle at once, for what is left of its time.
func TestRepackThatPays(t *testing.T) {
	w := newJobWorld(t)
	w.sparse()
	_, stderr := w.firn(Done, "prune", "glacier:v", "--removed-older-than", "1d", "--repack", "--pay")
	w.says(stderr, "the repacking of 1 bundle costs $")
	w.says(stderr, "what is left of their shortest time $")
	w.firn(Done, "status", "glacier:v")
}

// TestRepackPassesOverWhatIsSynced: another process has the tree's lock.
func TestRepackPassesOverWhatIsSynced(t *testing.T) {
	w := newJobWorld(t)
	w.sparse()
	env := wire.Env{Getenv: w.env.Getenv, Dir: w.env.Dir, Clock: w.clock}
	lock, err := wire.LockTree(t.Context(), env, catalog.Store{ID: 1}, "t", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	out, stderr := w.firn(Done, "prune", "glacier:v", "--removed-older-than", "1d", "--repack")
	w.says(stderr, "not repacked from t: it is being synced")
	w.says(out, "not repacked, though that would pay: 1 bundle with files of trees of other machines, or that are being synced")
}
