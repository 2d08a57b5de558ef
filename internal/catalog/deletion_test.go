package catalog_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// quarter is what the store of these tests charges for at the least.
const quarter = 90 * 24 * time.Hour

var retirement = catalog.Retirement{MinAge: quarter, Why: "old"}

// retireOld retires all versions of a path that are not current.
func (f *fixture) retireOld(tb testing.TB, path string) int {
	tb.Helper()
	all, err := f.History(tb.Context(), f.tree.ID, path)
	check(tb, err)
	n, err := f.Retire(tb.Context(), f.run, retirement, all)
	check(tb, err)
	return n
}

// queue queues what nothing refers to, and gives what is due a year from now.
func (f *fixture) queue(tb testing.TB) (due []catalog.Deletion) {
	tb.Helper()
	_, err := f.QueueDeletions(tb.Context(), f.run)
	check(tb, err)
	return f.due(tb, epoch.AddDate(1, 0, 0))
}

func (f *fixture) due(tb testing.TB, at time.Time) (due []catalog.Deletion) {
	tb.Helper()
	for d, err := range f.Deletions(tb.Context(), f.store.ID, at) {
		check(tb, err)
		due = append(due, d)
	}
	return due
}

func (f *fixture) remove(tb testing.TB, paths ...string) {
	tb.Helper()
	_, err := f.Remove(tb.Context(), f.begin(tb), paths)
	check(tb, err)
}

// TestDeletion goes all the way: a file is replaced, its old version
// forgotten, and the archive queued, deleted and gone.
func TestDeletion(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	remote := f.upload(t, f.run, regular("f", "one"))
	f.upload(t, f.begin(t), regular("f", "two"))
	if n := f.retireOld(t, "f"); n != 1 {
		t.Errorf("%d versions forgotten", n)
	}
	if n := f.retireOld(t, "f"); n != 0 {
		t.Errorf("%d versions forgotten again", n)
	}
	queued, err := f.QueueDeletions(ctx, f.run)
	check(t, err)
	if queued != (firn.Count{Files: 1, Bytes: 3}) {
		t.Errorf("queued %+v", queued)
	}
	if early := f.due(t, epoch.Add(quarter-time.Second)); len(early) != 0 {
		t.Errorf("due too soon: %+v", early)
	}
	due := f.due(t, epoch.Add(quarter))
	want := catalog.Deletion{Archive: 1, Remote: remote, Size: 3, Created: epoch, NotBefore: epoch.Truncate(time.Second).Add(quarter), Run: f.run.ID, Why: "old"}
	if len(due) == 1 && !due[0].Token.IsZero() {
		want.Token = due[0].Token // it was drawn
	}
	if len(due) != 1 || due[0] != want || want.Token.IsZero() {
		t.Fatalf("due: %+v, want %+v", due, want)
	}

	check(t, f.DeletionAsked(ctx, 1))
	check(t, f.DeletionAsked(ctx, 1)) // said twice
	if due = f.due(t, epoch.Add(quarter)); len(due) != 1 || !due[0].Asked {
		t.Errorf("asked for: %+v", due)
	}
	check(t, f.MarkDeleted(ctx, f.run, 1))
	wantKind(t, f.DeletionAsked(ctx, 1), firn.NotFound, "archive 1")
	if due = f.due(t, epoch.Add(quarter)); len(due) != 0 {
		t.Errorf("after it is gone: %+v", due)
	}
	if got, want := f.list(t, catalog.ListQuery{Tree: f.tree.ID, All: true}), "f@2"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	checkInvariants(t, f.Catalog)
}

// TestDeletionOfSharedContent: content that is removed from one path, and one
// tree, is there in another, as current version or as old one.
func TestDeletionOfSharedContent(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 3, 100)
	other, err := f.Bind(t.Context(), f.store.ID, "other", "laptop", "/")
	check(t, err)
	elsewhere, err := f.BeginRun(t.Context(), f.store.ID, other.ID, "sync")
	check(t, err)
	f.upload(t, f.run, regular("f", "shared"))
	f.record(t, elsewhere, directory(""), directory("a"), directory("b"), directory("z"), regular("z/copy", "shared"))
	for i := range 10 {
		f.upload(t, f.run, regular(fmt.Sprint("g", i), fmt.Sprint("content", i)))
	}
	f.remove(t, "f")
	f.retireOld(t, "f")
	if due := f.queue(t); len(due) != 0 {
		t.Errorf("queued though it is current elsewhere: %+v", due)
	}
	elsewhere, err = f.BeginRun(t.Context(), f.store.ID, other.ID, "sync")
	check(t, err)
	_, err = f.Remove(t.Context(), elsewhere, []string{"z"})
	check(t, err)
	if due := f.queue(t); len(due) != 0 {
		t.Errorf("queued though it is an old version elsewhere: %+v", due)
	}
	for _, err := range f.Files(t.Context(), catalog.ListQuery{Tree: other.ID, Path: "z/copy"}) {
		t.Error("it is removed", err)
	}
	old, err := f.History(t.Context(), other.ID, "z/copy")
	check(t, err)
	_, err = f.Retire(t.Context(), elsewhere, retirement, old)
	check(t, err)
	if due := f.queue(t); len(due) != 1 {
		t.Errorf("not queued though nothing refers to it: %+v", due)
	}
	checkInvariants(t, f.Catalog)
}

// TestDeletionOfManyArchives queues and lists in pages.
func TestDeletionOfManyArchives(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(3, 4, 100)
	var gone []string
	for i := range 30 {
		path := fmt.Sprintf("d/%02d", i)
		f.upload(t, f.run, regular(path, fmt.Sprint("content", i)))
		if i%3 > 0 {
			gone = append(gone, path)
		}
	}
	f.remove(t, gone...)
	var old []catalog.Entry
	for e, err := range f.Files(t.Context(), catalog.ListQuery{Tree: f.tree.ID, All: true}) {
		check(t, err)
		old = append(old, e) // current ones too
	}
	n, err := f.Retire(t.Context(), f.run, retirement, old)
	check(t, err)
	if due := f.queue(t); len(due) != len(gone) || n != len(gone) {
		t.Errorf("%d forgotten, %d queued, want %d", n, len(due), len(gone))
	}
	listed := 0
	for d, err := range f.Deletions(t.Context(), f.store.ID, epoch.AddDate(1, 0, 0)) {
		check(t, err)
		check(t, f.DeletionAsked(t.Context(), d.Archive))
		check(t, f.MarkDeleted(t.Context(), f.run, d.Archive))
		listed++
	}
	if listed != len(gone) || len(f.queue(t)) != 0 {
		t.Errorf("%d listed while they went, %d left", listed, len(f.queue(t)))
	}
	checkInvariants(t, f.Catalog)
}

// TestRetirePassesOver what is current, and what may be all that the store has
// of a path.
func TestRetirePassesOver(t *testing.T) {
	for name, replace := range map[string]func(*testing.T, *fixture){
		"on its way": func(t *testing.T, f *fixture) { f.intendBundle(t, f.begin(t), bundled(regular("f", "two"))...) },
		"dropped": func(t *testing.T, f *fixture) {
			in := f.intendBundle(t, f.begin(t), bundled(regular("f", "two"))...)
			check(t, f.Drop(t.Context(), in.ID, "no reason"))
		},
		"lost": func(t *testing.T, f *fixture) {
			f.upload(t, f.begin(t), regular("f", "two"))
			loc, _, err := f.FindContent(t.Context(), f.store.ID, content("two"))
			check(t, err)
			check(t, f.MarkLost(t.Context(), f.run, []int64{loc.Archive}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.upload(t, f.run, regular("f", "one"))
			replace(t, f)
			if n := f.retireOld(t, "f"); n != 0 {
				t.Error("the version that counts was forgotten")
			}
			f.remove(t, "f")
			if n := f.retireOld(t, "f"); n != 2 {
				t.Errorf("of the removed path %d versions were forgotten", n)
			}
			checkInvariants(t, f.Catalog)
		})
	}
}

// TestCandidatesWait until their archive has an outcome.
func TestCandidatesWait(t *testing.T) {
	f := newFixture(t)
	in := f.intendBundle(t, f.run, bundled(regular("f", "one"), regular("g", "two"))...)
	f.upload(t, f.begin(t), regular("f", "three"))
	f.remove(t, "g")
	f.retireOld(t, "f")
	f.retireOld(t, "g")
	if due := f.queue(t); len(due) != 0 {
		t.Errorf("queued while on its way: %+v", due)
	}
	f.stored(t, f.run, in)
	if due := f.queue(t); len(due) != 1 || due[0].Archive != in.ID {
		t.Errorf("not queued though it came too late: %+v", due)
	}
}

// TestDeletionWaits for restores, and for inventories.
func TestDeletionWaits(t *testing.T) {
	for name, c := range map[string]struct {
		hold    func(*fixture, int64) error
		release func(*fixture)
	}{
		"a retrieval": {
			hold: func(f *fixture, archive int64) error {
				_, err := f.JobIntent(context.Background(), catalog.Job{Store: f.store.ID, Run: f.run.ID, Token: firn.NewToken(), Archive: archive, Remote: firn.Job{Kind: firn.RetrievalJob}})
				return err
			},
			release: func(f *fixture) { f.clock.Advance(8 * 24 * time.Hour) },
		},
		"a double": {
			hold: func(f *fixture, _ int64) error { return nil }, // it is one from the start
			release: func(f *fixture) {
				doubts, _ := f.Doubts(context.Background(), f.store.ID)
				f.ResolveDoubt(context.Background(), doubts[0].ID)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ctx := t.Context()
			ch := regular("f", "one")
			in := f.intend(t, f.run, ch)
			if name == "a double" {
				check(t, f.Doubtful(ctx, in.ID, epoch))
				check(t, f.Retry(ctx, in.ID))
			}
			check(t, f.Stored(ctx, in.ID, firn.Archive{ID: "x", Size: 3, Tree: ch.Content.Tree}, f.run, &ch))
			f.remove(t, "f")
			f.retireOld(t, "f")
			check(t, c.hold(f, in.ID))
			if due := f.queue(t); len(due) != 0 {
				t.Errorf("due: %+v", due)
			}
			wantKind(t, f.DeletionAsked(ctx, in.ID), firn.Conflict, fmt.Sprint("archive ", in.ID))
			c.release(f)
			if due := f.queue(t); len(due) != 1 {
				t.Errorf("not due: %+v", due)
			}
			check(t, f.DeletionAsked(ctx, in.ID))
		})
	}
}

// TestUnknownAge: of an archive whose making nobody dated, the end of the run
// that stored it counts.
func TestUnknownAge(t *testing.T) {
	f := newFixture(t)
	ch := regular("f", "one")
	in := f.intend(t, f.run, ch)
	check(t, f.Stored(t.Context(), in.ID, firn.Archive{ID: "x", Size: 3, Tree: ch.Content.Tree}, f.run, &ch))
	f.clock.Advance(time.Hour)
	ended := f.clock.Now()
	check(t, f.EndRun(t.Context(), f.run, catalog.Outcome{}))
	f.clock.Advance(time.Hour)
	f.remove(t, "f")
	f.retireOld(t, "f")
	due := f.queue(t)
	if len(due) != 1 || !due[0].NotBefore.Equal(ended.Truncate(time.Second).Add(quarter)) || !due[0].Created.Equal(time.Time{}) {
		t.Errorf("%+v", due)
	}
}

// TestReferredToAgain: content that is to be deleted is wanted again, at each
// moment of its way out.
func TestReferredToAgain(t *testing.T) {
	steps := []struct {
		name string
		step func(*testing.T, *fixture)
	}{
		{"candidate", func(t *testing.T, f *fixture) { f.retireOld(t, "f") }},
		{"claimed", func(t *testing.T, f *fixture) {
			_, err := catalog.ClaimCandidates(f.Catalog, t.Context(), f.run)
			check(t, err)
		}},
		{"looked for", func(t *testing.T, f *fixture) { check(t, f.ClearReferred(t.Context(), f.run)) }},
		{"queued", func(t *testing.T, f *fixture) {
			_, err := catalog.QueueClaimed(f.Catalog, t.Context(), f.run)
			check(t, err)
		}},
		{"asked for", func(t *testing.T, f *fixture) { f.DeletionAsked(t.Context(), 1) }},
	}
	for at := range steps {
		t.Run(steps[at].name, func(t *testing.T) {
			f := newFixture(t)
			f.upload(t, f.run, regular("f", "one"))
			f.remove(t, "f")
			for _, s := range steps[:at+1] {
				s.step(t, f)
			}
			_, found, err := f.FindContent(t.Context(), f.store.ID, content("one"))
			check(t, err)
			_, err = f.Record(t.Context(), f.begin(t), []catalog.Change{regular("again", "one")})
			if steps[at].name == "asked for" {
				wantKind(t, err, firn.NotFound, "again")
				if found {
					t.Error("its content is found")
				}
				return
			}
			check(t, err)
			if !found {
				t.Error("its content is not found")
			}
			for _, s := range steps[at+1:] {
				s.step(t, f)
			}
			if due := f.due(t, epoch.AddDate(1, 0, 0)); len(due) != 0 {
				t.Errorf("it is to be deleted still: %+v", due)
			}
			wantKind(t, f.DeletionAsked(t.Context(), 1), firn.NotFound, "archive 1")
			checkInvariants(t, f.Catalog)
		})
	}
}

// TestCandidateAgain: while one looks for what refers to a candidate, it is
// referred to where that one has looked already, and becomes a candidate anew.
func TestCandidateAgain(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	f.upload(t, f.run, regular("f", "one"))
	f.remove(t, "f")
	f.retireOld(t, "f")
	_, err := catalog.ClaimCandidates(f.Catalog, ctx, f.run)
	check(t, err)
	check(t, f.ClearReferred(ctx, f.run))
	other := f.begin(t)
	f.record(t, other, regular("a", "one"), regular("b", "one"))
	f.remove(t, "b")
	f.retireOld(t, "b")
	if _, err := catalog.QueueClaimed(f.Catalog, ctx, f.run); err != nil {
		t.Fatal(err)
	}
	if due := f.due(t, epoch.AddDate(1, 0, 0)); len(due) != 0 {
		t.Errorf("queued though a is there: %+v", due)
	}
	checkInvariants(t, f.Catalog)
}

// TestDeletionRace lets one side delete what the other may refer to again.
func TestDeletionRace(t *testing.T) {
	f := newFixture(t)
	f.SetSizes(2, 2, 10)
	ctx := t.Context()
	var all sync.WaitGroup
	work := func(name string, step func(run catalog.Run, i int)) {
		tree, err := f.Bind(ctx, f.store.ID, name, "h", "/"+name)
		check(t, err)
		all.Go(func() {
			for i := range 60 {
				run, err := f.BeginRun(ctx, f.store.ID, tree.ID, "sync")
				if err != nil {
					t.Error(err)
				}
				step(run, i)
			}
		})
	}
	failed := func(err error) bool {
		if err != nil {
			t.Error(err)
		}
		return err != nil
	}
	for _, name := range []string{"a", "b"} {
		work(name, func(run catalog.Run, i int) {
			ch := regular(fmt.Sprint("f", i%3), strings.Repeat("x", i%5+1))
			_, err := f.Record(ctx, run, []catalog.Change{ch})
			if firn.KindOf(err) == firn.NotFound {
				in := newBundle()
				if failed(f.IntendBundle(ctx, &in, run, bundled(ch))) {
					return
				}
				err = f.Stored(ctx, in.ID, firn.Archive{ID: firn.ArchiveID(in.Token.String()), Size: in.Size}, run, nil)
			}
			failed(err)
		})
	}
	work("pruner", func(run catalog.Run, i int) {
		for _, tree := range []string{"a", "b"} {
			t, err := f.Tree(ctx, f.store.ID, tree)
			if failed(err) {
				return
			}
			for e, err := range f.Files(ctx, catalog.ListQuery{Tree: t.ID, All: true}) {
				if !failed(err) {
					_, err = f.Retire(ctx, run, catalog.Retirement{}, []catalog.Entry{e})
					failed(err)
				}
			}
		}
		_, err := f.QueueDeletions(ctx, run)
		failed(err)
		for d, err := range f.Deletions(ctx, f.store.ID, epoch.AddDate(1, 0, 0)) {
			failed(err)
			if err := f.DeletionAsked(ctx, d.Archive); firn.KindOf(err) != firn.NotFound && !failed(err) {
				failed(f.MarkDeleted(ctx, run, d.Archive))
			}
		}
	})
	all.Wait()
	checkInvariants(t, f.Catalog)
	rows, err := f.Query(ctx, "SELECT count(*) FROM archive WHERE state = 22")
	check(t, err)
	if rows[0][0] == int64(0) {
		t.Error("nothing was deleted: the race was none")
	}
}
