package catalog_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// foreignArchive is one that others stored: its id is as long as a vault's, and
// so is what mt-aws-glacier writes as its description.
func foreignArchive(i int) firn.Archive {
	h := benchFile(i, 100).Content.Tree
	id := h.String() + h.String()
	return firn.Archive{
		ID:          firn.ArchiveID(id + fmt.Sprintf("%010d", i)),
		Description: "mt2 eyJmaWxlbmFtZSI6InBob3Rvcy8yMDEyL3N1bW1lci1ob2xpZGF5cy9pbWdfMDAwMDAuanBnIiwibXRpbWUiOiIyMDEyMDUxNVQxNzIxMzlaIn0",
		Created:     epoch.Add(time.Duration(i) * time.Millisecond).Truncate(time.Millisecond),
		Size:        int64(i) + 1, Tree: h,
	}
}

// staged reads an inventory of archives that was dated at a time.
func (f *fixture) staged(tb testing.TB, dated time.Time, archives ...firn.Archive) catalog.Inventory {
	tb.Helper()
	id, err := f.BeginInventory(tb.Context(), f.run, 0)
	check(tb, err)
	for page := range slices.Chunk(archives, 3) {
		check(tb, f.Stage(tb.Context(), id, page))
	}
	inv, err := f.StagedAll(tb.Context(), id, firn.InventoryInfo{Date: dated, Archives: int64(len(archives))})
	check(tb, err)
	return inv
}

func (f *fixture) strangers(tb testing.TB, inventory int64) (all []firn.Archive) {
	tb.Helper()
	for a, err := range f.Strangers(tb.Context(), inventory) {
		check(tb, err)
		all = append(all, a)
	}
	return all
}

func (f *fixture) missing(tb testing.TB, inventory int64) (ids []firn.ArchiveID) {
	tb.Helper()
	for h, err := range f.Missing(tb.Context(), inventory) {
		check(tb, err)
		ids = append(ids, h.Remote)
	}
	return ids
}

// left counts the rows that staging has left.
func (f *fixture) left(tb testing.TB) string {
	tb.Helper()
	rows, err := f.Query(tb.Context(), "SELECT (SELECT count(*) FROM staged), (SELECT count(*) FROM by_staged), (SELECT count(*) FROM inventory WHERE state IN (1, 2, 4))")
	check(tb, err)
	return fmt.Sprint(rows[0]...)
}

// TestUnstaged: an inventory that was worked in without being staged counts as
// one that was, unless another one was begun meanwhile.
func TestUnstaged(t *testing.T) {
	f := newFixture(t)
	knows := func(want bool) {
		t.Helper()
		if known, err := f.KnowsArchives(t.Context(), f.store.ID); err != nil || known != want {
			t.Errorf("archives are known: %t, %v", known, err)
		}
	}
	knows(false)
	given := catalog.Inventory{Dated: epoch, Archives: 2, Bytes: 3}
	var err error
	given.ID, err = f.BeginInventory(t.Context(), f.run, 0)
	check(t, err)
	other, err := f.BeginInventory(t.Context(), f.run, 0)
	check(t, err)
	wantKind(t, f.EndUnstaged(t.Context(), given), firn.NotFound, "given up")
	given.ID = other
	check(t, f.EndUnstaged(t.Context(), given))
	wantKind(t, f.EndUnstaged(t.Context(), given), firn.Conflict, "read already")
	rows, err := f.Query(t.Context(), "SELECT s.inventory, i.state, i.archives, i.bytes FROM store s, inventory i WHERE i.store = s.id")
	if want := fmt.Sprint(epoch.Unix(), 3, 2, 3); err != nil || fmt.Sprint(rows[0]...) != want {
		t.Errorf("%v, %v; not %s", rows, err, want)
	}
	for _, state := range []catalog.State{catalog.Foreign, catalog.Deleted} {
		f := newFixture(t)
		f.takeIn(t, catalog.Find{Archive: foreignArchive(1), Kind: catalog.ForeignArchive})
		check(t, f.Exec(t.Context(), "UPDATE archive SET state = ?", state))
		if known, err := f.KnowsArchives(t.Context(), f.store.ID); err != nil || !known {
			t.Errorf("in state %d: %t, %v", state, known, err)
		}
	}
	f.upload(t, f.run, regular("a", "a"))
	knows(true)
}

// TestStrangers: what the catalog knows in any state is none, and all else comes
// back as it was listed, in that order.
func TestStrangers(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 3) // several pages, and both halves of the index
	var known []firn.Archive
	for i := range 7 {
		id := f.upload(t, f.run, regular(fmt.Sprint(i), fmt.Sprint("content ", i)))
		known = append(known, firn.Archive{ID: id, Size: 9, Created: epoch})
	}
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, known[0].ID)
	check(t, err)
	check(t, f.MarkDeleted(t.Context(), f.run, loc.Archive))
	buried := firn.Archive{ID: "buried", Size: 1}
	check(t, f.Bury(t.Context(), f.run, buried))

	strangers := []firn.Archive{foreignArchive(1), foreignArchive(2), {ID: "no hash", Description: "\x00\xff\n", Created: epoch.Truncate(time.Microsecond)},
		{ID: "no time, no name", Size: math.MaxInt64, Created: time.Time{}.UTC()}, foreignArchive(3)}
	list := append(slices.Concat(known[:3], strangers, known[3:]), buried)
	inv := f.staged(t, epoch, list...)
	if diff := gocmp.Diff(strangers, f.strangers(t, inv.ID)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want := catalog.Inventory{ID: inv.ID, Store: f.store.ID, Dated: epoch.Truncate(time.Second), Archives: 13, Bytes: math.MaxInt64}
	if diff := gocmp.Diff(want, inv); diff != "" {
		t.Error(diff)
	}
	for range f.Strangers(t.Context(), inv.ID) {
		break // wants no more
	}
	check(t, f.EndInventory(t.Context(), inv.ID))
	check(t, f.EndInventory(t.Context(), inv.ID))
	if got := f.left(t); got != "0 0 0" {
		t.Errorf("left: %s", got)
	}
	if rows, err := f.Query(t.Context(), "SELECT inventory FROM store"); err != nil || rows[0][0] != epoch.Unix() {
		t.Errorf("the newest inventory is of %v, %v", rows, err)
	}
}

// TestStrangersOfAnotherStore: what one store has says nothing about another,
// though the ids be the same.
func TestStrangersOfAnotherStore(t *testing.T) {
	f := newFixture(t)
	id := f.upload(t, f.run, regular("a", "content"))
	other, err := f.Register(t.Context(), catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	ours := f.staged(t, epoch, firn.Archive{ID: id})
	run, err := f.BeginRun(t.Context(), other.ID, 0, "adopt")
	check(t, err)
	f.store, f.run = other, run
	theirs := f.staged(t, epoch, firn.Archive{ID: id})
	if got := f.strangers(t, theirs.ID); len(got) != 1 {
		t.Errorf("of the other store: %v", got)
	}
	if got := f.strangers(t, ours.ID); len(got) != 0 {
		t.Errorf("of the store itself: %v", got)
	}
	if missing := f.missing(t, theirs.ID); len(missing) != 0 {
		t.Errorf("missing in the other store: %v", missing)
	}
}

// TestHostileInventory: an id that is listed twice counts once, as it was listed
// first; one that is empty not at all; a size that can't be is none.
func TestHostileInventory(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 2, 3)
	list := []firn.Archive{{ID: "a", Description: "first", Size: 5}, {Size: 7}, {ID: "a", Description: "second", Size: 6}, {ID: "b", Size: -3}}
	for range 5 {
		list = append(list, firn.Archive{ID: "a", Size: 8}, firn.Archive{ID: "A", Size: 2})
	}
	inv := f.staged(t, epoch, list...)
	if inv.Archives != 3 || inv.Twice != 10 || inv.Nameless != 1 || inv.Bytes != 5+2 {
		t.Errorf("%+v", inv)
	}
	var got []string
	for _, a := range f.strangers(t, inv.ID) {
		got = append(got, fmt.Sprint(a.ID, a.Description, a.Size))
	}
	if want := []string{"afirst5", "b0", "A2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	check(t, f.EndInventory(t.Context(), inv.ID))
	if got := f.left(t); got != "0 0 0" {
		t.Errorf("left: %s", got)
	}
}

// TestInventoryOfOneHash: ids are told apart by all of their bytes, also where
// their hashes are the same.
func TestInventoryOfOneHash(t *testing.T) {
	f := newFixture(t)
	known := f.upload(t, f.run, regular("a", "content"))
	absent := f.upload(t, f.run, regular("b", "other content"))
	id, err := f.BeginInventory(t.Context(), f.run, 0)
	check(t, err)
	list := []firn.Archive{{ID: "x"}, {ID: known}, {ID: "y"}, {ID: "x"}}
	check(t, f.Stage(t.Context(), id, list))
	check(t, f.Exec(t.Context(), "UPDATE staged SET h64 = 1"))
	check(t, f.Exec(t.Context(), "UPDATE by_remote_new SET h64 = 1"))
	inv, err := f.StagedAll(t.Context(), id, firn.InventoryInfo{Date: epoch.AddDate(0, 0, 9), Archives: 4})
	check(t, err)
	if got := f.strangers(t, id); inv.Twice != 1 || len(got) != 2 || got[0].ID != "x" || got[1].ID != "y" {
		t.Errorf("%+v: %v", inv, got)
	}
	// The row of x now has the hash of what is absent.
	for _, remote := range []firn.ArchiveID{known, absent} {
		check(t, f.Exec(t.Context(), "UPDATE by_staged SET h64 = ? WHERE staged IN (SELECT id FROM staged WHERE remote = ?)",
			catalog.Remote64(remote), map[bool]string{true: string(known), false: "x"}[remote == known]))
	}
	if got := f.missing(t, id); !slices.Equal(got, []firn.ArchiveID{absent}) {
		t.Errorf("missing %v, want %v", got, absent)
	}
}

// TestMissing: only what is surely older than the inventory is missing in it.
func TestMissing(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 3)
	dated := epoch.AddDate(0, 1, 0)
	stored := func(name string, created time.Time, run catalog.Run) firn.ArchiveID {
		in := f.intend(t, run, regular(name, name))
		id := firn.ArchiveID("archive of " + name)
		check(t, f.Stored(t.Context(), in.ID, firn.Archive{ID: id, Size: int64(len(name)), Tree: content(name).Tree, Created: created}, run, nil))
		return id
	}
	old := stored("old", dated.AddDate(0, 0, -3), f.run)
	listed := stored("listed", dated.AddDate(0, 0, -3), f.run)
	stored("young", dated.AddDate(0, 0, -1), f.run)
	deleted := stored("deleted", dated.AddDate(0, 0, -3), f.run)
	loc, _, err := f.ArchiveByRemote(t.Context(), f.store.ID, deleted)
	check(t, err)
	check(t, f.MarkDeleted(t.Context(), f.run, loc.Archive))
	stored("of a run that goes on, at a time not known", time.Time{}, f.run)
	other, err := f.BeginRun(t.Context(), f.store.ID, 0, "archive upload")
	check(t, err)
	ended := stored("of a run that ended, at a time not known", time.Time{}, other)
	f.clock.Advance(time.Hour)
	check(t, f.EndRun(t.Context(), other, catalog.Outcome{Complete: true}))

	inv := f.staged(t, dated, firn.Archive{ID: listed}, firn.Archive{ID: "stranger"})
	if got, want := f.missing(t, inv.ID), []firn.ArchiveID{old, ended}; !slices.Equal(got, want) {
		t.Errorf("missing %q, want %q", got, want)
	}
	for h, err := range f.Missing(t.Context(), inv.ID) {
		check(t, err)
		if h.Remote != old || h.Size != 3 || h.TreeHash != content("old").Tree || h.Tree != "photos" || h.Kind != catalog.FileArchive || !h.Created.Equal(dated.AddDate(0, 0, -3)) {
			t.Errorf("%+v", h)
		}
		check(t, f.MarkLost(t.Context(), f.run, []int64{h.ID}))
		break
	}
	if got := f.missing(t, inv.ID); !slices.Equal(got, []firn.ArchiveID{ended}) {
		t.Errorf("missing %q after one is known to be lost", got)
	}
}

// TestTakenInMeanwhile: the consumer of strangers records each page before it
// asks for the next.
func TestTakenInMeanwhile(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(3, 4, 2)
	var list []firn.Archive
	for i := range 20 {
		list = append(list, foreignArchive(i))
	}
	inv := f.staged(t, epoch, list...)
	var got []firn.Archive
	for a, err := range f.Strangers(t.Context(), inv.ID) {
		check(t, err)
		got = append(got, a)
		check(t, f.Bury(t.Context(), f.run, a))
	}
	if diff := gocmp.Diff(list, got); diff != "" {
		t.Error(diff)
	}
	if again := f.strangers(t, inv.ID); len(again) != 0 {
		t.Errorf("%d are strangers still", len(again))
	}
}

// TestInventoryCutShort: whatever an earlier reading left, the next one begins
// with nothing, and what is read whole can be gone on with.
func TestInventoryCutShort(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 2, 2)
	list := []firn.Archive{foreignArchive(0), foreignArchive(1), foreignArchive(2), foreignArchive(3), foreignArchive(4)}
	pending := func() (catalog.Inventory, bool) {
		inv, ok, err := f.StagedInventory(t.Context(), f.run)
		check(t, err)
		return inv, ok
	}
	half, err := f.BeginInventory(t.Context(), f.run, 7)
	check(t, err)
	check(t, f.Stage(t.Context(), half, list[:3]))
	if _, ok := pending(); ok {
		t.Error("an inventory that is half read is ready")
	}
	whole := f.staged(t, epoch, list...)
	if got := f.left(t); got != "5 5 1" {
		t.Errorf("left: %s", got)
	}
	if inv, ok := pending(); !ok || inv != whole {
		t.Errorf("pending %+v, %t; want %+v", inv, ok, whole)
	}
	if got := f.strangers(t, whole.ID); !slices.Equal(got, list) {
		t.Errorf("%v", got)
	}
	// A process that was killed in the middle of the end.
	check(t, f.Exec(t.Context(), "UPDATE inventory SET state = 3 WHERE id = ?", whole.ID))
	check(t, f.Exec(t.Context(), "DELETE FROM by_staged WHERE staged % 2"))
	last := f.staged(t, epoch.Add(time.Hour), list[0])
	if got := f.left(t); got != "1 1 1" {
		t.Errorf("left: %s", got)
	}
	check(t, f.EndInventory(t.Context(), last.ID))
	if got := f.left(t); got != "0 0 0" {
		t.Errorf("left: %s", got)
	}
}

// TestTwoReadings: of two that read one store's inventory the first is told,
// before what it finds missing is nothing but what the other deleted.
func TestTwoReadings(t *testing.T) {
	f := newFixture(t)
	id := f.upload(t, f.run, regular("a", "content"))
	first := f.staged(t, epoch.AddDate(1, 0, 0), firn.Archive{ID: id})
	unread, err := f.BeginInventory(t.Context(), f.run, 0)
	check(t, err)
	if got := f.left(t); got != "0 0 1" {
		t.Errorf("left: %s", got)
	}
	calls := func(inventory int64) map[string]error {
		errs := map[string]error{"end": f.EndInventory(t.Context(), inventory)}
		for _, errs["strangers"] = range f.Strangers(t.Context(), inventory) {
		}
		for _, errs["missing"] = range f.Missing(t.Context(), inventory) {
		}
		return errs
	}
	for name, err := range calls(first.ID) {
		wantKind(t, err, firn.NotFound, "given up")
		t.Log(name, err)
	}
	for _, err := range calls(unread) {
		wantKind(t, err, firn.Conflict, "not all of it was read")
	}
	check(t, f.Exec(t.Context(), "UPDATE inventory SET state = 4 WHERE id = ?", unread))
	for _, err := range calls(unread) {
		wantKind(t, err, firn.Conflict, "another program")
	}
	wantKind(t, f.Stage(t.Context(), unread, []firn.Archive{{ID: "x"}}), firn.Conflict, "another program")
	if _, err := f.StagedAll(t.Context(), first.ID, firn.InventoryInfo{}); firn.KindOf(err) != firn.NotFound {
		t.Errorf("sorted: %v", err)
	}
	again := f.staged(t, epoch)
	wantKind(t, f.Stage(t.Context(), again.ID, []firn.Archive{{ID: "x"}}), firn.Conflict, "read already")
}

// TestInventoryNotWhole: one of which some was not read shows what is missing
// where nothing is.
func TestInventoryNotWhole(t *testing.T) {
	f := newFixture(t)
	id, err := f.BeginInventory(t.Context(), f.run, 0)
	check(t, err)
	check(t, f.Stage(t.Context(), id, nil))
	check(t, f.Stage(t.Context(), id, []firn.Archive{{ID: "x"}}))
	_, err = f.StagedAll(t.Context(), id, firn.InventoryInfo{Archives: 2})
	wantKind(t, err, firn.Invalid, "2 archives, of which 1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range f.Strangers(ctx, id) {
		if err != context.Canceled {
			t.Errorf("after the end of the context: %v", err)
		}
	}
}

// BenchmarkStage reads an inventory of foreign archives, sorts it, compares it
// with as many others, and empties it. FIRN_BENCH_FILES=1000000 for a million.
func BenchmarkStage(b *testing.B) {
	const page = 5000
	n := benchRows(b)
	for _, known := range []string{"nothing", "all"} {
		b.Run("known="+known, func(b *testing.B) {
			f := newFixture(b)
			if known == "all" {
				f.buryAll(b, n)
			}
			archives := make([]firn.Archive, 0, page)
			steps := map[string]time.Duration{}
			step := func(name string, work func()) {
				start := time.Now()
				work()
				steps[name] += time.Since(start)
			}
			b.ReportAllocs()
			for b.Loop() {
				id, err := f.BeginInventory(b.Context(), f.run, 0)
				check(b, err)
				for i := range n {
					if archives = append(archives, foreignArchive(i)); len(archives) == page || i == n-1 {
						step("stage", func() { check(b, f.Stage(b.Context(), id, archives)) })
						archives = archives[:0]
					}
				}
				step("sort", func() {
					_, err = f.StagedAll(b.Context(), id, firn.InventoryInfo{Date: epoch, Archives: int64(n)})
					check(b, err)
				})
				got := 0
				step("strangers", func() {
					for _, err := range f.Strangers(b.Context(), id) {
						check(b, err)
						got++
					}
				})
				if (got == 0) != (known == "all") {
					b.Fatalf("%d strangers", got)
				}
				step("missing", func() { f.missing(b, id) })
				step("end", func() { check(b, f.EndInventory(b.Context(), id)) })
			}
			for name, d := range steps {
				b.ReportMetric(float64(n)*float64(b.N)/d.Seconds(), name+"/s")
			}
			perSecond(b, n, "archives")
		})
	}
}

// buryAll makes the catalog know n foreign archives.
func (f *fixture) buryAll(b *testing.B, n int) {
	b.Helper()
	for first := 0; first < n; first += 1000 {
		var values strings.Builder
		for i := first; i < min(n, first+1000); i++ {
			a := foreignArchive(i)
			fmt.Fprintf(&values, ", (%d, 'foreign', 11, 0, %d, '%s', %d, x'%s', %d)", f.store.ID, f.run.ID, a.ID, a.Size, a.Tree, a.Created.Unix())
		}
		check(b, f.Exec(b.Context(), "INSERT INTO archive (store, kind, state, run, settled, remote, size, tree, created) VALUES "+values.String()[2:]))
	}
	rows, err := f.Query(b.Context(), "SELECT id, remote FROM archive")
	check(b, err)
	for _, row := range rows {
		row[0], row[1] = catalog.Remote64(firn.ArchiveID(row[1].(string))), row[0]
	}
	slices.SortFunc(rows, func(a, b []any) int { return cmp.Compare(a[0].(int64), b[0].(int64)) })
	for page := range slices.Chunk(rows, 5000) {
		var values strings.Builder
		for _, row := range page {
			fmt.Fprintf(&values, ", (%d, %d)", row...)
		}
		check(b, f.Exec(b.Context(), "INSERT INTO by_remote (h64, archive) VALUES "+values.String()[2:]))
	}
}
