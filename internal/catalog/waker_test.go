package catalog_test

import (
	"context"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

func TestWaker(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	other, err := f.Register(ctx, catalog.StoreSpec{URL: "glacier:b", Kind: "glacier", Identity: "two"})
	check(t, err)
	want := func(store int64, want ...catalog.Waker) {
		t.Helper()
		got, found, err := f.Waker(ctx, store)
		check(t, err)
		if found != (len(want) > 0) {
			t.Fatalf("found: %t", found)
		}
		if found {
			if diff := gocmp.Diff(want[0], got); diff != "" {
				t.Error(diff)
			}
		}
	}
	want(f.store.ID)
	w := catalog.Waker{Store: f.store.ID, URL: f.store.URL, SetUp: f.clock.Now().Truncate(time.Second), Channel: firn.Channel{Queue: "firn-a-1", QueueMade: true, TopicMade: true}}
	check(t, f.SetWaker(ctx, w))
	want(f.store.ID, w)
	_, err = f.Hear(ctx, f.store.ID)
	check(t, err)
	w.Channel = firn.Channel{
		Queue: "firn-a-1", QueueURL: "https://sqs/1/firn-a-1", Topic: "arn:aws:sns:x", Subscription: "arn:aws:sns:x:y",
		Replaced: firn.Notifications{Topic: "arn:aws:sns:other", Events: []string{firn.ArchiveRetrieved, firn.InventoryRetrieved}},
	}
	check(t, f.SetWaker(ctx, w))
	want(f.store.ID, w)
	second := catalog.Waker{Store: other.ID, URL: "glacier:b", SetUp: f.clock.Now().Truncate(time.Second), Channel: firn.Channel{Queue: "jobs"}}
	check(t, f.SetWaker(ctx, second))
	all, err := f.Wakers(ctx)
	check(t, err)
	if diff := gocmp.Diff([]catalog.Waker{w, second}, all); diff != "" {
		t.Error(diff)
	}
	if n, err := f.Heard(ctx, f.store.ID); n != 1 || err != nil {
		t.Errorf("heard %d, %v: a waker that is set anew counts on", n, err)
	}
	check(t, f.DropWaker(ctx, f.store.ID))
	check(t, f.DropWaker(ctx, f.store.ID))
	want(f.store.ID)
	want(other.ID, second)
	if err := f.SetWaker(ctx, catalog.Waker{Store: 99}); err == nil {
		t.Error("a waker of a store that isn't there")
	}
}

// TestWakerByURL: the queue of a store that was forgotten can still be found, and
// removed.
func TestWakerByURL(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	want := func(url string, store int64) {
		t.Helper()
		row, w, err := f.WakerByURL(ctx, url)
		if store == 0 {
			wantKind(t, err, firn.NotFound, "firn queue setup "+url)
		} else if err != nil || row.ID != store || w.Store != store || w.URL != row.URL {
			t.Errorf("%+v, %+v, %v; want store %d", row, w, err, store)
		}
	}
	first, err := f.Register(ctx, catalog.StoreSpec{URL: "glacier:b", Kind: "glacier", Identity: "one"})
	check(t, err)
	want("glacier:b", 0)
	check(t, f.SetWaker(ctx, catalog.Waker{Store: first.ID, Channel: firn.Channel{Queue: "q"}}))
	want("glacier:b", first.ID)
	_, err = f.Register(ctx, catalog.StoreSpec{URL: "glacier:eu-west-1/b", Kind: "glacier", Identity: "one"})
	check(t, err)
	want("glacier:b", first.ID)
	want("glacier:eu-west-1/b", first.ID)
	check(t, f.Forget(ctx, first.ID))
	want("glacier:eu-west-1/b", first.ID)
	again, err := f.Register(ctx, catalog.StoreSpec{URL: "glacier:eu-west-1/b", Kind: "glacier", Identity: "two"})
	check(t, err)
	want("glacier:eu-west-1/b", first.ID)
	check(t, f.SetWaker(ctx, catalog.Waker{Store: again.ID, Channel: firn.Channel{Queue: "q"}}))
	want("glacier:eu-west-1/b", again.ID)
	check(t, f.DropWaker(ctx, again.ID))
	want("glacier:eu-west-1/b", first.ID)
	check(t, f.DropWaker(ctx, first.ID))
	want("glacier:eu-west-1/b", 0)
}

// TestHeard: who waits knows by the count what another process has heard.
func TestHeard(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	want := func(want int64, ask func(context.Context, int64) (int64, error)) {
		t.Helper()
		if got, err := ask(ctx, f.store.ID); got != want || err != nil {
			t.Errorf("heard %d, %v, want %d", got, err, want)
		}
	}
	want(0, f.Heard)
	want(0, f.Hear) // it was removed meanwhile
	check(t, f.SetWaker(ctx, catalog.Waker{Store: f.store.ID}))
	for i := range int64(3) {
		want(i, f.Heard)
		want(i+1, f.Hear)
	}
	want(3, f.Heard)
}
