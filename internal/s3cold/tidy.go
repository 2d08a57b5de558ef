package s3cold

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"

	"github.com/firn-archive/firn"
)

var _ firn.Tidier = (*Store)(nil)

// Tidy removes the tickets of uploads that are over. A kill leaves one before its
// upload is opened, or once that is complete; so does whoever ends uploads past firn,
// as a rule of the bucket. Without any it is a single request.
//
// Tickets are listed before uploads are: one that is written meanwhile isn't looked at,
// and what is opened meanwhile is known.
func (s *Store) Tidy(ctx context.Context, age time.Duration, dryRun bool) (removed int, err error) {
	if _, err := s.exists(ctx); err != nil {
		return 0, err
	}
	tickets, now, err := s.tickets(ctx)
	if err != nil || len(tickets) == 0 {
		return 0, err
	}
	open := map[string]bool{}
	for u, err := range s.listUploads(ctx) {
		if err != nil {
			return 0, err
		}
		open[ticketName(u.key)] = true
	}
	for _, t := range tickets {
		if open[t.key] {
			continue
		}
		over, err := s.isOver(ctx, t, now, age)
		if err != nil {
			return removed, err
		}
		if !over {
			continue
		}
		if !dryRun {
			if err := s.remove(ctx, "tidy", t.key); err != nil {
				return removed, err
			}
		}
		removed++
	}
	return removed, nil
}

// tickets lists what lies in uploadsFolder, a thousand at the most, and gives the time
// by the server's clock.
func (s *Store) tickets(ctx context.Context) (all []found, now time.Time, err error) {
	x := s.begin(ctx, "tidy", s.cfg.Label)
	page, err := s.client.ListObjectsV2(x.Ctx, listInput(s, uploadsFolder, perPage))
	if err := x.End(err); err != nil {
		return nil, now, err
	}
	now, _ = awsmiddleware.GetServerTime(page.ResultMetadata)
	for _, o := range page.Contents {
		if key, ok := s.keyOf(page, o); ok {
			all = append(all, found{key: key, created: aws.ToTime(o.LastModified)})
		}
	}
	return all, now, nil
}

// isOver reports whether the ticket of an upload that isn't open is of no use any
// more: its archive is there, or it is so old that nobody is about to open it.
func (s *Store) isOver(ctx context.Context, of found, now time.Time, age time.Duration) (bool, error) {
	if !now.IsZero() && now.Sub(of.created) >= age {
		return true, nil
	}
	got, err := s.get(ctx, "tidy", of.key)
	if firn.KindOf(err) == firn.NotFound {
		return false, nil // it went meanwhile
	}
	if err != nil {
		return false, err
	}
	var t ticket
	if decodeJSON(got.data, &t) != nil || t.Key == "" || t.Nonce == "" {
		return false, nil // it is for its age to tell
	}
	head, err := s.head(ctx, "tidy", t.Key)
	if firn.KindOf(err) == firn.NotFound {
		return false, nil
	}
	return err == nil && head.Metadata[metaUpload] == t.Nonce, err
}
