package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/rows"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/wire"
)

// newSnapshots gives what makes the snapshots of a store, which is open.
func (a *app) newSnapshots(ctx context.Context, s *session, row catalog.Store, uploader *transfer.Uploader) (*snapshot.Maker, error) {
	spool, err := wire.SpoolDir(s.env)
	if err != nil {
		return nil, err
	}
	host, err := a.hostname()
	if err != nil {
		return nil, err
	}
	return snapshot.NewMaker(snapshot.Options{
		Catalog: s.catalog, Row: row, Info: s.store.Info, Store: s.store, Companion: s.store.Companion(), Uploader: uploader,
		Clock: s.env.Clock, Events: s.env.Events, Spool: spool, Host: host, Profiles: a.profilesOf(s),
		Lock: func() (release func(), err error) {
			l, err := wire.LockSnapshots(s.env, row)
			return func() { l.Unlock() }, err
		},
		Alive: func(run catalog.Run) bool { return wire.RunAlive(s.env, run, treeOf(ctx, s.catalog, run)) },
	}), nil
}

// treeOf names the tree of a run; empty where it has none, or it can't be told.
func treeOf(ctx context.Context, c *catalog.Catalog, run catalog.Run) string {
	trees, err := c.Trees(ctx, run.Store)
	if err != nil {
		return ""
	}
	for _, t := range trees {
		if t.ID == run.Tree {
			return t.Name
		}
	}
	return ""
}

// profilesOf gives the user's profiles whose store is the one of a session. What
// is wrong with the file is for a command to say that needs it.
func (a *app) profilesOf(s *session) (found []rows.Profile) {
	file, err := a.profiles()
	if err != nil {
		return nil
	}
	for _, p := range file.Profiles {
		if loc, err := p.Location(); err == nil && loc.String() == s.loc.String() {
			found = append(found, rows.Profile{Name: p.Name, Text: p.Text()})
		}
	}
	return found
}

// begin checks the store's tags, and clears away what an earlier command left of
// a snapshot.
func (j *syncJob) begin(ctx context.Context) error {
	if err := j.snapshots.Check(ctx); err != nil {
		return err
	}
	if err := j.snapshots.Settle(ctx); err != nil && ctx.Err() == nil {
		j.s.ui.Warn("what an interrupted command left of a snapshot of the catalog can't be cleared away: " + err.Error())
	}
	return nil
}

// save puts the catalog into the store at the end of a command, where it is due.
// Without that not all was done: ErrPartial, after a warning that says why. A
// command that came to no directory has nothing to save.
func (j *syncJob) save(ctx context.Context) error {
	if j.snapshots == nil || j.run.ID == 0 {
		return nil
	}
	j.tidy(ctx)
	due, err := j.snapshots.Due(ctx)
	if err == nil && due {
		err = j.snapshots.Make(ctx, j.run)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	j.s.ui.Warn(err.Error())
	return ErrPartial
}

// strayAge is how old a note about an upload is at the least that no upload may still
// begin by: more than any call is tried for.
const strayAge = 7 * 24 * time.Hour

// tidy removes what kills have left of uploads. It is no more than tidiness, and who
// may only add to a store can't.
func (j *syncJob) tidy(ctx context.Context) {
	_, err := firn.Tidy(ctx, j.s.store.Store, strayAge, false)
	if err != nil && ctx.Err() == nil && firn.KindOf(err) != firn.Denied {
		j.s.ui.Notice("what interrupted uploads left in the store stays: " + err.Error())
	}
}

// newestSnapshot gives the newest snapshot of a store that this machine made and
// the store has; false where there is none.
func newestSnapshot(ctx context.Context, s *session, store int64) (newest catalog.Snapshot, found bool, err error) {
	all, err := s.catalog.Snapshots(ctx, store)
	for _, one := range all {
		if one.Catalog == s.catalog.ID() && one.State == catalog.Stored && one.Seq > newest.Seq {
			newest, found = one, true
		}
	}
	return newest, found, err
}

// A snapshotRecord is the newest snapshot of a store, as status shows it.
type snapshotRecord struct {
	Seq     int64          `json:"seq"`
	Made    string         `json:"made"`
	Archive firn.ArchiveID `json:"archive"`
	Size    int64          `json:"size"`
}

// showSnapshot is the line of status about a store's snapshots.
func showSnapshot(s *session, newest catalog.Snapshot, found bool) {
	if found {
		s.ui.Print(fmt.Sprintf("  catalog: snapshot %d of %s", newest.Seq, newest.Made.UTC().Format(time.DateOnly)))
	}
}
