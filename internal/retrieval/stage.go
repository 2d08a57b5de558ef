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
	// Progress is told after each batch what was read so far; nil: nobody is.
	Progress func(firn.Count)
}

// A Reading reads an inventory, and hands each archive to each, as
// firn.Retriever.Inventory does.
type Reading func(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error)

// A Staged is an inventory that was read into the catalog, to be compared with
// what that knows: see catalog.EndInventory and ForgetInventory.
type Staged struct {
	catalog.Inventory
	Info firn.InventoryInfo // what the inventory said of itself
}

// StageInventory reads the store's inventory into the catalog, for the run of the
// options: the newest one that is ready, whoever asked for it, else one that it
// asks for. Where the output expired before it was read, another one is taken, a
// few times. It is false where there is none yet, and then job is the one that
// brings it.
// Errors: those of Inventory and Stage.
func (a *Asker) StageInventory(ctx context.Context, s Staging) (inv Staged, job firn.Job, ok bool, err error) {
	var notBefore time.Time
	for try := 1; ; try++ {
		job, ok, err = a.AwaitInventory(ctx, notBefore, s.Wait)
		if err != nil || !ok {
			return Staged{}, job, false, err
		}
		row, err := a.openRow(ctx, job.ID)
		if err != nil {
			return Staged{}, job, false, err
		}
		expired := false
		inv, err = a.Stage(ctx, s, row, func(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error) {
			info, stopped, err := a.output(ctx, job.ID, each)
			expired = !stopped && firn.KindOf(err) == firn.NotFound
			return info, err
		})
		if !expired {
			return inv, job, err == nil, err
		}
		if row != 0 {
			if err := a.o.Catalog.JobGone(ctx, row, "its output expired"); err != nil {
				return Staged{}, job, false, err
			}
		}
		if try == outputTries {
			return Staged{}, job, false, err
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
func (a *Asker) output(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (info firn.InventoryInfo, stopped bool, err error) {
	info, err = a.o.Store.Inventory(ctx, id, func(one firn.Archive) error {
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
	var inv Staged
	if inv.Info, err = a.pump(ctx, s, id, read); err == nil {
		inv.Inventory, err = a.o.Catalog.StagedAll(ctx, id, inv.Info)
	}
	if err != nil {
		return Staged{}, errors.Join(err, a.o.Catalog.ForgetInventory(context.WithoutCancel(ctx), id))
	}
	return inv, nil
}

// pump reads archives and stages them. While one batch is written the next one is
// read.
func (a *Asker) pump(ctx context.Context, s Staging, id int64, read Reading) (info firn.InventoryInfo, err error) {
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
	g.Go(func() error { return a.write(ctx, s, id, full) })
	return info, g.Wait()
}

// write stages batches.
func (a *Asker) write(ctx context.Context, s Staging, id int64, full <-chan []firn.Archive) error {
	var seen firn.Count
	for batch := range full {
		if err := a.o.Catalog.Stage(ctx, id, batch); err != nil {
			return err
		}
		for i := range batch {
			seen.Bytes += batch[i].Size
		}
		seen.Files += int64(len(batch))
		if s.Progress != nil {
			s.Progress(seen)
		}
	}
	return nil
}
