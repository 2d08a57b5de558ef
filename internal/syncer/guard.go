package syncer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/plan"
)

// A mass of changes is more than both of these of the files that a tree had at
// the last sync: changed, or gone. It is another disk under the same path, a
// disk that is half there, or a program that encrypts files.
const (
	massFiles = 1000
	massPart  = 4 // one in so many
)

// maxHeld is how many decisions are held back in memory, some 30 MB of them.
// Where there are more, disk and catalog are compared a second time.
const maxHeld = 50_000

// planned is the comparison of the disk with the catalog. Where a tree has
// enough files for a mass of changes, nothing comes out until it is sure that
// there is none: then all of it does, or else an error of kind Conflict alone.
func (s *syncer) planned(ctx context.Context) iter.Seq2[*plan.Dir, error] {
	if s.ExpectChanges || s.tree.Files <= massFiles {
		return s.watched(s.compared(ctx))
	}
	return s.guarded(ctx)
}

// compared compares the disk with the catalog, as both are now.
func (s *syncer) compared(ctx context.Context) iter.Seq2[*plan.Dir, error] {
	return s.announced(ctx, s.merge(ctx, known(s.Catalog.Current(ctx, s.tree.ID)), s.since))
}

// guarded is planned where a mass of changes may come. All of an unchanged tree
// passes in one comparison, and so does nearly every other: there is nothing to
// fear any more once the files that were not looked at yet are too few.
func (s *syncer) guarded(ctx context.Context) iter.Seq2[*plan.Dir, error] {
	return func(yield func(*plan.Dir, error) bool) {
		g := s.newGuard()
		for dir, err := range s.watched(s.compared(ctx)) {
			if err != nil {
				yield(nil, err)
				return
			}
			if g.passed {
				if !yield(dir, nil) {
					return
				}
				continue
			}
			if g.weigh(dir); !g.passed {
				continue
			}
			if g.overflown {
				break
			}
			if !s.release(g, yield) {
				return
			}
		}
		if g.passed && !g.overflown {
			return
		}
		if err := s.settle(ctx, g); err != nil {
			yield(nil, err)
			return
		}
		for dir, err := range s.watched(s.compared(ctx)) {
			if !yield(dir, err) {
				return
			}
		}
	}
}

// release lets out what was held back.
func (s *syncer) release(g *guard, yield func(*plan.Dir, error) bool) bool {
	s.tally.addAll(firn.Unchanged, g.unchanged)
	held := g.held
	g.held = nil
	for _, dir := range held {
		if !yield(dir, nil) {
			return false
		}
	}
	return true
}

// settle gives an error where there is a mass of changes.
func (s *syncer) settle(ctx context.Context, g *guard) error {
	if g.passed {
		return nil
	}
	g.held = nil
	if !g.isMass(g.changed+g.gone) && g.isMass(g.changed+g.gone+g.unsure) {
		if err := s.ascertain(ctx, g); err != nil {
			return err
		}
	}
	if !g.isMass(g.changed + g.gone) {
		return nil
	}
	return &firn.Error{Op: "sync", Subject: s.Root, Kind: firn.Conflict, Err: g.report(),
		Hint: "nothing was sent. Is it the right disk, with all that should be mounted in it? If this is as it should be, run it again with --expect-changes"}
}

// A guard weighs decisions.
type guard struct {
	known int64 // files that the tree had
	modes Modes

	// Of those:
	same    int64 // surely no change, or not to be acted upon
	changed int64 // other content
	unsure  int64 // other content perhaps: to be hashed
	unread  int64 // of the unsure: since they were never compared
	gone    int64
	sample  []string // paths of some that are changed or gone

	passed    bool // there is no mass of changes, whatever comes
	unchanged firn.Count
	held      []*plan.Dir // what there is to do; to be let out once it has passed
	weight    int         // decisions in held
	most      int         // that it may hold
	overflown bool        // it was more, and held is empty
}

func (s *syncer) newGuard() *guard {
	return &guard{known: s.tree.Files, modes: s.Modes, most: cmp.Or(s.held, maxHeld)}
}

func (g *guard) isMass(files int64) bool { return files > massFiles && files*massPart > g.known }

// weigh takes in decisions.
func (g *guard) weigh(dir *plan.Dir) {
	kept := &plan.Dir{Path: dir.Path, Self: keep(&dir.Self), Mount: dir.Mount, Skipped: dir.Skipped, Err: dir.Err}
	for i := range dir.Entries {
		d := &dir.Entries[i]
		g.count(d)
		if d.Action != plan.Unchanged {
			kept.Entries = append(kept.Entries, keep(d))
			continue
		}
		g.unchanged.Files++
		g.unchanged.Bytes += contentSize(d.File)
	}
	g.hold(kept)
	g.passed = !g.isMass(g.known - g.same)
}

// keep copies a decision, which would keep all of its page in memory.
func keep(d *plan.Decision) plan.Decision {
	c := *d
	if d.File != nil {
		c.File = new(*d.File)
	}
	if d.Known != nil {
		c.Known = new(*d.Known)
	}
	return c
}

// hold keeps what there is to do until it is let out.
func (g *guard) hold(dir *plan.Dir) {
	n := len(dir.Entries) + len(dir.Skipped)
	if dir.Self.Action == plan.Unchanged && n == 0 && dir.Err == nil {
		return
	}
	if g.weight += 1 + n; g.weight > g.most {
		g.overflown, g.held = true, nil
	}
	if !g.overflown {
		g.held = append(g.held, dir)
	}
}

// count counts a decision about a file that the tree had and the store held.
func (g *guard) count(d *plan.Decision) {
	k := d.Known
	switch {
	case k == nil || k.File.Kind != firn.Regular:
	case g.modes.declines(d) != "", !k.Stored && !k.Lost: // the latter is on its way for the first time
		g.same++
	case d.Action == plan.Removed, d.File != nil && d.File.Kind != firn.Regular:
		g.gone++
		g.show(k.File.Path)
	case d.Action == plan.Changed && k.IsUnread() && k.Content.Size == d.File.Stamp.Size:
		g.same++ // nobody knows its hash, so nothing says that it changed
	case d.Action == plan.Changed, d.Action == plan.Record && d.File.Stamp.Size != k.Content.Size:
		g.changed++
		g.show(k.File.Path)
	case d.Action == plan.Hash:
		g.unsure++
		if k.IsUnread() {
			g.unread++
		}
	default:
		g.same++
	}
}

// show notes a path for the message.
func (g *guard) show(path string) {
	const some = 3
	if len(g.sample) < some {
		g.sample = append(g.sample, strings.Clone(path))
	}
}

// report says what there is.
func (g *guard) report() error {
	return fmt.Errorf("of %d files that were there at the last sync, %d have changed and %d are gone, such as %s",
		g.known, g.changed, g.gone, strings.Join(g.sample, ", "))
}
