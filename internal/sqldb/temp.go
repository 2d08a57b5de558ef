package sqldb

import (
	"context"
	"path/filepath"
	"strings"
)

// tempBeside lets SQLite put its temporary files, which sorts and large
// statements need, beside the database: /tmp may be small, or memory. SQLite has
// one such folder for the whole process, and may be using it: where one is set
// already, by the database that was opened first, it stays. Later it falls back
// to others where that one is gone.
func (db *DB) tempBeside(ctx context.Context, tx *Tx) error {
	var now string
	if err := tx.conn.QueryRowContext(ctx, "PRAGMA temp_store_directory").Scan(&now); err == nil && now != "" {
		return nil
	}
	dir, err := filepath.Abs(filepath.Dir(db.path))
	if err != nil {
		return err
	}
	return tx.pragma(ctx, "temp_store_directory='"+strings.ReplaceAll(dir, "'", "''")+"'")
}
