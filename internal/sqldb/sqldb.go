// Package sqldb opens SQLite databases the one way firn trusts with data that
// exists nowhere else: durable at each commit, safe with several processes on
// one file, bounded in memory, and fast with many small writes at once.
//
// Writes are grouped: functions that arrive while a commit is under way share
// the next one, so that the price of an fsync is paid once for all of them.
package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options say what a database is and how it came to its present shape.
type Options struct {
	// ApplicationID marks the file as ours (PRAGMA application_id). Opening a
	// file with another id fails with ErrForeign. It must not be 0.
	ApplicationID int32
	// Name is what messages call such a file: "catalog", "vault database".
	Name string
	// Migrations are the scripts that build the schema, oldest first. Script i
	// takes a database from user_version i to i+1, in one transaction; a new one
	// is built by all of them in one. Before a file is migrated that isn't new, a
	// copy is put beside it.
	Migrations []string
	// Readers is the number of read transactions at once; 0 means 4.
	Readers int
	// CacheKiB is the page cache of the writer; 0 means 4 MiB. Each reader has a quarter
	// of it.
	CacheKiB int
}

// defaultCacheKiB is the page cache of a connection that writes. A page takes twice its
// size of memory: with its header it is a little larger than a power of two, and the
// allocator knows only those.
const defaultCacheKiB = 4 << 10

// Errors of Open that callers tell apart.
var (
	ErrForeign = errors.New("the file is a database of another program")
	ErrNewer   = errors.New("the file was written by a newer version of this program; update it")
	// ErrDamaged is said of what SQLite itself doesn't notice; else there is its
	// own error, with the result codes 11 or 26.
	ErrDamaged = errors.New("the file is damaged")
)

// maxGroup bounds how many functions share one commit, and so how long the
// first of them waits for the last.
const maxGroup = 256

// busyWait is how long another process is waited for that has the file locked: it may
// commit a large group.
const busyWait = time.Minute

// A DB is an open database. All its methods are safe for concurrent use.
type DB struct {
	path    string
	busy    time.Duration // in place of busyWait; 0: that
	pool    *sql.DB
	opts    Options
	write   *writer
	giver   *giver
	readers readers
	close   func() error // once
}

// Open opens or makes the database at path, whose folder must exist, and
// brings it to the newest schema. A new file has mode 0600.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	db, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open %s %s: %w", o.Name, path, err)
	}
	return db, nil
}

func open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.ApplicationID == 0 {
		return nil, errors.New("sqldb: no application id given")
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.CacheKiB == 0 {
		o.CacheKiB = defaultCacheKiB
	}
	if err := checkLog(path); err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	db := &DB{path: path, opts: o, giver: &giver{}, readers: readers{turns: make(chan struct{}, o.Readers)}}
	source, err := newConnector(uri(path), db.giver)
	if err != nil {
		return nil, err
	}
	db.pool = sql.OpenDB(source)
	for range o.Readers {
		db.readers.turns <- struct{}{}
	}
	db.close = sync.OnceValue(db.shut)
	if err := db.start(ctx); err != nil {
		if _, gone := os.Stat(path); gone != nil {
			err = gone // removed meanwhile: SQLite can't say so
		} else if denied := checkFolder(path); denied != nil {
			err = denied // "unable to open database file", says SQLite
		}
		return nil, errors.Join(err, db.pool.Close())
	}
	return db, nil
}

// create makes an empty file of mode 0600, if there is none. One that exists is
// not even opened: closing it would drop the locks that this process has on it
// through other connections (POSIX locks belong to the process).
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// checkFolder finds out whether a file can be made beside a database, as SQLite
// does with its log.
func checkFolder(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".try*")
	if err == nil {
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("no file can be made beside it: %w", err)
}

// start makes the writing connection and migrates the schema through it.
func (db *DB) start(ctx context.Context) error {
	tx, err := db.connect(ctx, db.opts.CacheKiB)
	if err != nil {
		return err
	}
	if err := db.identify(ctx, tx); err != nil {
		return err
	}
	if err := db.checkSize(ctx, tx); err != nil {
		return err
	}
	if err := db.tempBeside(ctx, tx); err != nil {
		return err
	}
	mode := "WAL"
	if onNetwork(db.path) {
		// WAL needs memory shared by all users of the file.
		mode = "TRUNCATE"
	}
	if err := tx.setJournal(ctx, mode); err != nil {
		return err
	}
	if err := db.migrate(ctx, tx); err != nil {
		return err
	}
	if err := db.giver.add(ctx, tx); err != nil {
		return err
	}
	db.write = &writer{tx: tx, path: db.path, lead: make(chan struct{}, 1)}
	return nil
}

// connect makes a connection with the settings that every one has.
func (db *DB) connect(ctx context.Context, cacheKiB int) (*Tx, error) {
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx := &Tx{conn: conn, stmts: map[string]*sql.Stmt{}}
	for _, p := range []string{
		fmt.Sprintf("busy_timeout=%d", cmp.Or(db.busy, busyWait).Milliseconds()),
		"synchronous=FULL", // NORMAL loses the last commits at a power cut
		"fullfsync=1",      // macOS: fsync alone leaves data in the drive's cache
		"checkpoint_fullfsync=1",
		"foreign_keys=ON",
		"temp_store=FILE", // sorting a million rows in memory takes 160 MB
		fmt.Sprintf("cache_size=-%d", cacheKiB),
	} {
		if err := tx.pragma(ctx, p); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return tx, nil
}

// identify refuses files that are not ours, or from the future.
func (db *DB) identify(ctx context.Context, tx *Tx) error {
	var id int32
	var tables, version int
	if err := tx.QueryRow(ctx, "SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema), (SELECT user_version FROM pragma_user_version)").Scan(&id, &tables, &version); err != nil {
		return err
	}
	if id != db.opts.ApplicationID && (id != 0 || tables > 0) {
		return ErrForeign
	}
	if version > len(db.opts.Migrations) {
		return fmt.Errorf("%w (schema %d, known up to %d)", ErrNewer, version, len(db.opts.Migrations))
	}
	return nil
}

// migrate runs the scripts that the file has not seen.
func (db *DB) migrate(ctx context.Context, tx *Tx) error {
	for {
		var version int
		if err := tx.QueryRow(ctx, versionQuery).Scan(&version); err != nil {
			return err
		}
		if version >= len(db.opts.Migrations) {
			return nil
		}
		if err := db.step(ctx, tx, version); err != nil {
			return fmt.Errorf("migrate from schema %d: %w", version, err)
		}
	}
}

const versionQuery = "SELECT user_version FROM pragma_user_version"

// step takes a database from one version to the next, a new one to the newest.
// Two processes may come here at once: the version is read again inside the
// transaction, in which nobody else writes. The copy is made then, too, by
// another connection, so that it has what there was just before.
func (db *DB) step(ctx context.Context, tx *Tx, version int) error {
	if _, err := tx.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	return tx.end(func() error {
		var now int
		if err := tx.conn.QueryRowContext(ctx, versionQuery).Scan(&now); err != nil {
			return err
		}
		if now != version {
			return nil // another process was faster
		}
		next := len(db.opts.Migrations)
		if version > 0 {
			next = version + 1
			if err := db.backup(ctx, version); err != nil {
				return err
			}
		}
		script := strings.Join(db.opts.Migrations[version:next], "\n;\n")
		script += fmt.Sprintf("\n;PRAGMA application_id=%d;PRAGMA user_version=%d", db.opts.ApplicationID, next)
		_, err := tx.conn.ExecContext(ctx, script)
		return err
	}())
}

// backup copies a database before its schema changes, in place of a copy that
// was made before a migration that was cut short.
func (db *DB) backup(ctx context.Context, version int) error {
	copyPath := fmt.Sprintf("%s.schema%d", db.path, version)
	part := copyPath + ".part"
	err := removeAny(part) // of a process that was killed
	if err == nil {
		err = db.copyTo(ctx, part)
	}
	if err == nil {
		err = os.Rename(part, copyPath)
	}
	if err != nil {
		return fmt.Errorf("copy before migration: %w", errors.Join(err, removeAny(part)))
	}
	return nil
}

// copyTo copies the database, as it is committed, into a new file.
func (db *DB) copyTo(ctx context.Context, path string) error {
	tx, err := db.connect(ctx, db.opts.CacheKiB/4)
	if err != nil {
		return err
	}
	_, err = tx.conn.ExecContext(ctx, "VACUUM INTO ?", path)
	return errors.Join(err, tx.close())
}

// removeAny removes a file, if there is one.
func removeAny(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Path is where the database lies.
func (db *DB) Path() string { return db.path }

// Close waits for the write under way, then closes the database. What is
// asked of it afterwards fails with ErrClosed.
func (db *DB) Close() error { return db.close() }

func (db *DB) shut() error {
	db.write.lead <- struct{}{} // never given back: nobody leads again
	var errs []error
	for range cap(db.readers.turns) {
		<-db.readers.turns
	}
	for tx := db.readers.take(); tx != nil; tx = db.readers.take() {
		errs = append(errs, tx.close())
	}
	close(db.readers.turns)
	db.write.fail(ErrClosed)
	return errors.Join(append(errs, db.write.tx.close(), db.pool.Close())...)
}

// ErrClosed is the answer of a database that was closed.
var ErrClosed = errors.New("database is closed")

// Read runs fn in a read transaction: all its queries see one state. Keep it
// short, at most some 10,000 rows: while it lasts, the write-ahead log can't
// be cut back. fn must not write, nor call Write and wait for it.
func (db *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return db.lend(ctx, func(tx *Tx) (err error, broken bool) {
		// Under a context that ends, the driver has a goroutine watch each statement.
		uncut := context.WithoutCancel(ctx)
		if _, err := tx.Exec(uncut, "BEGIN"); err != nil {
			return err, false
		}
		err = fn(tx)
		if _, rollback := tx.Exec(uncut, "ROLLBACK"); rollback != nil {
			return errors.Join(err, rollback), true
		}
		return err, false
	})
}

// Glance is Read for a function that runs a single statement, which sees one state of
// the database by itself: a transaction around it would take half as long again.
func (db *DB) Glance(ctx context.Context, fn func(tx *Tx) error) error {
	return db.lend(ctx, func(tx *Tx) (err error, broken bool) { return fn(tx), false })
}

// lend gives fn a connection to read by, when one is free; one that is broken is closed.
func (db *DB) lend(ctx context.Context, fn func(tx *Tx) (err error, broken bool)) error {
	select {
	case _, ok := <-db.readers.turns:
		if !ok {
			return ErrClosed
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	tx := db.readers.take()
	defer func() {
		db.readers.put(tx)
		db.readers.turns <- struct{}{}
	}()
	if tx == nil {
		made, err := db.connect(ctx, db.opts.CacheKiB/4)
		if err != nil {
			return err
		}
		if err := errors.Join(db.giver.add(ctx, made), made.pragma(ctx, "query_only=1")); err != nil {
			return errors.Join(err, made.close())
		}
		tx = made
	}
	err, broken := fn(tx)
	if broken {
		err = errors.Join(err, tx.close())
		tx = nil
	}
	return err
}

// readers are the connections that read. One after the other takes the same one,
// so that as many caches fill as there are readers at a time.
type readers struct {
	turns chan struct{} // one for each that may read now

	mu   sync.Mutex
	idle []*Tx
}

// take gives the connection that was used last; nil where all are in use.
func (r *readers) take() (tx *Tx) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		tx, r.idle = r.idle[n-1], r.idle[:n-1]
	}
	return tx
}

// put gives a connection back; nil where there is none any more.
func (r *readers) put(tx *Tx) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tx != nil {
		r.idle = append(r.idle, tx)
	}
}

// uri names the file so that no byte of its path has a meaning of its own.
func uri(path string) string {
	slashed := filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" && !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	if !strings.HasPrefix(slashed, "/") {
		slashed = "./" + slashed
	}
	return "file:" + strings.ReplaceAll((&url.URL{Path: slashed}).EscapedPath(), "?", "%3F")
}
