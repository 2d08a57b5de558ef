package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/ui"
)

// The names of what a restore leaves for S3 Batch Operations.
const (
	manifestName = "manifest.csv"
	submitName   = "submit.sh"
)

// What S3 Batch Operations charges beside the requests that it makes. Source: Amazon
// S3 pricing, "S3 Batch Operations", as one list of 2026 has it.
const (
	batchJob     = price.Dollar / 4
	batchMillion = price.Dollar // for a million objects
)

// A manifestStore is a store that isn't asked for archives: what is to be asked for goes
// into a manifest, by which S3 Batch Operations asks. It is as if firn had asked.
type manifestStore struct {
	firn.Store
	object func(firn.ArchiveID) (bucket, key string, ok bool)
	dir    string
	began  time.Time

	mu   sync.Mutex
	file *atomicfile.File
	out  *bufio.Writer
	n    int64
	days int       // the most of all
	tier firn.Tier // of the first: there is one
}

// newManifest gives the store of a restore that asks by a manifest in a folder.
// Errors: Usage (the store can't thaw), Conflict (there is a manifest already), Local.
func (o *restoreOptions) newManifest(s *session) (*manifestStore, error) {
	if _, _, ok := s.store.Object("x"); !ok || !s.store.Traits().ThawsWhole || s.store.Traits().InstantJobs {
		return nil, wrongUsage("restore", "%s has nothing that S3 Batch Operations could ask for; leave out --batch-manifest", s.loc)
	}
	if o.Tiers[0] == firn.Expedited || len(o.Tiers) > 1 {
		return nil, wrongUsage("restore", "S3 Batch Operations asks by one tier, bulk or standard")
	}
	if o.Wait {
		return nil, wrongUsage("restore", "with --batch-manifest there is nothing to wait for until the manifest is submitted: leave out --wait, and give it the next time")
	}
	m := &manifestStore{Store: s.store, object: s.store.Object, dir: o.app.env.Path(o.Manifest), began: s.env.Clock.Now(), tier: o.Tiers[0]}
	fail := func(kind firn.Kind, err error, hint string) error {
		return &firn.Error{Op: "write manifest to", Subject: o.Manifest, Kind: kind, Err: cause(err), Hint: hint}
	}
	if err := os.MkdirAll(m.dir, 0o777); err != nil {
		return nil, fail(firn.Local, err, "")
	}
	path := filepath.Join(m.dir, manifestName)
	if _, err := os.Lstat(path); err == nil {
		return nil, fail(firn.Conflict, errors.New("there is a manifest already"), "name another folder; what that one asks for is found without --batch-manifest")
	}
	var err error
	if m.file, err = atomicfile.Create(path, 0o666); err != nil {
		return nil, fail(firn.Local, err, "")
	}
	m.out = bufio.NewWriter(m.file)
	return m, nil
}

// StartRetrieval writes an archive into the manifest. The fields are bucket and key,
// the key as in a URL. Where the bucket keeps versions no field names one: the newest
// is restored then, which is the one that firn reads. Source: Amazon S3 user guide,
// "Creating an S3 Batch Operations job".
func (m *manifestStore) StartRetrieval(_ context.Context, spec firn.RetrievalSpec) (firn.JobID, error) {
	bucket, key, ok := m.object(spec.Archive)
	if !ok {
		return "", &firn.Error{Op: "start retrieval", Subject: string(spec.Archive), Kind: firn.NotFound, Err: errors.New("it is no object")}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := fmt.Fprintf(m.out, "%s,%s\n", bucket, urlKey(key)); err != nil {
		return "", &firn.Error{Op: "write manifest to", Subject: m.dir, Kind: firn.Full, Err: err}
	}
	m.n++
	m.days = max(m.days, spec.Days)
	// The job is a state of the archive, and has its name in every store that thaws.
	return firn.JobID("thaw::" + string(spec.Archive)), nil
}

// urlKey writes a key as a URL has it, without the comma and the quote that a line of
// the manifest would take for its own.
func urlKey(key string) string {
	names := strings.Split(key, "/")
	for i, name := range names {
		names[i] = strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return strings.Join(names, "/")
}

// end keeps the manifest, if anything is in it, with the commands that submit it, and
// tells of them. What is in it counts as asked for from then on: before, a kill leaves
// jobs that nobody asked for, which are asked for soon.
func (m *manifestStore) end(ctx context.Context, s *session, failed error) error {
	if m.n == 0 {
		m.file.Abort()
		if failed == nil || errors.Is(failed, ErrNotYet) {
			s.ui.Notice("nothing has to be asked for: there is no manifest")
		}
		return failed
	}
	if m.days == 0 {
		m.days = manifestDays
	}
	err := m.out.Flush()
	if err != nil {
		m.file.Abort()
	} else {
		err = m.file.Commit()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dir, submitName), []byte(m.script(s)), 0o777)
	}
	if err == nil {
		err = m.hand(context.WithoutCancel(ctx), s)
	}
	if err != nil {
		return errors.Join(failed, &firn.Error{Op: "write manifest to", Subject: m.dir, Kind: firn.Local, Err: cause(err)})
	}
	cost := batchJob + price.Price{Amount: batchMillion, Per: 1_000_000}.Cost(m.n)
	s.ui.Record("batch_manifest", batchManifestRecord{s.loc.String(), ui.NewPath(m.dir), m.n, m.days, string(m.tier), cost.String()})
	s.ui.Notice(fmt.Sprintf("wrote a manifest of %s; submit it soon with: sh %s", counted(m.n, "object"), shellWord(filepath.Join(m.dir, submitName))))
	s.ui.Notice("S3 Batch Operations charges $" + cost.String() + " for that, beside the price above, as one list has it; what the store doesn't tell of in two days is asked for by firn itself")
	return failed
}

// hand records who asks for what is in the manifest.
func (m *manifestStore) hand(ctx context.Context, s *session) error {
	row, err := s.row(ctx)
	if err != nil {
		return err
	}
	return s.catalog.HandJobs(ctx, row.ID, m.began)
}

// A batchManifestRecord is a manifest for S3 Batch Operations.
type batchManifestRecord struct {
	Store string `json:"store"`
	ui.Path
	Objects int64  `json:"objects"`
	Days    int    `json:"days"`
	Tier    string `json:"tier"`
	Cost    string `json:"cost"` // of the job itself
}

// manifestDays is for how long copies are asked for where the restore doesn't say.
const manifestDays = 3

// script are the commands that submit the manifest. Source: AWS CLI command reference,
// "s3control create-job".
func (m *manifestStore) script(s *session) string {
	place := storePlace{loc: s.loc, region: s.store.Region()}
	folder := "firn-batch/" + firn.NewToken().String()
	return fmt.Sprintf(`#!/bin/sh
# Submits %[1]s to S3 Batch Operations: %[2]d objects of %[3]s,
# by the tier %[4]s, to be read for %[5]d days. Run it once.
#
# ACCOUNT  the account's number
# ROLE     ARN of a role that S3 Batch Operations may take, which is allowed
#          s3:RestoreObject on these objects, and to read and write in WORK
# WORK     a bucket for the manifest and the report; not below the store's prefix
set -eu
: "${ACCOUNT:?}" "${ROLE:?}" "${WORK:?}"
cd "$(dirname "$0")"
etag=$(aws s3api put-object --region %[6]s --bucket "$WORK" --key %[7]s/%[1]s --body %[1]s --query ETag --output text)
aws s3control create-job --region %[6]s --account-id "$ACCOUNT" --role-arn "$ROLE" \
	--operation '{"S3InitiateRestoreObject":{"ExpirationInDays":%[5]d,"GlacierJobTier":"%[4]s"}}' \
	--manifest "{\"Spec\":{\"Format\":\"S3BatchOperations_CSV_20180820\",\"Fields\":[\"Bucket\",\"Key\"]},\"Location\":{\"ObjectArn\":\"arn:%[8]s:s3:::$WORK/%[7]s/%[1]s\",\"ETag\":$etag}}" \
	--report "{\"Bucket\":\"arn:%[8]s:s3:::$WORK\",\"Prefix\":\"%[7]s\",\"Format\":\"Report_CSV_20180820\",\"Enabled\":true,\"ReportScope\":\"FailedTasksOnly\"}" \
	--priority 10 --client-request-token %[9]s --no-confirmation-required
`, manifestName, m.n, ui.Text(s.loc.String()), strings.ToUpper(string(m.tier)), m.days, shellWord(place.region), folder, place.partition(), firn.NewToken())
}
