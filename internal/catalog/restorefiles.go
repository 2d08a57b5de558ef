package catalog

import (
	"context"
	"database/sql"
	"iter"
	"math"
)

// A FailedFile is one that a restore could not bring back.
type FailedFile struct {
	Tree int64  // row; 0: it is of none
	Path string // any bytes
	Why  string // for people; FailFile takes an empty one for a file that is there after all
}

// FailFile records files that an open restore could not bring back, each in
// place of what was said of its path before.
// Errors: NotFound, Conflict (the restore has ended).
func (c *Catalog) FailFile(ctx context.Context, restore int64, files []FailedFile) error {
	return c.write(ctx, "record restore", restoreSubject(restore), func(tx tx) error {
		if err := mustBeOpen(tx, "record restore", restore); err != nil {
			return err
		}
		for _, f := range files {
			query, args := "INSERT INTO restore_file (restore, tree, path, why) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET why = excluded.why",
				[]any{restore, f.Tree, []byte(f.Path), words(f.Why)}
			if f.Why == "" {
				query, args = "DELETE FROM restore_file WHERE restore = ? AND tree = ? AND path = ?", args[:3]
			}
			if err := tx.exec(query, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// FailedFiles gives the files that a restore could not bring back, by tree and
// path. It holds no lock while the consumer works, and ends with the first error.
func (c *Catalog) FailedFiles(ctx context.Context, restore int64) iter.Seq2[FailedFile, error] {
	return paged(ctx, c, "list files", restoreSubject(restore), func() pager[FailedFile] {
		last := FailedFile{Tree: math.MinInt64}
		return func(tx tx, page []FailedFile) (_ []FailedFile, more bool, err error) {
			err = tx.each(func(rows *sql.Rows) error {
				err := rows.Scan(&last.Tree, &last.Path, &last.Why)
				page = append(page, last)
				return err
			}, "SELECT tree, path, why FROM restore_file WHERE restore = ? AND (tree, path) > (?, ?) ORDER BY tree, path LIMIT ?",
				restore, last.Tree, []byte(last.Path), c.sizes.page)
			return page, len(page) == c.sizes.page, err
		}
	})
}
