package cli

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// A looseJournal keeps the record of one upload of no tree. It is a
// transfer.Journal.
type looseJournal struct{ *archiveUploader }

// Begin records the intent of an attempt.
func (j looseJournal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	token, description := firn.NewToken(), j.options.Description
	now := j.env.Clock.Now()
	if description == "" {
		modified := b.Stamp.ModTime
		if modified.IsZero() {
			modified = now // of a stream: when it came
		}
		var err error
		description, err = describe.Encode(describe.Archive{Token: token, Kind: describe.File, Path: j.name, ModTime: modified, Made: now})
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
		Store: j.row.ID, Run: j.run.ID, Token: token, Kind: catalog.LooseArchive, Description: description,
		File: firn.File{Path: j.name, Kind: firn.Regular, Stamp: j.stamp(b)}, Size: size, TreeHash: b.Content.Tree,
	}}
	if err := j.catalog.Intend(ctx, intents); err != nil {
		return transfer.Name{}, err
	}
	j.intent, j.description, j.content = intents[0].ID, description, b.Content
	return transfer.Name{Token: token, Description: description}, nil
}

// stamp is that of a file; a stream has none, since it can't be resumed.
func (j looseJournal) stamp(b transfer.Begun) firn.Stamp {
	if j.file == "" {
		return firn.Stamp{}
	}
	return b.Stamp
}

// Opened records the multipart upload.
func (j looseJournal) Opened(ctx context.Context, id firn.UploadID, partSize int64) error {
	return j.catalog.UploadOpened(ctx, j.intent, id, partSize)
}

// Part records a part that the store has.
func (j looseJournal) Part(ctx context.Context, p firn.Part) error {
	return j.catalog.PartDone(ctx, j.intent, p)
}

// Completing records that the upload may be an archive from now on.
func (j looseJournal) Completing(ctx context.Context, c firn.Content) error {
	j.content = c
	return j.catalog.UploadCompleting(ctx, j.intent, c.Size, c.Tree)
}

// Stored records the archive.
func (j looseJournal) Stored(ctx context.Context, r transfer.Result) error {
	archive := firn.Archive{ID: r.Archive, Description: j.description, Size: r.Content.Size, Tree: r.Content.Tree}
	return j.catalog.Stored(ctx, j.intent, archive, j.run, nil)
}

// InDoubt leaves the intent as it is: reconciliation asks the store for its
// time before it records the doubt.
func (j looseJournal) InDoubt(context.Context) error { return nil }

// Dropped records that nothing is left of the attempt.
func (j looseJournal) Dropped(ctx context.Context) error {
	err := j.catalog.Drop(ctx, j.intent, "the upload was given up")
	if err == nil {
		j.intent = 0
	}
	return err
}

// resumeLoose gives the engine what an earlier run recorded.
func resumeLoose(in catalog.Intent) *transfer.Resume {
	return &transfer.Resume{
		Token: in.Token, Upload: in.Upload, PartSize: in.PartSize, Parts: in.Parts, Stamp: in.File.Stamp,
		Completing: in.State == catalog.Completing,
		Content:    firn.Content{Size: in.Size, Tree: in.TreeHash},
	}
}

// settleLoose settles what runs of archive upload left open that were killed:
// those whose locks can be had.
func settleLoose(ctx context.Context, s *session, row catalog.Store, run catalog.Run) (reconcile.Result, error) {
	dead := map[int64]*wire.RunLock{}
	defer func() {
		for _, l := range dead {
			l.Unlock()
		}
	}()
	return reconcile.Loose(ctx, reconcile.Options{
		Catalog: s.catalog, Row: row.ID, Store: s.store, Run: run,
		Clock: s.env.Clock, Events: s.env.Events, Single: transfer.MaxSingle,
		Alive: func(run int64) bool {
			if dead[run] == nil {
				l, err := wire.LockRun(s.env, run, "settle")
				if err != nil {
					return true // or it can't be told, which is no reason to abort it
				}
				dead[run] = l
			}
			return false
		},
	})
}

// settleLeftLoose is settleLoose for other commands on the store: it begins a
// run only where something is open.
func settleLeftLoose(ctx context.Context, s *session, row catalog.Store) (res reconcile.Result, err error) {
	intents, err := s.catalog.OpenIntents(ctx, row.ID)
	if err != nil {
		return res, err
	}
	any := false
	for _, in := range intents {
		any = any || in.Kind == catalog.LooseArchive
	}
	if !any {
		return res, nil
	}
	run, err := s.catalog.BeginRun(ctx, row.ID, 0, "refresh")
	if err != nil {
		return res, err
	}
	res, err = settleLoose(ctx, s, row, run)
	if endErr := s.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}); err == nil {
		err = endErr
	}
	return res, err
}

// tidyLoose is settleLeftLoose for a command that has other things to do, and
// does them also where that fails.
func tidyLoose(ctx context.Context, s *session, row catalog.Store) {
	if _, err := settleLeftLoose(ctx, s, row); err != nil && ctx.Err() == nil {
		s.ui.Warn("what an interrupted firn archive upload left in the store can't be settled: " + err.Error())
	}
}
