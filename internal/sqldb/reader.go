package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// Errors of readers that callers tell apart.
var (
	ErrNotDatabase = errors.New("the file is not a SQLite database")
	ErrInUse       = errors.New("another program writes to it; try again when that has ended")
)

// Magic is how every SQLite database begins. Source: sqlite.org, "Database File
// Format".
const Magic = "SQLite format 3\x00"

// journalMagic begins a rollback journal that is to be rolled back. Source:
// sqlite.org, "Database File Format", "The Rollback Journal".
const journalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

const (
	// headerSize is how long a database's header is: the counter of its changes
	// is in it.
	headerSize = 100
	// maxValue is the longest value, row or statement that a Reader takes from
	// a file, in bytes.
	maxValue = 16 << 20
	// maxColumns is how many columns a table may have for it.
	maxColumns = 100
	// copies is how often a file that is being written is copied anew.
	copies = 5
)

// A Reader reads a database that another program made, and may be using: it
// takes no lock that this program would have to wait for, writes nothing, and
// leaves no file beside it. It doesn't trust what it reads: neither the pages
// nor the schema.
//
// Where the last transaction is still in a write-ahead log or a journal beside
// the database, the Reader reads a copy of both, which it keeps in a temporary
// folder until it is closed.
//
// It is not safe for concurrent use, but several queries may be open at once.
type Reader struct {
	path  string // of the database
	state state  // of the database when it was opened
	size  int64
	temp  string // the folder with a copy; empty: there is none
	pool  *sql.DB
	conn  *sql.Conn
}

// OpenReader opens the database at path.
//
// Errors: ErrNotDatabase, ErrInUse, those of the file system.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	r := &Reader{path: path}
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, errors.Join(err, r.Close()))
	}
	return r, nil
}

func (r *Reader) open(ctx context.Context) (err error) {
	// What is unfinished lies beside the file itself, not beside links to it.
	if r.path, err = filepath.EvalSymlinks(r.path); err != nil {
		return err
	}
	if r.state, err = stateOf(r.path); err != nil {
		return err
	}
	if string(r.state.header[:len(Magic)]) != Magic {
		return ErrNotDatabase
	}
	open := uri(r.path) + "?mode=ro&immutable=1"
	beside, err := r.unfinished()
	if err != nil {
		return err
	}
	r.size = r.state.size
	if len(beside) > 0 {
		if err := r.copy(beside); err != nil {
			return err
		}
		open = uri(filepath.Join(r.temp, "db"))
	}
	if r.pool, err = sql.Open("sqlite", open); err != nil {
		return err
	}
	if r.conn, err = r.pool.Conn(ctx); err != nil {
		return err
	}
	return r.distrust(ctx)
}

// distrust limits what a file can make SQLite do.
func (r *Reader) distrust(ctx context.Context) error {
	for _, pragma := range []string{
		"trusted_schema=0", // no functions in views and defaults that reach outside
		"cell_size_check=1",
		"mmap_size=0", // a file that shrinks meanwhile is an error, not a signal
		"temp_store=FILE",
		"cache_size=-4096",
		"query_only=1",
	} {
		if _, err := r.conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	// The numbers of limits: sqlite.org, "Run-Time Limit Categories".
	for limit, most := range map[int]int{0: maxValue, 1: maxValue, 2: maxColumns, 7: 0} {
		if _, err := sqlite.Limit(r.conn, limit, most); err != nil {
			return err
		}
	}
	return nil
}

// Query runs a statement that answers rows; the caller closes them.
func (r *Reader) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.conn.QueryContext(ctx, query, args...)
}

// Unchanged gives ErrInUse where the file has changed since it was opened, so
// that what was read may not be of one moment.
func (r *Reader) Unchanged() error {
	if r.temp != "" {
		return nil
	}
	now, err := stateOf(r.path)
	if err == nil && now != r.state {
		err = fmt.Errorf("%s has changed while it was read: %w", r.path, ErrInUse)
	}
	return err
}

// Whole gives ErrDamaged where the file was cut short. SQLite may not notice,
// and take what is missing for empty.
func (r *Reader) Whole(ctx context.Context) error {
	var want int64
	err := r.conn.QueryRowContext(ctx, "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)").Scan(&want)
	if err == nil && want > r.size {
		err = fmt.Errorf("%w: it was cut short, to %d bytes of %d", ErrDamaged, r.size, want)
	}
	return err
}

// Size is how many bytes were read from, log and journal included: no sound
// table has more rows.
func (r *Reader) Size() int64 { return r.size }

// Close ends all queries, and removes the copy where there is one.
func (r *Reader) Close() error {
	var errs []error
	if r.conn != nil {
		errs = append(errs, r.conn.Close())
	}
	if r.pool != nil {
		errs = append(errs, r.pool.Close())
	}
	if r.temp != "" {
		errs = append(errs, os.RemoveAll(r.temp))
	}
	r.conn, r.pool, r.temp = nil, nil, ""
	return errors.Join(errs...)
}

// A state is what tells that a file was written to.
type state struct {
	size   int64
	time   int64 // when it was written to, in nanoseconds
	header [headerSize]byte
}

// stateOf gives the state of a file; the zero state where there is none.
func stateOf(path string) (state, error) {
	var s state
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	if !info.Mode().IsRegular() {
		return s, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	s.size, s.time = info.Size(), info.ModTime().UnixNano()
	if _, err := io.ReadFull(f, s.header[:]); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return s, err
	}
	return s, nil
}

// unfinished lists the files beside the database, by the end of their names,
// without which its last transactions can't be read.
func (r *Reader) unfinished() (endings []string, err error) {
	wal, err := stateOf(r.path + "-wal")
	if err == nil && wal.size > 0 {
		endings = append(endings, "-wal")
	}
	journal, err2 := stateOf(r.path + "-journal")
	if err2 == nil && bytes.HasPrefix(journal.header[:], []byte(journalMagic)) {
		endings = append(endings, "-journal")
	}
	for _, err := range []error{err, err2} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return endings, nil
}

// copy copies the database and the files beside it, all of one moment, to a
// temporary folder.
func (r *Reader) copy(endings []string) (err error) {
	if r.temp, err = os.MkdirTemp("", "firn-reader-*"); err != nil {
		return err
	}
	for range copies {
		// The database goes first: of what a writer changes in it afterwards
		// the journal keeps what was there before.
		all := append([]string{""}, endings...)
		before, err := r.states(all)
		if err != nil {
			return err
		}
		for _, ending := range all {
			if err := copyFile(filepath.Join(r.temp, "db"+ending), r.path+ending); err != nil {
				return fmt.Errorf("copy what its last writer left unfinished: %w", err)
			}
		}
		after, err := r.states(all)
		if err != nil {
			return err
		}
		if before == after {
			r.size = before[0].size + before[1].size + before[2].size
			return nil
		}
	}
	return ErrInUse
}

// states gives the states of the database and of what is beside it. A file that
// is gone has a state of its own.
func (r *Reader) states(endings []string) (all [3]state, err error) {
	for i, ending := range endings {
		all[i], err = stateOf(r.path + ending)
		if err != nil && (ending == "" || !errors.Is(err, fs.ErrNotExist)) {
			return all, err
		}
	}
	return all, nil
}

// copyFile makes to a copy of from; where from is gone, to is too.
func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
