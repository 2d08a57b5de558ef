package syncer

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/plan"
)

// isUnread reports whether a decision is about a file that is to be read since
// nobody ever compared it with what the store has of it.
func (o *Options) isUnread(d *plan.Decision) bool {
	if d.File == nil || d.Known == nil || !d.Known.IsUnread() || d.File.Kind != firn.Regular || d.File.Stamp.Size != d.Known.Content.Size {
		return false
	}
	return (d.Action == plan.Hash || d.Action == plan.Changed) && o.Modes.declines(d) == ""
}

// An unread counts such files.
type unread struct {
	read firn.Count // to be hashed
	send firn.Count // of which nobody knows a hash to compare with
}

func (u *unread) add(d *plan.Decision) {
	n := &u.read
	if d.Known.Content.Tree.IsZero() {
		n = &u.send
	}
	n.Files++
	n.Bytes += d.File.Stamp.Size
}

// tell says how much it is, if it is anything.
func (u *unread) tell(o *Options) {
	if *u != (unread{}) {
		o.Events(firn.CompareEvent{Tree: o.Tree, Read: u.read, Hashless: u.send, Trusting: o.TrustTimes})
	}
}

// announced passes a comparison on, and says before the first file that is
// unread how much there is of that kind: it may take days. To know it, disk and
// catalog are compared a second time; where nothing is unread that costs
// nothing.
func (s *syncer) announced(ctx context.Context, dirs iter.Seq2[*plan.Dir, error]) iter.Seq2[*plan.Dir, error] {
	return func(yield func(*plan.Dir, error) bool) {
		for dir, err := range dirs {
			if err == nil && !s.announcedUnread && slices.ContainsFunc(dir.Entries, func(d plan.Decision) bool { return s.isUnread(&d) }) {
				if err := s.announce(ctx); err != nil {
					yield(nil, err)
					return
				}
			}
			if !yield(dir, err) {
				return
			}
		}
	}
}

func (s *syncer) announce(ctx context.Context) error {
	s.announcedUnread = true
	var all unread
	for dir, err := range s.merge(ctx, known(s.Catalog.Current(ctx, s.tree.ID)), time.Time{}) {
		if err != nil {
			return err
		}
		for i := range dir.Entries {
			if d := &dir.Entries[i]; s.isUnread(d) {
				all.add(d)
			}
		}
	}
	all.tell(&s.Options)
	return nil
}

// trust records a file as it is on the disk, with the content that is stored of
// it.
func (r *recorder) trust(ctx context.Context, d plan.Decision) error {
	r.tally.add(firn.Unchanged, d.File.Stamp.Size)
	return r.keep(ctx, catalog.Change{File: *d.File, Read: r.now(), LinkGroup: linkGroup(d.File)})
}

// keep records a file that keeps the content which is recorded of it.
func (r *recorder) keep(ctx context.Context, c catalog.Change) error {
	r.kept = append(r.kept, c)
	if len(r.kept) < recordBatch {
		return nil
	}
	return r.flush(ctx)
}
