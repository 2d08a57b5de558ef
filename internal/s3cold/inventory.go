package s3cold

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A listing is what the id of an inventory says, as JSON in base64url: all that is
// known of it, since S3 keeps nothing of the kind.
type listing struct {
	Made        time.Time `json:"t"`
	Description string    `json:"d,omitempty"`
	After       time.Time `json:"a,omitzero"`
	Before      time.Time `json:"b,omitzero"`
	Limit       int64     `json:"l,omitempty"`
	Marker      string    `json:"m,omitempty"`
}

func (l listing) id() firn.JobID {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err) // times, strings and a number
	}
	return firn.JobID(listJob + base64.RawURLEncoding.EncodeToString(b))
}

func parseListing(id firn.JobID) (l listing, ok bool) {
	text, ok := strings.CutPrefix(string(id), listJob)
	b, err := base64.RawURLEncoding.DecodeString(text)
	return l, ok && err == nil && json.Unmarshal(b, &l) == nil
}

// behind begins the markers that tell where a list goes on.
const behind = "behind:"

// after is the key that a listing begins behind.
func (l listing) after() string {
	key, _ := keyOfID(firn.ArchiveID(strings.TrimPrefix(l.Marker, behind)))
	return key
}

// StartInventory asks for a list of all archives, or of some. The list is made
// when it is read.
func (s *Store) StartInventory(ctx context.Context, spec firn.InventorySpec) (firn.JobID, error) {
	const op = "start inventory"
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	switch spec.Format {
	case "", firn.InventoryJSON:
	case firn.InventoryCSV:
		return "", s.fail(op, firn.Invalid, errText("S3 writes no inventories in CSV"))
	default:
		return "", s.fail(op, firn.Invalid, fmt.Errorf("no format %q", spec.Format))
	}
	if err := checkDescription(spec.Description); err != nil {
		return "", s.fail(op, firn.Invalid, err)
	}
	only := spec.Listing
	l := listing{
		Description: spec.Description, Limit: only.Limit, Marker: only.Marker,
		After: only.After.UTC().Truncate(time.Second), Before: only.Before.UTC().Truncate(time.Second),
	}
	if only.Limit < 0 {
		return "", s.fail(op, firn.Invalid, fmt.Errorf("a limit of %d archives", only.Limit))
	}
	if only.Marker != "" && (!strings.HasPrefix(only.Marker, behind) || l.after() == "") {
		return "", s.fail(op, firn.Invalid, fmt.Errorf("%.80q is no marker of this store", only.Marker))
	}
	_, now, err := s.identify(ctx)
	l.Made = now
	return l.id(), beforehand(err)
}

// listingJob describes an inventory job.
func (s *Store) listingJob(ctx context.Context, l listing) (firn.Job, error) {
	only := firn.Listing{After: l.After, Before: l.Before, Limit: l.Limit, Marker: l.Marker}
	j := firn.Job{
		ID: l.id(), Kind: firn.InventoryJob, State: firn.JobReady, Description: l.Description, Created: l.Made, Completed: l.Made,
		Format: firn.InventoryJSON, Partial: only != firn.Listing{}, Listing: only,
	}
	j.Listing.Marker = ""
	if l.Limit == 0 {
		return j, nil
	}
	// Where it ends shows in the list itself, without asking for any object.
	n, last := int64(0), ""
	more := errors.New("more")
	_, err := s.list(ctx, l, func(_ *sdk.ListObjectsV2Output, found []found) error {
		for _, f := range found {
			if n++; n > l.Limit {
				return more
			}
			last = f.key
		}
		return nil
	})
	if errors.Is(err, more) {
		j.Listing.Marker, err = behind+string(idOf(last)), nil
	}
	return j, err
}

// A found is an object that a list has.
type found struct {
	key     string
	size    int64
	created time.Time
	class   Class
}

// list hands the archives of a listing to each, page by page, and gives the time
// by the server's clock when it began.
func (s *Store) list(ctx context.Context, l listing, each func(*sdk.ListObjectsV2Output, []found) error) (began time.Time, err error) {
	for page, err := range s.objects(ctx, "list archives", l.after()) {
		if err != nil {
			return began, err
		}
		if began.IsZero() {
			began, _ = awsmiddleware.GetServerTime(page.ResultMetadata)
		}
		var some []found
		for _, o := range page.Contents {
			key, ok := s.keyOf(page, o)
			f := found{key, aws.ToInt64(o.Size), aws.ToTime(o.LastModified).UTC(), Class(o.StorageClass)}
			if !ok || !isArchive(key) || f.size == 0 || f.created.Before(l.After) || !l.Before.IsZero() && !f.created.Before(l.Before) {
				continue
			}
			some = append(some, f)
		}
		if err := each(page, some); err != nil {
			return began, err
		}
	}
	return began, nil
}

// headsAtOnce is how many objects are asked about at a time.
const headsAtOnce = 32

// Inventory reads the list of archives. A listing doesn't tell an object's
// metadata, so that each is asked about.
func (s *Store) Inventory(ctx context.Context, id firn.JobID, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	return s.InventoryBut(ctx, id, nil, each)
}

// InventoryBut is Inventory, and asks about those objects alone that recall doesn't
// know: a million that it knows are a thousand requests.
func (s *Store) InventoryBut(ctx context.Context, id firn.JobID, recall firn.Recall, each func(firn.Archive) error) (firn.InventoryInfo, error) {
	const op = "read inventory"
	info := firn.InventoryInfo{Subject: s.address()}
	if _, err := s.exists(ctx); err != nil {
		return info, err
	}
	l, ok := parseListing(id)
	if !ok {
		if _, thawed := parseThaw(id); thawed {
			return info, s.fail(op, firn.Corrupt, errText("the job brings an archive, no inventory"))
		}
		return info, s.fail(op, firn.NotFound, fmt.Errorf("no job %.80q", id))
	}
	enough := errors.New("enough")
	began, err := s.list(ctx, l, func(_ *sdk.ListObjectsV2Output, some []found) error {
		if l.Limit > 0 {
			some = some[:min(int64(len(some)), l.Limit-info.Archives)]
		}
		archives, err := s.learn(ctx, some, recall)
		if err != nil {
			return err
		}
		for _, a := range archives {
			if err := each(a); err != nil {
				return err
			}
			info.Archives++
		}
		if l.Limit > 0 && info.Archives >= l.Limit {
			return enough
		}
		return nil
	})
	info.Date = began.UTC().Truncate(time.Second)
	if errors.Is(err, enough) {
		err = nil
	}
	return info, err
}

// learn gives the archives of objects, in their order: those that recall knows as it
// completes them, and of the others what they say of themselves. Those that went
// meanwhile are left out.
func (s *Store) learn(ctx context.Context, some []found, recall firn.Recall) ([]firn.Archive, error) {
	archives := make([]firn.Archive, len(some))
	for i, f := range some {
		archives[i] = firn.Archive{ID: idOf(f.key), Size: f.size, Created: f.created.Truncate(time.Second), Receipt: firn.Receipt{Class: string(f.class)}}
	}
	known := make([]bool, len(some))
	if recall != nil && len(some) > 0 {
		var err error
		if known, err = recall(ctx, archives); err != nil {
			return nil, err
		}
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(headsAtOnce)
	for i, f := range some {
		if known[i] {
			continue
		}
		group.Go(func() error {
			head, err := s.head(inner, "list archives", f.key)
			if firn.KindOf(err) == firn.NotFound {
				archives[i] = firn.Archive{}
				return nil
			}
			if err == nil {
				archives[i], err = s.archiveOf(inner, f.key, head)
				archives[i].Class = string(f.class)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return slices.DeleteFunc(archives, func(a firn.Archive) bool { return a.ID == "" }), nil
}

// archiveOf is what an object says of itself. One that firn didn't write has its
// key for a description, and no tree hash.
func (s *Store) archiveOf(ctx context.Context, key string, head *sdk.HeadObjectOutput) (a firn.Archive, err error) {
	a = firn.Archive{ID: idOf(key), Size: aws.ToInt64(head.ContentLength), Created: aws.ToTime(head.LastModified).UTC()}
	description, ours := descriptionOf(head.Metadata)
	if !ours {
		description = describeKey(key)
	}
	a.Description = description
	if tree, err := treehash.Parse(head.Metadata[metaTree]); err == nil {
		a.Tree = tree
	} else if nonce := head.Metadata[metaUpload]; nonce != "" {
		a.Tree, err = s.hashOf(ctx, key, nonce, a.Size)
		return a, err
	}
	return a, nil
}
