package sqldb

import (
	"context"
	"errors"
)

// setJournal sets the journal's mode, which the file keeps. To change it SQLite
// needs the file alone, and where others want the same at that moment it gives
// up at once, whatever the busy timeout. So we wait for them in a transaction,
// for which it does wait, and try again.
func (tx *Tx) setJournal(ctx context.Context, mode string) error {
	const tries = 1000
	for try := 0; ; try++ {
		err := tx.pragma(ctx, "journal_mode="+mode)
		if err == nil || !isBusy(err) || try == tries {
			return err
		}
		if _, err := tx.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		if err := tx.end(nil); err != nil {
			return err
		}
	}
}

// isBusy reports whether others had locked the file (sqlite.org, "Result and
// Error Codes").
func isBusy(err error) bool {
	const busy = 5
	var coded interface{ Code() int }
	return errors.As(err, &coded) && coded.Code()&0xff == busy
}
