package glacierd

import (
	"context"
	"database/sql"
	"errors"

	"github.com/firn-archive/firn/internal/sqldb"
)

// A tx is a transaction in a vault's database, on behalf of a call. Its
// statements are not cut short when the client goes: a transaction is short,
// and shared with others.
type tx struct {
	*sqldb.Tx
	c *call
}

// now is the service's time, in milliseconds since 1970.
func (t tx) now() int64 { return t.c.s.cfg.Clock.Now().UnixMilli() }

func (t tx) exec(query string, args ...any) error {
	_, err := t.Exec(context.Background(), query, args...)
	return err
}

// one scans the one row that query gives; found is false where there is none.
func (t tx) one(query string, args []any, dest ...any) (found bool, err error) {
	err = t.QueryRow(context.Background(), query, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each calls fn for each row, to scan it.
func (t tx) each(query string, args []any, fn func(scan func(...any) error) error) error {
	rows, err := t.Query(context.Background(), query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// inVault makes a handler of one that works on an open vault.
func inVault(run func(*call, *vault) error) func(*call) error {
	return func(c *call) error {
		v, err := c.s.vault(c.vault)
		if errors.Is(err, errNoVault) {
			return c.noVault()
		}
		if err != nil {
			return err
		}
		defer c.s.release(v)
		if err = v.tidyNowAndThen(c); err == nil {
			err = run(c, v)
		}
		var answered *apiError
		if err == nil || errors.As(err, &answered) || c.s.stands(v) {
			return err
		}
		return c.noVault() // it was removed meanwhile
	}
}

// tidyNowAndThen tidies the vault, if that was not done for a while.
func (v *vault) tidyNowAndThen(c *call) error {
	now := c.now.UnixMilli()
	if now-v.tidied.Load() < tidyEvery.Milliseconds() {
		return nil
	}
	v.tidied.Store(now)
	return v.tidy(c)
}

func (c *call) noVault() error { return notFound("Vault not found for ARN: %s", c.arn(c.vault)) }

// read runs fn in a read transaction, if the vault is still there and its
// policies do not deny the operation.
func (c *call) read(v *vault, fn func(tx) error) error {
	return v.db.Read(c.ctx, func(t *sqldb.Tx) error { return c.within(t, fn) })
}

// write is read, for changes; they are durable when it returns. It does not end
// with the client: what has come so far is written down, so that whoever asks
// later finds a whole state.
func (c *call) write(v *vault, fn func(tx) error) error {
	return v.db.Write(context.WithoutCancel(c.ctx), func(t *sqldb.Tx) error { return c.within(t, fn) })
}

// writeAgain is write for one of many small changes, which may run twice: see
// sqldb.DB.WriteAgain.
func (c *call) writeAgain(v *vault, fn func(tx) error) error {
	return v.db.WriteAgain(context.WithoutCancel(c.ctx), func(t *sqldb.Tx) error { return c.within(t, fn) })
}

func (c *call) within(t *sqldb.Tx, fn func(tx) error) error {
	x := tx{t, c}
	if err := x.allowed(facts{}); err != nil {
		return err
	}
	return fn(x)
}
