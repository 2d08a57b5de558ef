// Package reconcile settles what an earlier run left open: requests that were
// sent and whose answers never arrived, because the process died or the line
// broke. It asks the store's listings, by the tokens that firn put there.
//
// Open uploads show in a listing at once. Archives show only in an inventory,
// which may be a day old: until then they are in doubt.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
)

// Options are what a reconciliation works on.
type Options struct {
	Catalog *catalog.Catalog
	Row     int64      // of the store in the catalog
	Store   firn.Store // that the row stands for
	Run     catalog.Run
	// Tree is the tree whose leftovers are settled. Its lock must be held: what
	// a run that lives has open looks like what a dead one left.
	Tree int64
	// Alive reports whether a run still works on what it left open; nil: none
	// does. Only of tree 0, the loose archives, is it asked: of those many may
	// be under way at a time.
	Alive  func(run int64) bool
	Clock  clock.Clock
	Events firn.Sink
	// Single is the largest archive, in bytes, that is sent in one request:
	// what is larger can't have arrived without an upload of its own.
	Single int64
}

// A Result says what is left.
type Result struct {
	// Pending are intents that must wait for an inventory: whether they are
	// stored is not known, and they are too large to be sent twice.
	Pending []catalog.Intent
	// Resumable are intents with an open upload, or that may be sent again
	// under the same token.
	Resumable []catalog.Intent
	// Doubles counts archives of which the store may hold a second copy.
	Doubles int
}

// Run settles what can be settled now. It asks the store nothing when nothing
// is open.
func Run(ctx context.Context, o Options) (Result, error) {
	r := &reconciler{Options: o}
	intents, doubts, err := r.open(ctx)
	if err != nil {
		return Result{}, err
	}
	if len(intents) == 0 && len(doubts) == 0 {
		return Result{}, r.forgetJobs(ctx)
	}
	if len(intents) > 0 {
		if err := r.settleUploads(ctx, intents); err != nil {
			return Result{}, err
		}
	}
	if err := r.settleDoubts(ctx); err != nil {
		return Result{}, err
	}
	return r.remaining(ctx)
}

type reconciler struct {
	Options
	info firn.StoreInfo // asked once, when first needed
}

// open gives the tree's intents and doubts.
func (r *reconciler) open(ctx context.Context) ([]catalog.Intent, []catalog.DoubtfulUpload, error) {
	intents, err := r.Catalog.OpenIntents(ctx, r.Row)
	if err != nil {
		return nil, nil, err
	}
	doubts, err := r.Catalog.Doubts(ctx, r.Row)
	if err != nil {
		return nil, nil, err
	}
	intents = slices.DeleteFunc(intents, func(in catalog.Intent) bool { return !r.owns(in) })
	doubts = slices.DeleteFunc(doubts, func(d catalog.DoubtfulUpload) bool {
		return d.Tree != r.Tree || r.Tree == 0 && !slices.ContainsFunc(intents, func(in catalog.Intent) bool { return in.ID == d.Archive })
	})
	return intents, doubts, nil
}

// settleUploads compares the intents with the store's open uploads: what is
// there is known again, what was completing is completed, and what can only
// be an archive by now is in doubt.
func (r *reconciler) settleUploads(ctx context.Context, intents []catalog.Intent) error {
	open, err := r.openUploads(ctx, intents)
	if err != nil {
		return err
	}
	for _, in := range intents {
		ids := open[in.Token]
		if in.State == catalog.Doubt && len(ids) == 0 {
			continue
		}
		if err := r.settleUpload(ctx, in, ids); err != nil {
			return fmt.Errorf("reconcile %s: %w", nameOf(in.File.Path), err)
		}
	}
	return nil
}

// openUploads gives the store's open uploads by the token of their intent: by
// their descriptions, or by their ids where those are a user's own words.
func (r *reconciler) openUploads(ctx context.Context, intents []catalog.Intent) (map[firn.Token][]firn.Upload, error) {
	byID := map[firn.UploadID]firn.Token{}
	for _, in := range intents {
		byID[in.Upload] = in.Token
	}
	open := map[firn.Token][]firn.Upload{}
	for u, err := range r.Store.Uploads(ctx) {
		if err != nil {
			return nil, err
		}
		token, ok := describe.TokenOf(u.Description)
		if !ok {
			token, ok = byID[u.ID]
		}
		if ok {
			open[token] = append(open[token], u)
		}
	}
	return open, nil
}

// nameOf calls what was to be stored by its path, which a bundle of many files
// doesn't have.
func nameOf(path string) string {
	if path == "" {
		return "a bundle"
	}
	return path
}

// settleUpload handles one intent, of which the store has the given open
// uploads.
func (r *reconciler) settleUpload(ctx context.Context, in catalog.Intent, open []firn.Upload) error {
	keep, err := r.keepOne(ctx, in, open)
	if err != nil {
		return err
	}
	switch {
	case keep != nil && in.Upload != keep.ID:
		return r.Catalog.UploadOpened(ctx, in.ID, keep.ID, keep.PartSize)
	case keep != nil && in.State != catalog.Completing:
		return nil // goes on where it was
	case in.State == catalog.Completing:
		return r.complete(ctx, in)
	case in.State == catalog.Uploading:
		// Expired, or ended by somebody else; the parts are gone with it.
		return r.Catalog.Drop(ctx, in.ID, "the store does not have the upload any more")
	case in.Size > r.Single:
		return r.Catalog.Drop(ctx, in.ID, "no upload was opened")
	default:
		return r.doubt(ctx, in)
	}
}

// keepOne chooses the upload to go on with, the recorded one if it is there,
// and aborts the others: a repeated request may have opened several.
func (r *reconciler) keepOne(ctx context.Context, in catalog.Intent, open []firn.Upload) (*firn.Upload, error) {
	var keep *firn.Upload
	for i := range open {
		if keep == nil || open[i].ID == in.Upload {
			keep = &open[i]
		}
	}
	for _, u := range open {
		if u.ID != keep.ID {
			if err := r.Store.AbortUpload(ctx, u.ID); err != nil {
				return nil, err
			}
		}
	}
	return keep, nil
}

// complete asks again for the completion that went unanswered.
func (r *reconciler) complete(ctx context.Context, in catalog.Intent) error {
	var receipt firn.Receipt
	id, err := r.Store.CompleteUpload(firn.WithReceipt(ctx, &receipt), in.Upload, in.Size, in.TreeHash)
	switch firn.KindOf(err) {
	case firn.NotFound:
		return r.doubt(ctx, in)
	case firn.Invalid, firn.Corrupt:
		// A part is missing or another after all: the upload goes on.
		return r.Catalog.UploadOpened(ctx, in.ID, in.Upload, in.PartSize)
	}
	if err != nil {
		return err
	}
	archive := firn.Archive{ID: id, Description: in.Description, Size: in.Size, Tree: in.TreeHash, Receipt: receipt}
	return r.adopt(ctx, in, archive)
}

// adopt records an archive that an intent turned out to have become. It is the
// current version of its file, unless a later run has recorded another or its
// removal, or it is not what the file was when the intent was recorded.
func (r *reconciler) adopt(ctx context.Context, in catalog.Intent, archive firn.Archive) error {
	var change *catalog.Change
	if in.Kind == catalog.FileArchive && in.Tree > 0 && archive.Size == in.File.Stamp.Size {
		newer, err := r.newerVersion(ctx, in)
		if err != nil {
			return err
		}
		if !newer {
			// When it was read was not recorded. Its own time stands in, so that
			// the next sync hashes it once more.
			change = &catalog.Change{File: in.File, Content: firn.Content{Size: archive.Size, Tree: archive.Tree}, Read: in.File.Stamp.ModTime}
		}
	}
	run := r.Run
	run.Tree = in.Tree
	if change != nil {
		// It is a version of the run that read it: if the file is gone since,
		// this run ends it.
		run.ID = in.Run
	}
	return r.Catalog.Stored(ctx, in.ID, archive, run, change)
}

func (r *reconciler) newerVersion(ctx context.Context, in catalog.Intent) (bool, error) {
	versions, err := r.Catalog.History(ctx, in.Tree, in.File.Path)
	if err != nil {
		return false, err
	}
	for _, v := range versions {
		if v.Run > in.Run || v.Until > in.Run {
			return true, nil
		}
	}
	return false, nil
}

// lateness is how long after its sender died a request may still become an
// archive, by the store's clock: one that arrives more than five minutes after
// it was signed is refused (AWS Signature Version 4), and the service takes its
// time. A local vault dies with its sender.
const lateness = 10 * time.Minute

// doubt records that only an inventory dated after this moment, by the store's
// clock, can tell whether an intent became an archive.
func (r *reconciler) doubt(ctx context.Context, in catalog.Intent) error {
	info, err := r.describe(ctx)
	if err != nil {
		return err
	}
	since := info.Now
	if !r.Store.Traits().FreshInventory {
		since = since.Add(lateness)
	}
	return r.Catalog.Doubtful(ctx, in.ID, since)
}

func (r *reconciler) describe(ctx context.Context) (firn.StoreInfo, error) {
	if r.info.Identity != "" {
		return r.info, nil
	}
	info, err := r.Store.Describe(ctx)
	if err == nil && info.Now.IsZero() {
		err = &firn.Error{Op: "ask the time of", Subject: info.Name, Kind: firn.Invalid, Err: errors.New("the store's answers carry no date")}
	}
	if err == nil {
		r.info = info
	}
	return info, err
}

// remaining reads back what is still open.
func (r *reconciler) remaining(ctx context.Context) (Result, error) {
	intents, doubts, err := r.open(ctx)
	if err != nil {
		return Result{}, err
	}
	var out Result
	fresh := r.Store.Traits().FreshInventory // then the next try settles it: no need to send twice
	for _, in := range intents {
		// A bundle of many files is sent again at once, however large: they would
		// all have to wait.
		large := in.Size > r.Single && in.File.Path != ""
		if in.State == catalog.Doubt && (fresh || large) {
			out.Pending = append(out.Pending, in)
		} else {
			out.Resumable = append(out.Resumable, in)
		}
	}
	for _, d := range doubts {
		if d.Resent {
			out.Doubles++
		}
	}
	return out, r.forgetJobs(ctx)
}

// forgetJobs stops waiting for inventories, once nothing is in doubt, in any
// tree. A run that was killed may have left several.
func (r *reconciler) forgetJobs(ctx context.Context) error {
	doubts, err := r.Catalog.Doubts(ctx, r.Row)
	if err != nil || len(doubts) > 0 {
		return err
	}
	jobs, err := r.Catalog.OpenJobs(ctx, r.Row)
	for _, job := range jobs {
		if job.Remote.Kind == firn.InventoryJob && err == nil {
			err = r.Catalog.JobGone(ctx, job.ID, "not needed: nothing is in doubt")
		}
	}
	return err
}
