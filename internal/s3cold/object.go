package s3cold

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// maxOwn bounds what firn reads of its own objects, in bytes.
const maxOwn = 1 << 20

// full is a key with its prefix, as the SDK wants it.
func (s *Store) full(key string) *string {
	f := s.base + key
	return &f
}

// A got is a small object that was read.
type got struct {
	data    []byte
	etag    string
	version string    // "" where the bucket keeps none
	now     time.Time // by the server's clock
}

// get reads a small object of firn's own.
func (s *Store) get(ctx context.Context, op, key string) (got, error) {
	x := s.begin(ctx, op, s.cfg.Label)
	x.Streams = true
	out, err := s.client.GetObject(x.Ctx, &sdk.GetObjectInput{Bucket: s.bucket(), Key: s.full(key)})
	if err != nil {
		return got{}, x.End(err)
	}
	body := x.Download(out.Body, -1)
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxOwn))
	if err != nil {
		return got{}, err
	}
	now, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
	return got{data, aws.ToString(out.ETag), aws.ToString(out.VersionId), now.UTC()}, nil
}

// A condition says when an object may be written.
type condition struct {
	absent bool   // only where there is none
	etag   string // only in place of this one; "": of any
}

// put writes a small object of firn's own, which can be read at any time.
// Errors: Conflict (the condition doesn't hold).
func (s *Store) put(ctx context.Context, op, key string, data []byte, when condition) error {
	_, err := s.putVersion(ctx, op, key, data, when)
	return err
}

// putVersion is put, and gives the version that it made; "" where the bucket keeps
// none.
func (s *Store) putVersion(ctx context.Context, op, key string, data []byte, when condition) (version string, err error) {
	double := treehash.NewDouble()
	double.Write(data)
	x := s.begin(ctx, op, s.cfg.Label)
	answer, err := s.send(x, object{
		key: key, body: io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), sums: double.Sums(),
		contentType: "application/json", when: when,
	})
	if err := x.End(err); err != nil {
		return "", err
	}
	return answer.Get("X-Amz-Version-Id"), nil
}

// remove deletes an object; one that is gone is no error. Where the bucket keeps
// versions, it deletes the one that is there.
func (s *Store) remove(ctx context.Context, op, key string) error {
	id, err := s.exists(ctx)
	if err != nil {
		return err
	}
	in := &sdk.DeleteObjectInput{Bucket: s.bucket(), Key: s.full(key)}
	if id.versioned {
		head, err := s.head(ctx, op, key)
		if firn.KindOf(err) == firn.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		in.VersionId = head.VersionId
	}
	x := s.begin(ctx, op, s.subject(key))
	_, err = s.client.DeleteObject(x.Ctx, in)
	if kind := x.Refusal(); kind != nil && kind.Kind == firn.NotFound && kind.Code != codeNoBucket {
		return x.Forgive()
	}
	return x.End(err)
}

// head asks what an object is.
func (s *Store) head(ctx context.Context, op, key string) (*sdk.HeadObjectOutput, error) {
	x := s.begin(ctx, op, s.subject(key))
	out, err := s.client.HeadObject(x.Ctx, &sdk.HeadObjectInput{Bucket: s.bucket(), Key: s.full(key)})
	return out, x.End(err)
}

// subject is how messages call an object.
func (s *Store) subject(key string) string { return key + " of " + s.cfg.Label }

// isConditional tells whether the server knows If-None-Match. It tries that once,
// on the one object that is surely there, with what it holds already.
func (s *Store) isConditional(ctx context.Context) (bool, error) {
	if known := s.knownConditional(); known != nil {
		return *known, nil
	}
	select { // of a hundred uploads that begin at once one asks
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if known := s.knownConditional(); known != nil {
		return *known, nil
	}
	old, err := s.get(ctx, "open", storeName)
	if err != nil {
		return false, err
	}
	err = s.put(ctx, "open", storeName, old.data, condition{absent: true})
	yes := firn.KindOf(err) == firn.Conflict
	if err != nil && !yes && firn.KindOf(err) != firn.Invalid {
		return false, err
	}
	s.mu.Lock()
	s.conditional = &yes
	s.mu.Unlock()
	return yes, nil
}

func (s *Store) knownConditional() *bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conditional
}

// perPage is how many objects a page of a listing has at most. Source: Amazon S3
// API reference, "ListObjectsV2".
const perPage = 1000

func listInput(s *Store, below string, most int32) *sdk.ListObjectsV2Input {
	return &sdk.ListObjectsV2Input{
		Bucket: s.bucket(), Prefix: s.full(below), MaxKeys: &most, EncodingType: types.EncodingTypeUrl,
		OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus},
	}
}

// objects lists what lies below the prefix and behind a key of it, page by page,
// in the order of the keys. It ends with the first error.
func (s *Store) objects(ctx context.Context, op, after string) iter.Seq2[*sdk.ListObjectsV2Output, error] {
	return func(yield func(*sdk.ListObjectsV2Output, error) bool) {
		in := listInput(s, "", perPage)
		if after != "" {
			in.StartAfter = s.full(after)
		}
		for {
			x := s.begin(ctx, op, s.cfg.Label)
			out, err := s.client.ListObjectsV2(x.Ctx, in)
			if err := x.End(err); err != nil {
				yield(nil, err)
				return
			}
			if !yield(out, nil) || !aws.ToBool(out.IsTruncated) {
				return
			}
			next := aws.ToString(out.NextContinuationToken)
			if next == "" || next == aws.ToString(in.ContinuationToken) {
				yield(nil, s.fail(op, firn.Other, errText("the server gave the same page twice")))
				return
			}
			in.ContinuationToken, in.StartAfter = &next, nil
		}
	}
}

// keyOf is the key of a listed object, below the prefix.
func (s *Store) keyOf(page *sdk.ListObjectsV2Output, o types.Object) (string, bool) {
	return s.below(aws.ToString(o.Key), page.EncodingType)
}

// below undoes what a listing does to a key.
func (s *Store) below(key string, encoding types.EncodingType) (string, bool) {
	if encoding == types.EncodingTypeUrl {
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return "", false
		}
		key = decoded
	}
	return strings.CutPrefix(key, s.base)
}
