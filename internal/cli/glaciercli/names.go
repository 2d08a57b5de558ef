package glaciercli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/foreign"
)

// The prefixes by which an archive is named by its id, or by a name that looks like
// one of these.
const (
	byID   = "id:"
	byName = "name:"
)

// reference is how a row is shown, so that it can be given back as it is.
func reference(r *foreign.CacheRow) string {
	switch {
	case r.Name == "":
		return byID + string(r.ID)
	case strings.HasPrefix(r.Name, byName), strings.HasPrefix(r.Name, byID):
		return byName + r.Name
	}
	return r.Name
}

// rows finds what is meant by a name as it was typed. Where the cache has nothing,
// an upload that was killed may have stored it.
func (p *program) rows(ctx context.Context, vault, name string) ([]foreign.CacheRow, error) {
	c, err := p.openCache(ctx)
	if err != nil {
		return nil, err
	}
	all, err := p.cached(ctx, c, vault, name)
	if err != nil || len(all) > 0 {
		return all, err
	}
	if any, err := p.recallAny(ctx, vault); !any || err != nil {
		return nil, err
	}
	return p.cached(ctx, c, vault, name)
}

// cached is what the cache has of rows. Of rows that several access keys have, those
// of the one in use count first.
func (p *program) cached(ctx context.Context, c *foreign.Cache, vault, name string) ([]foreign.CacheRow, error) {
	if id, ok := strings.CutPrefix(name, byID); ok {
		return c.ByID(ctx, p.region, vault, firn.ArchiveID(id))
	}
	all, err := c.ByName(ctx, p.region, vault, strings.TrimPrefix(name, byName))
	key := p.keyHint()
	isOwn := func(r foreign.CacheRow) bool { return r.Key == key }
	if slices.ContainsFunc(all, isOwn) {
		all = slices.DeleteFunc(all, func(r foreign.CacheRow) bool { return !isOwn(r) })
	}
	return all, err
}

// row finds the one archive that is meant.
func (p *program) row(ctx context.Context, vault, name string) (r foreign.CacheRow, err error) {
	all, err := p.rows(ctx, vault, name)
	switch {
	case err != nil:
		return r, err
	case len(all) == 0:
		return r, fmt.Errorf("archive %s not found", repr(name))
	case len(all) == 1:
		return all[0], nil
	}
	text := fmt.Sprintf("archive %s is one of %d archives of this name; say which by its id:", repr(name), len(all))
	for _, r := range all {
		text += "\n" + byID + string(r.ID)
	}
	return r, fmt.Errorf("%s", text)
}
