package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// walHeader and frameHeader are how many bytes stand before the first frame of
// a write-ahead log, and before the page in each (sqlite.org, "WAL-mode File
// Format").
const (
	walHeader   = 32
	frameHeader = 24
)

// checkLog refuses a log whose database is missing or empty: SQLite takes it for
// a leftover and deletes it, though all there is may be in it. A database that
// is being made has its first page before it has a log, so the log is looked at
// first.
func checkLog(path string) error {
	log, err := sizeOf(path + "-wal")
	if err != nil || log == 0 {
		return err
	}
	size, err := sizeOf(path)
	if err != nil || size > 0 {
		return err
	}
	return fmt.Errorf("%w: it is missing or empty, though %s-wal beside it is not", ErrDamaged, path)
}

// checkSize finds out whether the file was cut short: what it lacks may be in
// the log, but no more than fits in there. The file is looked at last, since
// another process may just be moving pages there from the log.
func (db *DB) checkSize(ctx context.Context, tx *Tx) error {
	var pages, pageSize int64
	if err := tx.QueryRow(ctx, "SELECT (SELECT page_count FROM pragma_page_count), (SELECT page_size FROM pragma_page_size)").Scan(&pages, &pageSize); err != nil {
		return err
	}
	log, err := sizeOf(db.path + "-wal")
	if err != nil {
		return err
	}
	size, err := sizeOf(db.path)
	if err != nil {
		return err
	}
	inLog := max(0, log-walHeader) / (pageSize + frameHeader) * pageSize
	if size+inLog >= pages*pageSize {
		return nil
	}
	return fmt.Errorf("%w: it was cut short, to %d bytes of %d", ErrDamaged, size, pages*pageSize)
}

// sizeOf is a file's size; 0 where there is none.
func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// beside are the ends of the names of the files that belong to a database.
var beside = [...]string{"-wal", "-shm", "-journal"}

// MoveAside gives a database, damaged or not, another name, with all that
// belongs to it. Nothing is deleted or written over. The database goes first:
// if only that comes to pass, what is left is a log without its database, which
// Open refuses. A database that is missing is no error where something of it is
// left.
//
// This process must not have the database open. Errors: ErrInUse (another
// process has), fs.ErrExist (the new name is taken), fs.ErrNotExist (nothing is
// there), those of the file system.
func MoveAside(path, to string) error {
	found := false
	for _, end := range append([]string{""}, beside[:]...) {
		if _, err := os.Lstat(to + end); err == nil {
			return &fs.PathError{Op: "move", Path: to + end, Err: fs.ErrExist}
		}
		_, err := os.Lstat(path + end)
		found = found || err == nil
	}
	if !found {
		return &fs.PathError{Op: "move", Path: path, Err: fs.ErrNotExist}
	}
	unlock, err := lockAlone(path)
	if err != nil {
		return err
	}
	defer unlock()
	for _, end := range append([]string{""}, beside[:]...) {
		if err := os.Rename(path+end, to+end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
