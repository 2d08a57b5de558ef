package guard

import (
	"context"
	"fmt"

	"github.com/firn-archive/firn"
)

// Inventories of Listers pass through each decorator as those of others do.
var (
	_ firn.Lister = (*counting)(nil)
	_ firn.Lister = (*limiter)(nil)
	_ firn.Lister = (*retrier)(nil)
	_ firn.Lister = dryRun{}
)

func (c *counting) InventoryBut(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	info, err := firn.InventoryBut(ctx, c.Store, id, recall, each)
	c.counter.add(OpInventory, Tally{Down: info.Bytes})
	return one(c, OpInventory, info, err)
}

func (l *limiter) InventoryBut(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return firn.InventoryBut(ctx, l.Store, id, recall, each)
}

func (d dryRun) InventoryBut(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return firn.InventoryBut(ctx, d.Store, id, recall, each)
}

func (r *retrier) InventoryBut(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	read := func(each func(firn.Archive) error) (firn.InventoryInfo, error) {
		return firn.InventoryBut(ctx, r.Store, id, recall, each)
	}
	if r.Store.Traits().LiveInventory {
		return r.liveInventory(ctx, read, each)
	}
	return r.inventory(ctx, read, each)
}

// recent is how many archives of a list are remembered, to find the place again
// where it broke off: so many would have to be deleted meanwhile to lose it.
const recent = 1000

// liveInventory reads a list that is made while it is read, again from the start
// where it breaks off. It may have changed meanwhile, but not its order: it goes on
// behind the last archive that each has had and that is there still. It is of the
// time of the first reading, and each archive reaches each once.
func (r *retrier) liveInventory(ctx context.Context, read func(func(firn.Archive) error) (firn.InventoryInfo, error), each func(firn.Archive) error) (info firn.InventoryInfo, err error) {
	var last ring
	var stopped error // of each, or ours; whatever its kind, nothing is repeated
	var first firn.InventoryInfo
	given := int64(0)
	err = r.do(ctx, repeatable, func() error {
		found := given == 0
		got, err := read(func(a firn.Archive) error {
			if last.has(a.ID) {
				found = true
				return nil
			}
			if !found {
				return nil
			}
			if stopped = each(a); stopped == nil {
				given++
				last.add(a.ID)
			}
			return stopped
		})
		if first.Date.IsZero() {
			first = got
		}
		info = got
		switch {
		case stopped != nil:
			return nil
		case err == nil && !found:
			stopped = &firn.Error{Op: "read inventory", Kind: firn.Corrupt,
				Err: fmt.Errorf("read again, it has none of the %d archives any more that came before it broke off", len(last.ids))}
			return nil
		}
		return err
	})
	info.Date, info.Archives = first.Date, given
	if stopped != nil {
		err = stopped
	}
	return info, err
}

// A ring holds the last archives that were added.
type ring struct {
	ids  []firn.ArchiveID
	next int
	held map[firn.ArchiveID]struct{}
}

func (r *ring) has(id firn.ArchiveID) bool {
	_, ok := r.held[id]
	return ok
}

func (r *ring) add(id firn.ArchiveID) {
	if r.held == nil {
		r.held = make(map[firn.ArchiveID]struct{}, recent)
	}
	if len(r.ids) < recent {
		r.ids = append(r.ids, id)
	} else {
		delete(r.held, r.ids[r.next])
		r.ids[r.next] = id
		r.next = (r.next + 1) % recent
	}
	r.held[id] = struct{}{}
}
