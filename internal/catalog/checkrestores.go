package catalog

import (
	"database/sql"
	"fmt"
	"math"

	"github.com/firn-archive/firn/treehash"
)

// restores looks at each restore, with the sums over its ranges, each in a
// transaction of its own.
func (k *checker) restores() error {
	for last := int64(math.MinInt64); ; {
		var found []Fault
		done := false
		err := k.read(func(tx tx) error {
			var state RestoreState
			var hasEnded bool
			err := tx.row("SELECT id, state, ended IS NOT NULL FROM restore WHERE id > ? ORDER BY id LIMIT 1", last).Scan(&last, &state, &hasEnded)
			if done = isNoRows(err); err != nil {
				return ignoreNoRows(err)
			}
			switch where := restoreSubject(last); {
			case state == restoreDropped:
				return nil // what is left of it goes
			case state.String() == "unknown":
				found = append(found, Fault{RestoreRule, where, fmt.Sprintf("there is no state %d", state)})
			case state.Open() == hasEnded:
				found = append(found, Fault{RestoreRule, where, fmt.Sprintf("it is %s, and has a time of its end: %t", state, hasEnded)})
			}
			sums, err := rangeFaults(tx, last)
			found = append(found, sums...)
			return err
		})
		if err == nil {
			err = k.faults(found)
		}
		if done || err != nil {
			return err
		}
	}
}

// rangeFaults compares the totals of a restore with the sums over its ranges.
func rangeFaults(tx tx, restore int64) (found []Fault, err error) {
	return found, tx.each(func(rows *sql.Rows) error {
		var state RangeState
		var has, want RangeTotal
		err := rows.Scan(&state, &has.Ranges, &has.Files, &has.Bytes, &has.Retrieve, &want.Ranges, &want.Files, &want.Bytes, &want.Retrieve)
		if has != want {
			found = append(found, Fault{SumRule, restoreSubject(restore), fmt.Sprintf("it says that of its ranges %v are %s, and there are %v", has, state, want)})
		}
		return err
	}, `WITH sums AS (SELECT state, count(*) AS ranges, sum(files) AS files, sum(bytes) AS bytes, sum(to_byte - from_byte) AS retrieve
			FROM restore_range WHERE restore = ? GROUP BY state),
		has AS (SELECT * FROM restore_total WHERE restore = ?)
		SELECT coalesce(has.state, sums.state), coalesce(has.ranges, 0), coalesce(has.files, 0), coalesce(has.bytes, 0), coalesce(has.retrieve, 0),
			coalesce(sums.ranges, 0), coalesce(sums.files, 0), coalesce(sums.bytes, 0), coalesce(sums.retrieve, 0)
		FROM has FULL JOIN sums ON sums.state = has.state ORDER BY 1`, restore, restore)
}

// String lists the sums, for people.
func (t RangeTotal) String() string {
	return fmt.Sprintf("%d, with %d files of %d bytes, in %d bytes to retrieve,", t.Ranges, t.Files, t.Bytes, t.Retrieve)
}

// ranges looks at each range that a restore needs. A restore that isn't there is
// a fault of the rule of references.
func (k *checker) ranges() error {
	lastRestore, lastArchive, lastFrom := int64(math.MinInt64), int64(math.MinInt64), int64(math.MinInt64)
	return k.pages(func(tx tx, limit int) (n int, found []Fault, err error) {
		err = tx.each(func(rows *sql.Rows) error {
			var end, files, bytes, size, store, archiveStore int64
			var state RangeState
			var archive State
			if err := rows.Scan(&lastRestore, &lastArchive, &lastFrom, &end, &files, &bytes, &state, &archive, &size, &archiveStore, &store); err != nil {
				return err
			}
			n++
			what := ""
			switch {
			case archive == NoArchive:
				what = "its archive is not there"
			case archiveStore != store && store != 0:
				what = "its archive is in another store"
			case state.String() == "unknown":
				what = fmt.Sprintf("there is no state %d", state)
			case lastFrom < 0 || end < lastFrom || end > size || files < 0 || bytes < 0:
				what = fmt.Sprintf("up to byte %d of %d, with %d files of %d bytes, it can't be", end, size, files, bytes)
			default:
				return nil
			}
			found = append(found, Fault{RestoreRule, fmt.Sprintf("restore %d, archive %d from byte %d", lastRestore, lastArchive, lastFrom), what})
			return nil
		}, `SELECT g.restore, g.archive, g.from_byte, g.to_byte, g.files, g.bytes, g.state, coalesce(a.state, 0), coalesce(a.size, 0), coalesce(a.store, 0), coalesce(r.store, 0)
			FROM restore_range g LEFT JOIN archive a ON a.id = g.archive LEFT JOIN restore r ON r.id = g.restore
			WHERE (g.restore, g.archive, g.from_byte) > (?, ?, ?) ORDER BY g.restore, g.archive, g.from_byte LIMIT ?`,
			lastRestore, lastArchive, lastFrom, limit)
		return n, found, err
	})
}

// pieces looks at each piece that was downloaded.
func (k *checker) pieces() error {
	lastRestore, lastArchive, lastOffset := int64(math.MinInt64), int64(math.MinInt64), int64(math.MinInt64)
	return k.pages(func(tx tx, limit int) (n int, found []Fault, err error) {
		err = tx.each(func(rows *sql.Rows) error {
			var size, hash, archiveSize int64
			if err := rows.Scan(&lastRestore, &lastArchive, &lastOffset, &size, &hash, &archiveSize); err != nil {
				return err
			}
			n++
			if lastOffset < 0 || size <= 0 || lastOffset > archiveSize-size || hash != treehash.Size {
				found = append(found, Fault{RestoreRule, pieceSubject(lastRestore, lastArchive),
					fmt.Sprintf("a piece of %d bytes at %d, with a hash of %d bytes, can't be: the archive has %d", size, lastOffset, hash, archiveSize)})
			}
			return nil
		}, `SELECT p.restore, p.archive, p.offset, p.size, length(p.tree), coalesce(a.size, -1) FROM piece p LEFT JOIN archive a ON a.id = p.archive
			WHERE (p.restore, p.archive, p.offset) > (?, ?, ?) ORDER BY p.restore, p.archive, p.offset LIMIT ?`,
			lastRestore, lastArchive, lastOffset, limit)
		return n, found, err
	})
}
