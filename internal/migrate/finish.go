package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A Witness says what an inventory of the target lists as it was recorded.
type Witness interface {
	Confirmed(*catalog.Location) bool
	// Whole reports whether all is that is recorded as stored in the target, and
	// settled whether none of that may be too young to be listed.
	Whole() (whole, settled bool)
}

// maxHops bounds how many copies of copies are followed.
const maxHops = 16

// ReviewOptions say what is looked at before a source is deleted.
type ReviewOptions struct {
	Catalog *catalog.Catalog
	Source  catalog.Store    // row
	Target  int64            // row of the store that it was moved to
	Going   catalog.Emptying // what of the source is to go
	Witness Witness
	// Dated is when the witness's inventory was made, by the target's clock, and
	// Margin how much older an archive has to be to show in it for sure.
	Dated  time.Time
	Margin time.Duration
	// Tell hears of archives that are not as they should be.
	Tell func(Lacking)
}

// A Lacking is an archive of the source that must not be deleted.
type Lacking struct {
	Archive firn.ArchiveID // in the source
	Size    int64
	Copy    firn.ArchiveID // in the target; empty: there is none
	Why     string
}

// A Review is what of a source may go.
type Review struct {
	Copied   firn.Count // have a copy that the target's inventory lists as recorded
	Unneeded firn.Count // snapshots of the catalog, and what was to be deleted anyway
	// Pruned had a copy that was deleted from the target, or is to be, since no version
	// is in it any more.
	Pruned  firn.Count
	Lacking firn.Count // have none, or it isn't as recorded
	// Uncopied of those have no copy at all, and Unlisted one that the catalog holds to
	// be in the target, and that isn't there as recorded.
	Uncopied, Unlisted int64
	Young              firn.Count // have one that may be too young to be listed
}

// Good reports whether all that is to go may go.
func (r *Review) Good() bool { return r.Lacking.Files+r.Young.Files == 0 }

// ReviewSource looks at each archive of the source that is to go and isn't surely gone:
// whether its copy is in the target as it was recorded, with size and tree hash, also
// where it went there by way of other stores. It downloads nothing. What is in the
// source and nobody needs has no copy, and what was pruned in the target since needs none
// where all else that the target should have is there. Errors: those of the catalog.
func ReviewSource(ctx context.Context, o ReviewOptions) (Review, error) {
	r := &reviewer{ReviewOptions: o, pruned: map[int64][]Lacking{}}
	for item, err := range o.Catalog.EmptyItems(ctx, o.Going.Inventory, 0) {
		if err != nil {
			return r.sums, err
		}
		if item.State == catalog.EmptyGone || !o.Going.Covers(item.Created) {
			continue
		}
		if err := r.judge(ctx, &item); err != nil {
			return r.sums, err
		}
	}
	return r.sums, r.judgePruned(ctx)
}

// A reviewer is one ReviewSource.
type reviewer struct {
	ReviewOptions
	sums   Review
	pruned map[int64][]Lacking // by the row of a copy that is deleted, or is to be
}

// tell counts an archive that must not go, and tells of it.
func (r *reviewer) tell(l Lacking) {
	count(&r.sums.Lacking, l.Size)
	if r.Tell != nil {
		r.Tell(l)
	}
}

func count(sum *firn.Count, size int64) {
	sum.Files++
	sum.Bytes += size
}

// judge says to which sum of a review an archive counts.
func (r *reviewer) judge(ctx context.Context, item *catalog.EmptyItem) error {
	bad := func(copied firn.ArchiveID, why string) { r.tell(Lacking{item.Archive, item.Size, copied, why}) }
	needed, err := r.isNeeded(ctx, item.Archive)
	if err != nil {
		return err
	}
	if !needed {
		count(&r.sums.Unneeded, item.Size)
		return nil
	}
	at, size, found, err := r.copyOf(ctx, item.Archive)
	if err != nil {
		return err
	}
	if !found {
		r.sums.Uncopied++
		bad("", "it was not copied")
		return nil
	}
	if size != item.Size {
		bad(at.Remote, fmt.Sprintf("it has %d bytes, and what was copied had %d", item.Size, size))
		return nil
	}
	there, err := r.Catalog.AccountOf(ctx, at.Store, at.Remote)
	if err != nil {
		return err
	}
	switch {
	case (there.State == catalog.Deleted || there.Leaving) && there.Contents > 0:
		r.pruned[at.Archive] = append(r.pruned[at.Archive], Lacking{item.Archive, item.Size, at.Remote, "its copy was deleted from the target, or is to be"})
	case there.State != catalog.Stored || there.Leaving:
		bad(at.Remote, "its copy is not in the target any more, or is to be deleted from it")
	case r.Witness.Confirmed(&catalog.Location{Archive: at.Archive, State: there.State}):
		count(&r.sums.Copied, item.Size)
	case r.Margin > 0 && (there.Came.IsZero() || there.Came.Add(r.Margin).After(r.Dated)):
		count(&r.sums.Young, item.Size)
	default:
		r.sums.Unlisted++
		bad(at.Remote, "its copy is not in the target's inventory as it was recorded")
	}
	return nil
}

// copyOf finds the copy in the target of an archive of the source, and the size that the
// archive had when it was copied.
func (r *reviewer) copyOf(ctx context.Context, id firn.ArchiveID) (at catalog.Copy, size int64, found bool, err error) {
	at.Store, at.Remote = r.Source.ID, id
	for hop := range maxHops {
		if at, found, err = r.Catalog.CopyOf(ctx, at.Store, at.Remote); err != nil || !found {
			return at, size, false, err
		}
		if hop == 0 {
			size = at.Size
		}
		if at.Store == r.Target {
			return at, size, true, nil
		}
	}
	return at, size, false, nil
}

// judgePruned tells what was deleted from the target because nobody needs it from what
// went with versions that are still there.
func (r *reviewer) judgePruned(ctx context.Context) error {
	rows := slices.Sorted(maps.Keys(r.pruned))
	needed := map[int64]bool{}
	for ref, err := range r.Catalog.References(ctx, rows) {
		if err != nil {
			return err
		}
		needed[ref.Archive] = true
	}
	// What was sent again from a bundle that is deleted has no copy of its own: all that
	// is in the target tells.
	whole, settled := r.Witness.Whole()
	for _, row := range rows {
		for _, l := range r.pruned[row] {
			switch {
			case needed[row] || !whole:
				if !needed[row] {
					r.sums.Unlisted++ // something else that is recorded is not there
				}
				r.tell(l)
			case !settled:
				count(&r.sums.Young, l.Size)
			default:
				count(&r.sums.Pruned, l.Size)
			}
		}
	}
	return nil
}

// isNeeded reports whether an archive of the source must have a copy.
func (r *reviewer) isNeeded(ctx context.Context, id firn.ArchiveID) (bool, error) {
	a, err := r.Catalog.AccountOf(ctx, r.Source.ID, id)
	if err != nil || !a.HasAccount {
		return true, err
	}
	return a.Kind != catalog.CatalogArchive && !a.Leaving && a.State != catalog.Deleted, nil
}
