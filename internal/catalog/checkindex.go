package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A tally stands for a set of index rows, in whatever order they come: two sets
// with one tally are the same, as far as 64 random bits can tell.
type tally struct {
	rows int64
	sum  uint64
	seed maphash.Seed
}

func (t *tally) add(h64, archive, member int64) {
	t.rows++
	t.sum += maphash.Comparable(t.seed, [3]int64{h64, archive, member})
}

// A hashIndex is one of the catalog's own indexes on hashes, as Check and
// RebuildIndex see it. Its rows are h64, archive and member, which is 0 where
// the index is of archives.
type hashIndex struct {
	what string // that it finds
	// rows reads a page of the large table, or of the small one, behind a row.
	rows [2]string
	// source reads a page of what it is to find: archive, member, and the bytes
	// that are hashed.
	source string
	key    func(bytes []byte) (h64 int64, ok bool)
	// has finds one row in both tables, of reads the bytes of one source.
	has, of        string
	insert, remove []string
}

func treeHashes() hashIndex {
	return hashIndex{
		what: "content",
		rows: [2]string{
			"SELECT h64, archive, member FROM by_tree WHERE (h64, archive, member) > (?, ?, ?) ORDER BY h64, archive, member LIMIT ?",
			"SELECT h64, archive, member FROM by_tree_new WHERE (h64, archive, member) > (?, ?, ?) ORDER BY h64, archive, member LIMIT ?",
		},
		source: "SELECT archive, member, tree FROM location WHERE (archive, member) > (?, ?) ORDER BY archive, member LIMIT ?",
		key:    treeKey,
		has: `SELECT EXISTS (SELECT 1 FROM by_tree WHERE h64 = ?1 AND archive = ?2 AND member = ?3)
			OR EXISTS (SELECT 1 FROM by_tree_new WHERE h64 = ?1 AND archive = ?2 AND member = ?3)`,
		of:     "SELECT tree FROM location WHERE archive = ? AND member = ?",
		insert: []string{"INSERT OR IGNORE INTO by_tree_new (h64, archive, member) VALUES (?1, ?2, ?3)"},
		remove: []string{"DELETE FROM by_tree WHERE h64 = ?1 AND archive = ?2 AND member = ?3", "DELETE FROM by_tree_new WHERE h64 = ?1 AND archive = ?2 AND member = ?3"},
	}
}

func remoteHashes() hashIndex {
	return hashIndex{
		what: "archive",
		rows: [2]string{
			"SELECT h64, archive, 0 FROM by_remote WHERE (h64, archive, 0) > (?, ?, ?) ORDER BY h64, archive LIMIT ?",
			"SELECT h64, archive, 0 FROM by_remote_new WHERE (h64, archive, 0) > (?, ?, ?) ORDER BY h64, archive LIMIT ?",
		},
		source: "SELECT id, 0, CAST(remote AS BLOB) FROM archive WHERE (id, 0) > (?, ?) ORDER BY id LIMIT ?",
		key:    func(b []byte) (int64, bool) { return remote64(firn.ArchiveID(b)), b != nil },
		has: `SELECT EXISTS (SELECT 1 FROM by_remote WHERE h64 = ?1 AND archive = ?2 AND ?3 = 0)
			OR EXISTS (SELECT 1 FROM by_remote_new WHERE h64 = ?1 AND archive = ?2 AND ?3 = 0)`,
		of:     "SELECT CAST(remote AS BLOB) FROM archive WHERE id = ? AND ? = 0",
		insert: []string{"INSERT OR IGNORE INTO by_remote_new (h64, archive) SELECT ?1, ?2 WHERE ?3 = 0"},
		remove: []string{"DELETE FROM by_remote WHERE h64 = ?1 AND archive = ?2 AND ?3 = 0", "DELETE FROM by_remote_new WHERE h64 = ?1 AND archive = ?2 AND ?3 = 0"},
	}
}

func treeKey(hash []byte) (int64, bool) {
	if len(hash) != treehash.Size {
		return 0, false
	}
	return hash64(treehash.Hash(hash)), true
}

// An indexRow is a row of a hashIndex.
type indexRow struct{ h64, archive, member int64 }

func (k *checker) treeIndex() error   { return k.index(treeHashes(), k.located) }
func (k *checker) remoteIndex() error { return k.index(remoteHashes(), k.remote) }

// index finds out whether an index has all that is in want. Comparing tallies
// reads both from end to end, which is fast; only where they differ, as they do
// too where something is being written, is each row looked up.
func (k *checker) index(x hashIndex, want tally) error {
	have := tally{seed: want.seed}
	err := k.cat.indexRows(k.ctx, x, func(_ tx, page []indexRow) error {
		for _, r := range page {
			have.add(r.h64, r.archive, r.member)
		}
		return nil
	}, func() error { return nil })
	if err != nil || have.rows == want.rows && have.sum == want.sum {
		return err
	}
	return k.cat.missingRows(k.ctx, x, func(missing []indexRow) error {
		for _, r := range missing {
			where := fmt.Sprintf("archive %d", r.archive)
			if x.what == "content" {
				where += fmt.Sprintf(", member %d", r.member)
			}
			if err := k.fault(IndexRule, where, "the index of %ss by hash lacks it", x.what); err != nil {
				return err
			}
		}
		return nil
	})
}

// indexRows reads all rows of an index, and calls each with a page of them,
// within the transaction that has read it, and then after, outside of it. A row
// that moves from the small table to the large one meanwhile may be missed, or
// come twice.
func (c *Catalog) indexRows(ctx context.Context, x hashIndex, each func(tx, []indexRow) error, after func() error) error {
	for _, query := range x.rows {
		last := indexRow{math.MinInt64, math.MinInt64, math.MinInt64}
		for more := true; more; {
			err := c.read(ctx, "check", c.db.Path(), func(tx tx) error {
				var page []indexRow
				err := tx.each(func(rows *sql.Rows) error {
					err := rows.Scan(&last.h64, &last.archive, &last.member)
					page = append(page, last)
					return err
				}, query, last.h64, last.archive, last.member, c.sizes.page)
				if err != nil {
					return err
				}
				more = len(page) == c.sizes.page
				return each(tx, page)
			})
			if err == nil {
				err = after()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// missingRows calls each with the rows that an index lacks, a page at a time,
// outside of any transaction.
func (c *Catalog) missingRows(ctx context.Context, x hashIndex, each func([]indexRow) error) error {
	archive, member := int64(math.MinInt64), int64(math.MinInt64)
	for more := true; more; {
		var missing []indexRow
		err := c.read(ctx, "check", c.db.Path(), func(tx tx) error {
			var wanted []indexRow
			n := 0
			err := tx.each(func(rows *sql.Rows) error {
				var bytes []byte
				err := rows.Scan(&archive, &member, &bytes)
				n++
				if key, ok := x.key(bytes); ok {
					wanted = append(wanted, indexRow{key, archive, member})
				}
				return err
			}, x.source, archive, member, c.sizes.page)
			if err != nil {
				return err
			}
			more = n == c.sizes.page
			for _, r := range wanted {
				var has bool
				if err := tx.row(x.has, r.h64, r.archive, r.member).Scan(&has); err != nil {
					return err
				}
				if !has {
					missing = append(missing, r)
				}
			}
			return nil
		})
		if err == nil && len(missing) > 0 {
			err = each(missing)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Reindexed counts what RebuildIndex has done.
type Reindexed struct {
	Added   int64 // rows that were missing
	Removed int64 // rows of what is not there
}

// RebuildIndex makes all indexes whole: SQLite's own anew, those on hashes by
// adding what they lack and removing what they have too much. Others may go on
// working meanwhile; after a kill it is begun again.
func (c *Catalog) RebuildIndex(ctx context.Context) (done Reindexed, err error) {
	err = c.write(ctx, "rebuild index", c.db.Path(), func(tx tx) error { return tx.exec("REINDEX") })
	if err != nil {
		return done, err
	}
	for _, x := range []hashIndex{treeHashes(), remoteHashes()} {
		err := c.missingRows(ctx, x, func(missing []indexRow) error {
			done.Added += int64(len(missing))
			return c.changeIndex(ctx, x.insert, missing)
		})
		if err != nil {
			return done, err
		}
		var stale []indexRow
		err = c.indexRows(ctx, x, func(tx tx, page []indexRow) (err error) {
			stale, err = x.stale(tx, page)
			return err
		}, func() error {
			done.Removed += int64(len(stale))
			return c.changeIndex(ctx, x.remove, stale)
		})
		if err != nil {
			return done, err
		}
	}
	return done, c.write(ctx, "rebuild index", c.db.Path(), func(tx tx) error {
		return errors.Join(c.trees.measure(tx), c.remotes.measure(tx))
	})
}

// stale gives those of the rows that find nothing, or something else.
func (x *hashIndex) stale(tx tx, rows []indexRow) (stale []indexRow, err error) {
	for _, r := range rows {
		var bytes []byte
		if err := tx.row(x.of, r.archive, r.member).Scan(&bytes); err != nil && !isNoRows(err) {
			return nil, err
		}
		if key, ok := x.key(bytes); !ok || key != r.h64 {
			stale = append(stale, r)
		}
	}
	return stale, nil
}

// changeIndex runs statements for each of some rows, and then lets the small
// tables spill.
func (c *Catalog) changeIndex(ctx context.Context, statements []string, rows []indexRow) error {
	if len(rows) == 0 {
		return nil
	}
	err := c.write(ctx, "rebuild index", c.db.Path(), func(tx tx) error {
		for _, r := range rows {
			for _, s := range statements {
				if err := tx.exec(s, r.h64, r.archive, r.member); err != nil {
					return err
				}
			}
		}
		return errors.Join(c.trees.measure(tx), c.remotes.measure(tx))
	})
	if err != nil {
		return err
	}
	return c.tidy(ctx)
}
