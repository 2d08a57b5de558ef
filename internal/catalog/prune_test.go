package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// standings are those of the fixture's store, in pages.
func (f *fixture) standings(tb testing.TB) (all []catalog.Standing) {
	tb.Helper()
	for s, err := range f.Standings(tb.Context(), f.store.ID, quarter) {
		check(tb, err)
		all = append(all, s)
	}
	return all
}

// TestStandings: an archive is free a quarter after it was made, and is a
// candidate, queued, held and gone one after the other.
func TestStandings(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 100)
	for i := range 5 {
		f.upload(t, f.run, regular("f", fmt.Sprint("content ", i)))
		f.run = f.begin(t)
	}
	want := make([]catalog.Standing, 5)
	for i := range want {
		want[i] = catalog.Standing{ID: int64(i + 1), Kind: catalog.FileArchive, Size: 9, Free: epoch.Truncate(time.Second).Add(quarter)}
	}
	see := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, f.standings(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	see("stored")
	all, err := f.History(t.Context(), f.tree.ID, "f")
	check(t, err)
	_, err = f.Retire(t.Context(), f.run, retirement, all[:2])
	check(t, err)
	want[0].Candidate, want[1].Candidate = true, true
	see("versions forgotten")
	f.queue(t)
	want[0].Candidate, want[1].Candidate, want[0].Queued, want[1].Queued = false, false, true, true
	see("queued")
	check(t, f.MarkDeleted(t.Context(), f.run, 1))
	want = want[1:]
	see("one is gone")
}

// TestDeletionQueue sums up what waits, and tells of a prune that was killed.
func TestDeletionQueue(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	see := func(what string, want catalog.DeletionQueue) {
		t.Helper()
		got, err := f.DeletionQueue(ctx, f.store.ID)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	see("at first", catalog.DeletionQueue{})
	f.upload(t, f.run, regular("f", "one"))
	f.upload(t, f.begin(t), regular("f", "second"))
	f.upload(t, f.begin(t), regular("f", "third one"))
	f.retireOld(t, "f")
	see("candidates of a sync", catalog.DeletionQueue{})
	f.queue(t)
	free := epoch.Truncate(time.Second).Add(quarter)
	queued := catalog.DeletionQueue{Archives: firn.Count{Files: 2, Bytes: 9}, First: free, Last: free}
	see("queued", queued)

	f.upload(t, f.begin(t), regular("f", "fourth"))
	prune, err := f.BeginRun(ctx, f.store.ID, 0, catalog.PruneRun)
	check(t, err)
	all, err := f.History(ctx, f.tree.ID, "f")
	check(t, err)
	_, err = f.Retire(ctx, prune, retirement, all)
	check(t, err)
	queued.Unsettled = true
	see("a prune was killed", queued)
	f.queue(t)
	queued.Unsettled, queued.Archives = false, firn.Count{Files: 3, Bytes: 18}
	see("and was gone on with", queued)
	check(t, f.MarkDeleted(ctx, f.run, 1))
	queued.Archives = firn.Count{Files: 2, Bytes: 15}
	see("one is gone", queued)
}

// TestDeletionCall: the last one counts.
func TestDeletionCall(t *testing.T) {
	f := newFixture(t)
	_, err := f.DeletionCall(t.Context(), f.store.ID)
	wantKind(t, err, firn.NotFound, "store 1")
	for _, want := range []catalog.Call{
		{Store: "glacier:v", Dir: "/home/me"},
		{Store: "photos", Dir: "/\xff", Env: []string{"AWS_REGION=eu-west-1", "AWS_PROFILE=a=b"}},
	} {
		check(t, f.SetDeletionCall(t.Context(), f.store.ID, want))
		got, err := f.DeletionCall(t.Context(), f.store.ID)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
