package glaciercli

import (
	"context"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/foreign"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/wire"
	"github.com/firn-archive/firn/treehash"
)

// copied finds an archive where firn has copied it to: an archive of another store,
// or a member of one.
func (r *retriever) copied(ctx context.Context, row foreign.CacheRow, to catalog.Copy, known firn.Content) (*goal, error) {
	if to.Sealed && !to.Whole { // of one that was encrypted before, the copy is what it was
		return nil, fmt.Errorf("archive %s was moved to %s, and is encrypted there; it comes back with: firn restore %s", repr(row.Name), to.URL, to.URL)
	}
	src, err := r.target(ctx, to.URL)
	if err != nil {
		return nil, err
	}
	known.Size = to.Size
	g := &goal{source: src, want: known, from: to.Offset, Want: retrieval.Want{Remote: to.Remote, Label: row.Name}}
	if to.Whole {
		g.Size, g.Tree = known.Size, known.Tree
		return g, nil
	}
	loc, _, err := r.vaults.catalog.ArchiveByRemote(ctx, to.Store, to.Remote)
	if err != nil {
		return nil, err
	}
	g.Size, g.Tree = loc.Size, loc.Tree
	const mib = treehash.LeafSize
	end := to.Offset + to.Size
	g.Range = &firn.Range{Start: to.Offset / mib * mib, End: min((end+mib-1)/mib*mib, loc.Size)}
	return g, nil
}

// target opens the store that the vault was moved to.
func (r *retriever) target(ctx context.Context, url string) (*source, error) {
	if s := r.sources[url]; s != nil {
		return s, nil
	}
	loc, err := config.ParseLocation(url, r.Dir)
	if err != nil {
		return nil, err
	}
	options := r.keys.options
	if loc.Scheme != config.Glacier {
		options.Endpoint = "" // which is that of vaults
	}
	store, err := wire.OpenKnown(ctx, r.env(), r.vaults.catalog, loc, options)
	if err != nil {
		return nil, err
	}
	row, err := store.Check(ctx, r.vaults.catalog)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	s, err := r.source(ctx, url, row, store, store.Close)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return s, nil
}
