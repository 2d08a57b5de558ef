package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A Shared is a database that another program made, or may make, and goes on to
// use: its journal, its marks and its tables stay as that program knows them. It is
// not safe for concurrent use; other processes may work with the file at the same
// time.
type Shared struct {
	db *DB
	tx *Tx
}

// OpenShared opens the database at path. Where there is none, it and its folder are
// made, with schema, which must make nothing that is there. The file is brought to
// existence in one transaction, so that whoever comes second finds all of it.
//
// Whoever has the file locked is waited for as long as wait, now and in each
// transaction; 0: a minute.
func OpenShared(ctx context.Context, path, schema string, wait time.Duration) (*Shared, error) {
	s, err := openShared(ctx, path, schema, wait)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return s, nil
}

func openShared(ctx context.Context, path, schema string, wait time.Duration) (*Shared, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	if err := checkMagic(path); err != nil {
		return nil, err
	}
	db := &DB{path: path, busy: wait, giver: &giver{}}
	source, err := newConnector(uri(path), db.giver)
	if err != nil {
		return nil, err
	}
	db.pool = sql.OpenDB(source)
	s := &Shared{db: db}
	if s.tx, err = db.connect(ctx, defaultCacheKiB); err == nil {
		err = s.found(ctx, schema)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// checkMagic refuses a file that is no database: SQLite would say so later, and
// less plainly, and would take one of a few bytes for a new one.
func checkMagic(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, len(Magic))
	n, err := f.Read(head)
	if n > 0 && string(head[:n]) != Magic {
		return ErrNotDatabase
	}
	if n == 0 {
		return nil // it is new, and empty
	}
	return err
}

// found makes the schema in a database that has none.
func (s *Shared) found(ctx context.Context, schema string) error {
	var tables int
	if err := s.tx.QueryRow(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil || tables > 0 {
		return err
	}
	return s.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, schema)
		return err
	})
}

// Read runs fn in a read transaction: all its queries see one state.
func (s *Shared) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return s.run(ctx, "BEGIN", fn)
}

// Write runs fn in a write transaction, and returns once that is durable. Other
// processes that write meanwhile wait, and are waited for.
func (s *Shared) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return s.run(ctx, "BEGIN IMMEDIATE", fn)
}

func (s *Shared) run(ctx context.Context, begin string, fn func(tx *Tx) error) error {
	if _, err := s.tx.conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	return s.tx.end(fn(s.tx))
}

// Close closes the database.
func (s *Shared) Close() error {
	var err error
	if s.tx != nil {
		err = s.tx.close()
	}
	return errors.Join(err, s.db.pool.Close())
}
