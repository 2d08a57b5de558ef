// Package loose uploads archives that belong to no tree, one by one: it keeps the
// record in the catalog by which an upload that was killed is gone on with, and
// settles what such uploads left open.
package loose

import (
	"context"
	"errors"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/transfer"
)

// A Journal is the transfer.Journal of one archive.
type Journal struct {
	Catalog *catalog.Catalog
	Run     catalog.Run // that uploads
	Clock   clock.Clock
	// Name is what the archive is called in the record, by which its upload is
	// found again.
	Name string
	// Description is what the store keeps; empty: firn's own, with the name, unless
	// it is Verbatim.
	Description string
	Verbatim    bool
	// Again: the bytes can be read again, so that another process may go on.
	Again bool

	// Of the attempt under way, or the last:
	Intent  int64 // its row; 0 while nothing is open
	Told    string
	Content firn.Content // as far as it is known
}

// Take makes an intent that an earlier run left the journal's own, and gives what
// the engine goes on from.
func (j *Journal) Take(in catalog.Intent) *transfer.Resume {
	j.Intent, j.Told = in.ID, in.Description
	return reconcile.Resume(in)
}

// IsOf reports whether an intent is for the archive, under the description that is
// wanted now.
func (j *Journal) IsOf(in catalog.Intent) bool {
	if in.File.Path != j.Name {
		return false
	}
	if _, ours := describe.TokenOf(in.Description); ours {
		return j.Description == "" && !j.Verbatim
	}
	return in.Description == j.Description
}

// Begin records the intent of an attempt.
func (j *Journal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	token, description := firn.NewToken(), j.Description
	now := j.Clock.Now()
	if description == "" && !j.Verbatim {
		modified := b.Stamp.ModTime
		if modified.IsZero() {
			modified = now // of a stream: when it came
		}
		var err error
		description, err = describe.Encode(describe.Archive{Token: token, Kind: describe.File, Path: j.Name, ModTime: modified, Made: now})
		if err != nil {
			return transfer.Name{}, err
		}
	}
	size := b.Content.Size
	if b.Multipart {
		// Of a stream it isn't known yet. What is larger than one request holds
		// surely came to nothing while no upload is recorded.
		size = max(size, transfer.MaxSingle+1)
	}
	intents := []catalog.Intent{{
		Store: j.Run.Store, Run: j.Run.ID, Token: token, Kind: catalog.LooseArchive, Description: description,
		File: firn.File{Path: j.Name, Kind: firn.Regular, Stamp: j.stamp(b)}, Size: size, TreeHash: b.Content.Tree,
	}}
	if err := j.Catalog.Intend(ctx, intents); err != nil {
		return transfer.Name{}, err
	}
	j.Intent, j.Told, j.Content = intents[0].ID, description, b.Content
	return transfer.Name{Token: token, Description: description}, nil
}

// stamp is that of a file; a stream has none, since it can't be resumed.
func (j *Journal) stamp(b transfer.Begun) firn.Stamp {
	if !j.Again {
		return firn.Stamp{}
	}
	return b.Stamp
}

// Opened records the multipart upload.
func (j *Journal) Opened(ctx context.Context, id firn.UploadID, partSize int64) error {
	return j.Catalog.UploadOpened(ctx, j.Intent, id, partSize)
}

// Part records a part that the store has.
func (j *Journal) Part(ctx context.Context, p firn.Part) error {
	return j.Catalog.PartDone(ctx, j.Intent, p)
}

// Completing records that the upload may be an archive from now on.
func (j *Journal) Completing(ctx context.Context, c firn.Content) error {
	j.Content = c
	return j.Catalog.UploadCompleting(ctx, j.Intent, c.Size, c.Tree)
}

// Stored records the archive.
func (j *Journal) Stored(ctx context.Context, r transfer.Result) error {
	archive := r.As(j.Told)
	return j.Catalog.Stored(ctx, j.Intent, archive, j.Run, nil)
}

// InDoubt leaves the intent as it is: reconciliation asks the store for its
// time before it records the doubt.
func (j *Journal) InDoubt(context.Context) error { return nil }

// Dropped records that nothing is left of the attempt.
func (j *Journal) Dropped(ctx context.Context) error {
	err := j.Catalog.Drop(ctx, j.Intent, "the upload was given up")
	if err == nil {
		j.Intent = 0
	}
	return err
}

// Resolve looks at once what became of an upload whose answer got lost, where the
// store can tell; else it gives doubt, the error that said so. Of o it needs what
// reconcile.Loose does, but Alive.
func (j *Journal) Resolve(ctx context.Context, o reconcile.Options, doubt error) (transfer.Result, error) {
	o.Alive = func(run int64) bool { return run != j.Run.ID }
	if _, err := reconcile.Loose(ctx, o); err != nil {
		return transfer.Result{}, errors.Join(doubt, err)
	}
	id, state, err := j.Catalog.ArchiveState(ctx, j.Intent)
	switch {
	case err != nil:
		return transfer.Result{}, errors.Join(doubt, err)
	case state == catalog.Stored:
		return transfer.Result{Archive: id, Content: j.Content}, nil
	case state == catalog.Dropped:
		return transfer.Result{}, &firn.Error{Op: "upload", Subject: j.Name, Kind: firn.Lost, Err: errors.New("it did not arrive"), Hint: "send it again"}
	}
	return transfer.Result{}, doubt
}

// Settle settles what runs left open that were killed: those whose locks can be had
// from lock, which gives how to give one back. Of what can be gone on with the result has
// what wanted reports: that is the caller's alone until it calls release, which it must
// do, also beside an error. Of o it needs what reconcile.Loose does, but Alive.
func Settle(ctx context.Context, o reconcile.Options, wanted func(catalog.Intent) bool, lock func(run int64) (unlock func() error, err error)) (res reconcile.Result, release func(), err error) {
	dead := map[int64]func() error{}
	letGo := func(of func(run int64) bool) {
		for run, unlock := range dead {
			if of(run) {
				unlock()
				delete(dead, run)
			}
		}
	}
	release = func() { letGo(func(int64) bool { return true }) }
	open, err := o.Catalog.OpenIntents(ctx, o.Row)
	if err != nil {
		return res, release, err
	}
	for _, in := range open {
		if in.Tree != 0 || in.Kind != catalog.LooseArchive || dead[in.Run] != nil {
			continue
		}
		// Where it can't be had, or that can't be told, nothing is to be aborted.
		if unlock, err := lock(in.Run); err == nil {
			dead[in.Run] = unlock
		}
	}
	// What is open is read once more now: who had a lock before may have settled it.
	o.Alive = func(run int64) bool { return dead[run] == nil }
	if res, err = reconcile.Loose(ctx, o); err != nil {
		return res, release, err
	}
	res.Resumable = slices.DeleteFunc(res.Resumable, func(in catalog.Intent) bool { return !wanted(in) })
	kept := map[int64]bool{}
	for _, in := range res.Resumable {
		kept[in.Run] = true
	}
	letGo(func(run int64) bool { return !kept[run] })
	return res, release, nil
}
