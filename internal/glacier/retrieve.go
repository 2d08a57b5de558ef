package glacier

import (
	"context"
	"fmt"
	"iter"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/aws-sdk-go-v2/service/glacier/types"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/exchange"
)

// The service's names of what firn names otherwise. Source: Amazon Glacier API
// reference, "Initiate Job", "Describe Job".
const (
	typeArchive   = "archive-retrieval"
	typeInventory = "inventory-retrieval"
)

var formatNames = map[firn.InventoryFormat]string{
	"":                 "JSON",
	firn.InventoryJSON: "JSON",
	firn.InventoryCSV:  "CSV",
}

var tierNames = map[firn.Tier]string{
	firn.Expedited: "Expedited",
	firn.Standard:  "Standard",
	firn.Bulk:      "Bulk",
}

// StartRetrieval asks for an archive or a range of it.
func (v *Vault) StartRetrieval(ctx context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	x := v.begin(ctx, "start retrieval", "from "+v.label)
	tier, known := tierNames[spec.Tier]
	if !known {
		return "", x.Fail(firn.Invalid, fmt.Errorf("no tier %s", quote(string(spec.Tier))), "")
	}
	if r := spec.Range; r != nil && (r.Start < 0 || r.End <= r.Start) {
		return "", x.Fail(firn.Invalid, fmt.Errorf("a range from %d to %d", r.Start, r.End), "")
	}
	if err := checkDescription(spec.Description); err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	request, err := v.asking(spec, tier)
	if err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	answer, err := v.direct.Do(x, request)
	if err := x.End(err); err != nil {
		return "", err
	}
	id, err := madeBy(x, answer, "X-Amz-Job-Id")
	return firn.JobID(id), err
}

// StartInventory asks for a list of all archives, or of some.
func (v *Vault) StartInventory(ctx context.Context, spec firn.InventorySpec) (firn.JobID, error) {
	x := v.begin(ctx, "start inventory", "of "+v.label)
	format, known := formatNames[spec.Format]
	if !known {
		return "", x.Fail(firn.Invalid, fmt.Errorf("no format %s", quote(string(spec.Format))), "")
	}
	only, err := listingInput(spec.Listing)
	if err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	kind := typeInventory
	id, err := v.startJob(x, &types.JobParameters{Type: &kind, Format: &format, InventoryRetrievalParameters: only}, spec.Description)
	if missed(x) {
		// That no inventory exists yet is an error of the service without a
		// documented code; clients have seen this one.
		return "", x.Fail(firn.NotReady, x.Refusal(), "the first inventory comes about a day after the first upload")
	}
	return id, err
}

func (v *Vault) startJob(x *exchange.Exchange, params *types.JobParameters, description string) (firn.JobID, error) {
	if err := checkDescription(description); err != nil {
		return "", x.Fail(firn.Invalid, err, "")
	}
	if description != "" {
		params.Description = &description
	}
	out, err := v.client.InitiateJob(x.Ctx, &sdk.InitiateJobInput{AccountId: ownAccount(), VaultName: &v.name, JobParameters: params}, withoutTreeHash)
	if err := x.End(err); err != nil {
		return "", err
	}
	id, err := made(x, out.JobId, out.Location)
	return firn.JobID(id), err
}

// Job describes one job.
func (v *Vault) Job(ctx context.Context, id firn.JobID) (firn.Job, error) {
	x := v.begin(ctx, "describe job", "of "+v.label)
	out, err := v.client.DescribeJob(x.Ctx, &sdk.DescribeJobInput{AccountId: ownAccount(), VaultName: &v.name, JobId: (*string)(&id)})
	if err := x.End(err); err != nil {
		return firn.Job{}, err
	}
	j, err := job(types.GlacierJobDescription{
		Action: out.Action, ArchiveId: out.ArchiveId, ArchiveSHA256TreeHash: out.ArchiveSHA256TreeHash,
		ArchiveSizeInBytes: out.ArchiveSizeInBytes, CompletionDate: out.CompletionDate, CreationDate: out.CreationDate,
		InventoryRetrievalParameters: out.InventoryRetrievalParameters, InventorySizeInBytes: out.InventorySizeInBytes,
		JobDescription: out.JobDescription, JobId: out.JobId, RetrievalByteRange: out.RetrievalByteRange,
		SHA256TreeHash: out.SHA256TreeHash, StatusCode: out.StatusCode, StatusMessage: out.StatusMessage, Tier: out.Tier,
	})
	if err != nil {
		return firn.Job{}, x.Garbled(err)
	}
	return j, nil
}

// Jobs lists the jobs.
func (v *Vault) Jobs(ctx context.Context) iter.Seq2[firn.Job, error] {
	return pages(func(marker *string) ([]firn.Job, *string, error) {
		x := v.begin(ctx, "list jobs", "of "+v.label)
		out, err := v.client.ListJobs(x.Ctx, &sdk.ListJobsInput{AccountId: ownAccount(), VaultName: &v.name, Marker: marker})
		if err := x.End(err); err != nil {
			return nil, nil, err
		}
		jobs := make([]firn.Job, len(out.JobList))
		for i, o := range out.JobList {
			if jobs[i], err = job(o); err != nil {
				return nil, nil, x.Garbled(err)
			}
		}
		return jobs, out.Marker, nil
	})
}

// job reads a job description. A kind of job that firn doesn't know, such as a
// select, keeps the service's name in lower case.
func job(o types.GlacierJobDescription) (firn.Job, error) {
	j := firn.Job{
		ID:          firn.JobID(text(o.JobId)),
		State:       jobState(o.StatusCode),
		Message:     text(o.StatusMessage),
		Description: text(o.JobDescription),
	}
	var err error
	if j.Created, err = moment(o.CreationDate); err != nil {
		return j, err
	}
	if j.Completed, err = moment(o.CompletionDate); err != nil {
		return j, err
	}
	switch o.Action {
	case types.ActionCodeArchiveRetrieval:
		err = archiveJob(&j, o)
	case types.ActionCodeInventoryRetrieval:
		inventoryJob(&j, o)
	default:
		j.Kind = firn.JobKind(strings.ToLower(string(o.Action)))
	}
	return j, err
}

func archiveJob(j *firn.Job, o types.GlacierJobDescription) (err error) {
	j.Kind = firn.RetrievalJob
	j.Archive = firn.ArchiveID(text(o.ArchiveId))
	j.Tier = firn.Tier(strings.ToLower(text(o.Tier)))
	if o.ArchiveSizeInBytes != nil {
		j.ArchiveSize = *o.ArchiveSizeInBytes
	}
	j.Range = firn.Range{End: j.ArchiveSize}
	if s := text(o.RetrievalByteRange); s != "" {
		if j.Range, err = parseRange(s); err != nil {
			return err
		}
	}
	if j.ArchiveTree, err = hash(o.ArchiveSHA256TreeHash); err != nil {
		return err
	}
	j.RangeTree, err = hash(o.SHA256TreeHash)
	return err
}

func jobState(code types.StatusCode) firn.JobState {
	switch code {
	case types.StatusCodeSucceeded:
		return firn.JobReady
	case types.StatusCodeFailed:
		return firn.JobFailed
	}
	return firn.JobRunning
}

// Output opens part of a job's output.
func (v *Vault) Output(ctx context.Context, id firn.JobID, at firn.Range) (firn.Output, error) {
	x := v.begin(ctx, "download", "from "+v.label)
	if at.Start < 0 || at.End <= at.Start {
		return firn.Output{}, x.Fail(firn.Invalid, fmt.Errorf("a range from %d to %d", at.Start, at.End), "")
	}
	x.Streams = true
	out, err := v.direct.Do(x, v.reading(id, at))
	if err != nil {
		return firn.Output{}, v.noOutput(ctx, x, id, err)
	}
	body := x.Download(out.Body, at.Len())
	if err := rightRange(out.Header.Get("Content-Range"), at); err != nil {
		body.Close()
		return firn.Output{}, x.Garbled(err)
	}
	sum := out.Header.Get("X-Amz-Sha256-Tree-Hash")
	tree, err := hash(&sum)
	if err != nil {
		body.Close()
		return firn.Output{}, x.Garbled(err)
	}
	return firn.Output{ReadCloser: body, Tree: tree}, nil
}

// rightRange checks that what comes is what was asked for. A server that
// doesn't do ranges may send all, which is right where all was asked for: then
// the number of bytes tells.
func rightRange(given string, at firn.Range) error {
	if given == "" {
		if at.Start == 0 {
			return nil
		}
		return fmt.Errorf("the whole output came where bytes %s were asked for", formatRange(at))
	}
	bytes, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(given, "bytes")), "/")
	got, err := parseRange(bytes)
	if err != nil {
		return err
	}
	if got.Start != at.Start || got.End > at.End {
		return fmt.Errorf("bytes %s came where %s were asked for", bytes, formatRange(at))
	}
	return nil
}

// noOutput explains a refused download. One code stands for several causes, so
// that the job is asked about: it may be running still.
func (v *Vault) noOutput(ctx context.Context, x *exchange.Exchange, id firn.JobID, err error) error {
	failed := x.End(err)
	if x.RefusedWith() != codeInvalidValue {
		return failed
	}
	j, err := v.Job(ctx, id)
	if err != nil {
		return failed
	}
	switch j.State {
	case firn.JobRunning:
		return x.Fail(firn.NotReady, x.Refusal(), "")
	case firn.JobFailed:
		return x.Fail(firn.Invalid, fmt.Errorf("the job failed: %s", j.Message), "start it again")
	}
	return failed
}

// DeleteArchive deletes one archive. To delete one again is no error of the service's
// either: what it doesn't find was never in the vault. Source: API reference, "Delete
// Archive".
func (v *Vault) DeleteArchive(ctx context.Context, id firn.ArchiveID) error {
	x := v.begin(ctx, "delete archive", quote(string(id))+" of "+v.label)
	_, err := v.client.DeleteArchive(x.Ctx, &sdk.DeleteArchiveInput{AccountId: ownAccount(), VaultName: &v.name, ArchiveId: (*string)(&id)})
	if missed(x) && !v.cfg.StrictDelete {
		return x.Forgive()
	}
	return x.End(err)
}
