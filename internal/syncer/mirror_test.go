package syncer_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

func syncAs(b *worktest.Bench, m syncer.Modes) syncer.Result {
	b.T.Helper()
	o := b.Options()
	o.Modes = m
	return run(b, o)
}

// versions gives how many versions the catalog has of each file.
func versions(b *worktest.Bench) map[string]int {
	b.T.Helper()
	n := map[string]int{}
	for e, err := range b.Catalog.Files(b.T.Context(), catalog.ListQuery{Tree: b.Tree().ID, All: true}) {
		if err != nil {
			b.T.Fatal(err)
		}
		if e.Kind != firn.Directory {
			n[e.Path]++
		}
	}
	return n
}

func wantStored(b *worktest.Bench, want map[string]int) {
	b.T.Helper()
	if got := b.Stored(); !maps.Equal(got, want) {
		b.T.Errorf("stored %v, want %v", got, want)
	}
}

// threeChanges is a tree with a file that is new, one that was modified and one
// that is gone.
func threeChanges(t *testing.T) *worktest.Bench {
	t.Helper()
	b := worktest.New(t, storetest.MemoryOptions{})
	for _, p := range []string{"same", "modified", "gone"} {
		b.Write(p, "content of "+p)
	}
	b.Sync()
	b.Write("modified", "other content")
	b.Write("new", "new content")
	remove(t, b, "gone")
	return b
}

// TestModes: what was not asked for is skipped, and done by a sync that asks.
func TestModes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		modes    syncer.Modes
		counts   map[firn.Action]int64
		stored   map[string]int
		versions map[string]int
	}{
		{"default", syncer.Modes{},
			map[firn.Action]int64{firn.Unchanged: 1, firn.Sent: 2, firn.Removed: 1},
			map[string]int{"same": 1, "modified": 2, "gone": 1, "new": 1}, map[string]int{"same": 1, "modified": 2, "gone": 1, "new": 1}},
		{"new", syncer.Modes{New: true},
			map[firn.Action]int64{firn.Unchanged: 1, firn.Sent: 1, firn.Skipped: 2},
			map[string]int{"same": 1, "modified": 1, "gone": 1, "new": 1}, map[string]int{"same": 1, "modified": 1, "gone": 1, "new": 1}},
		{"replace-modified", syncer.Modes{ReplaceModified: true},
			map[firn.Action]int64{firn.Unchanged: 1, firn.Sent: 1, firn.Skipped: 2},
			map[string]int{"same": 1, "modified": 1, "gone": 1}, map[string]int{"same": 1, "modified": 1, "gone": 1}},
		{"delete-removed", syncer.Modes{DeleteRemoved: true},
			map[firn.Action]int64{firn.Unchanged: 1, firn.Removed: 1, firn.Skipped: 2},
			map[string]int{"same": 1, "modified": 1}, map[string]int{"same": 1, "modified": 1}},
		{"all three", syncer.Modes{New: true, ReplaceModified: true, DeleteRemoved: true},
			map[firn.Action]int64{firn.Unchanged: 1, firn.Sent: 2, firn.Removed: 1},
			map[string]int{"same": 1, "modified": 1, "new": 1}, map[string]int{"same": 1, "modified": 1, "new": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := threeChanges(t)
			o := b.Options()
			o.Modes, o.DryRun = tt.modes, true
			b.Counts(run(b, o).Counts, tt.counts)
			b.Counts(syncAs(b, tt.modes).Counts, tt.counts)
			wantStored(b, tt.stored)
			if got := versions(b); !maps.Equal(got, tt.versions) {
				t.Errorf("versions %v, want %v", got, tt.versions)
			}
			b.Sync()
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 3})
		})
	}
}

var mirror = syncer.Modes{New: true, ReplaceModified: true, DeleteRemoved: true}

// TestMirrorKeepsWhatIsNeeded: content that another path, or another tree, has
// is not deleted with the one that has it no more.
func TestMirrorKeepsWhatIsNeeded(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "shared by two paths")
	b.Write("b", "shared by two paths")
	b.Write("c", "shared by two trees")
	b.Write("moved", "the same under another name")
	b.Sync()
	other := b.Options()
	other.Root, other.Tree = t.TempDir(), "other"
	if err := os.WriteFile(filepath.Join(other.Root, "c"), []byte("shared by two trees"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(b, other)
	remove(t, b, "a", "c", "moved")
	b.Write("z", "the same under another name")
	archives := len(b.Memory.Archives())
	res := syncAs(b, mirror)
	b.Counts(res.Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Recorded: 1, firn.Removed: 3})
	if n := len(b.Memory.Archives()); n != archives || res.LetGo.Deleted.Files != 0 {
		t.Errorf("%d archives are left of %d; %+v", n, archives, res.LetGo)
	}
	remove(t, b, "b")
	if res := syncAs(b, mirror); res.LetGo.Deleted.Files != 1 {
		t.Errorf("the last path is gone: %+v", res.LetGo)
	}
}

// TestMirrorAfterManyVersions: of a path that is gone all versions go; of one
// that was modified, the one that the mirror replaced.
func TestMirrorAfterManyVersions(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("stays", "stays")
	for _, content := range []string{"1", "22", "333"} {
		b.Write("gone", "gone"+content)
		b.Write("modified", "modified"+content)
		b.Sync()
	}
	remove(t, b, "gone")
	b.Write("modified", "by the mirror")
	res := syncAs(b, mirror)
	wantStored(b, map[string]int{"stays": 1, "modified": 3})
	if got, want := versions(b), (map[string]int{"stays": 1, "modified": 3}); !maps.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
	if res.LetGo.Deleted.Files != 4 {
		t.Errorf("%+v", res.LetGo)
	}
}

// TestEmptiedFileIsAVersion: a file cut to nothing is not taken for removed. A
// mirror lets its old content go, since it is asked to replace.
func TestEmptiedFileIsAVersion(t *testing.T) {
	for _, m := range []syncer.Modes{{}, {DeleteRemoved: true}, mirror} {
		b := worktest.New(t, storetest.MemoryOptions{})
		b.Write("a", "content")
		b.Write("b", "content of b")
		b.Sync()
		b.Write("a", "")
		res := syncAs(b, m)
		if res.Counts[firn.Removed].Files != 0 {
			t.Errorf("%+v: removed", m)
		}
		want := map[string]int{"a": 1, "b": 1}
		if m.ReplaceModified {
			want = map[string]int{"b": 1}
		}
		wantStored(b, want)
		if m == (syncer.Modes{}) && versions(b)["a"] != 2 {
			t.Errorf("versions %v", versions(b))
		}
	}
}

// TestMirrorDeletesOnlyAfterAll: while anything could not be stored, no archive
// is deleted; once all is, those of the earlier run go too.
func TestMirrorDeletesOnlyAfterAll(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content of a")
	b.Write("b", "content of b")
	b.Sync()
	remove(t, b, "a")
	b.Write("moved", "content of a")
	b.Write("new", "new")
	o := b.Options()
	o.Modes, o.Budget = mirror, syncer.NewBudget(syncer.Limits{Bytes: 1})
	res := run(b, o)
	if !res.LetGo.Kept || res.LetGo.Deleted.Files != 0 || res.LetGo.Waiting.Files != 1 {
		t.Errorf("%+v", res.LetGo)
	}
	wantStored(b, map[string]int{"a": 1, "b": 1})
	res = syncAs(b, mirror)
	b.Counts(res.Counts, map[firn.Action]int64{firn.Unchanged: 1, firn.Sent: 1, firn.Recorded: 1})
	wantStored(b, map[string]int{"a": 1, "b": 1, "new": 1})
	if res.LetGo != (syncer.LetGo{}) {
		t.Errorf("what is needed again: %+v", res.LetGo)
	}
	remove(t, b, "moved")
	syncAs(b, mirror)
	wantStored(b, map[string]int{"b": 1, "new": 1})
}

// TestMirrorWaitsUntilItIsFree: within the time that is charged anyway an
// archive stays, unless it is to be paid for.
func TestMirrorWaitsUntilItIsFree(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for _, pay := range []bool{false, true} {
		b := worktest.New(t, storetest.MemoryOptions{MinDuration: 3 * month})
		b.Write("a", "content of a")
		b.Write("b", "content of b")
		b.Sync()
		stored := b.Clock.Now()
		b.Clock.Advance(month)
		remove(t, b, "a")
		o := b.Options()
		o.Modes, o.PayEarly = mirror, pay
		res := run(b, o)
		if pay {
			wantStored(b, map[string]int{"b": 1})
			continue
		}
		wantStored(b, map[string]int{"a": 1, "b": 1})
		if w := res.LetGo; w.Waiting.Files != 1 || w.Until.Before(stored.Add(3*month-time.Hour)) || w.Until.After(stored.Add(3*month+time.Hour)) {
			t.Errorf("waiting: %+v", w)
		}
		b.Clock.Advance(2*month + time.Hour)
		res = syncAs(b, mirror)
		wantStored(b, map[string]int{"b": 1})
		if res.LetGo.Deleted.Files != 1 || res.LetGo.Waiting.Files != 0 {
			t.Errorf("then: %+v", res.LetGo)
		}
	}
}

// TestMirrorThatWasCutShort: what it replaced goes with the next one, and not
// with a sync that keeps versions.
func TestMirrorThatWasCutShort(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{}, storetest.Fault{Op: "UploadArchive", Nth: 4, Kind: firn.Denied})
	b.Write("a", "content of a")
	b.Write("b", "content of b")
	b.Sync()
	b.Write("a", "other content of a")
	b.Write("b", "other content of b")
	o := b.Options()
	o.Modes, o.Concurrency = mirror, 1
	if _, err := syncer.Run(t.Context(), o); firn.KindOf(err) != firn.Denied {
		t.Fatal(err)
	}
	wantStored(b, map[string]int{"a": 2, "b": 1})
	b.Sync()
	wantStored(b, map[string]int{"a": 2, "b": 2})
	syncAs(b, mirror)
	wantStored(b, map[string]int{"a": 1, "b": 2})
}

// TestMirrorAlways: what is sent again replaces the archive that had it.
func TestMirrorAlways(t *testing.T) {
	b := worktest.New(t, storetest.MemoryOptions{})
	b.Write("a", "content of a")
	b.Sync()
	before := b.Memory.Archives()[0].ID
	o := b.Options()
	o.Modes, o.Detect = mirror, plan.Always
	run(b, o)
	after := b.Memory.Archives()
	if len(after) != 1 || after[0].ID == before {
		t.Errorf("archives %v, before %v", after, before)
	}
}
