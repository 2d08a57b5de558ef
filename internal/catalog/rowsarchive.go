package catalog

import (
	"database/sql"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/rows"
)

// writeArchives writes the store's archives that have an outcome, each with
// what it holds.
func (w *rowWriter) writeArchives() error {
	var page archivePage
	for after := int64(0); after < w.lastArchive; {
		to := min(after+int64(w.cat.sizes.page), w.lastArchive)
		err := w.read(func(tx tx) error { return w.archives(tx, &page, after, to) })
		if err != nil {
			return err
		}
		if err := w.withContents(page.archives); err != nil {
			return err
		}
		after = to
	}
	return nil
}

// An archivePage is used again for each page.
type archivePage struct {
	archives []rows.Archive
	row      archiveRow
}

// An archiveRow takes the columns of one row; it is used again for each, as
// currentRow is.
type archiveRow struct {
	id, state, run, settled, size, created, createdNs                                int64
	leaves                                                                           sql.NullInt64
	kind, token, remote, tree, note, text, format, packed, head, to, class, checksum sql.RawBytes
	dest                                                                             []any
}

const (
	settledArchives = " a.id > ? AND a.id <= ? AND a.store = ? AND a.state >= 10 AND a.state != 20"
	readArchives    = `SELECT a.id, a.state, a.run, coalesce(a.settled, 0), a.size, coalesce(a.created, -62135596800), coalesce(a.created_ns, 0),
		a.kind, a.token, a.remote, a.tree, a.note, d.text, d.format, d.packed, s.header, s.recipients, l.not_before, o.class, o.checksum
		FROM archive a LEFT JOIN description d ON d.archive = a.id LEFT JOIN seal s ON s.archive = a.id LEFT JOIN object o ON o.archive = a.id
		LEFT JOIN deletion l ON l.archive = a.id AND l.state > 0 AND a.state = 10 WHERE` + settledArchives + " ORDER BY a.id"
	readMarks = "SELECT a.id, a.run > ? OR coalesce(a.settled, 0) > ? FROM archive a WHERE" + settledArchives + " ORDER BY a.id"
)

// archives reads those of a range of rows that are to be written, and notes of
// all whether they are there, and are new to the base.
func (w *rowWriter) archives(tx tx, page *archivePage, after, to int64) error {
	page.archives = page.archives[:0]
	some := w.base == 0
	if w.base != 0 {
		var id, fresh int64
		dest := []any{&id, &fresh}
		err := tx.each(func(r *sql.Rows) error {
			err := r.Scan(dest...)
			w.written.add(id)
			if fresh != 0 {
				w.fresh.add(id)
			}
			some = some || w.fresh.has(id)
			return err
		}, readMarks, w.base, w.base, after, to, w.store)
		if err != nil {
			return err
		}
	}
	if !some {
		return nil
	}
	return tx.each(func(r *sql.Rows) error {
		row := &page.row
		if err := row.scan(r); err != nil {
			return err
		}
		if w.base != 0 && !w.fresh.has(row.id) {
			return nil
		}
		w.written.add(row.id)
		page.archives = append(page.archives, rows.Archive{})
		a := &page.archives[len(page.archives)-1]
		row.fill(a)
		a.Run, a.Settled = w.ran(a.Run), w.ran(a.Settled)
		return nil
	}, readArchives, after, to, w.store)
}

func (r *archiveRow) scan(rows *sql.Rows) error {
	if r.dest == nil {
		r.dest = []any{&r.id, &r.state, &r.run, &r.settled, &r.size, &r.created, &r.createdNs,
			&r.kind, &r.token, &r.remote, &r.tree, &r.note, &r.text, &r.format, &r.packed, &r.head, &r.to, &r.leaves, &r.class, &r.checksum}
	}
	return rows.Scan(r.dest...)
}

// fill makes an archive of the row.
func (r *archiveRow) fill(a *rows.Archive) {
	a.ID, a.State, a.Run, a.Settled, a.Size, a.Created = r.id, uint8(r.state), r.run, r.settled, r.size, at(r.created, r.createdNs)
	a.Kind, a.Remote, a.Note = string(r.kind), firn.ArchiveID(r.remote), string(r.note)
	a.Description, a.Format, a.Packed = string(r.text), string(r.format), string(r.packed)
	a.Class, a.Checksum = string(r.class), string(r.checksum)
	copy(a.Token[:], r.token)
	copy(a.Tree[:], r.tree)
	if r.leaves.Valid {
		a.Leaves = at(r.leaves.Int64, 0)
	}
	if r.head != nil {
		a.Header, a.Recipients = append([]byte(nil), r.head...), append([]byte(nil), r.to...)
	}
}

// near is how many rows of archives that aren't to be written are read over,
// rather than beginning anew behind them.
const near = 16

// withContents writes archives with their contents, which are read together
// where the archives stand close to each other.
func (w *rowWriter) withContents(archives []rows.Archive) error {
	for len(archives) > 0 {
		n := 1
		for n < len(archives) && archives[n].ID-archives[n-1].ID <= near {
			n++
		}
		if err := w.withContentsOf(archives[:n]); err != nil {
			return err
		}
		archives = archives[n:]
	}
	return nil
}

// A contentRow is a row of location.
type contentRow struct {
	archive int64
	rows.Content
}

// withContentsOf writes archives and what they hold: in one go through the
// locations from those of the first to those of the last.
func (w *rowWriter) withContentsOf(archives []rows.Archive) error {
	last := archives[len(archives)-1].ID
	var page []contentRow
	for after, more := (place{archives[0].ID, -1}), true; more; {
		err := w.read(func(tx tx) (err error) {
			page, err = w.contents(tx, page[:0], after, last)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			c := &page[i]
			for archives[0].ID < c.archive {
				if err := w.writeArchive(&archives[0]); err != nil {
					return err
				}
				archives = archives[1:]
			}
			if archives[0].ID == c.archive {
				archives[0].Contents = append(archives[0].Contents, c.Content)
			}
		}
		if more = len(page) == w.cat.sizes.page; more {
			end := &page[len(page)-1]
			after = place{end.archive, end.Member}
		}
	}
	for i := range archives {
		if err := w.writeArchive(&archives[i]); err != nil {
			return err
		}
	}
	return nil
}

// contents reads a page of locations behind a place, up to those of an archive.
func (w *rowWriter) contents(tx tx, page []contentRow, after place, last int64) ([]contentRow, error) {
	var c contentRow
	var tree sql.RawBytes
	dest := []any{&c.archive, &c.Member, &c.Offset, &c.Size, &tree}
	err := tx.each(func(r *sql.Rows) error {
		err := r.Scan(dest...)
		clear(c.Tree[:])
		copy(c.Tree[:], tree)
		page = append(page, c)
		return err
	}, `SELECT archive, member, offset, size, tree FROM location WHERE (archive, member) > (?, ?) AND archive <= ?
		ORDER BY archive, member LIMIT ?`, after.archive, after.member, last, w.cat.sizes.page)
	return page, err
}

func (w *rowWriter) writeArchive(a *rows.Archive) error {
	err := w.to.Write(a)
	a.Contents = nil // they may be many
	w.out.Archives++
	return err
}
