package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// The records of what is pending, of status --json.
type (
	pendingRecord struct {
		Store string `json:"store"`
		What  string `json:"what"` // "upload", "in_doubt", "possible_double", "job"
		ui.Path
		Size  int64  `json:"size"`
		Sent  int64  `json:"sent,omitempty"`
		Since string `json:"since,omitempty"` // RFC 3339
		Ready string `json:"ready,omitempty"` // RFC 3339

		text string
	}
	restoreRecord struct {
		Restore int64      `json:"restore"`
		Store   string     `json:"store"`
		State   string     `json:"state"`
		What    string     `json:"what"`
		Target  ui.Path    `json:"target"`
		Started string     `json:"started"` // RFC 3339
		Files   int64      `json:"files"`
		Bytes   int64      `json:"bytes"`
		Done    countJSON  `json:"done"`
		Failed  countJSON  `json:"failed"`
		Ranges  rangeCount `json:"ranges"`
		Ready   string     `json:"ready,omitempty"` // RFC 3339
	}
	countJSON struct {
		Files int64 `json:"files"`
		Bytes int64 `json:"bytes"`
	}
	rangeCount struct {
		Planned   int64 `json:"planned"`
		Requested int64 `json:"requested"`
		Ready     int64 `json:"ready"`
		Done      int64 `json:"done"`
		Failed    int64 `json:"failed"`
	}
)

// showPending lists what is under way in a store or in doubt, and reports whether
// anything is.
func showPending(ctx context.Context, s *session, store catalog.Store) (bool, error) {
	jobs, err := s.catalog.JobTotals(ctx, store.ID)
	if err != nil {
		return false, err
	}
	restores, err := showRestores(ctx, s, store, firstReady(store, jobs, firn.RetrievalJob))
	if err != nil {
		return false, err
	}
	records, err := pendingUploads(ctx, s, store)
	if err != nil {
		return false, err
	}
	if r, ok := jobsRecord(store, jobs, s.env.Clock.Now()); ok {
		records = append(records, r)
	}
	for _, r := range records {
		s.ui.Record("pending", r)
		s.ui.Print("  " + r.text)
	}
	moves, err := showMigrations(ctx, s, store)
	if err != nil {
		return false, err
	}
	deletions, err := showDeletions(ctx, s, store)
	return restores || deletions || moves || len(records) > 0, err
}

// pendingUploads gives the uploads that are not over, or in doubt.
func pendingUploads(ctx context.Context, s *session, store catalog.Store) (records []pendingRecord, err error) {
	intents, err := s.catalog.OpenIntents(ctx, store.ID)
	if err != nil {
		return nil, err
	}
	for _, in := range intents {
		records = append(records, intentRecord(store, in))
	}
	doubts, err := s.catalog.Doubts(ctx, store.ID)
	if err != nil {
		return nil, err
	}
	for _, d := range doubts {
		if d.Resent {
			records = append(records, pendingRecord{Store: store.URL, What: "possible_double", Path: ui.NewPath(d.Path), Size: d.Size, Since: timeText(d.Since),
				text: fmt.Sprintf("%s (%s) may be stored twice since %s; an inventory after that will show it", what(d.Path), ui.Bytes(d.Size), timeText(d.Since))})
		}
	}
	return records, nil
}

func intentRecord(store catalog.Store, in catalog.Intent) pendingRecord {
	name := what(in.File.Path)
	if in.Kind == catalog.CatalogArchive {
		name = "a snapshot of the catalog"
	}
	r := pendingRecord{Store: store.URL, What: "upload", Path: ui.NewPath(in.File.Path), Size: in.Size, Since: timeText(in.Since)}
	for _, p := range in.Parts {
		r.Sent += p.Size
	}
	if in.Kind == catalog.LooseArchive && in.File.Stamp.ModTime.IsZero() && in.TreeHash.IsZero() {
		r.Size = 0 // of a stream nobody knows it yet
	}
	switch {
	case r.Size == 0:
		r.text = fmt.Sprintf("the upload of %s is open: %s of it are there", name, ui.Bytes(r.Sent))
	case in.State == catalog.Doubt:
		r.What = "in_doubt"
		r.text = fmt.Sprintf("whether %s (%s) arrived is in doubt since %s", name, ui.Bytes(in.Size), r.Since)
	case in.Upload != "":
		r.text = fmt.Sprintf("the upload of %s is open: %s of %s are there", name, ui.Bytes(r.Sent), ui.Bytes(in.Size))
	default:
		r.text = fmt.Sprintf("the upload of %s (%s) was interrupted", name, ui.Bytes(in.Size))
	}
	return r
}

// what calls an upload by its path, which a bundle of many files doesn't have.
func what(path string) string {
	if path == "" {
		return "a bundle"
	}
	return path
}

// firstReady is when the first of the jobs of a kind that are under way may be
// done; zero where there are none.
func firstReady(store catalog.Store, jobs []catalog.JobTotal, kind firn.JobKind) (first time.Time) {
	for _, j := range jobs {
		if j.Kind != kind || j.State == catalog.JobReady {
			continue
		}
		at := retrieval.ExpectedAt(wire.PaceOf(store), firn.Job{Kind: j.Kind, Tier: j.Tier, Created: j.Oldest})
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// jobsRecord sums up the jobs that the catalog waits for.
func jobsRecord(store catalog.Store, jobs []catalog.JobTotal, now time.Time) (pendingRecord, bool) {
	var running int64
	for _, j := range jobs {
		if j.State != catalog.JobReady {
			running += j.Jobs
		}
	}
	if running == 0 {
		return pendingRecord{}, false
	}
	first := firstReady(store, jobs, firn.RetrievalJob)
	if at := firstReady(store, jobs, firn.InventoryJob); first.IsZero() || !at.IsZero() && at.Before(first) {
		first = at
	}
	return pendingRecord{Store: store.URL, What: "job", Size: running, Ready: timeText(first),
		text: "under way: " + counted(running, "job") + readyText(first, now)}, true
}

// readyText says when something may be ready, unless that is past.
func readyText(at, now time.Time) string {
	if !at.After(now) {
		return ""
	}
	return ", the first may be ready at " + localTime(at)
}

// showRestores lists the restores from a store that are open. The first of their
// jobs that are under way may be done at ready.
func showRestores(ctx context.Context, s *session, store catalog.Store, ready time.Time) (bool, error) {
	restores, err := s.catalog.Restores(ctx, store.ID, true)
	if err != nil {
		return false, err
	}
	for _, r := range restores {
		totals, err := s.catalog.RangeTotals(ctx, r.ID)
		if err != nil {
			return false, err
		}
		record := newRestoreRecord(store, r, totals)
		if record.Ranges.Requested > 0 {
			record.Ready = timeText(ready)
		}
		s.ui.Record("restore", record)
		s.ui.Print(fmt.Sprintf("  restore %d, of %s, to %s: %s", r.ID, localTime(r.Started), r.Target, r.What))
		s.ui.Print("    " + record.text())
	}
	return len(restores) > 0, nil
}

func newRestoreRecord(store catalog.Store, r catalog.Restore, totals map[catalog.RangeState]catalog.RangeTotal) restoreRecord {
	record := restoreRecord{
		Restore: r.ID, Store: store.URL, State: strings.ReplaceAll(r.State.String(), " ", "_"), What: r.What, Target: ui.NewPath(r.Target), Started: timeText(r.Started),
		Ranges: rangeCount{
			Planned: totals[catalog.RangePlanned].Ranges, Requested: totals[catalog.RangeRequested].Ranges, Ready: totals[catalog.RangeReady].Ranges,
			Done: totals[catalog.RangeDone].Ranges, Failed: totals[catalog.RangeFailed].Ranges,
		},
	}
	for _, t := range totals {
		record.Files += t.Files
		record.Bytes += t.Bytes
	}
	done, failed := totals[catalog.RangeDone], totals[catalog.RangeFailed]
	record.Done, record.Failed = countJSON{done.Files, done.Bytes}, countJSON{failed.Files, failed.Bytes}
	return record
}

// text says how far a restore is: "12 of 40 files, 1.2 GiB of 5.0 GiB; retrievals:
// 3 planned, 5 requested, 10 done".
func (r restoreRecord) text() string {
	text := fmt.Sprintf("%s of %s, %s of %s", ui.Count(r.Done.Files), ui.Files(r.Files), ui.Bytes(r.Done.Bytes), ui.Bytes(r.Bytes))
	var parts []string
	for _, part := range []struct {
		n    int64
		what string
	}{{r.Ranges.Planned, "planned"}, {r.Ranges.Requested, "requested"}, {r.Ranges.Ready, "ready"}, {r.Ranges.Done, "done"}, {r.Ranges.Failed, "failed"}} {
		if part.n > 0 {
			parts = append(parts, ui.Count(part.n)+" "+part.what)
		}
	}
	if len(parts) > 0 {
		text += "; retrievals: " + strings.Join(parts, ", ")
	}
	return text
}

// showTasks lists the commands that are not done, and reports whether there are
// any.
func showTasks(ctx context.Context, s *session) (bool, error) {
	tasks, err := s.tasks(ctx)
	if err != nil {
		return false, err
	}
	for _, t := range tasks {
		state := "waiting"
		switch {
		case t.State == catalog.TaskGivenUp:
			state = "given_up"
		case t.Exit == catalog.NoExit && wire.TaskRuns(s.env, t.ID):
			state = "running"
		case t.Failures > 0:
			state = "failed"
		}
		s.ui.Record("task", newTaskRecord(t, state))
		s.ui.Print(taskText(t, state, s.env.Clock.Now()))
	}
	return len(tasks) > 0, nil
}

// taskText says how a task stands.
func taskText(t catalog.Task, state string, now time.Time) string {
	line := commandLine(t.Args)
	text := fmt.Sprintf("firn resume goes on with: %s", line)
	switch state {
	case "given_up":
		text = fmt.Sprintf("given up after %d failures, call it again or firn resume --now: %s", t.Failures, line)
	case "running":
		text = fmt.Sprintf("goes on since %s: %s", localTime(t.Tried), line)
	case "failed":
		text = fmt.Sprintf("failed, firn resume tries again from %s on: %s", localTime(t.Next), line)
	}
	if t.Said != "" && state != "running" {
		text += ": " + t.Said
	}
	if state == "waiting" && t.Next.After(now) {
		text += "; more may be ready at " + localTime(t.Next)
	}
	return text
}
