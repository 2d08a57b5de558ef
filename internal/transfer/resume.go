package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
	"golang.org/x/sync/errgroup"
)

// goOn goes on with an upload that an earlier process began. It gives errStale
// or errGone where that has to be begun anew.
func (up *upload) goOn(ctx context.Context, r Resume) (Result, error) {
	up.begun, up.id = true, r.Upload
	if r.Upload == "" {
		if err := up.adopt(ctx, &r); err != nil {
			return Result{}, err
		}
	}
	if r.Completing {
		// Needs no file: all parts are there, or it is an archive already.
		done, err := up.complete(ctx, r.Content, r.Stamp)
		if kind := firn.KindOf(err); kind != firn.Invalid && kind != firn.Corrupt {
			return done, err
		}
	}
	if err := up.open(); err != nil {
		return Result{}, err
	}
	if !up.stamp.Equal(r.Stamp) {
		return Result{}, errStale
	}
	smallest, err := smallestPart(up.stamp.Size, up.traits)
	if err != nil {
		return Result{}, err
	}
	if !(parts{up.stamp.Size, r.PartSize}).suit(up.traits) {
		return Result{}, fmt.Errorf("%w: parts of %d bytes", errStale, r.PartSize)
	}
	if r.Only {
		smallest = r.PartSize // however slow the line is, there are no smaller ones
	}
	m := up.newMultipart(parts{up.stamp.Size, r.PartSize}, smallest)
	if err := m.confirm(ctx, r.Parts); err != nil {
		return Result{}, err
	}
	return m.finish(ctx)
}

// adopt finds the upload whose id was not recorded.
func (up *upload) adopt(ctx context.Context, r *Resume) error {
	if up.opt.TokenOf == nil {
		return errStale
	}
	found, err := up.find(ctx, 0)
	if err != nil {
		return err
	}
	if found.ID == "" {
		return errStale
	}
	up.id, r.Upload, r.PartSize = found.ID, found.ID, found.PartSize
	return up.Journal.Opened(ctx, found.ID, found.PartSize)
}

// confirm keeps the parts that the store has and that hold what the file holds:
// by the record where there is one, else (a kill between sending and recording)
// by hashing the file's bytes. Those whose tree hash is no node of the whole's are
// hashed in any case: what they are in its tree isn't recorded.
func (m *multipart) confirm(ctx context.Context, recorded []firn.Part) error {
	record := make(map[int64]firn.Part, len(recorded))
	for _, p := range recorded {
		record[p.Offset] = p
	}
	var unsure []firn.Part
	for p, err := range m.store.Parts(ctx, m.id) {
		switch kind := firn.KindOf(err); {
		case kind == firn.NotFound:
			return errGone
		case err != nil:
			return err
		}
		if p.Offset >= m.size || p.Offset%m.part != 0 {
			// It can't be replaced, and would be part of the archive.
			return fmt.Errorf("%w: the store has a part at %d", errStale, p.Offset)
		}
		i, fits := m.index(p.Offset, p.Size)
		if !fits && m.only {
			return fmt.Errorf("%w: the store has a part of %d bytes at %d", errStale, p.Size, p.Offset)
		}
		if !fits {
			continue // sending it again replaces it
		}
		switch old, ok := record[p.Offset]; {
		case ok && same(p, old):
			if !m.areNodes() {
				unsure = append(unsure, old)
				continue
			}
			m.keep(i, old.Tree, treehash.NodeSpan(p.Offset, m.part, old.Tree))
			m.spare(p.Size)
		case p.Tree.IsZero():
			// What it holds can't be told: sending it again replaces it.
		case !ok, m.only:
			unsure = append(unsure, p)
		}
	}
	return m.compare(ctx, unsure, record)
}

// same reports whether the store has a part that was sent. One that doesn't tell
// tree hashes has checked the bytes when they came.
func same(there, sent firn.Part) bool {
	if there.Tree.IsZero() {
		there.Tree = sent.Tree
	}
	return there == sent
}

// spare counts bytes that need not be sent: the store has them.
func (m *multipart) spare(n int64) {
	m.mu.Lock()
	m.resumed += n
	m.mu.Unlock()
	m.opt.Events(firn.PlanEvent{Bytes: -n})
}

// compare keeps, and records, those of the parts that equal the file's bytes. It reads
// as many at a time as are sent at a time: of a large file that is hours of hashing.
func (m *multipart) compare(ctx context.Context, unsure []firn.Part, record map[int64]firn.Part) error {
	group, ctx := errgroup.WithContext(ctx)
	var stopped error
	for _, p := range unsure {
		t, err := m.line.acquire(ctx, 0)
		if err != nil {
			stopped = err
			break
		}
		group.Go(func() error { return m.comparePart(ctx, p, record[p.Offset] == p, t) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return stopped
}

// comparePart keeps a part that equals the file's bytes, and records it unless it is. It
// reads them under the slot t, and gives that back.
func (m *multipart) comparePart(ctx context.Context, p firn.Part, recorded bool, t *ticket) error {
	here, err := m.hash(ctx, p.Offset, p.Size)
	t.release()
	switch same := here.Tree == p.Tree; {
	case errors.Is(err, errChanged):
		return errStale
	case err != nil:
		return err
	case !same && m.only:
		return fmt.Errorf("%w: the part at %d holds other bytes", errStale, p.Offset)
	case !same:
		return nil // sending it again replaces it
	}
	if !recorded {
		if err := m.Journal.Part(ctx, p); err != nil {
			return err
		}
	}
	i, _ := m.index(p.Offset, p.Size)
	m.keep(i, p.Tree, here.span)
	m.spare(p.Size)
	return nil
}
