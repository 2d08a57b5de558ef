package s3cold

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/firn-archive/firn"
)

// Of firn's own files some are put again under the same name, the tags above all. A
// bucket that keeps versions keeps the earlier ones then: they are deleted, so that
// they don't become as many as there were syncs.

// removeReplaced deletes the version of an object that another has taken the place of.
// Who may not delete leaves it: it costs next to nothing, and what was to be done is
// done.
func (s *Store) removeReplaced(ctx context.Context, key, old, now string) {
	// A bucket whose versions are suspended has put the new one into the old one's place,
	// by the same name. Source: Amazon S3 user guide, "Adding objects to
	// versioning-suspended buckets".
	if old == "" || now == "" || old == now {
		return
	}
	x := s.begin(ctx, "delete a replaced version", s.subject(key))
	_, err := s.client.DeleteObject(x.Ctx, &sdk.DeleteObjectInput{Bucket: s.bucket(), Key: s.full(key), VersionId: &old})
	x.End(err)
}

// maxReplaced bounds how many versions of one file are deleted at a time.
const maxReplaced = 10_000

// removeAll is remove, of a file of firn's own that may have been put several times:
// where the bucket keeps versions, the one before shows when the last is gone.
func (s *Store) removeAll(ctx context.Context, op, key string) error {
	for range maxReplaced {
		if err := s.remove(ctx, op, key); err != nil {
			return err
		}
		id, err := s.exists(ctx)
		if err != nil || !id.versioned {
			return err
		}
		_, err = s.head(ctx, op, key)
		if firn.KindOf(err) == firn.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
