package syncer

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
	"github.com/firn-archive/firn/internal/scan"
)

// recordBatch is how many entries are recorded in one commit.
const recordBatch = 2000

// An upload is a file that the plan wants looked at by the engine.
type upload struct {
	file  firn.File
	known *plan.Entry // what the catalog has of it; nil: nothing
	// hash: it may be unchanged, so its content decides.
	hash bool
	why  string
}

// A recorder gathers what needs no upload into commits.
type recorder struct {
	*syncer
	changes []catalog.Change
	removed []string
	mount   bool // the directory at hand is on another volume than its parent
}

// decide goes through the decisions in order.
func (s *syncer) decide(ctx context.Context, decisions iter.Seq2[*plan.Dir, error], uploads chan<- upload) error {
	r := &recorder{syncer: s}
	var seen firn.ScanEvent
	for dir, err := range decisions {
		if err != nil {
			return err
		}
		s.report(dir)
		r.mount = dir.Mount
		if err := r.take(ctx, dir.Self, uploads); err != nil {
			return err
		}
		for _, d := range dir.Entries {
			if err := r.take(ctx, d, uploads); err != nil {
				return err
			}
			if d.File != nil {
				seen.Files++
				seen.Bytes += d.File.Stamp.Size
			}
		}
		s.Events(seen)
	}
	seen.Done = true
	s.Events(seen)
	return r.flush(ctx)
}

// report tells what the scan could not or would not see.
func (s *syncer) report(dir *plan.Dir) {
	if dir.Err != nil {
		s.fileEvent(firn.Failed, firn.File{Path: dir.Path, Kind: firn.Directory}, firn.FileEvent{Err: dir.Err})
	}
	for _, skip := range dir.Skipped {
		s.reportSkip(skip)
	}
}

func (s *syncer) reportSkip(skip scan.Skip) {
	file := firn.File{Path: skip.Path}
	if skip.Err != nil {
		s.fileEvent(firn.Failed, file, firn.FileEvent{Reason: skip.Reason, Err: skip.Err})
		return
	}
	if !skip.Unseen {
		s.fileEvent(firn.Skipped, file, firn.FileEvent{Reason: skip.Reason})
		return
	}
	s.tally.exclude(skip.Reason)
	s.fileEvent(firn.Excluded, file, firn.FileEvent{Reason: skip.Reason})
	for path := range s.resumable {
		if path == skip.Path || strings.HasPrefix(path, skip.Path+"/") {
			s.used.add(path) // a later run, without the filter, may go on with it
		}
	}
}

// take carries out one decision, or hands it to the uploads.
func (r *recorder) take(ctx context.Context, d plan.Decision, uploads chan<- upload) error {
	switch d.Action {
	case plan.Unchanged:
		if d.File != nil && d.File.Kind != firn.Directory {
			r.tally.add(firn.Unchanged, d.File.Stamp.Size)
		}
	case plan.Record:
		return r.record(ctx, d)
	case plan.Removed:
		return r.remove(ctx, d.Known)
	case plan.New, plan.Changed, plan.Hash:
		return r.send(ctx, d, uploads)
	}
	return nil
}

func (r *recorder) send(ctx context.Context, d plan.Decision, uploads chan<- upload) error {
	file := *d.File
	if in, ok := r.pending[file.Path]; ok && in.File.Stamp.Equal(file.Stamp) {
		r.fileEvent(firn.Pending, file, firn.FileEvent{Reason: "its upload was never answered; the next inventory shows whether it arrived"})
		return nil
	}
	u := upload{file: file, hash: d.Action == plan.Hash, why: d.Why}
	if d.Known != nil {
		u.known = new(*d.Known)
	}
	r.Events(firn.PlanEvent{Files: 1, Bytes: file.Stamp.Size})
	select {
	case uploads <- u:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *recorder) record(ctx context.Context, d plan.Decision) error {
	c := catalog.Change{File: *d.File, Read: r.now(), Mount: d.File.Kind == firn.Directory && r.mount}
	switch {
	case c.Kind != firn.Regular:
	case c.Stamp.Size == 0:
		c.Content.Tree = emptyTree
	default: // only its metadata differs; it was not read
		c.Content, c.Read = d.Known.Content, d.Known.Read
	}
	if c.Kind != firn.Directory {
		r.fileEvent(firn.Recorded, c.File, firn.FileEvent{})
	}
	r.changes = append(r.changes, c)
	if len(r.changes) < recordBatch {
		return nil
	}
	return r.flush(ctx)
}

// remove marks an entry as gone. It comes after the records that stand before
// it in walk order, so that a path that changed its kind keeps its new entry.
func (r *recorder) remove(ctx context.Context, known *plan.Entry) error {
	if known.File.Kind != firn.Directory {
		r.fileEvent(firn.Removed, known.File, firn.FileEvent{})
	}
	r.removed = append(r.removed, known.File.Path)
	if len(r.removed) < recordBatch {
		return nil
	}
	return r.flush(ctx)
}

func (r *recorder) flush(ctx context.Context) error {
	if len(r.removed) > 0 {
		if _, err := r.Catalog.Remove(ctx, r.this, r.removed); err != nil {
			return err
		}
	}
	if len(r.changes) > 0 {
		if _, err := r.Catalog.Record(ctx, r.this, r.changes); err != nil {
			return err
		}
	}
	r.changes, r.removed = r.changes[:0], r.removed[:0]
	return nil
}

// retried gives files as decisions again, after a reconciliation.
func (s *syncer) retried(ctx context.Context, files []upload) iter.Seq2[*plan.Dir, error] {
	return func(yield func(*plan.Dir, error) bool) {
		slices.SortFunc(files, func(a, b upload) int { return scan.Compare(a.file.Path, b.file.Path) })
		for _, u := range files {
			stored, err := s.isStored(ctx, u.file)
			if err != nil {
				yield(nil, err)
				return
			}
			if stored {
				s.fileEvent(firn.Sent, u.file, firn.FileEvent{Reason: "its upload had arrived, though the answer got lost"})
				continue
			}
			d := plan.Decision{Action: plan.Changed, Why: u.why, File: &u.file, Known: u.known}
			dir := &plan.Dir{Self: plan.Decision{Action: plan.Unseen}, Entries: []plan.Decision{d}}
			if !yield(dir, nil) {
				return
			}
		}
	}
}
