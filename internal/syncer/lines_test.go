package syncer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// TestJournalThatFailsEndsTheRun: its error is of no kind that a single file
// has, and nothing is noted as written.
func TestJournalThatFailsEndsTheRun(t *testing.T) {
	o := Options{Root: t.TempDir(), Journal: filepath.Join(t.TempDir(), "journal"), Events: firn.Discard}
	sc, err := o.openScribe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sc.close(); err != nil {
		t.Fatal(err)
	}
	err = sc.stored(time.Unix(1e9, 0), "a", time.Time{}, firn.Archive{ID: "x", Size: 1, Tree: treehash.Sum([]byte("a"))})
	if firn.KindOf(err) != firn.Other || !strings.Contains(err.Error(), o.Journal) {
		t.Errorf("%v", err)
	}
	if len(sc.lines) != 0 {
		t.Errorf("lines: %v", sc.lines)
	}
}

// TestNamesOfTheJournal: a line that tells of a deletion has the name that the
// journal has, whatever its encoding; one that no line can have is left out.
func TestNamesOfTheJournal(t *testing.T) {
	o := Options{Root: t.TempDir(), Journal: filepath.Join(t.TempDir(), "journal"), Events: firn.Discard}
	hash := treehash.Sum([]byte("a")).String()
	lines := "B\t1\tCREATED\tgood\t1\t1\t" + hash + "\tna\xefve\nB\t1\tCREATED\tevil\t1\t1\t" + hash + "\t../x\n"
	if err := os.WriteFile(o.Journal, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	sc, err := o.openScribe()
	if err != nil {
		t.Fatal(err)
	}
	defer sc.close()
	s := &syncer{Options: o, scribe: sc}
	s.Clock = clock.NewManual(time.Unix(1e9, 0))
	if err := s.writeDeleted(map[lineKey]bool{lineKeyOf("good"): true, lineKeyOf("evil"): true}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if want := lines + "B\t1000000000\tDELETED\tgood\tna\xefve\n"; string(text) != want {
		t.Errorf("%q, want %q", text, want)
	}
}
