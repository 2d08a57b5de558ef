package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/bundle"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
	"github.com/firn-archive/firn/internal/scan"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/treehash"
)

const (
	// entryRoom is what an entry of a bundle takes beside its content, about.
	entryRoom = 1536
	// indexPart of a bundle is left for its index, as when it is synced.
	indexPart = 64
	// packMembers bounds the archives that are gathered for one bundle.
	packMembers = 20_000
	// ahead is how many members are fetched before they are written.
	ahead = 8
)

// A packer gathers small archives that are ready, tree by tree, until there are
// enough for a bundle. What is gathered waits from round to round: it is fetched
// when its bundle is made.
type packer struct {
	*mover
	trees map[int64]*gathered
}

// gathered is what waits for a bundle of a tree.
type gathered struct {
	tasks []*task
	bytes int64
}

// add takes an archive in, and hands a bundle on that it made full.
func (p *packer) add(ctx context.Context, r *round, t *task) error {
	if p.trees == nil {
		p.trees = map[int64]*gathered{}
	}
	g := p.trees[t.TreeID]
	if g == nil {
		g = &gathered{}
		p.trees[t.TreeID] = g
	}
	size := t.Size + entryRoom
	if len(g.tasks) > 0 && (g.bytes+size > p.Bundling.Size-p.Bundling.Size/indexPart || len(g.tasks) >= packMembers) {
		if err := p.give(ctx, r, t.TreeID); err != nil {
			return err
		}
		g = &gathered{}
		p.trees[t.TreeID] = g
	}
	g.tasks = append(g.tasks, t)
	g.bytes += size
	return nil
}

// flush ends a round. Last says that the walk went over everything: then nothing
// waits for what may come days later, unless the source gets more ready.
func (p *packer) flush(ctx context.Context, r *round, last bool) error {
	if last && (!r.slow || r.isOver() || !p.more(ctx, r)) {
		for tree := range p.trees {
			if err := p.give(ctx, r, tree); err != nil {
				return err
			}
		}
	}
	p.trees = nil // the next walk comes to them again
	return nil
}

// more reports whether the source gets more ready than is gathered: then a bundle
// that isn't full waits for it. It does so for some rounds, since what is ready
// is gone a day later.
func (p *packer) more(ctx context.Context, r *round) bool {
	r.mu.Lock()
	soon := !r.next.IsZero() && r.next.Sub(r.Clock.Now()) < patience
	r.mu.Unlock()
	if !soon || !r.Wait {
		return false
	}
	for _, g := range p.trees {
		for _, t := range g.tasks {
			if !t.job.Completed.IsZero() && r.Clock.Now().Sub(t.job.Completed) > patience {
				return false
			}
		}
	}
	return true
}

// give hands a bundle on to whoever is free. A path is in it once: another version
// of it goes alone.
func (p *packer) give(ctx context.Context, r *round, tree int64) error {
	g := p.trees[tree]
	delete(p.trees, tree)
	slices.SortStableFunc(g.tasks, func(a, b *task) int { return cmp.Compare(a.File.Path, b.File.Path) })
	var alone []*task
	last := ""
	g.tasks = slices.DeleteFunc(g.tasks, func(t *task) bool {
		same := t.File.Path == last
		if last = t.File.Path; same {
			alone = append(alone, t)
		}
		return same
	})
	if len(g.tasks) == 1 {
		g.tasks, alone = nil, append(alone, g.tasks...)
	}
	for _, t := range alone {
		if err := r.give(ctx, func(ctx context.Context) error { return r.copyOne(ctx, t) }); err != nil {
			return err
		}
	}
	if len(g.tasks) == 0 {
		return nil
	}
	return r.give(ctx, func(ctx context.Context) error { return r.pack(ctx, g.tasks) })
}

// A pack is a bundle on its way.
type pack struct {
	*mover
	path    string
	tasks   []*task // its members, in their order
	offsets []int64
	alone   []*task // that go alone after all
	size    int64
	index   int64 // bytes of index and footer
	tree    string
	intent  catalog.Intent
}

// pack makes a bundle of archives, and copies it. It gives an error only where the
// run can't go on.
func (m *mover) pack(ctx context.Context, tasks []*task) error {
	if err := os.MkdirAll(m.Bundling.Spool, 0o700); err != nil {
		return bundle.SpoolError(m.Bundling.Spool, err)
	}
	p := &pack{mover: m, path: filepath.Join(m.Bundling.Spool, m.spoolPrefix()+firn.NewToken().String()), tree: tasks[0].Tree}
	err := p.write(ctx, tasks)
	if err == nil && len(p.tasks) > 0 {
		err = p.send(ctx, nil)
	}
	if p.intent.ID == 0 || err == nil {
		os.Remove(p.path) // what stays, the next round sweeps
	}
	for _, t := range p.alone {
		if err == nil {
			err = m.copyOne(ctx, t)
		}
	}
	if err != nil {
		return err
	}
	return m.fetched(ctx, p.tasks...)
}

// spoolPrefix begins the names of the migration's files in the spool.
func (m *mover) spoolPrefix() string { return fmt.Sprintf("migrate-%d-", m.m.ID) }

// A fetched is a member on its way into a bundle.
type fetched struct {
	task *task
	data []byte
	held int64
	err  error
}

// write fetches the members, some ahead, and writes them into the spool. Those that
// can't be had are seen to, and left out.
func (p *pack) write(ctx context.Context, tasks []*task) (err error) {
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return bundle.SpoolError(p.path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bundle.NewWriter(f, bundle.Info{Tree: p.tree, Made: p.Clock.Now(), Catalog: p.Catalog.ID()})
	inner, cancel := context.WithCancel(ctx)
	coming := make(chan chan fetched, ahead)
	defer func() {
		cancel()
		for one := range coming {
			if got := <-one; got.data != nil {
				p.giveBack(got.data, got.held)
			}
		}
	}()
	go p.fetchAll(inner, tasks, coming)
	for range tasks {
		got := <-<-coming
		if err := p.append(ctx, w, &got); err != nil {
			return err
		}
	}
	if len(p.tasks) == 0 {
		return nil
	}
	sealed, err := w.Seal()
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return bundle.SpoolError(p.path, err)
	}
	p.size, p.index = sealed.Size, sealed.Size-sealed.Footer.Offset
	return nil
}

// fetchAll fetches members in their order: memory for the first comes first.
func (p *pack) fetchAll(ctx context.Context, tasks []*task, coming chan<- chan fetched) {
	defer close(coming)
	for _, t := range tasks {
		one := make(chan fetched, 1)
		data, held, err := p.borrow(ctx, t.Size, true)
		if err != nil {
			one <- fetched{task: t, err: err}
			coming <- one
			return
		}
		go func() {
			err := p.fetchable(ctx, t)
			if err == nil {
				_, err = p.down.Download(ctx, transfer.Download{Path: t.label, Job: t.job.ID, Size: t.Size, Tree: t.tree, Unproven: t.tree.IsZero(), Dest: transfer.Memory(data)})
				if err != nil {
					t.note(err)
				}
			}
			one <- fetched{t, data, held, err}
		}()
		coming <- one
	}
}

// append adds a member, or sees to what is wrong with it.
func (p *pack) append(ctx context.Context, w *bundle.Writer, got *fetched) error {
	if got.data != nil {
		defer func() { p.giveBack(got.data, got.held); got.data = nil }()
	}
	t := got.task
	if got.err != nil {
		return p.settleTask(ctx, t, nil, got.err)
	}
	p.denials.had(reading)
	p.stay(ctx)
	f := t.File
	f.Stamp.Size = t.Size
	tree := t.Content.Tree
	if tree.IsZero() {
		tree = treehash.Sum(got.data)
	}
	m, err := w.Append(f, got.data, tree, 0)
	if errors.Is(err, bundle.ErrFull) {
		return nil // the next round has another one
	}
	if firn.KindOf(err) == firn.Invalid { // no bundle can hold it
		p.alone = append(p.alone, t)
		return nil
	}
	if err != nil {
		return bundle.SpoolError(p.path, err)
	}
	p.tasks, p.offsets = append(p.tasks, t), append(p.offsets, m.Offset)
	return nil
}

// open opens the bundle in the spool.
func (p *pack) open() (transfer.File, error) {
	root, err := scan.OpenRoot(filepath.Dir(p.path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(filepath.Base(p.path))
}

func (p *pack) label() string {
	if len(p.tasks) == 0 {
		return "a bundle of an earlier run"
	}
	return fmt.Sprintf("%s and %d more", p.tasks[0].label, len(p.tasks)-1)
}

// send uploads the bundle.
func (p *pack) send(ctx context.Context, resume *transfer.Resume) error {
	_, err := p.up.Upload(ctx, transfer.Task{
		Source: transfer.Source{Path: p.label(), Open: p.open}, Journal: &packJournal{p, p.Catalog.Sending(&p.intent.ID)}, Resume: resume,
	})
	p.Events(firn.TransferEvent{Path: p.label(), Ended: true})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if firn.KindOf(err) == firn.InDoubt || firn.KindOf(err) == firn.Lost {
		return nil // the next round looks at it
	}
	return err
}

// A packJournal keeps a bundle's record. It is a transfer.Journal.
type packJournal struct {
	*pack
	catalog.Sending
}

// Begin records the intent with all that it is to hold, or goes on with the one of
// an earlier process.
func (j *packJournal) Begin(ctx context.Context, b transfer.Begun) (transfer.Name, error) {
	if j.intent.ID != 0 {
		if !j.intent.File.Stamp.Equal(b.Stamp) {
			return transfer.Name{}, &firn.Error{Op: "read bundle", Subject: j.path, Kind: firn.Changed, Err: errors.New("it is another file than the one that was made")}
		}
		return transfer.Name{Token: j.intent.Token, Description: j.intent.Description}, j.Catalog.Retry(ctx, j.intent.ID)
	}
	token := firn.NewToken()
	description, err := describe.Encode(describe.Archive{
		Token: token, Kind: describe.Bundle, Tree: j.tree, Made: j.Clock.Now(), Members: int64(len(j.tasks)), Index: j.index, Catalog: j.Catalog.ID(),
	})
	if err != nil {
		return transfer.Name{}, err
	}
	plan := catalog.CopyPlan{
		Intent:  catalog.Intent{Token: token, Kind: catalog.BundleArchive, Description: description, File: firn.File{Stamp: b.Stamp}, Size: b.Stamp.Size, Spool: j.path},
		Offsets: j.offsets,
	}
	for _, t := range j.tasks {
		plan.Sources = append(plan.Sources, t.Archive)
	}
	plans := []catalog.CopyPlan{plan}
	if err := j.Catalog.BeginCopies(ctx, j.m, plans); err != nil {
		return transfer.Name{}, err
	}
	j.intent = plans[0].Intent
	return transfer.Name{Token: token, Description: description}, nil
}

// Stored records the archive, and all that is in it.
func (j *packJournal) Stored(ctx context.Context, r transfer.Result) error {
	archive := r.As(j.intent.Description)
	if err := j.Catalog.CopyStored(ctx, j.m, j.intent.ID, archive); err != nil {
		return err
	}
	for _, t := range j.tasks {
		j.copied(t, r.Archive)
	}
	return nil
}

// Dropped records that nothing is left of the attempt.
func (j *packJournal) Dropped(ctx context.Context) error {
	id := j.intent.ID
	j.intent = catalog.Intent{}
	return j.Catalog.CopyDropped(ctx, j.m, id, "the upload was given up")
}

// resumePack sends a bundle that an earlier process made. One whose file is gone,
// or another, is given up: it is made anew.
func (m *mover) resumePack(ctx context.Context, in catalog.Intent) error {
	p := &pack{mover: m, path: in.Spool, intent: in}
	f, err := p.open()
	if err == nil {
		var stamp firn.Stamp
		if stamp, err = f.Stamp(); err == nil && !stamp.Equal(in.File.Stamp) {
			err = errDiffers
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return m.abandon(ctx, in)
	}
	if err := p.send(ctx, reconcile.ResumeOpened(in)); err != nil {
		return err
	}
	if _, state, err := m.Catalog.ArchiveState(ctx, in.ID); err != nil || state < catalog.Stored {
		return err
	}
	os.Remove(p.path)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.res.Copied.Files++ // that there was progress; what is in it, the sums say
	return nil
}

// sweep removes the migration's spool files that nothing refers to: a kill leaves
// them.
func (m *mover) sweep(ctx context.Context) error {
	names, err := os.ReadDir(m.Bundling.Spool)
	if m.Bundling.Spool == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return bundle.SpoolError(m.Bundling.Spool, err)
	}
	open, err := m.Catalog.OpenIntents(ctx, m.To.Row.ID)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, in := range open {
		wanted[filepath.Base(in.Spool)] = true
	}
	for _, name := range names {
		if strings.HasPrefix(name.Name(), m.spoolPrefix()) && !wanted[name.Name()] {
			if err := os.Remove(filepath.Join(m.Bundling.Spool, name.Name())); err != nil {
				return bundle.SpoolError(name.Name(), err)
			}
		}
	}
	return nil
}
