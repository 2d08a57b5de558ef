package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
)

// RowsRead says what a stream brought.
type RowsRead struct {
	Header   rows.Header
	Trees    int64 // that were not known
	Archives int64 // that were not known
	Versions int64 // that were not known
	// Renamed are trees whose names others have here, or that none can have, and
	// what they are called now.
	Renamed map[string]string
	// Refused counts the rows that can't be, and were left out: archives, and
	// versions of files. Wrong says of the first of them what is.
	Refused int64
	Wrong   []string
}

// ReadRows takes the rows of a stream into a store, and those of the streams
// that add to it: what another catalog knows of the store, or this one knew
// before it was lost. What is known already stays, and gets what is newer in the
// stream: so a stream can be read twice. Streams of several catalogs may come in
// any order, those of one by their Seq.
//
// A tree is the one of the same name if host and directory are the same, if one of
// them has no directory, since it was found in the store, or if one has runs of
// the other; else it gets another name.
//
// Archives and versions that can't be are left out, counted, and told by
// RowsRead; what was taken in breaks no rule of Check.
//
// It goes in transactions of some 10,000 rows. Cut short, it has taken in what
// came, and is to be read again. Errors: those of the stream, Invalid.
func (c *Catalog) ReadRows(ctx context.Context, store int64, stream iter.Seq2[rows.Row, error], more ...iter.Seq2[rows.Row, error]) (RowsRead, error) {
	in := rowReader{c: c, ctx: ctx, store: store, out: RowsRead{Renamed: map[string]string{}}, later: map[int64]*rows.Tree{}, treeBytes: map[int64]int64{}}
	streams := []iter.Seq2[rows.Row, error]{stream}
	for _, m := range more {
		next := ahead(m)
		defer next.stop()
		for _, t := range next.trees() {
			in.later[t.ID] = t
		}
		streams = append(streams, next.all())
	}
	for i, stream := range streams {
		in.base = i < len(more)
		if err := in.read(stream); err != nil {
			if tidyErr := in.forgetDeleted(); tidyErr != nil { // what came counts
				err = fmt.Errorf("%w; and then: %w", err, tidyErr)
			}
			return in.out, err
		}
	}
	if err := in.forgetDeleted(); err != nil {
		return in.out, err
	}
	return in.out, in.writeSnapshots()
}

// read takes in one stream.
func (in *rowReader) read(stream iter.Seq2[rows.Row, error]) error {
	in.catalogs, in.trees, in.runs = map[int64]int64{}, map[int64]int64{}, map[int64]int64{}
	in.archives = append(in.archives, rowMap{})
	in.heads, in.lastArchive = heads{}, 0
	for row, err := range stream {
		if err == nil {
			err = in.take(row)
		}
		if err != nil {
			return in.explain(err)
		}
	}
	return in.explain(in.writeFiles()) // and what stands before them
}

// explain makes an error of the stream of one of the tables, which take no rows
// that contradict each other, nor sums that are no numbers any more.
func (in *rowReader) explain(err error) error {
	const constraint = 19 // sqlite.org, "Result and Error Codes"
	var coded interface{ Code() int }
	if errors.As(err, &coded) && coded.Code()&0xff == constraint {
		return in.refuse("its rows contradict each other: %w", err)
	}
	return err
}

// forgetDeleted lets go of versions whose archives are deleted: they were
// forgotten before, by whoever deleted these.
func (in *rowReader) forgetDeleted() error {
	const step = 10_000 // directories
	for from, end := int64(0), int64(1); in.deleted && from < end; from += step {
		err := in.c.write(in.ctx, "forget versions", "", func(tx tx) error {
			if err := tx.row("SELECT coalesce(max(id), 0) + 1 FROM dir").Scan(&end); err != nil {
				return err
			}
			return in.forgetDeletedIn(tx, from, from+step)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetDeletedIn is forgetDeleted of some directories.
func (in *rowReader) forgetDeletedIn(tx tx, from, to int64) error {
	const gone = " f WHERE dir >= ? AND dir < ? AND EXISTS (SELECT 1 FROM archive a WHERE a.id = f.archive AND a.store = ? AND a.state = 22)"
	sums := map[int64]totals{}
	err := tx.each(func(r *sql.Rows) error {
		var tree, size int64
		err := r.Scan(&tree, &size)
		t := sums[tree]
		sums[tree] = totals{files: t.files - 1, bytes: t.bytes - size}
		return err
	}, "SELECT coalesce((SELECT tree FROM dir WHERE id = f.dir), 0), size FROM file"+gone, from, to, in.store)
	if err != nil {
		return err
	}
	for tree, t := range sums {
		if err := t.addTo(tx, tree); err != nil {
			return err
		}
	}
	if len(sums) > 0 {
		if err := tx.exec("DELETE FROM file AS"+gone, from, to, in.store); err != nil {
			return err
		}
	}
	return tx.exec("DELETE FROM version AS"+gone, from, to, in.store)
}

// A rowReader is one ReadRows. It keeps what the numbers in the stream are here.
type rowReader struct {
	c        *Catalog
	ctx      context.Context
	store    int64
	out      RowsRead
	catalogs map[int64]int64
	trees    map[int64]int64
	later    map[int64]*rows.Tree // as the streams that add to this one have them
	runs     map[int64]int64
	archives []rowMap // of this stream, and before it of those that it adds to

	// What waits to be written, until there is enough of it or all of its kind.
	heads heads
	found []rows.Archive
	held  int // contents in found
	files []pathRows
	size  int // revisions in files
	dir   rows.Dir

	leaving map[int64]bool // archives here that are to be deleted, until a version needs one

	lastArchive int64 // of this stream

	bytes     int64           // in the store
	treeBytes map[int64]int64 // in all versions of a tree that came, and were current in it before

	room    int64 // runs get numbers below it
	base    bool  // another stream adds to this one
	deleted bool  // an archive is
}

// heads are the rows of which there are few.
type heads struct {
	catalogs  []rows.Catalog
	trees     []rows.Tree
	runs      []rows.Run
	snapshots []rows.Snapshot
	written   bool
}

// archive gives the row of an archive; 0 where no stream has it, and isGone and
// the like where it has none.
func (in *rowReader) archive(id int64) (row int64) {
	for i := len(in.archives) - 1; i >= 0 && row == 0; i-- {
		row = in.archives[i].get(id)
	}
	return row
}

// A pathRows is one path of the stream with its versions.
type pathRows struct {
	dir     rows.Dir
	name    string
	entries []rows.Entry
}

// take takes in one row, which may be used again after it.
func (in *rowReader) take(row rows.Row) error {
	switch r := row.(type) {
	case *rows.Header:
		in.out.Header = *r
	case *rows.Catalog:
		in.heads.catalogs = append(in.heads.catalogs, *r)
	case *rows.Tree:
		in.heads.trees = append(in.heads.trees, *r)
	case *rows.Run:
		in.heads.runs = append(in.heads.runs, *r)
	case *rows.Snapshot:
		in.heads.snapshots = append(in.heads.snapshots, *r)
	case *rows.Archive:
		if r.ID <= in.lastArchive {
			return in.refuse("archive %d comes behind archive %d", r.ID, in.lastArchive)
		}
		a := *r
		a.Contents, in.lastArchive = slices.Clone(a.Contents), r.ID
		in.deleted = in.deleted || State(a.State) == Deleted
		in.found = append(in.found, a)
		if in.held += 1 + len(a.Contents); int64(in.held) >= in.c.sizes.batch {
			return in.writeArchives()
		}
	case *rows.Dir:
		in.dir = *r
	case *rows.Entry:
		return in.entry(r)
	}
	return nil
}

// entry takes in a version. What runs did that went on when a base was made is
// in the stream that adds to it, unless it was taken back.
func (in *rowReader) entry(e *rows.Entry) error {
	if in.base {
		if e.Since > in.out.Header.Through {
			return nil
		}
		if e.Until > in.out.Header.Through {
			e.Until = 0
		}
	}
	n := len(in.files)
	if n == 0 || in.files[n-1].dir != in.dir || in.files[n-1].name != e.Name {
		if int64(in.size) >= in.c.sizes.batch {
			if err := in.writeFiles(); err != nil {
				return err
			}
		}
		in.files = append(in.files, pathRows{dir: in.dir, name: e.Name})
		n = len(in.files)
	}
	in.files[n-1].entries = append(in.files[n-1].entries, *e)
	in.size++
	return nil
}

// writeHeads writes catalogs and trees, of which there are few, and then runs.
func (in *rowReader) writeHeads() error {
	if in.heads.written {
		return nil
	}
	in.heads.written = true
	var known map[runKey]knownRun
	err := in.c.write(in.ctx, "take in trees", "", func(tx tx) (err error) {
		if err := disown(tx, in.store); err != nil {
			return err
		}
		if err := in.writeCatalogs(tx); err != nil {
			return err
		}
		if known, err = knownRuns(tx, in.store); err != nil {
			return err
		}
		if in.room, err = roomForRuns(tx, in.store); err != nil {
			return err
		}
		if err := in.readLeaving(tx); err != nil {
			return err
		}
		if err := tx.row("SELECT bytes FROM store WHERE id = ?", in.store).Scan(&in.bytes); err != nil {
			return err
		}
		same := in.sameTrees(known)
		for i := range in.heads.trees {
			tree := &in.heads.trees[i]
			if later := in.later[tree.ID]; later != nil { // it may have got a directory since
				tree = later
			}
			if err := in.writeTree(tx, tree, same); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(in.heads.runs, int(in.c.sizes.batch)) {
		if err := in.writeRuns(some, known); err != nil {
			return err
		}
	}
	in.heads.runs = nil
	return nil
}

func (in *rowReader) writeRuns(runs []rows.Run, known map[runKey]knownRun) error {
	return in.c.write(in.ctx, "take in runs", "", func(tx tx) error {
		t := taker{tx: tx, run: Run{Store: in.store}, runs: map[foundRun]int64{}}
		for i := range runs {
			if err := in.writeRun(&t, &runs[i], known); err != nil {
				return err
			}
		}
		return nil
	})
}

// readLeaving reads which archives are to be deleted: what a stream brings may
// need one.
func (in *rowReader) readLeaving(tx tx) error {
	in.leaving = map[int64]bool{}
	return tx.each(func(r *sql.Rows) error {
		var archive int64
		err := r.Scan(&archive)
		in.leaving[archive] = true
		return err
	}, "SELECT archive FROM deletion WHERE store = ? AND state > 0", in.store)
}

// writeCatalogs finds the rows of the stream's catalogs. Its own one is the
// stream's number 1.
func (in *rowReader) writeCatalogs(tx tx) error {
	for _, r := range in.heads.catalogs {
		if r.Token == in.c.id {
			in.catalogs[r.ID] = 1
			continue
		}
		if err := tx.exec("INSERT INTO catalog (token, host) VALUES (?, ?) ON CONFLICT (token) DO UPDATE SET host = excluded.host", r.Token[:], r.Host); err != nil {
			return err
		}
		var id int64
		if err := tx.row("SELECT id FROM catalog WHERE token = ?", r.Token[:]).Scan(&id); err != nil {
			return err
		}
		in.catalogs[r.ID] = id
	}
	return nil
}

// A runKey tells a run from all others: whose it was, its number there, and when
// it began. The time tells apart what a catalog that was put back from a backup
// did twice under one number.
type runKey struct{ catalog, origin, sec, nsec int64 }

// A knownRun is a run's row, and its tree.
type knownRun struct{ id, tree int64 }

// knownRuns reads all runs of a store.
func knownRuns(tx tx, store int64) (known map[runKey]knownRun, err error) {
	known = map[runKey]knownRun{}
	err = tx.each(func(r *sql.Rows) error {
		var key runKey
		var run knownRun
		err := r.Scan(&run.id, &run.tree, &key.catalog, &key.origin, &key.sec, &key.nsec)
		if key.origin == 0 {
			key.origin = run.id
		}
		known[key] = run
		return err
	}, "SELECT id, tree, catalog, origin, started, started_ns FROM run WHERE store = ?", store)
	return known, err
}

// keyOfRun is that of a run in the stream.
func (in *rowReader) keyOfRun(r *rows.Run) runKey {
	key := runKey{catalog: in.catalogs[r.Catalog], origin: r.Origin}
	if key.origin == 0 {
		key.origin = r.ID
	}
	key.sec, key.nsec = instant(r.Started)
	return key
}

// writeRun finds or makes the row of a run. One that stands for a time has the
// same id everywhere, but for its tree.
func (in *rowReader) writeRun(t *taker, r *rows.Run, known map[runKey]knownRun) error {
	tree := in.trees[r.Tree]
	if r.ID < 0 {
		id, err := t.runOf(foundAt(tree, r.Started, false))
		in.runs[r.ID] = id
		return err
	}
	key := in.keyOfRun(r)
	run, ok := known[key]
	if !ok {
		var err error
		run.id, err = t.tx.insert("INSERT INTO run (id, catalog, origin, store, tree, command, started, started_ns) VALUES ((SELECT max(0, coalesce(max(id), 0)) + 1 FROM run WHERE id < ?), ?, ?, ?, ?, ?, ?, ?)",
			in.room, key.catalog, key.origin, in.store, tree, r.Command, key.sec, key.nsec)
		if err != nil {
			return err
		}
		known[key] = knownRun{run.id, tree}
	}
	in.runs[r.ID] = run.id
	if r.Ended.IsZero() {
		return nil
	}
	sec, nsec := instant(r.Ended)
	if err := t.exec("UPDATE run SET ended = ?, ended_ns = ?, complete = ? WHERE id = ? AND ended IS NULL", sec, nsec, r.Complete, run.id); err != nil {
		return err
	}
	for _, action := range slices.Sorted(maps.Keys(r.Counts)) {
		n := r.Counts[action]
		if err := t.exec("INSERT OR IGNORE INTO run_count (run, action, files, bytes) VALUES (?, ?, ?, ?)", run.id, string(action), n.Files, n.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// run gives the row of a run of the stream.
func (in *rowReader) run(id int64) (int64, error) {
	if id == 0 {
		return 0, nil
	}
	row, ok := in.runs[id]
	if !ok {
		return 0, in.refuse("it has no run %d", id)
	}
	return row, nil
}

func (in *rowReader) refuse(format string, args ...any) error {
	return &firn.Error{Op: "take in rows", Subject: in.out.Header.Store.URL, Kind: firn.Corrupt, Err: fmt.Errorf(format, args...)}
}

// writeSnapshots records which snapshots the catalog of the last stream knew, once
// all else is there: whose they are, they need not be read any more. Their
// numbers aren't those of this database: nothing will add to them.
func (in *rowReader) writeSnapshots() error {
	return in.c.write(in.ctx, "take in snapshots", "", func(tx tx) error {
		for _, s := range in.heads.snapshots {
			archive := in.archive(s.Archive)
			if archive <= 0 {
				continue // never stored, or gone
			}
			err := tx.exec("INSERT OR IGNORE INTO snapshot (store, catalog, seq, base, through, archive, made, own) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
				in.store, in.catalogs[s.Catalog], s.Seq, s.Base, in.runs[s.Through], archive, s.Made.Unix())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// TakeSnapshot records a snapshot that was read, and its archive. What it
// includes is not needed any more to recover.
func (c *Catalog) TakeSnapshot(ctx context.Context, run Run, h rows.Header, f Find) error {
	f.Kind = CatalogArchive
	if _, err := c.TakeIn(ctx, run, []Find{f}); err != nil {
		return err
	}
	return c.write(ctx, "record snapshot", string(f.Archive.ID), func(tx tx) error {
		archive, err := archiveByRemote(tx, run.Store, f.Archive.ID)
		if err != nil || archive == 0 { // its upload here is still open: it is recorded with that
			return err
		}
		if err := tx.exec("INSERT INTO catalog (token, host) VALUES (?, ?) ON CONFLICT (token) DO UPDATE SET host = excluded.host WHERE id != 1", h.Catalog[:], h.Host); err != nil {
			return err
		}
		return tx.exec(`INSERT OR IGNORE INTO snapshot (store, catalog, seq, base, through, archive, made, own)
			VALUES (?, (SELECT id FROM catalog WHERE token = ?), ?, ?, 0, ?, ?, 0)`, run.Store, h.Catalog[:], h.Seq, h.Base, archive, h.Made.Unix())
	})
}
