package reconcile

import (
	"context"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// Loose settles what was left open of archives that were uploaded one by one,
// of tree 0, by runs that are dead. A stream can't be resumed: its upload is
// aborted. That of a file stays, for whoever uploads the same file again; the
// store ends it after a day or so without a part. Nothing but those is in the
// result's Resumable. It asks the store nothing when nothing is open.
func Loose(ctx context.Context, o Options) (Result, error) {
	o.Tree = 0
	res, err := Run(ctx, o)
	if err != nil {
		return res, err
	}
	left := Result{Pending: res.Pending, Doubles: res.Doubles}
	for _, in := range res.Resumable {
		switch {
		case in.State == catalog.Doubt:
			left.Pending = append(left.Pending, in) // never sent twice
		case !in.File.Stamp.ModTime.IsZero() && in.Upload != "":
			left.Resumable = append(left.Resumable, in)
		default:
			if err := o.abandon(ctx, in); err != nil {
				return res, fmt.Errorf("reconcile %s: %w", nameOf(in.File.Path), err)
			}
		}
	}
	return left, nil
}

// abandon leaves nothing of an upload that nobody can go on with.
func (o Options) abandon(ctx context.Context, in catalog.Intent) error {
	if in.Upload != "" {
		if err := o.Store.AbortUpload(ctx, in.Upload); err != nil {
			return err
		}
		o.Events(firn.NoticeEvent{Text: fmt.Sprintf("aborted the upload of %s, which was interrupted; it can't be resumed", nameOf(in.File.Path))})
	}
	return o.Catalog.Drop(ctx, in.ID, "it was interrupted, and can't be resumed")
}

// owns reports whether an intent is among those that are to be settled.
func (r *reconciler) owns(in catalog.Intent) bool {
	if in.Tree != r.Tree {
		return false
	}
	return r.Tree != 0 || in.Kind == catalog.LooseArchive && (r.Alive == nil || !r.Alive(in.Run))
}

// nameless gives the doubtful intents whose descriptions hold no token, but
// words of the user's own.
func (r *reconciler) nameless(ctx context.Context) (found []catalog.Intent, err error) {
	intents, _, err := r.open(ctx)
	for _, in := range intents {
		if _, ok := describe.TokenOf(in.Description); !ok && in.State == catalog.Doubt && !in.TreeHash.IsZero() {
			found = append(found, in)
		}
	}
	return found, err
}

// takeNameless takes an archive for a doubtful one if it has its description,
// size and hash, and the catalog knows it for no other. Each gets one at most:
// what is there beside it may be somebody else's, and is no copy to delete.
func (r *reconciler) takeNameless(ctx context.Context, doubtful []catalog.Intent, a firn.Archive, found map[firn.Token][]firn.Archive) error {
	for _, in := range doubtful {
		if in.Description != a.Description || in.Size != a.Size || in.TreeHash != a.Tree || len(found[in.Token]) > 0 {
			continue
		}
		_, known, err := r.Catalog.ArchiveByRemote(ctx, r.Row, a.ID)
		if err == nil && !known {
			found[in.Token] = append(found[in.Token], a)
		}
		return err
	}
	return nil
}
