package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/firn-archive/firn"
)

// DownloadRate gives how fast a store's archives came in, in bytes a second, as
// SetDownloadRate was told last; known is false where it never was.
func (c *Catalog) DownloadRate(ctx context.Context, store int64) (bytesPerSecond float64, known bool, err error) {
	err = c.read(ctx, "read download rate", fmt.Sprint("of store ", store), func(tx tx) error {
		err := tx.row("SELECT rate FROM download_rate WHERE store = ?", store).Scan(&bytesPerSecond)
		known = err == nil
		return ignoreNoRows(err)
	})
	return bytesPerSecond, known, err
}

// SetDownloadRate records how fast a store's archives came in, in bytes a second.
// Errors: Invalid (not more than 0).
func (c *Catalog) SetDownloadRate(ctx context.Context, store int64, bytesPerSecond float64) error {
	subject := fmt.Sprint("of store ", store)
	if !(bytesPerSecond > 0) || math.IsInf(bytesPerSecond, 0) {
		return &firn.Error{Op: "record download rate", Subject: subject, Kind: firn.Invalid, Err: fmt.Errorf("%v bytes a second can't be", bytesPerSecond)}
	}
	return c.write(ctx, "record download rate", subject, func(tx tx) error {
		return tx.exec("INSERT INTO download_rate (store, rate, measured) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rate = excluded.rate, measured = excluded.measured",
			store, bytesPerSecond, c.clock.Now().Unix())
	})
}

// An Ask is a retrieval that a store was asked for.
type Ask struct {
	At    time.Time // by the local clock
	Bytes int64     // of the range, or of the whole archive; 0 where nobody knows
}

// AskedSince lists the retrievals that a store was asked for by firn since a time,
// oldest first, whatever became of them. Those that it refused are not among
// them; those whose answer was lost are, until it is known that they aren't there.
func (c *Catalog) AskedSince(ctx context.Context, store int64, since time.Time) (asks []Ask, err error) {
	sec, nsec := instant(since)
	err = c.read(ctx, "list retrievals", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var a Ask
			var asked, askedNs int64
			err := rows.Scan(&asked, &askedNs, &a.Bytes)
			a.At = at(asked, askedNs)
			asks = append(asks, a)
			return err
		}, `SELECT j.asked, j.asked_ns, coalesce(j.to_byte - j.from_byte, nullif(j.archive_size, 0), a.size, 0)
			FROM job j LEFT JOIN archive a ON a.id = j.archive
			WHERE j.store = ? AND j.kind = 'retrieval' AND j.token IS NOT NULL AND (j.asked, j.asked_ns) >= (?, ?) AND (j.state != 11 OR j.remote IS NOT NULL)
			ORDER BY j.asked, j.asked_ns`, store, sec, nsec)
	})
	return asks, err
}
