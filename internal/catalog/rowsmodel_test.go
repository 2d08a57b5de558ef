package catalog_test

import (
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/treehash"
)

// A past is a store's history as it happens: syncs of several trees that go on
// at once, and die, with archives whose outcome is open for a while.
type past struct {
	*fixture
	t     *testing.T
	trees []catalog.Tree
	runs  map[int64]catalog.Run // of each tree, that goes on
	open  []opened
	texts int
	page  int // sizes
	batch int64
	// forgot is whether versions were forgotten since it was last set to false.
	forgot bool
}

// An opened is an intent whose outcome is open.
type opened struct {
	catalog.Intent
	change *catalog.Change // of one file; nil: it is a bundle
}

func newPast(t *testing.T, rt *rapid.T) *past {
	p := &past{fixture: newFixture(t), t: t, runs: map[int64]catalog.Run{}}
	p.seed(t)
	p.page, p.batch = rapid.IntRange(1, 5).Draw(rt, "page"), rapid.Int64Range(1, 4).Draw(rt, "batch")
	p.SetSizes(p.page, p.batch, 2)
	for _, name := range []string{"one", "two"} {
		tree, err := p.Bind(t.Context(), p.store.ID, name, "nas", "/"+name)
		check(t, err)
		p.trees = append(p.trees, tree)
	}
	return p
}

// alive reports whether a run goes on.
func (p *past) alive(run catalog.Run) bool { return p.runs[run.Tree].ID == run.ID }

// sync gives the run of a tree that goes on, or begins one.
func (p *past) sync(rt *rapid.T) catalog.Run {
	tree := rapid.SampledFrom(p.trees).Draw(rt, "tree")
	if _, ok := p.runs[tree.ID]; !ok {
		run, err := p.BeginRun(p.t.Context(), p.store.ID, tree.ID, "sync")
		check(rt, err)
		p.runs[tree.ID] = run
	}
	return p.runs[tree.ID]
}

// fresh makes what has content of its own, so that no other archive has it.
func (p *past) fresh(ch catalog.Change) catalog.Change {
	if ch.Content.Size > 0 {
		p.texts++
		ch.Content = content(fmt.Sprint("text ", p.texts))
		ch.Stamp.Size = ch.Content.Size
	}
	return ch
}

// step lets something happen.
func (p *past) step(rt *rapid.T) {
	steps := []func(*rapid.T){p.recordSome, p.recordSome, p.bundleSome, p.bundleSome, p.sendAgain, p.sendFile, p.settleOne, p.settleOne, p.removeSome, p.endRun, p.retireSome, p.loseOne}
	steps[rapid.IntRange(0, len(steps)-1).Draw(rt, "what happens")](rt)
}

func (p *past) recordSome(rt *rapid.T) {
	changes := rapid.SliceOfN(rapid.Custom(genChange), 1, 3).Draw(rt, "changes")
	_, err := p.Record(p.t.Context(), p.sync(rt), changes)
	check(rt, err)
}

func (p *past) bundleSome(rt *rapid.T) {
	changes := rapid.SliceOfN(rapid.Custom(genChange), 1, 3).Draw(rt, "changes")
	run := p.sync(rt)
	for i := range changes {
		if rapid.Bool().Draw(rt, "unlike the seed") {
			changes[i] = p.fresh(changes[i])
		}
	}
	p.bundle(rt, run, changes)
}

func (p *past) bundle(rt *rapid.T, run catalog.Run, changes []catalog.Change) {
	in := newBundle()
	if err := p.IntendBundle(p.t.Context(), &in, run, bundled(changes...)); err == nil {
		p.open = append(p.open, opened{in, nil})
	} else if firn.KindOf(err) != firn.Conflict {
		rt.Fatal(err)
	}
}

// sendAgain sends a file whose archive the store hasn't got, as it is,
// unless another one has its content.
func (p *past) sendAgain(rt *rapid.T) {
	run := p.sync(rt)
	var all []catalog.Change
	for d, err := range p.Current(p.t.Context(), run.Tree) {
		check(rt, err)
		for _, file := range d.Files {
			if file.State == catalog.Dropped || file.State == catalog.Lost {
				all = append(all, catalog.Change{File: file.File, Content: file.Content, Read: file.Read, LinkGroup: file.LinkGroup})
			}
		}
	}
	if len(all) == 0 {
		return
	}
	some := []catalog.Change{rapid.SampledFrom(all).Draw(rt, "file")}
	if _, err := p.Record(p.t.Context(), run, some); firn.KindOf(err) == firn.NotFound {
		p.bundle(rt, run, some)
	} else {
		check(rt, err)
	}
}

func (p *past) sendFile(rt *rapid.T) {
	ch := p.fresh(regular(genPath(rt), "text"))
	run := p.sync(rt)
	p.open = append(p.open, opened{p.intend(p.t, run, ch), &ch})
}

// settleOne ends an intent: the run that it is of does, or a later one of the
// tree which finds it open.
func (p *past) settleOne(rt *rapid.T) {
	if len(p.open) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.open)-1).Draw(rt, "intent")
	in := p.open[i]
	run, ok := p.runs[in.Tree]
	if !ok {
		return // nobody is there who would
	}
	p.open = slices.Delete(p.open, i, i+1)
	if rapid.IntRange(0, 3).Draw(rt, "outcome") == 0 {
		check(rt, p.Drop(p.t.Context(), in.ID, "no reason"))
		return
	}
	archive := firn.Archive{ID: firn.ArchiveID("archive-" + in.Token.String()), Size: in.Size, Tree: treehash.Sum([]byte(in.Token.String())), Created: epoch}
	change := in.change
	if change != nil && in.Run != run.ID {
		// As reconciliation does: it is a version of the run that read it, unless
		// there is a newer one.
		all, err := p.History(p.t.Context(), in.Tree, change.Path)
		check(rt, err)
		if slices.ContainsFunc(all, func(e catalog.Entry) bool { return e.Run > in.Run || e.Until > in.Run }) {
			change = nil
		} else {
			run.ID = in.Run
		}
	}
	err := p.Stored(p.t.Context(), in.ID, archive, run, change)
	if firn.KindOf(err) == firn.Conflict { // a later run put something below the path
		err = p.Drop(p.t.Context(), in.ID, "no place for it")
	}
	check(rt, err)
}

// loseOne finds that the store has lost an archive. What was in it is sent again,
// or is found in another one.
func (p *past) loseOne(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "rarely") > 0 {
		return
	}
	var all []int64
	for h, err := range p.Archives(p.t.Context(), p.store.ID) {
		check(rt, err)
		all = append(all, h.ID)
	}
	all = all[3:] // the seed stays
	if len(all) > 0 {
		check(rt, p.MarkLost(p.t.Context(), p.sync(rt), []int64{rapid.SampledFrom(all).Draw(rt, "archive")}))
	}
}

func (p *past) removeSome(rt *rapid.T) {
	_, err := p.Remove(p.t.Context(), p.sync(rt), []string{rapid.OneOf(rapid.Custom(genPath), rapid.Just("")).Draw(rt, "path")})
	check(rt, err)
}

// endRun ends a run, or kills it.
func (p *past) endRun(rt *rapid.T) {
	run := p.sync(rt)
	delete(p.runs, run.Tree)
	if rapid.Bool().Draw(rt, "killed") {
		return
	}
	check(rt, p.EndRun(p.t.Context(), run, catalog.Outcome{Complete: true}))
}

// retireSome forgets versions, and deletes what nothing is in any more.
func (p *past) retireSome(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "rarely") > 0 {
		return
	}
	run := p.sync(rt)
	var some []catalog.Entry
	for e, err := range p.Files(p.t.Context(), catalog.ListQuery{Tree: run.Tree, All: true}) {
		check(rt, err)
		if e.Until != 0 && e.Location.State != catalog.Dropped && rapid.Bool().Draw(rt, "this one") {
			some = append(some, e)
		}
	}
	n, err := p.Retire(p.t.Context(), run, catalog.Retirement{}, some)
	check(rt, err)
	p.forgot = p.forgot || n > 0
	_, err = p.QueueDeletions(p.t.Context(), run)
	check(rt, err)
	for d, err := range p.Deletions(p.t.Context(), p.store.ID, p.clock.Now()) {
		check(rt, err)
		check(rt, p.DeletionAsked(p.t.Context(), d.Archive))
		check(rt, p.MarkDeleted(p.t.Context(), run, d.Archive))
	}
}

// write writes the rows: all, or what is newer than a base. Meanwhile more may
// happen.
func (p *past) write(rt *rapid.T, base *rowSet, meanwhile bool) *rowSet {
	s, o := newRowSet(), catalog.RowsOptions{Alive: p.alive}
	if base != nil {
		o.Seq, o.BaseSeq, o.Base = 2, 1, base.header.Through
	}
	if meanwhile {
		s.meanwhile = func() {
			if rapid.IntRange(0, 5).Draw(rt, "meanwhile") == 0 {
				p.step(rt)
			}
		}
	}
	p.writeRows(rt, s, o)
	return s
}

// TestWriteRowsModel: what was current after each run is in the rows; and what
// adds to earlier rows, which were written while things went on, makes of them
// what there is now.
func TestWriteRowsModel(t *testing.T) {
	if testing.Short() {
		t.Skip("goes through a hundred histories")
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := newPast(t, rt)
		steps := func() {
			for range rapid.IntRange(1, 10).Draw(rt, "steps") {
				p.step(rt)
			}
		}
		steps()
		p.forgot = false
		base := p.write(rt, nil, true)
		for range 2 {
			steps()
			now := p.write(rt, nil, false)
			p.sameAsListed(rt, now)
			if base.header.Through > 0 { // else what adds to it has all
				p.sameRows(rt, base, p.write(rt, base, false), now)
			}
		}
	})
}

// sameAsListed compares whole rows with what the catalog lists as of each run.
func (p *past) sameAsListed(rt *rapid.T, all *rowSet) {
	p.SetSizes(1000, 1000, 1000)
	defer p.SetSizes(p.page, p.batch, 2)
	last := p.run.ID
	for _, run := range p.runs {
		last = max(last, run.ID)
	}
	for _, tree := range p.trees {
		p.tree = tree
		for run := p.run.ID; run <= last; run++ {
			if diff := gocmp.Diff(p.rowsAt(rt, run), all.at(tree.ID, run)); diff != "" {
				rt.Fatalf("tree %s after run %d: -listed +written\n%s", tree.Name, run, diff)
			}
		}
	}
}

// sameRows compares a base and what adds to it with whole rows. The base may
// have entries that are no more: those that were forgotten, and those that a run
// which went on when it was made took back.
func (p *past) sameRows(rt *rapid.T, base, added, all *rowSet) {
	got := added.over(base)
	if diff := gocmp.Diff(all.heads, got.heads); diff != "" {
		rt.Fatalf("heads: -want +got\n%s", diff)
	}
	if diff := gocmp.Diff(all.archives, got.archives); diff != "" {
		rt.Fatalf("archives: -want +got\n%s", diff)
	}
	for k, e := range got.entries {
		if _, ok := all.entries[k]; !ok && (p.forgot || k.since > base.header.Through) {
			continue
		}
		if diff := gocmp.Diff(all.entries[k], e); diff != "" {
			rt.Fatalf("%v: -want +got\n%s", k, diff)
		}
	}
	for k := range all.entries {
		if _, ok := got.entries[k]; !ok {
			rt.Fatalf("%v is missing", k)
		}
	}
}
