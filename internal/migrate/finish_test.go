package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/storetest"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/treehash"
)

// A finishing lets the source of a rig go, as firn migrate --finish does.
type finishing struct {
	*rig
	from, to firn.Store
	reviews  []migrate.Review
	lacking  []migrate.Lacking
}

var (
	errRefused = errors.New("copies are missing")
	errLater   = errors.New("the target's inventory doesn't tell yet")
)

// call is a call of the command; gone: the source is.
func (f *finishing) call(ctx context.Context) (res upkeep.EmptyResult, gone bool, err error) {
	e, open, err := f.Catalog.EmptyingOf(ctx, f.Row.ID)
	if err != nil {
		return res, false, err
	}
	info, err := f.from.Describe(ctx)
	if firn.KindOf(err) == firn.NotFound && (e.Leaving || !open) {
		if open {
			err = upkeep.EndStore(ctx, f.Catalog, f.Row.ID)
		}
		return res, err == nil || !open, nil
	}
	if err == nil && !open {
		e = catalog.Emptying{Store: f.Row.ID, Agreed: info.Now, Vault: true}
		err = f.Catalog.Empty(ctx, e)
	}
	var run catalog.Run
	if err == nil {
		run, err = f.Catalog.BeginRun(ctx, f.Row.ID, 0, "migrate finish")
	}
	if err != nil {
		return res, false, err
	}
	asker := retrieval.New(retrieval.Options{Catalog: f.Catalog, Row: f.Row.ID, Store: f.from, Clock: f.Clock, Events: f.Events, Run: run})
	if e.Inventory == 0 {
		inv, job, ok, err := asker.StageInventory(ctx, retrieval.Staging{})
		if err != nil || !ok {
			return upkeep.EmptyResult{Pending: !ok, Ready: retrieval.Expected(job)}, false, err
		}
		if err := f.Catalog.EmptyBy(ctx, inv.ID); err != nil {
			return res, false, err
		}
		if e, _, err = f.Catalog.EmptyingOf(ctx, f.Row.ID); err != nil {
			return res, false, err
		}
	}
	if err := f.review(ctx, e); err != nil {
		return res, false, err
	}
	if err := f.from.SetTags(ctx, map[string]string{"firn-moved": "memory=3Atarget"}); err != nil {
		return res, false, err
	}
	res, err = upkeep.Empty(ctx, upkeep.EmptyOptions{
		Catalog: f.Catalog, Row: f.Row, Store: f.from, Info: info, Asker: asker, Clock: f.Clock, Events: f.Events, Run: run,
		Concurrency: 1, Batch: 4, Before: func(ctx context.Context) error { return f.review(ctx, e) },
	}, e)
	return res, res.Gone, err
}

// review looks at the copies.
func (f *finishing) review(ctx context.Context, e catalog.Emptying) error {
	asker := retrieval.New(retrieval.Options{Catalog: f.Catalog, Row: f.row.ID, Store: f.to, Clock: f.Clock, Events: f.Events, Run: catalog.Run{Store: f.row.ID}})
	seen, err := upkeep.VerifyStore(ctx, upkeep.StoreOptions{Catalog: f.Catalog, Row: f.row.ID, Store: f.to, Asker: asker, Events: firn.Discard, Strict: true})
	if err != nil {
		return err
	}
	if seen.Pending {
		return errLater
	}
	margin := catalog.InventoryMargin
	if f.to.Traits().FreshInventory {
		margin = 0
	}
	r, err := migrate.ReviewSource(ctx, migrate.ReviewOptions{
		Catalog: f.Catalog, Source: f.Row, Target: f.row.ID, Going: e, Witness: &seen, Dated: seen.Dated, Margin: margin,
		Tell: func(l migrate.Lacking) { f.lacking = append(f.lacking, l) },
	})
	f.reviews = append(f.reviews, r)
	switch {
	case err != nil:
		return err
	case r.Lacking.Files > 0:
		return errRefused
	case r.Young.Files > 0:
		return errLater
	}
	return nil
}

// finished calls it until it is done, a day apart, or there is an error other than that
// it has to wait.
func (f *finishing) finished() (res upkeep.EmptyResult, err error) {
	f.T.Helper()
	for range 20 {
		res, gone, err := f.call(f.T.Context())
		if gone || err != nil && !errors.Is(err, errLater) || err == nil && !res.Pending {
			return res, err
		}
		f.Clock.Advance(13 * time.Hour)
	}
	f.T.Fatal("it never ends")
	return res, nil
}

// A limited store is stopped at one of the calls that go to it: before that call, or
// once it has its effect. The calls of several are counted together.
type limited struct {
	firn.Store
	c *calls
}

type calls struct {
	n, at int
	late  bool
	stop  func()
}

func (c *calls) around(ctx context.Context, call func() error) error {
	if c.n++; c.n != c.at {
		return call()
	}
	if c.late {
		call()
	}
	c.stop()
	return context.Cause(ctx)
}

func (l *limited) Describe(ctx context.Context) (i firn.StoreInfo, err error) {
	err = l.c.around(ctx, func() (err error) { i, err = l.Store.Describe(ctx); return err })
	return i, err
}

func (l *limited) StartInventory(ctx context.Context, s firn.InventorySpec) (id firn.JobID, err error) {
	err = l.c.around(ctx, func() (err error) { id, err = l.Store.StartInventory(ctx, s); return err })
	return id, err
}

func (l *limited) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (i firn.InventoryInfo, err error) {
	err = l.c.around(ctx, func() (err error) { i, err = l.Store.Inventory(ctx, id, each); return err })
	return i, err
}

func (l *limited) Job(ctx context.Context, id firn.JobID) (j firn.Job, err error) {
	err = l.c.around(ctx, func() (err error) { j, err = l.Store.Job(ctx, id); return err })
	return j, err
}

func (l *limited) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	return l.c.around(ctx, func() error { return l.Store.DeleteArchive(ctx, id) })
}

func (l *limited) SetTags(ctx context.Context, tags map[string]string) error {
	return l.c.around(ctx, func() error { return l.Store.SetTags(ctx, tags) })
}

func (l *limited) Delete(ctx context.Context) error {
	return l.c.around(ctx, func() error { return l.Store.Delete(ctx) })
}

// hold fails unless all that is in the source no more, of what ever was in it, is in
// the target.
func (f *finishing) hold(all []firn.Archive) {
	f.T.Helper()
	there := map[firn.ArchiveID]bool{}
	for _, a := range f.Memory.Archives() {
		there[a.ID] = true
	}
	copies := map[treehash.Hash]bool{}
	for _, a := range f.target.Archives() {
		copies[a.Tree] = true
	}
	for _, a := range all {
		if !there[a.ID] && !copies[a.Tree] {
			f.T.Fatalf("%s is gone, and has no copy", a.ID)
		}
	}
}

// moved is a rig whose source was moved, to a target with inventories every so often.
func newMoved(t *testing.T, from, to storetest.MemoryOptions) (f *finishing, want map[string]string) {
	t.Helper()
	r := newRig(t, from)
	to.Name, to.Clock = "target", r.Clock
	r.target = storetest.NewMemory(to)
	r.behind(r.target)
	for i := range 9 {
		r.Write(fmt.Sprint("f", i), fmt.Sprint("content ", i))
	}
	r.Sync()
	r.Clock.Advance(from.InventoryEvery)
	want = map[string]string{}
	for i := range 9 {
		want[fmt.Sprint("f", i)] = fmt.Sprint("content ", i)
	}
	if res, err := r.over(r.options()); err != nil || !res.Done {
		t.Fatalf("%+v, %v", res, err)
	}
	return &finishing{rig: r, from: r.Memory, to: r.target}, want
}

// TestFinishStoppedAnywhere: stopped at any call to either store, before it or behind
// it, nothing is gone that has no copy; the next call goes on, and all ends alike.
func TestFinishStoppedAnywhere(t *testing.T) {
	for name, o := range map[string]storetest.MemoryOptions{"at once": {}, "over days": {JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour}} {
		step := 1
		if testing.Short() || o.JobDelay == 0 { // the calls that take no days are among the others
			step = 6
		}
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " late ", late), func(t *testing.T) {
				for at := 1; ; at += step {
					f, want := newMoved(t, o, o)
					f.Clock.Advance(30 * time.Hour)
					all := f.Memory.Archives()
					ctx, cancel := context.WithCancelCause(t.Context())
					c := &calls{at: at, late: late, stop: func() { cancel(errStopped) }}
					f.from, f.to = &limited{f.Memory, c}, &limited{f.target, c}
					for range 20 {
						_, gone, err := f.call(ctx)
						if gone || errors.Is(err, errStopped) {
							break
						}
						if err != nil && !errors.Is(err, errLater) {
							t.Fatalf("stop %d: %v", at, err)
						}
						f.Clock.Advance(24 * time.Hour)
					}
					f.hold(all)
					f.from, f.to = f.Memory, f.target
					if _, err := f.finished(); err != nil {
						t.Fatalf("after stop %d: %v", at, err)
					}
					if _, err := f.Memory.Describe(t.Context()); firn.KindOf(err) != firn.NotFound {
						t.Fatalf("stop %d: the source is still there: %v", at, err)
					}
					f.hold(all)
					f.checked()
					if c.n < at { // it was never reached
						if f.to.Traits().InstantJobs {
							f.expect(f.restored(nil), want)
						}
						if at < 15 {
							t.Errorf("only %d calls", at)
						}
						return
					}
				}
			})
		}
	}
}

// TestFinishWaitsForTheTargetsInventory: of a target that lists what it has once a day
// nothing is believed that its inventory can't know: no copy too young to be in it, and
// none that it should list and doesn't.
func TestFinishWaitsForTheTargetsInventory(t *testing.T) {
	slow := storetest.MemoryOptions{JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour}
	f, _ := newMoved(t, slow, slow)
	all := f.Memory.Archives()
	n := len(all)
	waited := 0
	for {
		res, gone, err := f.call(t.Context())
		if len(f.Memory.Archives()) < n {
			if !slices.ContainsFunc(f.reviews, func(r migrate.Review) bool { return r.Good() && r.Copied.Files == int64(n) }) {
				t.Fatalf("deleted after %+v", f.reviews)
			}
		}
		if gone || err != nil && !errors.Is(err, errLater) {
			if err != nil {
				t.Fatalf("%v: %+v, %+v", err, f.lacking, f.reviews)
			}
			break
		}
		if errors.Is(err, errLater) {
			waited++
		}
		f.Clock.Advance(5 * time.Hour)
		if waited > 50 {
			t.Fatalf("%+v", res)
		}
	}
	if waited < 2 {
		t.Errorf("it waited only %d times for the target's inventory", waited)
	}
	f.hold(all)

	// A copy that is gone shows only in an inventory that is made after.
	f, _ = newMoved(t, slow, slow)
	f.Clock.Advance(60 * time.Hour)
	gone := f.target.Archives()[3]
	f.must(f.target.DeleteArchive(t.Context(), gone.ID))
	f.Clock.Advance(60 * time.Hour)
	if _, err := f.finished(); !errors.Is(err, errRefused) || len(f.Memory.Archives()) != n {
		t.Errorf("%v, with %d archives left", err, len(f.Memory.Archives()))
	}
	if len(f.lacking) == 0 || f.lacking[0].Copy != gone.ID || f.reviews[len(f.reviews)-1].Unlisted != 1 {
		t.Errorf("lacking: %+v", f.lacking)
	}
}

// TestWhatComesWhileItGoesStays: what another machine stores in the source after it was
// agreed that it goes, in the midst of the deletions too, is not deleted, nor is the
// store; that is told. Moved as well, all goes.
func TestWhatComesWhileItGoesStays(t *testing.T) {
	for name, o := range map[string]storetest.MemoryOptions{"at once": {}, "over days": {JobDelay: 4 * time.Hour, InventoryEvery: 24 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			f, _ := newMoved(t, o, o)
			f.Clock.Advance(60 * time.Hour)
			all := f.Memory.Archives()
			var came firn.ArchiveID
			f.from = &meddled{f.Memory, 4, func() {
				data := []byte("of another machine")
				sums := treehash.NewDouble()
				sums.Write(data)
				f.Clock.Advance(time.Second)
				var err error
				came, err = f.Memory.UploadArchive(t.Context(), "theirs", io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), sums.Sums())
				f.must(err)
			}}
			res, err := f.finished()
			f.must(err)
			if left := f.Memory.Archives(); res.Gone || len(left) != 1 || left[0].ID != came {
				t.Fatalf("%+v, with %d archives left, and not %s alone", res, len(left), came)
			}
			if res.Others.Files != 1 && o.InventoryEvery == 0 {
				t.Errorf("told of %+v", res)
			}
			f.hold(all)
			f.checked()
		})
	}
}

// A meddled store has something happen before a deletion.
type meddled struct {
	firn.Store
	n   int
	now func()
}

func (m *meddled) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	if m.n--; m.n == 0 {
		m.now()
	}
	return m.Store.DeleteArchive(ctx, id)
}
