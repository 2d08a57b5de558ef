package s3cold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

// formatVersion is that of store.json.
const formatVersion = 1

// errNoStore says that nothing at the prefix says that it is a store.
var errNoStore = errors.New("there is no store at this place of the bucket")

// identify reads which store this is, and what time it is there.
func (s *Store) identify(ctx context.Context) (identity, time.Time, error) {
	got, err := s.get(ctx, "open", storeName)
	if err != nil {
		s.forget()
		var refused *firn.Error
		if errors.As(err, &refused) && refused.Kind == firn.NotFound && refused.Hint == "" {
			refused.Err, refused.Hint = errNoStore, "is the name right? A new store is made with: firn store create "+s.cfg.Label+config.EndpointOption(s.cfg.Endpoint)
			refused.Subject = s.cfg.Label
		}
		return identity{}, time.Time{}, err
	}
	var id identity
	if err := decodeJSON(got.data, &id); err != nil || id.ID == "" || id.Created.IsZero() {
		return identity{}, time.Time{}, s.fail("open", firn.Corrupt, fmt.Errorf("%s does not say which store this is", s.base+storeName))
	}
	if id.Firn > formatVersion {
		return identity{}, time.Time{}, s.fail("open", firn.Invalid, fmt.Errorf("the store is of format %d, and this program knows %d", id.Firn, formatVersion))
	}
	if s.cold(s.cfg.Class) && id.Class != "" && !id.Class.cold() && !id.Thaw {
		return identity{}, time.Time{}, &firn.Error{Op: "open", Subject: s.cfg.Label, Kind: firn.Conflict,
			Err:  fmt.Errorf("the store was made with the class %s, whose archives can be read at any time: %s ones have no place in it", id.Class, s.cfg.Class),
			Hint: "make another store for them, with another prefix"}
	}
	id.versioned = got.version != ""
	s.mu.Lock()
	s.known = &id
	s.mu.Unlock()
	return id, got.now, nil
}

// forget forgets what is known of the store.
func (s *Store) forget() {
	s.mu.Lock()
	s.known = nil
	s.mu.Unlock()
}

// fail is an error of the store itself.
func (s *Store) fail(op string, kind firn.Kind, err error) error {
	return &firn.Error{Op: op, Subject: s.cfg.Label, Kind: kind, Err: err}
}

// address is the ARN of what the prefix covers.
func (s *Store) address() string { return "arn:aws:s3:::" + s.cfg.Bucket + "/" + s.base }

// Describe says what the store is. How much it holds isn't known without listing
// it.
func (s *Store) Describe(ctx context.Context) (firn.StoreInfo, error) {
	id, now, err := s.identify(ctx)
	if err != nil {
		return firn.StoreInfo{}, err
	}
	return firn.StoreInfo{
		Name:     strings.TrimSuffix(s.cfg.Bucket+"/"+s.cfg.Prefix, "/"),
		Identity: s.home + " " + s.cfg.Bucket + "/" + s.base + " " + id.ID,
		Address:  s.address(),
		Region:   s.region,
		Created:  id.Created,
		Now:      now,
	}, nil
}

// Create makes the store in a bucket that is there. What else lies below the
// prefix stays, and counts as archives that somebody else made.
func (s *Store) Create(ctx context.Context) error {
	if _, _, err := s.identify(ctx); firn.KindOf(err) != firn.NotFound || !errors.Is(err, errNoStore) {
		return err
	}
	if err := s.CheckAlone(ctx); err != nil {
		return err
	}
	if err := s.checkBelow(ctx); err != nil {
		return err
	}
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(identity{Firn: formatVersion, ID: firn.NewToken().String(), Created: now, Class: s.Class(), Thaw: s.thaws && !s.Class().cold()})
	if err != nil {
		return err
	}
	err = s.put(ctx, "create", storeName, data, condition{absent: true})
	switch firn.KindOf(err) {
	case firn.Conflict:
		return nil // somebody else was faster
	case firn.Invalid:
		return s.put(ctx, "create", storeName, data, condition{}) // a server that refuses what it doesn't know
	}
	return err
}

// now asks the server for the time, of which every answer tells, a refusal too.
func (s *Store) now(ctx context.Context) (time.Time, error) {
	x := s.begin(ctx, "ask the time of", s.cfg.Label)
	out, err := s.client.ListObjectsV2(x.Ctx, listInput(s, ownFolder, 1))
	if err := x.End(err); err != nil {
		return time.Time{}, err
	}
	if now, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		return now.UTC(), nil
	}
	return time.Time{}, s.fail("ask the time of", firn.Invalid, errText("its answers carry no date"))
}

// Delete removes an empty store: what firn keeps beside the archives goes, and
// which store it was at last. The bucket stays.
func (s *Store) Delete(ctx context.Context) error {
	_, _, err := s.identify(ctx)
	if errors.Is(err, errNoStore) {
		return nil
	}
	if err != nil {
		return err
	}
	var own []string
	for page, err := range s.objects(ctx, "list", "") {
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			key, ok := s.keyOf(page, o)
			switch {
			case !ok:
			case isArchive(key) && aws.ToInt64(o.Size) > 0:
				return s.fail("delete", firn.NotEmpty, fmt.Errorf("it still holds %q; delete what is in it first, with: firn store empty %s", key, s.cfg.Label))
			case !isArchive(key) && key != storeName:
				own = append(own, key)
			}
		}
	}
	for u, err := range s.uploads(ctx) {
		if err != nil {
			return err
		}
		if u.Nonce == "" {
			continue // others' are not ours to end
		}
		if err := s.abort(ctx, u); err != nil {
			return err
		}
	}
	for _, key := range append(own, storeName) {
		if err := s.removeAll(ctx, "delete", key); err != nil {
			return err
		}
	}
	s.forget()
	return nil
}
