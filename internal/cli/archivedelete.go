package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/retrieval"
	"github.com/firn-archive/firn/internal/ui"
	"github.com/firn-archive/firn/internal/wire"
)

type archiveDeleteOptions struct {
	app      *app
	Store    string
	Archives []string
	DryRun   bool

	Common  storeOptions
	Consent consentOptions
}

func newArchiveDeleteCmd(a *app, run func(context.Context, *archiveDeleteOptions) error) *cobra.Command {
	o := &archiveDeleteOptions{app: a}
	cmd := &cobra.Command{
		Use:   "delete STORE ID...",
		Short: "delete archives by their ids",
		Long: `Delete archives from STORE, whoever wrote them, also those that the catalog doesn't
know. It can't be undone. Deleted is what nothing refers to: an archive with a version
of a file of any tree, with a snapshot of the catalog, or that a restore waits for
stays, and what refers to it is named. Versions go by firn sync --delete-removed.

A vault charges for 90 days at the least: what is deleted before is charged for the
rest of them. That price is told before anything is deleted. Inventories list what is
deleted for a day or so; the catalog remembers that it is gone.

One that is gone already is no error. An ID that begins with - goes behind --.`,
		Example: `  firn archive delete glacier:photos NkbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87
  firn archive delete glacier:photos --dry-run -- -kbByEejwEggmBz2fTHgJrg0XBoDfjP4q6iu87`,
		Args:              takes("STORE", "ID..."),
		ValidArgsFunction: a.completeOneStore,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.DryRun, "dry-run", "n", false, "show what would be deleted, and what it costs")
	o.Consent.addFlags(f, a)
	o.Common.addFlags(f, false, false)
	cmd.RunE = a.runner(func(ctx context.Context, args []string) error {
		o.Store, o.Archives = args[0], args[1:]
		if err := a.useProfile(f, o.Store); err != nil {
			return err
		}
		return run(ctx, o)
	})
	return cmd
}

// A doomed archive is one that is to be deleted.
type doomed struct {
	id    firn.ArchiveID
	known catalog.Account
	err   error // why it stays
	gone  bool
	users []catalog.Reference // some of the versions that are in it
	more  int64               // how many others are
}

// namedUsers is how many versions of each archive are named.
const namedUsers = 3

func runArchiveDelete(ctx context.Context, o *archiveDeleteOptions) error {
	slices.Sort(o.Archives)
	o.Archives = slices.Compact(o.Archives)
	if o.Archives[0] == "" {
		return wrongUsage("delete", "an archive's id is empty")
	}
	s, err := o.app.openStore(ctx, o.Store, o.Common.wire())
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.store.Check(ctx, s.catalog)
	if err != nil {
		return err
	}
	// Nobody takes in meanwhile what is being deleted.
	lock, err := wire.LockStore(s.env, row, "archive delete")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	d := &archiveDeleter{options: o, session: s, row: row}
	for _, id := range o.Archives {
		d.all = append(d.all, &doomed{id: firn.ArchiveID(id)})
	}
	if err := d.look(ctx); err != nil {
		return err
	}
	agree := o.Consent.agree
	if o.DryRun {
		agree = o.Consent.tell
	}
	if err := agree(ctx, "the deletion of "+counted(int64(len(d.left())), "archive"), s.store.HeldPrices(), d.fees()); err != nil {
		return errors.Join(err, d.refusals())
	}
	if !o.DryRun {
		err = d.run(ctx)
	}
	return errors.Join(err, d.report())
}

// An archiveDeleter deletes archives.
type archiveDeleter struct {
	*session
	options *archiveDeleteOptions
	row     catalog.Store
	all     []*doomed
}

// left gives those that nothing speaks against.
func (d *archiveDeleter) left() (all []*doomed) {
	for _, a := range d.all {
		if a.err == nil {
			all = append(all, a)
		}
	}
	return all
}

// look finds what speaks against deleting each of them.
func (d *archiveDeleter) look(ctx context.Context) error {
	snapshots, err := d.catalog.Snapshots(ctx, d.row.ID)
	if err != nil {
		return err
	}
	if err := d.lookUp(ctx); err != nil {
		return err
	}
	byRow := map[int64]*doomed{}
	for _, a := range d.all {
		isSnapshot := func(s catalog.Snapshot) bool { return a.known.HasAccount && s.Archive == a.known.ID }
		switch {
		case a.known.State != catalog.NoArchive && a.known.State < catalog.Stored, a.known.Doubted:
			a.refuse("whether it is stored, and how often, isn't known yet", "settle that first with: firn store refresh "+d.loc.String())
		case slices.ContainsFunc(snapshots, isSnapshot) && a.known.State == catalog.Stored:
			a.refuse("it is a snapshot of the catalog, from which a lost machine is recovered", "firn deletes those itself that are not needed any more")
		case a.known.Wanted:
			a.refuse("a restore or a job brings it", "fetch it first, or wait until the job is gone")
		}
		if a.known.HasAccount {
			byRow[a.known.ID] = a
		}
	}
	return d.findUsers(ctx, byRow)
}

// lookUp finds out what the catalog knows. Where it waits for jobs, the store is
// asked whether they are there still.
func (d *archiveDeleter) lookUp(ctx context.Context) (err error) {
	for updated := false; ; updated = true {
		anyWanted := false
		for _, a := range d.all {
			if a.known, err = d.catalog.AccountOf(ctx, d.row.ID, a.id); err != nil {
				return err
			}
			anyWanted = anyWanted || a.known.Wanted
		}
		if !anyWanted || updated {
			return nil
		}
		_, err := retrieval.Update(ctx, retrieval.Options{Catalog: d.catalog, Row: d.row.ID, Store: d.store, Clock: d.env.Clock}, func(retrieval.Listed) {})
		if err != nil {
			return err
		}
	}
}

// findUsers finds the versions that are in the archives.
func (d *archiveDeleter) findUsers(ctx context.Context, byRow map[int64]*doomed) error {
	var rows []int64
	for row := range byRow {
		rows = append(rows, row)
	}
	for ref, err := range d.catalog.References(ctx, rows) {
		if err != nil {
			return err
		}
		a := byRow[ref.Archive]
		if len(a.users) < namedUsers {
			a.users = append(a.users, ref)
		} else {
			a.more++
		}
	}
	for _, a := range d.all {
		if len(a.users) > 0 && a.err == nil {
			a.refuse(a.usersText(), "a version that is to go is let go of by firn sync --delete-removed")
		}
	}
	return nil
}

// refuse says why an archive stays.
func (a *doomed) refuse(why, hint string) {
	a.err = &firn.Error{Op: "delete archive", Subject: string(a.id), Kind: firn.Conflict, Err: errors.New(why), Hint: hint}
}

// usersText names the versions that are in an archive.
func (a *doomed) usersText() string {
	var names []string
	for _, u := range a.users {
		name := ui.Text(u.Tree + ": " + u.Path)
		if u.Until != 0 {
			name += " (an earlier version)"
		}
		names = append(names, name)
	}
	text := "it holds " + strings.Join(names, ", ")
	if a.more > 0 {
		text += fmt.Sprintf(" and %s more", ui.Count(a.more))
	}
	return text
}

// fees are what it costs to delete archives that the store charges for still.
func (d *archiveDeleter) fees() (items []costItem) {
	least := d.store.Traits().MinDuration
	prices := d.store.HeldPrices()
	var known costItem
	known.Cost.Known = true
	var longest time.Duration
	early, strangers, atMost := int64(0), int64(0), ""
	for _, a := range d.left() {
		if !a.known.HasAccount {
			if least > 0 {
				strangers++
			}
			continue
		}
		shortest := price.ShortestOf(a.known.Class, least)
		left := d.chargedFor(a, shortest)
		if left == 0 {
			continue
		}
		early++
		longest = max(longest, shortest)
		known.Cost = known.Cost.Plus(prices.Of(a.known.Class).EarlyDeletion(1, a.known.Size, left))
		if a.known.Created.IsZero() {
			atMost = "at most "
		}
	}
	if early > 0 {
		known.What = fmt.Sprintf("%swhat is left of %d days for %s", atMost, longest/(24*time.Hour), counted(early, "archive"))
		items = append(items, known)
	}
	if strangers > 0 {
		items = append(items, costItem{What: counted(strangers, "archive") + " of unknown age and size"})
	}
	return items
}

// chargedFor is for how long an archive is still charged for. One of which the
// store hasn't said yet when it was made is taken for as young as it can be.
func (d *archiveDeleter) chargedFor(a *doomed, least time.Duration) time.Duration {
	switch {
	case !a.isThere():
		return 0
	case a.known.Created.IsZero():
		return least
	}
	return max(0, a.known.Created.Add(least).Sub(d.store.Info.Now))
}

// isThere reports whether the store has the archive, as far as the catalog knows.
func (a *doomed) isThere() bool {
	return a.known.State == catalog.Stored || a.known.State == catalog.Foreign
}

// run deletes what is left.
func (d *archiveDeleter) run(ctx context.Context) error {
	if len(d.left()) == 0 {
		return nil
	}
	run, err := d.catalog.BeginRun(ctx, d.row.ID, 0, "archive delete")
	if err != nil {
		return err
	}
	var stored []int64
	for _, a := range d.left() {
		if a.known.State == catalog.Stored {
			stored = append(stored, a.known.ID)
		}
	}
	// What a sync refers to from now on isn't queued.
	err = d.catalog.Condemn(ctx, run, catalog.Retirement{MinAge: d.store.Traits().MinDuration, Why: "firn archive delete"}, stored)
	for _, a := range d.left() {
		if err == nil {
			err = d.delete(ctx, run, a)
		}
	}
	endErr := d.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil && len(d.left()) == len(d.all)})
	return errors.Join(err, endErr)
}

// ask asks the store to delete an archive: where something is known of it, that one
// alone, since in S3 another machine may have stored another under its name.
func (d *archiveDeleter) ask(ctx context.Context, a *doomed) error {
	if !a.isThere() {
		return d.store.DeleteArchive(ctx, a.id)
	}
	return firn.DeleteOnly(ctx, d.store, firn.Deletable{Archive: firn.Archive{ID: a.id, Size: a.known.Size, Created: a.known.Created}})
}

// delete deletes one archive. An error is one that ends the command.
func (d *archiveDeleter) delete(ctx context.Context, run catalog.Run, a *doomed) error {
	if a.known.State == catalog.Stored {
		err := d.catalog.DeletionAsked(ctx, a.known.ID)
		switch firn.KindOf(err) {
		case firn.NotFound:
			a.refuse("a version that was recorded meanwhile refers to it", "")
			return nil
		case firn.Conflict:
			a.err = err
			return d.catalog.Reprieve(ctx, a.known.ID)
		}
		if err != nil {
			return err
		}
	}
	err := d.ask(ctx, a)
	record := context.WithoutCancel(ctx)
	switch firn.KindOf(err) {
	case firn.Denied, firn.Invalid, firn.NotFound, firn.NoNewCustomers, firn.Conflict: // surely it is there still, or another is
		a.err = err
		if a.known.State == catalog.Stored {
			return d.catalog.Reprieve(record, a.known.ID)
		}
		return nil
	}
	if err != nil {
		return err
	}
	a.gone = true
	if a.known.HasAccount {
		return d.catalog.MarkDeleted(record, run, a.known.ID)
	}
	d.ui.Notice(fmt.Sprintf("nothing was known of the archive %s: if there was one, it is gone", a.id))
	return d.catalog.Bury(record, run, firn.Archive{ID: a.id})
}

// A deletionRecord is what became of one archive.
type deletionRecord struct {
	Store    string         `json:"store"`
	Archive  firn.ArchiveID `json:"archive"`
	Deleted  bool           `json:"deleted"`
	DryRun   bool           `json:"dry_run,omitempty"`
	Size     int64          `json:"size,omitempty"`
	Error    string         `json:"error,omitempty"`
	Versions int64          `json:"versions,omitempty"` // that are in it
	Paths    []userPath     `json:"paths,omitempty"`    // of some of them
}

// A userPath is a path of a tree.
type userPath struct {
	Tree string `json:"tree"`
	ui.Path
}

// report tells what became of each archive.
func (d *archiveDeleter) report() error {
	for _, a := range d.all {
		r := deletionRecord{
			Store: d.loc.String(), Archive: a.id, Deleted: a.gone, DryRun: d.options.DryRun, Size: a.known.Size, Versions: int64(len(a.users)) + a.more,
		}
		for _, u := range a.users {
			r.Paths = append(r.Paths, userPath{u.Tree, ui.NewPath(u.Path)})
		}
		if a.err != nil {
			r.Error = a.err.Error()
		}
		d.ui.Record("deletion", r)
		switch {
		case a.gone:
			d.ui.Print("deleted " + string(a.id))
		case a.err == nil && d.options.DryRun:
			d.ui.Print("would delete " + string(a.id))
		}
	}
	return d.refusals()
}

// refusals gives the error for what stays: of a single archive the reason, of
// several, of which each was told why, that not all was done.
func (d *archiveDeleter) refusals() error {
	if len(d.all) == 1 {
		return d.all[0].err
	}
	var status error
	for _, a := range d.all {
		if a.err != nil {
			d.ui.Warn(a.err.Error())
			status = ErrPartial
		}
	}
	return status
}
