package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/treehash"
)

// A File is a local file, open for reading.
type File interface {
	// ReadAt is called from several goroutines at once, never after Close.
	io.ReaderAt
	io.Closer
	// Stamp describes the open file, not whatever has its name now. Its Size
	// is the number of bytes to send.
	Stamp() (firn.Stamp, error)
}

// A Hashed is a File whose sums may be known without reading it, since its bytes were
// hashed as they came.
type Hashed interface {
	// Sums are those of all bytes that ReadAt gives; false where they aren't known,
	// and the file is to be read for them.
	Sums() (treehash.Sums, bool, error)
}

// A Source is what to upload.
type Source struct {
	Path string // for events and errors
	// Open opens the file from its start. It is called again, after the file
	// before was closed, when the file has to be read afresh.
	Open func() (File, error)
}

// A Journal keeps the durable record of one upload, from which a later process
// resumes it. Each method returns when what it was told will survive a power
// cut; an error ends the upload as it stands. The calls of one task come in
// this order, where an attempt may end at any point by an error or a kill:
//
//	{ Begin [ Opened { Part | Completing } ] Dropped } Begin ... ( Stored | InDoubt )
//
// Part is called from several goroutines at once.
type Journal interface {
	// Begin comes before anything is sent: from here on the store may hold
	// something that bears the name. What earlier attempts recorded
	// is void.
	// It gives the archive's name, which is one of its own for each content
	// that is sent: two files, or two states of one file, must never share it.
	Begin(ctx context.Context, b Begun) (Name, error)
	// Opened: the store has opened a multipart upload.
	Opened(ctx context.Context, id firn.UploadID, partSize int64) error
	// Part: the store has this part.
	Part(ctx context.Context, p firn.Part) error
	// Completing comes before the request that makes the parts into an
	// archive: from here on the upload may be one.
	Completing(ctx context.Context, c firn.Content) error
	// Stored: the archive exists. Not called for duplicates.
	Stored(ctx context.Context, r Result) error
	// InDoubt: whether the archive exists can't be told without an inventory.
	InDoubt(ctx context.Context) error
	// Dropped: of what was begun nothing is left, and nothing will be.
	Dropped(ctx context.Context) error
}

// A Name is what an archive, or the upload that is to be one, is called.
type Name struct {
	Token       firn.Token // the description holds it
	Description string     // as the store shall keep it
}

// Begun is what is known before the first request of an attempt.
type Begun struct {
	Stamp firn.Stamp
	// Content has no tree hash where the file is hashed while it is sent.
	Content firn.Content
	// Multipart: nothing is stored before Opened and Completing were recorded.
	// Else one request may have stored it all.
	Multipart bool
}

// A Resume is what a Journal recorded of an upload that an earlier process
// began as multipart and didn't end.
type Resume struct {
	// Upload is empty where Opened was not recorded: then the upload is
	// looked for by the token.
	Token      firn.Token
	Upload     firn.UploadID
	PartSize   int64
	Parts      []firn.Part // in any order
	Stamp      firn.Stamp
	Completing bool
	Content    firn.Content // what was to be completed; zero before
	// Only: no other upload will do, and what it has is somebody's. Where it can't
	// be gone on with as it is, it stays, and Upload fails: with Invalid (it is one
	// of another file), Changed, or NotFound (it is gone).
	Only bool
}

// A Task is one file to upload.
type Task struct {
	Source
	Journal Journal
	Resume  *Resume // nil: nothing was begun
	// Known reports whether the store holds this content already; nil: never
	// ask. It is asked once a file is hashed and nothing is sent or recorded:
	// of files that go up in one request always, of larger ones only with
	// HashFirst. It may block, say until a twin in flight is stored.
	Known func(ctx context.Context, c firn.Content) (bool, error)
	// HashFirst reads the whole file before the first part is sent, which
	// pays only where a content of this size is known.
	HashFirst bool
}

// A Result is what became of an upload.
type Result struct {
	Archive firn.ArchiveID // empty for duplicates
	Content firn.Content   // of exactly the bytes that are stored
	// Stamp is the file's when these bytes were read. After a resumed
	// completion it is that of the earlier process, and the file may have
	// changed since.
	Stamp     firn.Stamp
	Duplicate bool  // Known said yes: nothing was sent
	Sent      int64 // bytes handed to the store, repeats included
	Resumed   int64 // bytes of the archive that the store had already
	Receipt   firn.Receipt
}

// As is the archive that was stored, under its description.
func (r Result) As(description string) firn.Archive {
	return firn.Archive{ID: r.Archive, Description: description, Size: r.Content.Size, Tree: r.Content.Tree, Receipt: r.Receipt}
}

// UploadOptions are the knobs of an Uploader. Zero values mean defaults.
type UploadOptions struct {
	// PartSize in bytes, 1 MiB times a power of two up to 4 GiB, or any number of
	// MiB where the store takes that (firn.Traits.AnyPart). It is more where a
	// file would have too many parts, and less on slow lines.
	PartSize int64
	// Single is the largest archive that goes up in one request, in bytes; 0:
	// MaxSingle, which it can't be above.
	Single      int64
	Concurrency int         // bodies hashed or in flight at a time
	Limit       int64       // bytes/s that the store is limited to; 0: not known
	Clock       clock.Clock // the machine's
	Events      firn.Sink   // firn.Discard
	// TokenOf reads the token out of a description, by which an upload whose
	// id was lost is found again. Without it, it is given up.
	TokenOf func(description string) (firn.Token, bool)
}

// An Uploader sends files to one store. It is safe for concurrent use, and its
// bound on bodies in flight holds over all of them.
type Uploader struct {
	store  firn.Uploader
	traits firn.Traits
	opt    UploadOptions
	line   *line
	bufs   buffers
}

// NewUploader gives an Uploader to a store with these traits. Options that make
// no sense give Usage.
func NewUploader(store firn.Uploader, traits firn.Traits, opt UploadOptions) (*Uploader, error) {
	opt.PartSize = cmp.Or(opt.PartSize, DefaultPartSize)
	opt.Concurrency = cmp.Or(opt.Concurrency, DefaultConcurrency)
	opt.Single = min(cmp.Or(opt.Single, MaxSingle), MaxSingle)
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	if opt.Events == nil {
		opt.Events = firn.Discard
	}
	if err := CheckPartSizeIn(opt.PartSize, traits); err != nil {
		return nil, err
	}
	if opt.Concurrency < 1 || opt.Limit < 0 {
		return nil, usage("set up uploads", "a concurrency of %d and a limit of %d bytes/s make no sense", opt.Concurrency, opt.Limit)
	}
	if traits.MaxSingle < 1 || traits.MaxPart < mib || traits.MaxParts < 1 || traits.MaxArchive < 1 {
		return nil, usage("set up uploads", "the store says of itself that it takes nothing: %+v", traits)
	}
	return &Uploader{
		store: store, traits: traits, opt: opt,
		line: &line{clock: opt.Clock, slots: opt.Concurrency, limit: float64(opt.Limit)},
	}, nil
}

const (
	// again is how often a file is begun anew that changed while it was read,
	// or whose upload vanished, before it is given up.
	again = 3
	// tries is how often one body is sent whose failure is sure to have left
	// nothing behind.
	tries = 5
)

// Reasons to begin anew.
var (
	errChanged = errors.New("it changed while it was read")
	errGone    = errors.New("the upload is gone from the store")
	errStale   = errors.New("the file is another than the one whose upload began")
)

// An upload is one task under way.
type upload struct {
	*Uploader
	Task
	file  File
	stamp firn.Stamp // of file, when it was opened

	begun  bool          // recorded, and not dropped
	single bool          // the attempt under way makes one request
	id     firn.UploadID // the multipart upload under way
	most   int64         // largest body that isn't known to be too slow; 0: any
	only   bool          // nothing is begun anew: see Resume

	sent    atomic.Int64 // bytes the store has read
	landed  atomic.Int64 // bytes it has kept, of the attempt under way
	name    Name         // since Begin, or by Resume
	resumed int64
	receipt firn.Receipt // for what was stored
}

// Upload stores one file, and returns when that is recorded. An error's kind
// says what to make of it:
//
//   - InDoubt: all was sent and no answer came. Recorded; reconcile.
//   - Changed: the file kept changing. Nothing is left behind.
//   - Local: the file can't be read.
//   - Corrupt: the store kept refusing what was read: a disk, memory or the
//     network alters bytes.
//   - else that of the store, or Other with the context's cause: what was begun
//     is recorded, and goes on where a later task resumes it.
func (u *Uploader) Upload(ctx context.Context, t Task) (Result, error) {
	if t.Open == nil || t.Journal == nil {
		return Result{}, failure("upload", t.Path, usage("check task", "it has no file or no journal"))
	}
	up := &upload{Uploader: u, Task: t}
	r, err := up.run(ctx)
	if cerr := up.close(); err == nil && cerr != nil {
		u.opt.Events(firn.NoticeEvent{Text: t.Path + ": " + cerr.Error(), Warn: true})
	}
	if err != nil {
		return Result{}, failure("upload", t.Path, err)
	}
	return r, nil
}

// run makes attempts until one succeeds or fails for good.
func (up *upload) run(ctx context.Context) (Result, error) {
	for restarts := 0; ; {
		r, err := up.attempt(ctx)
		anew := errors.Is(err, errChanged) || errors.Is(err, errGone) || errors.Is(err, errStale) ||
			errors.Is(err, errTooSlow) || up.single && firn.KindOf(err) == firn.Corrupt
		if err == nil || !anew && !up.single {
			return r, err
		}
		if up.only {
			return Result{}, asItIs(err)
		}
		derr := up.drop(ctx)
		switch {
		case !anew:
			return Result{}, both(err, derr)
		case derr != nil:
			return Result{}, derr
		case errors.Is(err, errTooSlow):
			up.opt.Events(firn.NoticeEvent{Text: fmt.Sprintf("%s: the line is slow; sending it in smaller parts", up.Path)})
		case !errors.Is(err, errStale):
			if restarts++; restarts > again {
				return Result{}, final(err)
			}
		}
	}
}

// final says in words what kept an upload from succeeding.
func final(err error) error {
	switch {
	case errors.Is(err, errChanged):
		return &firn.Error{Op: "read", Kind: firn.Changed, Err: err, Hint: "the next run tries again; stop what writes to it, or take a snapshot"}
	case errors.Is(err, errGone):
		return &firn.Error{Op: "send parts", Kind: firn.NotFound, Err: err, Hint: "does another program abort uploads there?"}
	case firn.KindOf(err) == firn.Corrupt:
		return &firn.Error{Op: "send", Kind: firn.Corrupt, Err: err, Hint: "a program may be writing to it behind its time of modification; if none is, check disk and memory"}
	}
	return err
}

// asItIs says in words why the only upload that would do can't be gone on with.
func asItIs(err error) error {
	switch {
	case errors.Is(err, errStale):
		return &firn.Error{Op: "go on with the upload", Kind: firn.Invalid, Err: err}
	case errors.Is(err, errChanged):
		return &firn.Error{Op: "read", Kind: firn.Changed, Err: err, Hint: "the upload stays as it is"}
	}
	return final(err)
}

// attempt goes on with what is to be resumed, or begins anew.
func (up *upload) attempt(ctx context.Context) (Result, error) {
	if r := up.Resume; r != nil {
		up.Resume, up.name.Token, up.only = nil, r.Token, r.Only
		return up.goOn(ctx, *r)
	}
	if err := up.open(); err != nil {
		return Result{}, err
	}
	size := up.stamp.Size
	if size == 0 && !up.traits.EmptyArchives {
		return Result{}, &firn.Error{Op: "read", Kind: firn.Changed, Err: errors.New("the file is empty now, and the store takes no empty archives")}
	}
	smallest, err := smallestPart(size, up.traits)
	if err != nil {
		return Result{}, err
	}
	up.single = up.isSingle(size, smallest, up.reach())
	if up.single {
		return up.inOne(ctx, smallest)
	}
	return up.inParts(ctx, smallest)
}

// reach is how large a body may be planned; 0 if that isn't known.
func (up *upload) reach() int64 {
	reach := up.line.reach()
	if up.most > 0 && (reach == 0 || reach > up.most) {
		return up.most
	}
	return reach
}

// open opens the file, afresh if it was open.
func (up *upload) open() error {
	if err := up.close(); err != nil {
		return err
	}
	f, err := up.Open()
	if err != nil {
		return local("open", err)
	}
	up.file = f
	up.stamp, err = f.Stamp()
	return local("stat", err)
}

func (up *upload) close() error {
	if up.file == nil {
		return nil
	}
	f := up.file
	up.file = nil
	return local("close", f.Close())
}

// unchanged gives errChanged where the open file isn't what it was.
func (up *upload) unchanged() error {
	now, err := up.file.Stamp()
	if err != nil {
		return local("stat", err)
	}
	if !now.Equal(up.stamp) {
		return errChanged
	}
	return nil
}

// hashes are what is known of a part's bytes: their own, and what the part is in
// the tree of the whole.
type hashes struct {
	treehash.Sums
	span treehash.Span
}

// hash reads n bytes from off on, a whole number of MiB, under a slot that the
// caller holds, and makes sure that the file stayed what it was.
func (up *upload) hash(ctx context.Context, off, n int64) (hashes, error) {
	d := treehash.NewDoubleAt(off)
	if err := up.feed(ctx, d, off, n); err != nil {
		return hashes{}, err
	}
	return hashes{d.Sums(), d.Span()}, up.unchanged()
}

// feed reads n bytes from off on into w.
func (up *upload) feed(ctx context.Context, w io.Writer, off, n int64) error {
	err := up.bufs.feed(ctx, w, up.file, off, n)
	switch {
	case err == io.ErrUnexpectedEOF:
		return errChanged
	case err != nil && ctx.Err() == nil:
		return local("read", err)
	}
	return err
}

// known asks whether the content is stored already.
func (up *upload) known(ctx context.Context, c firn.Content) (bool, error) {
	if up.Known == nil {
		return false, nil
	}
	return up.Known(ctx, c)
}

func (up *upload) duplicate(c firn.Content) Result {
	return Result{Content: c, Stamp: up.stamp, Duplicate: true, Sent: up.sent.Load()}
}

func (up *upload) begin(ctx context.Context, c firn.Content) error {
	name, err := up.Journal.Begin(ctx, Begun{Stamp: up.stamp, Content: c, Multipart: !up.single})
	if err != nil {
		return err
	}
	up.name, up.begun = name, true
	return nil
}

// stored records the outcome, even if the context has ended since.
func (up *upload) stored(ctx context.Context, id firn.ArchiveID, c firn.Content, s firn.Stamp) (Result, error) {
	r := Result{Archive: id, Content: c, Stamp: s, Sent: up.sent.Load(), Resumed: up.resumed, Receipt: up.receipt}
	up.begun, up.id = false, ""
	return r, up.Journal.Stored(context.WithoutCancel(ctx), r)
}

// doubt records that nobody knows, because of err.
func (up *upload) doubt(ctx context.Context, err error) error {
	up.begun, up.id = false, ""
	jerr := up.Journal.InDoubt(context.WithoutCancel(ctx))
	return &firn.Error{
		Op: "send", Kind: firn.InDoubt,
		Err:  both(fmt.Errorf("all was sent, and no answer says whether it is stored: %w", err), jerr),
		Hint: "the store's next inventory will show it",
	}
}

// drop leaves nothing of the attempt, at the store or in the journal.
func (up *upload) drop(ctx context.Context) error {
	if up.id != "" {
		if err := up.store.AbortUpload(ctx, up.id); err != nil && firn.KindOf(err) != firn.NotFound {
			return err
		}
		up.id = ""
	}
	if n := up.landed.Swap(0); n > 0 {
		up.opt.Events(firn.TransferEvent{Path: up.Path, Bytes: -n})
	}
	if up.resumed > 0 {
		up.opt.Events(firn.PlanEvent{Bytes: up.resumed})
		up.resumed = 0
	}
	if !up.begun {
		return nil
	}
	up.begun = false
	return up.Journal.Dropped(context.WithoutCancel(ctx))
}
