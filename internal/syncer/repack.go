package syncer

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/scan"
)

// RepackOptions say what of a tree is sent again.
type RepackOptions struct {
	// Options of a sync of the tree, whose lock the caller holds. Of its filters,
	// modes and limits none is gone by.
	Options
	// Files hold what is to be sent again; in walk order.
	Files []catalog.Resident
	// Old reports whether an archive is to go: what is in others isn't sent.
	Old func(archive int64) bool
}

// A Repacked says what came of it.
type Repacked struct {
	Moves []catalog.Move // contents that have another place now, for Relocate
	Sent  firn.Count     // contents
	// Changed are files that hold something else by now, or can't be read.
	Changed int64
	// Pending are contents of which nobody knows yet whether they arrived, and
	// Failed those that the store would not take.
	Pending, Failed int64
}

// errRepackChanged tells why a file isn't packed.
var errRepackChanged = errors.New("it is another file than the one that was stored; its bundle stays as it is")

// Repack sends the contents of files into new bundles, though the store has them:
// each is read from disk, and is taken where it is what it was. What an earlier
// run began of the tree's bundles is sent first. Versions stay what and where they
// are; so does what is in the store. Cut short, it has stored contents twice, and
// finds them when it is called again.
func Repack(ctx context.Context, o RepackOptions) (res Repacked, err error) {
	tree, err := o.Catalog.Tree(ctx, o.Row.ID, o.Tree)
	if err != nil {
		return res, err
	}
	if tree.Recipients != o.recipients() {
		return res, &firn.Error{Op: "repack", Subject: o.Tree, Kind: firn.Conflict, Err: errors.New("its files are encrypted for others")}
	}
	run, err := o.Catalog.BeginRun(ctx, o.Row.ID, tree.ID, catalog.RepackRun)
	if err != nil {
		return res, err
	}
	run.Recipients = o.recipients()
	s := newSyncer(o.Options, tree, run)
	s.always, s.repacks = true, true
	r := &repacker{syncer: s, old: o.Old, sending: make(chan struct{}, packsAtOnce)}
	err = r.run(ctx, o.Files)
	outcome := catalog.Outcome{Complete: err == nil && s.isComplete(), Counts: s.tally.counts()}
	r.res.Failed = outcome.Counts[firn.Failed].Files
	err = errors.Join(err, o.Catalog.EndRun(context.WithoutCancel(ctx), run, outcome))
	err = errors.Join(err, r.settle(context.WithoutCancel(ctx)))
	return r.res, err
}

// copies is what becomes of bundles to which nothing comes to refer.
func (s *syncer) copies() catalog.Retirement {
	return catalog.Retirement{MinAge: s.Store.Traits().MinDuration, Why: "made by a repacking that was killed"}
}

// A repacker sends contents again.
type repacker struct {
	*syncer
	old     func(int64) bool
	sending chan struct{} // holds one for each bundle on its way

	res  Repacked
	open *repack   // nil: none is begun
	made []*repack // that were sealed
}

// A repack is a bundle of contents that are stored already.
type repack struct {
	*pack
	residents []resident
}

// A resident is a content of a bundle, and its number there.
type resident struct {
	*catalog.Resident
	number int64
}

// run sees all contents into the store.
func (r *repacker) run(ctx context.Context, files []catalog.Resident) (err error) {
	if r.root, err = scan.OpenRoot(r.Root); err != nil {
		return err
	}
	defer r.root.Close()
	if err := r.reconcile(ctx); err != nil {
		return err
	}
	if err := r.resumePacks(ctx, r.syncer.packs); err != nil {
		return err
	}
	if err := r.settleDoubts(ctx); err != nil {
		return err
	}
	wanted, err := r.find(ctx, files)
	if err != nil {
		return err
	}
	if err := r.packAll(ctx, wanted); err != nil {
		return err
	}
	return r.settleDoubts(ctx)
}

// findBatch is how many contents are looked up at once.
const findBatch = 1000

// find gives what has to be sent: what is in no other archive.
func (r *repacker) find(ctx context.Context, files []catalog.Resident) (wanted []*catalog.Resident, err error) {
	for len(files) > 0 {
		some := files[:min(len(files), findBatch)]
		contents := make([]firn.Content, len(some))
		for i := range some {
			contents[i] = some[i].Content
		}
		found, err := r.Catalog.FindCopies(ctx, r.this, contents, r.old)
		if err != nil {
			return nil, err
		}
		for i := range some {
			if found[i] != (catalog.Place{}) {
				r.moved(&some[i], found[i])
				continue
			}
			wanted = append(wanted, &some[i])
			r.Events(firn.PlanEvent{Files: 1, Bytes: some[i].Content.Size})
		}
		files = files[len(some):]
	}
	return wanted, nil
}

func (r *repacker) moved(f *catalog.Resident, to catalog.Place) {
	for _, from := range f.At {
		r.res.Moves = append(r.res.Moves, catalog.Move{From: from, To: to})
	}
}

// packAll reads, packs and sends what is wanted.
func (r *repacker) packAll(ctx context.Context, wanted []*catalog.Resident) error {
	defer func() {
		if r.open != nil {
			r.open.discard()
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	files := make(chan upload, batchFiles)
	g.Go(func() error {
		defer close(files)
		for _, f := range wanted {
			select {
			case files <- upload{file: f.File, why: "repacked"}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	g.Go(func() error {
		next := 0 // they are read in their order
		err := r.readAll(ctx, files, func(b *batch) error {
			for i := range b.files {
				if err := r.take(ctx, g, wanted[next], &b.files[i]); err != nil {
					return err
				}
				next++
			}
			return nil
		})
		if err == nil {
			err = r.seal(ctx, g)
		}
		return err
	})
	return g.Wait()
}

// take packs one file that was read, if it is what it was.
func (r *repacker) take(ctx context.Context, g *errgroup.Group, f *catalog.Resident, read *reading) error {
	if read.err != nil {
		return r.passOver(ctx, f, read.err)
	}
	if !read.large && read.content != f.Content {
		return r.passOver(ctx, f, errRepackChanged)
	}
	if r.open != nil && r.Bundling.isFull(r.open.count(), r.open.w.Size(), f.Content.Size) {
		if err := r.seal(ctx, g); err != nil {
			return err
		}
	}
	err := r.append(ctx, f, read)
	if errors.Is(err, bundle.ErrFull) {
		if err = r.seal(ctx, g); err == nil {
			err = r.append(ctx, f, read)
		}
	}
	switch {
	case err == nil:
		return nil
	case r.open != nil && r.open.spool != nil && r.open.spool.err != nil:
		return bundle.SpoolError(r.open.path, r.open.spool.err)
	}
	return r.passOver(ctx, f, err)
}

// passOver leaves a content where it is, unless the error is one of the run.
func (r *repacker) passOver(ctx context.Context, f *catalog.Resident, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch firn.KindOf(err) {
	case firn.Local, firn.Changed, firn.Corrupt, firn.Invalid:
	default:
		if !errors.Is(err, errRepackChanged) {
			return err
		}
	}
	r.res.Changed++
	r.Events(firn.PlanEvent{Files: -1, Bytes: -f.Content.Size})
	r.Events(firn.NoticeEvent{Text: fmt.Sprintf("not repacked: %s: %v", f.Path, err)})
	return nil
}

// append adds a file to the open bundle, or to the next one. The bundle tells of
// it what its version does.
func (r *repacker) append(ctx context.Context, f *catalog.Resident, read *reading) error {
	if r.open == nil {
		p, err := r.newPack()
		if err != nil {
			return err
		}
		r.open = &repack{pack: p}
	}
	p := r.open
	var m bundle.Member
	var err error
	if read.large {
		m, err = r.copyLarge(ctx, p.pack, f)
	} else {
		m, err = p.w.Append(f.File, read.data, f.Content.Tree, f.LinkGroup)
	}
	if err != nil {
		return err
	}
	if len(p.members) == 0 {
		p.first = f.Path
	}
	p.residents = append(p.residents, resident{f, p.next})
	p.addMember(f.Change, p.next, m.Offset, read.why)
	for i := range f.Same {
		// The bundle alone is to bring back their names, too.
		same, err := p.w.AppendSame(f.Same[i].File, m, f.Same[i].LinkGroup)
		if err != nil {
			break // it is full: the catalog has them
		}
		r.Events(firn.PlanEvent{Files: 1, Bytes: f.Content.Size})
		p.addMember(f.Same[i], p.next, same.Offset, read.why)
	}
	p.next++
	return nil
}

// addMember notes what the writer has taken.
func (p *repack) addMember(c catalog.Change, number, offset int64, why string) {
	p.members = append(p.members, catalog.Member{Change: c, Number: number, Offset: offset})
	p.why = append(p.why, why)
	p.planned += c.Content.Size
}

// copyLarge adds a file that is read while it is written.
func (r *repacker) copyLarge(ctx context.Context, p *pack, f *catalog.Resident) (bundle.Member, error) {
	file, err := r.root.Open(f.Path)
	if err != nil {
		return bundle.Member{}, err
	}
	defer file.Close()
	m, err := p.w.AppendFrom(ctx, f.File, file, f.LinkGroup)
	if err == nil && m.Content != f.Content {
		return m, errors.Join(errRepackChanged, p.w.Undo())
	}
	return m, err
}

// seal ends the open bundle, and sends it beside what goes on.
func (r *repacker) seal(ctx context.Context, g *errgroup.Group) error {
	p := r.open
	if p == nil {
		return nil
	}
	r.open = nil
	if len(p.members) == 0 {
		p.discard()
		return nil
	}
	if err := p.pack.seal(); err != nil {
		p.discard()
		return err
	}
	r.Events(firn.PlanEvent{Bytes: p.size - p.planned})
	select {
	case r.sending <- struct{}{}:
	case <-ctx.Done():
		p.discard()
		return context.Cause(ctx)
	}
	r.made = append(r.made, p)
	g.Go(func() error {
		defer func() { <-r.sending }()
		return r.sendPack(ctx, p.pack)
	})
	return nil
}

// settleDoubts sees to bundles whose upload was not answered, as a sync does.
func (r *repacker) settleDoubts(ctx context.Context) error {
	for range passes {
		_, packs := r.again.take()
		if len(packs) == 0 {
			return nil
		}
		if err := r.reconcile(ctx); err != nil {
			return err
		}
		if err := r.settlePacks(ctx, packs); err != nil {
			return err
		}
	}
	_, packs := r.again.take()
	for _, p := range packs {
		p.pending()
	}
	return nil
}

// settle finds which bundles are there now, however it ended.
func (r *repacker) settle(ctx context.Context) error {
	for _, p := range r.made {
		if p.intent.ID == 0 {
			continue // it was given up
		}
		_, state, err := r.Catalog.ArchiveState(ctx, p.intent.ID)
		if err != nil {
			return err
		}
		n := int64(len(p.residents))
		switch {
		case state < catalog.Stored:
			r.res.Pending += n
			continue
		case state != catalog.Stored:
			continue
		}
		for _, f := range p.residents {
			r.moved(f.Resident, catalog.Place{Archive: p.intent.ID, Member: f.number})
			r.res.Sent.Files++
			r.res.Sent.Bytes += f.Content.Size
		}
	}
	return nil
}
