package s3cold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
	"golang.org/x/sync/errgroup"
)

// UploadArchive stores body as one archive in a single request. Where the
// description is one of firn's, and an archive with it is there already under one
// of the names that this one may have, that is the answer: an earlier request did
// it, and its answer was lost.
func (s *Store) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	const op = "upload"
	if _, err := s.exists(ctx); err != nil {
		return "", beforehand(err)
	}
	if err := checkDescription(description); err != nil {
		return "", s.fail(op, firn.Invalid, err)
	}
	if size := body.Size(); size < 1 || size > MaxSingle {
		return "", s.fail(op, firn.Invalid, fmt.Errorf("an archive of %d bytes: a single request carries 1 to %d", size, int64(MaxSingle)))
	}
	conditional, err := s.isConditional(ctx)
	if err != nil {
		return "", beforehand(err)
	}
	name := s.name(description, conditional)
	for _, key := range name.keys {
		err = s.putArchive(ctx, key, description, body, sums, name.snapshot, conditional)
		if firn.KindOf(err) != firn.Conflict {
			return idOf(key), err
		}
		same, err := s.isSame(ctx, op, key, description, body.Size(), sums.Tree)
		if err != nil {
			return "", err // an earlier try may have stored it
		}
		if same && name.own {
			return idOf(key), nil
		}
	}
	return "", s.fail(op, firn.Conflict, fmt.Errorf("every name that it may have is taken: %q", name.keys))
}

// beforehand makes an error of a request that comes before the one that has an
// effect: where no answer came, surely nothing was done.
func beforehand(err error) error {
	var e *firn.Error
	if !errors.As(err, &e) || e.Kind != firn.Lost {
		return err
	}
	same := *e
	same.Kind = firn.Network
	return &same
}

// putArchive stores an archive under a key.
func (s *Store) putArchive(ctx context.Context, key, description string, body *io.SectionReader, sums treehash.Sums, snapshot, conditional bool) error {
	in := &sdk.PutObjectInput{
		Bucket: s.bucket(), Key: s.full(key), Body: fresh(body), ContentLength: aws.Int64(body.Size()),
		ChecksumSHA256: checksum(sums), Metadata: metadata(description), StorageClass: s.classOf(snapshot),
	}
	in.Metadata[metaTree] = sums.Tree.String()
	if conditional {
		in.IfNoneMatch = aws.String("*")
	}
	x := s.begin(ctx, "upload", "to "+s.cfg.Label)
	_, err := s.client.PutObject(x.Ctx, in, preset(sums))
	return x.End(err)
}

// isSame reports whether the archive under a key is this one.
func (s *Store) isSame(ctx context.Context, op, key, description string, size int64, tree treehash.Hash) (bool, error) {
	head, err := s.head(ctx, op, key)
	if firn.KindOf(err) == firn.NotFound {
		return false, nil // it went meanwhile
	}
	if err != nil {
		return false, err
	}
	there, known := descriptionOf(head.Metadata)
	return known && there == description && aws.ToInt64(head.ContentLength) == size && head.Metadata[metaTree] == tree.String(), nil
}

// DeleteArchive deletes one archive, and with it the tree hash that lies beside
// it where it came in parts. Nothing but the request itself would tell whether
// one does; both are free.
func (s *Store) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	if _, err := s.exists(ctx); err != nil {
		return err
	}
	key, ok := keyOfID(id)
	if !ok {
		return nil
	}
	if err := s.removeCompanions(ctx, id); err != nil {
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return s.remove(ctx, "delete archive", hashName(key)) })
	err := s.remove(ctx, "delete archive", key)
	return cmp.Or(err, group.Wait())
}
