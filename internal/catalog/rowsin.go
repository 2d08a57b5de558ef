package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
)

// RowsRead says what a stream brought.
type RowsRead struct {
	Header   rows.Header
	Trees    int64             // that were not known
	Archives int64             // that were not known
	Versions int64             // that were not known
	Renamed  map[string]string // trees whose names others have here, and what they are called now
}

// ReadRows takes the rows of a stream into a store, and those of the streams
// that add to it: what another catalog knows of the store, or this one knew
// before it was lost. What is known already stays, and gets what is newer in the
// stream: so a stream can be read twice. Streams of several catalogs may come in
// any order, those of one by their Seq.
//
// A tree is the one of the same name if host and directory are the same, or if
// one has runs of the other; else it gets another name.
//
// It goes in transactions of some 10,000 rows. Cut short, it has taken in what
// came, and is to be read again. Errors: those of the stream, Invalid.
func (c *Catalog) ReadRows(ctx context.Context, store int64, stream iter.Seq2[rows.Row, error], more ...iter.Seq2[rows.Row, error]) (RowsRead, error) {
	in := rowReader{c: c, ctx: ctx, store: store, out: RowsRead{Renamed: map[string]string{}}}
	for i, stream := range append([]iter.Seq2[rows.Row, error]{stream}, more...) {
		in.base = i < len(more)
		if err := in.read(stream); err != nil {
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

// forgetDeleted lets go of old versions whose archives are deleted: they were
// forgotten before.
func (in *rowReader) forgetDeleted() error {
	const step = 10_000 // directories
	for from, end := int64(0), int64(1); in.deleted && from < end; from += step {
		err := in.c.write(in.ctx, "forget versions", "", func(tx tx) error {
			if err := tx.row("SELECT coalesce(max(id), 0) + 1 FROM dir").Scan(&end); err != nil {
				return err
			}
			return tx.exec(`DELETE FROM version WHERE dir >= ? AND dir < ?
				AND EXISTS (SELECT 1 FROM archive a WHERE a.id = version.archive AND a.store = ? AND a.state = 22)`, from, from+step, in.store)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A rowReader is one ReadRows. It keeps what the numbers in the stream are here.
type rowReader struct {
	c        *Catalog
	ctx      context.Context
	store    int64
	out      RowsRead
	catalogs map[int64]int64
	trees    map[int64]int64
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

// isGone stands for the row of an archive that is deleted.
const isGone = -1

// archive gives the row of an archive; 0 where no stream has it, or it is
// deleted.
func (in *rowReader) archive(id int64) (row int64) {
	for i := len(in.archives) - 1; i >= 0 && row == 0; i-- {
		row = in.archives[i].get(id)
	}
	return max(row, 0)
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
		if r.ID <= in.lastArchive || r.Remote == "" {
			return in.refuse("archive %d, %q, comes behind archive %d", r.ID, r.Remote, in.lastArchive)
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
		same := in.sameTrees(known)
		for i := range in.heads.trees {
			if err := in.writeTree(tx, &in.heads.trees[i], same); err != nil {
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

// sameTrees tells which trees of the stream are here under whatever name, since
// they have a run in common.
func (in *rowReader) sameTrees(known map[runKey]knownRun) map[int64]int64 {
	same := map[int64]int64{}
	for i := range in.heads.runs {
		run := &in.heads.runs[i]
		if run.ID < 0 || run.Tree == 0 || same[run.Tree] != 0 {
			continue
		}
		if k, ok := known[in.keyOfRun(run)]; ok && k.tree != 0 {
			same[run.Tree] = k.tree
		}
	}
	return same
}

// writeTree finds the tree that a tree of the stream is, or makes it.
func (in *rowReader) writeTree(tx tx, r *rows.Tree, same map[int64]int64) error {
	if tree := same[r.ID]; tree != 0 {
		in.trees[r.ID] = tree
		return in.updateTree(tx, tree, r)
	}
	name := r.Name
	for n := 1; ; n++ {
		tree, err := scanTree(tx.row("SELECT "+treeColumns+" FROM tree WHERE store = ? AND name = ?", in.store, name))
		if isNoRows(err) {
			break
		}
		if err != nil {
			return err
		}
		if !tree.IsBound() || r.Host == "" && len(r.Root) == 0 || tree.Host == r.Host && tree.Root == string(r.Root) {
			in.trees[r.ID] = tree.ID
			return in.updateTree(tx, tree.ID, r)
		}
		name = otherName(r, n)
	}
	if err := checkTreeName(name); err != nil {
		return err
	}
	id, err := tx.insert("INSERT INTO tree (store, name, host, root, recipients, keys) VALUES (?, ?, ?, ?, ?, ?)",
		in.store, name, r.Host, []byte(string(r.Root)), r.Recipients, strings.Join(r.Keys, "\n"))
	if err != nil {
		return err
	}
	in.trees[r.ID] = id
	in.out.Trees++
	if name != r.Name {
		in.out.Renamed[r.Name] = name
	}
	return nil
}

// otherName is the nth name that a tree gets where others have its own:
// NAME@HOST, as far as such a name may be.
func otherName(r *rows.Tree, n int) string {
	suffix := "@" + strings.Map(func(c rune) rune {
		if c == '/' || !unicode.IsPrint(c) {
			return '_'
		}
		return c
	}, r.Host)
	const most = maxTreeName / 2
	if suffix = suffix[:runesWithin(suffix, most)]; n > 1 {
		suffix += fmt.Sprint("-", n)
	}
	return r.Name[:runesWithin(r.Name, maxTreeName-len(suffix))] + suffix
}

// runesWithin gives how many bytes the runes of a text have that fit into most.
func runesWithin(text string, most int) (n int) {
	for i, c := range text {
		if end := i + utf8.RuneLen(c); end <= most {
			n = end
		}
	}
	return n
}

// updateTree fills in what is not known of a tree. Where it is, and whom it is
// encrypted for, this machine knows best once it was synced here.
func (in *rowReader) updateTree(tx tx, tree int64, r *rows.Tree) error {
	if err := tx.exec("UPDATE tree SET host = ?, root = ? WHERE id = ? AND host = '' AND length(root) = 0", r.Host, []byte(string(r.Root)), tree); err != nil {
		return err
	}
	return tx.exec("UPDATE tree SET recipients = ?, keys = ? WHERE id = ? AND recipients IS NULL AND NOT EXISTS (SELECT 1 FROM run WHERE tree = ? AND catalog = 1)",
		r.Recipients, strings.Join(r.Keys, "\n"), tree, tree)
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
			if archive == 0 {
				continue // never stored
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

// A rowMap maps numbers that come in rising order to rows. Runs of both take
// one entry.
type rowMap struct{ spans []span }

// A span maps from.. to to.., n of them.
type span struct{ from, to, n int64 }

func (m *rowMap) add(from, to int64) {
	if k := len(m.spans); k > 0 {
		if last := &m.spans[k-1]; last.from+last.n == from && last.to+last.n == to {
			last.n++
			return
		}
	}
	m.spans = append(m.spans, span{from, to, 1})
}

// get gives the row of a number; 0 where there is none.
func (m *rowMap) get(from int64) int64 {
	i := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].from > from }) - 1
	if i < 0 || from >= m.spans[i].from+m.spans[i].n {
		return 0
	}
	return m.spans[i].to + from - m.spans[i].from
}

// writeArchives records the archives that came.
func (in *rowReader) writeArchives() error {
	if err := in.writeHeads(); err != nil {
		return err
	}
	found := in.found
	in.found, in.held = in.found[:0], 0
	if len(found) == 0 {
		return nil
	}
	if err := in.c.tidy(in.ctx); err != nil {
		return err
	}
	return in.c.write(in.ctx, "take in archives", string(found[0].Remote), func(tx tx) error {
		w := archiveWriter{in: in, tx: tx, add: newArchiveInsert(tx)}
		return w.write(found)
	})
}

// An archiveWriter records archives of a stream, within one transaction.
type archiveWriter struct {
	in *rowReader
	tx
	add    archiveInsert
	held   []heldIn
	stored firn.Count // what the store has more
}

func (w *archiveWriter) write(found []rows.Archive) error {
	finds := make([]Find, len(found))
	for i := range found {
		a := &found[i]
		finds[i] = Find{Archive: firn.Archive{ID: a.Remote, Description: a.Description, Created: a.Created, Size: a.Size, Tree: a.Tree},
			Kind: ArchiveKind(a.Kind), Token: a.Token, Format: a.Format, Packed: a.Packed, Header: a.Header}
		copy(finds[i].Recipients[:], a.Recipients)
	}
	t := taker{tx: w.tx, run: Run{Store: w.in.store}}
	ids, states, err := t.known(finds)
	if err != nil {
		return err
	}
	var next int64
	if err := w.row("SELECT coalesce(max(id), 0) + 1 FROM archive").Scan(&next); err != nil {
		return err
	}
	for i := range found {
		a := &found[i]
		switch {
		case ids[i] < 0:
			return w.in.refuse("archive %s is there twice", a.Remote)
		case ids[i] != 0 && states[i] < Stored:
			// An upload that is still open here: reconciliation finds its archive.
		case ids[i] != 0:
			err = w.update(ids[i], states[i], a)
		default:
			ids[i] = next
			next++
			w.in.out.Archives++
			err = w.insert(ids[i], a, &finds[i])
		}
		if err != nil {
			return err
		}
		if states[i] == Deleted {
			ids[i] = isGone
		}
		w.in.archives[len(w.in.archives)-1].add(a.ID, ids[i])
	}
	if err := w.add.flush(); err != nil {
		return err
	}
	w.in.c.remotes.fresh.Add(int64(len(w.add.remotes)))
	if err := w.in.c.holdAll(w.tx, w.held); err != nil {
		return err
	}
	return w.exec("UPDATE store SET archives = archives + ?, bytes = bytes + ? WHERE id = ?", w.stored.Files, w.stored.Bytes, w.in.store)
}

// insert records an archive that was not known.
func (w *archiveWriter) insert(id int64, a *rows.Archive, f *Find) error {
	run, err := w.in.run(a.Run)
	if err != nil {
		return err
	}
	settled, err := w.in.run(a.Settled)
	if err != nil {
		return err
	}
	w.count(State(a.State), a.Size, 1)
	w.hold(id, a)
	if err := w.leave(id, a); err != nil {
		return err
	}
	return w.add.add(w.in.store, id, f, State(a.State), run, settled)
}

// leave queues an archive that its catalog was about to delete. It may have done
// so: what it holds doesn't count as stored.
func (w *archiveWriter) leave(id int64, a *rows.Archive) error {
	if a.Leaves.IsZero() || State(a.State) != Stored {
		return nil
	}
	w.in.leaving[id] = true
	return w.exec("INSERT INTO deletion (archive, store, run, not_before, state, why) VALUES (?, ?, ?, ?, 2, ?)",
		id, w.in.store, w.in.runs[a.Settled], a.Leaves.Unix(), "let go by "+w.in.out.Header.Host)
}

func (w *archiveWriter) count(s State, size, n int64) {
	if s == Stored {
		w.stored.Files += n
		w.stored.Bytes += n * size
	}
}

func (w *archiveWriter) hold(id int64, a *rows.Archive) {
	for _, c := range a.Contents {
		w.held = append(w.held, heldIn{id, held{c.Member, c.Offset, firn.Content{Size: c.Size, Tree: c.Tree}}})
	}
}

// update brings an archive that is known to what became of it since: what was
// stored may be lost or deleted, what was foreign taken in. What is deleted stays
// so, and what is lost, unless a later run than the one that missed it had it.
func (w *archiveWriter) update(id int64, before State, a *rows.Archive) error {
	now := State(a.State)
	if now == before || before == Deleted || now == Foreign {
		return nil
	}
	settled, err := w.in.run(a.Settled)
	if err != nil {
		return err
	}
	var size, since int64
	if err := w.row("SELECT size, coalesce(settled, 0) FROM archive WHERE id = ?", id).Scan(&size, &since); err != nil {
		return err
	}
	if before == Lost && now == Stored && settled <= since {
		return nil
	}
	if before == Foreign {
		w.hold(id, a)
	}
	w.count(before, size, -1)
	w.count(now, size, 1)
	return w.exec("UPDATE archive SET state = ?, settled = ?, kind = ? WHERE id = ?", now, settled, a.Kind, id)
}

// writeFiles records the versions that came.
func (in *rowReader) writeFiles() error {
	if err := in.writeArchives(); err != nil {
		return err
	}
	files := in.files
	in.files, in.size = nil, 0
	if len(files) == 0 {
		return nil
	}
	return in.c.write(in.ctx, "take in files", files[0].dir.Path, func(tx tx) error {
		w := fileWriter{in: in, tx: tx, merger: newMerger(tx), trees: map[int64]*recorder{}}
		if err := w.write(files); err != nil {
			return err
		}
		in.out.Versions += w.merger.added
		return w.merger.finish()
	})
}

// A fileWriter records versions of a stream, within one transaction.
type fileWriter struct {
	in *rowReader
	tx
	merger *merger
	trees  map[int64]*recorder // they make directories
}

func (w *fileWriter) write(files []pathRows) error {
	slots, fresh, err := w.slots(files)
	if err != nil {
		return err
	}
	var maybe []slot
	for i := range files {
		if !fresh[i] {
			maybe = append(maybe, slots[i])
		}
	}
	has, err := taken(w.tx, maybe)
	if err != nil {
		return err
	}
	for i := range files {
		revisions, err := w.revisions(files[i].entries)
		if err != nil {
			return err
		}
		known := false
		if !fresh[i] {
			known, has = has[0], has[1:]
		}
		tree := w.in.trees[files[i].dir.Tree]
		switch {
		case len(revisions) == 0:
		case known:
			err = w.merger.merge(tree, slots[i], revisions)
		default:
			err = w.merger.add(tree, slots[i], revisions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// slots finds the places of paths, making their directories. What is in a
// directory that was made is fresh: it has no history.
func (w *fileWriter) slots(files []pathRows) (slots []slot, fresh []bool, err error) {
	slots, fresh = make([]slot, len(files)), make([]bool, len(files))
	for i := range files {
		f := &files[i]
		tree, ok := w.in.trees[f.dir.Tree]
		if !ok {
			return nil, nil, w.in.refuse("it has no tree %d", f.dir.Tree)
		}
		if err := checkPath(f.dir.Path); err != nil {
			return nil, nil, err
		}
		r := w.trees[tree]
		if r == nil {
			r = newRecorder(w.tx, Run{Store: w.in.store, Tree: tree})
			w.trees[tree] = r
		}
		dir, err := r.makeDir(f.dir.Path)
		if err != nil {
			return nil, nil, err
		}
		slots[i], fresh[i] = slot{dir.id, f.name}, dir.group == r.group
	}
	return slots, fresh, nil
}

// revisions gives the versions of a path with the numbers that they have here.
// What is in an archive that no stream has was on its way, and is none.
func (w *fileWriter) revisions(entries []rows.Entry) (all []revision, err error) {
	for i := range entries {
		e := &entries[i]
		r := revision{mode: int64(e.Mode), size: e.Size, uid: e.UID, gid: e.GID, group: e.LinkGroup, attrs: e.Attrs}
		r.mtime, r.mtimeNs = instant(e.ModTime)
		if r.mode&modeType == modeLink {
			r.target = []byte(e.Target)
		}
		if r.since, err = w.in.run(e.Since); err != nil {
			return nil, err
		}
		if r.until, err = w.in.run(e.Until); err != nil {
			return nil, err
		}
		if e.Archive != 0 {
			if r.where = (place{w.in.archive(e.Archive), e.Member}); r.where.archive == 0 {
				continue
			}
			if w.in.leaving[r.where.archive] { // another catalog's version needs it
				delete(w.in.leaving, r.where.archive)
				if err := w.exec("DELETE FROM deletion WHERE archive = ?", r.where.archive); err != nil {
					return nil, err
				}
			}
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b revision) int { return cmp.Compare(a.since, b.since) })
	all = slices.CompactFunc(all, func(a, b revision) bool { return a.since == b.since })
	line(all)
	return all, nil
}
