package syncer_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// crowd is a tree with enough files for a mass of changes: 2,000.
func crowd(t *testing.T) *worktest.Bench {
	t.Helper()
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Bundle(1<<20, 4<<20)
	for i := range 2000 {
		b.Write(name(i), fmt.Sprint("content ", i))
	}
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 2000})
	return b
}

// name is that of the i-th file of a crowd.
func name(i int) string { return fmt.Sprintf("d%02d/f%04d", i/100, i) }

// each does something with the files of a crowd from one to another.
func each(b *worktest.Bench, from, to int, do func(path string) error) {
	b.T.Helper()
	for i := from; i < to; i++ {
		if err := do(filepath.Join(b.Root, name(i))); err != nil {
			b.T.Fatal(err)
		}
	}
}

// change gives a file other content of another size.
func change(path string) error {
	return os.WriteFile(path, []byte("now it is something else: "+path), 0o600)
}

// shout gives a file other content of the same size.
func shout(path string) error {
	data, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, bytes.ToUpper(data), 0o600))
}

// stops wants a sync to stop at a mass of changes, with nothing sent or marked.
func stops(b *worktest.Bench, o syncer.Options, want string) {
	b.T.Helper()
	archives, files := len(b.Memory.Archives()), b.Tree().Files
	_, err := syncer.Run(b.T.Context(), o)
	var e *firn.Error
	if !errors.As(err, &e) || e.Kind != firn.Conflict || !strings.Contains(e.Err.Error(), want) || !strings.Contains(e.Hint, "--expect-changes") {
		b.T.Fatalf("%v, want a conflict with %q", err, want)
	}
	if n := len(b.Memory.Archives()); n != archives {
		b.T.Errorf("%d archives were sent", n-archives)
	}
	if n := b.Tree().Files; n != files {
		b.T.Errorf("%d files were marked removed", files-n)
	}
}

func TestMassOfRemovals(t *testing.T) {
	b := crowd(t)
	each(b, 0, 1001, os.Remove)
	stops(b, b.Options(), "0 have changed and 1001 are gone, such as d00/f0000, d00/f0001, d00/f0002")
	o := b.Options()
	o.ExpectChanges = true
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Removed: 1001, firn.Unchanged: 999})
}

func TestMassOfChanges(t *testing.T) {
	b := crowd(t)
	each(b, 0, 600, change)
	each(b, 600, 1001, os.Remove)
	for i := range 50 {
		b.Write(fmt.Sprintf("new/%d", i), fmt.Sprint("new ", i))
	}
	stops(b, b.Options(), "600 have changed and 401 are gone")
	b.Write(name(1000), "content 1000") // one fewer
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 650, firn.Removed: 400, firn.Unchanged: 1000})
}

// TestFewerThanAQuarter: a thousand files are no mass among many.
func TestFewerThanAQuarter(t *testing.T) {
	b := crowd(t)
	for i := range 2100 { // empty ones are files too, and quickly made
		b.Write(fmt.Sprintf("empty/%d", i), "")
	}
	b.Sync()
	each(b, 0, 1025, os.Remove)
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Removed: 1025, firn.Unchanged: 3075})
}

// TestMassOfEmptiedFiles: what a full disk may leave of files.
func TestMassOfEmptiedFiles(t *testing.T) {
	b := crowd(t)
	each(b, 0, 1500, func(path string) error { return os.Truncate(path, 0) })
	stops(b, b.Options(), "1500 have changed")
}

// TestMassOfTouchedFiles: they are hashed before anything is sent, once, and
// recorded; those that have changed are sent.
func TestMassOfTouchedFiles(t *testing.T) {
	for _, held := range []int{0, 100} {
		t.Run(fmt.Sprintf("holding %d", held), func(t *testing.T) {
			b := crowd(t)
			when := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
			each(b, 0, 1900, func(path string) error { return os.Chtimes(path, when, when) })
			b.Write(name(0), "CONTENT 0")
			b.Clock.Advance(time.Hour)
			o := b.Options().Holding(held)
			b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 1999})
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 2000})

			each(b, 1, 1100, func(path string) error { return errors.Join(shout(path), os.Chtimes(path, when, when)) })
			stops(b, b.Options().Holding(held), "0 are gone")
		})
	}
}

// TestEverythingIsHashedOnce: with --detect hash, whatever the guard hashed.
func TestEverythingIsHashedOnce(t *testing.T) {
	b := crowd(t)
	b.Clock.Advance(time.Hour)
	hashing := b.Clock.Now()
	o := b.Options()
	o.Detect = plan.ByHash
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Unchanged: 2000})
	for d, err := range b.Catalog.Current(t.Context(), b.Tree().ID) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Files {
			if f.Read.Before(hashing) {
				t.Fatalf("%s was last read at %v", f.Path, f.Read)
			}
		}
	}
}

// TestManyDecisions: where there are more than can be held back the comparison
// is made twice, and nothing is told twice.
func TestManyDecisions(t *testing.T) {
	b := crowd(t)
	each(b, 0, 300, change)
	each(b, 300, 500, os.Remove)
	for i := range 400 {
		b.Write(fmt.Sprintf("c-new/%d", i), fmt.Sprint("new ", i)) // before most of the others
	}
	if err := os.Mkdir(filepath.Join(b.Root, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := b.Options().Holding(50)
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Sent: 700, firn.Removed: 200, firn.Unchanged: 1500})
	b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 2200})
}

// TestDryRunForetells: it shows all, and warns that a sync would stop.
func TestDryRunForetells(t *testing.T) {
	b := crowd(t)
	each(b, 0, 1500, os.Remove)
	o := b.Options()
	o.DryRun = true
	warned := ""
	o.Events = func(e firn.Event) {
		if n, ok := e.(firn.NoticeEvent); ok && n.Warn {
			warned += n.Text
		}
	}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Removed: 1500, firn.Unchanged: 500})
	if !strings.Contains(warned, "would stop here") || !strings.Contains(warned, "1500 are gone") {
		t.Errorf("warned: %q", warned)
	}
}

// TestModesAreNoMass: what is not acted upon doesn't count.
func TestModesAreNoMass(t *testing.T) {
	b := crowd(t)
	each(b, 0, 1100, os.Remove)
	o := b.Options()
	o.Modes = syncer.Modes{New: true}
	b.Counts(run(b, o).Counts, map[firn.Action]int64{firn.Skipped: 1100, firn.Unchanged: 900})
}
