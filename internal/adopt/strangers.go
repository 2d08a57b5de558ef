package adopt

import (
	"context"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// guess reads a description. A name that glacier-cli wrote is as its user gave
// it.
func guess(description string) describe.Archive {
	d := describe.Guess(description)
	if d.Format == describe.Plain {
		d.Path, _ = describe.Unescape(d.Path)
	}
	return d
}

// syncedDatabase is the path of the databases of glaciersync that the store has,
// one the next one's older version, in the tree of what is packed.
const syncedDatabase = "glaciersync/database.sqlite3"

// strangers takes in what no record names, by its descriptions.
func (a *adopter) strangers(ctx context.Context) error {
	all := a.Catalog.Strangers(ctx, a.inventory.ID)
	if a.spool != nil {
		all = a.spool.archives()
	}
	for found, err := range all {
		if err != nil {
			return err
		}
		if err := a.stranger(ctx, found); err != nil {
			return err
		}
	}
	return nil
}

func (a *adopter) stranger(ctx context.Context, found firn.Archive) error {
	if len(a.gone)+len(a.named) > 0 {
		id := a.hash(found.ID)
		if _, is := a.named[id]; is {
			return nil
		}
		if _, is := a.gone[id]; is {
			a.res.Deleted++
			a.teller.tell("gone", "that were deleted", "archive %s was deleted after the inventory was made, a record says: it is left out", found.ID)
			return nil
		}
	}
	d := guess(found.Description)
	if d.Format == describe.Firn {
		return a.own(ctx, found, d)
	}
	f := catalog.Find{Archive: found, Kind: catalog.ForeignArchive, Format: string(d.Format), Packed: d.Packed()}
	if d.Format == describe.GlacierSyncDB {
		// It has a name, so that it can be restored: only it knows those of the rest.
		f.Members = []catalog.FoundMember{file(a.Tree+packedSuffix, syncedDatabase, found)}
		a.databases++
		a.databaseOf = max(a.databaseOf, d.Stamp)
	}
	if d.Path != "" {
		m, ok, err := a.member(ctx, found, d, packedBy(d, d))
		if err != nil {
			return err
		}
		if ok {
			f.Members = []catalog.FoundMember{m}
		}
	}
	return a.put(f, string(d.Format))
}

// own takes in a file that firn stored, whose catalog was lost. The rest has its
// names in the archives, which only firn recover looks into; and it knows what to
// do with a file of a tree that is a directory of some machine. Of those that are of
// no tree the ones with a mode are files: firn called mtglacier stores them so.
func (a *adopter) own(ctx context.Context, found firn.Archive, d describe.Archive) error {
	f := catalog.Find{Archive: found, Kind: catalog.FileArchive, Token: d.Token}
	switch {
	case d.Kind == describe.File && d.Tree == "" && d.HasMode:
		m, ok, err := a.member(ctx, found, d, "")
		if err != nil {
			return err
		}
		if ok {
			refine(&m, d)
			f.Members = []catalog.FoundMember{m}
			return a.put(f, string(d.Format))
		}
	case (d.Kind == describe.File || d.Kind == describe.Opaque) && d.Tree == "" && d.Path != "":
		f.Kind = catalog.LooseArchive
		return a.put(f, string(d.Format))
	case (d.Kind == describe.File || d.Kind == describe.Opaque) && d.Path != "" && !a.bound[d.Tree]:
		m, ok, err := a.ownMember(ctx, found, d)
		if err != nil {
			return err
		}
		if ok {
			f.Members = []catalog.FoundMember{m}
			return a.put(f, string(d.Format))
		}
	}
	a.res.Own.Files++
	a.res.Own.Bytes += found.Size
	return nil
}

// ownMember makes the entry of firn's own file. Its path is what it was on disk,
// whatever bytes these are, unless somebody forged it.
func (a *adopter) ownMember(ctx context.Context, found firn.Archive, d describe.Archive) (m catalog.FoundMember, ok bool, err error) {
	if isPath(d.Path) {
		m = file(a.Tree, d.Path, found)
		m.Stamp.ModTime = d.ModTime
	} else if m, ok, err = a.member(ctx, found, d, ""); err != nil || !ok {
		return m, ok, err
	}
	if describe.CheckTree(d.Tree) == nil {
		m.Tree = d.Tree
	}
	if d.HasMode {
		m.Mode = d.Mode
	}
	return m, true, nil
}
