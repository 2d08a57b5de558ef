package migrate

import (
	"context"
	"errors"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/reconcile"
)

// GiveUp ends a migration that isn't done: what is copied stays in the target, and a
// migration there that begins later has it; trees that have moved stay there too.
// Uploads that are open are given up. Errors: NotFound (none goes on).
func GiveUp(ctx context.Context, o Options) (catalog.Migration, error) {
	m, err := newMover(o)
	if err != nil {
		return catalog.Migration{}, err
	}
	found, ok, err := o.Catalog.FindMigration(ctx, o.From.Row.ID, o.To.Row.ID, o.Only)
	if err != nil {
		return found, err
	}
	if !ok || found.State != catalog.Migrating {
		return found, &firn.Error{Op: "give up the migration of", Subject: o.From.Row.URL, Kind: firn.NotFound, Err: errors.New("none to " + o.To.Row.URL + " is under way")}
	}
	m.m, m.run = found, catalog.Run{ID: found.Run, Store: found.Target, Command: catalog.MigrateRun}
	left, err := reconcile.Run(ctx, reconcile.Options{
		Catalog: m.Catalog, Row: m.To.Row.ID, Store: m.To.Store, Run: m.run, Tree: catalog.MigrationTree,
		Clock: m.Clock, Events: m.Events, Single: bodySize,
	})
	if err != nil {
		return found, err
	}
	for _, in := range left.Resumable {
		if in.Run != m.m.Run {
			continue
		}
		if err := m.abandon(ctx, in); err != nil {
			return found, err
		}
	}
	if err := m.Catalog.SettleCopies(ctx, m.m, false); err != nil {
		return found, err
	}
	if err := m.sweep(ctx); err != nil {
		return found, err
	}
	found.State = catalog.MigrationGivenUp
	return found, m.Catalog.SetMigration(ctx, found.ID, found.State)
}
