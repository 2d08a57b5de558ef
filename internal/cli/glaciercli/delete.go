package glaciercli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/lockfile"
	"github.com/firn-archive/firn/internal/wire"
)

// completeIf is the outcome of a run that ended with err.
func completeIf(err error) catalog.Outcome { return catalog.Outcome{Complete: err == nil} }

// archiveDelete deletes one archive.
func (p *program) archiveDelete(ctx context.Context, c *call) error {
	row, err := p.row(ctx, c.words[0], c.words[1])
	if err != nil {
		return err
	}
	d, err := p.newDeletions(ctx, c.words[0])
	if err != nil {
		return err
	}
	defer d.close()
	return d.end(ctx, d.delete(ctx, row))
}

// deletions are what one run deletes.
type deletions struct {
	*program
	*session
	run catalog.Run
}

func (p *program) newDeletions(ctx context.Context, vault string) (*deletions, error) {
	s, err := p.openChecked(ctx, vault, false)
	if err != nil {
		return nil, err
	}
	d := &deletions{program: p, session: s}
	if d.run, err = s.catalog.BeginRun(ctx, s.entry.ID, 0, "glacier archive delete"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return d, nil
}

func (d *deletions) end(ctx context.Context, err error) error {
	return errors.Join(err, d.catalog.EndRun(context.WithoutCancel(ctx), d.run, completeIf(err)))
}

// delete deletes an archive, from the vault first and then from what is recorded of
// it. What a tree of firn's needs stays, and so does what firn has copied elsewhere:
// there it would go on to be.
func (d *deletions) delete(ctx context.Context, row foreign.CacheRow) error {
	lock, err := d.lock(ctx) // nobody takes it in meanwhile
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if to, ok, err := d.copyOf(ctx, row.ID); err != nil {
		return err
	} else if ok {
		return fmt.Errorf("archive %s was copied to %s, and would go on to be there; delete it with: firn archive delete %s %s", repr(reference(&row)), to.URL, to.URL, to.Remote)
	}
	known, err := d.catalog.AccountOf(ctx, d.entry.ID, row.ID)
	if err == nil && known.HasAccount {
		err = d.mayGo(ctx, known)
	}
	if err == nil {
		err = d.condemn(ctx, known)
	}
	if err == nil {
		err = d.DeleteArchive(ctx, row.ID)
	}
	if err != nil {
		return err
	}
	record := context.WithoutCancel(ctx)
	if known.HasAccount {
		err = d.catalog.MarkDeleted(record, d.run, known.ID)
	} else {
		err = d.catalog.Bury(record, d.run, firn.Archive{ID: row.ID, Tree: row.Tree})
	}
	return errors.Join(err, d.cache.Deleted(record, row.ID, d.Clock.Now()))
}

// How long another process that deletes is waited for, and how often it is looked
// whether it is done.
const (
	lockWait = 10 * time.Minute
	lockPoll = 100 * time.Millisecond
)

// lock takes the lock of the vault; git-annex deletes with several processes at a
// time.
func (d *deletions) lock(ctx context.Context) (*lockfile.Lock, error) {
	for waited := time.Duration(0); ; waited += lockPoll {
		lock, err := wire.LockStore(d.env(), d.entry, "archive delete")
		if firn.KindOf(err) != firn.Conflict || waited >= lockWait {
			return lock, err
		}
		if err := d.Clock.Sleep(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// mayGo gives an error for what must stay.
func (d *deletions) mayGo(ctx context.Context, known catalog.Account) error {
	if known.State != catalog.NoArchive && known.State < catalog.Stored {
		return fmt.Errorf("whether archive %s is stored isn't known yet; settle that first with: firn store refresh %s", known.Remote, d.Location)
	}
	for ref, err := range d.catalog.References(ctx, []int64{known.ID}) {
		if err != nil {
			return err
		}
		return fmt.Errorf("archive %s holds %s of the tree %s, which firn keeps; a version that is to go is let go of by: firn sync --delete-removed", known.Remote, repr(ref.Path), ref.Tree)
	}
	snapshots, err := d.catalog.Snapshots(ctx, d.entry.ID)
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		if s.Archive == known.ID && known.State == catalog.Stored {
			return fmt.Errorf("archive %s is a snapshot of firn's catalog, from which a lost machine is recovered", known.Remote)
		}
	}
	return nil
}

// condemn records that an archive of firn's own is about to go, so that no sync
// refers to it from now on.
func (d *deletions) condemn(ctx context.Context, known catalog.Account) error {
	if known.State != catalog.Stored || !known.HasAccount {
		return nil
	}
	why := catalog.Retirement{MinAge: d.Traits().MinDuration, Why: "glacier archive delete"}
	if err := d.catalog.Condemn(ctx, d.run, why, []int64{known.ID}); err != nil {
		return err
	}
	err := d.release(ctx, known)
	if err == nil {
		err = d.catalog.DeletionAsked(ctx, known.ID)
	}
	if err != nil {
		err = errors.Join(err, d.catalog.Reprieve(context.WithoutCancel(ctx), known.ID))
	}
	return err
}

// release lets go of the jobs by which glacier archive retrieve was to bring an
// archive: whoever deletes it need not wait for them. What a restore of firn's waits
// for must stay.
func (d *deletions) release(ctx context.Context, known catalog.Account) error {
	wanted, err := d.catalog.WantedByRestore(ctx, known.ID)
	if !wanted || err != nil {
		return err
	}
	jobs, err := d.catalog.OpenJobs(ctx, d.entry.ID)
	if err != nil {
		return err
	}
	var own []int64
	for _, job := range jobs {
		if job.Archive != known.ID {
			continue
		}
		run, err := d.catalog.Run(ctx, job.Run)
		if err != nil {
			return err
		}
		if run.Command == retrieveCommand {
			own = append(own, job.ID)
		}
	}
	if err := d.catalog.JobsGone(ctx, own, "its archive is deleted"); err != nil {
		return err
	}
	if wanted, err = d.catalog.WantedByRestore(ctx, known.ID); wanted && err == nil {
		err = fmt.Errorf("archive %s is what a restore of firn's waits for; it can be deleted when that is done, or given up with: firn restore --cancel %s", known.Remote, d.Location)
	}
	return err
}
