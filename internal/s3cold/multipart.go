package s3cold

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
	"github.com/firn-archive/firn/treehash"
)

// jsonEnd ends the names of what firn keeps about an object.
const jsonEnd = ".json"

// A ticket is what an open upload is going to be. S3 lists nothing of an open
// upload but its key, so that this lies in uploadsFolder until it is done: of one
// key there is one.
type ticket struct {
	Key         string `json:"key"` // below the prefix
	Description string `json:"description"`
	PartSize    int64  `json:"part_size"`
	Nonce       string `json:"nonce"` // also in the metadata of what it becomes
}

// An uploadID is what the id of an upload says, as JSON in base64url.
type uploadID struct {
	Key      string `json:"k"`
	Upload   string `json:"u"` // S3's own id
	PartSize int64  `json:"p"`
	Nonce    string `json:"n"`
}

func (u uploadID) String() string {
	b, err := json.Marshal(u)
	if err != nil {
		panic(err) // strings and a number
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseUploadID(id firn.UploadID) (u uploadID, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(string(id))
	ok = err == nil && json.Unmarshal(b, &u) == nil && u.Key != "" && isArchive(u.Key) && u.Upload != "" && u.PartSize >= MinPart
	return u, ok
}

// upload reads the id of an upload.
func (s *Store) upload(ctx context.Context, op string, id firn.UploadID) (uploadID, error) {
	if _, err := s.exists(ctx); err != nil {
		return uploadID{}, err
	}
	u, ok := parseUploadID(id)
	if !ok {
		return u, s.fail(op, firn.NotFound, errText("no such upload"))
	}
	return u, nil
}

func ticketName(key string) string { return uploadsFolder + keyHash(key) + jsonEnd }

func hashName(key string) string { return hashesFolder + keyHash(key) + jsonEnd }

// StartUpload opens a multipart upload.
func (s *Store) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	const op = "start upload"
	if _, err := s.exists(ctx); err != nil {
		return "", beforehand(err)
	}
	if err := checkDescription(description); err != nil {
		return "", s.fail(op, firn.Invalid, err)
	}
	if partSize < MinPart || partSize > MaxPart {
		return "", s.fail(op, firn.Invalid, fmt.Errorf("parts of %d bytes: a part has %d to %d", partSize, int64(MinPart), int64(MaxPart)))
	}
	conditional, err := s.isConditional(ctx)
	if err != nil {
		return "", beforehand(err)
	}
	name := s.name(description, conditional)
	t, err := s.reserve(ctx, ticket{Description: description, PartSize: partSize, Nonce: firn.NewToken().String()}, name, conditional)
	if err != nil {
		return "", beforehand(err)
	}
	id, err := s.startUpload(ctx, t, name.snapshot)
	if kind := firn.KindOf(err); err != nil && kind != firn.Lost {
		if ctx.Err() == nil {
			_ = s.remove(ctx, op, ticketName(t.Key)) // nothing was opened
		}
		return "", err
	}
	return id, err
}

// reserve writes the ticket of an upload for the first key that is free, or else
// for a random one, and gives it as it lies there. Where that of the same archive
// lies there already, an earlier call wrote it, and its answer was lost.
func (s *Store) reserve(ctx context.Context, t ticket, name naming, conditional bool) (ticket, error) {
	const op = "start upload"
	for _, key := range append(slices.Clone(name.keys), randomName()) {
		if conditional {
			free, err := s.isFree(ctx, op, key)
			if free && !strings.HasPrefix(key, ownFolder) {
				free, err = s.isUncrossed(ctx, op, key)
			}
			if err != nil {
				return t, err
			}
			if !free {
				continue
			}
		}
		t.Key = key
		data, err := json.Marshal(t)
		if err != nil {
			return t, err
		}
		err = s.put(ctx, op, ticketName(key), data, condition{absent: conditional})
		if firn.KindOf(err) != firn.Conflict {
			return t, err
		}
		there, err := s.readTicket(ctx, key)
		if err != nil {
			return t, err
		}
		if name.own && there.Description == t.Description && there.PartSize == t.PartSize && there.Nonce != "" {
			return there, nil
		}
	}
	return t, s.fail(op, firn.Conflict, errText("every name that it may have is taken"))
}

// isUncrossed reports whether a key is none that is a folder of other keys, and has
// none of them for a folder: servers that keep objects as files refuse those, and of
// an upload only once all of it was sent.
func (s *Store) isUncrossed(ctx context.Context, op, key string) (bool, error) {
	if s.home == amazon {
		return true, nil
	}
	for folder := path.Dir(key); folder != "."; folder = path.Dir(folder) {
		if free, err := s.isFree(ctx, op, folder); !free || err != nil {
			return false, err
		}
	}
	x := s.begin(ctx, op, s.subject(key))
	out, err := s.client.ListObjectsV2(x.Ctx, listInput(s, key+"/", 1))
	if err := x.End(err); err != nil {
		return false, err
	}
	return len(out.Contents) == 0, nil
}

func (s *Store) startUpload(ctx context.Context, t ticket, snapshot bool) (firn.UploadID, error) {
	in := &sdk.CreateMultipartUploadInput{
		Bucket: s.bucket(), Key: s.full(t.Key), Metadata: metadata(t.Description), StorageClass: s.classOf(snapshot),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}
	in.Metadata[metaUpload] = t.Nonce
	x := s.begin(ctx, "start upload", "to "+s.cfg.Label)
	out, err := s.client.CreateMultipartUpload(x.Ctx, in)
	if err := x.End(err); err != nil {
		return "", err
	}
	firn.GiveReceipt(ctx, firn.Receipt{Class: string(in.StorageClass)})
	return firn.UploadID(uploadID{t.Key, aws.ToString(out.UploadId), t.PartSize, t.Nonce}.String()), nil
}

// UploadPart stores one part.
func (s *Store) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	const op = "upload part"
	u, err := s.upload(ctx, op, id)
	if err != nil {
		return err
	}
	number := offset/u.PartSize + 1
	if size := body.Size(); size < 1 || size > u.PartSize || offset < 0 || offset%u.PartSize != 0 || number > MaxParts {
		return s.fail(op, firn.Invalid, fmt.Errorf("%d bytes at %d of an upload with at most %d parts of %d", size, offset, MaxParts, u.PartSize))
	}
	x := s.begin(ctx, op, fmt.Sprintf("at %d to %s", offset, s.cfg.Label))
	_, err = s.client.UploadPart(x.Ctx, &sdk.UploadPartInput{
		Bucket: s.bucket(), Key: s.full(u.Key), UploadId: &u.Upload, PartNumber: aws.Int32(int32(number)),
		Body: fresh(body), ContentLength: aws.Int64(body.Size()), ChecksumSHA256: checksum(sums),
	}, preset(sums))
	if err = x.End(err); err == nil {
		firn.GiveReceipt(ctx, firn.Receipt{Class: string(s.classOf(strings.HasPrefix(u.Key, snapshotsFolder)))})
	}
	return err
}

// CompleteUpload makes the parts into an archive. What is asked for is checked
// against the list of parts first, and the tree hash is written beside it, since
// nothing can be added to the metadata of an object.
func (s *Store) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	const op = "complete upload"
	u, err := s.upload(ctx, op, id)
	if err != nil {
		return "", err
	}
	archive := idOf(u.Key)
	parts, class, err := s.completeParts(ctx, u, size)
	if firn.KindOf(err) == firn.NotFound {
		return archive, s.completed(ctx, u, err)
	}
	if err != nil {
		return "", err
	}
	// Not every server that heeds If-None-Match does so here, and what lies beside
	// another archive of the name is not to be overwritten either.
	switch head, err := s.head(ctx, op, u.Key); {
	case err == nil && head.Metadata[metaUpload] == u.Nonce:
		firn.GiveReceipt(ctx, firn.Receipt{Class: s.classIn(head)})
		return archive, nil
	case err == nil:
		return "", s.giveUp(ctx, u)
	case firn.KindOf(err) != firn.NotFound:
		return "", err
	}
	if err := s.putHash(ctx, u, size, tree); err != nil {
		return "", err
	}
	x, err := s.complete(ctx, u, parts, size, class)
	switch x.RefusedWith() {
	case codeNoUpload, codeNotThere:
		err = s.completed(ctx, u, err)
	case codePrecondition, codeParentIsFile, codeIsFolder, codeMinioParentIsFile, codeMinioIsFolder, codeKeyTooLong:
		if err = s.completed(ctx, u, err); firn.KindOf(err) == firn.Conflict {
			err = s.giveUp(ctx, u)
		}
	}
	if err != nil {
		return "", err
	}
	_ = s.remove(ctx, op, ticketName(u.Key)) // no more than tidiness
	return archive, nil
}

// giveUp ends an upload whose name another archive has taken: the name of an upload
// can't be changed. Errors: NotFound, once it is ended.
func (s *Store) giveUp(ctx context.Context, u uploadID) error {
	if err := s.abort(ctx, u); err != nil {
		return err
	}
	return s.fail("complete upload", firn.NotFound, fmt.Errorf("%q is another archive's by now, and the upload was given up", u.Key))
}

// complete asks for the archive, which is of the class that the upload was started
// with, maybe by another process. The answer may take many minutes.
func (s *Store) complete(ctx context.Context, u uploadID, parts []types.CompletedPart, size int64, class types.StorageClass) (*exchange.Exchange, error) {
	conditional, err := s.isConditional(ctx)
	x := s.begin(ctx, "complete upload", "to "+s.cfg.Label)
	x.AnswerWithin = exchange.CompleteWithin
	if err != nil {
		x.Release()
		return x, err
	}
	in := &sdk.CompleteMultipartUploadInput{
		Bucket: s.bucket(), Key: s.full(u.Key), UploadId: &u.Upload,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		MpuObjectSize:   &size,
	}
	if conditional {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := s.client.CompleteMultipartUpload(x.Ctx, in)
	if err = x.End(err); err == nil {
		firn.GiveReceipt(ctx, firn.Receipt{Class: string(class), Checksum: completeChecksums(out).text()})
	}
	return x, err
}

// completed tells whether an upload that isn't there is complete already: nil, or
// the error that says that it isn't there.
func (s *Store) completed(ctx context.Context, u uploadID, gone error) error {
	head, err := s.head(ctx, "complete upload", u.Key)
	switch {
	case firn.KindOf(err) == firn.NotFound:
		return gone
	case err != nil:
		return err
	case head.Metadata[metaUpload] != u.Nonce:
		return gone
	}
	firn.GiveReceipt(ctx, firn.Receipt{Class: s.classIn(head)})
	return nil
}

// completeParts gives the parts of an upload as its completion names them, once
// they are those of size bytes, and the class that the list of them tells.
func (s *Store) completeParts(ctx context.Context, u uploadID, size int64) (parts []types.CompletedPart, class types.StorageClass, err error) {
	var end int64
	for p, err := range s.parts(ctx, "complete upload", u, &class) {
		if err != nil {
			return nil, "", err
		}
		at, length := u.offset(p), aws.ToInt64(p.Size)
		if at != end || length != u.PartSize && at+length != size {
			return nil, "", s.fail("complete upload", firn.Invalid, fmt.Errorf("the parts don't join: %d bytes at %d, after %d", length, at, end))
		}
		end = at + length
		parts = append(parts, types.CompletedPart{ETag: p.ETag, PartNumber: p.PartNumber, ChecksumSHA256: p.ChecksumSHA256})
	}
	if end != size || size == 0 {
		return nil, "", s.fail("complete upload", firn.Invalid, fmt.Errorf("the parts have %d bytes, not %d", end, size))
	}
	return parts, class, nil
}

// offset is where a part begins.
func (u uploadID) offset(p types.Part) int64 { return int64(aws.ToInt32(p.PartNumber)-1) * u.PartSize }

// A hashNote is the tree hash of an archive that came in parts.
type hashNote struct {
	Key   string `json:"key"`
	Nonce string `json:"nonce"`
	Size  int64  `json:"size"`
	Tree  string `json:"tree"`
}

func (s *Store) putHash(ctx context.Context, u uploadID, size int64, tree treehash.Hash) error {
	data, err := json.Marshal(hashNote{u.Key, u.Nonce, size, tree.String()})
	if err != nil {
		return err
	}
	return s.put(ctx, "complete upload", hashName(u.Key), data, condition{})
}

// hashOf reads the tree hash of an archive that came in parts; zero where there is
// none that fits.
func (s *Store) hashOf(ctx context.Context, key, nonce string, size int64) (treehash.Hash, error) {
	got, err := s.get(ctx, "read hash", hashName(key))
	if firn.KindOf(err) == firn.NotFound {
		return treehash.Hash{}, nil
	}
	if err != nil {
		return treehash.Hash{}, err
	}
	var note hashNote
	if decodeJSON(got.data, &note) != nil || note.Key != key || note.Nonce != nonce || note.Size != size {
		return treehash.Hash{}, nil
	}
	tree, err := treehash.Parse(note.Tree)
	if err != nil {
		return treehash.Hash{}, nil
	}
	return tree, nil
}

// AbortUpload ends an upload.
func (s *Store) AbortUpload(ctx context.Context, id firn.UploadID) error {
	if _, err := s.exists(ctx); err != nil {
		return err
	}
	u, ok := parseUploadID(id)
	if !ok {
		return nil
	}
	return s.abort(ctx, u)
}

func (s *Store) abort(ctx context.Context, u uploadID) error {
	x := s.begin(ctx, "abort upload", "to "+s.cfg.Label)
	_, err := s.client.AbortMultipartUpload(x.Ctx, &sdk.AbortMultipartUploadInput{Bucket: s.bucket(), Key: s.full(u.Key), UploadId: &u.Upload})
	if code := x.RefusedWith(); code == codeNoUpload || code == codeNotThere {
		err = x.Forgive()
	} else {
		err = x.End(err)
	}
	if err != nil {
		return err
	}
	t, err := s.readTicket(ctx, u.Key)
	if err != nil || t.Nonce != u.Nonce {
		return err // another upload's, or none
	}
	if err = s.remove(ctx, "abort upload", ticketName(u.Key)); firn.KindOf(err) == firn.Denied {
		return nil // who may only add ends uploads all the same; the ticket is no more than a note
	}
	return err
}

// readTicket reads the ticket of an upload; empty where there is none.
func (s *Store) readTicket(ctx context.Context, key string) (t ticket, err error) {
	got, err := s.get(ctx, "list uploads", ticketName(key))
	if firn.KindOf(err) == firn.NotFound {
		return ticket{}, nil
	}
	if err != nil {
		return ticket{}, err
	}
	if decodeJSON(got.data, &t) != nil || t.Key != key {
		return ticket{}, nil
	}
	return t, nil
}

// Uploads lists the open uploads: those that firn has opened, since nothing is
// known of others.
func (s *Store) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return func(yield func(firn.Upload, error) bool) {
		if _, err := s.exists(ctx); err != nil {
			yield(firn.Upload{}, err)
			return
		}
		for o, err := range s.listUploads(ctx) {
			if err != nil {
				yield(firn.Upload{}, err)
				return
			}
			t, err := s.readTicket(ctx, o.key)
			if err != nil {
				yield(firn.Upload{}, err)
				return
			}
			if t.Key == "" || t.PartSize < MinPart {
				continue
			}
			u := firn.Upload{
				ID:          firn.UploadID(uploadID{t.Key, o.upload, t.PartSize, t.Nonce}.String()),
				Description: t.Description, PartSize: t.PartSize, Created: aws.ToTime(o.listed.Initiated),
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

// uploads lists the ids of all open uploads below the prefix, also of others.
func (s *Store) uploads(ctx context.Context) iter.Seq2[uploadID, error] {
	return func(yield func(uploadID, error) bool) {
		for o, err := range s.listUploads(ctx) {
			t, failed := ticket{}, err
			if err == nil {
				t, failed = s.readTicket(ctx, o.key)
			}
			if !yield(uploadID{o.key, o.upload, MinPart, t.Nonce}, failed) || failed != nil {
				return
			}
		}
	}
}

// A listedUpload is an open upload as S3 lists it.
type listedUpload struct {
	key, upload string
	listed      types.MultipartUpload
}

func (s *Store) listUploads(ctx context.Context) iter.Seq2[listedUpload, error] {
	return func(yield func(listedUpload, error) bool) {
		in := &sdk.ListMultipartUploadsInput{Bucket: s.bucket(), Prefix: &s.base, EncodingType: types.EncodingTypeUrl}
		for {
			x := s.begin(ctx, "list uploads", "of "+s.cfg.Label)
			out, err := s.client.ListMultipartUploads(x.Ctx, in)
			if err := x.End(err); err != nil {
				yield(listedUpload{}, err)
				return
			}
			for _, o := range out.Uploads {
				key, ok := s.below(aws.ToString(o.Key), out.EncodingType)
				if ok && isArchive(key) && !yield(listedUpload{key, aws.ToString(o.UploadId), o}, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextKeyMarker) == "" {
				return
			}
			if s.sameMarkers(in, out) {
				yield(listedUpload{}, s.fail("list uploads", firn.Other, errText("the server gave the same page twice")))
				return
			}
			next, _ := s.below(aws.ToString(out.NextKeyMarker), out.EncodingType)
			in.KeyMarker, in.UploadIdMarker = s.full(next), out.NextUploadIdMarker
		}
	}
}

func (s *Store) sameMarkers(in *sdk.ListMultipartUploadsInput, out *sdk.ListMultipartUploadsOutput) bool {
	next, _ := s.below(aws.ToString(out.NextKeyMarker), out.EncodingType)
	return aws.ToString(in.KeyMarker) == *s.full(next) && aws.ToString(in.UploadIdMarker) == aws.ToString(out.NextUploadIdMarker)
}

// Parts lists the parts of an upload, without tree hashes.
func (s *Store) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return func(yield func(firn.Part, error) bool) {
		u, err := s.upload(ctx, "list parts", id)
		if err != nil {
			yield(firn.Part{}, err)
			return
		}
		for p, err := range s.parts(ctx, "list parts", u, nil) {
			if err != nil {
				yield(firn.Part{}, err)
				return
			}
			if !yield(firn.Part{Offset: u.offset(p), Size: aws.ToInt64(p.Size)}, nil) {
				return
			}
		}
	}
}

// parts lists the parts of an upload; class, unless nil, is set to that of the upload.
func (s *Store) parts(ctx context.Context, op string, u uploadID, class *types.StorageClass) iter.Seq2[types.Part, error] {
	return func(yield func(types.Part, error) bool) {
		in := &sdk.ListPartsInput{Bucket: s.bucket(), Key: s.full(u.Key), UploadId: &u.Upload}
		for {
			x := s.begin(ctx, op, "of an upload to "+s.cfg.Label)
			out, err := s.client.ListParts(x.Ctx, in)
			if err := x.End(err); err != nil {
				yield(types.Part{}, err)
				return
			}
			if class != nil {
				*class = out.StorageClass
			}
			slices.SortFunc(out.Parts, func(a, b types.Part) int { return cmp.Compare(aws.ToInt32(a.PartNumber), aws.ToInt32(b.PartNumber)) })
			for _, p := range out.Parts {
				if !yield(p, nil) {
					return
				}
			}
			next := aws.ToString(out.NextPartNumberMarker)
			if !aws.ToBool(out.IsTruncated) || next == "" {
				return
			}
			if next == aws.ToString(in.PartNumberMarker) {
				yield(types.Part{}, s.fail(op, firn.Other, errText("the server gave the same page twice")))
				return
			}
			in.PartNumberMarker = &next
		}
	}
}
