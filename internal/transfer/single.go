package transfer

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// inOne uploads the file in a single request.
func (up *upload) inOne(ctx context.Context, smallest int64) (Result, error) {
	size := up.stamp.Size
	sums, err := up.hashWhole(ctx, size)
	if err != nil {
		return Result{}, err
	}
	c := firn.Content{Size: size, Tree: sums.Tree}
	if yes, err := up.known(ctx, c); err != nil || yes {
		return up.duplicate(c), err
	}
	if err := up.begin(ctx, c); err != nil {
		return Result{}, err
	}
	lone := maxBody
	if size <= smallest {
		lone = 0
	}
	id, err := up.sendOne(ctx, sums, lone)
	if err != nil {
		return Result{}, err
	}
	// That the file may have changed since it was hashed is no matter: the
	// store has verified that it holds what was hashed, under one stamp.
	return up.stored(ctx, id, c, up.stamp)
}

// hashWhole hashes the file under a slot of its own, so that none is held while
// the catalog is asked and written.
func (up *upload) hashWhole(ctx context.Context, size int64) (treehash.Sums, error) {
	if f, ok := up.file.(Hashed); ok {
		switch sums, known, err := f.Sums(); {
		case err != nil && ctx.Err() != nil:
			return treehash.Sums{}, err
		case err != nil:
			return treehash.Sums{}, local("read", err)
		case known:
			return sums, nil
		}
	}
	t, err := up.line.acquire(ctx, 0)
	if err != nil {
		return treehash.Sums{}, err
	}
	defer t.release()
	whole, err := up.hash(ctx, 0, size)
	return whole.Sums, err
}

// sendOne sends the file until an answer is certain, one way or the other.
func (up *upload) sendOne(ctx context.Context, sums treehash.Sums, lone time.Duration) (firn.ArchiveID, error) {
	size := up.stamp.Size
	for try := 1; ; {
		t, err := up.line.acquire(ctx, size)
		if err != nil {
			return "", err
		}
		if reach := up.reach(); lone > 0 && reach > 0 && size > reach {
			t.release() // the line got slow while this one waited
			return "", up.tooSlow(size)
		}
		var id firn.ArchiveID
		unsure, err := up.send(ctx, t, 0, size, lone, func(ctx context.Context, body *io.SectionReader) (err error) {
			id, err = up.store.UploadArchive(firn.WithReceipt(ctx, &up.receipt), up.name.Description, body, sums)
			return err
		})
		t.release()
		kind := firn.KindOf(err)
		switch {
		case err == nil:
			return id, nil
		case unsure:
			return "", up.doubt(ctx, err)
		case errors.Is(err, errCrowded):
			continue
		case errors.Is(err, errTooSlow):
			return "", up.tooSlow(size)
		case kind == firn.SlowBody && lone > 0:
			return "", up.tooSlow(size)
		case kind != firn.Lost || try == tries:
			return "", err
		}
		// It broke off before the store had all of it: nothing is stored.
		if err := up.pause(ctx, try); err != nil {
			return "", err
		}
		try++
	}
}

// tooSlow makes the next attempt's bodies at most half of size.
func (up *upload) tooSlow(size int64) error {
	up.most = max(1, size/2)
	return errTooSlow
}

// pause waits a little longer after each try.
func (up *upload) pause(ctx context.Context, try int) error {
	return up.opt.Clock.Sleep(ctx, time.Duration(try)*time.Second)
}
