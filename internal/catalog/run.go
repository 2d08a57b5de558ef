package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
)

// A Run is one command's work. Runs, not clocks, order file versions.
type Run struct {
	ID      int64
	Store   int64
	Tree    int64  // 0: of the whole store
	Command string // "sync"
	Started time.Time
	Ended   time.Time // zero while it goes on, or when it was killed
	// Recipients are those that the run seals for: it shares content only with
	// archives sealed for the same. It is for the caller to set after BeginRun,
	// and is not recorded.
	Recipients Recipients
	Outcome
}

// An Outcome is how a run ended.
type Outcome struct {
	Complete bool // all that was asked for is done
	Counts   map[firn.Action]firn.Count
}

// BeginRun begins a run. Its time is later than that of any run before it,
// whatever the clock says.
func (c *Catalog) BeginRun(ctx context.Context, store, tree int64, command string) (Run, error) {
	run := Run{Store: store, Tree: tree, Command: command}
	err := c.write(ctx, "begin run", command, func(tx tx) error {
		run.Started = c.clock.Now().UTC()
		var sec, nsec int64
		err := tx.row("SELECT started, started_ns FROM run ORDER BY id DESC LIMIT 1").Scan(&sec, &nsec)
		if err != nil && !isNoRows(err) {
			return err
		}
		if next := at(sec, nsec).Add(time.Millisecond); err == nil && next.After(run.Started) {
			run.Started = next
		}
		sec, nsec = instant(run.Started)
		run.ID, err = tx.insert("INSERT INTO run (store, tree, command, started, started_ns) VALUES (?, ?, ?, ?, ?)", store, tree, command, sec, nsec)
		return err
	})
	return run, err
}

// EndRun records how a run ended. Errors: NotFound, also when it has ended
// already.
func (c *Catalog) EndRun(ctx context.Context, run Run, out Outcome) error {
	return c.write(ctx, "end run", fmt.Sprint(run.ID), func(tx tx) error {
		sec, nsec := instant(c.clock.Now())
		err := tx.row("UPDATE run SET ended = ?, ended_ns = ?, complete = ? WHERE id = ? AND ended IS NULL RETURNING id",
			sec, nsec, out.Complete, run.ID).Scan(&run.ID)
		if err != nil {
			return err
		}
		for action, n := range out.Counts {
			err := tx.exec("INSERT INTO run_count (run, action, files, bytes) VALUES (?, ?, ?, ?)", run.ID, string(action), n.Files, n.Bytes)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// LastRuns gives, of each tree of the store (and of the store itself, tree 0)
// and each command, the newest complete run and the newest of the others,
// newest first.
func (c *Catalog) LastRuns(ctx context.Context, store int64) (runs []Run, err error) {
	err = c.read(ctx, "list runs", fmt.Sprint("of store ", store), func(tx tx) error {
		trees := []int64{0}
		err := tx.each(func(rows *sql.Rows) error {
			trees = append(trees, 0)
			return rows.Scan(&trees[len(trees)-1])
		}, "SELECT id FROM tree WHERE store = ?", store)
		if err != nil {
			return err
		}
		for _, tree := range trees {
			more, err := lastRuns(tx, store, tree)
			if err != nil {
				return err
			}
			runs = append(runs, more...)
		}
		return nil
	})
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(b.ID, a.ID) })
	return runs, err
}

// lastRuns hops through the index from command to command, since a tree that
// is synced each hour has a hundred thousand runs.
func lastRuns(tx tx, store, tree int64) (runs []Run, err error) {
	for command := ""; ; {
		var next sql.NullString
		err := tx.row("SELECT min(command) FROM run WHERE store = ? AND tree = ? AND command > ?", store, tree, command).Scan(&next)
		if err != nil || !next.Valid {
			return runs, err
		}
		command = next.String
		for complete := range 2 {
			var id sql.NullInt64
			err := tx.row("SELECT max(id) FROM run WHERE store = ? AND tree = ? AND command = ? AND complete = ?", store, tree, command, complete).Scan(&id)
			if err != nil {
				return nil, err
			}
			if !id.Valid {
				continue
			}
			run, err := readRun(tx, id.Int64)
			if err != nil {
				return nil, err
			}
			runs = append(runs, run)
		}
	}
}

// RunAt gives the newest run of a tree that began at or before t: what
// ListQuery.At wants. Errors: NotFound (the tree is younger).
func (c *Catalog) RunAt(ctx context.Context, tree int64, t time.Time) (run Run, err error) {
	err = c.read(ctx, "find run", t.Format(time.RFC3339), func(tx tx) error {
		var id int64
		sec, nsec := instant(t)
		err := tx.row("SELECT id FROM run WHERE tree = ? AND (started, started_ns) <= (?, ?) ORDER BY id DESC LIMIT 1", tree, sec, nsec).Scan(&id)
		if isNoRows(err) {
			return &firn.Error{Op: "find run", Subject: t.Format(time.RFC3339), Kind: firn.NotFound, Err: errors.New("the tree was first synced after this time")}
		}
		if err != nil {
			return err
		}
		run, err = readRun(tx, id)
		return err
	})
	return run, err
}

// Run finds one run. Errors: NotFound.
func (c *Catalog) Run(ctx context.Context, id int64) (run Run, err error) {
	err = c.read(ctx, "find run", fmt.Sprint(id), func(tx tx) error {
		run, err = readRun(tx, id)
		return notThere(err, "find run", fmt.Sprint(id), "there is no such run")
	})
	return run, err
}

// FirstRun gives a tree's oldest run. Errors: NotFound (nobody synced it yet).
func (c *Catalog) FirstRun(ctx context.Context, tree int64) (run Run, err error) {
	err = c.read(ctx, "find first run", fmt.Sprint("of tree ", tree), func(tx tx) error {
		var id int64
		err := tx.row("SELECT id FROM run WHERE tree = ? ORDER BY id LIMIT 1", tree).Scan(&id)
		if err == nil {
			run, err = readRun(tx, id)
		}
		return notThere(err, "find first run", fmt.Sprint("of tree ", tree), "the tree was never synced")
	})
	return run, err
}

// notThere says why a row that was looked for isn't there.
func notThere(err error, op, subject, why string) error {
	if !isNoRows(err) {
		return err
	}
	return &firn.Error{Op: op, Subject: subject, Kind: firn.NotFound, Err: errors.New(why)}
}

// readRun reads one run with its counts.
func readRun(tx tx, id int64) (Run, error) {
	run := Run{ID: id}
	var sec, nsec int64
	var ended, endedNs sql.NullInt64
	err := tx.row("SELECT store, tree, command, started, started_ns, ended, ended_ns, complete FROM run WHERE id = ?", id).
		Scan(&run.Store, &run.Tree, &run.Command, &sec, &nsec, &ended, &endedNs, &run.Complete)
	if err != nil {
		return Run{}, err
	}
	run.Started = at(sec, nsec)
	if ended.Valid {
		run.Ended = at(ended.Int64, endedNs.Int64)
	}
	run.Counts = map[firn.Action]firn.Count{}
	err = tx.each(func(rows *sql.Rows) error {
		var action firn.Action
		var n firn.Count
		err := rows.Scan(&action, &n.Files, &n.Bytes)
		run.Counts[action] = n
		return err
	}, "SELECT action, files, bytes FROM run_count WHERE run = ?", id)
	return run, err
}
