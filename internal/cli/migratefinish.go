package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

// migrateFinish is what the command is called in the catalog.
const migrateFinish = "migrate finish"

// finishOptions are those of firn migrate --finish.
type finishOptions struct {
	app         *app
	From, To    string
	Confirm     string
	Wait        bool
	Poll        time.Duration
	Concurrency count
	DryRun      bool
	Common      storeOptions
}

// A finishing is one call of firn migrate --finish: an emptying of the source, once
// each copy was looked at again.
type finishing struct {
	emptying
	target   *wire.Store
	to       catalog.Store
	move     catalog.Migration
	reviewed time.Time // when the copies were looked at last; zero: not in this call
}

// reviewEvery is for how long a look at the copies is good enough to delete by.
const reviewEvery = time.Hour

// runMigrateFinish deletes the source of a migration.
func runMigrateFinish(ctx context.Context, o *finishOptions) (err error) {
	s, err := o.app.openStore(ctx, o.From, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	m := &finishing{emptying: emptying{session: s, options: &storeEmptyOptions{
		app: o.app, Store: o.From, Confirm: o.Confirm, AndDelete: true, WhenFree: true, Wait: o.Wait, Poll: o.Poll,
		Concurrency: o.Concurrency, DryRun: o.DryRun, Common: o.Common,
	}}}
	if m.row, err = s.store.Check(ctx, s.catalog); err != nil {
		return m.endIfGone(ctx, err)
	}
	if m.target, err = o.app.openBeside(ctx, s, o.To, o.Common.wire()); err != nil {
		return err
	}
	defer m.target.Close()
	if m.to, err = m.target.Check(ctx, s.catalog); err != nil {
		return m.targetGone(ctx, err)
	}
	if err := m.look(ctx); err != nil {
		return err
	}
	m.again = "to move these as well: firn migrate " + m.row.URL + " " + m.to.URL + ", and then this again"
	if o.DryRun {
		return m.dryRun(ctx)
	}
	if o.app.once && !m.open {
		return m.isOver()
	}
	unlock, err := m.lock(ctx)
	defer unlock()
	if err == nil {
		err = m.checkUnused(ctx)
	}
	if err == nil {
		err = m.agree(ctx)
	}
	if err != nil {
		return err
	}
	o.app.begin(ctx, s, s.loc.String(), m.to.URL)
	return m.work(ctx)
}

// openBeside opens a second store, with the catalog of a session.
func (a *app) openBeside(ctx context.Context, s *session, location string, o wire.Options) (*wire.Store, error) {
	loc, profile, err := a.resolve(location)
	if err != nil {
		return nil, err
	}
	if o, err = a.reachAt(loc, profile, o); err != nil {
		return nil, err
	}
	if profile != nil {
		o.AWSProfile, o.Class = profile.AWSProfile, cmp.Or(o.Class, profile.Class)
	}
	if a.once && (o.Outage == 0 || o.Outage > outageOnce) {
		o.Outage = outageOnce
	}
	store, err := wire.OpenKnown(ctx, s.env, s.catalog, loc, o)
	if err != nil {
		return nil, err
	}
	store.KeepLedger(s.catalog)
	return store, nil
}

// isOver is for firn resume, where nothing is being deleted any more: somebody has
// ended that, or a look at the copies has.
func (m *finishing) isOver() error {
	if m.move.State != catalog.MigrationCopied {
		return m.emptying.isOver()
	}
	return &firn.Error{Op: "finish the migration of", Subject: m.row.URL, Kind: firn.Conflict, Err: fmt.Errorf("it stays: %w", errLacking),
		Hint: "what is missing says: firn migrate --finish " + m.row.URL + " " + m.to.URL + " --dry-run"}
}

// refuse is why the source isn't deleted.
func (m *finishing) refuse(kind firn.Kind, why, hint string) error {
	return &firn.Error{Op: "finish the migration of", Subject: m.row.URL, Kind: kind, Err: errors.New(why), Hint: hint}
}

// targetGone says where a target went that is gone, or gives the error.
func (m *finishing) targetGone(ctx context.Context, err error) error {
	to, found, movedErr := m.catalog.MovedTo(ctx, m.target.Location.String())
	if firn.KindOf(err) != firn.NotFound || movedErr != nil || !found || !to.Copied {
		return err
	}
	return m.refuse(firn.Conflict, m.target.Location.String()+" was itself moved to "+to.URL, "look for the copies there, with: firn migrate --finish "+m.row.URL+" "+to.URL)
}

// look finds the migration, and makes sure that all of it is done.
func (m *finishing) look(ctx context.Context) (err error) {
	again := "firn migrate " + m.row.URL + " " + m.to.URL
	var found bool
	if m.move, found, err = m.findMove(ctx); err != nil {
		return err
	}
	if !found {
		return m.refuse(firn.NotFound, "it was not moved to "+m.to.URL, "that is done with: "+again)
	}
	open, failed := m.move.Totals.Open().Files, m.move.Totals[catalog.CopyFailed].Files
	if m.move.State == catalog.Migrating || open+failed > 0 {
		return m.refuse(firn.Conflict, fmt.Sprintf("it isn't copied whole: %s are to be copied yet, and %s failed", counted(open, "archive"), ui.Count(failed)), "go on with: "+again)
	}
	trees, err := m.catalog.Trees(ctx, m.row.ID)
	if err != nil {
		return err
	}
	if len(trees) > 0 {
		return m.refuse(firn.Conflict, "the tree "+ui.Text(trees[0].Name)+" is still in it", "move it with: "+again)
	}
	if _, going, err := m.catalog.EmptyingOf(ctx, m.to.ID); err != nil || going {
		return cmp.Or(err, m.refuse(firn.Conflict, m.to.URL+", which has the copies, is being emptied itself", "where it was moved as well, name the store that has everything"))
	}
	if m.e, m.open, err = m.catalog.EmptyingOf(ctx, m.row.ID); err != nil {
		return err
	}
	if m.open && m.move.State != catalog.MigrationEmptying {
		return m.refuse(firn.Conflict, "it is being emptied with firn store empty", "let that end, or give it up with: firn store empty "+m.row.URL+" --cancel")
	}
	return nil
}

// findMove finds the migration from the source to the target: where there is none, that
// to another store which was itself moved there.
func (m *finishing) findMove(ctx context.Context) (move catalog.Migration, found bool, err error) {
	if move, found, err = m.catalog.FindMigration(ctx, m.row.ID, m.to.ID, ""); found || err != nil {
		return move, found, err
	}
	all, err := m.movesOf(ctx, m.row.ID)
	for _, first := range all {
		if leads, err := m.leads(ctx, first.Target, maxMoves); leads || err != nil {
			return first, leads, err
		}
	}
	return move, false, err
}

// leads reports whether all of a store went to the target, in so many moves at most.
func (m *finishing) leads(ctx context.Context, store int64, hops int) (bool, error) {
	if store == m.to.ID || hops == 0 {
		return store == m.to.ID, nil
	}
	all, err := m.movesOf(ctx, store)
	for _, one := range all {
		if leads, err := m.leads(ctx, one.Target, hops-1); leads || err != nil {
			return leads, err
		}
	}
	return false, err
}

// movesOf are the migrations by which all of a store went somewhere.
func (m *finishing) movesOf(ctx context.Context, store int64) (whole []catalog.Migration, err error) {
	all, err := m.catalog.Migrations(ctx, store)
	for _, one := range all {
		if one.Only == "" && one.State >= catalog.MigrationCopied && one.State != catalog.MigrationGivenUp {
			whole = append(whole, one)
		}
	}
	return whole, err
}

// endIfGone takes leave of a source that was asked to go, and is gone.
func (m *finishing) endIfGone(ctx context.Context, err error) error {
	if firn.KindOf(err) != firn.NotFound {
		return err
	}
	if _, rowErr := m.catalog.StoreByURL(ctx, m.loc.String()); rowErr == nil {
		return m.emptying.endIfGone(ctx, err)
	}
	moved, found, movedErr := m.catalog.MovedTo(ctx, m.loc.String())
	if movedErr == nil && found && moved.Finished {
		m.ui.Notice(m.loc.String() + " is gone: its migration to " + moved.URL + " is finished")
		return nil
	}
	return err
}

// agree has the vault's name typed, and records that it is to go.
func (m *finishing) agree(ctx context.Context) error {
	if m.open && m.options.Confirm == "" {
		return nil // the name was typed once, and the copies are looked at each time
	}
	if err := m.confirm(ctx); err != nil {
		return err
	}
	if !m.open {
		m.e = catalog.Emptying{Store: m.row.ID, Agreed: m.store.Info.Now}
	}
	m.e.Vault = true
	if err := m.catalog.SetMigration(ctx, m.move.ID, catalog.MigrationEmptying); err != nil {
		return err
	}
	return m.catalog.Empty(ctx, m.e)
}

// work looks at what is to go, and lets it go where all of it may.
func (m *finishing) work(ctx context.Context) error {
	return m.ofStore(ctx, m.row, migrateFinish, func(run catalog.Run) (complete bool, err error) {
		if err := m.list(ctx, run); err != nil {
			return false, err
		}
		if err := m.review(ctx); err != nil {
			return false, m.backOut(ctx, err)
		}
		// Other machines that add to it learn from the store itself that it goes.
		if err := m.store.SetTags(ctx, map[string]string{snapshot.MovedTag: snapshot.MovedValue(m.to.URL)}); err != nil {
			return false, err
		}
		res, err := m.delete(ctx, m.reviewAgain)
		if err != nil {
			err = m.backOut(ctx, err)
		}
		err = errors.Join(err, m.report(res))
		return err == nil, err
	})
}

// reviewAgain looks at the copies where the last look was long ago: what is young was
// waited for.
func (m *finishing) reviewAgain(ctx context.Context) error {
	if m.env.Clock.Now().Sub(m.reviewed) < reviewEvery {
		return nil
	}
	return m.review(ctx)
}

// backOut keeps a source whose copies aren't all there, if nothing was deleted yet.
func (m *finishing) backOut(ctx context.Context, err error) error {
	if isPending(ctx, err) || ctx.Err() != nil || !errors.Is(err, errLacking) {
		return err
	}
	if e, _, eErr := m.catalog.EmptyingOf(ctx, m.row.ID); eErr != nil || !e.Asked.IsZero() {
		return errors.Join(err, eErr)
	}
	err = errors.Join(err, m.catalog.EndEmptying(ctx, m.row.ID))
	return errors.Join(err, m.catalog.SetMigration(ctx, m.move.ID, catalog.MigrationCopied))
}

// errLacking is why a source stays.
var errLacking = errors.New("nothing of it is deleted while copies are missing")

// maxLacking is how many archives that lack a copy are told one by one.
const maxLacking = 100

// review looks at the copies of what is going to be deleted in this call. Errors:
// ErrNotYet (the target's inventory doesn't tell yet), errLacking within Conflict.
func (m *finishing) review(ctx context.Context) error {
	s, err := m.survey(ctx)
	if err != nil || s.Todo.Files+s.Asked+s.Refused == 0 {
		return err
	}
	seen, err := m.witness(ctx)
	if err != nil {
		return err
	}
	if seen.Pending {
		m.options.app.expect(seen.Ready)
		m.ui.Print("the copies are looked for in the inventory of " + m.to.URL + ": " + inventoryText(seen.Ready, m.env.Clock.Now()))
		return ErrNotYet
	}
	margin := catalog.InventoryMargin
	if m.target.Traits().FreshInventory {
		margin = 0
	}
	told := 0
	r, err := migrate.ReviewSource(ctx, migrate.ReviewOptions{
		Catalog: m.catalog, Source: m.row, Target: m.to.ID, Going: m.e, Witness: &seen, Dated: seen.Dated, Margin: margin,
		Tell: func(l migrate.Lacking) {
			if told++; told <= maxLacking {
				m.ui.Record("uncopied", uncopiedRecord{m.row.URL, l.Archive, l.Size, l.Copy, l.Why})
				m.ui.Warn(fmt.Sprintf("%s (%s): %s", l.Archive, ui.Bytes(l.Size), l.Why))
			}
		},
	})
	if err != nil {
		return err
	}
	return m.verdict(r)
}

// An uncopiedRecord is an archive that keeps its store from being deleted.
type uncopiedRecord struct {
	Store   string         `json:"store"`
	Archive firn.ArchiveID `json:"archive"`
	Size    int64          `json:"size"`
	Copy    firn.ArchiveID `json:"copy,omitempty"`
	Why     string         `json:"why"`
}

// witness compares the target's inventory with the catalog. What differs there is
// told by the copies that are in it.
func (m *finishing) witness(ctx context.Context) (upkeep.StoreResult, error) {
	waker, err := m.target.Waker(ctx, m.catalog, m.to)
	if err != nil {
		return upkeep.StoreResult{}, err
	}
	asker := retrieval.New(retrieval.Options{
		Catalog: m.catalog, Row: m.to.ID, Store: m.target, Clock: m.env.Clock, Events: m.env.Events,
		Run: catalog.Run{Store: m.to.ID}, Poll: m.options.Poll, Waker: waker,
	})
	return upkeep.VerifyStore(ctx, upkeep.StoreOptions{
		Catalog: m.catalog, Row: m.to.ID, Store: m.target, Asker: asker, Events: firn.Discard,
		Wait: m.options.Wait && !m.options.app.once, Strict: true,
	})
}

// verdict is what a review comes to.
func (m *finishing) verdict(r migrate.Review) error {
	if r.Lacking.Files > 0 {
		return &firn.Error{Op: "finish the migration of", Subject: m.row.URL, Kind: firn.Conflict,
			Err:  fmt.Errorf("%s are not in %s as they were copied: %w", archives(r.Lacking.Files, r.Lacking.Bytes), m.to.URL, errLacking),
			Hint: m.remedy(r)}
	}
	if r.Young.Files > 0 {
		m.ui.Print(archives(r.Young.Files, r.Young.Bytes) + " were copied too lately to be in the inventory of " + m.to.URL + "; run the same command again in a day")
		return ErrNotYet
	}
	m.ui.Notice("looked at the copies of " + archives(r.Copied.Files, r.Copied.Bytes) + ": all are in " + m.to.URL + " as recorded")
	if r.Pruned.Files > 0 {
		m.ui.Notice("the copies of " + archives(r.Pruned.Files, r.Pruned.Bytes) + " were pruned there since")
	}
	m.reviewed = m.env.Clock.Now()
	return nil
}

// remedy says by which commands what lacks a copy gets one. What the catalog holds to be
// in the target is copied again only once it knows better, and what another machine has
// put into the source once that is known.
func (m *finishing) remedy(r migrate.Review) string {
	steps, migrated := []string{}, "firn migrate "+m.row.URL+" "+m.to.URL
	if r.Unlisted > 0 {
		steps = append(steps, "firn store refresh --fix "+m.to.URL)
	}
	if r.Uncopied > 0 {
		if migrate.UnknownIn(m.move).Archives > 0 {
			steps = append(steps, "firn recover "+m.row.URL)
		}
		migrated += " --max-age 0"
	}
	steps = append(steps, migrated)
	return "to have it copied, and then this again: " + strings.Join(steps, "; then: ")
}

// dryRun tells what would be deleted, and what stands against it.
func (m *finishing) dryRun(ctx context.Context) (err error) {
	m.run = catalog.Run{Store: m.row.ID}
	if err := m.newAsker(ctx); err != nil {
		return err
	}
	if !m.open || m.e.Inventory == 0 {
		inv, err := m.stage(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.catalog.ForgetInventory(context.WithoutCancel(ctx), inv.ID)) }()
		m.e = catalog.Emptying{Store: m.row.ID, Inventory: inv.ID, Agreed: m.store.Info.Now, Vault: true}
	}
	if err := m.review(ctx); err != nil {
		return err
	}
	s, err := m.survey(ctx)
	if err != nil {
		return err
	}
	m.record(emptyingRecord{DryRun: true, Archives: s.Todo.Files, Bytes: s.Todo.Bytes, Waiting: s.Young.Files, WaitingBytes: s.Young.Bytes, Free: timeText(s.Free), AllFree: timeText(s.AllFree)})
	m.ui.Print(fmt.Sprintf("would delete %s with %s from %s, and then the store itself", counted(s.Todo.Files, "archive"), ui.Bytes(s.Todo.Bytes), m.store.Info.Address))
	if s.Young.Files > 0 {
		m.ui.Print(fmt.Sprintf("%s of these when they are free of fees, the last at %s", counted(s.Young.Files, "archive"), localTime(s.AllFree)))
	}
	return nil
}
