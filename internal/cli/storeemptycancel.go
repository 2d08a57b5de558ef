package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/price"
	"github.com/firn-archive/firn/internal/upkeep"
	"github.com/firn-archive/firn/internal/wire"
)

// runCancelEmptying gives up the emptying of a store: what isn't deleted stays, and
// nobody goes on with it. It asks the store nothing.
func runCancelEmptying(ctx context.Context, o *storeEmptyOptions) (err error) {
	s, err := o.app.openCatalog(ctx, o.Store)
	if err != nil {
		return err
	}
	defer s.close()
	m := &emptying{session: s, options: o}
	if m.row, err = s.row(ctx); err != nil {
		return err
	}
	lock, err := wire.LockStore(s.env, m.row, storeEmpty)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if m.e, m.open, err = s.catalog.EmptyingOf(ctx, m.row.ID); err != nil {
		return err
	}
	if !m.open {
		return &firn.Error{Op: "cancel", Subject: m.row.URL, Kind: firn.NotFound, Err: errors.New("it is not being emptied")}
	}
	if err := m.dropTask(ctx); err != nil {
		return err
	}
	sum, err := upkeep.SurveyEmptying(ctx, s.catalog, m.e, s.env.Clock.Now(), 0, price.Tariff{})
	if err == nil {
		err = m.bury(ctx)
	}
	if err == nil {
		err = s.catalog.EndEmptying(ctx, m.row.ID)
	}
	if err != nil {
		return err
	}
	m.record(emptyingRecord{Cancelled: true, InDoubt: sum.Asked})
	s.ui.Print(fmt.Sprintf("%s is not emptied any more: %s %s deleted, and the others stay", m.row.URL, counted(sum.Gone, "archive"), form(sum.Gone, "was", "were")))
	if sum.Asked > 0 {
		s.ui.Warn(inDoubtText(sum.Asked) + ": a later inventory tells, with: firn store refresh " + m.row.URL)
	}
	return nil
}

// dropTask makes firn resume forget the command.
func (m *emptying) dropTask(ctx context.Context) error {
	tasks, err := m.session.tasks(ctx)
	for _, t := range tasks {
		if err == nil && t.Command == storeEmpty {
			err = m.catalog.DropTask(ctx, t.Subject)
		}
	}
	return err
}

// bury makes tombstones of what was deleted, so that no inventory brings it back.
func (m *emptying) bury(ctx context.Context) error {
	if m.e.Inventory == 0 {
		return nil
	}
	run, err := m.catalog.BeginRun(ctx, m.row.ID, 0, storeEmpty)
	if err != nil {
		return err
	}
	err = m.catalog.BuryEmptied(ctx, run, m.e)
	return errors.Join(err, m.catalog.EndRun(context.WithoutCancel(ctx), run, catalog.Outcome{Complete: err == nil}))
}
