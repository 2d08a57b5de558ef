package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/retrieval"
)

func newJobCmd(a *app) *cobra.Command {
	return group("job", "start single jobs, list them, and fetch what they bring",
		newJobListCmd(a, runJobList),
		newJobShowCmd(a, runJobShow),
		newJobStartCmd(a, runJobStart),
		newJobOutputCmd(a, runJobOutput),
	)
}

// outputLife is how long the output of a job that is done can be read at the
// least. Source: Amazon Glacier API reference, "Get Job Output".
const outputLife = 24 * time.Hour

// A jobRecord is a job, as the store tells of it.
type jobRecord struct {
	Store       string        `json:"store"`
	Job         firn.JobID    `json:"job"`
	Kind        firn.JobKind  `json:"kind"`
	State       firn.JobState `json:"state"`
	Message     string        `json:"message,omitempty"`
	Description string        `json:"description,omitempty"`
	Own         bool          `json:"own,omitempty"` // firn started it
	Created     string        `json:"created,omitempty"`
	Ready       string        `json:"ready,omitempty"` // of a running one: not before
	Completed   string        `json:"completed,omitempty"`
	Until       string        `json:"until,omitempty"` // its output stays till then at least
	Tier        firn.Tier     `json:"tier,omitempty"`

	Archive     firn.ArchiveID `json:"archive,omitempty"`
	ArchiveSize int64          `json:"archive_size,omitempty"`
	ArchiveHash string         `json:"archive_tree_hash,omitempty"`
	From        *int64         `json:"from,omitempty"` // of a range, in bytes
	To          *int64         `json:"to,omitempty"`   // behind its last byte
	Hash        string         `json:"tree_hash,omitempty"`

	Format firn.InventoryFormat `json:"format,omitempty"`
	After  string               `json:"after,omitempty"`
	Before string               `json:"before,omitempty"`
	Limit  int64                `json:"limit,omitempty"`
	Marker string               `json:"marker,omitempty"`
	Size   int64                `json:"size,omitempty"` // bytes of output, once there are any

	job          firn.Job
	ready, until time.Time // as Ready and Until; zero: nobody knows
}

// jobPace is how long what a job brings takes, by the class of its archive, where this
// machine's catalog knows it; else it is the store's.
func (s *session) jobPace(ctx context.Context, j *firn.Job) firn.Pace {
	pace := s.store.Traits().Pace
	if j.State != firn.JobRunning || j.Kind != firn.RetrievalJob {
		return pace
	}
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	if err != nil {
		return pace
	}
	if _, of, err := s.paceOf(ctx, row.ID, j.Archive); err == nil {
		pace = of
	}
	return pace
}

func newJobRecord(store string, p firn.Pace, j firn.Job) jobRecord {
	_, own := describe.JobToken(j.Description)
	r := jobRecord{
		Store: store, Job: j.ID, Kind: j.Kind, State: j.State, Message: j.Message, Description: j.Description, Own: own,
		Created: timeText(j.Created), Completed: timeText(j.Completed), Tier: j.Tier, Archive: j.Archive, ArchiveSize: j.ArchiveSize,
		Format: j.Format, After: timeText(j.Listing.After), Before: timeText(j.Listing.Before), Limit: j.Listing.Limit, Marker: j.Listing.Marker, job: j,
	}
	switch j.State {
	case firn.JobRunning:
		r.ready = retrieval.ExpectedAt(p, j)
		r.Ready = timeText(r.ready)
	case firn.JobReady:
		r.until = j.Expires
		if r.until.IsZero() && !j.Completed.IsZero() {
			r.until = j.Completed.Add(outputLife)
		}
		r.Until, r.Size = timeText(r.until), outputSize(j)
	}
	if !j.ArchiveTree.IsZero() {
		r.ArchiveHash = j.ArchiveTree.String()
	}
	if !j.RangeTree.IsZero() {
		r.Hash = j.RangeTree.String()
	}
	if isRanged(j) {
		r.From, r.To = &j.Range.Start, &j.Range.End
	}
	return r
}

// isRanged reports whether a job brings less than its whole archive.
func isRanged(j firn.Job) bool {
	return j.Range.Len() > 0 && j.Range != firn.Range{End: j.ArchiveSize}
}

// outputSize is how many bytes the output of a job has that is ready.
func outputSize(j firn.Job) int64 {
	if j.Kind == firn.InventoryJob {
		return j.InventorySize
	}
	return cmp.Or(j.Range.Len(), j.ArchiveSize)
}

// brings says what a job brings.
func (r jobRecord) brings() string {
	switch r.Kind {
	case firn.RetrievalJob:
		if r.From != nil {
			return fmt.Sprintf("%s %d-%d", r.Archive, *r.From, *r.To-1)
		}
		return string(r.Archive)
	case firn.InventoryJob:
		text := "all archives, in " + strings.ToUpper(string(r.Format))
		if r.job.Partial {
			text = "some archives, in " + strings.ToUpper(string(r.Format))
		}
		return text
	}
	return string(r.Archive)
}

// purpose is what it was started for: firn's own description without the token.
func (r jobRecord) purpose() string {
	if !r.Own {
		return r.Description
	}
	words := strings.SplitN(r.Description, " ", 3)
	return strings.Join(words[min(2, len(words)):], " ")
}

// progress says how far it is.
func (r jobRecord) progress(text func(time.Time) string) string {
	switch {
	case r.State == firn.JobRunning && !r.ready.IsZero():
		return "running, not ready before " + text(r.ready)
	case r.State == firn.JobReady && !r.until.IsZero():
		return "ready, until " + text(r.until)
	}
	if r.Message != "" {
		return string(r.State) + ": " + r.Message
	}
	return string(r.State)
}
