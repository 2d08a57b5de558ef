package syncer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/mtjournal"
	"github.com/firn-archive/firn/treehash"
)

// TestLinesGoTogether: what comes while lines are written goes with the next
// ones, and nobody goes on before the disk has his.
func TestLinesGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newLineQueue()
		var mu sync.Mutex
		var batches []int
		written := map[string]bool{}
		write := func(records ...mtjournal.Record) (err error) {
			<-time.After(time.Second)
			mu.Lock()
			defer mu.Unlock()
			batches = append(batches, len(records))
			for _, r := range records {
				written[r.Path] = true
				if r.Path == "bad" {
					err = errors.New("the disk is full")
				}
			}
			return err
		}
		var group sync.WaitGroup
		add := func(path string) {
			group.Go(func() {
				err := q.add(write, []mtjournal.Record{{Path: path}})
				mu.Lock()
				defer mu.Unlock()
				if !written[path] || (err != nil) != (path == "bad" || path == "with it") {
					t.Errorf("%s: %v after %v", path, err, batches)
				}
			})
			synctest.Wait()
		}
		add("first")
		for i := range 5 {
			add(fmt.Sprint(i))
		}
		<-time.After(1500 * time.Millisecond) // the first is written, and those five are under way
		add("bad")
		add("with it")
		group.Wait()
		if fmt.Sprint(batches) != "[1 5 2]" {
			t.Errorf("written %v at a time", batches)
		}
	})
}

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
