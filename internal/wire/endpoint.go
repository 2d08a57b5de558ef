package wire

import (
	"context"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
)

// OpenKnown is Open of a store that the catalog may know. Where neither Options nor
// the environment nor the AWS configuration say where the service is, the store is
// looked for where it was seen: so a command that names the store alone, as firn
// itself prints it, finds what was made with --endpoint-url. Of one that was never
// reached from here it is an error of kind Usage that no host has the server's name;
// one that was is waited for.
func OpenKnown(ctx context.Context, env Env, cat *catalog.Catalog, loc config.Location, o Options) (*Store, error) {
	row, err := cat.StoreByURL(ctx, loc.String())
	switch {
	case err == nil:
		o.known, o.unmet = EndpointOf(row), !row.Reached
	case firn.KindOf(err) == firn.NotFound:
		o.unmet = true
	default:
		return nil, err
	}
	return Open(ctx, env, loc, o)
}

// EndpointOf is the address of the server that a store is at, as the catalog knows
// it; empty where that is Amazon's, or none. An identity begins with it: it has no
// user, password or query. It counts only if the store was reached from here: what
// rows from elsewhere say must not have files, and requests with this user's keys,
// sent to whoever wrote them.
func EndpointOf(row catalog.Store) string {
	if !row.Reached {
		return ""
	}
	home, _, _ := strings.Cut(row.Identity, " ")
	if config.CheckEndpoint(home) != nil {
		return ""
	}
	return home
}
