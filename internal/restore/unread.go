package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// errUnverifiable: neither the file's nor the archive's hash is known.
var errUnverifiable = &firn.Error{
	Op: "verify", Kind: firn.Invalid, Err: errors.New("nobody recorded a tree hash by which its bytes could be verified"),
}

// isUnread reports whether nobody knows the hash of an item's content, because
// whoever stored it recorded none.
func (it *item) isUnread() bool { return it.content.Size > 0 && it.content.Tree.IsZero() }

// isMember reports whether an item's content is a part of its archive.
func (it *item) isMember() bool {
	return it.loc.Kind == catalog.BundleArchive || it.loc.Offset != 0 || it.loc.Size != it.content.Size
}

// isMost reports whether an item is the archive, or most of a larger one: a file
// that is sealed, say, which is the only one of its bundle.
func (it *item) isMost() bool {
	return !it.isMember() || it.loc.Kind == catalog.BundleArchive && it.content.Size > windowSize && it.content.Size > it.loc.Size/2
}

// tooLarge is more than any store takes as one archive, in bytes.
const tooLarge = 1 << 50

// checkPlace refuses what can't be a place of the item's content.
func (it *item) checkPlace() error {
	switch {
	case it.content.Size < 0 || it.loc.Offset < 0 || it.loc.Size > tooLarge:
		return fmt.Errorf("the catalog has it as %d bytes from byte %d on of an archive of %d bytes: that can't be", it.content.Size, it.loc.Offset, it.loc.Size)
	case it.content.Size > it.loc.Size-it.loc.Offset && it.content.Size > 0:
		return fmt.Errorf("the catalog has it as %d bytes from byte %d on of an archive of %d bytes: it would not end in it", it.content.Size, it.loc.Offset, it.loc.Size)
	case it.isUnread() && it.loc.Tree.IsZero():
		return errUnverifiable
	}
	return nil
}

// ascertain finds out what the content is of which nobody knows the hash, by the
// hash of the whole archive. Then it can be told whether the file is wanted: one
// in its place may be the same.
func (r *restorer) ascertain(ctx context.Context, it *item) (wanted bool, err error) {
	tree := it.loc.Tree
	if it.isMember() {
		if tree, err = r.treeInTar(ctx, *it); err != nil {
			return false, err
		}
	}
	it.content.Tree, it.learned = tree, true
	return r.needs(ctx, it)
}

// treeInTar gives the hash of what is in a tar, which is fetched if it wasn't.
func (r *restorer) treeInTar(ctx context.Context, it item) (tree treehash.Hash, err error) {
	err = r.fromJob(ctx, &it, func(job firn.Job) error {
		ball, err := r.tars.take(ctx, it.loc.Archive, func(b *tarball) (*localCopy, error) { return r.fetchTar(ctx, it, job, b) })
		var e *firn.Error
		switch {
		case firn.KindOf(err) == firn.Corrupt && errors.As(err, &e):
			// It may have been another file on account of which it was fetched.
			return &firn.Error{Op: "restore", Subject: it.from, Kind: e.Kind, Err: fmt.Errorf("the archive that it is in: %w", e.Err), Hint: e.Hint}
		case err != nil:
			return err
		}
		defer r.tars.give(ball)
		tree, err = ball.find(&it)
		return err
	})
	return tree, err
}

// fetchTar downloads a whole tar, verifies it, and reads what is in it.
func (r *restorer) fetchTar(ctx context.Context, it item, job firn.Job, ball *tarball) (*localCopy, error) {
	from, err := r.output(ctx, it, job)
	if err != nil {
		return nil, err
	}
	if from.has != (firn.Range{End: it.loc.Size}) {
		return nil, errUnverifiable // the hash is that of the sealed bytes
	}
	local, err := r.target.newLocalCopy(it.loc.Remote)
	if err != nil {
		return nil, localError("restore", it.from, err)
	}
	r.Events(firn.PlanEvent{Bytes: it.loc.Size})
	_, err = r.Downloader.Download(ctx, transfer.Download{Path: it.file.Path, Job: job.ID, Size: it.loc.Size, Tree: it.loc.Tree, Dest: local})
	if err == nil {
		ball.files, ball.damage, err = readTar(ctx, local, it.loc.Size)
	}
	if err != nil {
		local.close()
		return nil, err
	}
	return local, nil
}

// copyFromTar writes a file of a tar that is at hand to its place; false where
// it has to be fetched, since there is no such tar, or its copy went bad.
func (r *restorer) copyFromTar(it item, to *os.File) (done bool, err error) {
	ball := r.tars.copyOf(it.loc.Archive)
	if ball == nil {
		return false, nil
	}
	defer r.tars.give(ball)
	sum := treehash.New()
	if _, err := io.Copy(io.MultiWriter(to, sum), io.NewSectionReader(ball.local, it.loc.Offset, it.content.Size)); err != nil {
		return false, localError("restore", it.from, err)
	}
	if sum.Sum() != it.content.Tree {
		return false, nil
	}
	r.Events(firn.TransferEvent{Path: it.file.Path, Bytes: it.content.Size})
	return true, nil
}

// learn records what was found out about contents, so that next time they are
// known by their hashes.
func (r *restorer) learn(ctx context.Context, items ...finished) error {
	var lessons []catalog.Lesson
	for i := range items {
		if it := &items[i].item; it.learned {
			lessons = append(lessons, catalog.Lesson{Archive: it.loc.Archive, Member: it.loc.Member, Content: it.content})
		}
	}
	err := r.Catalog.LearnContents(ctx, lessons)
	if firn.KindOf(err) == firn.Conflict {
		// What was fetched is good all the same: the archive's hash says so.
		r.Events(firn.NoticeEvent{Warn: true, Text: "what the catalog has of a file's content is not what the store has: " + err.Error()})
		return nil
	}
	return err
}
