package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/treehash"
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

// plannable are the archives of a source that a migration copies: all that is
// there but snapshots of catalogs and what is queued for deletion. A catalog of
// the target's own will be there.
const plannable = `a.store = ? AND a.state IN (10, 11) AND a.kind != 'catalog' AND a.remote IS NOT NULL
	AND NOT EXISTS (SELECT 1 FROM deletion d WHERE d.archive = a.id AND d.state > 0)`

// ofOneTree are those of one tree, by its store and name, twice.
const ofOneTree = ` AND a.id IN (
	SELECT f.archive FROM tree t CROSS JOIN dir d ON d.tree = t.id CROSS JOIN file f ON f.dir = d.id WHERE t.store = ? AND t.name = ? AND f.archive != 0
	UNION SELECT v.archive FROM tree t CROSS JOIN dir d ON d.tree = t.id CROSS JOIN version v ON v.dir = d.id WHERE t.store = ? AND t.name = ? AND v.archive != 0)`

// PlanCopies takes in the source's archives of which the migration doesn't know
// yet, some at a time, and gives how many that are. It finds out by which version
// each is named. Said again, it takes in what came since, or with all also what
// was to be deleted before, and isn't any more.
func (c *Catalog) PlanCopies(ctx context.Context, m Migration, all bool) (n int64, err error) {
	if m.Only != "" {
		n, err = c.planTree(ctx, m)
	} else {
		n, err = c.planStore(ctx, m, all)
	}
	if err != nil || n == 0 {
		return n, err
	}
	known, err := c.inheritCopies(ctx, m)
	if err != nil || n == known {
		return 0, err
	}
	return n - known, c.nameCopies(ctx, m)
}

// inheritCopies takes over what other migrations between the two stores have copied:
// of one tree, or of all. It gives how many archives that are.
func (c *Catalog) inheritCopies(ctx context.Context, m Migration) (n int64, err error) {
	err = c.write(ctx, "plan copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
		var others bool
		if err := tx.row("SELECT EXISTS (SELECT 1 FROM migration WHERE source = ? AND target = ? AND id != ?)", m.Source, m.Target, m.ID).Scan(&others); err != nil || !others {
			return err
		}
		r, err := tx.Exec(tx.ctx, `UPDATE copy SET state = 10, copy = o.copy, member = o.member FROM migration om CROSS JOIN copy o ON o.migration = om.id
			WHERE om.source = ? AND om.target = ? AND om.id != ? AND o.state = 10 AND copy.migration = ? AND copy.archive = o.archive AND copy.state = 1
			AND EXISTS (SELECT 1 FROM archive b WHERE b.id = o.copy AND b.state = 10 AND NOT EXISTS (SELECT 1 FROM deletion d WHERE d.archive = b.id AND d.state > 0))`,
			m.Source, m.Target, m.ID, m.ID)
		if err == nil {
			n, err = r.RowsAffected()
		}
		if err != nil || n == 0 {
			return err
		}
		return sumCopies(tx, m.ID)
	})
	return n, err
}

func (c *Catalog) planStore(ctx context.Context, m Migration, all bool) (n int64, err error) {
	last, begun := int64(0), false
	for more := true; more; {
		added := int64(0)
		err := c.write(ctx, "plan copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
			if !begun && !all {
				if err := tx.row("SELECT planned FROM migration WHERE id = ?", m.ID).Scan(&last); err != nil {
					return err
				}
			}
			var most int64
			err := tx.row("SELECT coalesce(max(id), 0) FROM (SELECT id FROM archive WHERE id > ? ORDER BY id LIMIT ?)", last, c.sizes.batch).Scan(&most)
			if err != nil {
				return err
			}
			if more = most != 0; !more { // those without an outcome are looked at again
				return tx.exec("UPDATE migration SET planned = coalesce((SELECT min(id) - 1 FROM archive WHERE store = ? AND state < 10 AND id <= ?), ?) WHERE id = ?",
					m.Source, last, last, m.ID)
			}
			added, err = addCopies(tx, m, "a.id > ? AND a.id <= ? AND "+plannable, last, most, m.Source)
			last, begun = most, true
			return err
		})
		if err != nil {
			return n, err
		}
		n += added
	}
	return n, nil
}

// planTree is PlanCopies of one tree: what its versions are in.
func (c *Catalog) planTree(ctx context.Context, m Migration) (n int64, err error) {
	err = c.write(ctx, "plan copies", m.Only, func(tx tx) error {
		n, err = addCopies(tx, m, plannable+ofOneTree, m.Source, m.Source, m.Only, m.Source, m.Only)
		return err
	})
	return n, err
}

// addCopies plans those of the source's archives that a condition holds for.
func addCopies(tx tx, m Migration, toCopy string, args ...any) (n int64, err error) {
	bytes := int64(0)
	err = tx.each(func(rows *sql.Rows) error {
		var size int64
		err := rows.Scan(&size)
		n, bytes = n+1, bytes+size
		return err
	}, `INSERT INTO copy (migration, archive, state, size, created, created_ns)
		SELECT ?, a.id, 1, a.size, coalesce(a.created, a.came, 0), coalesce(a.created_ns, 0) FROM archive a
		WHERE `+toCopy+" AND NOT EXISTS (SELECT 1 FROM copy WHERE migration = ? AND archive = a.id) RETURNING size",
		slices.Concat([]any{m.ID}, args, []any{m.ID})...)
	if err != nil || n == 0 {
		return n, err
	}
	return n, countCopies(tx, m.ID, CopyPlanned, n, bytes)
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

// A namer is a version by which a copy may be called.
type namer struct {
	archive, dir, since int64
	name                []byte
}

// nameCopies gives each copy of a single file the version by which it is called:
// a current one where there is one.
func (c *Catalog) nameCopies(ctx context.Context, m Migration) error {
	for _, page := range []string{
		"SELECT dir, name, since, archive FROM file WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name LIMIT ?",
		"SELECT dir, name, since, archive FROM version WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name, since LIMIT ?",
	} {
		at := newPassage()
		for more := true; more; {
			some := make([]namer, 0, c.sizes.page)
			err := c.read(ctx, "name copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
				some = some[:0]
				return tx.each(func(rows *sql.Rows) error {
					n := namer{}
					err := rows.Scan(&n.dir, &n.name, &n.since, &n.archive)
					some = append(some, n)
					return err
				}, page, at.dir, at.name, at.since, c.sizes.page)
			})
			if err != nil {
				return err
			}
			if more = len(some) == c.sizes.page; len(some) > 0 {
				last := &some[len(some)-1]
				at = passage{last.dir, append([]byte{}, last.name...), last.since}
			}
			if err := c.nameSome(ctx, m, some); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Catalog) nameSome(ctx context.Context, m Migration, some []namer) error {
	return c.write(ctx, "name copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
		for _, n := range some {
			if n.archive == 0 {
				continue
			}
			name := append([]byte{}, n.name...) // not NULL
			err := tx.exec("UPDATE copy SET dir = ?, name = ?, since = ? WHERE migration = ? AND archive = ? AND dir = 0 AND state = 1", n.dir, name, n.since, m.ID, n.archive)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

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
		before, err := readState(tx, id)
		if err != nil || before.State == Stored && before.Remote == archive.ID {
			return err
		}
		if before.State >= Stored {
			return before.conflict("record copy")
		}
		if before.Kind == LooseArchive {
			if err := keepDescription(tx, id); err != nil {
				return err
			}
		}
		if err := c.settle(tx, before, archive, Run{ID: m.Run, Store: m.Target}); err != nil {
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
