package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/transfer"
)

// An output is what a job brings, opened where it is sealed.
type output struct {
	job  firn.JobID
	has  firn.Range       // of the archive's bytes, opened
	open transfer.Opening // nil: these are the job's own
}

// output gives what a job brings of an item's archive.
func (r *restorer) output(ctx context.Context, it item, job firn.Job) (output, error) {
	opener, err := r.openers.get(ctx, r, it)
	if err != nil {
		return output{}, err
	}
	brings := firn.Range{End: it.loc.Size}
	if job.Range.Len() > 0 {
		brings = job.Range
	}
	switch {
	case opener != nil:
		return output{job: job.ID, has: opener.PlainRange(brings), open: func(ctx context.Context, at firn.Range) (firn.Output, error) {
			out, err := r.outputOf(ctx, job.ID, brings, opener.SealedRange(at))
			if err != nil {
				return out, err
			}
			return firn.Output{ReadCloser: opened{opener.Reader(out, at), out}}, nil
		}}, nil
	case brings.Start > 0:
		return output{job: job.ID, has: brings, open: func(ctx context.Context, at firn.Range) (firn.Output, error) {
			return r.outputOf(ctx, job.ID, brings, at)
		}}, nil
	}
	return output{job: job.ID, has: brings}, nil
}

// outputOf opens a range of an archive, of which the job brings what has it.
func (r *restorer) outputOf(ctx context.Context, job firn.JobID, brings, at firn.Range) (firn.Output, error) {
	if at.Start < brings.Start || at.End > brings.End {
		return firn.Output{}, &firn.Error{Op: "fetch", Kind: firn.Invalid, Err: fmt.Errorf("bytes %d to %d are not in what was asked for, %d to %d", at.Start, at.End, brings.Start, brings.End)}
	}
	return r.Store.Output(ctx, job, firn.Range{Start: at.Start - brings.Start, End: at.End - brings.Start})
}

// An opened body is read through its opener.
type opened struct {
	io.Reader
	io.Closer
}

// openersKept bounds the openers that are remembered; members of one archive
// are mostly wanted together.
const openersKept = 1024

// openers remembers how archives are opened.
type openers struct {
	mu       sync.Mutex
	held     map[int64]*seal.Opener // by archive; nil: it isn't sealed
	prefixes map[int64][]byte       // likewise
	ids      *seal.Identities       // nil: not asked for yet
}

// prefix gives what an item's archive begins with; nil where that isn't sealed.
func (o *openers) prefix(ctx context.Context, c *catalog.Catalog, archive int64) ([]byte, error) {
	if prefix, ok := o.prefixes[archive]; ok {
		return prefix, nil
	}
	prefix, _, err := c.Header(ctx, archive)
	if err != nil {
		return nil, err
	}
	if len(o.prefixes) >= openersKept {
		clear(o.prefixes)
	}
	o.prefixes[archive] = prefix
	return prefix, nil
}

// get gives the opener of an item's archive; nil where that isn't sealed.
func (o *openers) get(ctx context.Context, r *restorer, it item) (*seal.Opener, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if opener, ok := o.held[it.loc.Archive]; ok {
		return opener, nil
	}
	prefix, err := o.prefix(ctx, r.Catalog, it.loc.Archive)
	if err != nil {
		return nil, err
	}
	var opener *seal.Opener
	if prefix != nil {
		if opener, err = o.open(ctx, r, it, prefix); err != nil {
			return nil, err
		}
	}
	if len(o.held) >= openersKept {
		clear(o.held)
	}
	o.held[it.loc.Archive] = opener
	return opener, nil
}

// stored gives where an item's content is in its archive as stored, for which
// no identity is needed.
func (o *openers) stored(ctx context.Context, c *catalog.Catalog, it *item) (firn.Range, bool, error) {
	at := firn.Range{Start: it.loc.Offset, End: it.loc.Offset + it.content.Size}
	if !it.isMember() {
		return at, false, nil // what is sealed is longer than its content
	}
	o.mu.Lock()
	prefix, err := o.prefix(ctx, c, it.loc.Archive)
	o.mu.Unlock()
	if err != nil || prefix == nil {
		return at, false, err
	}
	at, err = seal.SealedRange(prefix, it.loc.Size, at)
	return at, true, err
}

// open makes an opener, with the identities that are asked for once.
func (o *openers) open(ctx context.Context, r *restorer, it item, prefix []byte) (*seal.Opener, error) {
	if r.Identities == nil {
		return nil, &firn.Error{Op: "open", Subject: it.from, Kind: firn.Denied, Err: errors.New("it is encrypted, and no identity is given"),
			Hint: "give the file with the identity: --identity FILE"}
	}
	if o.ids == nil {
		ids, err := r.Identities(ctx)
		if err != nil && ctx.Err() == nil {
			// Whatever it is, a missing file too: nothing opens without it.
			return nil, &firn.Error{Op: "open", Subject: it.from, Kind: firn.Denied, Err: err}
		}
		if err != nil {
			return nil, err
		}
		o.ids = &ids
	}
	opener, err := o.ids.Open(prefix, it.loc.Size)
	if firn.KindOf(err) == firn.Denied {
		// Others may open.
		err = &firn.Error{Op: "open", Subject: it.from, Kind: firn.Invalid, Err: err}
	}
	return opener, err
}
