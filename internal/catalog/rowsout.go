package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
)

// RowsOptions say what WriteRows writes.
type RowsOptions struct {
	// Base is the Through of the stream that this one adds to: then it has of
	// archives and entries what is newer alone. 0: it has all.
	Base int64
	// Seq, BaseSeq and Profiles are for the header.
	Seq, BaseSeq int64
	Profiles     []rows.Profile
	// Alive reports whether a run that has not ended may still record something
	// other than a snapshot, in whatever process; one that may not never does so
	// again. nil: the newest run of each tree may.
	Alive func(Run) bool
}

// RowsWritten says what WriteRows wrote.
type RowsWritten struct {
	// Through is the last run such that nothing is missing of it and of all
	// before it, and that none of them will record anything more: it has ended,
	// or is dead, and no file that it was sending is still on its way.
	Through  int64
	Archives int64
	Entries  int64
}

// A RowSink takes rows, one after the other; it keeps none of them. A
// *rows.Writer is one.
type RowSink interface{ Write(rows.Row) error }

// WriteRows gives all rows of a store but the End, in the order that package
// rows wants, as they are at one moment, as far as anybody can tell: runs and
// archives that come up meanwhile are left out. So are archives that have no
// outcome, and never had one; a version in one of these replaced nothing.
//
// Put over the rows of an earlier stream by their numbers, what one that adds
// to it has makes the rows that a whole one would have. Versions that were
// forgotten since stay: see Retire. Host is what this machine is called.
//
// It holds no lock while the sink works, and takes a bit of memory for each
// archive. Errors: NotFound (no such store), those of the sink.
func (c *Catalog) WriteRows(ctx context.Context, store int64, host string, o RowsOptions, to RowSink) (RowsWritten, error) {
	w := &rowWriter{cat: c, ctx: ctx, store: store, base: o.Base, to: to, runSet: map[int64]bool{}}
	if err := w.look(o.Alive); err != nil {
		return RowsWritten{}, err
	}
	w.header.Host, w.header.Seq, w.header.Base, w.header.Profiles = host, o.Seq, o.BaseSeq, o.Profiles
	w.catalogs[0].Host = host // the first is this one
	for _, step := range []func() error{w.writeHeads, w.writeRuns, w.writeSnapshots, w.writeArchives, w.writeTrees} {
		if err := step(); err != nil {
			return RowsWritten{}, err
		}
	}
	return w.out, nil
}

// A rowWriter is one WriteRows.
type rowWriter struct {
	cat   *Catalog
	ctx   context.Context
	store int64
	base  int64
	to    RowSink
	out   RowsWritten

	// What was there at the moment when it began:
	header      rows.Header
	catalogs    []rows.Catalog
	trees       []Tree
	snapshots   []rows.Snapshot
	lastRun     int64
	lastArchive int64

	runSet  map[int64]bool // runs of which there is a row
	lastHad int64          // one of them

	written bitmap // archives of which there is a row, here or in the base
	fresh   bitmap // those of them that the base hasn't got as they are
}

func (w *rowWriter) read(fn func(tx) error) error {
	return w.cat.read(w.ctx, "write rows", fmt.Sprint("of store ", w.store), fn)
}

// look reads what there is at one moment. Which runs are dead is asked before:
// what they did is then there.
func (w *rowWriter) look(alive func(Run) bool) error {
	dead, err := w.dead(alive)
	if err != nil {
		return err
	}
	steps := []func(tx) error{w.lookAtStore, w.lookAtCatalogs, w.lookAtTrees, w.lookAtSnapshots}
	return w.read(func(tx tx) (err error) {
		for _, step := range steps {
			if err := step(tx); err != nil {
				return err
			}
		}
		w.out.Through, err = w.through(tx, func(run int64, isNewest bool) bool {
			if alive == nil {
				return isNewest
			}
			return !dead[run]
		})
		w.header.Through = w.out.Through
		return err
	})
}

// dead gives the runs without an end that are dead, up to the first one that
// isn't.
func (w *rowWriter) dead(alive func(Run) bool) (dead map[int64]bool, err error) {
	if alive == nil {
		return nil, nil
	}
	var runs []Run
	err = w.read(func(tx tx) error {
		return eachOpenRun(tx, w.store, func(id int64, _ bool) error {
			run, err := readRun(tx, id)
			runs = append(runs, run)
			return err
		})
	})
	dead = map[int64]bool{}
	for _, run := range runs {
		if alive(run) {
			break
		}
		dead[run.ID] = true
	}
	return dead, err
}

// eachOpenRun calls fn at each run of a store that has not ended, oldest first,
// and says whether it is its tree's newest. Those that an earlier snapshot had
// whole were dead by then.
func eachOpenRun(tx tx, store int64, fn func(id int64, isNewest bool) error) error {
	type openRun struct {
		id       int64
		isNewest bool
	}
	var open []openRun
	err := tx.each(func(rows *sql.Rows) error {
		var r openRun
		err := rows.Scan(&r.id, &r.isNewest)
		open = append(open, r)
		return err
	}, `SELECT r.id, NOT EXISTS (SELECT 1 FROM run n WHERE n.tree = r.tree AND n.id > r.id AND n.store = r.store) FROM run r
		WHERE r.id > (SELECT coalesce(max(through), 0) FROM snapshot WHERE store = ? AND catalog = 1 AND own = 1)
		AND +r.store = ? AND r.ended IS NULL ORDER BY r.id`, store, store)
	for _, r := range open {
		if err == nil {
			err = fn(r.id, r.isNewest)
		}
	}
	return err
}

// through gives the last run before any that may still record something: one
// that is alive, or one of whom a file is on its way, which becomes a version of
// that run when it is found in the store.
func (w *rowWriter) through(tx tx, alive func(run int64, isNewest bool) bool) (int64, error) {
	last := w.lastRun
	err := eachOpenRun(tx, w.store, func(id int64, isNewest bool) error {
		if alive(id, isNewest) {
			last = min(last, id-1)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	var sending sql.NullInt64
	err = tx.row("SELECT min(run) FROM archive WHERE store = ? AND state < 10 AND kind IN ('file', 'bundle')", w.store).Scan(&sending)
	if sending.Valid {
		last = min(last, sending.Int64-1)
	}
	return last, err
}

func (w *rowWriter) lookAtStore(tx tx) error {
	s, err := scanStore(tx.row("SELECT "+storeColumns+" FROM store WHERE id = ?", w.store))
	if err != nil {
		return notThere(err, "write rows", fmt.Sprint("of store ", w.store), "there is no such store")
	}
	w.header = rows.Header{
		Version: rows.Version, Catalog: w.cat.id, Made: w.cat.clock.Now().UTC(),
		Store: rows.Store{Identity: s.Identity, Kind: s.Kind, URL: s.URL, Name: s.Name, Region: s.Region, Address: s.Address},
	}
	return tx.row("SELECT coalesce((SELECT max(id) FROM run), 0), coalesce((SELECT max(id) FROM archive), 0)").Scan(&w.lastRun, &w.lastArchive)
}

// lookAtCatalogs reads those from which the store has rows.
func (w *rowWriter) lookAtCatalogs(tx tx) error {
	return tx.each(func(r *sql.Rows) error {
		var c rows.Catalog
		var token []byte
		err := r.Scan(&c.ID, &token, &c.Host)
		copy(c.Token[:], token)
		w.catalogs = append(w.catalogs, c)
		return err
	}, `SELECT id, token, host FROM catalog WHERE id >= 1 AND (id = 1 OR EXISTS (SELECT 1 FROM snapshot s WHERE s.store = ? AND s.catalog = catalog.id)
		OR EXISTS (SELECT 1 FROM run r WHERE r.store = ? AND r.catalog = catalog.id)) ORDER BY id`, w.store, w.store)
}

func (w *rowWriter) lookAtTrees(tx tx) error {
	return tx.each(func(r *sql.Rows) error {
		t, err := scanTree(r)
		w.trees = append(w.trees, t)
		return err
	}, "SELECT "+treeColumns+" FROM tree WHERE store = ? ORDER BY name", w.store)
}

// lookAtSnapshots reads those that the store has, and which ones of other
// catalogs are in the rows: all that are recorded.
func (w *rowWriter) lookAtSnapshots(tx tx) error {
	err := tx.each(func(r *sql.Rows) error {
		var s rows.Snapshot
		var made int64
		err := r.Scan(&s.Catalog, &s.Seq, &s.Base, &s.Through, &s.Archive, &made)
		s.Made = at(made, 0)
		w.snapshots = append(w.snapshots, s)
		w.fresh.add(s.Archive) // its run may be in the base, though it was sent later
		return err
	}, `SELECT s.catalog, s.seq, s.base, s.through, s.archive, s.made FROM snapshot s CROSS JOIN archive a ON a.id = s.archive
		WHERE s.store = ? AND a.state = 10 ORDER BY s.catalog, s.seq`, w.store)
	if err != nil {
		return err
	}
	return tx.each(func(r *sql.Rows) error {
		var in rows.Include
		var token []byte
		err := r.Scan(&token, &in.Seq)
		copy(in.Catalog[:], token)
		w.header.Includes = append(w.header.Includes, in)
		return err
	}, `SELECT (SELECT token FROM catalog WHERE id = s.catalog), max(s.seq) FROM snapshot s WHERE s.store = ? AND s.catalog > 1
		GROUP BY s.catalog`, w.store)
}

// writeHeads writes the header, catalogs and trees.
func (w *rowWriter) writeHeads() error {
	if err := w.to.Write(&w.header); err != nil {
		return err
	}
	for i := range w.catalogs {
		if err := w.to.Write(&w.catalogs[i]); err != nil {
			return err
		}
	}
	for i := range w.trees {
		t := &w.trees[i]
		row := rows.Tree{ID: t.ID, Name: t.Name, Host: t.Host, Root: t.Root, Recipients: t.Recipients.column()}
		if t.Keys != "" {
			row.Keys = strings.Split(t.Keys, "\n")
		}
		if err := w.to.Write(&row); err != nil {
			return err
		}
	}
	return nil
}

func (w *rowWriter) writeSnapshots() error {
	for i := range w.snapshots {
		if err := w.to.Write(&w.snapshots[i]); err != nil {
			return err
		}
	}
	return nil
}

// writeRuns writes the store's runs, page by page.
func (w *rowWriter) writeRuns() error {
	for after, more := int64(math.MinInt64), true; more; {
		var page []rows.Run
		err := w.read(func(tx tx) (err error) {
			page, after, more, err = w.runs(tx, after)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			w.runSet[page[i].ID] = true
			if err := w.to.Write(&page[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// ran gives a run of which there is a row; else none: it came up meanwhile, or is that
// of a tree that has moved to another store, and took its runs along.
func (w *rowWriter) ran(run int64) int64 {
	if run != w.lastHad {
		if !w.runSet[run] {
			return 0
		}
		w.lastHad = run
	}
	return run
}

// runs reads a page of runs, behind the run after, and of them those of the
// store.
func (w *rowWriter) runs(tx tx, after int64) (page []rows.Run, last int64, more bool, err error) {
	n := 0
	err = tx.each(func(r *sql.Rows) error {
		row, store, err := scanRunRow(r)
		if store == w.store {
			page = append(page, row)
		}
		last = row.ID
		n++
		return err
	}, `SELECT id, catalog, origin, store, tree, command, started, started_ns, ended, ended_ns, complete FROM run
		WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, after, w.lastRun, w.cat.sizes.page)
	if err != nil || n == 0 {
		return nil, after, false, err
	}
	return page, last, n == w.cat.sizes.page, addCounts(tx, page, after, last)
}

func scanRunRow(r *sql.Rows) (row rows.Run, store int64, err error) {
	var sec, nsec int64
	var ended, endedNs sql.NullInt64
	err = r.Scan(&row.ID, &row.Catalog, &row.Origin, &store, &row.Tree, &row.Command, &sec, &nsec, &ended, &endedNs, &row.Complete)
	row.Started = at(sec, nsec)
	if ended.Valid {
		row.Ended = at(ended.Int64, endedNs.Int64)
	}
	return row, store, err
}

// addCounts adds what was counted to runs, which are behind the run after.
func addCounts(tx tx, runs []rows.Run, after, last int64) error {
	return tx.each(func(r *sql.Rows) error {
		var run int64
		var action firn.Action
		var count firn.Count
		if err := r.Scan(&run, &action, &count.Files, &count.Bytes); err != nil {
			return err
		}
		for len(runs) > 0 && runs[0].ID < run {
			runs = runs[1:]
		}
		if len(runs) == 0 || runs[0].ID != run {
			return nil // of another store
		}
		if runs[0].Counts == nil {
			runs[0].Counts = map[firn.Action]firn.Count{}
		}
		runs[0].Counts[action] = count
		return nil
	}, "SELECT run, action, files, bytes FROM run_count WHERE run > ? AND run <= ? ORDER BY run", after, last)
}

// A bitmap is a set of numbers from 0 on, which takes a bit for each.
type bitmap []uint64

func (b *bitmap) add(n int64) {
	for int64(len(*b))*64 <= n {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func (b bitmap) has(n int64) bool { return n/64 < int64(len(b)) && b[n/64]&(1<<(n%64)) != 0 }
