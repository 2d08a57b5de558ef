package mtglacier

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/mtjournal"
)

// A keeper deletes archives, but for those that must stay, since a tree of firn's
// has them too.
type keeper struct {
	*session
	journal *journal
	users   map[firn.ArchiveID]string // the file of firn's
}

// keeper finds out which archives of the journal must stay.
func (s *session) keeper(ctx context.Context, j *journal) (*keeper, error) {
	k := &keeper{session: s, journal: j, users: map[firn.ArchiveID]string{}}
	if s.catalog == nil {
		return k, nil
	}
	var rows []int64
	ids := map[int64]firn.ArchiveID{}
	for kept, err := range s.catalog.Kept(ctx, s.row.ID) {
		if err != nil {
			return nil, err
		}
		if kept.Kind != catalog.LooseArchive && j.has(string(kept.Remote)) {
			rows, ids[kept.ID] = append(rows, kept.ID), kept.Remote
		}
	}
	if len(rows) == 0 {
		return k, nil
	}
	for ref, err := range s.catalog.References(ctx, rows) {
		if err != nil {
			return nil, err
		}
		if id := ids[ref.Archive]; k.users[id] == "" {
			k.users[id] = ref.Path + " of the tree " + ref.Tree
		}
	}
	return k, nil
}

// delete deletes an archive, and writes that down. An error is one that ends the
// command; what is wrong with this archive alone is told.
func (k *keeper) delete(ctx context.Context, rec mtjournal.Record) error {
	id := firn.ArchiveID(rec.Archive)
	if user := k.users[id]; user != "" {
		k.error("archive %s of %s stays: firn keeps %s in it", rec.Archive, rec.Path, user)
		return nil
	}
	err := k.store.DeleteArchive(ctx, id)
	switch firn.KindOf(err) {
	case firn.NotFound:
		k.error("archive %s of %s was never in the vault %s, and its line stays: is it the vault of this journal?", rec.Archive, rec.Path, k.Vault)
		return nil
	case firn.Invalid:
		k.error("%v", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := k.journal.deleted(rec.Path, rec.Archive); err != nil {
		return fmt.Errorf("archive %s of %s is deleted, but the journal can't be written: %w", rec.Archive, rec.Path, err)
	}
	k.did("Deleted %s archive_id [%s]", rec.Path, rec.Archive)
	return k.forget(context.WithoutCancel(ctx), id)
}

// forget tells the catalog that an archive is deleted, if it knows it.
func (k *keeper) forget(ctx context.Context, id firn.ArchiveID) error {
	if k.catalog == nil {
		return nil
	}
	loc, known, err := k.catalog.ArchiveByRemote(ctx, k.row.ID, id)
	if err != nil || !known || loc.State != catalog.Stored && loc.State != catalog.Foreign {
		return err
	}
	return k.catalog.MarkDeleted(ctx, *k.work, loc.Archive)
}

// deleteAll deletes archives, as many at a time as there are workers.
func (k *keeper) deleteAll(ctx context.Context, doomed []mtjournal.Record) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(k.Concurrency)
	for _, rec := range doomed {
		group.Go(func() error { return k.delete(ctx, rec) })
	}
	return group.Wait()
}

// purgeVault deletes every archive that the journal has, of whatever version, as
// far as the filter keeps it.
func (r *runner) purgeVault(ctx context.Context) error {
	if r.DryRun {
		j, err := r.readJournal(true)
		if err != nil {
			return err
		}
		for rec := range j.state.All() {
			r.say("Will DELETE archive %s (filename %s)", rec.Archive, rec.Path)
		}
		if j.state.Len() == 0 {
			r.say("Nothing to delete")
		}
		return nil
	}
	j, err := r.openJournal(true)
	if err != nil {
		return err
	}
	defer j.close()
	r.started(r.Concurrency)
	if j.state.Len() == 0 {
		r.say("Nothing to delete")
		return nil
	}
	return r.asRun(ctx, r.open, func(s *session) error { return s.purge(ctx, j) })
}

func (s *session) purge(ctx context.Context, j *journal) error {
	if s.catalog != nil {
		moved, ok, err := s.catalog.MovedTo(ctx, s.row.Identity)
		if err != nil {
			return err
		}
		if ok && !moved.Copied {
			return fmt.Errorf("the archives of vault %s are on their way to %s: what is deleted now would never arrive; wait until firn migrate is done", s.Vault, moved.URL)
		}
	}
	k, err := s.keeper(ctx, j)
	if err != nil {
		return err
	}
	var doomed []mtjournal.Record
	for rec := range j.state.All() {
		doomed = append(doomed, rec)
	}
	return k.deleteAll(ctx, doomed)
}
