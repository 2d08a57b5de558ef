package retrieval

import (
	"cmp"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// outputTries bounds how often an inventory is asked for whose output is gone
// when it is to be read.
const outputTries = 3

// defaultBatch is a compromise: larger ones are faster, by fewer commits, and take
// memory.
const defaultBatch = 8192

// A Staging says how an inventory is read into the catalog.
type Staging struct {
	// Batch is how many archives are written at a time, while the next ones are
	// read; 0: 8,192. Up to three times as many are held in memory.
	Batch int
	// Wait waits for the store's inventory.
	Wait bool
	// NotBefore is when its job was asked for at the earliest, by the store's clock;
	// zero: whenever.
	NotBefore time.Time
	// Progress is told after each batch what was read so far; nil: nobody is.
	Progress func(firn.Count)
	// Sieve is called for each reading, and gives what picks those of a batch that are
	// to be staged; nil: all are. The inventory counts those alone.
	Sieve func() Sieve
	// Recall saves a request for each archive that it knows, where a list tells
	// little: see firn.Lister. What it gives is staged. nil: it knows none.
	Recall firn.Recall
}

// A Sieve picks archives of a batch, which it may change.
type Sieve func(ctx context.Context, batch []firn.Archive) ([]firn.Archive, error)

// A Reading reads an inventory, and hands each archive to each, as
// firn.Retriever.Inventory does.
type Reading func(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error)

// A Staged is an inventory that was read into the catalog, to be compared with
// what that knows: see catalog.EndInventory and ForgetInventory.
type Staged struct {
	catalog.Inventory
	Info firn.InventoryInfo // what the inventory said of itself
}

// StageInventory is ReadInventory of an inventory that is staged.
// Errors: those of ReadInventory and Stage.
func (a *Asker) StageInventory(ctx context.Context, s Staging) (inv Staged, job firn.Job, ok bool, err error) {
	job, ok, err = a.readInventory(ctx, s.NotBefore, s.Wait, s.Recall, func(row int64, read Reading) (err error) {
		inv, err = a.Stage(ctx, s, row, read)
		return err
	})
	return inv, job, ok, err
}

// ReadInventory gives the store's inventory to work, which reads it: the newest
// one that is ready, whoever asked for it, if that was done at notBefore or later,
// else one that it asks for. Where the output expired before it was read, another
// one is taken, a few times. It is false where there is none yet, and then job is
// the one that brings it. The row that work gets is the catalog's of the job; 0: it
// waits for none.
// Errors: those of Inventory, and of work.
func (a *Asker) ReadInventory(ctx context.Context, notBefore time.Time, wait bool, work func(row int64, read Reading) error) (job firn.Job, ok bool, err error) {
	return a.readInventory(ctx, notBefore, wait, nil, work)
}

func (a *Asker) readInventory(ctx context.Context, notBefore time.Time, wait bool, recall firn.Recall, work func(row int64, read Reading) error) (job firn.Job, ok bool, err error) {
	for try := 1; ; try++ {
		job, ok, err = a.AwaitInventory(ctx, notBefore, wait)
		if err != nil || !ok {
			return job, false, err
		}
		row, err := a.openRow(ctx, job.ID)
		if err != nil {
			return job, false, err
		}
		expired := false
		err = work(row, func(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error) {
			info, stopped, err := a.output(ctx, job.ID, recall, each)
			expired = !stopped && firn.KindOf(err) == firn.NotFound
			return info, err
		})
		if !expired {
			return job, err == nil, err
		}
		if row != 0 {
			if err := a.o.Catalog.JobGone(ctx, row, "its output expired"); err != nil {
				return job, false, err
			}
		}
		if try == outputTries {
			return job, false, err
		}
		notBefore = job.Created.Add(time.Second)
	}
}

// openRow gives the catalog's row that waits for a job; 0: none does.
func (a *Asker) openRow(ctx context.Context, id firn.JobID) (int64, error) {
	job, ok, err := a.o.Catalog.JobByRemote(ctx, a.o.Row, id)
	if !ok || job.State >= catalog.JobFailed {
		return 0, err
	}
	return job.ID, nil
}

// output reads an inventory's job. Stopped: the error is that of each.
func (a *Asker) output(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (info firn.InventoryInfo, stopped bool, err error) {
	info, err = firn.InventoryBut(ctx, a.o.Store, id, recall, func(one firn.Archive) error {
		err := each(one)
		stopped = stopped || err != nil
		return err
	})
	return info, stopped, err
}

// Stage reads an inventory into the catalog, for the run of the options; job is
// the row of the job that brings it, 0 where none does. After an error nothing of
// it is left.
// Errors: those of read, and as catalog.Stage and StagedAll.
func (a *Asker) Stage(ctx context.Context, s Staging, job int64, read Reading) (Staged, error) {
	id, err := a.o.Catalog.BeginInventory(ctx, a.o.Run, job)
	if err != nil {
		return Staged{}, err
	}
	sift, passed := s.sift()
	var inv Staged
	if inv.Info, err = a.pump(ctx, s, id, read, sift); err == nil {
		info := inv.Info
		if s.Sieve != nil {
			info.Archives = *passed
		}
		inv.Inventory, err = a.o.Catalog.StagedAll(ctx, id, info)
	}
	if err != nil {
		return Staged{}, errors.Join(err, a.o.Catalog.ForgetInventory(context.WithoutCancel(ctx), id))
	}
	return inv, nil
}

// sift gives what picks the archives of one reading, and the number of those that
// it picked.
func (s *Staging) sift() (Sieve, *int64) {
	passed := new(int64)
	if s.Sieve == nil {
		return func(_ context.Context, batch []firn.Archive) ([]firn.Archive, error) { return batch, nil }, passed
	}
	sieve := s.Sieve()
	return func(ctx context.Context, batch []firn.Archive) ([]firn.Archive, error) {
		some, err := sieve(ctx, batch)
		*passed += int64(len(some))
		return some, err
	}, passed
}

// pump reads archives and stages them. While one batch is written the next one is
// read.
func (a *Asker) pump(ctx context.Context, s Staging, id int64, read Reading, sift Sieve) (info firn.InventoryInfo, err error) {
	size := cmp.Or(s.Batch, defaultBatch)
	g, ctx := errgroup.WithContext(ctx)
	full := make(chan []firn.Archive, 1)
	g.Go(func() error {
		defer close(full)
		var batch []firn.Archive
		hand := func() error {
			select {
			case full <- batch:
				batch = make([]firn.Archive, 0, size)
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		info, err = read(ctx, func(one firn.Archive) error {
			if batch = append(batch, one); len(batch) < size {
				return nil
			}
			return hand()
		})
		if err != nil {
			return err
		}
		return hand()
	})
	g.Go(func() error { return a.write(ctx, s, id, full, sift) })
	return info, g.Wait()
}

// write stages batches.
func (a *Asker) write(ctx context.Context, s Staging, id int64, full <-chan []firn.Archive, sift Sieve) error {
	var seen firn.Count
	for batch := range full {
		for i := range batch {
			seen.Bytes += batch[i].Size
		}
		seen.Files += int64(len(batch))
		batch, err := sift(ctx, batch)
		if err == nil {
			err = a.o.Catalog.Stage(ctx, id, batch)
		}
		if err != nil {
			return err
		}
		if s.Progress != nil {
			s.Progress(seen)
		}
	}
	return nil
}
