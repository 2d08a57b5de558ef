package syncer_test

import (
	"context"
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/worktest"
)

// deletions is a store that notes which archives it is asked to delete, and says of
// some that others have their names.
type deletions struct {
	firn.Store
	taken bool
	ids   []firn.ArchiveID
}

func (d *deletions) DeleteOnly(_ context.Context, a firn.Deletable) error {
	d.ids = append(d.ids, a.ID)
	if d.taken {
		return &firn.Error{Op: "delete archive", Kind: firn.Conflict}
	}
	return nil
}

// TestMirrorKeepsReusedNames: where ids are names, a sync that deletes what it replaces
// doesn't delete what was stored under such a name since, by this machine or another.
func TestMirrorKeepsReusedNames(t *testing.T) {
	for name, want := range map[string]int{"as ever": 1, "stored here": 0, "stored elsewhere": 1} {
		b := worktest.New(t, storetest.MemoryOptions{})
		b.Write("a", "first")
		b.Sync()
		var old firn.ArchiveID
		for e, err := range b.Catalog.Files(t.Context(), catalog.ListQuery{Tree: b.Tree().ID}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Path == "a" {
				old = e.Location.Remote
			}
		}
		b.Write("a", "second, and longer")
		store := &deletions{Store: b.Store, taken: name == "stored elsewhere"}
		if name == "stored here" {
			storeUnder(t, b, old)
		}
		o := b.Options()
		o.Modes, o.Store = syncer.Modes{ReplaceModified: true}, store
		res := run(b, o)
		deleted := int64(1)
		if name != "as ever" {
			deleted = 0
		}
		if len(store.ids) != want || res.LetGo.Deleted.Files != deleted {
			t.Errorf("%s: asked to delete %q, deleted %+v", name, store.ids, res.LetGo.Deleted)
		}
		if queue, err := b.Catalog.DeletionQueue(t.Context(), b.Row.ID); err != nil || queue.Archives.Files != 0 {
			t.Errorf("%s: it is to go still: %+v, %v", name, queue, err)
		}
	}
}

// storeUnder records another archive under an id.
func storeUnder(t *testing.T, b *worktest.Bench, id firn.ArchiveID) {
	t.Helper()
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "archive upload")
	if err != nil {
		t.Fatal(err)
	}
	b.RecordUnder(run, id)
}
