package s3cold

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/firn-archive/firn"
)

// The limits of tags are those of vaults, so that every store takes the same.
// Source: Amazon Glacier API reference, "Add Tags To Vault".
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 255
)

// tagTries is how often tags are changed anew when somebody else was faster.
const tagTries = 10

// Tags gives the store's tags. They lie in an object, since those of a bucket are
// its owner's.
func (s *Store) Tags(ctx context.Context) (map[string]string, error) {
	if _, err := s.exists(ctx); err != nil {
		return nil, err
	}
	tags, _, err := s.readTags(ctx)
	return tags, err
}

// readTags reads the tags, and gives the object that holds them; an empty one where
// there is none yet.
func (s *Store) readTags(ctx context.Context) (tags map[string]string, from got, err error) {
	from, err = s.get(ctx, "read tags of", tagsName)
	if firn.KindOf(err) == firn.NotFound {
		return map[string]string{}, got{}, nil
	}
	if err != nil {
		return nil, got{}, err
	}
	if err := decodeJSON(from.data, &tags); err != nil {
		return nil, got{}, s.fail("read tags of", firn.Corrupt, fmt.Errorf("%s: %w", s.base+tagsName, err))
	}
	if tags == nil {
		tags = map[string]string{}
	}
	return tags, from, nil
}

// SetTags adds tags, all of them or none.
func (s *Store) SetTags(ctx context.Context, tags map[string]string) error {
	return s.changeTags(ctx, func(all map[string]string) error {
		for key, value := range tags {
			if key == "" || len(key) > maxTagKey || len(value) > maxTagValue || strings.HasPrefix(key, "aws:") {
				return s.fail("tag", firn.Invalid, fmt.Errorf("the tag %q=%q: a key has 1 to %d characters and doesn't begin with aws:, a value has at most %d", key, value, maxTagKey, maxTagValue))
			}
		}
		maps.Copy(all, tags)
		if len(all) > maxTags {
			return s.fail("tag", firn.Invalid, fmt.Errorf("%d tags: at most %d", len(all), maxTags))
		}
		return nil
	})
}

// RemoveTags removes tags.
func (s *Store) RemoveTags(ctx context.Context, keys ...string) error {
	return s.changeTags(ctx, func(all map[string]string) error {
		for _, key := range keys {
			delete(all, key)
		}
		return nil
	})
}

// changeTags changes the tags as they are now: where somebody else has changed
// them meanwhile it begins again.
func (s *Store) changeTags(ctx context.Context, change func(map[string]string) error) error {
	if _, err := s.exists(ctx); err != nil {
		return err
	}
	conditional, err := s.isConditional(ctx)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		tags, from, err := s.readTags(ctx)
		if err != nil {
			return err
		}
		before := maps.Clone(tags)
		if err := change(tags); err != nil {
			return err
		}
		if maps.Equal(before, tags) {
			return nil
		}
		data, err := json.Marshal(tags)
		if err != nil {
			return err
		}
		when := condition{}
		if conditional {
			when = condition{absent: from.etag == "", etag: from.etag}
		}
		version, err := s.putVersion(ctx, "tag", tagsName, data, when)
		if err == nil {
			s.removeReplaced(ctx, tagsName, from.version, version)
			return nil
		}
		if firn.KindOf(err) != firn.Conflict || try == tagTries {
			return err
		}
	}
}
