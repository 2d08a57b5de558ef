package adopt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/retrieval"
)

// outputTries bounds how often an inventory is asked for whose output is gone
// when it is to be read.
const outputTries = 3

// stage reads an inventory into the catalog; false: there is none yet.
func (a *adopter) stage(ctx context.Context) (ok bool, err error) {
	if a.Inventory != "" {
		return true, a.stageFrom(ctx, 0, a.readSaved)
	}
	var notBefore time.Time
	for try := 1; ; try++ {
		job, ready, err := a.Asker.AwaitInventory(ctx, notBefore, a.Wait)
		if err != nil || !ready {
			a.res.Pending, a.res.Ready = err == nil, retrieval.Expected(job)
			return false, err
		}
		err = a.stageFrom(ctx, a.rowOf(ctx, job.ID), func(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error) {
			return a.Store.Inventory(ctx, job.ID, each)
		})
		if firn.KindOf(err) != firn.NotFound || try == outputTries {
			return err == nil, err
		}
		notBefore = job.Created.Add(time.Second) // that one has expired
	}
}

// rowOf finds the catalog's row of a job; 0: it has none.
func (a *adopter) rowOf(ctx context.Context, id firn.JobID) int64 {
	jobs, err := a.Catalog.OpenJobs(ctx, a.Row.ID)
	if err != nil {
		return 0 // it is for people only
	}
	for _, j := range jobs {
		if j.Remote.ID == id {
			return j.ID
		}
	}
	return 0
}

// A reading reads an inventory, and hands each archive to each.
type reading func(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error)

// stageFrom reads an inventory. While one batch is written the next one is read.
func (a *adopter) stageFrom(ctx context.Context, job int64, read reading) error {
	id, err := a.Catalog.BeginInventory(ctx, a.Run, job)
	if err != nil {
		return err
	}
	a.inventory.ID = id
	info, err := a.pump(ctx, id, read)
	if err != nil {
		return errors.Join(err, a.Catalog.ForgetInventory(context.WithoutCancel(ctx), id))
	}
	inv, err := a.Catalog.StagedAll(ctx, id, info)
	if err != nil {
		return err
	}
	a.inventory, a.job = inv, job
	if !info.Date.IsZero() {
		a.res.Dated = a.inventory.Dated
	}
	a.res.Listed = firn.Count{Files: a.inventory.Archives, Bytes: a.inventory.Bytes}
	a.Events(firn.ScanEvent{Files: a.inventory.Archives, Bytes: a.inventory.Bytes, Done: true})
	if n := a.inventory.Twice + a.inventory.Nameless; n > 0 {
		a.Events(firn.NoticeEvent{Text: fmt.Sprintf("the inventory lists %d archives twice, and %d without an id", a.inventory.Twice, a.inventory.Nameless)})
	}
	return nil
}

// pump reads archives and stages them.
func (a *adopter) pump(ctx context.Context, id int64, read reading) (info firn.InventoryInfo, err error) {
	g, ctx := errgroup.WithContext(ctx)
	full := make(chan []firn.Archive, 1)
	g.Go(func() error {
		defer close(full)
		var page []firn.Archive
		hand := func() error {
			select {
			case full <- page:
				page = make([]firn.Archive, 0, a.Batch)
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		info, err = read(ctx, func(one firn.Archive) error {
			if page = append(page, one); len(page) < a.Batch {
				return nil
			}
			return hand()
		})
		if err != nil {
			return err
		}
		return hand()
	})
	g.Go(func() error {
		var seen firn.ScanEvent
		for page := range full {
			if err := a.Catalog.Stage(ctx, id, page); err != nil {
				return err
			}
			for i := range page {
				seen.Bytes += page[i].Size
			}
			seen.Files += int64(len(page))
			a.Events(seen)
		}
		return nil
	})
	return info, g.Wait()
}

// readSaved reads the file with a saved inventory. What can't be read of it is
// told, and doesn't count.
func (a *adopter) readSaved(ctx context.Context, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	var n int64
	info, err := foreign.ReadInventory(a.Inventory, func(one firn.Archive) error {
		n++
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return each(one)
	}, a.bad)
	if err == nil {
		err = a.checkVault(info.Subject)
	}
	info.Archives = n
	return info, err
}

// checkVault refuses the inventory of another vault.
func (a *adopter) checkVault(subject string) error {
	if subject == "" || subject == a.Info.Address {
		return nil
	}
	if !strings.HasPrefix(a.Info.Address, "arn:") && path.Base(subject) == a.Info.Name {
		return nil
	}
	return &firn.Error{Op: "adopt", Subject: a.Row.URL, Kind: firn.Conflict,
		Err:  fmt.Errorf("the inventory is of %s, and the store is %s", subject, a.Info.Address),
		Hint: "give the store that it is of, or another inventory"}
}

// bad tells of an entry that can't be read, and goes on.
func (a *adopter) bad(err error) error {
	a.res.Bad++
	a.teller.tell("bad", "entries that can't be read", "%v", err)
	return nil
}
