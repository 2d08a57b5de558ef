package adopt

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/retrieval"
)

// stage reads an inventory into the catalog; false: there is none yet.
func (a *adopter) stage(ctx context.Context) (ok bool, err error) {
	how := retrieval.Staging{Batch: a.Batch, Wait: a.Wait, Progress: func(seen firn.Count) {
		a.Events(firn.ScanEvent{Files: seen.Files, Bytes: seen.Bytes})
	}}
	var inv retrieval.Staged
	if a.Inventory != "" {
		inv, err = a.Asker.Stage(ctx, how, 0, a.readSaved)
	} else {
		var job firn.Job
		if inv, job, ok, err = a.Asker.StageInventory(ctx, how); err == nil && !ok {
			a.res.Pending, a.res.Ready = true, retrieval.Expected(job)
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	a.inventory = inv.Inventory
	if !inv.Info.Date.IsZero() {
		a.res.Dated = inv.Dated
	}
	a.res.Listed = firn.Count{Files: inv.Archives, Bytes: inv.Bytes}
	a.Events(firn.ScanEvent{Files: inv.Archives, Bytes: inv.Bytes, Done: true})
	if n := inv.Twice + inv.Nameless; n > 0 {
		a.Events(firn.NoticeEvent{Text: fmt.Sprintf("the inventory lists %d archives twice, and %d without an id", inv.Twice, inv.Nameless)})
	}
	return true, nil
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
