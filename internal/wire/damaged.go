package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/atomicfile"
	"github.com/firn-archive/firn/internal/sqldb"
)

// checkNotLost refuses to begin a new catalog at path where an old one must
// have been: everything would be sent again. Locks of trees outlive it.
func checkNotLost(path string) error {
	if !isBlank(path) {
		return nil
	}
	locks := filepath.Join(filepath.Dir(path), "locks")
	names, err := os.ReadDir(locks)
	if err != nil || len(names) == 0 {
		return nil // the first time
	}
	return &firn.Error{Op: "open catalog", Subject: path, Kind: firn.Corrupt, Err: errors.New("it is missing or empty, though trees were synced from here"),
		Hint: "put it back from a backup, or make it anew from the store with: firn recover STORE; to begin anew, and send everything again, remove " + locks}
}

// isBlank reports whether nothing is in a catalog: it is missing, or has not
// even a table, since all there was went into a log that is missing.
func isBlank(path string) bool {
	const largestPage = 64 << 10 // bytes (sqlite.org, "Database File Format")
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return err == nil || errors.Is(err, fs.ErrNotExist)
	}
	log, err := os.Stat(path + "-wal")
	if info.Size() > largestPage || err == nil && log.Size() > 0 {
		return false
	}
	// Whatever has it open has a log, so that to open and close it here takes
	// no locks away: those of POSIX belong to the process.
	head, err := os.ReadFile(path)
	if err != nil || len(head) < 18 || string(head[:16]) != sqldb.Magic {
		return false // which opening it will tell
	}
	// The size of a page, where 1 stands for the largest. The first page has the
	// list of tables, and those have pages of their own.
	pageSize := int(binary.BigEndian.Uint16(head[16:]))
	if pageSize == 1 {
		pageSize = largestPage
	}
	return len(head) <= pageSize
}

// SetAsideCatalog gives the file of this user's catalog another name, with all
// that belongs to it, so that a new one can be made by NewCatalog. Nothing is
// deleted. It gives the new path, which is empty where there was no catalog.
// This process must not have the catalog open.
// Errors: Conflict (another process has it open).
func SetAsideCatalog(ctx context.Context, env Env) (path string, err error) {
	from, err := catalogPath(env)
	if err != nil {
		return "", err
	}
	stem := from + ".damaged-" + env.Clock.Now().UTC().Format("20060102T150405Z")
	path = stem
	for n := 2; ctx.Err() == nil; n++ {
		err = sqldb.MoveAside(from, path)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		path = fmt.Sprintf("%s-%d", stem, n)
	}
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, sqldb.ErrInUse):
		return "", &firn.Error{Op: "put the catalog aside", Subject: from, Kind: firn.Conflict, Err: errors.New("another process has it open"), Hint: "wait until all of firn's commands have ended, or stop them"}
	case err == nil:
		err = atomicfile.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return "", &firn.Error{Op: "put the catalog aside", Subject: from, Kind: firn.Local, Err: err}
	}
	return path, nil
}

// SalvageStores gives the names of the stores that a damaged catalog knew, as
// far as they can be read. It changes nothing.
func SalvageStores(ctx context.Context, path string) (urls []string, err error) {
	r, err := sqldb.OpenReader(ctx, path)
	if err != nil {
		return nil, salvageError(path, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rows, err := r.Query(ctx, "SELECT url FROM store WHERE gone = 0 ORDER BY url")
	if err != nil {
		return nil, salvageError(path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var url string
		if err := rows.Scan(&url); err != nil {
			return urls, salvageError(path, err)
		}
		urls = append(urls, url)
	}
	if err := rows.Err(); err != nil {
		return urls, salvageError(path, err)
	}
	return urls, nil
}

func salvageError(path string, err error) error {
	return &firn.Error{Op: "look for stores", Subject: path, Kind: firn.Corrupt, Err: err}
}
