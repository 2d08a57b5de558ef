package sqldb

import (
	"context"
	"database/sql"
	"errors"
)

// A Tx is the inside of a transaction. It keeps each statement prepared for
// as long as its connection lives, so statements should be constant texts. It
// must not be used after the function it was given to has returned, nor by
// two goroutines at once.
type Tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	given *given // its rows, while a statement reads them
}

// Exec runs a statement that answers no rows.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := tx.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// Query runs a statement that answers rows; the caller closes them.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := tx.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// A Row is the one row that QueryRow asked for.
type Row struct {
	row *sql.Row
	err error
}

// Scan copies the row's columns, or gives sql.ErrNoRows where there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(dest...)
}

// QueryRow runs a statement that answers at most one row of interest.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) Row {
	s, err := tx.prepare(ctx, query)
	if err != nil {
		return Row{err: err}
	}
	return Row{row: s.QueryRowContext(ctx, args...)}
}

func (tx *Tx) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := tx.stmts[query]; ok {
		return s, nil
	}
	s, err := tx.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	tx.stmts[query] = s
	return s, nil
}

func (tx *Tx) pragma(ctx context.Context, setting string) error {
	_, err := tx.conn.ExecContext(ctx, "PRAGMA "+setting)
	return err
}

// end commits, or rolls back when err is not nil, and gives the outcome.
func (tx *Tx) end(err error) error {
	ctx := context.Background()
	if err == nil {
		if _, err = tx.Exec(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// A failed COMMIT may have rolled back already; then this fails, rightly.
	tx.Exec(ctx, "ROLLBACK")
	return err
}

func (tx *Tx) close() error {
	var errs []error
	for _, s := range tx.stmts {
		errs = append(errs, s.Close())
	}
	tx.given.forget()
	return errors.Join(append(errs, tx.conn.Close())...)
}
