package adopt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/retrieval"
)

// stage reads an inventory; false: there is none yet.
func (a *adopter) stage(ctx context.Context) (ok bool, err error) {
	if a.Inventory != "" {
		err = a.readIn(ctx, 0, a.readSaved)
	} else {
		var job firn.Job
		job, ok, err = a.Asker.ReadInventory(ctx, time.Time{}, a.Wait, func(job int64, read retrieval.Reading) error { return a.readIn(ctx, job, read) })
		if err == nil && !ok {
			a.res.Pending, a.res.Ready = true, retrieval.Expected(job)
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	a.res.Listed = firn.Count{Files: a.inventory.Archives, Bytes: a.inventory.Bytes}
	a.Events(firn.ScanEvent{Files: a.inventory.Archives, Bytes: a.inventory.Bytes, Done: true, Archives: true})
	if n := a.inventory.Twice + a.inventory.Nameless; n > 0 {
		a.Events(firn.NoticeEvent{Text: fmt.Sprintf("the inventory lists %d archives twice, and %d without an id", a.inventory.Twice, a.inventory.Nameless)})
	}
	return true, nil
}

// readIn reads an inventory, which the catalog's row of a job brings, into the
// catalog. Where nothing is to be looked up in it, since this is the first that the
// catalog hears of the store, a spool does.
func (a *adopter) readIn(ctx context.Context, job int64, read retrieval.Reading) error {
	first, err := a.isFirst(ctx)
	if err != nil {
		return err
	}
	if first {
		s, err := newSpool(a.Spool, a.seed)
		if err != nil {
			return err
		}
		if err := s.fill(ctx, read, a.progress); err != nil {
			return errors.Join(err, s.Close())
		}
		if s.isPlain() {
			a.spool = s
			return a.begin(ctx, job)
		}
		defer s.Close()
		read = s.read
	}
	inv, err := a.Asker.Stage(ctx, retrieval.Staging{Batch: a.Batch, Progress: a.progress}, job, read)
	a.inventory = inv.Inventory
	if !inv.Info.Date.IsZero() {
		a.res.Dated = inv.Dated
	}
	return err
}

// begin notes the inventory that is in the spool.
func (a *adopter) begin(ctx context.Context, job int64) error {
	id, err := a.Catalog.BeginInventory(ctx, a.Run, job)
	a.inventory = catalog.Inventory{ID: id, Store: a.Row.ID, Dated: a.spool.info.Date, Archives: a.spool.listed.Files, Bytes: a.spool.listed.Bytes}
	if !a.inventory.Dated.IsZero() {
		a.inventory.Dated = a.inventory.Dated.Truncate(time.Second).UTC()
		a.res.Dated = a.inventory.Dated
	}
	return err
}

// isFirst reports whether nothing is known of the store's archives.
func (a *adopter) isFirst(ctx context.Context) (bool, error) {
	if a.Spool == "" || len(a.files) > 0 {
		return false, nil
	}
	known, err := a.Catalog.KnowsArchives(ctx, a.Row.ID)
	return !known, err
}

func (a *adopter) progress(seen firn.Count) {
	a.Events(firn.ScanEvent{Files: seen.Files, Bytes: seen.Bytes, Archives: true})
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
