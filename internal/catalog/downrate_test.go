package catalog_test

import (
	"math"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

func TestDownloadRate(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	other, err := f.Register(ctx, catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	want := func(store int64, want float64) {
		t.Helper()
		if rate, known, err := f.DownloadRate(ctx, store); err != nil || known != (want > 0) || rate != want {
			t.Errorf("rate %v, %t, %v, want %v", rate, known, err, want)
		}
	}
	want(f.store.ID, 0)
	for _, rate := range []float64{1.5e6, 2e9, 0.25} {
		check(t, f.SetDownloadRate(ctx, f.store.ID, rate))
		want(f.store.ID, rate)
	}
	for _, rate := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		wantKind(t, f.SetDownloadRate(ctx, f.store.ID, rate), firn.Invalid, "can't be")
	}
	want(f.store.ID, 0.25)
	want(other.ID, 0)
	if err := f.SetDownloadRate(ctx, 99, 1); err == nil {
		t.Error("a rate of a store that isn't there")
	}
}

// TestAskedSince: what counts is that the store was asked, not what became of it.
func TestAskedSince(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	other, err := f.Register(ctx, catalog.StoreSpec{URL: "local:/w", Kind: "local", Identity: "two"})
	check(t, err)
	archive := f.archive(t, 40, epoch)
	ask := func(store int64, r firn.Job) int64 {
		t.Helper()
		f.clock.Advance(time.Minute)
		if r.Kind == "" {
			r.Kind, r.Archive = firn.RetrievalJob, "x"
		}
		id, err := f.JobIntent(ctx, catalog.Job{Store: store, Run: f.run.ID, Token: firn.NewToken(), Archive: archive, Remote: r})
		check(t, err)
		return id
	}
	long := ask(f.store.ID, firn.Job{})
	check(t, f.JobStarted(ctx, long, "long ago"))
	since := f.clock.Now().Add(time.Minute)

	lost := ask(f.store.ID, firn.Job{Range: firn.Range{Start: 1 << 20, End: 3 << 20}}) // at since itself
	whole := ask(f.store.ID, firn.Job{})
	check(t, f.JobStarted(ctx, whole, "whole"))
	fetched := ask(f.store.ID, firn.Job{Range: firn.Range{End: 7 << 20}})
	check(t, f.JobStarted(ctx, fetched, "fetched"))
	check(t, f.JobGone(ctx, fetched, "fetched"))
	failed := ask(f.store.ID, firn.Job{Range: firn.Range{End: 1 << 20}})
	check(t, f.JobStarted(ctx, failed, "failed"))
	_, err = f.JobSeen(ctx, f.store.ID, firn.Token{}, firn.Job{ID: "failed", Kind: firn.RetrievalJob, State: firn.JobFailed, Range: firn.Range{End: 1 << 20}})
	check(t, err)
	refused := ask(f.store.ID, firn.Job{Range: firn.Range{End: 2 << 20}})
	check(t, f.JobGone(ctx, refused, "no capacity"))
	ask(f.store.ID, firn.Job{Kind: firn.InventoryJob})
	ask(other.ID, firn.Job{Range: firn.Range{End: 3 << 20}})
	_, err = f.JobSeen(ctx, f.store.ID, firn.Token{}, firn.Job{ID: "another program's", Kind: firn.RetrievalJob, State: firn.JobRunning, Range: firn.Range{End: 5 << 20}})
	check(t, err)

	want := []catalog.Ask{{since, 2 << 20}, {since.Add(time.Minute), 40 << 20}, {since.Add(2 * time.Minute), 7 << 20}, {since.Add(3 * time.Minute), 1 << 20}}
	got := func() []catalog.Ask {
		t.Helper()
		asks, err := f.AskedSince(ctx, f.store.ID, since)
		check(t, err)
		return asks
	}
	if diff := gocmp.Diff(want, got()); diff != "" {
		t.Error(diff)
	}
	check(t, f.JobGone(ctx, lost, "it isn't in the store's list"))
	if diff := gocmp.Diff(want[1:], got()); diff != "" {
		t.Errorf("when the lost one is known not to be there: %s", diff)
	}
	asks, err := f.AskedSince(ctx, f.store.ID, since.Add(time.Minute+1))
	if err != nil || len(asks) != 2 {
		t.Errorf("since a nanosecond later: %v, %v", asks, err)
	}
}
