package glacier

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path"
	"strconv"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
	"github.com/firn-archive/firn/treehash"
)

// payloadHashStep is the step of the SDK that would read and hash the whole
// body. It does nothing where the hash is known by then.
const payloadHashStep = "ComputePayloadHash"

// preset gives the SDK the plain SHA-256 of a body. Together with Checksum in
// the operation's input, which the SDK takes for a sign that both headers are
// set, it keeps the SDK from reading the body before it is sent. Where an
// update of the SDK renames the step, every upload fails, and a test does.
func preset(sums treehash.Sums) func(*sdk.Options) {
	linear := hex.EncodeToString(sums.Linear[:])
	set := middleware.FinalizeMiddlewareFunc("firn:PresetPayloadHash",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			req, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("a request of type %T", in.Request)
			}
			req.Header.Set("X-Amz-Content-Sha256", linear)
			return next.HandleFinalize(v4.SetPayloadHash(ctx, linear), in)
		})
	return sdk.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(set, payloadHashStep, middleware.Before)
	})
}

// treeHashStep is the step of the SDK that gives every request with a body the tree
// hash of that, and takes a MiB of memory for it.
const treeHashStep = "Glacier:TreeHash"

// withoutTreeHash is for requests whose body is no archive: the service wants the
// hash of parts and archives alone. Source: API reference, "Initiate Job".
func withoutTreeHash(o *sdk.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		_, err := stack.Finalize.Remove(treeHashStep)
		return err
	})
}

// fresh gives the SDK a view of body that begins at its start and has a
// position of its own, so that the caller may send the same body again.
func fresh(body *io.SectionReader) io.ReadSeeker {
	return io.NewSectionReader(body, 0, body.Size())
}

// UploadArchive stores body as one archive in a single request.
func (v *Vault) UploadArchive(ctx context.Context, description string, body *io.SectionReader, sums treehash.Sums) (firn.ArchiveID, error) {
	x := v.begin(ctx, "upload", "to "+v.label)
	if err := checkDescription(description); err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	if size := body.Size(); size < 1 || size > MaxSingle {
		return "", x.Fail(firn.Invalid, fmt.Errorf("an archive of %d bytes: a single request carries 1 to %d", size, int64(MaxSingle)), "")
	}
	answer, err := v.direct.Do(x, v.storing(description, body, sums))
	if err := x.End(err); err != nil {
		return "", err
	}
	id, err := madeBy(x, answer, "X-Amz-Archive-Id")
	return firn.ArchiveID(id), err
}

// madeBy is made of the answer to a request that didn't go through the SDK.
func madeBy(x *exchange.Exchange, answer *http.Response, name string) (string, error) {
	id, location := answer.Header.Get(name), answer.Header.Get("Location")
	return made(x, &id, &location)
}

// made gives the id of what a request has made: the header that says it, or
// the end of its location. An answer without either leaves it unknown.
func made(x *exchange.Exchange, id, location *string) (string, error) {
	if text(id) != "" {
		return *id, nil
	}
	if base := path.Base(text(location)); base != "." && base != "/" {
		return base, nil
	}
	return "", x.Fail(firn.Lost, errText("the answer does not say the id"), "")
}

// StartUpload opens a multipart upload.
func (v *Vault) StartUpload(ctx context.Context, description string, partSize int64) (firn.UploadID, error) {
	x := v.begin(ctx, "start upload", "to "+v.label)
	if err := checkDescription(description); err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	size := strconv.FormatInt(partSize, 10)
	out, err := v.client.InitiateMultipartUpload(x.Ctx, &sdk.InitiateMultipartUploadInput{
		AccountId: ownAccount(), VaultName: &v.name, ArchiveDescription: &description, PartSize: &size,
	})
	if err := x.End(err); err != nil {
		return "", err
	}
	id, err := made(x, out.UploadId, out.Location)
	return firn.UploadID(id), err
}

// UploadPart stores one part.
func (v *Vault) UploadPart(ctx context.Context, id firn.UploadID, offset int64, body *io.SectionReader, sums treehash.Sums) error {
	x := v.begin(ctx, "upload part", fmt.Sprintf("at %d to %s", offset, v.label))
	if size := body.Size(); size < 1 || size > MaxPart {
		return x.Fail(firn.Invalid, fmt.Errorf("a part of %d bytes: a part has 1 to %d", size, int64(MaxPart)), "")
	}
	tree := sums.Tree.String()
	at := fmt.Sprintf("bytes %d-%d/*", offset, offset+body.Size()-1)
	_, err := v.client.UploadMultipartPart(x.Ctx, &sdk.UploadMultipartPartInput{
		AccountId: ownAccount(), VaultName: &v.name, UploadId: (*string)(&id),
		Body: fresh(body), Checksum: &tree, Range: &at,
	}, preset(sums))
	return x.End(err)
}

// CompleteUpload makes the parts into an archive. The answer may take many
// minutes for a large one.
func (v *Vault) CompleteUpload(ctx context.Context, id firn.UploadID, size int64, tree treehash.Hash) (firn.ArchiveID, error) {
	x := v.begin(ctx, "complete upload", "to "+v.label)
	x.AnswerWithin = exchange.CompleteWithin
	bytes, sum := strconv.FormatInt(size, 10), tree.String()
	out, err := v.client.CompleteMultipartUpload(x.Ctx, &sdk.CompleteMultipartUploadInput{
		AccountId: ownAccount(), VaultName: &v.name, UploadId: (*string)(&id), ArchiveSize: &bytes, Checksum: &sum,
	})
	if err := x.End(err); err != nil {
		return "", err
	}
	made, err := made(x, out.ArchiveId, out.Location)
	return firn.ArchiveID(made), err
}

// AbortUpload ends an upload.
func (v *Vault) AbortUpload(ctx context.Context, id firn.UploadID) error {
	x := v.begin(ctx, "abort upload", "to "+v.label)
	_, err := v.client.AbortMultipartUpload(x.Ctx, &sdk.AbortMultipartUploadInput{
		AccountId: ownAccount(), VaultName: &v.name, UploadId: (*string)(&id),
	})
	if missed(x) {
		return x.Forgive()
	}
	return x.End(err)
}

// Uploads lists the open uploads.
func (v *Vault) Uploads(ctx context.Context) iter.Seq2[firn.Upload, error] {
	return pages(func(marker *string) ([]firn.Upload, *string, error) {
		x := v.begin(ctx, "list uploads", "of "+v.label)
		out, err := v.client.ListMultipartUploads(x.Ctx, &sdk.ListMultipartUploadsInput{
			AccountId: ownAccount(), VaultName: &v.name, Marker: marker,
		})
		if err := x.End(err); err != nil {
			return nil, nil, err
		}
		uploads := make([]firn.Upload, len(out.UploadsList))
		for i, o := range out.UploadsList {
			created, err := moment(o.CreationDate)
			if err != nil {
				return nil, nil, x.Garbled(err)
			}
			uploads[i] = firn.Upload{
				ID:          firn.UploadID(text(o.MultipartUploadId)),
				Description: text(o.ArchiveDescription),
				Created:     created,
				PartSize:    o.PartSizeInBytes,
			}
		}
		return uploads, out.Marker, nil
	})
}

// Parts lists the parts of an upload.
func (v *Vault) Parts(ctx context.Context, id firn.UploadID) iter.Seq2[firn.Part, error] {
	return pages(func(marker *string) ([]firn.Part, *string, error) {
		x := v.begin(ctx, "list parts", "of an upload to "+v.label)
		out, err := v.client.ListParts(x.Ctx, &sdk.ListPartsInput{
			AccountId: ownAccount(), VaultName: &v.name, UploadId: (*string)(&id), Marker: marker,
		})
		if err := x.End(err); err != nil {
			return nil, nil, err
		}
		parts := make([]firn.Part, len(out.Parts))
		for i, o := range out.Parts {
			if parts[i], err = part(text(o.RangeInBytes), text(o.SHA256TreeHash)); err != nil {
				return nil, nil, x.Garbled(err)
			}
		}
		return parts, out.Marker, nil
	})
}

func part(bytes, hash string) (firn.Part, error) {
	r, err := parseRange(bytes)
	if err != nil {
		return firn.Part{}, err
	}
	tree, err := treehash.Parse(hash)
	if err != nil {
		return firn.Part{}, err
	}
	return firn.Part{Offset: r.Start, Size: r.Len(), Tree: tree}, nil
}
