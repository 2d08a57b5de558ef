package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// MigrateRun is the command of the runs that copies belong to.
const MigrateRun = "migrate"

// MigrationTree stands, in intents, for what a migration copies: it is of no tree
// of its store yet.
const MigrationTree = -1

// A Migration is a move from store to store.
type Migration struct {
	ID             int64
	Source, Target int64  // rows of stores
	Only           string // name of the one tree that is moved; "": all there is
	Run            int64  // of the target, that the copies belong to
	Options        string // to what somebody agreed; package migrate reads it
	State          MigrationState
	Started, Ended time.Time // by the local clock
	Totals         CopyTotals
}

// A CopyState says how far a copy is.
type CopyState uint8

// The states of a copy.
const (
	CopyPlanned  CopyState = 1
	CopyBegun    CopyState = 2 // the target's archive is intended
	CopyDone     CopyState = 10
	CopyFailed   CopyState = 11
	CopyNeedless CopyState = 12 // the source is deleted, or is to be
	CopyLost     CopyState = 13 // the source was lost before: its row has moved, and nothing else
)

// CopyTotals are the archives and bytes of a migration's copies, by their state.
type CopyTotals map[CopyState]firn.Count

// Open counts what is still to be copied.
func (t CopyTotals) Open() firn.Count {
	return firn.Count{Files: t[CopyPlanned].Files + t[CopyBegun].Files, Bytes: t[CopyPlanned].Bytes + t[CopyBegun].Bytes}
}

// BeginMigration finds the migration that goes on between two stores, or begins
// one; again: it was there. Its options are those that are given.
// Errors: Invalid (a store can't be moved to itself), Conflict (what is in the
// target, or part of it, goes to the source, or what is to be moved goes, or went, to
// another store).
func (c *Catalog) BeginMigration(ctx context.Context, m Migration) (found Migration, again bool, err error) {
	subject := fmt.Sprintf("store %d to store %d", m.Source, m.Target)
	if m.Source == m.Target {
		return found, false, &firn.Error{Op: "migrate", Subject: subject, Kind: firn.Invalid, Err: errors.New("it is one store")}
	}
	err = c.write(ctx, "begin migration", subject, func(tx tx) error {
		var back bool
		if err := tx.row("SELECT EXISTS (SELECT 1 FROM migration WHERE source = ? AND target = ? AND state < 10)", m.Target, m.Source).Scan(&back); err != nil {
			return err
		}
		if back {
			return &firn.Error{Op: "migrate", Subject: subject, Kind: firn.Conflict, Err: errors.New("a migration the other way is not done")}
		}
		if err := checkOtherTargets(tx, m); err != nil {
			return err
		}
		id := int64(0)
		err := tx.row("SELECT id FROM migration WHERE source = ? AND target = ? AND only = ? AND state < 10", m.Source, m.Target, m.Only).Scan(&id)
		switch {
		case err == nil:
			again = true
			err = tx.exec("UPDATE migration SET options = ?, state = CASE WHEN state = 2 THEN 1 ELSE state END WHERE id = ?", m.Options, id)
		case isNoRows(err):
			sec, nsec := instant(c.clock.Now())
			id, err = tx.insert("INSERT INTO migration (source, target, only, run, options, state, started, started_ns) VALUES (?, ?, ?, ?, ?, 1, ?, ?)",
				m.Source, m.Target, m.Only, m.Run, m.Options, sec, nsec)
		}
		if err == nil {
			found, err = readMigration(tx, "id = ?", id)
		}
		return err
	})
	return found, again, err
}

// checkOtherTargets refuses to move something to two stores: whichever is done first has
// the trees, and the other one archives that nothing is in.
func checkOtherTargets(tx tx, m Migration) error {
	var from, to string
	var state MigrationState
	err := tx.row(`SELECT m.state, s.url, t.url FROM migration m CROSS JOIN store s ON s.id = m.source CROSS JOIN store t ON t.id = m.target
		WHERE m.source = ? AND m.target != ? AND m.state < 10 AND (m.only = '' OR ? = '' OR m.only = ?) ORDER BY m.state DESC LIMIT 1`,
		m.Source, m.Target, m.Only, m.Only).Scan(&state, &from, &to)
	if err != nil {
		return ignoreNoRows(err)
	}
	e := &firn.Error{Op: "migrate", Subject: from, Kind: firn.Conflict, Err: errors.New("it is on its way to " + to), Hint: "to give that up: firn migrate --give-up " + from + " " + to}
	if state >= MigrationCopied {
		e.Err, e.Hint = errors.New("it was moved to "+to), "move on from there: firn migrate "+to+" STORE"
	}
	return e
}

// FindMigration gives the last migration between two stores that was not given
// up; Only is of those that move one tree alone. It reports whether there is one.
func (c *Catalog) FindMigration(ctx context.Context, source, target int64, only string) (m Migration, ok bool, err error) {
	err = c.read(ctx, "find migration", fmt.Sprintf("of store %d to store %d", source, target), func(tx tx) error {
		m, err = readMigration(tx, "source = ? AND target = ? AND only = ? AND state != 11", source, target, only)
		if isNoRows(err) {
			return nil
		}
		ok = err == nil
		return err
	})
	return m, ok, err
}

// Migrations gives the migrations from a store that have not ended, and of those
// that have the last; 0: from any.
func (c *Catalog) Migrations(ctx context.Context, source int64) (all []Migration, err error) {
	err = c.read(ctx, "list migrations", fmt.Sprint("of store ", source), func(tx tx) error {
		all = nil
		var ids []int64
		err := tx.each(func(rows *sql.Rows) error {
			ids = append(ids, 0)
			return rows.Scan(&ids[len(ids)-1])
		}, "SELECT id FROM migration WHERE (?1 = 0 OR source = ?1) AND (state < 10 OR id = (SELECT max(id) FROM migration WHERE source = ?1)) ORDER BY id", source)
		for _, id := range ids {
			if err != nil {
				return err
			}
			var m Migration
			m, err = readMigration(tx, "id = ?", id)
			all = append(all, m)
		}
		return err
	})
	return all, err
}

func readMigration(tx tx, ofMigration string, args ...any) (m Migration, err error) {
	var sec, nsec int64
	var ended, endedNs sql.NullInt64
	err = tx.row("SELECT id, source, target, only, run, options, state, started, started_ns, ended, ended_ns FROM migration WHERE "+ofMigration+" ORDER BY id DESC LIMIT 1", args...).
		Scan(&m.ID, &m.Source, &m.Target, &m.Only, &m.Run, &m.Options, &m.State, &sec, &nsec, &ended, &endedNs)
	if err != nil {
		return m, err
	}
	m.Started = at(sec, nsec)
	if ended.Valid {
		m.Ended = at(ended.Int64, endedNs.Int64)
	}
	m.Totals = CopyTotals{}
	return m, tx.each(func(rows *sql.Rows) error {
		var s CopyState
		var n firn.Count
		err := rows.Scan(&s, &n.Files, &n.Bytes)
		m.Totals[s] = n
		return err
	}, "SELECT state, archives, bytes FROM copy_total WHERE migration = ? AND archives != 0", m.ID)
}

// SetMigration records how far a migration is. Errors: NotFound.
func (c *Catalog) SetMigration(ctx context.Context, id int64, s MigrationState) error {
	return c.write(ctx, "record migration", fmt.Sprint(id), func(tx tx) error {
		var ended, endedNs any
		if s >= MigrationDone {
			ended, endedNs = instant(c.clock.Now())
		}
		return tx.row("UPDATE migration SET state = ?, ended = ?, ended_ns = ? WHERE id = ? RETURNING id", s, ended, endedNs, id).Scan(&id)
	})
}

// sumCopies makes the sums anew, which is for changes of many rows.
func sumCopies(tx tx, migration int64) error {
	if err := tx.exec("DELETE FROM copy_total WHERE migration = ?", migration); err != nil {
		return err
	}
	return tx.exec("INSERT INTO copy_total (migration, state, archives, bytes) SELECT migration, state, count(*), sum(size) FROM copy WHERE migration = ? GROUP BY state", migration)
}

// countCopies adds to the sums.
func countCopies(tx tx, migration int64, s CopyState, archives, bytes int64) error {
	return tx.exec(`INSERT INTO copy_total (migration, state, archives, bytes) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET archives = archives + excluded.archives, bytes = bytes + excluded.bytes`, migration, s, archives, bytes)
}

// moveCopies takes copies from the sum of one state to that of another.
func moveCopies(tx tx, migration int64, from, to CopyState, archives, bytes int64) error {
	return tx.exec(`INSERT INTO copy_total (migration, state, archives, bytes) VALUES (?1, ?2, -?4, -?5), (?1, ?3, ?4, ?5)
		ON CONFLICT DO UPDATE SET archives = archives + excluded.archives, bytes = bytes + excluded.bytes`, migration, from, to, archives, bytes)
}

const (
	// copyStands holds for a copy that is stored in the target, and stays there.
	copyStands = `EXISTS (SELECT 1 FROM archive b WHERE b.id = copy.copy AND b.state = 10
		AND NOT EXISTS (SELECT 1 FROM deletion d WHERE d.archive = b.id AND d.state > 0))`
	// sourceStands holds for an archive a of the source that is there, and stays.
	sourceStands = `EXISTS (SELECT 1 FROM archive a WHERE a.id = copy.archive AND a.state IN (10, 11)
		AND NOT EXISTS (SELECT 1 FROM deletion d WHERE d.archive = a.id AND d.state > 0))`
)

// LeaveOut leaves out the copies that are planned, or failed, and whose source is gone
// since, or queued for deletion.
func (c *Catalog) LeaveOut(ctx context.Context, m Migration) (n int64, err error) {
	return c.setCopies(ctx, m,
		"UPDATE copy SET state = 12 WHERE migration = ? AND state < 10 AND state = 1 AND NOT "+sourceStands,
		"UPDATE copy SET state = 12, why = '' WHERE migration = ? AND state = 11 AND NOT "+sourceStands)
}

// RenewCopies plans again what was copied and isn't in the target any more, or is to
// be deleted there, and what was left out and is to stay after all. It gives how many
// archives that are.
func (c *Catalog) RenewCopies(ctx context.Context, m Migration) (n int64, err error) {
	return c.setCopies(ctx, m,
		"UPDATE copy SET state = 1, copy = 0, member = 0 WHERE migration = ? AND state = 10 AND NOT "+copyStands+" AND "+sourceStands,
		"UPDATE copy SET state = 1 WHERE migration = ? AND state = 12 AND "+sourceStands)
}

// setCopies changes states of a migration's copies, and gives how many.
func (c *Catalog) setCopies(ctx context.Context, m Migration, statements ...string) (n int64, err error) {
	err = c.write(ctx, "plan copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
		n = 0
		for _, statement := range statements {
			r, err := tx.Exec(tx.ctx, statement, m.ID)
			if err != nil {
				return err
			}
			changed, err := r.RowsAffected()
			if n += changed; err != nil {
				return err
			}
		}
		if n == 0 {
			return nil
		}
		return sumCopies(tx, m.ID)
	})
	return n, err
}

// A FailedCopy is an archive that could not be copied.
type FailedCopy struct {
	Archive int64
	Remote  firn.ArchiveID
	Size    int64
	Path    string // in a tree; of several one. Empty where it has none
	Why     string
}

// FailedCopies gives the copies that failed, at most n, behind an archive.
func (c *Catalog) FailedCopies(ctx context.Context, migration, after int64, n int) (all []FailedCopy, err error) {
	err = c.read(ctx, "list failed copies", fmt.Sprint("of migration ", migration), func(tx tx) error {
		all = nil
		return tx.each(func(rows *sql.Rows) error {
			var f FailedCopy
			var key, name []byte
			err := rows.Scan(&f.Archive, &f.Remote, &f.Size, &key, &name, &f.Why)
			if name != nil {
				f.Path = joinPath(pathOf(key), name)
			}
			all = append(all, f)
			return err
		}, `SELECT c.archive, coalesce(a.remote, ''), c.size, d.key, c.name, c.why FROM copy c CROSS JOIN archive a ON a.id = c.archive LEFT JOIN dir d ON d.id = c.dir
			WHERE c.migration = ? AND c.state = 11 AND c.archive > ? ORDER BY c.archive LIMIT ?`, migration, after, n)
	})
	return all, err
}

// InventoryDate is the date of the newest inventory of a store that was worked in,
// by the store's clock; zero: none was.
func (c *Catalog) InventoryDate(ctx context.Context, store int64) (dated time.Time, err error) {
	err = c.read(ctx, "find inventory", fmt.Sprint("of store ", store), func(tx tx) error {
		var sec int64
		err := tx.row("SELECT inventory FROM store WHERE id = ?", store).Scan(&sec)
		if sec != 0 {
			dated = at(sec, 0)
		}
		return err
	})
	return dated, err
}
