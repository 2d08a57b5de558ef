package syncer

import (
	"context"
	"errors"
	"sync"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
)

// Bundling says which files share archives.
type Bundling struct {
	// Below is the size in bytes from which on a file has an archive of its
	// own; 0: every file has, and what has no content is in the catalog alone.
	Below int64
	// Size is how large a bundle gets, in bytes.
	Size int64
	// Spool is the folder where bundles are until they are stored.
	Spool string
}

// The defaults of Bundling for vaults, where each archive is charged for 32 KB
// more than it has (price.Table.Overhead), and for the request that brings it.
const (
	DefaultBundleBelow = 1 << 20
	DefaultBundleSize  = 64 << 20
)

// packsAtOnce bounds the bundles that are on their way, and so the memory for
// what they hold and the space in the spool.
const packsAtOnce = 2

// indexPart of a bundle is left for its index.
const indexPart = 64

// takes reports whether what is to be stored belongs into a bundle.
func (b Bundling) takes(f *firn.File) bool {
	return b.Below > 0 && (f.Kind != firn.Regular || f.Stamp.Size < b.Below)
}

// isFull reports whether a bundle that has members, in tar bytes, is to be
// sealed before a file of size bytes is put into the next one.
func (b Bundling) isFull(members int, tar, size int64) bool {
	return members >= bundle.MaxMembers || tar+size > b.Size-b.Size/indexPart
}

// A bundler puts what is small into bundles, in walk order, and hands those
// that are full to the uploads.
type bundler struct {
	*syncer
	work    chan<- job
	open    *pack         // nil: none is begun
	slots   chan struct{} // of bundles that are sealed and not stored
	records []catalog.Change
}

// bundleAll bundles what comes from small.
func (s *syncer) bundleAll(ctx context.Context, small <-chan upload, work chan<- job) (err error) {
	b := &bundler{syncer: s, work: work, slots: make(chan struct{}, packsAtOnce)}
	defer func() {
		if b.open != nil {
			b.open.discard()
		}
	}()
	err = s.readAll(ctx, small, func(batch *batch) error {
		for i := range batch.files {
			if err := b.take(ctx, &batch.files[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = b.seal(ctx)
	}
	// What was read before an interrupt, and is stored, isn't read again after it.
	return errors.Join(err, b.flush(context.WithoutCancel(ctx)))
}

// take sees to one file that was read.
func (b *bundler) take(ctx context.Context, f *reading) error {
	switch {
	case f.err != nil:
		return b.uploadFailed(ctx, f.upload, f.err)
	case f.large && f.file.Stamp.Size >= b.Bundling.Below:
		u := f.upload // it has grown since the scan
		return b.hand(ctx, func(ctx context.Context) error { return b.uploadOne(ctx, u) })
	case f.stored:
		return b.record(ctx, f)
	case f.content.Size > 0 && !b.always:
		done, err := b.followOrWait(ctx, f)
		switch {
		case err != nil:
			return b.uploadFailed(ctx, f.upload, err)
		case f.stored:
			return b.record(ctx, f)
		case done:
			return nil
		}
	}
	return b.put(ctx, f)
}

// followOrWait is follow, for a file whose content many wait for already: it
// waits with them, so that they stay few enough. One that is stored when it
// returns, the caller records.
//
// What no bundle under way holds may have landed since the catalog was asked:
// then it is asked again, or the content would be stored twice.
func (b *bundler) followOrWait(ctx context.Context, f *reading) (done bool, err error) {
	for {
		done, full, err := b.follow(f)
		if done || err != nil {
			return done, err
		}
		landings := b.flying.landings()
		if full != nil {
			select {
			case <-full.landed:
			case <-ctx.Done():
				return false, context.Cause(ctx)
			}
		} else if f.asked == landings {
			return false, nil
		}
		f.asked = landings
		if f.stored, err = b.isContentStored(ctx, f.content); err != nil {
			return false, err
		}
		if f.stored {
			return true, nil
		}
	}
}

// record records a file whose content is stored.
func (b *bundler) record(ctx context.Context, f *reading) error {
	b.records = append(b.records, f.change())
	b.duplicateEvent(f.upload, f.content)
	if len(b.records) < recordBatch {
		return nil
	}
	return b.flush(ctx)
}

func (b *bundler) flush(ctx context.Context) error {
	if len(b.records) == 0 {
		return nil
	}
	_, err := b.Catalog.Record(ctx, b.this, b.records)
	b.records = b.records[:0]
	return err
}

// put adds a file to the open bundle, or to the next one, as far as the limits
// go.
func (b *bundler) put(ctx context.Context, f *reading) error {
	size := contentSize(&f.file)
	if size > 0 {
		if err := b.Budget.take(f.file.Path, size, inBundle); err != nil {
			return b.uploadFailed(ctx, f.upload, err)
		}
	}
	err := b.place(ctx, f)
	if err != nil || f.stored || f.twin {
		b.Budget.giveBack(size)
	}
	switch {
	case err != nil && b.open != nil && b.open.spool.err != nil:
		return bundle.SpoolError(b.open.path, b.open.spool.err)
	case err != nil:
		return b.uploadFailed(ctx, f.upload, err)
	case f.stored:
		return b.record(ctx, f)
	}
	return nil
}

// place puts a file where there is room for it.
func (b *bundler) place(ctx context.Context, f *reading) error {
	if b.open != nil && b.Bundling.isFull(b.open.count(), b.open.w.Size(), f.file.Stamp.Size) {
		if err := b.seal(ctx); err != nil {
			return err
		}
	}
	err := b.append(ctx, f)
	if errors.Is(err, bundle.ErrFull) {
		if err = b.seal(ctx); err == nil {
			err = b.append(ctx, f)
		}
	}
	return err
}

func (b *bundler) append(ctx context.Context, f *reading) (err error) {
	if b.open == nil {
		if b.open, err = b.newPack(); err != nil {
			return err
		}
	}
	for f.large {
		if err := b.copyInto(ctx, b.open, f); err != nil || !f.twin {
			return err
		}
		if done, err := b.followOrWait(ctx, f); done || err != nil {
			return err
		} // else that bundle has landed by now
	}
	m, err := b.open.w.Append(f.file, f.data, f.content.Tree, linkGroup(&f.file))
	if err == nil {
		b.open.add(f, m)
	}
	return err
}

// follow lets a file wait for the bundle that holds its content, if there is
// one that isn't stored yet, and not too many wait for it: that one is full.
func (b *bundler) follow(f *reading) (done bool, full *pack, err error) {
	b.flying.mu.Lock()
	defer b.flying.mu.Unlock()
	at, ok := b.flying.contents[f.content]
	switch {
	case !ok:
		return false, nil, nil
	case at.pack != b.open && len(at.pack.followers) >= bundle.MaxMembers:
		return false, at.pack, nil
	case at.pack != b.open:
		at.pack.followers = append(at.pack.followers, follower{upload: f.upload, change: f.change()})
		return true, nil, nil
	case at.pack.count() >= bundle.MaxMembers:
		return false, nil, nil // sealed next, and followed by the others
	}
	like := &at.pack.members[at.member]
	m, err := at.pack.w.AppendSame(f.file, bundle.Member{Content: like.Content, Offset: like.Offset}, linkGroup(&f.file))
	if errors.Is(err, bundle.ErrFull) {
		return false, nil, nil
	}
	if err == nil {
		at.pack.addSame(f, m, like.Number)
	}
	return err == nil, nil, err
}

// seal ends the open bundle, and hands it to the uploads.
func (b *bundler) seal(ctx context.Context) error {
	p := b.open
	if p == nil {
		return nil
	}
	b.open = nil
	if len(p.members) == 0 {
		p.discard() // all that was put in was taken out again
		return nil
	}
	if err := p.seal(); err != nil {
		p.discard()
		return err
	}
	b.Events(firn.PlanEvent{Bytes: p.size - p.planned})
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return b.hand(ctx, func(ctx context.Context) error {
		defer func() { <-b.slots }()
		return b.sendPack(ctx, p)
	})
}

func (b *bundler) hand(ctx context.Context, do job) error {
	select {
	case b.work <- do:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A flight keeps account of the contents of bundles that are not stored yet, so
// that none is put into two.
type flight struct {
	mu       sync.Mutex
	contents map[firn.Content]seat
	landed   int // bundles that have left
}

// landings counts the bundles that have left so far.
func (f *flight) landings() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.landed
}

// add takes in a content, unless a bundle has it already.
func (f *flight) add(c firn.Content, at seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.contents[c]; !taken {
		f.contents[c] = at
	}
}

func (f *flight) has(c firn.Content) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.contents[c]
	return ok
}

// A seat is where a content is in a bundle.
type seat struct {
	pack   *pack
	member int // of pack.members
}
