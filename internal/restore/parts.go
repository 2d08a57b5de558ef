package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// fromJob does something with the output of the ready job that brings an item.
func (d *days) fromJob(ctx context.Context, it *item, do func(firn.Job) error) error {
	at, _, err := d.r.openers.stored(ctx, d.r.Catalog, it)
	if err != nil {
		return err
	}
	s, job := d.ready(it.loc.Archive, at)
	if job == nil {
		return errRunning
	}
	d.stay(ctx)
	err = do(job.job(it.loc.Remote))
	if firn.KindOf(err) != firn.NotFound || ctx.Err() != nil {
		return err
	}
	return d.expired(ctx, it, s, job)
}

var errRunning = &firn.Error{Op: "retrieve", Kind: firn.NotReady, Err: errors.New("the store is getting it ready")}

// ready gives the span that has a range of an archive, with its job.
func (d *days) ready(archive int64, at firn.Range) (*span, *readyJob) {
	of := d.spans.within(archive, at)
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	for i := range of {
		if s := &of[i]; s.state == catalog.RangeReady && s.from <= at.Start && at.End <= s.to {
			return s, s.job
		}
	}
	return nil, nil
}

// expired drops a job whose output is gone: what it brought is asked for again.
func (d *days) expired(ctx context.Context, it *item, s *span, job *readyJob) error {
	d.spans.mu.Lock()
	mine := s.job == job
	if mine {
		s.state, s.job, s.lacks = catalog.RangeRequested, nil, true // until the next look finds nothing
	}
	d.spans.mu.Unlock()
	if mine {
		d.cut.Store(true)
		if err := d.asker.Gone(ctx, retrieval.Want{Remote: it.loc.Remote}, job.job(it.loc.Remote), "its output expired"); err != nil {
			return err
		}
	}
	return errRunning
}

// lacks notes that an item isn't in place after this pass.
func (d *days) lacks(ctx context.Context, it *item) {
	at, _, err := d.r.openers.stored(context.WithoutCancel(ctx), d.r.Catalog, it)
	if err != nil || it.isUnread() || it.learned {
		at = firn.Range{End: it.loc.Size}
	}
	of := d.spans.of(it.loc.Archive)
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	for i := range of {
		if s := &of[i]; s.from < at.End && at.Start < s.to {
			s.lacks = true
		}
	}
}

// storedPiece is from which size on the pieces of a file are recorded as they
// arrive, in bytes.
const storedPiece = 64 << 20

// records reports whether the pieces of a file that is an archive of its own are
// recorded. d may be nil.
func (d *days) records(it *item) bool {
	return d != nil && (it.content.Size > storedPiece || d.inParts(it))
}

// pieces gives what earlier processes fetched of a file that is an archive of
// its own. d may be nil.
func (d *days) pieces(ctx context.Context, it *item) ([]transfer.Piece, error) {
	if !d.records(it) {
		return nil, nil
	}
	had, err := d.r.Catalog.Pieces(ctx, d.id, it.loc.Archive)
	pieces := make([]transfer.Piece, len(had))
	for i, p := range had {
		pieces[i] = transfer.Piece(p)
	}
	return pieces, err
}

// arrived gives what records pieces of a file, of which they begin at an offset.
// d may be nil.
func (d *days) arrived(it *item, offset int64) func(context.Context, transfer.Piece) error {
	if !d.records(it) {
		return nil
	}
	return func(ctx context.Context, p transfer.Piece) error {
		p.Offset += offset
		d.stay(ctx)
		return d.r.Catalog.AddPiece(ctx, d.id, it.loc.Archive, catalog.Piece(p))
	}
}

// putAside closes the temporary file of a download that ended with an error. One
// whose pieces are recorded stays for the next process, unless it is of no use.
func (r *restorer) putAside(ctx context.Context, it item, f *os.File, err error) error {
	d := r.days
	keeps := d.records(&it)
	switch firn.KindOf(err) {
	case firn.Corrupt, firn.Invalid, firn.Local:
		if keeps {
			err = errors.Join(err, r.Catalog.DropPieces(context.WithoutCancel(ctx), d.id, it.loc.Archive))
		}
		keeps = false
	}
	if keeps {
		return errors.Join(err, f.Close())
	}
	r.target.discard(it.folder, f, it.file.Path)
	return err
}

// inParts reports whether an item's archive is asked for in several ranges, none
// of which brings it alone.
func (d *days) inParts(it *item) bool {
	return !it.isMember() && len(d.spans.of(it.loc.Archive)) > 1
}

// fetchParts brings what is ready of a file that is asked for in parts, and keeps
// it in the file's temporary place. The error is NotReady until it is whole.
func (d *days) fetchParts(ctx context.Context, it item) (*os.File, error) {
	r := d.r
	pieces, err := d.pieces(ctx, &it)
	if err != nil {
		return nil, err
	}
	f, err := r.target.open(it.folder, it.file.Path, len(pieces) > 0)
	if err != nil {
		return nil, localError("restore", it.from, err)
	}
	of := d.spans.of(it.loc.Archive)
	for i := range of {
		if err := d.fetchPart(ctx, it, &of[i], pieces, f); err != nil {
			return nil, r.putAside(ctx, it, f, err)
		}
	}
	if err := f.Sync(); err != nil { // before its ranges count as done
		return nil, r.putAside(ctx, it, f, localError("restore", it.from, err))
	}
	if !d.arePartsHere(of) {
		return nil, errors.Join(errPartly, f.Close())
	}
	if err := d.verifyParts(ctx, &it, f); err != nil {
		return nil, r.putAside(ctx, it, f, err)
	}
	return f, nil
}

// errPartly: parts of a file are in its temporary place, and nothing of these is
// lacking.
var errPartly = &firn.Error{Op: "retrieve", Kind: firn.NotReady, Err: errors.New("the store is getting more of it ready")}

// fetchPart downloads one range of a file, if it is ready.
func (d *days) fetchPart(ctx context.Context, it item, s *span, had []transfer.Piece, f *os.File) error {
	_, job := d.ready(s.archive, s.Range())
	if job == nil {
		d.doubtPart(s, had)
		return nil
	}
	part := transfer.Download{
		Path: it.file.Path, Job: job.id, Offset: s.from - job.at.Start, Size: s.to - s.from, Dest: offsetFile{f, s.from}, Arrived: d.arrived(&it, s.from),
	}
	if job.at == s.Range() {
		part.Tree = job.tree
	}
	// A job for more is somebody else's. Then nobody tells the hash of this range:
	// that of the whole file is to show whether it is right.
	part.Unproven = part.Tree.IsZero()
	for _, p := range had {
		if p.Offset >= s.from && p.Offset+p.Size <= s.to {
			p.Offset -= s.from
			part.Done = append(part.Done, p)
		}
	}
	got, err := d.r.Downloader.Download(ctx, part)
	if firn.KindOf(err) == firn.NotFound && ctx.Err() == nil {
		return d.expired(ctx, &it, s, job)
	}
	d.meter.arrived(got.Fetched)
	return err
}

// doubtPart finds out whether an earlier process fetched all of a doubted range,
// by the pieces that it had: the file's hash shows in the end whether they are
// there still.
func (d *days) doubtPart(s *span, had []transfer.Piece) {
	there := s.from
	for _, p := range had { // by offset
		if p.Offset <= there && there < p.Offset+p.Size {
			there = p.Offset + p.Size
		}
	}
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	if s.state == doubted && there < s.to {
		s.lacks = true
	}
}

// arePartsHere reports whether all ranges of a file were fetched.
func (d *days) arePartsHere(of []span) bool {
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	for i := range of {
		switch s := &of[i]; {
		case s.state == catalog.RangeReady, s.state == catalog.RangeDone, s.state == doubted && !s.lacks:
		default:
			return false
		}
	}
	return true
}

// verifyParts reads a file that is whole back from its temporary place. What went
// bad there is asked for again, and the error is NotReady.
func (d *days) verifyParts(ctx context.Context, it *item, f *os.File) error {
	got, err := scan.Hash(ctx, io.NewSectionReader(f, 0, it.content.Size)) // what was left may be longer
	if err != nil {
		return localError("restore", it.from, err)
	}
	if got == it.content {
		return nil
	}
	pieces, err := d.pieces(ctx, it)
	if err != nil {
		return err
	}
	bad := false
	for _, p := range pieces {
		h := treehash.New()
		if _, err := io.Copy(h, io.NewSectionReader(f, p.Offset, p.Size)); err != nil {
			return localError("restore", it.from, err)
		}
		if h.Sum() != p.Tree {
			bad = true
			d.reset(it.loc.Archive, firn.Range{Start: p.Offset, End: p.Offset + p.Size})
		}
	}
	if bad {
		return errRunning
	}
	return &firn.Error{Op: "verify", Kind: firn.Corrupt, Err: fmt.Errorf("the archive has the tree hash %s, and should have %s", got.Tree, it.content.Tree),
		Hint: "nothing of it is to be trusted"}
}

// reset has what lies in a range of an archive asked for once more.
func (d *days) reset(archive int64, at firn.Range) {
	of := d.spans.of(archive)
	d.spans.mu.Lock()
	defer d.spans.mu.Unlock()
	for i := range of {
		if s := &of[i]; s.from < at.End && at.Start < s.to && s.state < catalog.RangeFailed {
			s.state, s.job, s.lacks = catalog.RangeRequested, nil, true
			d.cut.Store(true)
		}
	}
}

// An offsetFile is a file from an offset on.
type offsetFile struct {
	f    *os.File
	from int64
}

func (o offsetFile) WriteAt(p []byte, off int64) (int, error) { return o.f.WriteAt(p, o.from+off) }
func (o offsetFile) ReadAt(p []byte, off int64) (int, error)  { return o.f.ReadAt(p, o.from+off) }
