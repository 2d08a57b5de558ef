package restore

import (
	"context"
	"errors"
	"os"
	"path"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
)

// A fileState says what is where a file is to go.
type fileState int

const (
	isAbsent fileState = iota
	isEqual            // the same content
	isOther            // something else
	isAlike            // of the same size; nobody knows the content's hash
)

// compare looks at what is at an item's place, and reads it where only that can
// tell.
func (t *target) compare(ctx context.Context, it *item, o Overwrite) (err error) {
	d, err := t.in(it.folder, search)
	if err != nil {
		return err
	}
	defer t.dirs.give(d)
	it.was, err = lookAt(ctx, d.Root, path.Base(it.file.Path), *it, o)
	return err
}

// link sees to a symbolic link.
func (r *restorer) link(it item) {
	made, err := r.target.putLink(it.folder, it.file, r.Overwrite)
	switch {
	case err != nil:
		r.fail(it, err)
	case made:
		r.settle(it, firn.Restored, nil)
	default:
		r.settleEqual(it)
	}
}

// settleEqual settles an item that was in place, and tells of it unless that was
// done before.
func (r *restorer) settleEqual(it item) {
	if !r.days.wasTold(&it) {
		r.settle(it, firn.Equal, nil)
		return
	}
	r.links.settle(it, true)
	r.leave(it.folder, false)
}

// file sees to one file: it is in place already, or is downloaded, or has to
// wait for its job, or can't be had. It settles the item; an error ends the
// run.
func (r *restorer) file(ctx context.Context, it item, done chan<- finished) error {
	wanted, err := r.needs(ctx, &it)
	if err != nil {
		return r.outcome(ctx, it, err)
	}
	if !wanted {
		return nil
	}
	if it.group != 0 {
		if linked, err := r.linked(ctx, it); linked || err != nil {
			return err
		}
	}
	if r.days == nil && r.waiting == nil {
		if !r.limits.take(&r.Options, it.content.Size) {
			r.settle(it, firn.Left, nil)
			return nil
		}
		r.Events(firn.PlanEvent{Files: 1, Bytes: it.content.Size})
	}
	if it.isUnread() {
		wanted, err := r.ascertain(ctx, &it)
		if err != nil {
			return r.outcome(ctx, it, err)
		}
		if !wanted {
			r.Events(firn.PlanEvent{Files: -1, Bytes: -it.content.Size})
			return nil
		}
	}
	f, err := r.download(ctx, it)
	if err != nil {
		return r.outcome(ctx, it, err)
	}
	select {
	case done <- finished{it, f}:
		return nil
	case <-ctx.Done():
		r.drop(finished{it, f})
		return context.Cause(ctx)
	}
}

// linked gives an item that is another name of a file its name, once that file
// is in place. It is false where the item has to be restored for itself.
func (r *restorer) linked(ctx context.Context, it item) (bool, error) {
	for {
		first, leads := r.links.lead(it)
		if leads || first.path == it.file.Path {
			return false, nil
		}
		select {
		case <-first.settled:
		case <-ctx.Done():
			r.leave(it.folder, true)
			return true, context.Cause(ctx)
		}
		switch there, old := r.links.has(first); {
		case !there: // another leads, perhaps this one
		case old:
			was, err := lookAt(ctx, r.target.root, first.path, it, Never)
			r.links.confirm(&it, first, err == nil && was.state == isEqual)
		default:
			return r.linkTo(first, it), nil
		}
	}
}

// needs reports whether a file must be put in place: not when it is there
// already, nor when something else is that stays.
func (r *restorer) needs(ctx context.Context, it *item) (bool, error) {
	err := r.target.compare(ctx, it, r.Overwrite)
	state := it.was.state
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		return false, localError("restore", it.from, err)
	case it.learned && state != isAbsent:
		if err := r.learn(ctx, finished{item: *it}); err != nil {
			return false, err
		}
	}
	if state == isEqual {
		if err := r.target.tidy(*it); err != nil {
			return false, localError("restore", it.from, err)
		}
		r.settleEqual(*it)
		return false, nil
	}
	if err := it.canCome(); err != nil {
		r.fail(*it, err)
		return false, nil
	}
	return true, nil
}

// canCome says why an item can't be brought to its place, after what is there was
// looked at; nil: it can.
func (it *item) canCome() error {
	switch {
	case it.was.state == isOther && it.was.stays != nil:
		return it.was.stays
	case it.content.Size > 0 && it.loc.State != catalog.Stored:
		return errNotStored
	}
	return it.checkPlace()
}

var errNotStored = errors.New("the store does not hold its content")

// outcome settles an item after an error: it has to wait, or it failed, or the
// run ends.
func (r *restorer) outcome(ctx context.Context, it item, err error) error {
	if ctx.Err() == nil {
		switch firn.KindOf(err) {
		case firn.NotReady, firn.Lost:
			if errors.Is(err, errPartly) {
				r.links.settle(it, false)
				r.leave(it.folder, true)
				return nil
			}
			r.wait(ctx, it) // for the next list of jobs
			return nil
		case firn.NotFound, firn.Corrupt, firn.Invalid, firn.Local, firn.Capacity, firn.Policy:
			r.fail(it, err)
			return nil
		case firn.Full:
			err = localError("restore", it.from, err) // as would every further file
		}
	}
	r.links.settle(it, false)
	r.leave(it.folder, true)
	return err
}

// download gives a temporary file with the content, verified.
func (r *restorer) download(ctx context.Context, it item) (f *os.File, err error) {
	switch {
	case it.content.Size == 0:
		f, err := r.target.create(it.folder, it.file.Path)
		return f, localError("restore", it.from, err)
	case r.days != nil && r.days.inParts(&it):
		return r.days.fetchParts(ctx, it)
	}
	err = r.fromJob(ctx, &it, func(job firn.Job) error {
		f, err = r.fetch(ctx, it, job)
		return err
	})
	return f, err
}

// fetch downloads what a job brings of an item.
func (r *restorer) fetch(ctx context.Context, it item, job firn.Job) (*os.File, error) {
	if it.isMost() {
		return r.fetchWhole(ctx, it, job)
	}
	f, err := r.target.create(it.folder, it.file.Path)
	if err != nil {
		return nil, localError("restore", it.from, err)
	}
	if err = r.fetchMember(ctx, it, job, f); err != nil {
		r.target.discard(it.folder, f, it.file.Path)
		return nil, err
	}
	return f, nil
}

// fetchWhole downloads a file that is an archive of its own, or most of one.
func (r *restorer) fetchWhole(ctx context.Context, it item, job firn.Job) (*os.File, error) {
	from, err := r.output(ctx, it, job)
	if err != nil {
		return nil, err
	}
	pieces, err := r.days.pieces(ctx, &it)
	if err != nil {
		return nil, err
	}
	f, err := r.target.open(it.folder, it.file.Path, len(pieces) > 0)
	if err != nil {
		return nil, localError("restore", it.from, err)
	}
	_, err = r.Downloader.Download(ctx, transfer.Download{
		Path: it.file.Path, Job: job.ID, Open: from.open, Offset: it.loc.Offset, Size: it.content.Size, Tree: it.content.Tree, Dest: f,
		Done: pieces, Arrived: r.days.arrived(&it, 0),
	})
	if err != nil {
		return nil, r.putAside(ctx, it, f, err)
	}
	return f, nil
}
