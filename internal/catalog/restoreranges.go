package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A RangeState says how far a range is that a restore needs.
type RangeState uint8

// The states of a range. From 10 on nothing more is done about it.
const (
	RangePlanned   RangeState = 1
	RangeRequested RangeState = 2
	RangeReady     RangeState = 3
	RangeDone      RangeState = 10
	RangeFailed    RangeState = 11
)

// String names the state, for people.
func (s RangeState) String() string {
	switch s {
	case RangePlanned:
		return "planned"
	case RangeRequested:
		return "requested"
	case RangeReady:
		return "ready"
	case RangeDone:
		return "done"
	case RangeFailed:
		return "failed"
	}
	return "unknown"
}

// A RestoreRange is a part of an archive, or all of it, that a restore needs.
type RestoreRange struct {
	Archive int64 // row

	// Of the archive, as the catalog knows it now; AddRanges sets them itself.
	Remote      firn.ArchiveID
	ArchiveSize int64         // bytes as stored
	ArchiveTree treehash.Hash // zero where nobody knows
	Class       string        // storage class of S3, also of what no other was recorded of than the store's; empty elsewhere
	Created     time.Time     // by the store's clock, as known when the range was added; the year 1 where that was unknown

	Range firn.Range // of the archive as stored, in whole MiB or up to its end
	Files int64      // wanted out of it
	Bytes int64      // in those files
	// Download is how many of its bytes are to be downloaded, in whole MiB; 0: nobody
	// noted it.
	Download int64
	State    RangeState // 0 is taken for RangePlanned
	Tier     firn.Tier  // it was asked for with; empty before
	Asked    int        // how often it was asked for
	// Failed is how often what it was asked for with failed at the store.
	Failed int
	Ready  time.Time // requested: when it may be ready at the earliest; ready: when its output may be gone; else the year 1
	Why    string    // the last failure, for people
}

// A RangeTotal sums up ranges.
type RangeTotal struct {
	Ranges, Files, Bytes int64
	Retrieve             int64 // lengths of the ranges, bytes
}

func (t *RangeTotal) add(o RangeTotal) {
	t.Ranges += o.Ranges
	t.Files += o.Files
	t.Bytes += o.Bytes
	t.Retrieve += o.Retrieve
}

func (t *RangeTotal) sub(o RangeTotal) {
	t.add(RangeTotal{-o.Ranges, -o.Files, -o.Bytes, -o.Retrieve})
}

// A RangeChange is what became of a range, which is told by its archive and its
// first byte. All fields replace those of the range.
type RangeChange struct {
	Archive, From int64
	State         RangeState
	Tier          firn.Tier
	Asked, Failed int
	Ready         time.Time
	Why           string
}

// AddRanges adds ranges to an open restore, all of them or, with an error, none.
// Of each it takes all but what is said of the archive. One that begins where
// there is one already is taken for the same: what is wanted of both adds up, and
// the longer one counts.
// Errors: NotFound (the restore; an archive that isn't one of its store), Invalid
// (a range that isn't one of its archive, or doesn't begin at a whole MiB; no
// such state), Conflict (the restore has ended; a range that is there already, and
// was asked for, is shorter).
func (c *Catalog) AddRanges(ctx context.Context, restore int64, ranges []RestoreRange) error {
	return c.write(ctx, "plan restore", restoreSubject(restore), func(tx tx) error {
		r, err := restoreByID(tx, "plan restore", restore)
		if err != nil {
			return err
		}
		if !r.State.Open() {
			return hasEnded("plan restore", r)
		}
		a := rangeAdder{tx: tx, restore: r, totals: map[RangeState]RangeTotal{}}
		for i := range ranges {
			if err := a.add(ranges[i]); err != nil {
				return err
			}
		}
		return addTotals(tx, restore, a.totals)
	})
}

// A rangeAdder adds ranges in one transaction.
type rangeAdder struct {
	tx
	restore Restore
	totals  map[RangeState]RangeTotal // what came in addition
}

func (a *rangeAdder) add(r RestoreRange) error {
	r.State = cmp.Or(r.State, RangePlanned)
	if r.State.String() == "unknown" || r.Files < 0 || r.Bytes < 0 || r.Download < 0 || r.Asked < 0 || r.Failed < 0 {
		return a.refuse(&r, firn.Invalid, fmt.Sprintf("%d files of %d bytes, state %d, asked for %d times, can't be", r.Files, r.Bytes, r.State, r.Asked))
	}
	created, createdNs, err := a.archive(&r)
	if err != nil {
		return err
	}
	ready, readyNs := instant(r.Ready)
	result, err := a.Exec(a.ctx, `INSERT INTO restore_range (restore, archive, from_byte, to_byte, created, created_ns, files, bytes, download, state, tier, asked, failed, ready, ready_ns, why)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		a.restore.ID, r.Archive, r.Range.Start, r.Range.End, created, createdNs, r.Files, r.Bytes, r.Download, r.State, string(r.Tier), r.Asked, r.Failed, ready, readyNs, words(r.Why))
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, a.merge(&r))
	}
	a.sum(r.State, RangeTotal{1, r.Files, r.Bytes, r.Range.Len()})
	return nil
}

func (a *rangeAdder) sum(s RangeState, t RangeTotal) {
	sum := a.totals[s]
	sum.add(t)
	a.totals[s] = sum
}

// merge adds to a range what else is wanted of it.
func (a *rangeAdder) merge(r *RestoreRange) error {
	var state RangeState
	var end int64
	const same = " WHERE restore = ? AND archive = ? AND from_byte = ?"
	if err := a.row("SELECT state, to_byte FROM restore_range"+same, a.restore.ID, r.Archive, r.Range.Start).Scan(&state, &end); err != nil {
		return err
	}
	longer := max(end, r.Range.End)
	if longer > end && state != RangePlanned {
		return a.refuse(r, firn.Conflict, fmt.Sprintf("the one up to byte %d that is there is %s already", end, state))
	}
	a.sum(state, RangeTotal{0, r.Files, r.Bytes, longer - end})
	return a.exec("UPDATE restore_range SET to_byte = ?, files = files + ?, bytes = bytes + ?, download = download + ?"+same,
		longer, r.Files, r.Bytes, r.Download, a.restore.ID, r.Archive, r.Range.Start)
}

// archive gives the time at which the archive of a range was made, and refuses
// what is no range of it.
func (a *rangeAdder) archive(r *RestoreRange) (created, createdNs int64, err error) {
	var size int64
	err = a.row("SELECT size, coalesce(created, -62135596800), coalesce(created_ns, 0) FROM archive WHERE id = ? AND store = ?", r.Archive, a.restore.Store).
		Scan(&size, &created, &createdNs)
	switch {
	case isNoRows(err):
		err = a.refuse(r, firn.NotFound, "the restore's store has no such archive")
	case err == nil && !treehash.LeafAligned(size, r.Range.Start, r.Range.End) && (size != 0 || r.Range != firn.Range{}):
		err = a.refuse(r, firn.Invalid, fmt.Sprintf("this is no range, in whole MiB, of its %d bytes", size))
	}
	return created, createdNs, err
}

func (a *rangeAdder) refuse(r *RestoreRange, kind firn.Kind, why string) error {
	return &firn.Error{Op: "plan restore", Subject: fmt.Sprintf("archive %d, bytes %d to %d", r.Archive, r.Range.Start, r.Range.End), Kind: kind, Err: errors.New(why)}
}

// addTotals adds to the sums over a restore's ranges.
func addTotals(tx tx, restore int64, totals map[RangeState]RangeTotal) error {
	for state, t := range totals {
		if t == (RangeTotal{}) {
			continue
		}
		err := tx.exec(`INSERT INTO restore_total (restore, state, ranges, files, bytes, retrieve) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (restore, state)
			DO UPDATE SET ranges = ranges + excluded.ranges, files = files + excluded.files, bytes = bytes + excluded.bytes, retrieve = retrieve + excluded.retrieve`,
			restore, state, t.Ranges, t.Files, t.Bytes, t.Retrieve)
		if err != nil {
			return err
		}
	}
	return nil
}

// SetRanges records what became of ranges of an open restore, of all of them or,
// with an error, of none.
// Errors: NotFound (the restore, or a range), Invalid (no such state), Conflict
// (the restore has ended).
func (c *Catalog) SetRanges(ctx context.Context, restore int64, changes []RangeChange) error {
	return c.write(ctx, "record restore", restoreSubject(restore), func(tx tx) error {
		if err := mustBeOpen(tx, "record restore", restore); err != nil {
			return err
		}
		totals := map[RangeState]RangeTotal{}
		for i := range changes {
			if err := setRange(tx, restore, &changes[i], totals); err != nil {
				return err
			}
		}
		return addTotals(tx, restore, totals)
	})
}

// setRange changes one range, and adds to totals what that changes of the sums.
func setRange(tx tx, restore int64, ch *RangeChange, totals map[RangeState]RangeTotal) error {
	subject := fmt.Sprintf("archive %d, from byte %d", ch.Archive, ch.From)
	if ch.State.String() == "unknown" || ch.Asked < 0 || ch.Failed < 0 {
		return &firn.Error{Op: "record restore", Subject: subject, Kind: firn.Invalid, Err: fmt.Errorf("state %d, asked for %d times, can't be", ch.State, ch.Asked)}
	}
	var was RangeState
	t := RangeTotal{Ranges: 1}
	err := tx.row("SELECT state, files, bytes, to_byte - from_byte FROM restore_range WHERE restore = ? AND archive = ? AND from_byte = ?", restore, ch.Archive, ch.From).
		Scan(&was, &t.Files, &t.Bytes, &t.Retrieve)
	if err != nil {
		return notThere(err, "record restore", subject, fmt.Sprintf("restore %d has no such range", restore))
	}
	if was != ch.State {
		from, to := totals[was], totals[ch.State]
		from.sub(t)
		to.add(t)
		totals[was], totals[ch.State] = from, to
	}
	sec, nsec := instant(ch.Ready)
	return tx.exec("UPDATE restore_range SET state = ?, tier = ?, asked = ?, failed = ?, ready = ?, ready_ns = ?, why = ? WHERE restore = ? AND archive = ? AND from_byte = ?",
		ch.State, string(ch.Tier), ch.Asked, ch.Failed, sec, nsec, words(ch.Why), restore, ch.Archive, ch.From)
}

// RangeTotals sums up a restore's ranges by their states, without reading them.
// States that no range has are not in the map.
func (c *Catalog) RangeTotals(ctx context.Context, id int64) (totals map[RangeState]RangeTotal, err error) {
	totals = map[RangeState]RangeTotal{}
	err = c.read(ctx, "sum up restore", restoreSubject(id), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var s RangeState
			var t RangeTotal
			err := rows.Scan(&s, &t.Ranges, &t.Files, &t.Bytes, &t.Retrieve)
			totals[s] = t
			return err
		}, "SELECT state, ranges, files, bytes, retrieve FROM restore_total WHERE restore = ? AND ranges > 0", id)
	})
	return totals, err
}

// RestoreRanges gives the ranges of a restore by the times at which their
// archives were made, as far as they were known when the ranges were added, then
// by archive and first byte. It holds no lock while the consumer works, who may
// change ranges meanwhile. It ends with the first error.
func (c *Catalog) RestoreRanges(ctx context.Context, id int64) iter.Seq2[RestoreRange, error] {
	return paged(ctx, c, "list ranges", restoreSubject(id), func() pager[RestoreRange] {
		last := rangeKey{sec: math.MinInt64}
		return func(tx tx, page []RestoreRange) (_ []RestoreRange, more bool, err error) {
			err = tx.each(func(rows *sql.Rows) error {
				page = append(page, RestoreRange{})
				return last.scan(rows, &page[len(page)-1])
			}, rangesAfter, id, last.sec, last.nsec, last.archive, last.from, c.sizes.page)
			return page, len(page) == c.sizes.page, err
		}
	})
}

// A rangeKey is the place of a range among those of its restore.
type rangeKey struct{ sec, nsec, archive, from int64 }

// rangesAfter reads the ranges behind a place.
const rangesAfter = `SELECT g.created, g.created_ns, g.archive, g.from_byte, g.to_byte, g.files, g.bytes, g.download, g.state, g.tier, g.asked, g.failed, g.ready, g.ready_ns, g.why,
	coalesce(a.remote, ''), coalesce(a.size, 0), a.tree, coalesce(` + classOf + `, '')
	FROM restore_range g LEFT JOIN archive a ON a.id = g.archive LEFT JOIN store s ON s.id = a.store LEFT JOIN object o ON o.archive = a.id
	WHERE g.restore = ? AND (g.created, g.created_ns, g.archive, g.from_byte) > (?, ?, ?, ?)
	ORDER BY g.created, g.created_ns, g.archive, g.from_byte LIMIT ?`

// scan reads a row of rangesAfter, and moves the place there.
func (k *rangeKey) scan(rows *sql.Rows, r *RestoreRange) error {
	var ready, readyNs int64
	var tree []byte
	err := rows.Scan(&k.sec, &k.nsec, &k.archive, &k.from, &r.Range.End, &r.Files, &r.Bytes, &r.Download, &r.State, &r.Tier, &r.Asked, &r.Failed, &ready, &readyNs, &r.Why,
		&r.Remote, &r.ArchiveSize, &tree, &r.Class)
	r.Archive, r.Range.Start = k.archive, k.from
	r.Created, r.Ready = at(k.sec, k.nsec), at(ready, readyNs)
	copy(r.ArchiveTree[:], tree)
	return err
}
