package catalog_test

import (
	"testing"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// TestWriteRowsMoved: what is found in an older archive, since its own one was
// dropped or lost, is in the rows that add to those of before.
func TestWriteRowsMoved(t *testing.T) {
	f := newFixture(t)
	f.seed(t)
	b := f.intendBundle(t, f.run, bundled(regular("f", "one"))...)
	check(t, f.Drop(t.Context(), b.ID, "no reason"))
	check(t, f.EndRun(t.Context(), f.run, catalog.Outcome{}))
	dead := func(catalog.Run) bool { return false }
	base := newRowSet()
	through := f.writeRows(t, base, catalog.RowsOptions{Alive: dead}).Through
	run := f.begin(t)
	f.record(t, run, regular("f", "one"))
	added := newRowSet()
	f.writeRows(t, added, catalog.RowsOptions{Alive: dead, Base: through, Seq: 2, BaseSeq: 1})
	if got := added.over(base).at(f.tree.ID, run.ID); len(got) != 1 {
		t.Errorf("there is %q, through %d", got, through)
	}
}

// TestStandingCopyOf: a copy that was lost since is looked for where its content is
// stored besides; where it is nowhere, there is none.
func TestStandingCopyOf(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	source, err := f.Register(ctx, catalog.StoreSpec{URL: "glacier:old", Kind: "glacier", Identity: "old", Name: "old"})
	check(t, err)
	first := f.copies(t, "a", "b")
	location, ok, err := f.FindContent(ctx, f.store.ID, regular("a", "a").Content)
	check(t, err)
	if !ok || location.Archive != first.ID {
		t.Fatalf("found %+v", location)
	}
	content := regular("a", "a").Content
	run, err := f.BeginRun(ctx, source.ID, 0, "archive upload")
	check(t, err)
	in := []catalog.Intent{{Store: source.ID, Run: run.ID, Token: firn.NewToken(), Kind: catalog.LooseArchive, Description: "theirs", Size: content.Size, TreeHash: content.Tree}}
	check(t, f.Intend(ctx, in))
	check(t, f.Catalog.Stored(ctx, in[0].ID, firn.Archive{ID: "theirs", Size: content.Size, Tree: content.Tree}, run, nil))
	m, _, err := f.BeginMigration(ctx, catalog.Migration{Source: source.ID, Target: f.store.ID, Run: f.run.ID, Options: "{}"})
	check(t, err)
	n, err := f.TakeCopies(ctx, m, []catalog.CopyPair{{Source: "theirs", Target: location.Remote, Member: location.Member}})
	check(t, err)
	if n != 1 {
		t.Fatalf("%d copies", n)
	}
	is := func(row int64) {
		t.Helper()
		if old, ok, err := f.CopyOf(ctx, source.ID, "theirs"); err != nil || !ok || old.Archive != first.ID {
			t.Fatalf("the copy was %+v, %t, %v", old, ok, err)
		}
		p, ok, err := f.StandingCopyOf(ctx, source.ID, "theirs")
		if err != nil || ok != (row != 0) || p.Archive != row {
			t.Fatalf("it is %+v, %t, %v, want archive %d", p, ok, err, row)
		}
		if row != 0 && (p.Size != content.Size || p.Offset == 0 || p.Whole) {
			t.Errorf("%+v, and it is a member of a bundle", p)
		}
	}
	is(first.ID)
	check(t, f.MarkLost(ctx, f.run, []int64{first.ID}))
	is(0)
	is(f.copies(t, "a").ID)
}
