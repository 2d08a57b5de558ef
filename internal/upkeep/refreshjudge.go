package upkeep

import (
	"context"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
)

// atOnce is how many archives are judged, and recorded, at a time.
const atOnce = 4096

// judge says of which class a listed archive is that something is recorded of.
func (r *refresher) judge(ctx context.Context, d catalog.Difference) error {
	f := Found{Difference: d, Remains: !r.Fix}
	switch d.Verdict {
	case catalog.OtherSize, catalog.OtherTree:
		f.Class = Mismatch
		f.Remains = f.Remains && d.State != catalog.Lost // what it held is given up
	case catalog.OtherWords:
		f.Class = Reworded
	case catalog.Returned:
		f.Class = Returned
	case catalog.Lingering:
		if f.Class = Undeleted; !d.Outlived(r.res.Dated, r.margin()) {
			f.Class, f.Remains = Lagging, false
		}
	case catalog.Untold:
		// It is as recorded; what is more is learned.
		r.seen.Same.Files++
		r.seen.Same.Bytes += d.Archive.Size
		if r.told = append(r.told, d); len(r.told) < atOnce {
			return nil
		}
		return r.learn(ctx)
	}
	return r.take(ctx, f)
}

// absence says of which class an archive is that is not listed.
func (r *refresher) absence(d catalog.Difference) Found {
	f := Found{Difference: d}
	switch {
	case d.Verdict == catalog.TooNew:
		f.Class = TooNew
	case d.Verdict == catalog.Departed, d.Leaving, d.Kind == catalog.CatalogArchive && !d.Own:
		f.Class = Departed
	default:
		f.Class, f.Remains = Vanished, !r.Fix
	}
	return f
}

// judgeStrangers says of which class archives are that nothing is recorded of.
func (r *refresher) judgeStrangers(ctx context.Context, strangers []catalog.Difference) error {
	if len(strangers) == 0 {
		return nil
	}
	said := make([]describe.Archive, len(strangers))
	var tokens []firn.Token
	for i := range strangers {
		said[i] = describe.Decode(strangers[i].Archive.Description)
		if said[i].Format == describe.Firn {
			tokens = append(tokens, said[i].Token)
		}
	}
	attempts, err := r.Catalog.Attempts(ctx, r.Row.ID, tokens)
	if err != nil {
		return err
	}
	for i, d := range strangers {
		if err := r.take(ctx, r.stranger(d, said[i], attempts)); err != nil {
			return err
		}
	}
	return nil
}

// stranger says whose an archive is.
func (r *refresher) stranger(d catalog.Difference, said describe.Archive, attempts map[firn.Token]catalog.Attempt) Found {
	f := Found{Difference: d, Class: Strange}
	if said.Format != describe.Firn {
		return f
	}
	attempt, own := attempts[said.Token]
	if own && attempt.State < catalog.Stored {
		f.Class = Unsettled
		return f
	}
	tree := attempt.Tree
	if tree == "" {
		tree = r.owners.tree(said)
	}
	if !own && !r.owners.own(said, tree) {
		// A snapshot is read, and not taken in.
		f.Class, f.Recover, f.Whose = Elsewhere, said.Kind != describe.Snapshot, r.owners.host(said)
		return f
	}
	f.Class, f.tree = Orphan, tree
	if said.Kind == describe.Snapshot {
		return f // nobody misses an old one, and the next one makes it old
	}
	_, whole := orphan(d.Archive, said, tree)
	f.Remains, f.Recover = !r.Fix || !whole, !whole
	return f
}

// orphan makes a find of an archive that this catalog stored, without knowing. What
// many files hold is known by its index alone, into which firn recover looks.
func orphan(a firn.Archive, said describe.Archive, tree string) (find catalog.Find, ok bool) {
	if said.Kind != describe.File && said.Kind != describe.Opaque {
		return catalog.Find{}, false
	}
	find = catalog.Find{Archive: a, Kind: catalog.FileArchive, Token: said.Token, Format: string(said.Format)}
	if said.Tree == "" {
		find.Kind = catalog.LooseArchive
		return find, true
	}
	unfit := func(name string) bool {
		return name == "" || name == "." || name == ".." || strings.IndexByte(name, 0) >= 0
	}
	if tree == "" || slices.ContainsFunc(strings.Split(said.Path, "/"), unfit) {
		return catalog.Find{}, false
	}
	mode := said.Mode
	if !said.HasMode {
		mode = 0o644
	}
	find.Members = []catalog.FoundMember{{
		Tree:    tree,
		File:    firn.File{Path: said.Path, Kind: firn.Regular, Mode: mode, UID: -1, GID: -1, Links: 1, Stamp: firn.Stamp{Size: a.Size, ModTime: said.ModTime}},
		Content: firn.Content{Size: a.Size, Tree: a.Tree},
	}}
	return find, true
}

// owners tell which catalog stored an archive.
type owners struct {
	self  firn.Token
	trees []catalog.TreeOwner
}

func (r *refresher) whoOwns(ctx context.Context) (owners, error) {
	trees, err := r.Catalog.TreeOwners(ctx, r.Row.ID)
	return owners{r.Catalog.ID(), trees}, err
}

// tree gives the name that the tree of an archive has here, if this catalog synced
// it, and no other of that name; else none.
func (o *owners) tree(said describe.Archive) (name string) {
	if said.Tree == "" {
		return ""
	}
	for _, t := range o.trees {
		if !slices.Contains(t.Catalogs, o.self) || !t.MayBe(said.Tree) {
			continue
		}
		if name != "" {
			return ""
		}
		name = t.Name
	}
	return name
}

// own reports whether this catalog stored an archive, which is of that tree here.
// Where its description has no room for a catalog the tree tells.
func (o *owners) own(said describe.Archive, tree string) bool {
	return said.Catalog == o.self || said.Catalog.IsZero() && tree != ""
}

// host names the machine that stored an archive, as far as that is known.
func (o *owners) host(said describe.Archive) string {
	for _, t := range o.trees {
		if !said.Catalog.IsZero() && slices.Contains(t.Catalogs, said.Catalog) {
			return t.Host
		}
	}
	return ""
}

// take counts an archive, tells of it, and does what is to be done about it, sooner
// or later.
func (r *refresher) take(ctx context.Context, f Found) error {
	r.res.Found[f.Class] = plus(r.res.Found[f.Class], &f)
	if r.Each != nil {
		r.Each(f)
	}
	if !r.acts(&f) {
		return nil
	}
	if r.work[f.Class] = append(r.work[f.Class], f); len(r.work[f.Class]) < atOnce {
		return nil
	}
	return r.act(ctx, f.Class)
}

// acts reports whether something is to be done about an archive.
func (r *refresher) acts(f *Found) bool {
	switch f.Class {
	case Strange, Departed:
		return true
	case Vanished, Mismatch, Reworded, Returned, Undeleted, Orphan:
		return r.Fix && !f.Remains
	}
	return false
}

// flush does what is left to be done.
func (r *refresher) flush(ctx context.Context) error {
	for _, c := range Classes() {
		if err := r.act(ctx, c); err != nil {
			return err
		}
	}
	return r.learn(ctx)
}

// learn records what the inventory told of archives that are as they were recorded.
func (r *refresher) learn(ctx context.Context) error {
	if len(r.told) == 0 {
		return nil
	}
	err := r.Catalog.Learn(ctx, r.Run, r.told)
	r.told = r.told[:0]
	return err
}
