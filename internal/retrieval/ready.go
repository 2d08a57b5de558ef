package retrieval

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

// A Ready is a want whose job is done. Its methods are safe for concurrent use.
type Ready struct {
	// Job is as the store told of it: ArchiveSize and ArchiveTree are those of the
	// archive, also where the job brings a range.
	Job firn.Job

	want Want
	from *transfer.Downloader
	stay func(context.Context) // has others stay that wait meanwhile
	gone atomic.Bool           // the output was asked for, and is gone
}

// Gone reports whether the output was to be read, and isn't there any more.
func (r *Ready) Gone() bool { return r.gone.Load() }

// Size is that of the archive, in bytes.
func (r *Ready) Size() int64 {
	if r.Job.ArchiveSize > 0 {
		return r.Job.ArchiveSize
	}
	return r.want.Size
}

// Tree is the archive's tree hash, as it was known before, else as the store
// says.
func (r *Ready) Tree() treehash.Hash {
	if !r.want.Tree.IsZero() {
		return r.want.Tree
	}
	return r.Job.ArchiveTree
}

// Brings is the range of the archive that can be had: what was wanted, or more.
func (r *Ready) Brings() firn.Range {
	if r.Job.Range.Len() > 0 {
		return r.Job.Range
	}
	return firn.Range{End: r.Size()}
}

// check compares what the store says of the archive with what is known of it.
func (r *Ready) check() error {
	w := &r.want
	if w.Size > 0 && r.Size() != w.Size || !r.Job.ArchiveTree.IsZero() && r.Tree() != r.Job.ArchiveTree {
		return r.corrupt(fmt.Errorf("the store has an archive of %d bytes with the tree hash %s, and it should have one of %d bytes with %s", r.Size(), r.Job.ArchiveTree, w.Size, r.Tree()))
	}
	return nil
}

func (r *Ready) corrupt(err error) error {
	return &firn.Error{Op: "verify", Subject: r.want.Label, Kind: firn.Corrupt, Err: err, Hint: "nothing of it is to be trusted"}
}

// Fetch brings a range of the archive into memory; it must lie in what Brings
// says. All of the archive, all of the job's output, and a range that is a node
// of the hash tree are verified; else whoever called must do so.
// Errors: NotFound (the output is gone: tell the Asker), Corrupt, Usage (the
// range), and as transfer.Downloader.
func (r *Ready) Fetch(ctx context.Context, at firn.Range) ([]byte, error) {
	from, err := r.offset(at)
	if err != nil {
		return nil, err
	}
	data, err := r.from.Fetch(ctx, r.Job.ID, nil, firn.Range{Start: from, End: from + at.Len()})
	if err != nil {
		return nil, r.note(err)
	}
	r.stay(ctx)
	if want := r.treeOf(at); !want.IsZero() {
		if got := treehash.Sum(data); got != want {
			return nil, r.corrupt(fmt.Errorf("bytes %d to %d have the tree hash %s, and should have %s", at.Start, at.End, got, want))
		}
	}
	return data, nil
}

// Download writes what was wanted to dest, from 0 on, and verifies it: all of
// the archive, or a range that is a node of the hash tree.
// Errors: as Fetch, and Usage (a range that nothing can verify).
func (r *Ready) Download(ctx context.Context, dest transfer.Dest) error {
	at := firn.Range{End: r.Size()}
	if r.want.Range != nil {
		at = *r.want.Range
	}
	from, err := r.offset(at)
	if err != nil {
		return err
	}
	_, err = r.from.Download(ctx, transfer.Download{
		Path: r.want.Label, Job: r.Job.ID, Offset: from, Size: at.Len(), Tree: r.treeOf(at), Dest: dest,
		Arrived: func(ctx context.Context, _ transfer.Piece) error { r.stay(ctx); return nil },
	})
	return r.note(err)
}

// offset is where a range of the archive begins in the job's output.
func (r *Ready) offset(at firn.Range) (int64, error) {
	has := r.Brings()
	if at.Len() < 1 || at.Start < has.Start || at.End > has.End {
		return 0, &firn.Error{Op: "fetch", Subject: r.want.Label, Kind: firn.Usage, Err: fmt.Errorf("bytes %d to %d are not in what was asked for, %d to %d", at.Start, at.End, has.Start, has.End)}
	}
	return at.Start - has.Start, nil
}

// treeOf is the tree hash of a range, as far as anybody has told; else zero.
func (r *Ready) treeOf(at firn.Range) treehash.Hash {
	switch at {
	case firn.Range{End: r.Size()}:
		return r.Tree()
	case r.Brings():
		return r.Job.RangeTree
	}
	return treehash.Hash{}
}

// note remembers that the output is gone.
func (r *Ready) note(err error) error {
	if firn.KindOf(err) == firn.NotFound {
		r.gone.Store(true)
	}
	return err
}
