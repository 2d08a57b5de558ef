package snapshot

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
)

// A journal keeps a snapshot's record in the catalog. It is a transfer.Journal.
type journal struct {
	*shot
	catalog.Sending
}

// Begin records the intent, or begins it anew: the spool file doesn't change,
// and so the bytes are the same.
func (j *journal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	if j.intent.ID != 0 {
		return transfer.Name{Token: j.intent.Token, Description: j.intent.Description}, j.Catalog.Retry(ctx, j.intent.ID)
	}
	token := firn.NewToken()
	description, err := j.describe(token)
	if err != nil {
		return transfer.Name{}, err
	}
	in := catalog.Intent{
		Store: j.Row.ID, Run: j.run.ID, Token: token, Kind: catalog.CatalogArchive,
		Description: description, Size: b.Stamp.Size, Spool: j.path,
	}
	in.File.Stamp = b.Stamp
	if j.key != nil {
		in.Seal = &catalog.Sealing{Header: j.key.Prefix(), Recipients: j.sealed, FileKey: j.key.FileKey, Nonce: j.key.Nonce}
	}
	snapshot := catalog.Snapshot{
		Store: j.Row.ID, Catalog: j.token, Own: true, Seq: j.seq, Base: j.baseSeq(), Through: j.through, Made: j.made,
	}
	if err := j.Catalog.IntendSnapshot(ctx, &in, &snapshot); err != nil {
		return transfer.Name{}, err
	}
	j.intent = in
	return transfer.Name{Token: token, Description: description}, nil
}

// Stored records the archive.
func (j *journal) Stored(ctx context.Context, r transfer.Result) error {
	archive := r.As(j.intent.Description)
	return j.Catalog.Stored(ctx, j.intent.ID, archive, j.run, nil)
}

// InDoubt leaves it to giveUp: another one is made, under another number.
func (j *journal) InDoubt(context.Context) error { return nil }

// Dropped leaves it to giveUp, or to another attempt of the engine, which the
// same intent is for.
func (j *journal) Dropped(context.Context) error { return nil }
