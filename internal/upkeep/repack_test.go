package upkeep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/guard"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/syncer"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/worktest"
	"github.com/firn-archive/firn/treehash"
)

// A repackBench is a bench whose trees have bundles with dead space.
type repackBench struct {
	*worktest.Bench
	trees map[string]string // directories by name
	ids   *seal.Identities  // nil: nothing is sealed
	// break: Send fails after it has sent.
	breaks bool
}

// sparseBench has a bundle of five files, of which "a", its hard link "same" and "z" are
// needed, and two others that are gone or newer in another bundle.
func sparseBench(t *testing.T, o storetest.MemoryOptions, sealed bool) *repackBench {
	t.Helper()
	b := &repackBench{Bench: worktest.New(t, o)}
	b.trees = map[string]string{"tree": b.Root}
	b.Bundle(1<<20, 64<<20)
	if sealed {
		b.ids = b.Seal()
	}
	b.Write("a", "is needed")
	b.link("a", "same")
	b.Write("m/changes", strings.Repeat("is replaced ", 50))
	b.Write("m/gone", strings.Repeat("is removed ", 50))
	b.Write("z", "is needed as well")
	b.Sync()
	b.Clock.Advance(24 * time.Hour)
	b.Write("m/changes", "second")
	remove(b.Bench, "m/gone")
	b.Sync()
	return b
}

func (b *repackBench) link(from, to string) {
	b.T.Helper()
	if err := os.Link(filepath.Join(b.Root, from), filepath.Join(b.Root, to)); err != nil {
		b.T.Fatal(err)
	}
}

// other syncs another tree, of these files.
func (b *repackBench) other(name string, files map[string]string) {
	b.T.Helper()
	o := b.Options()
	o.Root, o.Tree = b.T.TempDir(), name
	b.trees[name] = o.Root
	for path, content := range files {
		if err := os.WriteFile(filepath.Join(o.Root, path), []byte(content), 0o600); err != nil {
			b.T.Fatal(err)
		}
	}
	if _, err := b.SyncWith(o); err != nil {
		b.T.Fatal(err)
	}
}

// options let all versions go that are not the last, and repack.
func (b *repackBench) options() upkeep.PruneOptions {
	b.T.Helper()
	o := pruneOptions(b.Bench, plan.Keep{Last: 1, RemovedOlderThan: &plan.Span{}})
	o.Prices = price.Local()
	trees, err := b.Catalog.Trees(b.T.Context(), b.Row.ID)
	if err != nil {
		b.T.Fatal(err)
	}
	o.Trees = trees
	o.Repack = &upkeep.RepackOptions{Send: b.send, Trees: trees}
	return o
}

// errBroken is that of a Send that breaks.
var errBroken = errors.New("broken off")

func (b *repackBench) send(ctx context.Context, t catalog.Tree, files []catalog.Resident, old func(int64) bool) (upkeep.Resent, error) {
	o := b.Options()
	o.Root, o.Tree = b.trees[t.Name], t.Name
	res, err := syncer.Repack(ctx, syncer.RepackOptions{Options: o, Files: files, Old: old})
	if err == nil && b.breaks {
		return upkeep.Resent{}, errBroken
	}
	return upkeep.Resent(res), err
}

// contents gives what the store has of all versions that there are, as it says
// now, and what the catalog says of them.
func (b *repackBench) contents() map[string]string {
	b.T.Helper()
	all := map[string]string{}
	trees, err := b.Catalog.Trees(b.T.Context(), b.Row.ID)
	if err != nil {
		b.T.Fatal(err)
	}
	for _, t := range trees {
		for e, err := range b.Catalog.Files(b.T.Context(), catalog.ListQuery{Tree: t.ID, All: true}) {
			if err != nil {
				b.T.Fatal(err)
			}
			key := fmt.Sprintf("%s:%s of %d until %d, %v %o %d", t.Name, e.Path, e.Run, e.Until, e.Stamp.ModTime, e.Mode, e.LinkGroup)
			if all[key] = ""; e.Location.Archive != 0 {
				all[key] = string(b.content(&e))
			}
		}
	}
	return all
}

// content is what the store has of a version.
func (b *repackBench) content(e *catalog.Entry) []byte {
	b.T.Helper()
	data := b.Memory.Content(e.Location.Remote)
	at := firn.Range{Start: e.Location.Offset, End: e.Location.Offset + e.Content.Size}
	header, _, err := b.Catalog.Header(b.T.Context(), e.Location.Archive)
	if err != nil || data == nil {
		b.T.Fatalf("%s is in no archive: %v", e.Path, err)
	}
	if header == nil {
		return data[at.Start:at.End]
	}
	opener, err := b.ids.Open(header, int64(len(data)))
	if err != nil {
		b.T.Fatal(err)
	}
	sealed := opener.SealedRange(at)
	plain, err := io.ReadAll(opener.Reader(bytes.NewReader(data[sealed.Start:sealed.End]), at))
	if err != nil || treehash.Sum(plain) != e.Content.Tree {
		b.T.Fatalf("%s: %v", e.Path, err)
	}
	return plain
}

// left forgets what the rules let go, so that what is left can be compared, and
// gives that.
func (b *repackBench) left() map[string]string {
	b.T.Helper()
	o := b.options()
	o.Repack = nil
	if _, err := pruneOnce(b.Bench, o); err != nil {
		b.T.Fatal(err)
	}
	return b.contents()
}

// wantLeft checks that all versions are what they were, that the catalog is whole,
// and that nothing lies about.
func (b *repackBench) wantLeft(want map[string]string) {
	b.T.Helper()
	if diff := cmp.Diff(want, b.contents()); diff != "" {
		b.T.Errorf("versions have changed (-want +got):\n%s", diff)
	}
	_, err := b.Catalog.Check(b.T.Context(), func(f catalog.Fault) error { b.T.Errorf("%+v", f); return nil })
	if err != nil {
		b.T.Error(err)
	}
	err = filepath.WalkDir(b.Bundling.Spool, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b.T.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.T.Error(err)
	}
}

// wantArchives checks how many archives the store has.
func (b *repackBench) wantArchives(n int) {
	b.T.Helper()
	if got := len(b.Memory.Archives()); got != n {
		b.T.Errorf("%d archives are stored, want %d", got, n)
	}
}

// TestRepack: what is needed of a bundle is sent again from disk, and the bundle
// goes; all versions stay what they were.
func TestRepack(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprint("sealed ", sealed), func(t *testing.T) {
			b := sparseBench(t, storetest.MemoryOptions{}, sealed)
			want := b.left()
			b.wantArchives(2)
			o := b.options()
			seen, err := upkeep.Foresee(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			b.wantArchives(2)
			res, err := pruneOnce(b.Bench, o)
			if err != nil || res.Pending() || res.Failed() {
				t.Fatalf("%+v, %v", res, err)
			}
			done := res.Repack
			if done.Bundles.Files != 1 || done.Live != (firn.Count{Files: 2, Bytes: 9 + 17}) || done.Sent != done.Live || done.Dead != 50*12+50*11 || done.Versions != 3 || done.Kept != (upkeep.KeptBundles{}) {
				t.Errorf("%+v", done)
			}
			done.Sent, done.Versions = firn.Count{}, 0
			if diff := cmp.Diff(seen.Repack, done); diff != "" {
				t.Errorf("foreseen and done (-foreseen +done):\n%s", diff)
			}
			if res.Deleted.Files != 1 || res.Dead != (upkeep.DeadSpace{}) {
				t.Errorf("%+v", res)
			}
			b.wantArchives(2)
			b.wantLeft(want)
			b.Counts(b.Sync().Counts, map[firn.Action]int64{firn.Unchanged: 4})
			if res, err = pruneOnce(b.Bench, b.options()); err != nil || res.Repack.Bundles.Files != 0 || res.Deleted.Files != 0 {
				t.Errorf("once more: %+v, %v", res, err)
			}
		})
	}
}

// TestRepackPrunesFirst: one call forgets, repacks and deletes.
func TestRepackPrunesFirst(t *testing.T) {
	b := sparseBench(t, storetest.MemoryOptions{}, false)
	seen, err := upkeep.Foresee(t.Context(), b.options())
	if err != nil || seen.Versions.Files == 0 || seen.Repack.Bundles.Files != 1 {
		t.Fatalf("%+v, %v", seen, err)
	}
	res, err := pruneOnce(b.Bench, b.options())
	if err != nil || res.Versions != seen.Versions || res.Repack.Bundles.Files != 1 || res.Deleted.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantLeft(b.left())
}

// TestBundlesThatStay: what isn't on disk, what old versions need, and what is of
// others keeps a bundle.
func TestBundlesThatStay(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*repackBench, *upkeep.PruneOptions)
		want    upkeep.KeptBundles
	}{
		{"a file is gone", func(b *repackBench, _ *upkeep.PruneOptions) { remove(b.Bench, "z") }, upkeep.KeptBundles{Gone: 1}},
		{"a file has changed", func(b *repackBench, _ *upkeep.PruneOptions) { b.Write("z", "is another") }, upkeep.KeptBundles{Gone: 1}},
		{"no disk", func(b *repackBench, _ *upkeep.PruneOptions) { must(b.T, os.Rename(b.Root, b.Root+".away")) }, upkeep.KeptBundles{Gone: 1}},
		{"an old version", func(b *repackBench, _ *upkeep.PruneOptions) { b.Write("z", "is newer"); b.Sync() }, upkeep.KeptBundles{Old: 1}},
		{"the tree is busy", func(_ *repackBench, o *upkeep.PruneOptions) { o.Repack.Trees = nil }, upkeep.KeptBundles{Away: 1}},
		{"another machine has it as well", func(b *repackBench, _ *upkeep.PruneOptions) { b.other("other", map[string]string{"x": "is needed"}) }, upkeep.KeptBundles{Away: 1}},
		{"other recipients", func(b *repackBench, o *upkeep.PruneOptions) { b.ids = b.Seal(); b.Sync(); *o = b.options() }, upkeep.KeptBundles{Sealed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := sparseBench(t, storetest.MemoryOptions{}, false)
			b.left()
			o := b.options()
			tt.prepare(b, &o)
			if tt.want.Old > 0 {
				o.Keep = plan.Keep{Last: 2}
			}
			want := b.contents()
			stored := len(b.Memory.Archives())
			res, err := pruneOnce(b.Bench, o)
			if err != nil || res.Repack.Kept != tt.want || res.Repack.Bundles.Files != 0 || res.Repack.Sent.Files != 0 || res.Deleted.Files != 0 {
				t.Errorf("%+v, %v", res, err)
			}
			b.wantArchives(stored)
			b.wantLeft(want)
		})
	}
}

// TestRepackReadsWhatItPacks: a file that looks as it did, and isn't what it was,
// stays where it is stored, and so does its bundle.
func TestRepackReadsWhatItPacks(t *testing.T) {
	b := sparseBench(t, storetest.MemoryOptions{}, false)
	want := b.left()
	b.Write("z", "IS NEEDED AS WELL") // of the same size and time
	res, err := pruneOnce(b.Bench, b.options())
	if err != nil || res.Repack.Changed != 1 || res.Repack.Sent.Files != 1 || res.Repack.Versions != 2 || res.Deleted.Files != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantArchives(3)
	b.wantLeft(want)
	if res.Dead.Bundles.Files != 1 {
		t.Errorf("dead: %+v", res.Dead)
	}
	// Once it is what it was, the rest follows.
	b.Write("z", "is needed as well")
	if res, err = pruneOnce(b.Bench, b.options()); err != nil || res.Repack.Sent.Files != 1 || res.Deleted.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantLeft(want)
}

// TestRepackOfTwins: two trees have what is needed; one of them has to be there.
func TestRepackOfTwins(t *testing.T) {
	b := sparseBench(t, storetest.MemoryOptions{}, false)
	b.other("twin", map[string]string{"x": "is needed", "y": "is only here"})
	want := b.left()
	must(t, os.RemoveAll(filepath.Join(b.Root, "a")))
	must(t, os.RemoveAll(filepath.Join(b.Root, "same")))
	res, err := pruneOnce(b.Bench, b.options())
	if err != nil || res.Repack.Sent.Files != 2 || res.Repack.Versions != 4 || res.Deleted.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantLeft(want)
}

// TestRepackTellsAllNames: the bundle alone, without a catalog, has the names of all
// files with its contents.
func TestRepackTellsAllNames(t *testing.T) {
	b := sparseBench(t, storetest.MemoryOptions{}, false)
	if _, err := pruneOnce(b.Bench, b.options()); err != nil {
		t.Fatal(err)
	}
	all := b.Memory.Archives()
	data := b.Memory.Content(all[len(all)-1].ID)
	footer, err := bundle.ParseFooter(data[len(data)-bundle.FooterSize:], int64(len(data)))
	must(t, err)
	info, members, err := bundle.ReadIndex(bytes.NewReader(data[footer.Offset:footer.Offset+footer.Size]), footer)
	must(t, err)
	var names []string
	for m, err := range members {
		must(t, err)
		names = append(names, m.File.Path)
	}
	if fmt.Sprint(names) != "[a same z]" || info.Tree != "tree" {
		t.Errorf("it has %q of %q", names, info.Tree)
	}
}

// TestRepackOfLargeFiles: those are read while they are written.
func TestRepackOfLargeFiles(t *testing.T) {
	b := &repackBench{Bench: worktest.New(t, storetest.MemoryOptions{})}
	b.trees = map[string]string{"tree": b.Root}
	b.Bundle(8<<20, 64<<20)
	large := strings.Repeat("large and needed ", 100_000)
	for _, name := range []string{"a", "b", "c"} {
		b.Write(name, name+large)
	}
	b.Write("d", strings.Repeat("more than all of these ", 300_000))
	b.Sync()
	b.Clock.Advance(time.Hour)
	b.Write("d", "small")
	b.Sync()
	want := b.left()
	b.Write("b", "B"+large)
	res, err := pruneOnce(b.Bench, b.options())
	if err != nil || res.Repack.Sent.Files != 2 || res.Repack.Changed != 1 || res.Repack.Versions != 2 || res.Deleted.Files != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantLeft(want)
	b.Write("b", "b"+large)
	if res, err = pruneOnce(b.Bench, b.options()); err != nil || res.Repack.Sent.Files != 1 || res.Deleted.Files != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantLeft(want)
}

// TestRepackAfterLostAnswers: a bundle that arrived isn't sent twice.
func TestRepackAfterLostAnswers(t *testing.T) {
	for _, late := range []bool{true, false} {
		b := sparseBench(t, storetest.MemoryOptions{}, false)
		want := b.left()
		b.Store = guard.Retry(storetest.Faulty(t, b.Memory, storetest.Fault{Op: "UploadArchive", Kind: firn.Lost, Late: late}),
			guard.RetryOptions{Clock: b.Clock, Outage: time.Hour})
		res, err := pruneOnce(b.Bench, b.options())
		if err != nil || res.Repack.Sent.Files != 2 || res.Repack.Pending+res.Repack.Failed != 0 || res.Deleted.Files != 1 {
			t.Errorf("late %v: %+v, %v", late, res, err)
		}
		b.wantArchives(2)
		b.wantLeft(want)
	}
}

// TestRepackInBatches: many bundles, few contents at a time, and one content in
// two of them.
func TestRepackInBatches(t *testing.T) {
	b := &repackBench{Bench: worktest.New(t, storetest.MemoryOptions{})}
	b.trees = map[string]string{"tree": b.Root}
	b.Bundle(1<<20, 8<<10)
	for i := range 40 {
		b.Write(fmt.Sprintf("f%02d", i), strings.Repeat(fmt.Sprint(i, " "), 300))
	}
	b.Sync()
	before := len(b.Memory.Archives())
	for i := range 40 {
		if i%4 != 0 {
			remove(b.Bench, fmt.Sprintf("f%02d", i))
		}
	}
	o := b.Options()
	o.ExpectChanges = true
	_, err := b.SyncWith(o)
	must(t, err)
	b.Clock.Advance(time.Hour)
	want := b.left()
	po := b.options()
	upkeep.SetRepackBatch(po.Repack, 3)
	res, err := pruneOnce(b.Bench, po)
	if err != nil || res.Repack.Bundles.Files < 5 || res.Deleted.Files != res.Repack.Bundles.Files || res.Repack.Versions != res.Repack.Live.Files {
		t.Errorf("of %d: %+v, %v", before, res, err)
	}
	b.wantLeft(want)
}

// TestRepackWaitsForItsFeeFreeDay: a young bundle is repacked where that pays, and
// goes when it is free of fees.
func TestRepackWaitsForItsFeeFreeDay(t *testing.T) {
	b := sparseBench(t, storetest.MemoryOptions{MinDuration: quarter}, false)
	want := b.left()
	res, err := pruneOnce(b.Bench, b.options())
	if err != nil || res.Repack.Bundles.Files != 1 || res.Deleted.Files != 0 || res.Waiting.Files != 1 || !res.Pending() {
		t.Errorf("%+v, %v", res, err)
	}
	b.wantLeft(want)
	if res, err = pruneOnce(b.Bench, b.options()); err != nil || res.Repack.Bundles.Files != 0 || res.Waiting.Files != 1 {
		t.Errorf("once more: %+v, %v", res, err)
	}
	b.Clock.Advance(quarter)
	if res := finish(b.Bench); res.Deleted.Files != 1 || res.Pending() {
		t.Errorf("%+v", res)
	}
	b.wantLeft(want)
}

// TestRepackIsCutShortAnywhere: nothing is lost whenever it is killed, and the next
// call ends it.
func TestRepackIsCutShortAnywhere(t *testing.T) {
	for n := range 12 {
		for _, after := range []bool{false, true} {
			if testing.Short() && after {
				continue
			}
			t.Run(fmt.Sprint(n, after), func(t *testing.T) {
				b := sparseBench(t, storetest.MemoryOptions{}, n%2 == 0)
				b.other("twin", map[string]string{"x": "is needed", "y": "is only here"})
				want := b.left()
				whole := b.Store
				b.Store = &fragile{Store: whole, steps: n, after: after}
				_, err := pruneOnce(b.Bench, b.options())
				if err != nil && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				b.Store = whole
				b.contents()
				if n%3 == 0 {
					finish(b.Bench) // a round of resume comes first
					b.contents()
				}
				for range 2 { // what is in doubt shows in the second
					_, err = pruneOnce(b.Bench, b.options())
					must(t, err)
				}
				b.wantArchives(3)
				b.wantLeft(want)
			})
		}
	}
}

// TestKilledBeforeTheMove: what was sent and nothing refers to is found by the
// next repacking, or else let go.
func TestKilledBeforeTheMove(t *testing.T) {
	for _, again := range []bool{true, false} {
		b := sparseBench(t, storetest.MemoryOptions{MinDuration: quarter}, false)
		want := b.left()
		b.breaks = true
		if _, err := pruneOnce(b.Bench, b.options()); !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		b.breaks = false
		b.wantArchives(3)
		if !again {
			finish(b.Bench)
			b.Clock.Advance(quarter)
			if res := finish(b.Bench); res.Deleted.Files != 1 {
				t.Errorf("%+v", res)
			}
			b.wantArchives(2)
		} else {
			finish(b.Bench) // queues it, and the repacking takes it off again
			res, err := pruneOnce(b.Bench, b.options())
			if err != nil || res.Repack.Sent.Files != 0 || res.Repack.Versions != 3 {
				t.Errorf("%+v, %v", res, err)
			}
			b.wantArchives(3)
		}
		b.wantLeft(want)
	}
}

// TestRepackIsInSnapshots: the one that is made before a bundle goes adds to none,
// since those have the versions in it.
func TestRepackIsInSnapshots(t *testing.T) {
	b := sparseBench(t, storetest.MemoryOptions{}, false)
	b.left()
	var made []firn.SnapshotEvent
	maker := func() *snapshot.Maker {
		so := b.SnapshotOptions()
		so.Events = func(e firn.Event) {
			if s, ok := e.(firn.SnapshotEvent); ok {
				made = append(made, s)
			}
		}
		return snapshot.NewMaker(so)
	}
	run, err := b.Catalog.BeginRun(t.Context(), b.Row.ID, 0, "test")
	must(t, err)
	must(t, maker().Make(t.Context(), run))
	b.Write("new", "content")
	b.Sync()
	must(t, maker().Make(t.Context(), run))
	o := b.options()
	o.Snapshots = maker()
	if _, err := pruneOnce(b.Bench, o); err != nil {
		t.Fatal(err)
	}
	if len(made) != 3 || made[1].Base == 0 || made[2].Base != 0 {
		t.Errorf("%+v", made)
	}
}

func (f *fragile) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (id firn.ArchiveID, err error) {
	return id, f.step("upload", func() error { id, err = f.Store.UploadArchive(ctx, description, body, sums); return err })
}
