package cli

import (
	"fmt"

	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
)

// The records of prune --json.
type (
	pruneRecord struct {
		Store    string       `json:"store"`
		DryRun   bool         `json:"dry_run,omitempty"`
		Versions int64        `json:"versions"` // that were forgotten
		Bytes    int64        `json:"bytes"`    // of their files
		Deleted  archiveCount `json:"deleted"`
		Waiting  archiveCount `json:"waiting"`         // the store charges for them still
		Next     string       `json:"next,omitempty"`  // RFC 3339: when it doesn't for the first of these
		Until    string       `json:"until,omitempty"` // and for the last
		Held     archiveCount `json:"held"`
		Fees     string       `json:"fees,omitempty"` // of dry runs: to delete Waiting at once; absent where unknown
		Dead     deadRecord   `json:"dead"`
		// Repack is absent without --repack.
		Repack *repackRecord `json:"repack,omitempty"`
	}
	archiveCount struct {
		Archives int64 `json:"archives"`
		Bytes    int64 `json:"bytes"`
	}
	deadRecord struct {
		Bundles int64 `json:"bundles"`
		Size    int64 `json:"size"`  // of those
		Bytes   int64 `json:"bytes"` // that no version needs
	}
	prunedRecord struct {
		lsRecord
		DryRun   bool   `json:"dry_run,omitempty"`
		Run      int64  `json:"run"`
		Recorded string `json:"recorded"`
		Until    string `json:"until"`
		Removed  bool   `json:"removed"`
	}
)

func newPruneRecord(store string, p upkeep.Prospect) pruneRecord {
	r := pruneRecord{
		Store: store, Versions: p.Versions.Files, Bytes: p.Versions.Bytes,
		Deleted: archiveCount{p.Now.Files, p.Now.Bytes}, Waiting: archiveCount{p.Later.Files, p.Later.Bytes}, Held: archiveCount{p.Held.Files, p.Held.Bytes},
		Until: timeText(p.Until), Dead: deadRecord{p.Dead.Bundles.Files, p.Dead.Bundles.Bytes, p.Dead.Bytes},
	}
	if p.Fees.Known {
		r.Fees = p.Fees.String()
	}
	return r
}

// tell tells of one version that goes.
func (w *pruning) tell(v upkeep.PrunedVersion) error {
	r := prunedRecord{lsRecord: newLsRecord(v.Tree, v.Entry), DryRun: w.DryRun, Run: v.Run, Recorded: timeText(v.From), Until: timeText(v.Until), Removed: v.Removed}
	w.ui.Record("pruned", r)
	verb, end := "forgot", "replaced"
	if w.DryRun {
		verb = "would forget"
	}
	if v.Removed {
		end = "removed"
	}
	w.ui.Print(fmt.Sprintf("%s %s: of %s, %s %s, %s", verb, r.shown(), localTime(v.From), end, localTime(v.Until), ui.Bytes(v.Stamp.Size)))
	return nil
}

// foreseen says what a dry run found.
func (r pruneRecord) foreseen(pay bool) string {
	gone := r.Deleted
	if pay {
		gone.Archives += r.Waiting.Archives
		gone.Bytes += r.Waiting.Bytes
	}
	return fmt.Sprintf("would forget %s (%s), and delete %s now", counted(r.Versions, "version"), ui.Bytes(r.Bytes), archives(gone.Archives, gone.Bytes))
}

// done says what was done.
func (r pruneRecord) done() string {
	return fmt.Sprintf("forgot %s (%s), and deleted %s", counted(r.Versions, "version"), ui.Bytes(r.Bytes), archives(r.Deleted.Archives, r.Deleted.Bytes))
}

// details says what else there is to know, a line each.
func (r pruneRecord) details() (lines []string) {
	if r.Repack != nil {
		lines = r.Repack.lines(r.DryRun)
	}
	if r.Waiting.Archives > 0 {
		lines = append(lines, fmt.Sprintf("%s are charged for until %s at the latest: firn resume deletes them then, and --pay at once",
			archives(r.Waiting.Archives, r.Waiting.Bytes), r.Until))
	}
	if r.Held.Archives > 0 {
		lines = append(lines, archives(r.Held.Archives, r.Held.Bytes)+" could go, but are wanted by a restore, in doubt, or stay until a sync can store all files or save the catalog")
	}
	if r.Dead.Bundles > 0 {
		lines = append(lines, fmt.Sprintf("%s in %s (%s) are needed by no version, and stay as long as another file of the bundle is",
			ui.Bytes(r.Dead.Bytes), counted(r.Dead.Bundles, "bundle"), ui.Bytes(r.Dead.Size)))
	}
	return lines
}
