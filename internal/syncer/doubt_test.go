package syncer_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// A meddled store lets something happen at the first call of a method: what
// happens on a real machine in the middle of a sync.
type meddled struct {
	firn.Store
	once                    sync.Once
	describe, upload, start func()
}

func (m *meddled) meddle(f func()) {
	if f != nil {
		m.once.Do(f)
	}
}

func (m *meddled) Describe(ctx context.Context) (firn.StoreInfo, error) {
	m.meddle(m.describe)
	return m.Store.Describe(ctx)
}

func (m *meddled) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	m.meddle(m.upload)
	return m.Store.UploadArchive(ctx, description, body, sums)
}

func (m *meddled) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	m.meddle(m.start)
	return m.Store.StartUpload(ctx, description, partSize)
}

// rewrite gives a file of the bench other content, and a time and mode to know
// it by.
func rewrite(b *worktest.Bench, name, content string) time.Time {
	b.T.Helper()
	b.Write(name, content)
	when := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(b.Root, name)
	if err := os.Chtimes(path, when, when); err != nil {
		b.T.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		b.T.Fatal(err)
	}
	return when
}

// everyCurrentFileIsStored fails where the catalog names an archive that the
// store doesn't have.
func everyCurrentFileIsStored(b *worktest.Bench) {
	b.T.Helper()
	have := map[firn.ArchiveID]bool{}
	for _, a := range b.Memory.Archives() {
		have[a.ID] = true
	}
	for e, err := range b.Catalog.Files(b.T.Context(), catalog.ListQuery{Tree: b.Tree().ID}) {
		if err != nil {
			b.T.Fatal(err)
		}
		if e.Kind == firn.Regular && e.Content.Size > 0 && !have[e.Location.Remote] {
			b.T.Errorf("%s is in archive %s, which is not in the store", e.Path, e.Location.Remote)
		}
	}
}

// days lets days go by, with a sync whenever an inventory may have come.
func days(b *worktest.Bench, n int) (last syncer.Result) {
	b.T.Helper()
	for range n {
		b.Clock.Advance(25 * time.Hour)
		b.Sync()
		b.Clock.Advance(5 * time.Hour)
		last = b.Sync()
	}
	return last
}

// lagging is a store at the service's pace.
var lagging = storetest.MemoryOptions{InventoryEvery: 24 * time.Hour, JobDelay: 4 * time.Hour}

// TestFileInDoubtThatChanges: the file changes before it is sent again. Its two
// states are two archives, and neither is the other's double.
func TestFileInDoubtThatChanges(t *testing.T) {
	b := worktest.New(t, lagging, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
	b.Write("a", "AAAA")
	b.Store = &meddled{Store: b.Store, describe: func() { rewrite(b, "a", "BBBB") }}
	b.Sync()
	everyCurrentFileIsStored(b)
	if res := days(b, 5); res.Doubles != 0 || res.Pending() {
		t.Errorf("in the end: %+v", res)
	}
	everyCurrentFileIsStored(b)
	if n := len(b.Memory.Archives()); n != 2 {
		t.Errorf("%d archives, want both states", n)
	}
}

// TestDoubtOfDeletedArchivesEnds: somebody else has deleted them.
func TestDoubtOfDeletedArchivesEnds(t *testing.T) {
	b := worktest.New(t, lagging, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
	b.Write("a", "a")
	b.Sync()
	for _, a := range b.Memory.Archives() {
		if err := b.Memory.DeleteArchive(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
	}
	if res := days(b, 10); res.Doubles != 0 {
		t.Errorf("in the end: %+v", res)
	}
}

// TestExpiredInventoryStopsNothing: doubts wait for the next one.
func TestExpiredInventoryStopsNothing(t *testing.T) {
	b := worktest.New(t, lagging, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true},
		storetest.Fault{Op: "Inventory", Kind: firn.NotFound})
	b.Write("a", "a")
	b.Sync()
	if res := days(b, 5); res.Doubles != 0 {
		t.Errorf("in the end: %+v", res)
	}
}

// TestTreesSyncAtOnce: while a file of one tree is on its way another tree is
// synced, which must not take it for one that a dead run left.
func TestTreesSyncAtOnce(t *testing.T) {
	for name, lag := range map[string]time.Duration{"fresh": 0, "lagging": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{InventoryEvery: lag})
			b.Write("small", "AAAA")
			b.WriteLarge("large", "L")
			other := b.Options()
			other.Root, other.Tree = t.TempDir(), "other"
			if err := os.WriteFile(filepath.Join(other.Root, "z"), []byte("zz"), 0o600); err != nil {
				t.Fatal(err)
			}
			syncOther := func() {
				if _, err := syncer.Run(t.Context(), other); err != nil {
					t.Errorf("the other tree: %v", err)
				}
			}
			plain := b.Store
			b.Store = &meddled{Store: plain, upload: syncOther}
			b.Sync()
			b.WriteLarge("large", "M")
			b.Store = &meddled{Store: plain, start: syncOther}
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Sent: 1, firn.Unchanged: 1})
			if got := b.Stored(); got["small"] != 1 || got["large"] != 2 || got["z"] != 1 {
				t.Errorf("stored %v", got)
			}
		})
	}
}

// TestDescriptionsAreOfTheBytesSent: the store is told the time and mode that go
// with the bytes, not those of an earlier state.
func TestDescriptionsAreOfTheBytesSent(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadPart", Nth: 3, Kind: firn.Denied})
	b.WriteLarge("interrupted", "L")
	if _, err := syncer.Run(t.Context(), b.Options()); firn.KindOf(err) != firn.Denied {
		t.Fatalf("first run: %v", err)
	}
	when := rewrite(b, "interrupted", "small now")
	b.Write("scanned", "before")
	plain := b.Store
	b.Store = &meddled{Store: plain, upload: func() { rewrite(b, "scanned", "after it was scanned") }}
	o := b.Options()
	o.Concurrency = 1 // "interrupted" goes first, and "scanned" changes meanwhile
	if _, err := syncer.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, a := range b.Memory.Archives() {
		d := describe.Decode(a.Description)
		if !d.ModTime.Equal(when) || d.Mode != 0o600 {
			t.Errorf("%s is described with %v, %v; want %v, 0600", d.Path, d.ModTime, d.Mode, when)
		}
	}
}

// TestRefusedCompletionStopsOnlyItsFile, in this run and in later ones.
func TestRefusedCompletionStopsOnlyItsFile(t *testing.T) {
	for _, kind := range []firn.Kind{firn.Corrupt, firn.Invalid} {
		t.Run(kind.String(), func(t *testing.T) {
			b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "CompleteUpload", Kind: kind, Times: -1})
			b.WriteLarge("large", "L")
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Failed: 1})
			b.Write("other", "fine")
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Failed: 1, firn.Sent: 1})
		})
	}
}

// TestAdoptedFileIsHashedAgain: when it was read is not known, so whether it
// changed right after can't be told by its time.
func TestAdoptedFileIsHashedAgain(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: true})
	b.Write("a", "AAAA")
	b.Sync()
	for d, err := range b.Catalog.Current(t.Context(), b.Tree().ID) {
		if err != nil {
			t.Fatal(err)
		}
		if f := d.Files[0]; f.Read.IsZero() || f.Read.After(f.Stamp.ModTime.Add(time.Second)) {
			t.Errorf("%s counts as read at %v", f.Path, f.Read)
		}
	}
}

// TestSentAgainAndLost: that the store had the content before is no proof that
// it arrived once more.
func TestSentAgainAndLost(t *testing.T) {
	for _, bundled := range []bool{false, true} {
		b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Nth: 2, Kind: firn.Lost})
		if bundled {
			b.Bundle(1000, 1<<20)
		}
		b.Write("a", "the same")
		b.Counts(syncBy(b, plan.Always).Counts, map[firn.Action]int64{firn.Sent: 1})
		b.Counts(syncBy(b, plan.Always).Counts, map[firn.Action]int64{firn.Sent: 1})
		if n := len(b.Memory.Archives()); n != 2 {
			t.Errorf("bundled: %v: %d archives, want 2", bundled, n)
		}
	}
}

// A dying store takes an archive, and then the process that sent it ends.
type dying struct {
	firn.Store
	die func()
}

func (d *dying) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	if _, err := d.Store.UploadArchive(ctx, description, body, sums); err != nil {
		return "", err
	}
	d.die()
	return "", &firn.Error{Op: "upload", Kind: firn.Lost, Err: context.Cause(ctx)}
}

// TestRemovedBeforeItWasRecorded: a file arrived, nobody recorded that, and it
// is gone. It was there once, and isn't any more.
func TestRemovedBeforeItWasRecorded(t *testing.T) {
	for _, bundled := range []bool{false, true} {
		b := worktest.New(t, storetest.MemoryOptions{})
		if bundled {
			b.Bundle(1000, 1<<20)
		}
		b.Write("stays", "stays")
		b.Sync()
		b.Write("gone", "will be gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		plain := b.Store
		b.Store = &dying{Store: plain, die: func() { cancel(errors.New("killed")) }}
		if _, err := syncer.Run(ctx, b.Options()); err == nil {
			t.Fatal("it was not stopped")
		}
		b.Store = plain
		if err := os.Remove(filepath.Join(b.Root, "gone")); err != nil {
			t.Fatal(err)
		}
		b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Removed: 1})
		for e, err := range b.Catalog.Files(t.Context(), catalog.ListQuery{Tree: b.Tree().ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Path == "gone" {
				t.Errorf("bundled: %v: it is still there", bundled)
			}
		}
		versions, err := b.Catalog.History(t.Context(), b.Tree().ID, "gone")
		if err != nil || len(versions) != 1 || versions[0].Location.State != catalog.Stored {
			t.Errorf("bundled: %v: its history is %+v, %v", bundled, versions, err)
		}
		b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 1})
	}
}
