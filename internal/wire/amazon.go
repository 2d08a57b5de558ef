package wire

import (
	"context"
	"net/url"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
	"github.com/firn-archive/firn/internal/config"
)

// amazonHome begins the identity of what Amazon's own service keeps, and not another
// server that speaks like it: see internal/glacier and internal/s3cold.
const amazonHome = "aws "

// AtAmazon reports whether Amazon's own service keeps the store, so that what leaves
// its regions is charged for. It goes by what Check or Look saw.
func (s *Store) AtAmazon() bool {
	return s.Location.Scheme != config.Local && strings.HasPrefix(s.Info.Identity, amazonHome)
}

// IsHere reports whether this machine is one of Amazon's in the region of the store,
// which takes up to a second to find out.
func (s *Store) IsHere(ctx context.Context) bool {
	return s.AtAmazon() && awschain.Here(ctx, s.env.Getenv) == s.region
}

// Object gives bucket and key of an archive of a store in S3, whose id is its key below
// the prefix, percent-encoded where it must be.
func (s *Store) Object(id firn.ArchiveID) (bucket, key string, ok bool) {
	key, err := url.PathUnescape(string(id))
	if s.Location.Scheme != config.S3 || err != nil || key == "" {
		return "", "", false
	}
	if s.Location.Prefix != "" {
		key = s.Location.Prefix + "/" + key
	}
	return s.Location.Bucket, key, true
}
