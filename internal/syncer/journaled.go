package syncer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/mtjournal"
)

// A lag is what a journal and the catalog have not in common.
type lag struct {
	missing map[int64]int64  // rows of stored archives without a line, and the runs that sent them
	deleted map[lineKey]bool // that have lines, and are deleted

	others map[int64]int64 // how many lines are of other trees, by the tree

	// What only people can see to:
	unknown int64 // lines of archives that the catalog knows nothing of
	revoked int64 // archives that are stored, and of which the journal says that they are deleted
	bundles int64 // archives of the tree that no line can stand for
}

// bringUpToDate writes the lines that the journal lacks of what the catalog has
// recorded: a run may have been killed between the two, or worked without a
// journal.
func (s *syncer) bringUpToDate(ctx context.Context) error {
	if s.scribe == nil {
		return nil
	}
	l, err := s.lag(ctx)
	if err != nil {
		return err
	}
	if err := s.isOfOthers(ctx, l.others); err != nil {
		return err
	}
	s.tellLag(l)
	if err := s.writeCreated(ctx, l.missing); err != nil {
		return err
	}
	return s.writeDeleted(l.deleted)
}

// readJournal reads the journal for a dry run, which writes nothing.
func (s *syncer) readJournal(ctx context.Context) (err error) {
	if s.scribe, err = s.peekJournal(); s.scribe == nil || err != nil {
		return err
	}
	s.Bundling.Below = 0
	l, err := s.lag(ctx)
	if err == nil {
		err = s.isOfOthers(ctx, l.others)
	}
	if err == nil {
		s.tellLag(l)
	}
	return err
}

// isOfOthers refuses a journal of another directory: the names in it don't say
// of which they are. Two trees of one directory may share it.
func (s *syncer) isOfOthers(ctx context.Context, others map[int64]int64) error {
	if len(others) == 0 {
		return nil
	}
	trees, err := s.Catalog.Trees(ctx, s.Row.ID)
	if err != nil {
		return err
	}
	for _, t := range trees {
		if n := others[t.ID]; n > 0 && (t.Root != s.Root || t.Host != s.Host) {
			return &firn.Error{Op: "sync", Subject: s.Root, Kind: firn.Conflict, Hint: "give each directory a journal of its own",
				Err: fmt.Errorf("%d lines of %s are of %s on %s", n, s.scribe.path, t.Root, t.Host)}
		}
	}
	return nil
}

// lag compares the journal with the catalog.
func (s *syncer) lag(ctx context.Context) (l lag, err error) {
	sc := s.scribe
	l = lag{missing: map[int64]int64{}, deleted: map[lineKey]bool{}, others: map[int64]int64{}}
	for k, err := range s.Catalog.Kept(ctx, s.Row.ID) {
		if err != nil {
			return l, err
		}
		key := lineKeyOf(k.Remote)
		sc.mu.Lock()
		line, has := sc.lines[key]
		if has {
			sc.lines[key] = line | isKnown
		}
		sc.mu.Unlock()
		if has && k.Tree != 0 && k.Tree != s.tree.ID {
			l.others[k.Tree]++
		}
		switch {
		case k.State == catalog.Deleted && line&isCreated != 0:
			l.deleted[key] = true
		case k.State != catalog.Stored || line&isCreated != 0:
		case line&isDeleted != 0:
			l.revoked++
		case k.Kind == catalog.BundleArchive && k.Tree == s.tree.ID && k.Tree != 0:
			l.bundles++
		case (k.Kind == catalog.FileArchive || k.Kind == catalog.ForeignArchive) && !k.Packed && (k.Tree == s.tree.ID || k.Run == 0):
			l.missing[k.ID] = k.Run
		}
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	for _, line := range sc.lines {
		if line&(isCreated|isKnown) == isCreated {
			l.unknown++
		}
	}
	return l, nil
}

// tellLag says, once a run, what only people can see to.
func (s *syncer) tellLag(l lag) {
	sc := s.scribe
	if sc.told {
		return
	}
	sc.told = true
	notice := func(n int64, format string) {
		if n > 0 {
			s.Events(firn.NoticeEvent{Text: fmt.Sprintf(format, n, sc.path, s.Row.URL)})
		}
	}
	notice(l.unknown, "%[1]d archives in %[2]s are not in the catalog: if they are in this vault, take them in with firn adopt %[3]s --journal %[2]s")
	notice(l.revoked, "%[1]d archives that the catalog takes for stored are deleted, as %[2]s says: another program did that, and an inventory will show it")
	notice(l.bundles, "%[1]d archives of this tree hold several files each, and have no lines in %[2]s: to have all files in it, sync them as another tree, with --tree NAME")
}

// writeCreated writes lines for archives of this tree. Of several files that
// share an archive the one has it that it was sent for.
func (s *syncer) writeCreated(ctx context.Context, missing map[int64]int64) error {
	if len(missing) == 0 {
		return nil
	}
	lines := lateLines{syncer: s}
	rest := map[int64]mtjournal.Record{} // of archives whose first version is forgotten
	for e, err := range s.Catalog.Files(ctx, catalog.ListQuery{Tree: s.tree.ID, All: true}) {
		if err != nil {
			return err
		}
		run, wanted := missing[e.Location.Archive]
		if !wanted || !isAlone(&e) {
			continue
		}
		r := s.lineOf(&e)
		if run != 0 && run != e.Run {
			if _, has := rest[e.Location.Archive]; !has {
				rest[e.Location.Archive] = r
			}
			continue
		}
		delete(missing, e.Location.Archive)
		delete(rest, e.Location.Archive)
		if err := lines.add(r); err != nil {
			return err
		}
	}
	for _, archive := range slices.Sorted(maps.Keys(rest)) {
		if err := lines.add(rest[archive]); err != nil {
			return err
		}
	}
	return lines.end()
}

// lateLines are written some at a time.
type lateLines struct {
	*syncer
	lines []mtjournal.Record
	unfit int64
}

func (l *lateLines) add(r mtjournal.Record) error {
	if !l.scribe.fits(&r) {
		l.unfit++
		return nil
	}
	if l.lines = append(l.lines, r); len(l.lines) < linesAtOnce {
		return nil
	}
	err := l.scribe.write(l.lines...)
	l.lines = l.lines[:0]
	return err
}

func (l *lateLines) end() error {
	if l.unfit > 0 {
		l.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("%d archives have names that %s can't hold, and no lines there", l.unfit, l.scribe.path)})
	}
	return l.scribe.write(l.lines...)
}

// isAlone reports whether a version is a file that has its archive for itself.
func isAlone(e *catalog.Entry) bool {
	l := &e.Location
	return e.Kind == firn.Regular && l.State == catalog.Stored && l.Offset == 0 && l.Size == e.Content.Size && !l.Tree.IsZero()
}

// lineOf is the line of a version that was stored earlier.
func (s *syncer) lineOf(e *catalog.Entry) mtjournal.Record {
	when := e.Location.Created
	if when.IsZero() {
		when = s.now()
	}
	return createdLine(when, e.Path, e.Stamp.ModTime, firn.Archive{ID: e.Location.Remote, Size: e.Location.Size, Tree: e.Location.Tree})
}

// writeDeleted writes lines for archives that are gone, under the names that the
// journal has for them.
func (s *syncer) writeDeleted(deleted map[lineKey]bool) error {
	if len(deleted) == 0 {
		return nil
	}
	lines := lateLines{syncer: s}
	var failed error
	err := s.scribe.read(func(r *mtjournal.Record) {
		if key := lineKeyOf(r.Archive); r.Op == mtjournal.Created && deleted[key] && failed == nil {
			delete(deleted, key)
			failed = lines.add(deletedLine(s.now(), r.Path, r.Archive))
		}
	}, func(error) {})
	if err = cmp.Or(failed, err); err != nil {
		return err
	}
	return lines.end()
}
