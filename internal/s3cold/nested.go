package s3cold

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
)

// CheckBeside fails where the store lies in the place of another one, by the identity
// that Describe gave of that; around: or has it in its own. It asks nobody.
// Errors: Conflict.
func (s *Store) CheckBeside(identity string, around bool) error {
	bucket := s.home + " " + s.cfg.Bucket + "/"
	base, here := strings.CutPrefix(identity[:max(0, strings.LastIndexByte(identity, ' '))], bucket)
	switch {
	case !here || base == s.base || base != "" && !strings.HasSuffix(base, "/"):
		return nil
	case strings.HasPrefix(s.base, base):
		return s.nested(s.base, base)
	case around && strings.HasPrefix(base, s.base):
		return s.nested(base, s.base)
	}
	return nil
}

// labelOf is what messages call the store at a prefix of the bucket.
func (s *Store) labelOf(base string) string {
	return strings.TrimSuffix("s3:"+s.cfg.Bucket+"/"+base, "/")
}

// nested is why a store has no place here.
func (s *Store) nested(inner, outer string) error {
	return &firn.Error{Op: "use", Subject: s.cfg.Label, Kind: firn.Conflict,
		Err:  fmt.Errorf("%s would lie in %s, and be taken for archives of it", s.labelOf(inner), s.labelOf(outer)),
		Hint: "use a prefix beside the other store"}
}

// CheckAlone fails where the store lies in another one: one request for each folder
// above it. What the credentials may not see there isn't noticed.
// Errors: Conflict.
func (s *Store) CheckAlone(ctx context.Context) error {
	for base := s.base; base != ""; {
		base = strings.TrimPrefix(path.Dir(strings.TrimSuffix(base, "/"))+"/", "./")
		is, err := s.isStore(ctx, base)
		if err != nil {
			return err
		}
		if is {
			return s.nested(s.base, base)
		}
	}
	return nil
}

// isStore reports whether something at a prefix of the bucket says that it is a store.
func (s *Store) isStore(ctx context.Context, base string) (bool, error) {
	key := base + storeName
	x := s.begin(ctx, "look for another store", key)
	_, err := s.client.HeadObject(x.Ctx, &sdk.HeadObjectInput{Bucket: s.bucket(), Key: &key})
	err = x.End(err)
	switch firn.KindOf(err) {
	case firn.NotFound, firn.Denied:
		return false, nil
	}
	return err == nil, err
}

// foldersAsked is how many of the folders at its place a new store asks about.
const foldersAsked = 100

// checkBelow fails where a store lies in the place of this one, as far as that shows in
// the first page of its keys, and in the first folders of it. To know it surely all keys
// would have to be listed.
// Errors: Conflict.
func (s *Store) checkBelow(ctx context.Context) error {
	in := listInput(s, "", perPage)
	x := s.begin(ctx, "look for another store", s.cfg.Label)
	out, err := s.client.ListObjectsV2(x.Ctx, in)
	if err := x.End(err); err != nil {
		return err
	}
	for _, o := range out.Contents {
		if key, ok := s.keyOf(out, o); ok && strings.HasSuffix(key, "/"+storeName) {
			return s.nested(s.base+strings.TrimSuffix(key, storeName), s.base)
		}
	}
	if !aws.ToBool(out.IsTruncated) {
		return nil
	}
	in = listInput(s, "", foldersAsked)
	in.Delimiter = aws.String("/")
	x = s.begin(ctx, "look for another store", s.cfg.Label)
	out, err = s.client.ListObjectsV2(x.Ctx, in)
	if err := x.End(err); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(headsAtOnce)
	for _, folder := range out.CommonPrefixes {
		name, ok := s.below(aws.ToString(folder.Prefix), out.EncodingType)
		if !ok || name == ownFolder {
			continue
		}
		group.Go(func() error {
			is, err := s.isStore(inner, s.base+name)
			if is {
				err = s.nested(s.base+name, s.base)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}
