package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
)

// A CopyTask is an archive that is to be copied, with what is known of it.
type CopyTask struct {
	Archive  int64 // row of the source
	State    CopyState
	Copy     int64 // row of the target's archive; 0: none is intended
	Kind     ArchiveKind
	Strange  bool // nobody knows what it holds
	Remote   firn.ArchiveID
	Size     int64         // bytes as stored
	TreeHash treehash.Hash // of these; zero: not known
	Created  time.Time     // by the source's clock
	Sealed   bool
	// Description is kept of loose and foreign archives, with what it was
	// understood as.
	Description, Format, Packed string
	// Tree and File are those of the version by which it is named; empty where no
	// version has it alone.
	Tree   string
	TreeID int64
	File   firn.File
	// Content is what it holds as its first member; zero where it holds none.
	Content firn.Content
	Class   string // storage class in the source, as ClassOf has it
	// Contents is how many contents are in it, 0, 1, or 2 for more.
	Contents int
}

// A CopyCursor is where CopyPage goes on; the zero value is the beginning.
type CopyCursor struct{ sec, nsec, archive int64 }

const copyPage = `SELECT c.archive, c.state, c.copy, c.size, c.created, c.created_ns, a.kind, a.state = 11, a.remote, a.tree,
	coalesce(d.text, ''), coalesce(d.format, ''), coalesce(d.packed, ''), EXISTS (SELECT 1 FROM seal WHERE archive = c.archive),
	coalesce(t.name, ''), coalesce(t.id, 0), dir.key, c.name, coalesce(f.mode, v.mode, 0), coalesce(f.mtime, v.mtime, -62135596800), coalesce(f.mtime_ns, v.mtime_ns, 0),
	coalesce(f.uid, v.uid, -1), coalesce(f.gid, v.gid, -1), coalesce(l.size, 0), l.tree, coalesce(l.offset, 0),
	l.archive IS NOT NULL, EXISTS (SELECT 1 FROM location WHERE archive = c.archive AND member > 0), ` + classOf + `
	FROM copy c CROSS JOIN archive a ON a.id = c.archive CROSS JOIN store s ON s.id = a.store LEFT JOIN object o ON o.archive = c.archive LEFT JOIN description d ON d.archive = c.archive
	LEFT JOIN dir ON dir.id = c.dir LEFT JOIN tree t ON t.id = dir.tree
	LEFT JOIN file f ON f.dir = c.dir AND f.name = c.name AND f.since = c.since
	LEFT JOIN version v ON v.dir = c.dir AND v.name = c.name AND v.since = c.since
	LEFT JOIN location l ON l.archive = c.archive AND l.member = 0
	WHERE c.migration = ? AND c.state < 10 AND (c.created, c.created_ns, c.archive) > (?, ?, ?) ORDER BY c.created, c.created_ns, c.archive LIMIT ?`

// CopyPage gives the next copies that are not done, at most n, in the order in
// which the archives were made; none at the end.
func (c *Catalog) CopyPage(ctx context.Context, migration int64, from CopyCursor, n int) (page []CopyTask, next CopyCursor, err error) {
	err = c.read(ctx, "list copies", fmt.Sprint("of migration ", migration), func(tx tx) error {
		page, next = make([]CopyTask, 0, n), from
		return tx.each(func(rows *sql.Rows) error {
			t, err := scanCopy(rows, &next)
			page = append(page, t)
			return err
		}, copyPage, migration, from.sec, from.nsec, from.archive, n)
	})
	return page, next, err
}

func scanCopy(rows *sql.Rows, next *CopyCursor) (t CopyTask, err error) {
	var tree, key, name, content []byte
	var mode, mtime, mtimeNs, offset int64
	var holds, more bool
	err = rows.Scan(&t.Archive, &t.State, &t.Copy, &t.Size, &next.sec, &next.nsec, &t.Kind, &t.Strange, &t.Remote, &tree,
		&t.Description, &t.Format, &t.Packed, &t.Sealed, &t.Tree, &t.TreeID, &key, &name, &mode, &mtime, &mtimeNs,
		&t.File.UID, &t.File.GID, &t.Content.Size, &content, &offset, &holds, &more, &t.Class)
	next.archive = t.Archive
	t.Created = at(next.sec, next.nsec)
	copy(t.TreeHash[:], tree)
	copy(t.Content.Tree[:], content)
	if t.TreeID != 0 && mode != 0 {
		t.File.Path = joinPath(pathOf(key), name)
		t.File.Kind, t.File.Mode = fromMode(mode)
		t.File.Stamp = firn.Stamp{Size: t.Content.Size, ModTime: at(mtime, mtimeNs)}
	}
	switch {
	case more:
		t.Contents = 2
	case holds:
		t.Contents = 1
	}
	return t, err
}

// A CopyPlan is an archive of the target that is to hold archives of the source.
type CopyPlan struct {
	Intent
	// Sources are rows: one, that the target's archive is byte for byte, or, with
	// Offsets, those whose single contents are its members, in this order.
	Sources []int64
	// Offsets are where those begin in the target's archive, in bytes.
	Offsets []int64
}

// whole reports whether it is a copy byte for byte.
func (p *CopyPlan) whole() bool { return p.Offsets == nil }

// BeginCopies records intents for archives of the target, with what they will
// hold, and which copies they are, in one commit; it gives the intents their IDs.
// Of what is copied whole the contents, the header and, where it isn't described
// anew, the description are taken over. Errors: Invalid, as Intend; Conflict (one
// of the sources is copied, or begun, already).
func (c *Catalog) BeginCopies(ctx context.Context, m Migration, plans []CopyPlan) error {
	if err := c.tidy(ctx); err != nil {
		return err
	}
	for i := range plans {
		plans[i].Store, plans[i].Run, plans[i].Tree = m.Target, m.Run, MigrationTree
		if err := checkIntent(&plans[i].Intent); err != nil {
			return err
		}
	}
	return c.writeAgain(ctx, "record copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
		for i := range plans {
			if err := c.beginCopy(tx, m, &plans[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Catalog) beginCopy(tx tx, m Migration, p *CopyPlan) error {
	if err := intend(tx, &p.Intent); err != nil {
		return err
	}
	var all []held
	bytes := int64(0)
	for i, source := range p.Sources {
		holds, err := heldBy(tx, source)
		if err != nil {
			return err
		}
		if !p.whole() {
			if len(holds) != 1 {
				return fmt.Errorf("archive %d holds %d contents, and is to be a member", source, len(holds))
			}
			holds[0].number, holds[0].offset = int64(i), p.Offsets[i]
		}
		all = append(all, holds...)
		member := i
		if p.whole() {
			member = 0
		}
		var size int64
		err = tx.row("UPDATE copy SET state = 2, copy = ?, member = ? WHERE migration = ? AND archive = ? AND state = 1 RETURNING size", p.ID, member, m.ID, source).Scan(&size)
		if isNoRows(err) {
			return &firn.Error{Op: "record copy", Subject: fmt.Sprint("of archive ", source), Kind: firn.Conflict, Err: errors.New("it is begun already, or was given up")}
		}
		if err != nil {
			return err
		}
		bytes += size
	}
	if err := c.hold(tx, p.ID, all); err != nil {
		return err
	}
	if p.whole() {
		if err := takeOver(tx, p.ID, p.Sources[0], p.Kind); err != nil {
			return err
		}
	}
	n := int64(len(p.Sources))
	return moveCopies(tx, m.ID, CopyPlanned, CopyBegun, n, bytes)
}

// heldBy gives what an archive holds.
func heldBy(tx tx, archive int64) (all []held, err error) {
	err = tx.each(func(rows *sql.Rows) error {
		var h held
		var tree []byte
		err := rows.Scan(&h.number, &h.offset, &h.Size, &tree)
		copy(h.Tree[:], tree)
		all = append(all, h)
		return err
	}, "SELECT member, offset, size, tree FROM location WHERE archive = ? ORDER BY member", archive)
	return all, err
}

// takeOver gives an archive what is known of the one that it is a copy of.
func takeOver(tx tx, archive, source int64, kind ArchiveKind) error {
	if kind == ForeignArchive {
		if err := tx.exec("INSERT INTO description (archive, text, format, packed) SELECT ?, text, format, packed FROM description WHERE archive = ?", archive, source); err != nil {
			return err
		}
	}
	return tx.exec("INSERT INTO seal (archive, header, recipients) SELECT ?, header, recipients FROM seal WHERE archive = ?", archive, source)
}

// CopyStored records that an archive of the target is there: its sources are
// copied. Said again it changes nothing. Errors: as Stored.
func (c *Catalog) CopyStored(ctx context.Context, m Migration, id int64, archive firn.Archive) error {
	return c.writeAgain(ctx, "record copy", string(archive.ID), func(tx tx) error {
		again, err := c.arrived(tx, "record copy", id, archive, Run{ID: m.Run, Store: m.Target})
		if err != nil || again {
			return err
		}
		return endCopies(tx, m.ID, id, CopyDone)
	})
}

// endCopies records what became of the copies that are in an archive.
func endCopies(tx tx, migration, archive int64, s CopyState) error {
	end := "UPDATE copy SET state = ? WHERE copy = ? AND migration = ? AND state = 2 RETURNING size"
	if s == CopyPlanned {
		end = "UPDATE copy SET state = ?, copy = 0, member = 0 WHERE copy = ? AND migration = ? AND state = 2 RETURNING size"
	}
	var n, bytes int64
	err := tx.each(func(rows *sql.Rows) error {
		var size int64
		err := rows.Scan(&size)
		n, bytes = n+1, bytes+size
		return err
	}, end, s, archive, migration)
	if err != nil || n == 0 {
		return err
	}
	return moveCopies(tx, migration, CopyBegun, s, n, bytes)
}

// CopyDropped records that the target's archive will not be: what it was to hold
// is to be copied again.
func (c *Catalog) CopyDropped(ctx context.Context, m Migration, id int64, why string) error {
	if err := c.Drop(ctx, id, why); err != nil {
		return err
	}
	return c.write(ctx, "record copy", fmt.Sprint("archive ", id), func(tx tx) error { return endCopies(tx, m.ID, id, CopyPlanned) })
}

// CopyFails records that an archive can't be copied, and why. Its intent must have
// been dropped.
func (c *Catalog) CopyFails(ctx context.Context, m Migration, source int64, why string) error {
	return c.write(ctx, "record copy", fmt.Sprint("of archive ", source), func(tx tx) error {
		var size int64
		err := tx.row("UPDATE copy SET state = 11, why = ? WHERE migration = ? AND archive = ? AND state = 1 RETURNING size", why, m.ID, source).Scan(&size)
		if err != nil {
			return ignoreNoRows(err)
		}
		return moveCopies(tx, m.ID, CopyPlanned, CopyFailed, 1, size)
	})
}

// SettleCopies brings copies up to what became of their archives, after a
// reconciliation. Again: those that failed are to be tried again.
func (c *Catalog) SettleCopies(ctx context.Context, m Migration, again bool) error {
	return c.write(ctx, "settle copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
		type settled struct {
			archive int64
			state   State
		}
		var all []settled
		err := tx.each(func(rows *sql.Rows) error {
			all = append(all, settled{})
			return rows.Scan(&all[len(all)-1].archive, &all[len(all)-1].state)
		}, `SELECT DISTINCT c.copy, a.state FROM copy c INDEXED BY copy_into CROSS JOIN archive a ON a.id = c.copy WHERE c.state = 2 AND c.migration = ? AND a.state >= 10`, m.ID)
		for _, s := range all {
			to := CopyPlanned
			if s.state == Stored {
				to = CopyDone
			}
			if err == nil {
				err = endCopies(tx, m.ID, s.archive, to)
			}
		}
		if err != nil {
			return err
		}
		if again {
			if err := tx.exec("UPDATE copy SET state = 1, why = '', copy = 0, member = 0 WHERE migration = ? AND state = 11", m.ID); err != nil {
				return err
			}
		}
		return sumCopies(tx, m.ID)
	})
}
