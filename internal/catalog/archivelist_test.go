package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// named lists the archives with what they hold, as "kind tree:path (paths)".
func (f *fixture) named(t *testing.T) (all []string) {
	t.Helper()
	for n, err := range f.NamedArchives(t.Context(), f.store.ID) {
		check(t, err)
		all = append(all, fmt.Sprintf("%s %s:%s (%d)", n.Kind, n.Tree, n.Path, n.Paths))
	}
	return all
}

// TestNamedArchives: an archive with one file has its path, a current one where
// there is one; what holds many has none, nor has what is of no tree.
func TestNamedArchives(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 10, 10)
	f.upload(t, f.run, regular("once", "one"))
	f.record(t, f.run, directory(""), directory("a"))
	f.upload(t, f.run, regular("a/\xff", "two"))
	f.record(t, f.run, regular("a/\xff-copy", "two"))
	f.upload(t, f.run, regular("changed", "old"))
	next := f.begin(t)
	f.upload(t, next, regular("changed", "new"))
	f.stored(t, next, f.intendBundle(t, next, bundled(regular("b1", "in a bundle"), regular("b2", "with another"))...))
	f.stored(t, next, f.intendBundle(t, next, bundled(regular("alone", "in a bundle of its own"))...))
	in := f.loose(t, next, "dump", "")
	check(t, f.Stored(t.Context(), in.ID, firn.Archive{ID: "loose", Size: 5}, next, nil))
	f.takeIn(t, found("x/theirs", "adopted", epoch))
	want := []string{
		"file photos:once (1)", "file photos:a/\xff (2)", "file photos:changed (0)", "file photos:changed (1)",
		"bundle photos: (0)", "bundle photos:alone (1)", "loose photos: (0)", "foreign theirs:x/theirs (1)",
	}
	if diff := cmp.Diff(want, f.named(t)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for range f.NamedArchives(t.Context(), f.store.ID) {
		break // and no panic
	}
}

// rowOf gives the row of an archive.
func (f *fixture) rowOf(t *testing.T, id firn.ArchiveID) int64 {
	t.Helper()
	loc, ok, err := f.ArchiveByRemote(t.Context(), f.store.ID, id)
	check(t, err)
	if !ok {
		t.Fatalf("no archive %s", id)
	}
	return loc.Archive
}

// TestReferences: all versions that are in the archives, of all trees.
func TestReferences(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(1, 10, 10)
	shared := f.rowOf(t, f.upload(t, f.run, regular("f", "shared")))
	f.upload(t, f.run, regular("other", "not asked for"))
	next := f.begin(t)
	f.upload(t, next, regular("f", "replaced it"))
	elsewhere, err := f.Bind(t.Context(), f.store.ID, "second", "nas", "/home/second")
	check(t, err)
	run, err := f.BeginRun(t.Context(), f.store.ID, elsewhere.ID, "sync")
	check(t, err)
	f.record(t, run, directory(""), regular("copy", "shared"))
	bundle := f.intendBundle(t, next, bundled(regular("m1", "first"), regular("m2", "second member"))...)
	f.stored(t, next, bundle)
	var got []catalog.Reference
	for r, err := range f.References(t.Context(), []int64{shared, bundle.ID}) {
		check(t, err)
		got = append(got, r)
	}
	want := []catalog.Reference{
		{Archive: bundle.ID, Member: 0, Tree: "photos", Path: "m1", Since: next.ID, Offset: 512, Size: 5, Content: content("first").Tree},
		{Archive: bundle.ID, Member: 1, Tree: "photos", Path: "m2", Since: next.ID, Offset: 1536, Size: 13, Content: content("second member").Tree},
		{Archive: shared, Tree: "second", Path: "copy", Since: run.ID, Size: 6, Content: content("shared").Tree},
		{Archive: shared, Tree: "photos", Path: "f", Since: f.run.ID, Until: next.ID, Size: 6, Content: content("shared").Tree},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for range f.References(t.Context(), nil) {
		t.Error("of nothing, something")
	}
}

func (f *fixture) account(t *testing.T, id firn.ArchiveID) catalog.Account {
	t.Helper()
	a, err := f.AccountOf(t.Context(), f.store.ID, id)
	check(t, err)
	return a
}

// TestAccountOf: archives in all states, and one that nobody knows.
func TestAccountOf(t *testing.T) {
	f := newFixture(t)
	if a := f.account(t, "nobody's"); a != (catalog.Account{}) {
		t.Errorf("%+v", a)
	}
	_, err := f.JobIntent(t.Context(), catalog.Job{Store: f.store.ID, Token: firn.NewToken(), Remote: firn.Job{Kind: firn.RetrievalJob, Archive: "nobody's"}})
	check(t, err)
	if a := f.account(t, "nobody's"); !a.Wanted || a.HasAccount {
		t.Errorf("while a job brings it: %+v", a)
	}
	id := f.upload(t, f.run, regular("f", "text"))
	if a := f.account(t, id); !a.HasAccount || a.State != catalog.Stored || a.Bytes != 4 || a.Contents != 1 || a.Leaving || a.Wanted || a.Tree != "photos" {
		t.Errorf("%+v", a)
	}
	f.upload(t, f.begin(t), regular("f", "other"))
	f.retireOld(t, "f")
	f.queue(t)
	if a := f.account(t, id); !a.Leaving || a.Leaves.Why != "old" || !a.Leaves.NotBefore.Equal(epoch.Truncate(time.Second).Add(quarter)) {
		t.Errorf("in the queue: %+v", a)
	}
	check(t, f.MarkDeleted(t.Context(), f.run, f.rowOf(t, id)))
	if a := f.account(t, id); a.State != catalog.Deleted || a.Leaving || !a.HasAccount {
		t.Errorf("deleted: %+v", a)
	}
}

// TestLastBrought: what jobs told of an archive that has no row.
func TestLastBrought(t *testing.T) {
	f := newFixture(t)
	if _, ok, err := f.LastBrought(t.Context(), f.store.ID, "strange"); ok || err != nil {
		t.Error(ok, err)
	}
	job := firn.Job{ID: "job", Kind: firn.RetrievalJob, State: firn.JobReady, Archive: "strange", ArchiveSize: 4, ArchiveTree: content("text").Tree}
	row, err := f.JobSeen(t.Context(), f.store.ID, firn.Token{}, job)
	check(t, err)
	check(t, f.JobGone(t.Context(), row, "fetched"))
	if got, ok, err := f.LastBrought(t.Context(), f.store.ID, "strange"); !ok || err != nil || got != content("text") {
		t.Error(got, ok, err)
	}
	if _, ok, err := f.LastBrought(t.Context(), f.store.ID+1, "strange"); ok || err != nil {
		t.Error("of another store:", ok, err)
	}
}

// TestCondemn queues what nothing refers to, and touches no other candidate.
func TestCondemn(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	in := f.loose(t, f.run, "dump", "")
	check(t, f.Stored(ctx, in.ID, firn.Archive{ID: "loose", Size: 5, Created: epoch}, f.run, nil))
	used := f.rowOf(t, f.upload(t, f.run, regular("used", "needed")))
	old := f.rowOf(t, f.upload(t, f.run, regular("old", "an old version")))
	others := f.rowOf(t, f.upload(t, f.run, regular("others", "sent again just now")))
	next := f.begin(t)
	f.upload(t, next, regular("old", "the new one"))
	check(t, f.Suspect(ctx, next, retirement, []int64{others})) // a sync is at it
	check(t, f.Condemn(ctx, f.begin(t), catalog.Retirement{Why: "by hand"}, []int64{in.ID, used, old}))
	due := f.due(t, epoch)
	if len(due) != 1 || due[0].Archive != in.ID || due[0].Why != "by hand" {
		t.Fatalf("queued: %+v", due)
	}
	for _, row := range []int64{used, old} {
		wantKind(t, f.DeletionAsked(ctx, row), firn.NotFound, fmt.Sprint("archive ", row))
	}
	f.upload(t, f.begin(t), regular("others", "sent again just now, at last"))
	f.retireOld(t, "others")
	if due := f.queue(t); len(due) != 2 {
		t.Errorf("what the sync looked at is forgotten: %+v", due)
	}
	check(t, f.DeletionAsked(ctx, in.ID))
	check(t, f.Reprieve(ctx, in.ID))
	wantKind(t, f.DeletionAsked(ctx, in.ID), firn.NotFound, fmt.Sprint("archive ", in.ID))
	checkInvariants(t, f.Catalog)
}

// TestCondemnedIsUsedAgain: a sync that finds its content stored takes an archive
// off the queue, until the store is asked.
func TestCondemnedIsUsedAgain(t *testing.T) {
	f := newFixture(t)
	f.takeIn(t, found("gone", "the text", epoch))
	row := f.rowOf(t, "found the text")
	tree, err := f.Tree(t.Context(), f.store.ID, "theirs")
	check(t, err)
	run, err := f.BeginRun(t.Context(), f.store.ID, tree.ID, "sync")
	check(t, err)
	_, err = f.Remove(t.Context(), run, []string{"gone"})
	check(t, err)
	versions, err := f.History(t.Context(), tree.ID, "gone")
	check(t, err)
	_, err = f.Retire(t.Context(), run, retirement, versions)
	check(t, err)
	check(t, f.Condemn(t.Context(), run, retirement, []int64{row}))
	f.record(t, f.begin(t), directory(""), regular("kept", "the text"))
	wantKind(t, f.DeletionAsked(t.Context(), row), firn.NotFound, fmt.Sprint("archive ", row))
}

// BenchmarkNamedArchives lists archives with their names, where each file has one
// of its own.
func BenchmarkNamedArchives(b *testing.B) {
	n := benchRows(b)
	f := filled(b, n, 100)
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		for a, err := range f.NamedArchives(b.Context(), f.store.ID) {
			check(b, err)
			if a.Path != "" {
				got++
			}
		}
		if got != n {
			b.Fatalf("%d archives with names, want %d", got, n)
		}
	}
	perSecond(b, n, "archives")
}
