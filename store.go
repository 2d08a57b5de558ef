package firn

import (
	"context"
	"io"
	"iter"

	"github.com/firn-archive/firn/treehash"
)

// A Store keeps archives. Implementations are safe for concurrent use, follow
// every page of a listing, and answer every failure with an *Error whose Kind
// is exact: callers decide by it whether to repeat, to reconcile or to give up.
// They never repeat a request by themselves.
//
// Errors that every method may give: Denied, NoNewCustomers, Throttled,
// Unavailable, Skew, Full (of a store on a disk), Network (the request never
// left, or not whole), Lost (it left, no answer came), NotFound with the
// store's name where the store itself is missing, and the context's cause: as
// it is where the call surely had no effect, within Lost where it may have.
type Store interface {
	Uploader
	Retriever
	Remover
	Keeper
	Traits() Traits
}

// An Uploader puts archives into a store. Bodies are read from their current
// position zero to their end, more than once at the implementation's choice;
// none is read any more when the method has returned. Sums are those of exactly
// these bytes, and the store refuses the body with Corrupt when they differ,
// keeping nothing. A body that can't be read gives the error of its reader, as
// Local unless it has a kind; one that ends early gives Changed.
type Uploader interface {
	// UploadArchive stores body as one archive in a single request and
	// answers when it is durable. Not idempotent: after Lost there may be an
	// archive with this description.
	// Errors: Corrupt, Invalid (size, description), SlowBody.
	UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (ArchiveID, error)

	// StartUpload opens a multipart upload with parts of partSize bytes. Not
	// idempotent: after Lost there may be an upload with this description.
	// Errors: Invalid (part size, description).
	StartUpload(ctx context.Context, description string, partSize int64) (UploadID, error)

	// UploadPart stores one part, in place of any earlier one at offset, which
	// is a multiple of the part size. Parts may come in any order and in
	// parallel. Idempotent.
	// Errors: NotFound (the upload expired or was ended), Invalid (offset,
	// size), Corrupt, SlowBody.
	UploadPart(ctx context.Context, id UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error

	// CompleteUpload makes the parts into one archive of size bytes whose
	// tree hash is tree. Idempotent for some hours: repeated, it answers the
	// same id.
	// Errors: NotFound (expired, aborted, or completed long ago), Invalid
	// (parts missing, size or hash differ: the upload stays open).
	CompleteUpload(ctx context.Context, id UploadID, size int64, tree treehash.Hash) (ArchiveID, error)

	// AbortUpload ends an upload and frees its parts. An upload that is gone
	// is no error.
	AbortUpload(ctx context.Context, id UploadID) error

	// Uploads lists the open uploads, in no order. It ends with the first
	// error.
	Uploads(ctx context.Context) iter.Seq2[Upload, error]

	// Parts lists the parts that the store holds of an upload, by offset, with
	// zero tree hashes where Traits say UncheckedTrees. It ends with the first
	// error. Errors: NotFound.
	Parts(ctx context.Context, id UploadID) iter.Seq2[Part, error]
}

// A Retriever brings archives and inventories back, by way of jobs that take
// the store hours.
type Retriever interface {
	// StartRetrieval asks for an archive, or a MiB-aligned range of it. Each
	// call costs money and starts another job: after Lost there may be a job
	// with this description.
	// Errors: NotFound (archive), Capacity (expedited), Policy, Invalid.
	StartRetrieval(ctx context.Context, spec RetrievalSpec) (JobID, error)

	// StartInventory asks for a list of all archives, or of some. As
	// StartRetrieval; NotReady where no inventory of the store exists yet.
	// Errors: Invalid (format, bounds, a marker of another store).
	StartInventory(ctx context.Context, spec InventorySpec) (JobID, error)

	// Job describes one job. Errors: NotFound (unknown or expired).
	Job(ctx context.Context, id JobID) (Job, error)

	// Jobs lists the jobs that run or whose output can still be read, oldest
	// first. It ends with the first error.
	Jobs(ctx context.Context) iter.Seq2[Job, error]

	// Output opens part of a ready job's output: at is a range within the
	// output (of a ranged job: 0 is the first byte of its range). That of an
	// inventory job is the list as the store writes it, in the job's Format, of
	// InventorySize bytes. The caller closes it. A body that ends early gives an
	// error of kind Network that is io.ErrUnexpectedEOF; any break of it has
	// this kind.
	// Errors: NotReady, NotFound (expired), Invalid (the range, or the job
	// failed).
	Output(ctx context.Context, id JobID, at Range) (Output, error)

	// Inventory reads a ready inventory job's output and hands each archive to
	// each, in the order of the list, never holding all of them. It stops at
	// the first error of each and gives that.
	// Errors: NotReady, NotFound (expired), Invalid (the job failed, or its
	// Format is CSV), Corrupt (not an inventory).
	Inventory(ctx context.Context, id JobID, each func(Archive) error) (InventoryInfo, error)
}

// Output is an open download.
type Output struct {
	io.ReadCloser
	// Tree is the store's hash of exactly these bytes; zero where it gives
	// none, as for ranges that are no node of the tree, and for inventories.
	Tree treehash.Hash
	// Class is the storage class of S3 that the archive is in, where the store says so.
	Class string
}

// A Remover deletes archives.
type Remover interface {
	// DeleteArchive deletes one archive; one that is gone is no error. It
	// can't be undone, and costs a fee within the class's minimum duration.
	DeleteArchive(ctx context.Context, id ArchiveID) error
}

// A Keeper makes, describes and deletes the store itself.
type Keeper interface {
	// Describe says what the store is. Errors: NotFound.
	Describe(ctx context.Context) (StoreInfo, error)
	// Create makes the store; one that exists is no error.
	Create(ctx context.Context) error
	// Delete removes an empty store; one that is gone is no error.
	// Errors: NotEmpty (or written to since the last inventory).
	Delete(ctx context.Context) error
	// Tags gives the store's tags, never nil.
	Tags(ctx context.Context) (map[string]string, error)
	// SetTags adds tags or gives them new values; where it fails, some of them
	// may be set. Errors: Invalid (syntax, more than 50).
	SetTags(ctx context.Context, tags map[string]string) error
	// RemoveTags removes tags; unknown keys are no error.
	RemoveTags(ctx context.Context, keys ...string) error
}
