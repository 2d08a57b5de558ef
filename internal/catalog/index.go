package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A batchIndex is an index on a 64-bit hash in two tables: a small one that
// takes new rows, and a large one that gets them in sorted batches. Queries
// look at both.
type batchIndex struct {
	fresh atomic.Int64 // rows in the small table, about: other processes add too
	mu    sync.Mutex   // held while rows move

	large atomic.Int64 // rows in the large table, about; 0: nobody counted them

	count, countLarge, bound, move, clear, empty string // statements
}

func treeIndex() batchIndex {
	return batchIndex{
		count: "SELECT count(*) FROM by_tree_new", countLarge: "SELECT count(*) FROM by_tree",
		bound: "SELECT h64 FROM by_tree_new ORDER BY h64, archive, member LIMIT 1 OFFSET ?",
		move:  "INSERT OR IGNORE INTO by_tree SELECT h64, archive, member FROM by_tree_new WHERE h64 <= ? ORDER BY h64, archive, member",
		clear: "DELETE FROM by_tree_new WHERE h64 <= ?",
		empty: "DELETE FROM by_tree_new",
	}
}

func remoteIndex() batchIndex {
	return batchIndex{
		count: "SELECT count(*) FROM by_remote_new", countLarge: "SELECT count(*) FROM by_remote",
		bound: "SELECT h64 FROM by_remote_new ORDER BY h64, archive LIMIT 1 OFFSET ?",
		move:  "INSERT OR IGNORE INTO by_remote SELECT h64, archive FROM by_remote_new WHERE h64 <= ? ORDER BY h64, archive",
		clear: "DELETE FROM by_remote_new WHERE h64 <= ?",
		empty: "DELETE FROM by_remote_new",
	}
}

// measure counts what is in the small table.
func (x *batchIndex) measure(tx tx) error {
	var n int64
	err := tx.row(x.count).Scan(&n)
	x.fresh.Store(n)
	return err
}

// tidy moves rows to the large tables where enough have gathered. It goes
// before a write, so that its failure is that write's.
func (c *Catalog) tidy(ctx context.Context) error {
	return c.tidyFrom(ctx, c.sizes.fresh, c.sizes.batch)
}

// tidyFrom is tidy where so many rows are enough, which moves a batch of them in a
// transaction.
func (c *Catalog) tidyFrom(ctx context.Context, enough, batch int64) error {
	for _, x := range []*batchIndex{&c.trees, &c.remotes} {
		if x.fresh.Load() < enough || !x.mu.TryLock() {
			continue
		}
		err := c.spill(ctx, x, batch)
		x.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// spill empties the small table of an index, a batch at a time.
func (c *Catalog) spill(ctx context.Context, x *batchIndex, batch int64) error {
	for done := false; !done; {
		err := c.write(ctx, "sort index", c.db.Path(), func(tx tx) error {
			var bound int64
			err := tx.row(x.bound, batch-1).Scan(&bound)
			if isNoRows(err) {
				done, bound, err = true, math.MaxInt64, nil
			}
			if err == nil {
				err = tx.exec(x.move, bound)
			}
			switch {
			case err != nil:
				return err
			case done: // without a condition, SQLite drops the pages as they are
				err = tx.exec(x.empty)
			default:
				err = tx.exec(x.clear, bound)
			}
			if err != nil {
				return err
			}
			x.large.Store(0)
			return x.measure(tx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// straightShare is how few rows of the large table there may be for each new one
// that goes there straight: then most pages get some, as they would when the small
// table is emptied.
const straightShare = 16

// isStraight reports whether so many rows, in the order of the index, go straight
// into its large table.
func (c *Catalog) isStraight(tx tx, x *batchIndex, rows int) (bool, error) {
	n := int64(rows)
	if n < c.sizes.fresh/4 {
		return false, nil
	}
	if x.large.Load() == 0 {
		var large int64
		if err := tx.row(x.countLarge).Scan(&large); err != nil {
			return false, err
		}
		x.large.Store(large)
	}
	if x.large.Load() > straightShare*n {
		return false, nil
	}
	x.large.Add(n)
	return true, nil
}

// hash64 is a tree hash's key in by_tree.
func hash64(h treehash.Hash) int64 { return int64(binary.BigEndian.Uint64(h[:8])) }

// remote64 is an archive id's key in by_remote.
func remote64(id firn.ArchiveID) int64 {
	h := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(h[:8]))
}
