package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/treehash"
)

// A quick store has all ready at once, and doesn't say so.
type quick struct{ firn.Store }

func (q quick) Traits() firn.Traits {
	t := q.Store.Traits()
	t.InstantJobs = false
	return t
}

// TestQuickStoreIsAskedAtOnce: nothing waits for hours that a store has at once, with
// --wait and without, nor for the end of what one call may ask for.
func TestQuickStoreIsAskedAtOnce(t *testing.T) {
	for _, wait := range []bool{false, true} {
		r := newRig(t, storetest.MemoryOptions{})
		want := r.fill()
		o := r.options()
		o.From.Store, o.Wait = quick{r.Store}, wait
		began := r.Clock.Now()
		if res := r.migrate(o); !res.Done || r.Clock.Now().Sub(began) > time.Minute {
			t.Errorf("wait %t: %+v after %v", wait, res, r.Clock.Now().Sub(began))
		}
		r.expect(r.restored(nil), want)
	}
}

// TestWaitsForWhatItMayMove: with a limit, a call that waits ends when what it has
// asked for is there.
func TestWaitsForWhatItMayMove(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
	for i := range 4 {
		r.Write(fmt.Sprint(i), fmt.Sprint("content ", i))
	}
	r.Sync()
	o := r.options()
	o.Wait, o.MaxFiles = true, 3
	if res := r.migrate(o); res.Copied.Files != 3 || !res.Pending() || len(r.target.Archives()) != 3 {
		t.Errorf("%+v, %d archives", res, len(r.target.Archives()))
	}
	o.MaxFiles, o.MaxBytes = 0, 5
	if res := r.migrate(o); !res.Done {
		t.Errorf("the rest: %+v", res)
	}
}

// pruned forgets old versions of a path, and queues what nothing refers to; out of a
// store it is deleted, as a prune does.
func (r *rig) pruned(row catalog.Store, name, path string, store *storetest.Memory) {
	r.T.Helper()
	ctx := r.T.Context()
	tree, err := r.Catalog.Tree(ctx, row.ID, name)
	r.must(err)
	run, err := r.Catalog.BeginRun(ctx, row.ID, 0, catalog.PruneRun)
	r.must(err)
	versions, err := r.Catalog.History(ctx, tree.ID, path)
	r.must(err)
	if n, err := r.Catalog.Retire(ctx, run, catalog.Retirement{}, versions); err != nil || n == 0 {
		r.T.Fatalf("%d versions of %s forgotten: %v", n, path, err)
	}
	if n, err := r.Catalog.QueueDeletions(ctx, run); err != nil || n.Files == 0 {
		r.T.Fatalf("%+v queued: %v", n, err)
	}
	if store == nil {
		return
	}
	for d, err := range r.Catalog.Deletions(ctx, row.ID, r.Clock.Now()) {
		r.must(err)
		r.must(r.Catalog.DeletionAsked(ctx, d.Archive))
		r.must(store.DeleteArchive(ctx, d.Remote))
		r.must(r.Catalog.MarkDeleted(ctx, run, d.Archive))
	}
}

// TestSourceGoesOnMeanwhile: syncs and prunes of the source between the calls; what is
// gone is not asked for, what came is copied, and the tree moves.
func TestSourceGoesOnMeanwhile(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
	r.Write("stays", "stays")
	r.Write("changes", "before")
	r.Sync()
	r.Clock.Advance(time.Minute)
	r.Write("goes", "goes") // it is the last that is asked for
	r.Sync()
	o := r.options()
	o.MaxFiles = 1
	r.migrate(o)
	r.Clock.Advance(5 * time.Hour)
	r.migrate(o) // copies one, asks for another
	r.must(os.Remove(filepath.Join(r.Root, "goes")))
	r.Write("changes", "after")
	r.Write("new", "new")
	r.Sync()
	r.pruned(r.Row, "tree", "goes", r.Memory)
	o.MaxFiles = 0
	for range 4 {
		r.Clock.Advance(6 * time.Hour)
		if res := r.migrate(o); res.Done {
			break
		} else if res.Failed() {
			t.Fatalf("%+v", res)
		}
	}
	r.checked()
	want := map[string]string{"stays": "stays", "changes": "after", "new": "new"}
	r.expect(r.restored(nil), want)
}

// TestVanishedArchive: an archive that the source hasn't got any more fails alone; once
// the catalog knows, its versions are lost, and all else moves.
func TestVanishedArchive(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.Write("a", "one")
	r.Write("b", "two")
	r.Sync()
	var gone firn.Archive
	for _, a := range r.Memory.Archives() {
		if a.Tree == treehash.Sum([]byte("two")) {
			gone = a
		}
	}
	r.must(r.Memory.DeleteArchive(t.Context(), gone.ID))
	res := r.migrate(r.options())
	if !res.Failed() || res.Done || !slices.Equal(res.Left, []string{"tree"}) || res.Migration.Totals[catalog.CopyDone].Files != 1 {
		t.Errorf("%+v", res)
	}
	r.checked()
	run, err := r.Catalog.BeginRun(t.Context(), r.Row.ID, 0, "store refresh")
	r.must(err)
	account, err := r.Catalog.AccountOf(t.Context(), r.Row.ID, gone.ID)
	r.must(err)
	r.must(r.Catalog.MarkLost(t.Context(), run, []int64{account.ID}))
	if res := r.migrate(r.options()); !res.Done || res.Failed() || !slices.Equal(res.Moved, []string{"tree"}) {
		t.Errorf("once it is known: %+v", res)
	}
	r.checked()
	entry, err := r.Catalog.History(t.Context(), r.moved().ID, "b")
	r.must(err)
	if len(entry) != 1 || entry[0].Location.State != catalog.Lost {
		t.Errorf("b is %+v", entry)
	}
}

// moved is the tree in the target.
func (r *rig) moved() catalog.Tree {
	r.T.Helper()
	tree, err := r.Catalog.Tree(r.T.Context(), r.row.ID, "tree")
	r.must(err)
	return tree
}

// TestCopyGoesMeanwhile: a copy that is deleted from the target before the tree moves
// is made again; no version may point to what is gone.
func TestCopyGoesMeanwhile(t *testing.T) {
	for _, how := range []string{"deleted", "lost", "queued", "pruned"} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, storetest.MemoryOptions{})
			r.Write("a", "one")
			r.Sync()
			r.Write("b", "two")
			r.Sync()
			o := r.options()
			o.MaxFiles, o.Concurrency = 1, 1
			r.migrate(o)
			r.losesCopy(how)
			if res := r.migrate(r.options()); !res.Done || len(res.Moved) != 1 {
				t.Errorf("%+v", res)
			}
			r.checked()
			got := r.restored(nil)
			for _, name := range []string{"a", "b"} {
				if data, ok := got["tree/"+name]; ok { // beside the other tree
					got[name] = data
				}
			}
			if got["a"] != "one" || got["b"] != "two" {
				t.Errorf("restored %q", got)
			}
		})
	}
}

// losesCopy deletes the only archive of the target.
func (r *rig) losesCopy(how string) {
	r.T.Helper()
	ctx := r.T.Context()
	all := r.target.Archives()
	if len(all) != 1 {
		r.T.Fatalf("%d archives", len(all))
	}
	if how == "queued" || how == "pruned" { // another tree used it for a while
		other := r.Options()
		other.Row, other.Store, other.Root, other.Tree = r.row, r.store, filepath.Join(r.T.TempDir(), "other"), "other"
		path := filepath.Join(other.Root, "x")
		r.must(os.MkdirAll(other.Root, 0o755))
		r.must(os.WriteFile(path, []byte("one"), 0o644))
		for range 2 {
			if _, err := r.SyncWith(other); err != nil {
				r.T.Fatal(err)
			}
			r.must(os.RemoveAll(path))
			r.must(os.WriteFile(filepath.Join(other.Root, "y"), []byte("y"), 0o644))
		}
		r.pruned(r.row, "other", "x", map[string]*storetest.Memory{"pruned": r.target}[how])
		return
	}
	account, err := r.Catalog.AccountOf(ctx, r.row.ID, all[0].ID)
	r.must(err)
	run, err := r.Catalog.BeginRun(ctx, r.row.ID, 0, "archive delete")
	r.must(err)
	r.must(r.target.DeleteArchive(ctx, all[0].ID))
	if how == "lost" {
		r.must(r.Catalog.MarkLost(ctx, run, []int64{account.ID}))
	} else {
		r.must(r.Catalog.MarkDeleted(ctx, run, account.ID))
	}
}

// TestTreesOneByOne: what was copied with one tree is not copied again with the rest.
func TestTreesOneByOne(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	want := r.fill()
	more := r.Options()
	more.Root, more.Tree = filepath.Join(t.TempDir(), "more"), "more"
	r.must(os.MkdirAll(more.Root, 0o755))
	for path, data := range map[string]string{"same": "two", "other": "other"} {
		r.must(os.WriteFile(filepath.Join(more.Root, path), []byte(data), 0o644))
	}
	if _, err := r.SyncWith(more); err != nil {
		t.Fatal(err)
	}
	o := r.options()
	o.Only = "tree"
	if res := r.migrate(o); !res.Done || !slices.Equal(res.Moved, []string{"tree"}) {
		t.Fatalf("%+v", res)
	}
	r.checked()
	r.expect(r.restored(nil), want)
	before := len(r.target.Archives())
	o.Only = ""
	var told migrate.Outlook
	o.Agree = func(_ context.Context, p migrate.Outlook) error { told = p; return nil }
	res := r.migrate(o)
	left := int64(len(r.Memory.Archives()) - before)
	if !res.Done || !slices.Equal(res.Moved, []string{"more"}) || res.Copied.Files != left || told.Archives != left {
		t.Errorf("%+v; told of %d archives, of %d", res, told.Archives, left)
	}
	r.checked()
	seen := map[string]bool{}
	for _, a := range r.target.Archives() {
		if a.Description != "my words" && seen[a.Tree.String()] {
			t.Errorf("twice: %+v", a)
		}
		seen[a.Tree.String()] = true
	}
}

// TestSealedMoves: the bytes stay what they are, and the identity opens them.
func TestSealedMoves(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	ids := r.Seal()
	want := r.fill()
	o := r.options()
	o.Bundling = migrate.Bundling{Below: 1 << 20, Size: 4 << 20, Spool: r.spool}
	if res := r.migrate(o); !res.Done {
		t.Fatalf("%+v", res)
	}
	r.checked()
	for _, a := range r.target.Archives() {
		if strings.Contains(a.Description, "small") || strings.Contains(a.Description, "large") {
			t.Errorf("a name in %q", a.Description)
		}
	}
	r.expect(r.restored(nil, ids), want)
}

// A counter counts parts, and stops after some.
type counter struct {
	firn.Store
	parts atomic.Int64
	stop  func(n int64)
}

func (c *counter) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	err := c.Store.UploadPart(ctx, id, offset, body, sums)
	if err == nil {
		c.stop(c.parts.Add(1))
	}
	return err
}

// TestPartsAreSentOnce: an archive of many parts goes on where it was, also where the
// source's output is gone meanwhile.
func TestPartsAreSentOnce(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "after days": 40 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
			data := strings.Repeat("0123456789abcdef", 7<<20+1)
			r.Write("large", data)
			r.Sync()
			c := &counter{Store: r.store, stop: func(int64) {}}
			o := r.options()
			o.To.Store, o.Concurrency = c, 1
			r.migrate(o)
			r.Clock.Advance(5 * time.Hour)
			ctx, cancel := context.WithCancelCause(t.Context())
			c.stop = func(n int64) {
				if n == 3 {
					cancel(errStopped)
				}
			}
			if _, err := migrate.Run(ctx, o); err == nil {
				t.Fatal("it wasn't stopped")
			}
			r.Clock.Advance(wait)
			for range 3 {
				if res := r.migrate(o); res.Done {
					break
				}
				r.Clock.Advance(6 * time.Hour)
			}
			if n := c.parts.Load(); n > 9 || len(r.target.Archives()) != 1 { // 8, and the one whose record the stop may have cut off
				t.Errorf("%d parts sent, %d archives", n, len(r.target.Archives()))
			}
			r.checked()
			r.expect(r.restored(nil), map[string]string{"large": data})
		})
	}
}

// TestRestoreThatBeganMeanwhile: a tree doesn't move away from under a restore.
func TestRestoreThatBeganMeanwhile(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{JobDelay: 5 * time.Hour})
	r.Write("a", "one")
	r.Sync()
	r.migrate(r.options())
	r.Clock.Advance(5 * time.Hour)
	o := r.options()
	o.To.Store = &stopper{Store: r.store, stop: func() {
		if open, err := r.Catalog.Restores(t.Context(), r.Row.ID, true); err == nil && len(open) == 0 {
			id, err := r.Catalog.PlanRestore(t.Context(), catalog.Restore{Store: r.Row.ID, Key: "k", Target: "/x", What: "tree", Options: "{}"})
			r.must(err)
			r.must(r.Catalog.SetRestore(t.Context(), id, catalog.RestoreGoing, ""))
		}
	}}
	res := r.migrate(o)
	if res.Done || !slices.Equal(res.Left, []string{"tree"}) {
		t.Errorf("%+v", res)
	}
	open, err := r.Catalog.Restores(t.Context(), r.Row.ID, true)
	r.must(err)
	r.must(r.Catalog.SetRestore(t.Context(), open[0].ID, catalog.RestoreDone, ""))
	if res := r.migrate(r.options()); !res.Done {
		t.Errorf("once it is done: %+v", res)
	}
}

// TestTargetIsFull: it ends with that error, and goes on when there is room.
func TestTargetIsFull(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	want := r.fill()
	r.behind(storetest.Faulty(t, r.target, storetest.Fault{Op: "UploadArchive", Nth: 3, Kind: firn.Full, Times: -1}))
	if res, err := migrate.Run(t.Context(), r.options()); firn.KindOf(err) != firn.Full || res.Done {
		t.Errorf("%+v, %v", res, err)
	}
	r.checked()
	r.behind(r.target)
	if res := r.migrate(r.options()); !res.Done {
		t.Errorf("%+v", res)
	}
	r.checked()
	r.expect(r.restored(nil), want)
}

// TestOneTargetAtATime: what is on its way to one store isn't moved to another, until
// that is given up; what was copied is there when it goes on after all.
func TestOneTargetAtATime(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	want := r.fill()
	o := r.options()
	o.MaxFiles = 4
	r.migrate(o)
	third := storetest.NewMemory(storetest.MemoryOptions{Name: "third", Clock: r.Clock})
	row, err := r.Catalog.Register(t.Context(), catalog.StoreSpec{URL: "memory:third", Kind: "memory", Identity: "third", Name: "third"})
	r.must(err)
	o.MaxFiles = 0
	elsewhere := o
	elsewhere.To = migrate.Side{Row: row, Store: third}
	if _, err := migrate.Run(t.Context(), elsewhere); firn.KindOf(err) != firn.Conflict || len(third.Archives()) != 0 {
		t.Errorf("%v, %d archives", err, len(third.Archives()))
	}
	for range 2 {
		given, err := migrate.GiveUp(t.Context(), o)
		if n := given.Totals[catalog.CopyDone].Files; err == nil && n != 4 {
			t.Errorf("%d copies", n)
		} else if err != nil && firn.KindOf(err) != firn.NotFound {
			t.Error(err)
		}
	}
	before := len(r.target.Archives())
	if res := r.migrate(o); !res.Done || res.Copied.Files != int64(len(r.Memory.Archives())-before) {
		t.Errorf("%+v, %d were there", res, before)
	}
	r.checked()
	r.expect(r.restored(nil), want)
	if _, err := migrate.Run(t.Context(), elsewhere); firn.KindOf(err) != firn.Conflict || !strings.Contains(err.Error(), "was moved to memory:target") {
		t.Errorf("after that: %v", err)
	}
	if m, _, err := r.Catalog.MovedTo(t.Context(), "memory:"); err != nil || m.URL != "memory:target" {
		t.Errorf("moved to %+v, %v", m, err)
	}
}

// TestAgreedAgain: whoever names a limit is asked of what is left, also of a migration
// that was agreed to.
func TestAgreedAgain(t *testing.T) {
	r := newRig(t, storetest.MemoryOptions{})
	r.fill()
	o := r.options()
	var told []int64
	refuse := error(nil)
	o.Agree = func(_ context.Context, p migrate.Outlook) error { told = append(told, p.Archives); return refuse }
	o.MaxFiles = 3
	r.migrate(o)
	r.migrate(o)
	o.AgreeAgain, refuse = true, errStopped
	if _, err := migrate.Run(t.Context(), o); !errors.Is(err, errStopped) {
		t.Errorf("refused, and %v", err)
	}
	n := int64(len(r.Memory.Archives()))
	if !slices.Equal(told, []int64{n, n - 6}) || len(r.target.Archives()) != 6 {
		t.Errorf("told of %v archives of %d; %d are copied", told, n, len(r.target.Archives()))
	}
}
