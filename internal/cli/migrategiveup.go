package cli

import (
	"context"

	"github.com/firn-archive/firn/internal/migrate"
	"github.com/firn-archive/firn/internal/ui"
)

// runMigrateGiveUp ends a migration that isn't done.
func runMigrateGiveUp(ctx context.Context, o *migrateOptions) error {
	m, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	defer m.to.store.Close()
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return err
	}
	options, err := m.options(ctx)
	if err != nil {
		return err
	}
	given, err := migrate.GiveUp(ctx, options)
	if err != nil {
		return err
	}
	r := newMigrationRecord(given, m.row.URL, m.at.URL)
	m.ui.Record("migration", r)
	m.ui.Print("given up: " + r.text())
	if r.Copied > 0 {
		m.ui.Notice(ui.Count(r.Copied) + " copies stay in " + m.at.URL + ": the same migration would go on with them")
	}
	return nil
}
