package syncer

import (
	"context"
	"iter"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
)

// dryRun takes every decision and carries out none. It reads no file, so of
// files that may be unchanged it tells that they would be looked at.
func dryRun(ctx context.Context, o Options) (Result, error) {
	s := newSyncer(o, catalog.Tree{Name: o.Tree}, catalog.Run{})
	var recorded iter.Seq2[*plan.Known, error] = func(func(*plan.Known, error) bool) {} // of a new tree: nothing
	if o.Row.ID != 0 {
		tree, err := o.Catalog.Tree(ctx, o.Row.ID, o.Tree)
		switch {
		case err == nil && (tree.Host != o.Host || tree.Root != o.Root) && !o.Moved:
			// Bind changes nothing here: it says what a sync would say.
			_, err := o.Catalog.Bind(ctx, o.Row.ID, o.Tree, o.Host, o.Root)
			return Result{}, err
		case err == nil:
			recorded = known(o.Catalog.Current(ctx, tree.ID))
		case firn.KindOf(err) != firn.NotFound:
			return Result{}, err
		}
	}
	for dir, err := range o.merge(ctx, recorded) {
		if err != nil {
			return Result{}, o.explain(err)
		}
		s.report(dir)
		for _, d := range dir.Entries {
			s.wouldDo(d)
		}
	}
	return Result{Counts: s.tally.counts(), Excluded: s.tally.excluded()}, nil
}

// wouldDo tells what a decision about a file would lead to.
func (s *syncer) wouldDo(d plan.Decision) {
	switch d.Action {
	case plan.Unchanged:
		s.tally.add(firn.Unchanged, d.File.Stamp.Size)
	case plan.New, plan.Changed:
		s.fileEvent(firn.Sent, *d.File, firn.FileEvent{Reason: d.Why})
	case plan.Hash:
		s.fileEvent(firn.Sent, *d.File, firn.FileEvent{Reason: "if its content differs: " + d.Why})
	case plan.Record:
		s.fileEvent(firn.Recorded, *d.File, firn.FileEvent{Reason: d.Why})
	case plan.Removed:
		s.fileEvent(firn.Removed, d.Known.File, firn.FileEvent{})
	}
}
