package catalog_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// hostile is text that names of files may have, and that SQL, terminals and
// UTF-8 have trouble with.
const hostile = "a\x00b\xff\xfe'\";--\n\x1b[2J\u202e%s"

// plan begins a restore that has a key.
func (f *fixture) plan(tb testing.TB, key string) int64 {
	tb.Helper()
	id, err := f.PlanRestore(tb.Context(), catalog.Restore{Store: f.store.ID, Key: key, Target: "/to", What: "all", Options: "{}"})
	check(tb, err)
	return id
}

// rowsOf counts the rows that any table has of a restore.
func (f *fixture) rowsOf(tb testing.TB, restore int64) (n int64) {
	tb.Helper()
	rows, err := f.Query(tb.Context(), `SELECT (SELECT count(*) FROM restore WHERE id = ?1) + (SELECT count(*) FROM restore_range WHERE restore = ?1)
		+ (SELECT count(*) FROM restore_total WHERE restore = ?1) + (SELECT count(*) FROM restore_file WHERE restore = ?1) + (SELECT count(*) FROM piece WHERE restore = ?1)`, restore)
	check(tb, err)
	return rows[0][0].(int64)
}

// archive stores an archive of a file of so many MiB that was made at a time.
func (f *fixture) archive(tb testing.TB, mib int64, created time.Time) int64 {
	tb.Helper()
	name := fmt.Sprint("file ", firn.NewToken())
	ch := regular(name, "")
	ch.Content = firn.Content{Size: mib << 20, Tree: treehash.Sum([]byte(name))}
	ch.Stamp.Size = ch.Content.Size
	in := f.intend(tb, f.run, ch)
	check(tb, f.Stored(tb.Context(), in.ID, firn.Archive{ID: firn.ArchiveID("of " + name), Size: ch.Content.Size, Tree: ch.Content.Tree, Created: created}, f.run, &ch))
	return in.ID
}

// span is a range of an archive, in MiB, with a file in it.
func span(archive, from, to int64) catalog.RestoreRange {
	return catalog.RestoreRange{Archive: archive, Range: firn.Range{Start: from << 20, End: to << 20}, Files: 1, Bytes: (to - from) << 19}
}

func piece(offset int64) catalog.Piece {
	return catalog.Piece{Offset: offset << 20, Size: 1 << 20, Tree: treehash.Sum([]byte{byte(offset)})}
}

func TestRestore(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	want := catalog.Restore{Store: f.store.ID, Key: "k" + hostile, Target: "/to/" + hostile, What: hostile, Options: `{"at":"x"}`}
	id, err := f.PlanRestore(ctx, want)
	check(t, err)
	want.ID, want.State, want.Started, want.Ended = id, catalog.RestorePlanned, epoch, time.Time{}.UTC()
	step := func(name string) {
		t.Helper()
		got, err := f.RestoreByID(ctx, id)
		check(t, err)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		found, ok, err := f.OpenRestore(ctx, f.store.ID, want.Key)
		if err != nil || ok != want.State.Open() || ok && found != got {
			t.Errorf("%s: by its key: %+v, %t, %v", name, found, ok, err)
		}
	}
	step("planned")
	_, err = f.PlanRestore(ctx, want)
	wantKind(t, err, firn.Conflict, fmt.Sprint("restore ", id))
	want.State = catalog.RestoreGoing
	check(t, f.SetRestore(ctx, id, want.State, ""))
	step("going on")
	want.Options = `{"at":"y"}`
	check(t, f.SetRestoreOptions(ctx, id, want.Options))
	step("other options")
	f.clock.Advance(time.Hour)
	want.State, want.Ended, want.Why = catalog.RestoreFailed, f.clock.Now(), "no such file: \ufffd"
	check(t, f.SetRestore(ctx, id, want.State, "no such file: \xff"))
	step("failed")

	f.clock.Advance(time.Hour)
	check(t, f.SetRestore(ctx, id, want.State, "said twice"))
	step("said twice")
	wantKind(t, f.SetRestore(ctx, id, catalog.RestoreDone, ""), firn.Conflict, "it is failed")
	wantKind(t, f.SetRestoreOptions(ctx, id, ""), firn.Conflict, "it is failed")
	wantKind(t, f.SetRestore(ctx, id, 13, ""), firn.Invalid, "state 13")
	wantKind(t, f.SetRestore(ctx, id, 20, ""), firn.Invalid, "state 20")
	step("after what was refused")
	again, err := f.PlanRestore(ctx, want)
	if err != nil || again == id {
		t.Errorf("the same once more: %d, %v", again, err)
	}
	checkInvariants(t, f.Catalog)
}

func TestUnknownRestores(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	_, err := f.RestoreByID(ctx, 7)
	for _, err := range []error{
		err,
		f.SetRestore(ctx, 7, catalog.RestoreDone, ""),
		f.SetRestoreOptions(ctx, 7, ""),
		f.DropRestore(ctx, 7),
		f.AddRanges(ctx, 7, nil),
		f.SetRanges(ctx, 7, nil),
		f.FailFile(ctx, 7, nil),
		f.AddPiece(ctx, 7, 1, piece(0)),
	} {
		wantKind(t, err, firn.NotFound, "restore 7")
	}
	for range f.RestoreRanges(ctx, 7) {
		t.Error("it has ranges")
	}
	if totals, err := f.RangeTotals(ctx, 7); err != nil || len(totals) > 0 {
		t.Errorf("it has totals %v, %v", totals, err)
	}
	_, err = f.PlanRestore(ctx, catalog.Restore{Store: 99, Key: "k"})
	if err == nil {
		t.Error("planned for a store that isn't there")
	}
}

// TestRestoresWithoutKeys: nothing finds them, and they are in nobody's way.
func TestRestoresWithoutKeys(t *testing.T) {
	f := newFixture(t)
	f.plan(t, "")
	f.plan(t, "")
	if _, ok, err := f.OpenRestore(t.Context(), f.store.ID, ""); ok || err != nil {
		t.Errorf("found: %t, %v", ok, err)
	}
}

func TestRestores(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	other, err := f.Register(ctx, catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	first, second := f.plan(t, "1"), f.plan(t, "2")
	elsewhere, err := f.PlanRestore(ctx, catalog.Restore{Store: other.ID, Key: "1"})
	check(t, err)
	third, dropped := f.plan(t, "3"), f.plan(t, "4")
	check(t, f.SetRestore(ctx, first, catalog.RestoreDone, ""))
	check(t, f.SetRestore(ctx, third, catalog.RestoreGoing, ""))
	check(t, f.DropRestore(ctx, dropped))
	for _, tt := range []struct {
		store int64
		open  bool
		want  []int64
	}{
		{0, false, []int64{first, second, elsewhere, third}},
		{0, true, []int64{second, elsewhere, third}},
		{f.store.ID, false, []int64{first, second, third}},
		{f.store.ID, true, []int64{second, third}},
		{other.ID, true, []int64{elsewhere}},
		{99, false, nil},
	} {
		all, err := f.Restores(ctx, tt.store, tt.open)
		check(t, err)
		var ids []int64
		for _, r := range all {
			ids = append(ids, r.ID)
		}
		if !slices.Equal(ids, tt.want) {
			t.Errorf("of store %d, only open ones %t: %v, want %v", tt.store, tt.open, ids, tt.want)
		}
	}
}

// TestDropRestore: nothing is left of it, nor of any that a killed process left
// half dropped; and nobody gets its number.
func TestDropRestore(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 100)
	ctx := t.Context()
	archive := f.archive(t, 40, epoch)
	fill := func(id int64) {
		for i := range int64(10) {
			check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, i, i+1)}))
			check(t, f.AddPiece(ctx, id, archive, piece(i)))
			check(t, f.FailFile(ctx, id, []catalog.FailedFile{{Path: fmt.Sprint(i), Why: "no"}}))
		}
	}
	kept, id := f.plan(t, "kept"), f.plan(t, "dropped")
	fill(kept)
	fill(id)
	had := f.rowsOf(t, kept)
	check(t, f.DropRestore(ctx, id))
	if n := f.rowsOf(t, id); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	wantKind(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: archive, State: catalog.RangeDone}}), firn.NotFound, fmt.Sprint("restore ", id))
	again := f.plan(t, "again")
	if again == id {
		t.Error("its number was given again")
	}

	fill(again)
	check(t, f.Exec(ctx, "UPDATE restore SET state = 20 WHERE id = ?", again))
	check(t, f.Exec(ctx, "DELETE FROM restore_range WHERE restore = ? AND from_byte < 3000000", again))
	checkInvariants(t, f.Catalog) // what goes is no fault
	if _, err := f.RestoreByID(ctx, again); firn.KindOf(err) != firn.NotFound {
		t.Errorf("one that is half dropped is found: %v", err)
	}
	f.plan(t, "next")
	if n := f.rowsOf(t, again); n != 0 {
		t.Errorf("%d rows are left of what was half dropped", n)
	}
	if n := f.rowsOf(t, kept); n != had {
		t.Errorf("%d rows of another, which had %d", n, had)
	}
	checkInvariants(t, f.Catalog)
}

// TestEndedRestores: their pieces go, even if the process was killed before
// that; what they brought is remembered, up to a point.
func TestEndedRestores(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 100)
	ctx := t.Context()
	archive := f.archive(t, 40, epoch)
	end := func(id int64) {
		check(t, f.SetRestore(ctx, id, catalog.RestoreDone, ""))
	}
	first, open := f.plan(t, "first"), f.plan(t, "open")
	for i := range int64(10) {
		check(t, f.AddPiece(ctx, first, archive, piece(i)))
		check(t, f.AddPiece(ctx, open, archive, piece(i)))
	}
	check(t, f.AddRanges(ctx, first, []catalog.RestoreRange{span(archive, 0, 40)}))
	check(t, f.FailFile(ctx, first, []catalog.FailedFile{{Path: "a", Why: "no"}}))
	killed := f.plan(t, "killed")
	check(t, f.AddPiece(ctx, killed, archive, piece(0)))
	check(t, f.Exec(ctx, "UPDATE restore SET state = 10, ended = 0, ended_ns = 0 WHERE id = ?", killed))
	end(first)
	for id, want := range map[int64]int{first: 0, killed: 0, open: 10} {
		if pieces, err := f.Pieces(ctx, id, archive); err != nil || len(pieces) != want {
			t.Errorf("restore %d has %d pieces, want %d, %v", id, len(pieces), want, err)
		}
	}
	if n := f.rowsOf(t, first); n != 4 {
		t.Errorf("%d rows are left, want restore, range, sum and file", n)
	}
	for _, err := range []error{
		f.AddRanges(ctx, first, nil), f.SetRanges(ctx, first, nil), f.AddPiece(ctx, first, archive, piece(0)), f.FailFile(ctx, first, nil),
	} {
		wantKind(t, err, firn.Conflict, "it is done")
	}

	for i := range 98 {
		end(f.plan(t, fmt.Sprint(i)))
	}
	if n := f.rowsOf(t, first); n != 4 {
		t.Errorf("%d rows of the 100th from the end", n)
	}
	end(f.plan(t, "last"))
	if n := f.rowsOf(t, first); n != 0 {
		t.Errorf("%d rows of the 101st from the end", n)
	}
	if all, err := f.Restores(ctx, f.store.ID, false); err != nil || len(all) != 101 || all[0].ID != open {
		t.Errorf("%d restores are left, %v", len(all), err)
	}
	checkInvariants(t, f.Catalog)
}

// TestLargeRestoresAreForgottenSooner: a hundred of a million ranges would fill
// the disk.
func TestLargeRestoresAreForgottenSooner(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	archive := f.archive(t, 1, epoch)
	var ids []int64
	for i := range 4 {
		id := f.plan(t, fmt.Sprint(i))
		ids = append(ids, id)
		check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, 0, 1)}))
		check(t, f.Exec(ctx, "UPDATE restore_total SET ranges = 600000 WHERE restore = ?", id))
	}
	for _, id := range ids {
		check(t, f.SetRestore(ctx, id, catalog.RestoreDone, ""))
	}
	all, err := f.Restores(ctx, f.store.ID, false)
	check(t, err)
	if len(all) != 2 || all[0].ID != ids[2] || all[1].ID != ids[3] {
		t.Errorf("left: %+v", all)
	}
}

// TestRestoresKeepArchives: what an open restore waits for must not be deleted.
func TestRestoresKeepArchives(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.upload(t, f.run, regular("f", "one"))
	loc, _, err := f.FindContent(ctx, f.store.ID, content("one"))
	check(t, err)
	f.remove(t, "f")
	f.retireOld(t, "f")
	archive := loc.Archive
	wanted := func(name string, want bool) {
		t.Helper()
		is, err := f.WantedByRestore(ctx, archive)
		if err != nil || is != want {
			t.Errorf("%s: wanted %t, %v", name, is, err)
		}
		if due := f.queue(t); len(due) == 0 != want {
			t.Errorf("%s: to be deleted: %+v", name, due)
		}
		if want {
			wantKind(t, f.DeletionAsked(ctx, archive), firn.Conflict, "a restore waits for it")
		}
	}
	set := func(id int64, s catalog.RangeState) {
		t.Helper()
		check(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: archive, State: s}}))
	}
	wanted("before", false)
	id := f.plan(t, "1")
	wanted("no range", false)
	check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{{Archive: archive, Range: firn.Range{End: 3}}}))
	wanted("planned", true)
	f.clock.Advance(8 * 24 * time.Hour)
	wanted("planned and forgotten", false)
	check(t, f.SetRestore(ctx, id, catalog.RestoreGoing, ""))
	wanted("going on", true)
	for s, want := range map[catalog.RangeState]bool{
		catalog.RangeRequested: true, catalog.RangeReady: true, catalog.RangeFailed: true, catalog.RangeDone: false,
	} {
		set(id, s)
		wanted(s.String(), want)
	}
	set(id, catalog.RangeReady)
	second := f.plan(t, "2")
	check(t, f.AddRanges(ctx, second, []catalog.RestoreRange{{Archive: archive, Range: firn.Range{End: 3}}}))
	check(t, f.SetRestore(ctx, id, catalog.RestoreCancelled, "enough"))
	wanted("by another", true)
	check(t, f.DropRestore(ctx, second))
	wanted("by none", false)
	check(t, f.DeletionAsked(ctx, archive))
	_, err = f.WantedByRestore(ctx, 99)
	wantKind(t, err, firn.NotFound, "archive 99")
}

// TestRestoresAreOfThisMachine: a snapshot has nothing of them.
func TestRestoresAreOfThisMachine(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	archive := f.archive(t, 40, epoch)
	check(t, f.EndRun(ctx, f.run, catalog.Outcome{Complete: true}))
	before, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})

	id := f.plan(t, "a key to be told")
	check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, 0, 4)}))
	check(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: archive, State: catalog.RangeFailed, Why: "w"}}))
	check(t, f.FailFile(ctx, id, []catalog.FailedFile{{Tree: f.tree.ID, Path: "p", Why: "w"}}))
	check(t, f.AddPiece(ctx, id, archive, piece(0)))
	check(t, f.SetDownloadRate(ctx, f.store.ID, 1e6))
	after, _ := stream(t, f.Catalog, f.store.ID, catalog.RowsOptions{})
	if diff := gocmp.Diff(portrait(t, before), portrait(t, after)); diff != "" || len(before) != len(after) {
		t.Errorf("the stream of %d bytes has %d bytes: %s", len(before), len(after), diff)
	}

	c, store := another(t)
	_, err := c.ReadRows(ctx, store, read(after))
	check(t, err)
	for _, table := range []string{"restore", "restore_range", "restore_total", "restore_file", "piece", "download_rate"} {
		rows, err := c.Query(ctx, "SELECT count(*) FROM "+table)
		check(t, err)
		if rows[0][0] != int64(0) {
			t.Errorf("%v rows came into %s", rows[0][0], table)
		}
	}
}
