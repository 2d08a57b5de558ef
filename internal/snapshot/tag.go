package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// The tags of a store by which it is known again, and its newest snapshots are
// found at once, without an inventory. Behind newestTag and fullTag is the id of
// a catalog.
const (
	storeTag  = "firn-store"
	newestTag = "firn-catalog-"
	fullTag   = "firn-full-" // that the newest one adds to, or the newest itself
)

// tagSeparator stands between number and archive: tags of vaults have letters,
// digits, spaces and _ . / = + - @, and up to 255 of them.
// (https://docs.aws.amazon.com/amazonglacier/latest/dev/tagging.html)
const tagSeparator = "/"

// A ref is what a tag says of a snapshot.
type ref struct {
	seq     int64
	archive firn.ArchiveID
}

// String is the tag's value.
func (r ref) String() string {
	return strconv.FormatInt(r.seq, 10) + tagSeparator + string(r.archive)
}

// ParseTag reads the value of a tag that names a snapshot: its number, and the
// archive that holds it. Errors: Invalid.
func ParseTag(value string) (seq int64, archive firn.ArchiveID, err error) {
	number, id, _ := strings.Cut(value, tagSeparator)
	seq, err = strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 || id == "" {
		return 0, "", &firn.Error{Op: "read tag", Subject: strconv.Quote(value), Kind: firn.Invalid, Err: errors.New("it is not the number of a snapshot and the id of its archive")}
	}
	return seq, firn.ArchiveID(id), nil
}

// Candidates takes the snapshots out of a store's tags: of each catalog the
// newest one, and the full one that it adds to. Tags that can't be read count
// for nothing.
func Candidates(tags map[string]string) (found []Candidate) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		id, ok := strings.CutPrefix(key, newestTag)
		if !ok {
			continue
		}
		token, err := firn.ParseToken(id)
		if err != nil {
			continue
		}
		seq, archive, err := ParseTag(tags[key])
		if err != nil {
			continue
		}
		c := Candidate{Catalog: token, Seq: seq, Archive: archive}
		base, full, err := ParseTag(tags[fullTag+id])
		if err == nil && base < seq {
			c.Base = base
			found = append(found, Candidate{Catalog: token, Seq: base, Archive: full})
		}
		found = append(found, c)
	}
	return found
}

// StoreMark is what the tag firn-store says of a store. It stands for the
// moment in which the store was made, which is another one for a store that was
// made anew under its name, and the same whichever way the store is reached.
func StoreMark(info firn.StoreInfo) string {
	sum := sha256.Sum256([]byte(info.Created.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:8])
}

// Check compares the store's tags with what this machine knows, before anything
// is written to the store: whether it is the store that they were set for, and
// whether the catalog knows all of its own snapshots. A tag that should say more
// than it does is set. Where tags can't be read at all, as by who may not,
// nothing is checked.
//
// Errors: Conflict, and those of a store that can't be reached.
func (m *Maker) Check(ctx context.Context) error {
	tags, err := m.Store.Tags(ctx)
	switch kind := firn.KindOf(err); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case kind.Temporary() || kind == firn.Lost:
		return err
	case err != nil:
		return nil
	}
	if mark, ok := tags[storeTag]; ok && mark != StoreMark(m.Info) {
		return &firn.Error{Op: "check", Subject: m.Row.URL, Kind: firn.Conflict, Err: fmt.Errorf("its tag %s says that it is another store: %q, not %q", storeTag, mark, StoreMark(m.Info)),
			Hint: "were the tags copied from another one? Then remove this tag"}
	}
	known, err := m.own(ctx)
	if err != nil {
		return err
	}
	if err := m.checkNewest(tags, known); err != nil {
		return err
	}
	if newest := newestStored(known); newest != nil && tags[newestTag+m.token.String()] != refTo(newest).String() {
		return ignoreTagError(ctx, m.setTags(ctx, known))
	}
	return nil
}

// checkNewest refuses to go on with a catalog that doesn't know of a snapshot
// which it has made.
func (m *Maker) checkNewest(tags map[string]string, known []catalog.Snapshot) error {
	seq, archive, err := ParseTag(tags[newestTag+m.token.String()])
	if err != nil {
		return nil // there is none, or somebody else wrote it
	}
	newest := int64(0)
	for _, s := range known {
		newest = max(newest, s.Seq)
		if s.Seq == seq && s.Remote == archive {
			return nil
		}
	}
	what := fmt.Errorf("the store has snapshot %d of this catalog, which knows %d at most: it is older than the store, as if put back from a backup", seq, newest)
	if seq <= newest {
		what = fmt.Errorf("snapshot %d of this catalog, as the store has it, was not made from here: there is a copy of this catalog somewhere, and both are in use", seq)
	}
	return &firn.Error{Op: "check", Subject: m.Row.URL, Kind: firn.Conflict, Err: what, Hint: "bring it up to date with: firn recover " + m.Row.URL}
}

func refTo(s *catalog.Snapshot) ref { return ref{s.Seq, s.Remote} }

// setTags makes the tags name the newest snapshot of those that are known, and
// the full one that it adds to.
func (m *Maker) setTags(ctx context.Context, known []catalog.Snapshot) error {
	newest := newestStored(known)
	if newest == nil {
		return nil
	}
	full := newest
	if newest.Base != 0 {
		full = bySeq(known, newest.Base)
	}
	if full == nil {
		return nil // it is gone: the tags stay at what could be read
	}
	id := m.token.String()
	return m.Store.SetTags(ctx, map[string]string{
		newestTag + id: refTo(newest).String(), fullTag + id: refTo(full).String(), storeTag: StoreMark(m.Info),
	})
}

// ignoreTagError passes over what kept tags from being set, but for the end of
// the context: they are a hint.
func ignoreTagError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// IsMarked reports whether a store's tags say that firn has filled it.
func IsMarked(tags map[string]string) bool {
	for key := range tags {
		if key == storeTag || strings.HasPrefix(key, newestTag) {
			return true
		}
	}
	return false
}

// IsTag reports whether a tag of a store, by its key, is one of firn's own.
func IsTag(key string) bool {
	return key == storeTag || key == MovedTag || strings.HasPrefix(key, newestTag) || strings.HasPrefix(key, fullTag)
}
