package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/restore"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// cancelledRecord tells that a restore was given up.
type cancelledRecord struct {
	Restore     int64   `json:"restore"`
	What        string  `json:"what"`
	Target      ui.Path `json:"target"`
	JobsRunning int64   `json:"jobs_running"` // can't be taken back
	JobsReady   int64   `json:"jobs_ready"`   // not fetched
	Removed     int64   `json:"removed"`      // unfinished files
	RemovedSize int64   `json:"removed_bytes"`
}

// checkCancel refuses options that --cancel has no use for.
func (o *restoreOptions) checkCancel(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		// Those for all commands are not of this one.
		if own := flag.Name != "cancel" && !slices.Contains([]string{"json", "quiet", "verbose", "state", "log"}, flag.Name); own && err == nil {
			err = wrongUsage("restore", "--cancel goes alone, without --%s", flag.Name)
		}
	})
	if err == nil && o.Cancel < 1 {
		err = wrongUsage("restore", "%d is no restore; firn status names those that are open", o.Cancel)
	}
	return err
}

// cancel gives up a restore: what it left unfinished is removed, and nobody goes
// on with it. What was asked for is charged for all the same.
func (o *restoreOptions) cancel(ctx context.Context) (err error) {
	s, err := o.app.openCatalog(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.catalog.RestoreByID(ctx, o.Cancel)
	if err != nil {
		return err
	}
	if !r.State.Open() {
		return &firn.Error{Op: "cancel", Subject: fmt.Sprint("restore ", r.ID), Kind: firn.Conflict,
			Err: fmt.Errorf("it is %s already, since %s", r.State, r.Ended.Format(time.DateTime))}
	}
	lock, err := wire.LockTarget(s.env, r.Target)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	totals, err := s.catalog.RangeTotals(ctx, r.ID)
	if err != nil {
		return err
	}
	if err := s.catalog.SetRestore(ctx, r.ID, catalog.RestoreCancelled, "firn restore --cancel"); err != nil {
		return err
	}
	dropped := o.dropTaskOf(ctx, s, &r)
	removed, err := o.removeLeftovers(ctx, s, &r)
	rec := cancelledRecord{
		Restore: r.ID, What: r.What, Target: ui.NewPath(r.Target), Removed: removed.Files, RemovedSize: removed.Bytes,
		JobsRunning: totals[catalog.RangeRequested].Ranges, JobsReady: totals[catalog.RangeReady].Ranges,
	}
	s.ui.Record("cancelled", rec)
	for _, line := range rec.lines(r.Target) {
		s.ui.Print(line)
	}
	return errors.Join(err, dropped)
}

// lines tell of it to people.
func (rec *cancelledRecord) lines(target string) []string {
	lines := []string{fmt.Sprintf("restore %d is cancelled: %s; what it brought back stays in %s", rec.Restore, rec.What, target)}
	if n := rec.JobsRunning; n > 0 {
		lines = append(lines, counted(n, "retrieval")+" that the store is getting ready can't be taken back, and will be charged for")
	}
	if n := rec.JobsReady; n > 0 {
		lines = append(lines, counted(n, "retrieval")+" that was ready is not fetched; another restore can still take it up, for a day or so")
	}
	if rec.Removed > 0 {
		lines = append(lines, "removed "+counted(rec.Removed, "unfinished file")+", "+ui.Bytes(rec.RemovedSize))
	}
	return lines
}

// isBelow reports whether a folder is another one or lies in it.
func isBelow(dir, other string) bool {
	rel, err := filepath.Rel(other, dir)
	return err == nil && filepath.IsLocal(rel)
}

// removeLeftovers removes unfinished files, unless another restore is open that
// goes to the same folder, or one in it or above it: they may be its own.
func (o *restoreOptions) removeLeftovers(ctx context.Context, s *session, r *catalog.Restore) (firn.Count, error) {
	others, err := s.catalog.Restores(ctx, 0, true)
	if err != nil {
		return firn.Count{}, err
	}
	for _, other := range others {
		if isBelow(other.Target, r.Target) || isBelow(r.Target, other.Target) {
			s.ui.Notice(fmt.Sprintf("unfinished files stay in %s: restore %d goes to %s", r.Target, other.ID, other.Target))
			return firn.Count{}, nil
		}
	}
	return restore.RemoveLeftovers(ctx, r.Target)
}

// dropTaskOf makes firn resume forget the command that the restore belongs to: it
// would begin anew with it.
func (o *restoreOptions) dropTaskOf(ctx context.Context, s *session, r *catalog.Restore) error {
	if r.Key == "" {
		return nil
	}
	tasks, err := s.catalog.Tasks(ctx)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		parts := strings.Split(t.Subject, "\x00")
		if t.Command != "restore" || !slices.Contains(parts, r.Key) {
			continue
		}
		if err := s.catalog.DropTask(ctx, t.Subject); err != nil {
			return err
		}
		if len(parts) > 3 { // the command, the store, and more than one key
			s.ui.Notice("firn resume doesn't go on with the other trees of that command: to go on with them, call it again for each, with --tree")
		}
	}
	return nil
}
