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
	hash  bool
	why   string
	mount bool // of a directory: it is on another volume than its parent
	// intent is that of an upload in this run whose answer got lost.
	intent int64
}

// A recorder gathers what needs no upload into commits.
type recorder struct {
	*syncer
	changes     []catalog.Change
	kept        []catalog.Change // of files that were not read
	removed     []string         // files and links
	removedDirs []string
	mount       bool // the directory at hand is on another volume than its parent
}

// decide goes through the decisions in order.
func (s *syncer) decide(ctx context.Context, decisions iter.Seq2[*plan.Dir, error], uploads chan<- upload) error {
	r := &recorder{syncer: s}
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
		}
	}
	return r.flush(ctx)
}

// watched tells how far a comparison is.
func (s *syncer) watched(dirs iter.Seq2[*plan.Dir, error]) iter.Seq2[*plan.Dir, error] {
	return func(yield func(*plan.Dir, error) bool) {
		var seen firn.ScanEvent
		for dir, err := range dirs {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, d := range dir.Entries {
				if d.File != nil {
					seen.Files++
					seen.Bytes += d.File.Stamp.Size
				}
			}
			s.Events(seen)
			if !yield(dir, nil) {
				return
			}
		}
		seen.Done = true
		s.Events(seen)
	}
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

// unanswered is why something is pending.
const unanswered = "its upload was never answered; the next inventory shows whether it arrived"

// take carries out one decision, or hands it to the uploads.
func (r *recorder) take(ctx context.Context, d plan.Decision, uploads chan<- upload) error {
	if r.Modes.declines(&d) != "" {
		r.decline(&d)
		return nil
	}
	switch d.Action {
	case plan.Unchanged:
		if d.File != nil && d.File.Kind != firn.Directory {
			r.tally.add(firn.Unchanged, d.File.Stamp.Size)
		}
	case plan.Record:
		if r.Bundling.carries(&d) {
			return r.give(ctx, upload{file: *d.File, mount: d.File.Kind == firn.Directory && r.mount, why: d.Why}, uploads)
		}
		return r.record(ctx, d)
	case plan.Trust:
		return r.trust(ctx, d)
	case plan.Removed:
		return r.remove(ctx, d.Known)
	case plan.Again:
		if r.Modes.ReplaceModified {
			if err := r.suspect(ctx, d.File.Path); err != nil {
				return err
			}
		}
		return r.send(ctx, d, uploads)
	case plan.New, plan.Changed, plan.Hash:
		return r.send(ctx, d, uploads)
	}
	return nil
}

// decline counts what the modes skip. There may be a great many such files in
// every run: only a dry run names them.
func (r *recorder) decline(d *plan.Decision) {
	f := d.File
	if f == nil {
		f = &d.Known.File
	}
	if f.Kind != firn.Directory {
		r.tally.add(firn.Skipped, contentSize(f))
	}
}

func (r *recorder) send(ctx context.Context, d plan.Decision, uploads chan<- upload) error {
	file := *d.File
	if in, ok := r.pending[file.Path]; ok && in.File.Stamp.Equal(file.Stamp) {
		r.fileEvent(firn.Pending, file, firn.FileEvent{Reason: unanswered})
		return nil
	}
	if why := r.Budget.over(file.Path, file.Stamp.Size, r.requestsFor(&file)); why != "" {
		r.leave(file, why)
		return nil
	}
	u := upload{file: file, hash: d.Action == plan.Hash, why: d.Why}
	if d.Known != nil {
		u.known = new(*d.Known)
	}
	r.Events(firn.PlanEvent{Files: 1, Bytes: file.Stamp.Size})
	return r.give(ctx, u, uploads)
}

func (r *recorder) give(ctx context.Context, u upload, uploads chan<- upload) error {
	select {
	case uploads <- u:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// carries reports whether an entry without content goes into a bundle, so that
// the store alone can tell of it.
func (b Bundling) carries(d *plan.Decision) bool { return b.Below > 0 && isNews(d) }

// isNews reports whether an entry without content is new, or has become a link,
// an empty file, or another link. Folders change their times all the time.
func isNews(d *plan.Decision) bool {
	f, k := d.File, d.Known
	if f.Path == "" || f.Kind == firn.Regular && f.Stamp.Size > 0 {
		return false
	}
	return k == nil || k.File.Kind != f.Kind || k.File.Target != f.Target || f.Kind == firn.Regular && k.Content.Size > 0
}

func (r *recorder) record(ctx context.Context, d plan.Decision) error {
	c := catalog.Change{File: *d.File, Read: r.now(), Mount: d.File.Kind == firn.Directory && r.mount}
	switch {
	case c.Kind != firn.Regular:
	case c.Stamp.Size == 0:
		c.Content.Tree = emptyTree
	default:
		// Only its metadata differs. It was not read: its times stay those of
		// the content that is stored, and show the next run what to hash.
		c.Content, c.Read, c.Stamp = d.Known.Content, d.Known.Read, d.Known.File.Stamp
	}
	if c.Kind != firn.Directory {
		c.LinkGroup = linkGroup(d.File)
		r.fileEvent(firn.Recorded, c.File, firn.FileEvent{})
	}
	if c.Content.Tree.IsZero() && c.Kind == firn.Regular {
		return r.keep(ctx, c) // nobody knows the hash of what is stored
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
	if known.File.Kind == firn.Directory {
		r.removedDirs = append(r.removedDirs, known.File.Path)
	} else {
		r.removed = append(r.removed, known.File.Path)
	}
	if len(r.removed)+len(r.removedDirs) < recordBatch {
		return nil
	}
	return r.flush(ctx)
}

func (r *recorder) flush(ctx context.Context) error {
	if _, err := r.Catalog.RemoveKind(ctx, r.this, firn.Regular, r.removed); err != nil {
		return err
	}
	if _, err := r.Catalog.RemoveKind(ctx, r.this, firn.Directory, r.removedDirs); err != nil {
		return err
	}
	if len(r.changes) > 0 {
		if _, err := r.Catalog.Record(ctx, r.this, r.changes); err != nil {
			return err
		}
	}
	if len(r.kept) > 0 {
		if _, err := r.Catalog.RecordTrusted(ctx, r.this, r.kept); err != nil {
			return err
		}
	}
	r.changes, r.kept, r.removed, r.removedDirs = r.changes[:0], r.kept[:0], r.removed[:0], r.removedDirs[:0]
	return nil
}

// retried gives files as decisions again, after a reconciliation.
func (s *syncer) retried(ctx context.Context, files []upload) iter.Seq2[*plan.Dir, error] {
	return func(yield func(*plan.Dir, error) bool) {
		slices.SortFunc(files, func(a, b upload) int { return scan.Compare(a.file.Path, b.file.Path) })
		for _, u := range files {
			_, state, err := s.Catalog.ArchiveState(ctx, u.intent)
			if err != nil {
				yield(nil, err)
				return
			}
			if state == catalog.Stored {
				s.Events(firn.PlanEvent{Files: 1, Bytes: u.file.Stamp.Size}) // it was, after all
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
