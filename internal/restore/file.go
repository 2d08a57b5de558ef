package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/scan"
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

// compare looks at what is at a file's place, and reads it where only that can
// tell.
func (t *target) compare(ctx context.Context, it item) (fileState, error) {
	d, err := t.in(it.folder, search)
	if err != nil {
		return isAbsent, err
	}
	defer t.dirs.give(d)
	p := path.Base(it.file.Path)
	info, err := d.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return isAbsent, nil
	case err != nil:
		return isAbsent, err
	case !info.Mode().IsRegular() || info.Size() != it.content.Size:
		return isOther, nil
	case it.isUnread():
		return isAlike, nil
	}
	f, err := d.Open(p)
	if err != nil {
		return isAbsent, err
	}
	defer f.Close()
	got, err := scan.Hash(ctx, f)
	if err != nil {
		return isAbsent, err
	}
	if got != it.content {
		return isOther, nil
	}
	return isEqual, nil
}

// link sees to a symbolic link.
func (r *restorer) link(it item) {
	made, err := r.target.symlink(it.folder, it.file)
	switch {
	case err != nil:
		r.fail(it, err)
	case made:
		r.settle(it, firn.Restored, nil)
	default:
		r.settle(it, firn.Equal, nil)
	}
}

// file sees to one file: it is in place already, or is downloaded, or has to
// wait for its job, or can't be had. It settles the item; an error ends the
// run.
func (r *restorer) file(ctx context.Context, it item, done chan<- finished) error {
	wanted, err := r.needs(ctx, it)
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
	if r.waiting == nil {
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
	first, leads := r.links.lead(it)
	if leads || first.path == it.file.Path {
		return false, nil
	}
	select {
	case <-first.settled:
		return r.linkTo(first, it), nil
	case <-ctx.Done():
		r.leave(it.folder, true)
		return true, context.Cause(ctx)
	}
}

// needs reports whether a file must be put in place: not when it is there
// already, nor when something else is.
func (r *restorer) needs(ctx context.Context, it item) (bool, error) {
	state, err := r.target.compare(ctx, it)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		return false, localError("restore", it.from, err)
	case it.learned && state != isAbsent:
		if err := r.learn(ctx, finished{item: it}); err != nil {
			return false, err
		}
	}
	switch {
	case state == isEqual:
		if err := r.target.tidy(it); err != nil {
			return false, localError("restore", it.from, err)
		}
		r.settle(it, firn.Equal, nil)
		return false, nil
	case state == isOther:
		r.fail(it, fmt.Errorf("%s exists already, with other content; it stays as it is", it.file.Path))
		return false, nil
	case it.content.Size > 0 && it.loc.State != catalog.Stored:
		r.fail(it, errors.New("the store does not hold its content"))
		return false, nil
	}
	if err := it.checkPlace(); err != nil {
		r.fail(it, err)
		return false, nil
	}
	return true, nil
}

// outcome settles an item after an error: it has to wait, or it failed, or the
// run ends.
func (r *restorer) outcome(ctx context.Context, it item, err error) error {
	if ctx.Err() == nil {
		switch firn.KindOf(err) {
		case firn.NotReady, firn.Lost:
			r.wait(it) // for the next list of jobs
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
	if it.content.Size == 0 {
		f, err := r.target.create(it.folder, it.file.Path)
		return f, localError("restore", it.from, err)
	}
	err = r.fromJob(ctx, it, func(job firn.JobID) error {
		f, err = r.fetch(ctx, it, job)
		return err
	})
	return f, err
}

// fromJob does something with the output of the job that brings an item's
// archive. A job whose output has expired meanwhile is asked for anew.
func (r *restorer) fromJob(ctx context.Context, it item, do func(firn.JobID) error) error {
	for expired := false; ; expired = true {
		job, err := r.job(ctx, it)
		if err != nil {
			return err
		}
		err = do(job.Remote.ID)
		if expired || firn.KindOf(err) != firn.NotFound {
			return err
		}
		if err := r.expired(ctx, it, job); err != nil {
			return err
		}
	}
}

// fetch downloads a job's output.
func (r *restorer) fetch(ctx context.Context, it item, job firn.JobID) (*os.File, error) {
	f, err := r.target.create(it.folder, it.file.Path)
	if err != nil {
		return nil, localError("restore", it.from, err)
	}
	if it.isMember() {
		err = r.fetchMember(ctx, it, job, f)
	} else {
		_, err = r.Downloader.Download(ctx, transfer.Download{
			Path: it.file.Path, Job: job, Size: it.content.Size, Tree: it.content.Tree, Dest: f,
		})
	}
	if err != nil {
		r.target.discard(it.folder, f, it.file.Path)
		return nil, err
	}
	return f, nil
}
