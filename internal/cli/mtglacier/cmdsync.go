package mtglacier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/mtjournal"
)

// A fate is what becomes of a file.
type fate uint8

const (
	stays    fate = iota
	verifies      // it is hashed, and sent where the hash is another
	goes          // it is sent
)

// judge tells what becomes of a file, by the latest version of it in the journal.
// A time that the journal doesn't know counts as the same.
func (d Detect) judge(l *local, rec *mtjournal.Record) fate {
	touched := rec.HasMTime && rec.MTime != l.mtime.Unix()
	switch {
	case l.size != rec.Size, d == DetectAlways:
		return goes
	case d == DetectMtime && touched, d == DetectMtimeOrTreehash && touched:
		return goes
	case d == DetectTreehash, d == DetectMtimeOrTreehash, d == DetectMtimeAndTreehash && touched:
		return verifies
	}
	return stays
}

// A syncing is one sync.
type syncing struct {
	*runner
	journal *journal
	walk    *walk
	known   map[string]bool // names of the journal that were seen on the disk

	mu   sync.Mutex
	left int // files that may still be sent or deleted; below 0: any
}

// take takes a file out of --max-number-of-files. Only what is done counts.
func (s *syncing) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return false
	}
	s.left--
	return true
}

// sync sends what is new or modified, and deletes what is gone from the disk: as
// far as it was told to.
func (r *runner) sync(ctx context.Context) (err error) {
	s := &syncing{runner: r, known: map[string]bool{}, left: r.MaxNumberOfFiles}
	if r.DryRun {
		return s.dryRun(ctx)
	}
	if s.journal, err = r.openJournal(false); err != nil {
		return err
	}
	defer s.journal.close()
	r.started(r.Concurrency)
	return r.asRun(ctx, r.openTarget, func(vault *session) error { return s.work(ctx, vault) })
}

// dryRun says what a sync would do. It makes the journal, as that does.
func (s *syncing) dryRun(ctx context.Context) (err error) {
	f, err := os.OpenFile(s.at(s.Journal), os.O_RDONLY|os.O_CREATE, 0o644)
	if err != nil {
		return problemf("Cannot open journal %s: %v", s.Journal, reason(err))
	}
	f.Close()
	if s.journal, err = s.readJournal(false); err != nil {
		return err
	}
	err = s.each(ctx, func(l local, f fate, _ *mtjournal.Record) error {
		switch {
		case !s.take():
		case f == verifies:
			s.say("Will VERIFY treehash and UPLOAD %s if modified", s.below(l.name))
		default:
			s.say("Will UPLOAD %s", s.below(l.name))
		}
		return nil
	})
	if err != nil {
		return err
	}
	gone, err := s.missing()
	for _, rec := range gone {
		s.say("Will DELETE archive %s (filename %s)", rec.Archive, rec.Path)
	}
	return err
}

// each walks the tree, and gives what is to be sent, or hashed first, with the
// version that it replaces; nil where it is new.
func (s *syncing) each(ctx context.Context, send func(local, fate, *mtjournal.Record) error) error {
	s.walk = s.newWalk(func(l local) error {
		rec, known := s.journal.state.Latest(l.name)
		if !known {
			if !s.New {
				s.say("Not exists %s", l.name)
				return nil
			}
			return send(l, goes, nil)
		}
		if s.DeleteRemoved {
			s.known[l.name] = true
		}
		if !s.ReplaceModified {
			if s.New {
				s.say("Skip %s", l.name)
			}
			return nil
		}
		if f := s.Detect.judge(&l, &rec); f != stays {
			return send(l, f, &rec)
		}
		return nil
	})
	return s.walk.run(ctx)
}

// missing gives what is in the journal and gone from the disk.
func (s *syncing) missing() (gone []mtjournal.Record, err error) {
	if !s.DeleteRemoved {
		return nil, nil
	}
	for versions := range s.journal.state.Files() {
		rec := versions[len(versions)-1]
		switch {
		case s.known[rec.Path]:
		case s.walk.empty[rec.Path]:
			s.note("%s is empty now: its archive stays", rec.Path)
		case s.walk.missing(rec.Path):
			gone = append(gone, rec)
		}
	}
	if len(gone) > 0 && !s.walk.present {
		return nil, fmt.Errorf("there are no files in %s, and %d in the journal: nothing is deleted; is its disk mounted? To delete them all there is purge-vault", s.Dir, len(gone))
	}
	slices.SortFunc(gone, byName) // lines are in the order in which uploads were done
	for i := range gone {
		if !s.take() {
			return gone[:i], nil
		}
	}
	return gone, nil
}

// filesAtOnce is how many files are seen to at a time for each worker: those that
// wait for the disk or the catalog keep no other from being sent, and the more wait
// the fewer commits they need. After a kill each of them may have been sent, for all
// that is known.
const filesAtOnce = 8

// work does a sync. What is gone from the disk is deleted when all else is done.
func (s *syncing) work(ctx context.Context, vault *session) error {
	root, err := scan.OpenRoot(s.at(s.Dir))
	if err != nil {
		return err
	}
	defer root.Close()
	up, err := vault.uploads(ctx, s.journal)
	if err != nil {
		return err
	}
	k := &keeper{session: vault, journal: s.journal}
	if s.ReplaceModified || s.DeleteRemoved {
		if k, err = vault.keeper(ctx, s.journal); err != nil {
			return err
		}
	}
	if err := s.sendAll(ctx, up, k, root); err != nil {
		return err
	}
	gone, refused := s.missing()
	return errors.Join(refused, k.deleteAll(ctx, gone))
}

// A sending is a file to be seen to, and the version that it replaces; nil where it is
// new.
type sending struct {
	local
	fate
	old *mtjournal.Record
}

// sendAll walks the tree, and sees to the files while it does. Workers see to one file
// after the other: the stack that a request needs is grown once, not for each file.
func (s *syncing) sendAll(ctx context.Context, up *uploads, k *keeper, root *scan.Root) error {
	group, inner := errgroup.WithContext(ctx)
	files := make(chan sending)
	for range filesAtOnce * s.Concurrency {
		group.Go(func() error {
			for f := range files {
				if err := s.see(inner, up, k, root, f); err != nil {
					return err
				}
			}
			return nil
		})
	}
	walked := s.each(inner, func(l local, f fate, old *mtjournal.Record) error {
		if f == goes && !s.take() {
			return nil
		}
		select {
		case files <- sending{l, f, old}:
			return nil
		case <-inner.Done():
			return inner.Err()
		}
	})
	close(files)
	err := cmp.Or(group.Wait(), walked)
	return cmp.Or(err, up.finish())
}

// see sees one file into the vault, and what it replaces out of it.
func (s *syncing) see(ctx context.Context, up *uploads, k *keeper, root *scan.Root, f sending) error {
	sent, err := s.put(ctx, up, root, f.local, f.fate, f.old)
	if err == nil && sent && f.old != nil {
		err = k.delete(ctx, *f.old)
	}
	return err
}

// put sees one file into the vault. What is wrong with it alone is told; an error
// ends the run.
func (s *syncing) put(ctx context.Context, up *uploads, root *scan.Root, l local, f fate, old *mtjournal.Record) (sent bool, err error) {
	open := func() (transfer.File, error) { return l.open(root, s.at(s.Dir)) }
	var known func(context.Context, firn.Content) (bool, error)
	if f == verifies {
		known = func(_ context.Context, c firn.Content) (bool, error) { return s.isSame(&l, old, c), nil }
	}
	res, err := up.send(ctx, l.name, open, known)
	switch {
	case err == nil:
		return !res.Duplicate, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	}
	switch firn.KindOf(err) {
	case firn.Local, firn.Changed, firn.Corrupt, firn.Invalid, firn.InDoubt:
		s.error("%v", err)
		return false, nil
	}
	return false, err
}

// isSame compares a file with its version in the journal, and tells.
func (s *syncing) isSame(l *local, old *mtjournal.Record, c firn.Content) bool {
	tree, ok := old.TreeHash()
	if ok && tree == c.Tree && old.Size == c.Size {
		s.did("Checked treehash for %s - MATCH", l.name)
		return true
	}
	s.did("Checked treehash for %s - DOES NOT MATCH", l.name)
	return !s.take() // it is left for another run
}
