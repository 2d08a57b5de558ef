package catalog_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

func TestRunsGoForwardInTime(t *testing.T) {
	f := newFixture(t)
	last := f.run
	for _, step := range []time.Duration{0, -time.Hour, 0, time.Nanosecond, 3 * time.Hour} {
		f.clock.Advance(step)
		run := f.begin(t)
		if run.ID <= last.ID || run.Started.Sub(last.Started) < time.Millisecond {
			t.Errorf("clock moved by %v: run %d at %v follows %d at %v", step, run.ID, run.Started, last.ID, last.Started)
		}
		last = run
	}
	if want := f.clock.Now(); !last.Started.Equal(want) {
		t.Errorf("a clock that is right: %v, want %v", last.Started, want)
	}
}

func TestEndRun(t *testing.T) {
	f := newFixture(t)
	out := catalog.Outcome{Complete: true, Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 3, Bytes: 1 << 40}, firn.Failed: {}}}
	f.clock.Advance(time.Hour)
	check(t, f.EndRun(t.Context(), f.run, out))
	runs, err := f.LastRuns(t.Context(), f.store.ID)
	check(t, err)
	want := f.run
	want.Outcome, want.Ended = out, epoch.Add(time.Hour)
	if diff := gocmp.Diff([]catalog.Run{want}, runs); diff != "" {
		t.Error(diff)
	}
	wantKind(t, f.EndRun(t.Context(), f.run, out), firn.NotFound, "")
}

func TestLastRuns(t *testing.T) {
	f := newFixture(t)
	other, err := f.Register(t.Context(), spec("local:/b", "B"))
	check(t, err)
	run := func(store, tree int64, command string, complete bool) int64 {
		r, err := f.BeginRun(t.Context(), store, tree, command)
		check(t, err)
		check(t, f.EndRun(t.Context(), r, catalog.Outcome{Complete: complete}))
		return r.ID
	}
	id, tree := f.store.ID, f.tree.ID
	run(id, tree, "sync", true)
	sync := run(id, tree, "sync", true)
	run(id, tree, "sync", false)
	killed := f.begin(t).ID
	run(id, tree, "verify", true)
	verify := run(id, tree, "verify", true)
	whole := run(id, 0, "prune", false)
	run(other.ID, 0, "prune", true)

	runs, err := f.LastRuns(t.Context(), id)
	check(t, err)
	var got []int64
	for _, r := range runs {
		got = append(got, r.ID)
	}
	if diff := gocmp.Diff([]int64{whole, verify, killed, sync}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRunAt(t *testing.T) {
	f := newFixture(t)
	f.clock.Advance(time.Hour)
	second := f.begin(t)
	for _, c := range []struct {
		at   time.Time
		want int64
	}{
		{epoch, f.run.ID}, {epoch.Add(time.Hour - 1), f.run.ID}, {epoch.Add(time.Hour), second.ID}, {epoch.AddDate(300, 0, 0), second.ID},
	} {
		run, err := f.RunAt(t.Context(), f.tree.ID, c.at)
		if err != nil || run.ID != c.want {
			t.Errorf("at %v: run %d, %v, want %d", c.at, run.ID, err, c.want)
		}
	}
	_, err := f.RunAt(t.Context(), f.tree.ID, epoch.Add(-1))
	wantKind(t, err, firn.NotFound, "2026-03-01")
}

func TestRunAndFirstRun(t *testing.T) {
	f := newFixture(t)
	out := catalog.Outcome{Complete: true, Counts: map[firn.Action]firn.Count{firn.Sent: {Files: 1, Bytes: 2}}}
	check(t, f.EndRun(t.Context(), f.run, out))
	f.clock.Advance(time.Hour)
	second := f.begin(t)

	first, err := f.FirstRun(t.Context(), f.tree.ID)
	check(t, err)
	want := f.run
	want.Outcome, want.Ended = out, epoch
	if diff := gocmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	got, err := f.Run(t.Context(), second.ID)
	check(t, err)
	if got.ID != second.ID || !got.Started.Equal(second.Started) || !got.Ended.IsZero() {
		t.Errorf("run %+v, want %+v", got, second)
	}
	_, err = f.Run(t.Context(), second.ID+1)
	wantKind(t, err, firn.NotFound, "no such run")
	_, err = f.FirstRun(t.Context(), f.tree.ID+1)
	wantKind(t, err, firn.NotFound, "never synced")
}
