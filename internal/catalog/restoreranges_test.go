package catalog_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// ranges lists those of a restore.
func (f *fixture) ranges(tb fataler, restore int64) (all []catalog.RestoreRange) {
	tb.Helper()
	for r, err := range f.RestoreRanges(context.Background(), restore) {
		check(tb, err)
		all = append(all, r)
	}
	return all
}

func TestRestoreRange(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	ch := regular("f", "")
	ch.Content = firn.Content{Size: 3<<20 + 5, Tree: treehash.Sum([]byte("f"))}
	ch.Stamp.Size = ch.Content.Size
	in := f.intend(t, f.run, ch)
	check(t, f.Stored(ctx, in.ID, firn.Archive{ID: "remote", Size: ch.Content.Size, Tree: ch.Content.Tree, Created: epoch}, f.run, &ch))
	id := f.plan(t, "k")
	given := catalog.RestoreRange{Archive: in.ID, Range: firn.Range{Start: 1 << 20, End: 3<<20 + 5}, Files: 7, Bytes: 77}
	check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{given}))
	want := given
	want.Remote, want.ArchiveSize, want.ArchiveTree, want.Created = "remote", ch.Content.Size, ch.Content.Tree, epoch
	want.State, want.Ready = catalog.RangePlanned, time.Time{}
	step := func(name string) {
		t.Helper()
		if diff := gocmp.Diff([]catalog.RestoreRange{want}, f.ranges(t, id)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		totals, err := f.RangeTotals(ctx, id)
		check(t, err)
		if diff := gocmp.Diff(map[catalog.RangeState]catalog.RangeTotal{want.State: {Ranges: 1, Files: want.Files, Bytes: want.Bytes, Retrieve: want.Range.Len()}}, totals); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	step("planned")
	want.State, want.Tier, want.Asked, want.Failed, want.Ready, want.Why = catalog.RangeRequested, firn.Bulk, 3, 2, epoch.Add(5*time.Hour+7), "w"+strings.ToValidUTF8(hostile, "\ufffd")
	change := catalog.RangeChange{Archive: in.ID, From: 1 << 20, State: want.State, Tier: want.Tier, Asked: 3, Failed: 2, Ready: want.Ready, Why: "w" + hostile}
	check(t, f.SetRanges(ctx, id, []catalog.RangeChange{change}))
	step("requested")
	check(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: in.ID, From: 1 << 20, State: catalog.RangeReady}, change}))
	step("ready, and requested again")
	want.State, want.Tier, want.Asked, want.Failed, want.Ready, want.Why = catalog.RangeDone, "", 0, 0, time.Time{}, ""
	check(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: in.ID, From: 1 << 20, State: catalog.RangeDone}}))
	step("done")

	for name, change := range map[string]catalog.RangeChange{
		"another byte":    {Archive: in.ID, From: 0, State: catalog.RangeDone},
		"another archive": {Archive: 99, From: 1 << 20, State: catalog.RangeDone},
	} {
		err := f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: in.ID, From: 1 << 20, State: catalog.RangePlanned}, change})
		wantKind(t, err, firn.NotFound, fmt.Sprintf("archive %d, from byte %d", change.Archive, change.From))
		step(name)
	}
	wantKind(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: in.ID, From: 1 << 20, State: 4}}), firn.Invalid, "state 4")
	wantKind(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: in.ID, From: 1 << 20}}), firn.Invalid, "state 0")
	step("after what was refused")
	checkInvariants(t, f.Catalog)
}

// TestRefusedRanges: of a batch with one that can't be, none is added.
func TestRefusedRanges(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	archive := f.archive(t, 4, epoch)
	other, err := f.Register(ctx, catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	elsewhere, err := f.PlanRestore(ctx, catalog.Restore{Store: other.ID, Key: "1"})
	check(t, err)
	wantKind(t, f.AddRanges(ctx, elsewhere, []catalog.RestoreRange{span(archive, 0, 1)}), firn.NotFound, fmt.Sprint("archive ", archive))
	id := f.plan(t, "k")
	for name, tt := range map[string]struct {
		bad  catalog.RestoreRange
		kind firn.Kind
	}{
		"no archive":         {span(99, 0, 1), firn.NotFound},
		"behind the end":     {span(archive, 3, 5), firn.Invalid},
		"before the start":   {span(archive, -1, 1), firn.Invalid},
		"empty":              {span(archive, 1, 1), firn.Invalid},
		"empty, at 0":        {span(archive, 0, 0), firn.Invalid},
		"backwards":          {span(archive, 2, 1), firn.Invalid},
		"begins within":      {catalog.RestoreRange{Archive: archive, Range: firn.Range{Start: 1, End: 1 << 20}}, firn.Invalid},
		"ends within":        {catalog.RestoreRange{Archive: archive, Range: firn.Range{End: 1<<20 + 1}}, firn.Invalid},
		"no such state":      {catalog.RestoreRange{Archive: archive, Range: firn.Range{End: 1 << 20}, State: 9}, firn.Invalid},
		"less than no files": {catalog.RestoreRange{Archive: archive, Range: firn.Range{End: 1 << 20}, Files: -1}, firn.Invalid},
	} {
		err := f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, 1, 2), tt.bad})
		if firn.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
		if all := f.ranges(t, id); len(all) != 0 {
			t.Fatalf("%s: added: %+v", name, all)
		}
	}
	if totals, err := f.RangeTotals(ctx, id); err != nil || len(totals) != 0 {
		t.Errorf("totals %v, %v", totals, err)
	}
}

// TestRangesAddUp: what is added where there is one already becomes one with it.
func TestRangesAddUp(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	archive := f.archive(t, 9, epoch)
	id := f.plan(t, "k")
	check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, 0, 2), span(archive, 4, 6), span(archive, 0, 3)}))
	check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, 0, 1)}))
	want := func() {
		t.Helper()
		all := f.ranges(t, id)
		if len(all) != 2 || all[0].Range != (firn.Range{End: 3 << 20}) || all[0].Files != 3 || all[0].Bytes != 3<<20 {
			t.Errorf("%+v", all)
		}
	}
	want()
	check(t, f.SetRanges(ctx, id, []catalog.RangeChange{{Archive: archive, State: catalog.RangeRequested}}))
	wantKind(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, 0, 4)}), firn.Conflict, "requested already")
	want()
	totals, err := f.RangeTotals(ctx, id)
	check(t, err)
	if diff := gocmp.Diff(map[catalog.RangeState]catalog.RangeTotal{
		catalog.RangePlanned: {1, 1, 1 << 20, 2 << 20}, catalog.RangeRequested: {1, 3, 3 << 20, 3 << 20},
	}, totals); diff != "" {
		t.Error(diff)
	}
	checkInvariants(t, f.Catalog)
}

// TestOrderOfRanges: the store's times count, to the nanosecond, and those of
// one time go by archive and byte; what nobody dated comes first.
func TestOrderOfRanges(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 10_000, 100_000)
	late, early := f.archive(t, 4, epoch.Add(time.Hour)), f.archive(t, 4, epoch.Add(-time.Hour))
	after, same := f.archive(t, 4, epoch.Add(1)), f.archive(t, 4, epoch)
	same2, undated := f.archive(t, 4, epoch), f.archive(t, 4, time.Time{})
	id := f.plan(t, "k")
	for _, r := range []catalog.RestoreRange{
		span(late, 0, 1), span(same2, 0, 1), span(early, 2, 3), span(after, 0, 4), span(same, 3, 4), span(same, 1, 2), span(undated, 0, 4), span(early, 0, 1),
	} {
		check(t, f.AddRanges(t.Context(), id, []catalog.RestoreRange{r}))
	}
	var got []string
	for _, r := range f.ranges(t, id) {
		got = append(got, fmt.Sprint(r.Archive, r.Range.Start>>20))
	}
	want := []string{
		fmt.Sprint(undated, 0), fmt.Sprint(early, 0), fmt.Sprint(early, 2), fmt.Sprint(same, 1), fmt.Sprint(same, 3), fmt.Sprint(same2, 0), fmt.Sprint(after, 0), fmt.Sprint(late, 0),
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRangesChangeWhileTheyAreListed: each comes once, whatever becomes of it,
// and no transaction stays open.
func TestRangesChangeWhileTheyAreListed(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(3, 10_000, 100_000)
	ctx := t.Context()
	archive := f.archive(t, 50, epoch)
	id := f.plan(t, "k")
	for i := range int64(50) {
		check(t, f.AddRanges(ctx, id, []catalog.RestoreRange{span(archive, i, i+1)}))
	}
	var seen []int64
	for r, err := range f.RestoreRanges(ctx, id) {
		check(t, err)
		seen = append(seen, r.Range.Start>>20)
		var changes []catalog.RangeChange
		for i := range int64(50) {
			changes = append(changes, catalog.RangeChange{Archive: archive, From: i << 20, State: catalog.RangeRequested, Asked: len(seen), Ready: f.clock.Now()})
		}
		check(t, f.SetRanges(ctx, id, changes))
	}
	if len(seen) != 50 || !slices.IsSorted(seen) {
		t.Errorf("seen: %v", seen)
	}
	if totals, err := f.RangeTotals(ctx, id); err != nil || totals[catalog.RangeRequested].Ranges != 50 || len(totals) != 1 {
		t.Errorf("totals %v, %v", totals, err)
	}
	for range f.RestoreRanges(ctx, id) {
		break // whoever has seen enough
	}
	checkInvariants(t, f.Catalog)
}

// TestRangesModel adds and changes ranges at random, and compares with a map.
func TestRangesModel(t *testing.T) {
	f := newFixture(t)
	var archives []int64
	for i := range 3 {
		archives = append(archives, f.archive(t, 8, epoch.Add(time.Duration(-i)*time.Hour)))
	}
	type key struct{ archive, from int64 }
	states := []catalog.RangeState{catalog.RangePlanned, catalog.RangeRequested, catalog.RangeReady, catalog.RangeDone, catalog.RangeFailed}
	rapid.Check(t, func(rt *rapid.T) {
		f.SetSizes(rapid.IntRange(1, 4).Draw(rt, "page"), 2, 100)
		id, err := f.PlanRestore(t.Context(), catalog.Restore{Store: f.store.ID})
		check(rt, err)
		model := map[key]catalog.RestoreRange{}
		add := func(rt *rapid.T) {
			var batch []catalog.RestoreRange
			next := map[key]catalog.RestoreRange{}
			for range rapid.IntRange(1, 4).Draw(rt, "ranges") {
				from := rapid.Int64Range(0, 7).Draw(rt, "from")
				r := span(rapid.SampledFrom(archives).Draw(rt, "archive"), from, rapid.Int64Range(from+1, 8).Draw(rt, "to"))
				r.State = rapid.SampledFrom(states).Draw(rt, "state")
				batch = append(batch, r)
				k := key{r.Archive, r.Range.Start}
				was, there := next[k]
				if !there {
					was, there = model[k]
				}
				if there {
					if r.Range.End > was.Range.End && was.State != catalog.RangePlanned {
						wantKind(t, f.AddRanges(t.Context(), id, batch), firn.Conflict, "already")
						return
					}
					r.State, r.Files, r.Bytes, r.Range.End = was.State, r.Files+was.Files, r.Bytes+was.Bytes, max(r.Range.End, was.Range.End)
				}
				next[k] = r
			}
			check(rt, f.AddRanges(t.Context(), id, batch))
			for k, r := range next {
				model[k] = r
			}
		}
		set := func(rt *rapid.T) {
			var changes []catalog.RangeChange
			byKey := func(a, b key) int { return cmp.Or(cmp.Compare(a.archive, b.archive), cmp.Compare(a.from, b.from)) }
			for _, k := range slices.SortedFunc(maps.Keys(model), byKey) {
				if rapid.Bool().Draw(rt, "change it") {
					r := model[k]
					r.State = rapid.SampledFrom(states).Draw(rt, "state")
					model[k] = r
					changes = append(changes, catalog.RangeChange{Archive: k.archive, From: k.from, State: r.State})
				}
			}
			check(rt, f.SetRanges(t.Context(), id, changes))
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			rapid.SampledFrom([]func(*rapid.T){add, set}).Draw(rt, "step")(rt)
		}
		want := map[catalog.RangeState]catalog.RangeTotal{}
		for _, r := range model {
			sum := want[r.State]
			want[r.State] = catalog.RangeTotal{Ranges: sum.Ranges + 1, Files: sum.Files + r.Files, Bytes: sum.Bytes + r.Bytes, Retrieve: sum.Retrieve + r.Range.Len()}
		}
		totals, err := f.RangeTotals(t.Context(), id)
		check(rt, err)
		if diff := gocmp.Diff(want, totals); diff != "" {
			rt.Fatalf("totals: %s", diff)
		}
		listed := f.ranges(rt, id)
		for i, r := range listed {
			m := model[key{r.Archive, r.Range.Start}]
			if r.Range != m.Range || r.State != m.State || r.Files != m.Files || i > 0 && r.Created.Before(listed[i-1].Created) {
				rt.Fatalf("listed %+v, want %+v", r, m)
			}
		}
		if len(listed) != len(model) {
			rt.Fatalf("%d listed of %d", len(listed), len(model))
		}
	})
	checkInvariants(t, f.Catalog)
}

func TestFailedFiles(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 10_000, 100_000)
	ctx := t.Context()
	id, other := f.plan(t, "1"), f.plan(t, "2")
	list := func() (all []catalog.FailedFile) {
		t.Helper()
		for file, err := range f.FailedFiles(ctx, id) {
			check(t, err)
			all = append(all, file)
		}
		return all
	}
	check(t, f.FailFile(ctx, other, []catalog.FailedFile{{Path: "of another", Why: "x"}}))
	check(t, f.FailFile(ctx, id, []catalog.FailedFile{{2, "b", "1"}, {1, "z", "2"}, {1, "", "the root"}, {1, hostile, hostile}, {1, "a/b", "3"}, {1, "a", "4"}}))
	check(t, f.FailFile(ctx, id, []catalog.FailedFile{{1, "a", "other"}, {2, "b", ""}, {2, "never failed", ""}}))
	want := []catalog.FailedFile{{1, "", "the root"}, {1, "a", "other"}, {1, hostile, strings.ToValidUTF8(hostile, "\ufffd")}, {1, "a/b", "3"}, {1, "z", "2"}}
	if diff := gocmp.Diff(want, list()); diff != "" {
		t.Error(diff)
	}
}
