package syncer

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
)

// dryRun takes every decision and carries out none. It reads no file, so of
// files that may be unchanged it tells that they would be looked at.
func dryRun(ctx context.Context, o Options) (Result, error) {
	var tree catalog.Tree
	var recorded iter.Seq2[*plan.Known, error] = func(func(*plan.Known, error) bool) {} // of a new tree: nothing
	if o.Row.ID != 0 {
		var err error
		tree, err = o.Catalog.Tree(ctx, o.Row.ID, o.Tree)
		switch {
		case err == nil && tree.IsBound() && (tree.Host != o.Host || tree.Root != o.Root) && !o.Moved:
			// Bind changes nothing here: it says what a sync would say.
			_, err := o.Catalog.Bind(ctx, o.Row.ID, o.Tree, o.Host, o.Root)
			return Result{}, err
		case err == nil:
			recorded = known(o.Catalog.Current(ctx, tree.ID))
		case firn.KindOf(err) != firn.NotFound:
			return Result{}, err
		}
	}
	if err := o.checkSealed(tree); err != nil {
		return Result{}, err
	}
	s := newSyncer(o, tree, catalog.Run{})
	if err := s.readJournal(ctx); err != nil {
		return Result{}, err
	}
	g := s.newGuard()
	ahead, err := s.newOutlook()
	if err != nil {
		return Result{}, err
	}
	d := &foreseer{syncer: s, ahead: ahead, parting: parting{removed: map[uint64]bool{}}}
	for dir, err := range s.watched(o.merge(ctx, recorded, time.Time{})) {
		if err != nil {
			return Result{}, o.explain(err)
		}
		s.report(dir)
		d.wouldKeep(&dir.Self)
		for i := range dir.Entries {
			g.count(&dir.Entries[i])
			d.wouldDo(dir.Entries[i])
		}
	}
	d.unread.tell(&s.Options)
	s.foretell(g)
	if err := d.part(ctx); err != nil {
		return Result{}, err
	}
	return Result{Counts: s.tally.counts(), Excluded: s.tally.excluded(), Outlook: ahead.end(), dry: true}, nil
}

// A foreseer tells what a sync would do, and what that comes to.
type foreseer struct {
	*syncer
	ahead   *outlook
	unread  unread
	parting parting
}

// foretell warns of a mass of changes, at which a sync would stop.
func (s *syncer) foretell(g *guard) {
	if s.ExpectChanges || !g.isMass(g.changed+g.gone+g.unsure) {
		return
	}
	text := "without --expect-changes a sync would stop here: "
	if !g.isMass(g.changed + g.gone) {
		text = fmt.Sprintf("without --expect-changes a sync would hash %d files first, and stop here if too many have changed: ", g.unsure)
	}
	s.Events(firn.NoticeEvent{Text: text + g.report().Error(), Warn: true})
}

// wouldDo tells what a decision about a file would lead to.
func (s *foreseer) wouldDo(d plan.Decision) {
	if why := s.Modes.declines(&d); why != "" {
		f := d.File
		if f == nil {
			f = &d.Known.File
		}
		s.fileEvent(firn.Skipped, *f, firn.FileEvent{Reason: why})
		return
	}
	if s.isUnread(&d) {
		s.unread.add(&d)
	}
	switch d.Action {
	case plan.Unchanged, plan.Trust:
		s.tally.add(firn.Unchanged, d.File.Stamp.Size)
	case plan.New, plan.Changed, plan.Again:
		if err := s.scribe.check(d.File); err != nil {
			s.fileEvent(firn.Failed, *d.File, firn.FileEvent{Err: err})
			return
		}
		if !s.wouldSend(d.File, d.Why) {
			return
		}
	case plan.Hash:
		if !s.wouldSend(d.File, "if its content differs: "+d.Why) {
			return
		}
		s.ahead.unsure++
	case plan.Record:
		if isNews(&d) && s.ahead.add(d.File) != nil {
			s.fileEvent(firn.Left, *d.File, firn.FileEvent{Reason: s.Budget.limits.costOf() + " is reached"})
			return
		}
		s.fileEvent(firn.Recorded, *d.File, firn.FileEvent{Reason: d.Why})
	case plan.Removed:
		why := ""
		if s.Modes.DeleteRemoved {
			why = "with all its versions"
		}
		s.fileEvent(firn.Removed, d.Known.File, firn.FileEvent{Reason: why})
	}
	if s.Partings != nil {
		s.wouldEnd(&d)
	}
}

// wouldSend tells that a file would be sent, as far as the limits go.
func (s *foreseer) wouldSend(f *firn.File, why string) bool {
	requests := s.requestsFor(f)
	over := s.Budget.over(f.Path, f.Stamp.Size, requests)
	if over == "" && s.ahead.add(f) != nil {
		over = s.Budget.over(f.Path, f.Stamp.Size, requests)
	}
	if over != "" {
		s.fileEvent(firn.Left, *f, firn.FileEvent{Reason: over})
		return false
	}
	_ = s.Budget.take(f.Path, f.Stamp.Size, requests) // it is not over
	s.fileEvent(firn.Sent, *f, firn.FileEvent{Reason: why})
	return true
}

// wouldKeep takes in what a bundle would tell of a directory.
func (s *foreseer) wouldKeep(d *plan.Decision) {
	if d.Action == plan.Record && s.Modes.declines(d) == "" && isNews(d) {
		_ = s.ahead.add(d.File) // over the limits it waits, with what is in it
	}
}
