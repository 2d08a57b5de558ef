package recovery

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
)

// atOnce is how many archives are staged, or taken in, in one transaction.
const atOnce = 5000

// inventoryLife is how old an inventory may get while jobs are waited for: what
// other machines delete meanwhile would be taken in from an older one.
const inventoryLife = 7 * 24 * time.Hour

// staged gives the inventory that this recovery has read already, unless that is
// too old.
func (r *recoverer) staged(ctx context.Context) (inv catalog.Inventory, ok bool, err error) {
	inv, ok, err = r.Catalog.StagedInventory(ctx, r.Run)
	return inv, ok && r.Clock.Now().Sub(inv.Dated) < inventoryLife, err
}

// outputTries bounds how often an inventory is asked for whose output is gone
// when it is to be read.
const outputTries = 3

// inventory reads the store's inventory into the catalog, if this recovery
// hasn't yet.
func (r *recoverer) inventory(ctx context.Context) (catalog.Inventory, error) {
	if inv, ok, err := r.staged(ctx); err != nil || ok {
		return inv, err
	}
	var notBefore time.Time
	for try := 1; ; try++ {
		job, ready, err := r.Asker.AwaitInventory(ctx, notBefore, r.Wait)
		if err != nil {
			return catalog.Inventory{}, err
		}
		if !ready {
			return catalog.Inventory{}, r.waitFor(1, retrieval.Expected(job))
		}
		inv, err := r.stage(ctx, job)
		if firn.KindOf(err) != firn.NotFound || try == outputTries {
			return inv, err
		}
		notBefore = job.Created.Add(time.Second) // that one has expired
	}
}

// stage reads the output of an inventory's job.
func (r *recoverer) stage(ctx context.Context, job firn.Job) (catalog.Inventory, error) {
	id, err := r.Catalog.BeginInventory(ctx, r.Run, 0)
	if err != nil {
		return catalog.Inventory{}, err
	}
	batch := make([]firn.Archive, 0, atOnce)
	info, err := r.Store.Inventory(ctx, job.ID, func(a firn.Archive) error {
		if batch = append(batch, a); len(batch) < atOnce {
			return nil
		}
		err := r.Catalog.Stage(ctx, id, batch)
		batch = batch[:0]
		return err
	})
	if err == nil {
		err = r.Catalog.Stage(ctx, id, batch)
	}
	if err != nil {
		return catalog.Inventory{}, err
	}
	return r.Catalog.StagedAll(ctx, id, info)
}

// lateMargin is how much older than its catalog's newest snapshot an archive may
// be that isn't in it: it was being stored while the snapshot was made.
const lateMargin = 24 * time.Hour

// strangers takes in the archives that no snapshot knows: files by what their
// descriptions say, bundles by their indexes.
func (r *recoverer) strangers(ctx context.Context, inv catalog.Inventory) error {
	saved, err := r.Catalog.SavedUntil(ctx, r.Row.ID)
	if err != nil {
		return err
	}
	t := &tails{recoverer: r, saved: saved}
	var files []catalog.Find
	for a, err := range r.Catalog.Strangers(ctx, inv.ID) {
		if err != nil {
			return err
		}
		d := describe.Decode(a.Description)
		switch {
		case d.Format != describe.Firn:
			r.out.Foreign++
		case d.Kind == describe.Snapshot:
		case d.Kind == describe.Bundle || d.Kind == describe.Sealed:
			t.add(a, d)
		case d.Kind == describe.File || d.Kind == describe.Opaque:
			files = append(files, r.file(a, d, saved))
		default:
			r.out.Foreign++ // of a newer firn
		}
		if len(files) == atOnce {
			if err := r.takeIn(ctx, files); err != nil {
				return err
			}
			files = files[:0]
		}
	}
	if err := r.takeIn(ctx, files); err != nil {
		return err
	}
	return t.run(ctx)
}

func (r *recoverer) takeIn(ctx context.Context, finds []catalog.Find) error {
	done, err := r.Catalog.TakeIn(ctx, r.Run, finds)
	r.out.Archives += done.Archives
	r.out.Versions += done.Versions
	return err
}

// file is what the description of a single file's archive says of it. One that
// was uploaded by itself is of no tree, and keeps its description.
func (r *recoverer) file(a firn.Archive, d describe.Archive, saved map[string]time.Time) catalog.Find {
	f := catalog.Find{Archive: a, Kind: catalog.FileArchive, Token: d.Token, Format: string(d.Format)}
	if d.Tree == "" {
		r.out.Loose++
		f.Kind = catalog.LooseArchive
		return f
	}
	r.out.Files++
	m := catalog.FoundMember{
		Tree:    safeTree(d.Tree),
		File:    firn.File{Path: d.Path, Kind: firn.Regular, Mode: d.Mode, UID: -1, GID: -1, Links: 1, Stamp: firn.Stamp{Size: a.Size, ModTime: d.ModTime}},
		Content: firn.Content{Size: a.Size, Tree: a.Tree},
	}
	if !d.HasMode {
		m.Mode = plainMode
	}
	if m.Path == "" {
		m.Path = "unnamed/" + d.Token.String() // its name was too long for the description
	}
	m.Path = r.safePath(m.Path)
	f.Members = []catalog.FoundMember{m}
	f.Late = isLate(a, m.Tree, saved)
	return f
}

// plainMode is that of files of which nobody knows it.
const plainMode fs.FileMode = 0o644

// isLate reports whether an archive is newer than what the snapshots say of its
// tree.
func isLate(a firn.Archive, tree string, saved map[string]time.Time) bool {
	until, ok := saved[tree]
	return ok && a.Created.After(until.Add(-lateMargin))
}

// safePath gives a path that lies within a tree. What was written by firn does;
// what only says so is made to, and told.
func (r *recoverer) safePath(p string) string {
	unfit := func(name string) bool {
		return name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0
	}
	if !slices.ContainsFunc(strings.Split(p, "/"), unfit) {
		return p
	}
	safe, _ := describe.SafePath(p)
	if safe == "" {
		safe = "unnamed"
	}
	r.Events(firn.NoticeEvent{Warn: true, Text: fmt.Sprintf("the store has a file with the unsafe name %q; here it is called %q", p, safe)})
	return safe
}

// safeTree gives a name that a tree may have.
func safeTree(name string) string {
	if describe.CheckTree(name) == nil {
		return name
	}
	return "unnamed"
}

// missing marks archives lost that snapshots name, and that the store's
// inventory should list and doesn't. What was to be deleted when the last
// snapshot was made is deleted, as are old snapshots.
func (r *recoverer) missing(ctx context.Context, inv catalog.Inventory) error {
	var lost []int64
	for h, err := range r.Catalog.Missing(ctx, inv.ID) {
		if err != nil {
			return err
		}
		switch {
		case h.State != catalog.Stored:
		case h.Leaving || h.Kind == catalog.CatalogArchive:
			if err := r.Catalog.MarkDeleted(ctx, r.Run, h.ID); err != nil {
				return err
			}
		default:
			lost = append(lost, h.ID)
		}
		if len(lost) == atOnce {
			if err := r.lose(ctx, lost); err != nil {
				return err
			}
			lost = lost[:0]
		}
	}
	return r.lose(ctx, lost)
}

func (r *recoverer) lose(ctx context.Context, archives []int64) error {
	r.out.Lost += int64(len(archives))
	return r.Catalog.MarkLost(ctx, r.Run, archives)
}
