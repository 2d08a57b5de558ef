package catalog

import (
	"sort"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
)

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
		finds[i] = Find{Archive: firn.Archive{ID: a.Remote, Description: a.Description, Created: a.Created, Size: a.Size, Tree: a.Tree, Receipt: firn.Receipt{Class: a.Class, Checksum: a.Checksum}},
			Kind: ArchiveKind(a.Kind), Token: a.Token, Format: a.Format, Packed: a.Packed, Header: a.Header}
		copy(finds[i].Recipients[:], a.Recipients)
	}
	t := taker{tx: w.tx, run: Run{Store: w.in.store}}
	known, err := t.known(finds)
	if err != nil {
		return err
	}
	var next int64
	if err := w.row("SELECT coalesce(max(id), 0) + 1 FROM archive").Scan(&next); err != nil {
		return err
	}
	for i := range found {
		a, id := &found[i], known[i].id
		switch {
		case a.Remote == "" || id < 0:
			w.in.leaveOut(1, "archive %d, %q, is no archive of its own", a.ID, a.Remote)
			id = isRefused
		case id != 0 && known[i].state < Stored:
			id, err = w.open(id)
		case id != 0:
			id, err = w.update(known[i], a, &finds[i])
		default:
			if id, err = w.insert(next, a, &finds[i]); id == next {
				next++
			}
		}
		if err != nil {
			return err
		}
		if known[i].state == Deleted || State(a.State) == Deleted && id > 0 {
			id = isGone
		}
		w.in.archives[len(w.in.archives)-1].add(a.ID, id)
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

// open gives the number of an archive whose upload is still open here. That of a
// file brings its version when reconciliation finds it.
func (w *archiveWriter) open(id int64) (int64, error) {
	var kind ArchiveKind
	err := w.row("SELECT kind FROM archive WHERE id = ?", id).Scan(&kind)
	if kind == FileArchive {
		id = isOpen
	}
	return id, err
}

// insert records an archive that was not known under its number here, and gives
// that, or isRefused.
func (w *archiveWriter) insert(id int64, a *rows.Archive, f *Find) (int64, error) {
	isPlain := len(a.Header) == 0 && (a.Packed == "" || !f.isDescribed())
	if what := w.in.archiveFault(a, a.Size, isPlain); what != "" {
		w.in.leaveOut(1, "archive %s: %s", a.Remote, what)
		return isRefused, nil
	}
	run, err := w.in.run(a.Run)
	if err != nil {
		return 0, err
	}
	settled, err := w.in.run(a.Settled)
	if err != nil {
		return 0, err
	}
	w.in.out.Archives++
	w.count(State(a.State), a.Size, 1)
	w.hold(id, a)
	if err := w.leave(id, a); err != nil {
		return 0, err
	}
	return id, w.add.add(w.in.store, id, f, State(a.State), run, settled)
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
		w.in.bytes += n * size
	}
}

func (w *archiveWriter) hold(id int64, a *rows.Archive) {
	for _, c := range a.Contents {
		w.held = append(w.held, heldIn{id, held{c.Member, c.Offset, firn.Content{Size: c.Size, Tree: c.Tree}}})
	}
}

// update brings an archive that is known to what became of it since: what was
// stored may be lost or deleted, what was foreign or loose taken in. What is deleted stays
// so, and what is lost, unless a later run than the one that missed it had it.
// It gives the archive's number, or isRefused.
func (w *archiveWriter) update(known knownRow, a *rows.Archive, f *Find) (int64, error) {
	id, before, now := known.id, known.state, State(a.State)
	isNamed := known.loose && f.Kind != LooseArchive && len(a.Contents) > 0
	if now == before && !isNamed || before == Deleted || now == Foreign {
		return id, nil
	}
	settled, err := w.in.run(a.Settled)
	if err != nil {
		return 0, err
	}
	var size, since int64
	if err := w.row("SELECT size, coalesce(settled, 0) FROM archive WHERE id = ?", id).Scan(&size, &since); err != nil {
		return 0, err
	}
	if before == Lost && now == Stored && settled <= since {
		return id, nil
	}
	if before == Foreign || isNamed {
		if ok, err := w.name(id, size, a, f); err != nil || !ok {
			return isRefused, err
		}
	}
	w.count(before, size, -1)
	w.count(now, size, 1)
	return id, w.exec("UPDATE archive SET state = ?, settled = ?, kind = ? WHERE id = ?", now, settled, a.Kind, id)
}

// name records what an archive holds of which nothing was known, unless that
// can't be.
func (w *archiveWriter) name(id, size int64, a *rows.Archive, f *Find) (ok bool, err error) {
	var isPacked, isNamed bool
	err = w.row(`SELECT EXISTS (SELECT 1 FROM description WHERE archive = ?1 AND packed != '') OR EXISTS (SELECT 1 FROM seal WHERE archive = ?1),
		EXISTS (SELECT 1 FROM location WHERE archive = ?1)`, id).Scan(&isPacked, &isNamed)
	if err != nil {
		return false, err
	}
	if f.isDescribed() {
		isPacked = a.Packed != ""
	}
	if what := w.in.archiveFault(a, size, len(a.Header) == 0 && !isPacked); what != "" {
		w.in.leaveOut(1, "archive %s: %s", a.Remote, what)
		return false, nil
	}
	if !isNamed {
		w.hold(id, a)
	}
	if len(f.Header) > 0 {
		if err := w.add.seals.add(id, f.Header, f.Recipients[:]); err != nil {
			return false, err
		}
	}
	return true, w.add.redescribe(id, f)
}

// isDescribed reports whether the description of the archive is kept.
func (f *Find) isDescribed() bool { return f.Kind == ForeignArchive || f.Kind == LooseArchive }

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
