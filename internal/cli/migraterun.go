package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/transfer"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

// A migration is one call of the command.
type migration struct {
	*session // of the source
	*migrateOptions
	row catalog.Store
	to  *session // of the target, with the same catalog
	at  catalog.Store
	// listed is what an inventory showed in this call that the catalog doesn't know.
	listed *migrate.Unknown
}

func runMigrate(ctx context.Context, o *migrateOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Finish {
		return runMigrateFinish(ctx, o.finishing())
	}
	if o.Away.asked() {
		return o.Away.run(ctx, o)
	}
	if o.GiveUp {
		return runMigrateGiveUp(ctx, o)
	}
	m, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	defer m.to.store.Close()
	if !o.DryRun {
		o.app.begin(ctx, m.session, m.row.URL, m.at.URL, o.Tree)
		unlock, err := m.lock()
		defer unlock()
		if err != nil {
			return err
		}
	}
	if ok, err := m.takeIn(ctx); err != nil || !ok {
		return err
	}
	return m.move(ctx)
}

// open opens both stores, and makes the target where it may.
func (o *migrateOptions) open(ctx context.Context) (m *migration, err error) {
	s, err := o.app.openStore(ctx, o.From, o.Common.wire())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	m = &migration{session: s, migrateOptions: o}
	if m.row, err = s.store.Check(ctx, s.catalog); err != nil {
		return nil, err
	}
	loc, profile, err := o.app.resolve(o.To)
	if err != nil {
		return nil, err
	}
	if o.Class != "" && loc.Scheme != config.S3 {
		return nil, wrongUsage("migrate", "only stores in S3 have a class, and %s is none", loc)
	}
	w := o.Common.wire()
	w.Class, w.MakeVault = o.Class, true
	target, err := o.app.openBeside(ctx, s, o.To, w)
	if err != nil {
		return nil, err
	}
	m.to = &session{env: s.env, ui: s.ui, catalog: s.catalog, store: target, loc: loc, profile: profile}
	if err = m.openTarget(ctx); err != nil {
		err = errors.Join(err, target.Close())
	}
	return m, err
}

// openTarget registers the target. A dry run only looks.
func (m *migration) openTarget(ctx context.Context) (err error) {
	if !m.DryRun {
		m.at, err = m.to.store.CheckOrCreate(ctx, m.catalog)
	} else {
		if _, err := m.to.store.Look(ctx); err != nil && firn.KindOf(err) != firn.NotFound {
			return err
		}
		m.at, err = m.catalog.StoreByURL(ctx, m.to.loc.String())
		if firn.KindOf(err) == firn.NotFound {
			m.at, err = catalog.Store{StoreSpec: catalog.StoreSpec{URL: m.to.loc.String()}}, nil
		}
	}
	if err == nil && m.at.ID == m.row.ID {
		err = wrongUsage("migrate", "%s and %s are one store", m.From, m.To)
	}
	return err
}

// lock keeps all else on this machine from both stores that works on all of one.
func (m *migration) lock() (unlock func(), err error) {
	var held []func() error
	unlock = func() {
		for _, u := range held {
			u()
		}
	}
	for _, row := range []catalog.Store{m.row, m.at} {
		l, err := wire.LockStore(m.env, row, catalog.MigrateRun)
		if err != nil {
			return unlock, err
		}
		held = append(held, l.Unlock)
	}
	return unlock, nil
}

// takeIn reads an inventory of the source where the last one is too old, so that
// what others left there has names, and nothing is forgotten. It gives false while
// the source is making one. A dry run goes by what is known.
func (m *migration) takeIn(ctx context.Context) (ok bool, err error) {
	dated, err := m.catalog.InventoryDate(ctx, m.row.ID)
	if err != nil {
		return false, err
	}
	left, err := m.unknown(ctx)
	if err != nil {
		return false, err
	}
	known := !dated.IsZero()
	if known && m.store.Info.Now.Sub(dated) < m.MaxAge && (left.Archives == 0 || left.Listed == dated.Unix()) { // of dates by the second: 0 is always a new one
		if m.DryRun {
			m.tellUnknown(left.Archives)
		}
		return true, nil
	}
	a := &adoptOptions{app: m.app, Store: m.From, Common: m.Common, Wait: m.Wait, Poll: m.Poll}
	if m.DryRun {
		if !known {
			m.ui.Notice("this goes by the catalog alone: what other programs have in " + m.row.URL + " shows once it is moved, or with firn adopt")
		}
		m.tellUnknown(left.Archives)
		return true, nil
	}
	if err := a.chooseTree(ctx, m.session, m.row); firn.KindOf(err) == firn.Usage {
		a.Tree = path.Base(m.store.Info.Name) + ".others" // that of a store in S3 has slashes
	} else if err != nil {
		return false, err
	}
	res, err := a.adopt(ctx, m.session, m.row)
	if err != nil {
		return false, err
	}
	if res.Pending {
		m.app.expect(res.Ready)
		m.ui.Record("migration", migrationRecord{From: m.row.URL, To: m.at.URL, Tree: m.Tree, State: migrationInventory, Ready: timeText(res.Ready)})
		m.ui.Print(inventoryText(res.Ready, m.env.Clock.Now()))
		return false, ErrNotYet
	}
	if n := res.Files.Files + res.Bare.Files; n > 0 {
		m.ui.Notice(fmt.Sprintf("took in %s of other programs", counted(n, "archive")))
	}
	m.tellUnknown(res.Own.Files)
	if dated, err = m.catalog.InventoryDate(ctx, m.row.ID); err == nil {
		m.listed = migrate.ListedAt(res.Own.Files, dated)
	}
	return err == nil, err
}

// unknown is what of the source was no part of the migration when its inventory was
// read last.
func (m *migration) unknown(ctx context.Context) (migrate.Unknown, error) {
	if m.at.ID == 0 {
		return migrate.Unknown{}, nil
	}
	move, _, err := m.catalog.FindMigration(ctx, m.row.ID, m.at.ID, m.Tree)
	return migrate.UnknownIn(move), err
}

// tellUnknown tells of archives that nobody can move before the catalog knows them.
func (m *migration) tellUnknown(archives int64) {
	if archives > 0 {
		m.ui.Warn(fmt.Sprintf("%s of firn's own in %s that this catalog doesn't know, which stay there: another machine's, or those of a lost catalog; to move them as well, first: firn recover %s",
			counted(archives, "archive"), m.row.URL, m.row.URL))
	}
}

// options are those of the work.
func (m *migration) options(ctx context.Context) (o migrate.Options, err error) {
	b, err := m.Bundle.bundling(m.env, m.to.store.Class())
	if err != nil {
		return o, err
	}
	waker, err := m.store.Waker(ctx, m.catalog, m.row)
	if err != nil {
		return o, err
	}
	return migrate.Options{
		Catalog: m.catalog, From: migrate.Side{Row: m.row, Store: m.store}, To: migrate.Side{Row: m.at, Store: m.to.store},
		Clock: m.env.Clock, Events: m.env.Events, Only: m.Tree,
		Bundling: migrate.Bundling{Below: b.Below, Size: b.Size, Spool: b.Spool}, LeastCharged: price.Least(m.to.store.Class()),
		Tiers: m.Tiers, RetrieveRate: int64(m.RetrieveRate.byteSize), MaxFiles: int64(m.MaxFiles), MaxBytes: int64(m.MaxBytes.byteSize),
		Concurrency: int(m.Concurrency), LimitUpload: m.Common.LimitUpload.Slowest(), Wait: m.Wait && !m.app.once, Poll: m.Poll, Waker: waker,
		Agree: m.agree, AgreeAgain: m.Consent.MaxCost.amount > 0, AgreeMore: m.agreeMore, Listed: m.listed,
		Lock: func(ctx context.Context, tree string) (func(), error) {
			l, err := wire.LockTree(ctx, m.env, m.row, tree, 0)
			return func() { l.Unlock() }, err
		},
	}, nil
}

func (m *migration) agree(ctx context.Context, look migrate.Outlook) error {
	p, err := m.Way.quote(ctx, m.catalog, m.row, m.store, m.to.store, look)
	if err != nil {
		return err
	}
	return m.Way.agree(ctx, &m.Consent, p, m.DryRun)
}

// agreeMore asks about a migration that has grown, where what came costs more than goes
// without a question.
func (m *migration) agreeMore(ctx context.Context, look migrate.Outlook) (asked bool, err error) {
	p, err := m.Way.quote(ctx, m.catalog, m.row, m.store, m.to.store, look)
	if err != nil {
		return false, err
	}
	more := p.grown()
	if more.Known && more.Amount <= m.Consent.Budget.askAbove() {
		return false, nil
	}
	m.ui.Notice(fmt.Sprintf("%s came to %s since the price was agreed to; this is what is left:", archives(look.Grown.Files, look.Grown.Bytes), m.row.URL))
	return true, m.Way.agree(ctx, &m.Consent, p, false)
}

// move does the work, and tells of it.
func (m *migration) move(ctx context.Context) error {
	if m.Tree != "" {
		if _, err := m.catalog.Tree(ctx, m.row.ID, m.Tree); err != nil {
			if _, there := m.catalog.Tree(ctx, m.at.ID, m.Tree); there != nil {
				return err
			}
		}
	}
	o, err := m.options(ctx)
	if err != nil {
		return err
	}
	if m.DryRun {
		look, err := migrate.Plan(ctx, o)
		if err == nil {
			err = m.agree(ctx, look)
		}
		return err
	}
	uploader, err := transfer.NewUploader(m.to.store, m.to.store.Traits(), transfer.UploadOptions{Clock: m.env.Clock, Events: m.env.Events, TokenOf: describe.TokenOf})
	if err != nil {
		return err
	}
	maker, err := m.app.newSnapshots(ctx, m.to, m.at, uploader)
	if err != nil {
		return err
	}
	if err := maker.Check(ctx); err != nil {
		return err
	}
	unsaved := false
	o.Saved = func(ctx context.Context, run catalog.Run) error {
		err := maker.Make(ctx, run)
		if err != nil && ctx.Err() == nil {
			m.ui.Warn(err.Error())
			unsaved, err = true, nil
		}
		return err
	}
	start := m.env.Clock.Now()
	res, err := migrate.Run(ctx, o)
	if firn.KindOf(err) == firn.Usage && res.Copied.Files == 0 {
		return err // nobody agreed: that it goes on by itself would be untrue
	}
	m.env.Events(firn.SummaryEvent{
		Command: catalog.MigrateRun, Store: m.at.URL, Stopped: err != nil, Elapsed: m.env.Clock.Now().Sub(start),
		Counts: map[firn.Action]firn.Count{firn.Sent: res.Copied, firn.Failed: res.Migration.Totals[catalog.CopyFailed], firn.Pending: res.Migration.Totals.Open()},
	})
	if unsaved {
		err = errors.Join(err, ErrPartial)
	}
	told := m.report(ctx, res)
	if firn.KindOf(err) == firn.Usage {
		return err
	}
	return errors.Join(err, told)
}

// The states of a migration, in its record.
const (
	migrationInventory = "inventory" // the source is making the list of what it has
	migrationGoing     = "going"
	migrationCopied    = "copied"
	migrationEmptying  = "emptying"
	migrationDone      = "done"
	migrationGivenUp   = "given-up"
)

// A migrationRecord says how far a migration is.
type migrationRecord struct {
	From         string   `json:"from"`
	To           string   `json:"to"`
	Tree         string   `json:"tree,omitempty"`
	State        string   `json:"state"`
	Archives     int64    `json:"archives"`
	Bytes        int64    `json:"bytes"`
	Copied       int64    `json:"copied"`
	CopiedBytes  int64    `json:"copied_bytes"`
	Failed       int64    `json:"failed"`
	Trees        []string `json:"trees,omitempty"`      // that moved in this call
	TreesStaying []string `json:"trees_left,omitempty"` // that could not
	Unknown      int64    `json:"unknown,omitempty"`    // of firn's own in the source, that the catalog doesn't know
	Mended       int64    `json:"mended,omitempty"`     // versions whose copy was lost, and that have one again
	Ready        string   `json:"ready,omitempty"`      // RFC 3339
	Started      string   `json:"started,omitempty"`    // RFC 3339
}

// newMigrationRecord is what the catalog says of a migration.
func newMigrationRecord(m catalog.Migration, from, to string) migrationRecord {
	r := migrationRecord{From: from, To: to, Tree: m.Only, State: migrationGoing, Started: timeText(m.Started), Unknown: migrate.UnknownIn(m).Archives}
	switch m.State {
	case catalog.MigrationCopied:
		r.State = migrationCopied
	case catalog.MigrationEmptying:
		r.State = migrationEmptying
	case catalog.MigrationDone:
		r.State = migrationDone
	case catalog.MigrationGivenUp:
		r.State = migrationGivenUp
	}
	done, failed, open := m.Totals[catalog.CopyDone], m.Totals[catalog.CopyFailed], m.Totals.Open()
	r.Copied, r.CopiedBytes, r.Failed = done.Files, done.Bytes, failed.Files
	r.Archives, r.Bytes = done.Files+failed.Files+open.Files, done.Bytes+failed.Bytes+open.Bytes
	return r
}

// text is the record in a line.
func (r *migrationRecord) text() string {
	what := r.From + " to " + r.To
	if r.Tree != "" {
		what = "tree " + r.Tree + " of " + what
	}
	text := fmt.Sprintf("%s: %s of %s copied", what, ui.Count(r.Copied), archives(r.Archives, r.Bytes))
	if r.Failed > 0 {
		text += ", " + ui.Count(r.Failed) + " failed"
	}
	switch r.State {
	case migrationEmptying:
		text += "; " + r.From + " is being emptied"
	case migrationDone:
		text += "; " + r.From + " is gone"
	}
	return text
}

// report tells how far it is, and gives the status.
func (m *migration) report(ctx context.Context, res migrate.Result) error {
	r := newMigrationRecord(res.Migration, m.row.URL, m.at.URL)
	r.Trees, r.TreesStaying, r.Ready, r.Mended = res.Moved, res.Left, timeText(res.Ready), res.Mended
	m.app.expect(res.Ready)
	m.ui.Record("migration", r)
	if m.ui.IsJSON() || res.Migration.ID == 0 {
		return m.status(res)
	}
	m.ui.Print(r.text())
	if len(res.Moved) > 0 {
		m.ui.Print("moved: " + strings.Join(res.Moved, ", "))
	}
	for _, tree := range res.Left {
		m.ui.Warn(fmt.Sprintf("the tree %s stays in %s: something of it isn't copied", tree, m.row.URL))
	}
	if res.Mended > 0 {
		m.ui.Print(fmt.Sprintf("%s whose copy was lost can be restored again", counted(res.Mended, "version")))
	}
	m.tellFailed(ctx, res.Migration)
	if m.listed == nil { // else that was told at the beginning
		m.tellUnknown(res.Unknown.Archives)
	}
	switch {
	case res.Pending():
		m.ui.Notice(pendingText(res.Ready, m.env.Clock.Now()))
	case res.Done && m.Tree == "" && res.Unknown.Archives == 0:
		m.ui.Notice(fmt.Sprintf("%s stays as it is until: firn migrate --finish %s %s", m.row.URL, m.row.URL, m.at.URL))
	}
	return m.status(res)
}

// status is that of a command whose trees stay, too.
func (m *migration) status(res migrate.Result) error {
	err := statusOfResult(res)
	if (len(res.Left) > 0 || res.Unknown.Archives > 0 && res.Done) && !res.Failed() {
		err = errors.Join(err, ErrPartial)
	}
	return err
}

// maxFailed is how many archives are named that could not be copied.
const maxFailed = 20

func (m *migration) tellFailed(ctx context.Context, move catalog.Migration) {
	n := move.Totals[catalog.CopyFailed].Files
	if n == 0 {
		return
	}
	failed, err := m.catalog.FailedCopies(ctx, move.ID, 0, maxFailed)
	if err != nil {
		return
	}
	for _, f := range failed {
		name := "archive " + string(f.Remote)
		if f.Path != "" {
			name = ui.Text(f.Path)
		}
		m.ui.Warn("not copied: " + name + ": " + f.Why)
	}
	if n > maxFailed {
		m.ui.Warn(fmt.Sprintf("and %d more", n-maxFailed))
	}
}

// showMigrations lists the migrations from a store that are not done, and reports
// whether there are any.
func showMigrations(ctx context.Context, s *session, store catalog.Store) (bool, error) {
	all, err := s.catalog.Migrations(ctx, store.ID)
	if err != nil || len(all) == 0 {
		return false, err
	}
	jobs, err := s.catalog.JobTotals(ctx, store.ID)
	if err != nil {
		return false, err
	}
	stores, err := s.catalog.Stores(ctx)
	if err != nil {
		return false, err
	}
	urls := map[int64]string{}
	for _, one := range stores {
		urls[one.ID] = one.URL
	}
	open := false
	for _, m := range all {
		if m.State >= catalog.MigrationDone {
			continue
		}
		r := newMigrationRecord(m, store.URL, urls[m.Target])
		if m.State == catalog.Migrating {
			open = true
			if ready := firstReady(store, jobs, firn.RetrievalJob); !ready.IsZero() {
				r.Ready = timeText(ready)
			}
		}
		s.ui.Record("migration", r)
		s.ui.Print("  moving " + r.text())
	}
	return open, nil
}
