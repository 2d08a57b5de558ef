package loose_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/loose"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/transfer"
)

// A desk is a catalog and a store that it knows.
type desk struct {
	*testing.T
	clock   *clock.Manual
	catalog *catalog.Catalog
	store   *storetest.Memory
	row     catalog.Store
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, clock: clock.NewManual(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)), store: storetest.NewMemory(storetest.MemoryOptions{})}
	var err error
	if d.catalog, err = catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"), d.clock); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.catalog.Close() })
	if d.row, err = d.catalog.Register(t.Context(), catalog.StoreSpec{URL: "glacier:v", Kind: "glacier", Identity: "it", Name: "v"}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) journal(name, description string, verbatim bool) *loose.Journal {
	d.Helper()
	run, err := d.catalog.BeginRun(d.Context(), d.row.ID, 0, "archive upload")
	if err != nil {
		d.Fatal(err)
	}
	return &loose.Journal{Catalog: d.catalog, Run: run, Clock: d.clock, Name: name, Description: description, Verbatim: verbatim}
}

// upload sends text with a journal.
func (d *desk) upload(j transfer.Journal, text string) (transfer.Result, error) {
	d.Helper()
	u, err := transfer.NewUploader(d.store, d.store.Traits(), transfer.UploadOptions{Clock: d.clock, TokenOf: describe.TokenOf})
	if err != nil {
		d.Fatal(err)
	}
	return u.UploadStream(d.Context(), transfer.Stream{Path: "it", Body: strings.NewReader(text), Journal: j, Spool: d.TempDir()})
}

// TestStored: what was stored is in the catalog, under the description that is wanted.
func TestStored(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		description string
		verbatim    bool
		ours        bool
	}{{"my words", false, false}, {"", false, true}, {"", true, false}} {
		j := d.journal("name", c.description, c.verbatim)
		res, err := d.upload(j, "content of "+c.description)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.catalog.AccountOf(t.Context(), d.row.ID, res.Archive)
		if err != nil || got.Kind != catalog.LooseArchive || got.State != catalog.Stored || got.Description != j.Told {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
		if _, ours := describe.TokenOf(j.Told); ours != c.ours || !ours && j.Told != c.description {
			t.Errorf("%+v: it is described as %q", c, j.Told)
		}
	}
}

// A dying journal ends its process, as far as the catalog sees, before completion.
type dying struct{ *loose.Journal }

var errKilled = errors.New("killed")

func (dying) Stored(context.Context, transfer.Result) error { return errKilled }

// TestSettle: what a run left open whose lock can be had is settled, what a living
// run has open is left alone.
func TestSettle(t *testing.T) {
	d := newDesk(t)
	j := d.journal("name", "", false)
	if _, err := d.upload(dying{j}, "content"); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	settle := func(held bool) catalog.State {
		t.Helper()
		now := d.journal("another", "", false)
		unlocked := 0
		_, release, err := loose.Settle(t.Context(), reconcile.Options{Catalog: d.catalog, Row: d.row.ID, Store: d.store, Run: now.Run, Clock: d.clock, Events: firn.Discard, Single: transfer.MaxSingle},
			nobody, func(run int64) (func() error, error) {
				if held {
					return nil, io.ErrNoProgress
				}
				return func() error { unlocked++; return nil }, nil
			})
		release()
		if err != nil || (unlocked > 0) == held {
			t.Fatalf("%v, %d locks given back", err, unlocked)
		}
		_, state, err := d.catalog.ArchiveState(t.Context(), j.Intent)
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	before := settle(true)
	if before >= catalog.Stored {
		t.Fatalf("a run that lives was settled: %v", before)
	}
	if after := settle(false); after == before {
		t.Errorf("nothing was settled: %v", after)
	}
}

func nobody(catalog.Intent) bool { return false }

// TestSettleKeeps: what is gone on with stays locked until it is released, the rest is
// given back; and what its owner has settled before the lock was had isn't taken up.
func TestSettleKeeps(t *testing.T) {
	d := newDesk(t)
	left := map[string]*loose.Journal{}
	for _, name := range []string{"a", "b"} {
		j := d.journal(name, "", false)
		j.Again = true
		begun := transfer.Begun{Stamp: firn.Stamp{Size: 9 << 20, ModTime: time.Unix(1, 0)}, Multipart: true}
		begun.Content.Size = begun.Stamp.Size
		told, err := j.Begin(t.Context(), begun)
		if err != nil {
			t.Fatal(err)
		}
		up, err := d.store.StartUpload(t.Context(), told.Description, 1<<20)
		if err == nil {
			err = j.Opened(t.Context(), up, 1<<20)
		}
		if err != nil {
			t.Fatal(err)
		}
		left[name] = j
	}
	held := map[int64]bool{}
	now := d.journal("a", "", false)
	options := reconcile.Options{Catalog: d.catalog, Row: d.row.ID, Store: d.store, Run: now.Run, Clock: d.clock, Events: firn.Discard, Single: transfer.MaxSingle}
	lock := func(run int64) (func() error, error) {
		if held[run] {
			return nil, io.ErrNoProgress
		}
		held[run] = true
		return func() error { delete(held, run); return nil }, nil
	}
	mine, release, err := loose.Settle(t.Context(), options, now.IsOf, lock)
	if err != nil || len(mine.Resumable) != 1 || mine.Resumable[0].ID != left["a"].Intent || !held[left["a"].Run.ID] || held[left["b"].Run.ID] {
		t.Fatalf("%+v, %v, held %v", mine.Resumable, err, held)
	}
	other, releaseOther, err := loose.Settle(t.Context(), options, now.IsOf, lock)
	if err != nil || len(other.Resumable) != 0 {
		t.Fatalf("taken up twice: %+v, %v", other.Resumable, err)
	}
	releaseOther()
	release()
	if len(held) != 0 {
		t.Errorf("still held: %v", held)
	}
	// While a caller waits for the lock its owner comes to an end.
	late := func(run int64) (func() error, error) {
		if in := left["a"]; run == in.Run.ID {
			if err := in.Dropped(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return lock(run)
	}
	gone, release, err := loose.Settle(t.Context(), options, now.IsOf, late)
	if release(); err != nil || len(gone.Resumable) != 0 {
		t.Errorf("taken up after its end: %+v, %v", gone.Resumable, err)
	}
}

// TestIsOf: an intent is gone on with under its name and description alone.
func TestIsOf(t *testing.T) {
	token := firn.NewToken()
	ours, err := describe.Encode(describe.Archive{Token: token, Kind: describe.File, Path: "a", ModTime: time.Unix(1, 0), Made: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	intent := func(name, description string) catalog.Intent {
		return catalog.Intent{File: firn.File{Path: name}, Description: description}
	}
	for _, c := range []struct {
		journal loose.Journal
		intent  catalog.Intent
		want    bool
	}{
		{loose.Journal{Name: "a"}, intent("a", ours), true},
		{loose.Journal{Name: "b"}, intent("a", ours), false},
		{loose.Journal{Name: "a", Description: "x"}, intent("a", ours), false},
		{loose.Journal{Name: "a", Description: "x"}, intent("a", "x"), true},
		{loose.Journal{Name: "a", Description: "y"}, intent("a", "x"), false},
		{loose.Journal{Name: "a", Verbatim: true}, intent("a", ours), false},
		{loose.Journal{Name: "a", Verbatim: true}, intent("a", ""), true},
	} {
		if got := c.journal.IsOf(c.intent); got != c.want {
			t.Errorf("%+v of %+v: %t", c.journal, c.intent, got)
		}
	}
}
