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
	"github.com/firn-archive/firn/describe"
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
	for i, key := range name.keys {
		// A refusal comes behind the body: of a large one it is asked first whether it
		// would be sent in vain, where another name is left.
		free := body.Size() <= sentInVain || i == len(name.keys)-1
		if !free {
			if free, err = s.isFree(ctx, op, key); err != nil {
				return "", beforehand(err)
			}
		}
		if free {
			err = s.putArchive(ctx, key, description, body, sums, &name, conditional)
			if firn.KindOf(err) != firn.Conflict {
				return idOf(key), err
			}
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

// sentInVain is how many bytes of a body may be sent to a name that is taken.
const sentInVain = 1 << 20

// isFree reports whether there is no object under a key.
func (s *Store) isFree(ctx context.Context, op, key string) (bool, error) {
	_, err := s.head(ctx, op, key)
	if firn.KindOf(err) == firn.NotFound {
		return true, nil
	}
	return false, err
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
func (s *Store) putArchive(ctx context.Context, key, description string, body *io.SectionReader, sums treehash.Sums, name *naming, conditional bool) error {
	o := object{
		key: key, body: body, sums: sums, class: string(s.classOf(name.snapshot)),
		metadata: metadataOf(&name.read, description), when: condition{absent: conditional},
	}
	o.metadata[metaTree] = sums.Tree.String()
	x := s.begin(ctx, "upload", "to "+s.cfg.Label)
	answer, err := s.send(x, o)
	if err := x.End(err); err != nil {
		return err
	}
	firn.GiveReceipt(ctx, firn.Receipt{Class: o.class, Checksum: putChecksums(answer).text()})
	return nil
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
	firn.GiveReceipt(ctx, firn.Receipt{Class: s.classIn(head)}) // which counts if this is it
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
	return s.delete(ctx, id, key)
}

var _ firn.Discerner = (*Store)(nil)

// DeleteOnly is DeleteArchive, of an object that is still the one that is meant: it
// asks what it is first. Between the two there are milliseconds, not months.
func (s *Store) DeleteOnly(ctx context.Context, a firn.Deletable) error {
	const op = "delete archive"
	if _, err := s.exists(ctx); err != nil {
		return err
	}
	key, ok := keyOfID(a.ID)
	if !ok {
		return nil
	}
	head, err := s.head(ctx, op, key)
	switch {
	case firn.KindOf(err) == firn.NotFound: // what lies beside it may be there still
	case err != nil:
		return err
	case !isThe(a, head):
		return s.fail(op, firn.Conflict, fmt.Errorf("%q is another archive's by now", key))
	case a.Own && !isOwn(head):
		return s.fail(op, firn.Invalid, errText("firn did not store it: other programs keep things here, too"))
	}
	return s.delete(ctx, a.ID, key)
}

// isThe reports whether an object is the archive of which something is known: its
// description tells, where that is firn's, and else its size and time do.
func isThe(a firn.Deletable, head *sdk.HeadObjectOutput) bool {
	description, _ := descriptionOf(head.Metadata)
	if token, own := describe.TokenOf(description); own && !a.Token.IsZero() {
		return token == a.Token
	}
	made := a.Created.Unix()
	return aws.ToInt64(head.ContentLength) == a.Size && (made <= 0 || aws.ToTime(head.LastModified).Unix() == made)
}

// isOwn reports whether firn stored an object.
func isOwn(head *sdk.HeadObjectOutput) bool {
	_, described := descriptionOf(head.Metadata)
	return described && (head.Metadata[metaTree] != "" || head.Metadata[metaUpload] != "")
}

func (s *Store) delete(ctx context.Context, id firn.ArchiveID, key string) error {
	if err := s.removeCompanions(ctx, id); err != nil {
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return s.remove(ctx, "delete archive", hashName(key)) })
	err := s.remove(ctx, "delete archive", key)
	return cmp.Or(err, group.Wait())
}
