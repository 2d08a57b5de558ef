package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// A Witness says what an inventory of the target lists as it was recorded.
type Witness interface {
	Confirmed(*catalog.Location) bool
}

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
	Copied  firn.Count // have a copy that the target's inventory lists as recorded
	Needed  firn.Count // by nobody: snapshots of the catalog, and what was to be deleted anyway
	Lacking firn.Count // have none, or it isn't as recorded
	Young   firn.Count // have one that may be too young to be listed
}

// Good reports whether all that is to go may go.
func (r *Review) Good() bool { return r.Lacking.Files+r.Young.Files == 0 }

// ReviewSource looks at each archive of the source that is to go and isn't gone:
// whether its copy is in the target as it was recorded, with size and tree hash. It
// downloads nothing. What is in the source and nobody needs has no copy.
// Errors: those of the catalog.
func ReviewSource(ctx context.Context, o ReviewOptions) (r Review, err error) {
	for item, err := range o.Catalog.EmptyItems(ctx, o.Going.Inventory, 0) {
		if err != nil {
			return r, err
		}
		if item.State != catalog.EmptyTodo && item.State != catalog.EmptyRefused || !o.Going.Covers(item.Created) {
			continue
		}
		sum, lacks, err := o.judge(ctx, &r, &item)
		if err != nil {
			return r, err
		}
		sum.Files++
		sum.Bytes += item.Size
		if lacks != nil && o.Tell != nil {
			o.Tell(*lacks)
		}
	}
	return r, nil
}

// judge says to which sum of a review an archive counts, and what is wrong with it.
func (o *ReviewOptions) judge(ctx context.Context, r *Review, item *catalog.EmptyItem) (sum *firn.Count, lacks *Lacking, err error) {
	bad := func(copied firn.ArchiveID, why string) (*firn.Count, *Lacking, error) {
		return &r.Lacking, &Lacking{item.Archive, item.Size, copied, why}, nil
	}
	at, found, err := o.Catalog.CopyOf(ctx, o.Source.ID, item.Archive)
	if err != nil {
		return nil, nil, err
	}
	if !found || at.Store != o.Target {
		needed, err := o.isNeeded(ctx, item.Archive)
		if err != nil {
			return nil, nil, err
		}
		if !needed {
			return &r.Needed, nil, nil
		}
		return bad("", "it was not copied")
	}
	if at.Size != item.Size {
		return bad(at.Remote, fmt.Sprintf("it has %d bytes, and what was copied had %d", item.Size, at.Size))
	}
	there, err := o.Catalog.AccountOf(ctx, at.Store, at.Remote)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case there.State != catalog.Stored:
		return bad(at.Remote, "its copy is not in the target any more")
	case there.Leaving:
		return bad(at.Remote, "its copy is to be deleted from the target")
	case o.Witness.Confirmed(&catalog.Location{Archive: at.Archive, State: there.State}):
		return &r.Copied, nil, nil
	case o.Margin > 0 && there.Created.Add(o.Margin).After(o.Dated):
		return &r.Young, nil, nil
	}
	return bad(at.Remote, "its copy is not in the target's inventory as it was recorded")
}

// isNeeded reports whether an archive of the source that wasn't copied should have
// been.
func (o *ReviewOptions) isNeeded(ctx context.Context, id firn.ArchiveID) (bool, error) {
	a, err := o.Catalog.AccountOf(ctx, o.Source.ID, id)
	if err != nil || !a.HasAccount {
		return true, err
	}
	return a.Kind != catalog.CatalogArchive && !a.Leaving && a.State != catalog.Deleted, nil
}
