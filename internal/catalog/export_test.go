package catalog

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"time"

	"github.com/firn-archive/firn"
)

// SetSizes makes pages, batches and the small half of indexes small.
func (c *Catalog) SetSizes(page int, batch, fresh int64) { c.sizes = sizes{page, batch, fresh} }

// StoreAll is Intend and Stored for each change, in one transaction.
func (c *Catalog) StoreAll(ctx context.Context, run Run, changes []Change) error {
	if err := c.tidy(ctx); err != nil {
		return err
	}
	return c.write(ctx, "test", "", func(tx tx) error {
		r := newRecorder(tx, run)
		for i := range changes {
			ch := &changes[i]
			in := Intent{Store: run.Store, Run: run.ID, Token: firn.NewToken(), Kind: FileArchive, Tree: run.Tree, File: ch.File, Size: ch.Content.Size}
			if err := intend(tx, &in); err != nil {
				return err
			}
			s, err := readState(tx, in.ID)
			if err != nil {
				return err
			}
			archive := firn.Archive{ID: firn.ArchiveID(in.Token.String()), Size: in.Size, Tree: ch.Content.Tree}
			if err := c.settle(tx, s, archive, run); err != nil {
				return err
			}
			if err := c.enter(r, in.ID, ch); err != nil {
				return err
			}
		}
		return r.finish()
	})
}

// Query gives a query's rows, for tests that look behind the API.
func (c *Catalog) Query(ctx context.Context, query string, args ...any) (rows [][]any, err error) {
	err = c.read(ctx, "test", query, func(tx tx) error {
		return tx.each(func(r *sql.Rows) error {
			columns, err := r.Columns()
			if err != nil {
				return err
			}
			row := make([]any, len(columns))
			dest := make([]any, len(columns))
			for i := range row {
				dest[i] = &row[i]
			}
			rows = append(rows, row)
			return r.Scan(dest...)
		}, query, args...)
	})
	return rows, err
}

// Schema is the script that made a catalog of schema 1.
func Schema() string { return schema1 }

// The column that holds what only this machine can use.
var (
	PackSeen   = packSeen
	UnpackSeen = unpackSeen
)

// The steps of QueueDeletions, for what happens between them.
var (
	ClaimCandidates = (*Catalog).claimCandidates
	QueueClaimed    = (*Catalog).queueClaimed
)

// ClearReferred is the step between those two.
func (c *Catalog) ClearReferred(ctx context.Context, run Run) error {
	return errors.Join(c.clearReferred(ctx, run, currentRows), c.clearReferred(ctx, run, oldRows))
}

// BulkText is the statement that newBulk makes.
func BulkText(head, tuple, tail string) string { return newBulk(head, tuple, tail).text }

// SchemasUntil4 are those before storage classes were recorded.
func SchemasUntil4() []string { return []string{schema1, schema2, schema3, schema4} }

// ShortestOf is the expression that shortestOf makes.
func ShortestOf(class, otherwise string) string { return shortestOf(class, otherwise) }

// Compare compares an inventory that was staged with what the catalog knows of its
// store, and gives all archives that aren't as recorded: first those that it lists,
// in the order of the list, then those that it doesn't, see Comparison.Unlisted for
// margin. What it doesn't give is as recorded, and listed. It changes nothing, holds
// no lock while the consumer works, and ends with the first error: Conflict,
// NotFound as Stage.
func (c *Catalog) Compare(ctx context.Context, inventory int64, margin time.Duration) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		m := c.NewComparison(0)
		inv, ok, err := m.staged(ctx, inventory, yield)
		switch {
		case err != nil:
			yield(Difference{}, err)
		case ok:
			m.Unlisted(ctx, inv.Dated, margin)(yield)
		}
	}
}
