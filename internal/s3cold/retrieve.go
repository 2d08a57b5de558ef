package s3cold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

var tierNames = map[firn.Tier]types.Tier{
	firn.Expedited: types.TierExpedited,
	firn.Standard:  types.TierStandard,
	firn.Bulk:      types.TierBulk,
}

// How the ids of jobs begin: those of retrievals are thaw:RANGE:ARCHIVE, where no
// range means all; those of inventories list:WHAT.
const (
	thawJob = "thaw:"
	listJob = "list:"
)

// A thaw is what the id of a retrieval says.
type thaw struct {
	key string
	at  *firn.Range // nil: all
}

func (t thaw) id() firn.JobID {
	at := ""
	if t.at != nil {
		at = fmt.Sprintf("%d-%d", t.at.Start, t.at.End)
	}
	return firn.JobID(thawJob + at + ":" + string(idOf(t.key)))
}

func parseThaw(id firn.JobID) (t thaw, ok bool) {
	rest, ok := strings.CutPrefix(string(id), thawJob)
	at, archive, cut := strings.Cut(rest, ":")
	key, known := keyOfID(firn.ArchiveID(archive))
	if !ok || !cut || !known {
		return thaw{}, false
	}
	if t.key = key; at == "" {
		return t, true
	}
	from, to, _ := strings.Cut(at, "-")
	start, err1 := strconv.ParseInt(from, 10, 64)
	end, err2 := strconv.ParseInt(to, 10, 64)
	t.at = &firn.Range{Start: start, End: end}
	return t, errors.Join(err1, err2) == nil && start >= 0 && end > start
}

// StartRetrieval asks for an archive. All of it becomes readable, also where a
// range is asked for. One that is on its way or readable already stays for longer,
// and a faster tier speeds it up: that it was asked for before is no error, unless that
// is what is asked. S3 speeds up what is to stay for as many days as before, and says
// else that it is on its way already.
func (s *Store) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	const op = "start retrieval"
	if _, err := s.exists(ctx); err != nil {
		return "", beforehand(err)
	}
	tier, known := tierNames[spec.Tier]
	if !known {
		return "", s.fail(op, firn.Invalid, fmt.Errorf("no tier %q", spec.Tier))
	}
	if err := checkDescription(spec.Description); err != nil {
		return "", s.fail(op, firn.Invalid, err)
	}
	key, ok := keyOfID(spec.Archive)
	if !ok {
		return "", s.fail(op, firn.NotFound, fmt.Errorf("no archive %.80q", spec.Archive))
	}
	t := thaw{key, spec.Range}
	if t.at == nil && s.isCold() {
		return t.id(), s.restore(ctx, key, tier, spec)
	}
	head, err := s.head(ctx, op, key)
	if err != nil {
		return "", beforehand(err)
	}
	if at, size := t.at, aws.ToInt64(head.ContentLength); at != nil && !treehash.LeafAligned(size, at.Start, at.End) {
		return "", s.fail(op, firn.Invalid, fmt.Errorf("the range from %d to %d of %d bytes: it has to be of whole MiB", at.Start, at.End, size))
	}
	if !s.mustThaw(head) {
		return t.id(), nil
	}
	return t.id(), s.restore(ctx, key, tier, spec)
}

// restore asks for a copy of an object that can be read. An object that needs none
// is as good as one that has one.
func (s *Store) restore(ctx context.Context, key string, tier types.Tier, spec firn.RetrievalSpec) error {
	x := s.begin(ctx, "start retrieval", s.subject(key))
	_, err := s.client.RestoreObject(x.Ctx, &sdk.RestoreObjectInput{Bucket: s.bucket(), Key: s.full(key), RestoreRequest: &types.RestoreRequest{
		Days: aws.Int32(int32(cmp.Or(spec.Days, s.cfg.ThawDays))), GlacierJobParameters: &types.GlacierJobParameters{Tier: tier},
	}})
	switch r := x.Refusal(); {
	case r == nil:
	case r.Code == codeRestoring && !spec.Hastens, r.Code == codeState:
		return x.Forgive()
	}
	return x.End(err)
}

// mustThaw reports whether an object can be read only once it was asked for.
func (s *Store) mustThaw(head *sdk.HeadObjectOutput) bool {
	return s.cold(Class(head.StorageClass)) || head.ArchiveStatus != ""
}

// Job describes one job.
func (s *Store) Job(ctx context.Context, id firn.JobID) (firn.Job, error) {
	const op = "describe job"
	if _, err := s.exists(ctx); err != nil {
		return firn.Job{}, err
	}
	if l, ok := parseListing(id); ok {
		return s.listingJob(ctx, l)
	}
	t, ok := parseThaw(id)
	if !ok {
		return firn.Job{}, s.fail(op, firn.NotFound, fmt.Errorf("no job %.80q", id))
	}
	head, err := s.head(ctx, op, t.key)
	if err != nil {
		return firn.Job{}, err
	}
	archive, err := s.archiveOf(ctx, t.key, head)
	if err != nil {
		return firn.Job{}, err
	}
	state, expires := firn.JobReady, time.Time{}
	if s.mustThaw(head) {
		now, _ := awsmiddleware.GetServerTime(head.ResultMetadata)
		if state, expires = restoreState(aws.ToString(head.Restore), now); state == "" {
			return firn.Job{}, s.fail(op, firn.NotFound, fmt.Errorf("no copy of %q is there to be read, or on its way", t.key))
		}
	}
	j := t.job(state, archive.Size)
	j.ArchiveTree, j.Expires, j.Instant = archive.Tree, expires, s.isCold() && !s.mustThaw(head)
	if t.at == nil {
		j.RangeTree = archive.Tree
	}
	if state == firn.JobRunning {
		j.RangeTree = treehash.Hash{}
	}
	return j, nil
}

func (t thaw) job(state firn.JobState, size int64) firn.Job {
	j := firn.Job{
		ID: t.id(), Kind: firn.RetrievalJob, State: state,
		Archive: idOf(t.key), ArchiveSize: size, Range: firn.Range{End: size},
	}
	if t.at != nil {
		j.Range = *t.at
	}
	return j
}

// restoreState reads x-amz-restore, as in
//
//	ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"
//
// It is empty where no copy is there or on its way; of one that is there it gives
// until when. Source: Amazon S3 API reference, "HeadObject". A date in another form
// doesn't count.
func restoreState(header string, now time.Time) (firn.JobState, time.Time) {
	if header == "" {
		return "", time.Time{}
	}
	if strings.Contains(strings.ReplaceAll(header, " ", ""), `ongoing-request="true"`) {
		return firn.JobRunning, time.Time{}
	}
	_, date, _ := strings.Cut(header, `expiry-date="`)
	date, _, _ = strings.Cut(date, `"`)
	expiry, err := http.ParseTime(date)
	switch {
	case err != nil:
		return firn.JobReady, time.Time{}
	case !now.IsZero() && !expiry.After(now):
		return "", time.Time{}
	}
	return firn.JobReady, expiry.UTC()
}

// Jobs lists the archives that are on their way or can be read for a while, in
// the order of their ids: a page of a listing tells of a thousand. In a store of a
// cold class it lists those too that can be read at any time, such as snapshots: who
// wants one of these need not ask. They are Instant.
func (s *Store) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return func(yield func(firn.Job, error) bool) {
		if _, err := s.exists(ctx); err != nil {
			yield(firn.Job{}, err)
			return
		}
		told := s.home == amazon // RestoreStatus is in its lists
		for page, err := range s.objects(ctx, "list jobs", "") {
			if err != nil {
				yield(firn.Job{}, err)
				return
			}
			told = told || slices.ContainsFunc(page.Contents, func(o types.Object) bool { return o.RestoreStatus != nil })
			jobs, err := s.jobsOf(ctx, page, told)
			if err != nil {
				yield(firn.Job{}, err)
				return
			}
			for _, job := range jobs {
				if !yield(job, nil) {
					return
				}
			}
		}
	}
}

// jobsOf gives the jobs of a page of a listing, in its order. Where the server's
// lists don't tell which objects are restored, those of cold classes are asked about,
// headsAtOnce at a time.
func (s *Store) jobsOf(ctx context.Context, page *sdk.ListObjectsV2Output, told bool) ([]firn.Job, error) {
	now, _ := awsmiddleware.GetServerTime(page.ResultMetadata)
	jobs := make([]firn.Job, len(page.Contents)) // without a state: none
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(headsAtOnce)
	for i, o := range page.Contents {
		key, ok := s.keyOf(page, o)
		if !ok || !isArchive(key) || aws.ToInt64(o.Size) == 0 {
			continue
		}
		look := func() error {
			state, expires, err := s.listedState(inner, key, o, told, now)
			jobs[i] = thaw{key: key}.job(state, aws.ToInt64(o.Size))
			jobs[i].Expires, jobs[i].Instant = expires, !s.cold(Class(o.StorageClass))
			return err
		}
		if told || !s.cold(Class(o.StorageClass)) {
			if err := look(); err != nil { // which asks nobody
				return nil, err
			}
			continue
		}
		group.Go(look)
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return slices.DeleteFunc(jobs, func(j firn.Job) bool { return j.State == "" }), nil
}

// listedState is the state of a listed object, empty where it has no job, and until
// when it can be read. told: the server's lists say which are restored; else each
// must be asked about.
func (s *Store) listedState(ctx context.Context, key string, o types.Object, told bool, now time.Time) (firn.JobState, time.Time, error) {
	none := time.Time{}
	switch r := o.RestoreStatus; {
	case !s.cold(Class(o.StorageClass)):
		if s.isCold() {
			return firn.JobReady, none, nil
		}
		return "", none, nil
	case r != nil && aws.ToBool(r.IsRestoreInProgress):
		return firn.JobRunning, none, nil
	case r != nil && r.RestoreExpiryDate != nil:
		if !now.IsZero() && !r.RestoreExpiryDate.After(now) {
			return "", none, nil
		}
		return firn.JobReady, r.RestoreExpiryDate.UTC(), nil
	case told:
		return "", none, nil
	}
	head, err := s.head(ctx, "list jobs", key)
	if firn.KindOf(err) == firn.NotFound {
		return "", none, nil
	}
	if err != nil {
		return "", none, err
	}
	state, expires := restoreState(aws.ToString(head.Restore), now)
	return state, expires, nil
}

// Output opens part of what a job brings.
func (s *Store) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	const op = "download"
	if _, err := s.exists(ctx); err != nil {
		return firn.Output{}, err
	}
	if _, ok := parseListing(id); ok {
		return firn.Output{}, s.fail(op, firn.Invalid, errText("S3 writes no inventories: the list of archives has no form of its own"))
	}
	t, ok := parseThaw(id)
	if !ok {
		return firn.Output{}, s.fail(op, firn.NotFound, fmt.Errorf("no job %.80q", id))
	}
	if at.Start < 0 || at.End <= at.Start || t.at != nil && at.End > t.at.Len() {
		return firn.Output{}, s.fail(op, firn.Invalid, fmt.Errorf("a range from %d to %d", at.Start, at.End))
	}
	if t.at != nil {
		at = firn.Range{Start: t.at.Start + at.Start, End: t.at.Start + at.End}
	}
	return s.open(ctx, id, t, at)
}

// open opens a range of an object.
func (s *Store) open(ctx context.Context, id firn.JobID, t thaw, at firn.Range) (firn.Output, error) {
	x := s.begin(ctx, "download", s.subject(t.key))
	x.Streams = true
	bytes := fmt.Sprintf("bytes=%d-%d", at.Start, at.End-1)
	out, err := s.client.GetObject(x.Ctx, &sdk.GetObjectInput{Bucket: s.bucket(), Key: s.full(t.key), Range: &bytes})
	if err != nil {
		code := x.RefusedWith()
		if err = x.End(err); code == codeState {
			return firn.Output{}, s.notReadable(ctx, id, err)
		}
		return firn.Output{}, err
	}
	body := x.Download(out.Body, at.Len())
	size, err := rightRange(aws.ToString(out.ContentRange), aws.ToInt64(out.ContentLength), at)
	if err != nil {
		return firn.Output{}, errors.Join(x.Fail(firn.Invalid, err, ""), body.Close())
	}
	var tree treehash.Hash
	if at == (firn.Range{End: size}) {
		tree, _ = treehash.Parse(out.Metadata[metaTree])
	}
	class := string(out.StorageClass)
	if class == "" && s.home == amazon { // as of classIn
		class = string(Standard)
	}
	return firn.Output{ReadCloser: body, Tree: tree, Class: class}, nil
}

// notReadable tells why an object can't be read: its copy is on its way still, or
// there is none.
func (s *Store) notReadable(ctx context.Context, id firn.JobID, refused error) error {
	switch job, err := s.Job(ctx, id); {
	case firn.KindOf(err) == firn.NotFound:
		return err
	case err == nil && job.State == firn.JobRunning:
		return s.fail("download", firn.NotReady, errText("the archive is on its way"))
	}
	return refused
}

// rightRange checks that what comes is what was asked for, and gives the size of
// the whole. A server that doesn't do ranges sends all.
func rightRange(given string, length int64, at firn.Range) (size int64, err error) {
	if given == "" {
		if at.Start == 0 && length == at.End {
			return length, nil
		}
		return 0, fmt.Errorf("%d bytes came where those from %d to %d were asked for", length, at.Start, at.End)
	}
	var first, last int64
	if n, err := fmt.Sscanf(given, "bytes %d-%d/%d", &first, &last, &size); n != 3 || err != nil {
		return 0, fmt.Errorf("%.80q is not a range of bytes", given)
	}
	if first != at.Start || last+1 != at.End {
		return 0, fmt.Errorf("bytes %d to %d came where those from %d to %d were asked for", first, last+1, at.Start, at.End)
	}
	return size, nil
}
