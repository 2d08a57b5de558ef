package reconcile_test

import (
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// leaveLoose is as leave, of an archive of no tree: a stream, or a file where
// it has a stamp. words are the user's description; empty: firn's own.
func leaveLoose(t *testing.T, o storetest.MemoryOptions, single int64, words string, stamp firn.Stamp) *left {
	t.Helper()
	b := worktest.New(t, o)
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "archive upload")
	if err != nil {
		t.Fatal(err)
	}
	l := &left{Bench: b, run: run, data: storetest.Data(7, size), single: single}
	token := firn.NewToken()
	if words == "" {
		if words, err = describe.Encode(describe.Archive{Token: token, Kind: describe.File, Path: "left", ModTime: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	intents := []catalog.Intent{{
		Store: b.Row.ID, Run: run.ID, Token: token, Kind: catalog.LooseArchive, Description: words, Size: size,
		File: firn.File{Path: "left", Kind: firn.Regular, Stamp: stamp}, TreeHash: treehash.Sum(l.data),
	}}
	if err := b.Catalog.Intend(t.Context(), intents); err != nil {
		t.Fatal(err)
	}
	l.intent = intents[0]
	return l
}

// stamped is a file's stamp; a stream has none.
var stamped = firn.Stamp{Size: size, ModTime: time.Unix(1e9, 0)}

// loose reconciles as a later run does, in which nothing, or all, is alive.
func (l *left) loose(alive bool) reconcile.Result {
	l.T.Helper()
	res, err := reconcile.Loose(l.T.Context(), reconcile.Options{
		Catalog: l.Catalog, Row: l.Row.ID, Store: l.Store, Run: l.run, Clock: l.Clock, Events: l.Events, Single: l.single,
		Alive: func(run int64) bool {
			if run != l.run.ID {
				l.T.Errorf("asked about run %d", run)
			}
			return alive
		},
	})
	if err != nil {
		l.T.Fatal(err)
	}
	return res
}

// closed fails unless nothing is open any more, in the catalog or in the store,
// which holds so many archives of which the catalog knows so many.
func (l *left) closed(archives, known int) {
	l.T.Helper()
	intents, err := l.Catalog.OpenIntents(l.T.Context(), l.Row.ID)
	if err != nil || len(intents) != 0 {
		l.T.Errorf("open intents: %+v, %v", intents, err)
	}
	doubts, err := l.Catalog.Doubts(l.T.Context(), l.Row.ID)
	if err != nil || len(doubts) != 0 {
		l.T.Errorf("doubts: %+v, %v", doubts, err)
	}
	l.Stored() // that no upload is open
	if got := len(l.Memory.Archives()); got != archives {
		l.T.Errorf("%d archives in the store, want %d", got, archives)
	}
	n := 0
	for h, err := range l.Catalog.Archives(l.T.Context(), l.Row.ID) {
		if n++; err != nil || h.Description != l.intent.Description || h.Kind != catalog.LooseArchive {
			l.T.Errorf("listed: %+v, %v", h, err)
		}
	}
	if n != known {
		l.T.Errorf("%d archives in the catalog, want %d", n, known)
	}
}

func TestLooseStreamIsAborted(t *testing.T) {
	for name, words := range map[string]string{"recorded": "", "its id got lost": "", "with words of its own": "words"} {
		t.Run(name, func(t *testing.T) {
			l := leaveLoose(t, storetest.MemoryOptions{}, large, words, firn.Stamp{})
			id := l.open()
			if name != "its id got lost" {
				if err := l.Catalog.UploadOpened(t.Context(), l.intent.ID, id, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			l.loose(true)
			if uploads, err := storetest.Collect(l.Memory.Uploads(t.Context())); err != nil || len(uploads) != 1 {
				t.Errorf("while its run lives: %v, %v", uploads, err)
			}
			if res := l.loose(false); len(res.Resumable)+len(res.Pending) != 0 {
				t.Errorf("result %+v", res)
			}
			l.closed(0, 0)
		})
	}
}

// TestLooseFileCanBeResumed: its upload waits for whoever sends it again.
func TestLooseFileCanBeResumed(t *testing.T) {
	l := leaveLoose(t, storetest.MemoryOptions{}, large, "words", stamped)
	id := l.open()
	if err := l.Catalog.UploadOpened(t.Context(), l.intent.ID, id, 1<<20); err != nil {
		t.Fatal(err)
	}
	res := l.loose(false)
	if len(res.Resumable) != 1 || res.Resumable[0].Upload != id || !res.Resumable[0].File.Stamp.Equal(stamped) {
		t.Errorf("result %+v", res)
	}
	l.Memory.DropUpload(id)
	if res := l.loose(false); len(res.Resumable) != 0 {
		t.Errorf("once the store has ended it: %+v", res)
	}
	l.closed(0, 0)
}

func TestLooseCompletionThatWentUnanswered(t *testing.T) {
	for name, done := range map[string]bool{"it happened": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			l := leaveLoose(t, storetest.MemoryOptions{}, large, "words", firn.Stamp{})
			l.completing(done)
			l.loose(false)
			l.closed(1, 1)
		})
	}
}

// TestLooseInDoubt: the inventory tells, also where only the user's own words
// say which archive it is.
func TestLooseInDoubt(t *testing.T) {
	for _, words := range []string{"", "my backup"} {
		l := leaveLoose(t, storetest.MemoryOptions{}, small, words, firn.Stamp{})
		l.arrive()
		l.loose(false)
		l.closed(1, 1)

		l = leaveLoose(t, storetest.MemoryOptions{}, small, words, firn.Stamp{})
		l.loose(false)
		l.closed(0, 0)
	}
}

// TestLooseInDoubtWaits: it is never sent twice, so it waits for an inventory.
func TestLooseInDoubtWaits(t *testing.T) {
	l := leaveLoose(t, storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour}, small, "words", firn.Stamp{})
	l.arrive()
	if res := l.loose(false); len(res.Pending) != 1 || len(res.Resumable) != 0 {
		t.Fatalf("at once: %+v", res)
	}
	l.Clock.Advance(30 * time.Hour)
	l.loose(false)
	l.Clock.Advance(5 * time.Hour)
	l.loose(false)
	l.closed(1, 1)
}

// TestWordsOfOthers: archives with the same words are nobody's copies. None is
// deleted, and one that the catalog knows is not taken.
func TestWordsOfOthers(t *testing.T) {
	l := leaveLoose(t, storetest.MemoryOptions{}, small, "backup", firn.Stamp{})
	body, sums := storetest.Body([]byte("other content"))
	if _, err := l.Memory.UploadArchive(t.Context(), "backup", body, sums); err != nil {
		t.Fatal(err)
	}
	l.arrive() // somebody else's, of last week
	l.arrive()
	l.loose(false)
	l.closed(3, 1)

	second := *l // the same again, but it doesn't arrive
	second.intent.Token = firn.NewToken()
	intents := []catalog.Intent{second.intent}
	if err := l.Catalog.Intend(t.Context(), intents); err != nil {
		t.Fatal(err)
	}
	l.loose(false)
	l.closed(3, 2) // it is there, whoever sent it
	if err := l.Catalog.Intend(t.Context(), []catalog.Intent{intents[0]}); err != nil {
		t.Fatal(err)
	}
	l.loose(false)
	l.closed(3, 2) // there is no third
}

// TestTreesAreNotLoose: what others left open is not looked at.
func TestTreesAreNotLoose(t *testing.T) {
	l := leave(t, storetest.MemoryOptions{}, large)
	id := l.open()
	if err := l.Catalog.UploadOpened(t.Context(), l.intent.ID, id, 1<<20); err != nil {
		t.Fatal(err)
	}
	snapshot := []catalog.Intent{{Store: l.Row.ID, Run: l.run.ID, Token: firn.NewToken(), Kind: catalog.CatalogArchive, Size: size}}
	if err := l.Catalog.Intend(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	if res := l.loose(false); len(res.Resumable)+len(res.Pending) != 0 {
		t.Errorf("result %+v", res)
	}
	if open, err := l.Catalog.OpenIntents(t.Context(), l.Row.ID); err != nil || len(open) != 2 {
		t.Errorf("open intents: %+v, %v", open, err)
	}
}
