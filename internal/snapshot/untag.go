package snapshot

import (
	"context"
	"strings"

	"github.com/firn-archive/firn"
)

// Untag takes the tags off a store that name snapshots which are gone, so that no
// recovery looks for them. Gone tells of the archive of one whether it is. Where
// there are none, nothing is asked for but the tags.
func Untag(ctx context.Context, store firn.Keeper, gone func(context.Context, firn.ArchiveID) (bool, error)) error {
	tags, err := store.Tags(ctx)
	if err != nil {
		return err
	}
	var keys []string
	for key, value := range tags {
		if !strings.HasPrefix(key, newestTag) && !strings.HasPrefix(key, fullTag) {
			continue
		}
		_, archive, err := ParseTag(value)
		if err != nil {
			continue // somebody else wrote it
		}
		is, err := gone(ctx, archive)
		if err != nil {
			return err
		}
		if is {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return store.RemoveTags(ctx, keys...)
}
