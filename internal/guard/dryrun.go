package guard

import (
	"context"
	"errors"
	"io"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// ErrDryRun is why a dry run makes no changes.
var ErrDryRun = errors.New("this is a dry run, which changes nothing")

// dryRun lets only questions pass.
type dryRun struct{ firn.Store }

// DryRun gives a store that refuses every call which would change something,
// start a job or cost money, with an error that is ErrDryRun. A dry run makes
// no such call in the first place; this is the net below it.
func DryRun(s firn.Store) firn.Store { return dryRun{s} }

func refuse(op string) error {
	return &firn.Error{Op: op, Err: ErrDryRun}
}

func (dryRun) UploadArchive(context.Context, string, *io.SectionReader, treehash.Sums) (firn.ArchiveID, error) {
	return "", refuse("upload")
}

func (dryRun) StartUpload(context.Context, string, int64) (firn.UploadID, error) {
	return "", refuse("start upload")
}

func (dryRun) UploadPart(context.Context, firn.UploadID, int64, *io.SectionReader, treehash.Sums) error {
	return refuse("upload part")
}

func (dryRun) CompleteUpload(context.Context, firn.UploadID, int64, treehash.Hash) (firn.ArchiveID, error) {
	return "", refuse("complete upload")
}

func (dryRun) AbortUpload(context.Context, firn.UploadID) error { return refuse("abort upload") }

func (dryRun) StartRetrieval(context.Context, firn.RetrievalSpec) (firn.JobID, error) {
	return "", refuse("start retrieval")
}

func (dryRun) StartInventory(context.Context, firn.InventorySpec) (firn.JobID, error) {
	return "", refuse("start inventory")
}

func (dryRun) DeleteArchive(context.Context, firn.ArchiveID) error { return refuse("delete archive") }

func (dryRun) Create(context.Context) error { return refuse("create") }

func (dryRun) Delete(context.Context) error { return refuse("delete") }

func (dryRun) SetTags(context.Context, map[string]string) error { return refuse("tag") }

func (dryRun) RemoveTags(context.Context, ...string) error { return refuse("untag") }
