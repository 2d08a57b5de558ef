package catalog

import (
	"context"
	"fmt"
	"math"
	"time"
)

// A run that stands for a time has the seconds since 1970 in its id, above the
// bits that tell trees apart, on top of a base: for what is older than all syncs
// a negative one, so that the ids are below 0; for what is later than all that
// a recovered catalog knew, one that leaves them below the recovery's own run.
const (
	treeBits  = 8
	foundSpan = 1 << 33 << treeBits // up to the year 2242
	// earliestFound is before the year 1, which stands for a time that nobody
	// knows. latestFound leaves room for runs that have to move on. Where somebody
	// says less or more, no id overflows.
	earliestFound, latestFound = -1 << 36, 1<<33 - 1<<16
)

// A foundRun stands for a time in a tree.
type foundRun struct {
	tree, sec int64
	late      bool
}

// foundAt is the run that stands for a time, as near as a run can.
func foundAt(tree int64, when time.Time, late bool) foundRun {
	earliest := int64(earliestFound)
	if late {
		earliest = 0
	}
	return foundRun{tree, min(max(when.Unix(), earliest), latestFound), late}
}

// runOf gives the id of a run that stands for a time, which it makes if need
// be: for a second later where a tree that shares its bits was first.
func (t *taker) runOf(r foundRun) (id int64, err error) {
	if id, ok := t.runs[r]; ok {
		return id, nil
	}
	for sec, owner := r.sec, int64(-1); owner != r.tree; sec++ {
		if id = sec<<treeBits | r.tree&(1<<treeBits-1) - foundSpan; r.late {
			id += t.run.ID
		}
		err := t.exec(`INSERT OR IGNORE INTO run (id, store, tree, command, started, started_ns, ended, ended_ns, complete)
			VALUES (?, ?, ?, 'found', ?, 0, ?, 0, 1)`, id, t.run.Store, r.tree, sec, sec)
		if err != nil {
			return 0, err
		}
		if err := t.row("SELECT tree FROM run WHERE id = ?", id).Scan(&owner); err != nil {
			return 0, err
		}
	}
	t.runs[r] = id
	return id, nil
}

// openRecovery finds this catalog's recovery of a store that isn't over: it was
// not completed, nor has it worked in an inventory to the end.
const openRecovery = `SELECT id FROM run WHERE store = ? AND tree = 0 AND command = 'recover' AND complete = 0 AND catalog = 1
	AND NOT EXISTS (SELECT 1 FROM inventory i WHERE i.store = run.store AND i.state = 3 AND i.run = run.id) ORDER BY id DESC LIMIT 1`

// roomForRuns gives the number that the runs of others stay below.
func roomForRuns(tx tx, store int64) (limit int64, err error) {
	err = tx.row(openRecovery, store).Scan(&limit)
	if isNoRows(err) {
		return math.MaxInt64, nil
	}
	return limit - foundSpan, err
}

// BeginRecovery begins the run in which what is known of a store is put
// together again, or goes on with the one that wasn't completed. Before its
// number it leaves room for the runs of the snapshots, and behind those for runs
// that stand for what is newer: whatever comes when, it is in the order of time,
// and before what is synced afterwards.
func (c *Catalog) BeginRecovery(ctx context.Context, store int64) (run Run, err error) {
	err = c.write(ctx, "begin recovery", fmt.Sprint("of store ", store), func(tx tx) error {
		var id int64
		err := tx.row(openRecovery, store).Scan(&id)
		if isNoRows(err) {
			sec, nsec := instant(c.clock.Now())
			id, err = tx.insert("INSERT INTO run (id, store, tree, command, started, started_ns) VALUES ((SELECT max(0, coalesce(max(id), 0)) + ? FROM run), ?, 0, 'recover', ?, ?)",
				2*foundSpan, store, sec, nsec)
		}
		if err != nil {
			return err
		}
		if err := tx.exec("UPDATE run SET ended = NULL, ended_ns = NULL WHERE id = ?", id); err != nil {
			return err
		}
		if err := tx.exec("DELETE FROM run_count WHERE run = ?", id); err != nil {
			return err
		}
		run, err = readRun(tx, id)
		return err
	})
	return run, err
}

// freeRun gives the run of a time, or the next one, that made no version of the
// path yet.
func (t *taker) freeRun(p *placed, when time.Time) (int64, error) {
	for run := foundAt(p.tree, when, p.late); ; run.sec++ {
		id, err := t.runOf(run)
		if err != nil {
			return 0, err
		}
		var used bool
		err = t.row("SELECT EXISTS (SELECT 1 FROM file WHERE dir = ? AND name = ? AND since = ?) OR EXISTS (SELECT 1 FROM version WHERE dir = ? AND name = ? AND since = ?)",
			p.dir, []byte(p.name), id, p.dir, []byte(p.name), id).Scan(&used)
		if err != nil || !used {
			return id, err
		}
	}
}
