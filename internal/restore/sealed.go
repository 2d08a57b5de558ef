package restore

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/seal"
	"github.com/firn-archive/firn/internal/transfer"
)

// An output is what a job brings, opened where it is sealed.
type output struct {
	job  firn.JobID
	size int64            // bytes, opened
	open transfer.Opening // nil: it isn't sealed
}

// output gives what a job brings of an item's archive.
func (r *restorer) output(ctx context.Context, it item, job firn.JobID) (output, error) {
	opener, err := r.openers.get(ctx, r, it)
	if err != nil || opener == nil {
		return output{job: job, size: it.loc.Size}, err
	}
	open := func(ctx context.Context, at firn.Range) (firn.Output, error) {
		out, err := r.Store.Output(ctx, job, opener.SealedRange(at))
		if err != nil {
			return out, err
		}
		return firn.Output{ReadCloser: opened{opener.Reader(out, at), out}}, nil
	}
	return output{job: job, size: opener.PlainSize(), open: open}, nil
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
	mu   sync.Mutex
	held map[int64]*seal.Opener // by archive; nil: it isn't sealed
	ids  *seal.Identities       // nil: not asked for yet
}

// get gives the opener of an item's archive; nil where that isn't sealed.
func (o *openers) get(ctx context.Context, r *restorer, it item) (*seal.Opener, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if opener, ok := o.held[it.loc.Archive]; ok {
		return opener, nil
	}
	header, _, err := r.Catalog.Header(ctx, it.loc.Archive)
	if err != nil {
		return nil, err
	}
	var opener *seal.Opener
	if header != nil {
		if opener, err = o.open(ctx, r, it, header); err != nil {
			return nil, err
		}
	}
	if len(o.held) >= openersKept {
		clear(o.held)
	}
	o.held[it.loc.Archive] = opener
	return opener, nil
}

// open makes an opener, with the identities that are asked for once.
func (o *openers) open(ctx context.Context, r *restorer, it item, header []byte) (*seal.Opener, error) {
	if r.Identities == nil {
		return nil, &firn.Error{Op: "open", Subject: it.from, Kind: firn.Denied, Err: errors.New("it is encrypted, and no identity is given"),
			Hint: "give the file with the identity: --identity FILE"}
	}
	if o.ids == nil {
		ids, err := r.Identities(ctx)
		if err != nil {
			return nil, err
		}
		o.ids = &ids
	}
	opener, err := o.ids.Open(header, it.loc.Size)
	if firn.KindOf(err) == firn.Denied {
		// Others may open.
		err = &firn.Error{Op: "open", Subject: it.from, Kind: firn.Invalid, Err: err}
	}
	return opener, err
}
