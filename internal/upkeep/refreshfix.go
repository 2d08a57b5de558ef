package upkeep

import (
	"context"

	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// act does what is to be done about the archives of a class that were gathered.
func (r *refresher) act(ctx context.Context, c Class) (err error) {
	all := r.work[c]
	if len(all) == 0 {
		return nil
	}
	switch c {
	case Strange:
		err = r.takeIn(ctx, all)
	case Orphan:
		err = r.adopt(ctx, all)
	case Vanished, Departed:
		err = r.giveUp(ctx, all)
	case Mismatch, Reworded:
		err = r.correct(ctx, all)
	case Returned:
		err = r.Catalog.MarkReturned(ctx, r.Run, rowsOf(all))
	case Undeleted:
		err = r.undelete(ctx, all)
	}
	r.work[c] = all[:0]
	return err
}

// rowsOf gives the rows of archives.
func rowsOf(all []Found) (rows []int64) {
	for i := range all {
		rows = append(rows, all[i].Row)
	}
	return rows
}

// takeIn records archives of other programs as those are that firn adopt finds no
// name of. It finds theirs afterwards.
func (r *refresher) takeIn(ctx context.Context, all []Found) error {
	finds := make([]catalog.Find, len(all))
	for i := range all {
		d := describe.Guess(all[i].Archive.Description)
		finds[i] = catalog.Find{Archive: all[i].Archive, Kind: catalog.ForeignArchive, Format: string(d.Format), Packed: d.Packed()}
	}
	_, err := r.Catalog.TakeIn(ctx, r.Run, finds)
	return err
}

// adopt takes in what this catalog stored without knowing.
func (r *refresher) adopt(ctx context.Context, all []Found) error {
	said := make([]describe.Archive, len(all))
	finds := make([]catalog.Find, 0, len(all))
	for i := range all {
		said[i] = describe.Decode(all[i].Archive.Description)
	}
	for i := range all {
		if find, ok := orphan(all[i].Archive, said[i], all[i].tree); ok {
			finds = append(finds, find)
		}
	}
	_, err := r.Catalog.TakeIn(ctx, r.Run, finds)
	return err
}

// giveUp records archives as lost that are not in the store any more, so that a sync
// sends again what was in them; as deleted those that nothing needs.
func (r *refresher) giveUp(ctx context.Context, all []Found) error {
	var lost, departed []int64
	for i := range all {
		switch f := &all[i]; {
		case f.State == catalog.Foreign:
			departed = append(departed, f.Row)
		case f.Leaving || f.Kind == catalog.CatalogArchive:
			if err := r.Catalog.MarkDeleted(ctx, r.Run, f.Row); err != nil {
				return err
			}
		default:
			lost = append(lost, f.Row)
		}
	}
	if len(departed) > 0 {
		if err := r.Catalog.MarkDeparted(ctx, r.Run, departed); err != nil {
			return err
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return r.Catalog.MarkLost(ctx, r.Run, lost)
}

// correct records archives as the inventory lists them. What is not what was sent
// is lost: the sender has it, perhaps.
func (r *refresher) correct(ctx context.Context, all []Found) error {
	var wrong []catalog.Difference
	var lost []int64
	for i := range all {
		if d := all[i].Difference; d.Correctable() {
			wrong = append(wrong, d)
		} else {
			lost = append(lost, d.Row)
		}
	}
	if err := r.Catalog.MarkLost(ctx, r.Run, lost); err != nil {
		return err
	}
	_, err := r.Catalog.Correct(ctx, r.Run, wrong)
	return err
}

// undelete queues archives once more that were not deleted.
func (r *refresher) undelete(ctx context.Context, all []Found) error {
	lingering := make([]catalog.Difference, len(all))
	for i := range all {
		lingering[i] = all[i].Difference
	}
	retirement := catalog.Retirement{MinAge: r.Store.Traits().MinDuration, Why: "deleted before, and in the inventory still"}
	if err := r.Catalog.Undelete(ctx, r.Run, retirement, lingering); err != nil {
		return err
	}
	_, err := r.Catalog.QueueDeletions(ctx, r.Run)
	return err
}
