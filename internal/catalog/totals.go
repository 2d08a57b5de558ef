package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A JobTotal sums up jobs of one sort that are open.
type JobTotal struct {
	Kind  firn.JobKind
	Tier  firn.Tier // of retrievals
	State JobState  // JobIntended, JobRunning or JobReady
	Jobs  int64
	// Oldest is when the first of them was made, by the store's clock, or asked
	// for, by this machine's, where the store hasn't said; to the second.
	Oldest time.Time
}

// JobTotals sums up a store's jobs that are open. It is quick with a hundred
// thousand of them.
func (c *Catalog) JobTotals(ctx context.Context, store int64) (totals []JobTotal, err error) {
	err = c.read(ctx, "count jobs", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var t JobTotal
			var oldest int64
			err := rows.Scan(&t.Kind, &t.Tier, &t.State, &t.Jobs, &oldest)
			t.Oldest = at(oldest, 0)
			totals = append(totals, t)
			return err
		}, `SELECT kind, tier, state, count(*), min(iif(created > 0, created, asked)) FROM job WHERE store = ? AND state < 10
			GROUP BY kind, tier, state ORDER BY state, kind, tier`, store)
	})
	return totals, err
}

// Unnamed counts a store's archives of which nobody knows what they hold. They
// aren't among Store.Archives.
func (c *Catalog) Unnamed(ctx context.Context, store int64) (archives int64, err error) {
	err = c.read(ctx, "count archives", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.row("SELECT count(*) FROM archive WHERE store = ? AND state = 11", store).Scan(&archives)
	})
	return archives, err
}
