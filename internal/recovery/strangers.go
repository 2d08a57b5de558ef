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

// inventory reads the store's inventory into the catalog, if this recovery
// hasn't yet.
func (r *recoverer) inventory(ctx context.Context) (catalog.Inventory, error) {
	if inv, ok, err := r.staged(ctx); err != nil || ok {
		return inv, err
	}
	inv, job, ok, err := r.Asker.StageInventory(ctx, retrieval.Staging{Batch: atOnce, Wait: r.Wait})
	if err == nil && !ok {
		err = r.waitFor(1, retrieval.Expected(job))
	}
	return inv.Inventory, err
}

// lateMargin is how much older than its catalog's newest snapshot an archive may
// be that isn't in it: it was being stored while the snapshot was made.
const lateMargin = 24 * time.Hour

// strangers takes in the archives that no snapshot knows: files by what their
// descriptions say, bundles by their indexes.
func (r *recoverer) strangers(ctx context.Context, inv catalog.Inventory) error {
	o, err := r.owners(ctx)
	if err != nil {
		return err
	}
	t := &tails{recoverer: r, owners: o}
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
			files = append(files, r.file(a, d, o))
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
func (r *recoverer) file(a firn.Archive, d describe.Archive, o *owners) catalog.Find {
	f := catalog.Find{Archive: a, Kind: catalog.FileArchive, Token: d.Token, Format: string(d.Format)}
	if d.Tree == "" {
		r.out.Loose++
		f.Kind = catalog.LooseArchive
		return f
	}
	r.out.Files++
	home := o.home(d.Tree, d.Catalog, "")
	m := catalog.FoundMember{
		Tree:    home.tree,
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
	f.Late = home.isLate(a)
	return f
}

// plainMode is that of files of which nobody knows it.
const plainMode fs.FileMode = 0o644

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
