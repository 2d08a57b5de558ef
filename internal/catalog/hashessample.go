package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"github.com/firn-archive/firn"
)

// An Agreement says in which inventories a store's archives were as recorded: the
// dates of the newest ones; zero where there is none.
type Agreement struct {
	Recorded time.Time // all that is recorded as stored was
	All      time.Time // and it listed nothing else that is worth telling
}

// SetAgreed records that all archives of a store that are recorded as stored were
// so in an inventory of this date; and all that it lists, if that was looked at.
func (c *Catalog) SetAgreed(ctx context.Context, store int64, dated time.Time, all bool) error {
	whole := int64(0)
	if all {
		whole = dated.Unix()
	}
	return c.write(ctx, "record inventory", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.exec(`INSERT INTO agreed (store, dated, whole) VALUES (?1, ?2, ?3)
			ON CONFLICT DO UPDATE SET dated = max(dated, ?2), whole = max(whole, ?3)`, store, dated.Unix(), whole)
	})
}

// Disagreed records that the newest inventory and the catalog say different things:
// that older ones agreed means nothing any more.
func (c *Catalog) Disagreed(ctx context.Context, store int64) error {
	return c.write(ctx, "record inventory", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.exec("DELETE FROM agreed WHERE store = ?", store)
	})
}

// Agreed gives what SetAgreed was told of since the last Disagreed.
func (c *Catalog) Agreed(ctx context.Context, store int64) (a Agreement, err error) {
	err = c.read(ctx, "look up inventory", fmt.Sprint("of store ", store), func(tx tx) error {
		var dated, whole int64
		err := tx.row("SELECT dated, whole FROM agreed WHERE store = ?", store).Scan(&dated, &whole)
		if err == nil {
			a.Recorded = at(dated, 0)
		}
		if whole > 0 {
			a.All = at(whole, 0)
		}
		return ignoreNoRows(err)
	})
	return a, err
}

// Unsure gives the archives of a store that may not stay, or of which there may
// be two: those that are in the queue for deletion, whatever becomes of them, and
// those that an upload in doubt is about.
func (c *Catalog) Unsure(ctx context.Context, store int64, each func(archive int64, leaving bool)) error {
	return c.read(ctx, "list deletions", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var archive int64
			var leaving bool
			err := rows.Scan(&archive, &leaving)
			each(archive, leaving)
			return err
		}, `SELECT archive, 1 FROM deletion WHERE store = ?1 AND state = 0 UNION ALL SELECT archive, 1 FROM deletion WHERE store = ?1 AND state > 0
			UNION ALL SELECT archive, 0 FROM doubt WHERE store = ?1`, store)
	})
}

// Losses gives the archives of a store that are recorded as lost, and held what is
// known. It holds no lock while the consumer works, and ends with the first error.
func (c *Catalog) Losses(ctx context.Context, store int64) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		for last, more := int64(0), true; more; {
			var page []Difference
			err := c.read(ctx, "list archives", fmt.Sprint("of store ", store), func(tx tx) error {
				after := last
				var err error
				if last, more, err = endOfPage(tx, after, c.sizes.page); err != nil {
					return err
				}
				return tx.each(func(rows *sql.Rows) error {
					d, err := scanKnown(rows)
					page = append(page, d)
					return err
				}, knownQuery+`a.id > ? AND a.id <= ? AND a.store = ? AND a.state = 21
					AND EXISTS (SELECT 1 FROM location WHERE archive = a.id) ORDER BY a.id`, after, last, store)
			})
			if err != nil {
				yield(Difference{}, err)
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
		}
	}
}

// Listed reports whether an archive, by its row, was among those that were added.
func (m *Comparison) Listed(row int64) bool { return m.hasSeen(row) }

// A Sampled is a file that is brought back to be compared.
type Sampled struct {
	Tree    int64
	Path    string
	Content firn.Content
}

// Sample gives the files of the sample that is under way in a store, by tree and
// path, and how many were asked for; none: there is no sample.
func (c *Catalog) Sample(ctx context.Context, store int64) (files []Sampled, asked int64, err error) {
	err = c.read(ctx, "look up sample", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var s Sampled
			var path, hash []byte
			err := rows.Scan(&asked, &s.Tree, &path, &s.Content.Size, &hash)
			s.Path = string(path)
			copy(s.Content.Tree[:], hash)
			files = append(files, s)
			return err
		}, "SELECT asked, tree, path, size, hash FROM sample WHERE store = ? ORDER BY tree, path", store)
	})
	return files, asked, err
}

// SetSample records the sample that is under way in a store, in place of any
// other; none: there is none.
func (c *Catalog) SetSample(ctx context.Context, store, asked int64, files []Sampled) error {
	return c.write(ctx, "record sample", fmt.Sprint("of store ", store), func(tx tx) error {
		if err := tx.exec("DELETE FROM sample WHERE store = ?", store); err != nil {
			return err
		}
		for _, s := range files {
			err := tx.exec("INSERT OR REPLACE INTO sample (store, asked, tree, path, size, hash) VALUES (?, ?, ?, ?, ?, ?)",
				store, asked, s.Tree, []byte(s.Path), s.Content.Size, s.Content.Tree[:])
			if err != nil {
				return err
			}
		}
		return nil
	})
}
