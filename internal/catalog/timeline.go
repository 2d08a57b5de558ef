package catalog

import (
	"cmp"
	"database/sql"
	"slices"
)

// A revision is one version of a path, that comes from another catalog or
// from what an archive says of itself: it may belong anywhere between those
// that are known.
type revision struct {
	since, until int64 // until 0: it is current, as far as its source knew

	mode, size, mtime, mtimeNs, uid, gid int64

	where  place
	target []byte // nil where it is no link
	group  int64  // of hard links; 0: none
	attrs  []byte
	seen   []byte // of a current one of this machine
	found  bool   // its run stands for a time; see settleFound
}

// A slot is the place of a path among all: its directory's row, and its name.
type slot struct {
	dir  int64
	name string
}

// mergeRevision puts a version into the history of its path, which is sorted
// by runs. Where the history has it already, what comes later knows better; but
// what was replaced or removed stays so.
func mergeRevision(history []revision, r revision) []revision {
	i, known := slices.BinarySearchFunc(history, r.since, func(h revision, since int64) int { return cmp.Compare(h.since, since) })
	if !known {
		return slices.Insert(history, i, r)
	}
	if r.until == 0 {
		r.until = history[i].until
	}
	r.seen = history[i].seen
	history[i] = r
	return history
}

// line makes the versions of a path, sorted by their runs, follow each other:
// each ends with the next one at the latest, and none before it began, as where
// its source has runs in another order.
func line(history []revision) {
	for i := range history {
		h := &history[i]
		if h.until <= h.since {
			h.until = 0
		}
		if i+1 < len(history) && (h.until == 0 || h.until > history[i+1].since) {
			h.until = history[i+1].since
		}
	}
}

const (
	revisionColumns = "since, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, coalesce(link_group, 0), attrs"
	readVersions    = "SELECT " + revisionColumns + ", until, NULL FROM version WHERE dir = ? AND name = ? ORDER BY since"
	readCurrentFile = "SELECT " + revisionColumns + ", 0, seen FROM file WHERE dir = ? AND name = ?"
)

// history reads all versions of a path, the oldest first.
func history(tx tx, s slot) (all []revision, err error) {
	for _, query := range []string{readVersions, readCurrentFile} {
		err := tx.each(func(rows *sql.Rows) error {
			var r revision
			err := rows.Scan(&r.since, &r.mode, &r.size, &r.mtime, &r.mtimeNs, &r.uid, &r.gid, &r.where.archive, &r.where.member,
				&r.target, &r.group, &r.attrs, &r.until, &r.seen)
			all = append(all, r)
			return err
		}, query, s.dir, []byte(s.name))
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A merger adds revisions to the histories of a store's trees, within one
// transaction.
type merger struct {
	tx
	totals map[int64]*totals // by tree, what to add
	founds map[int64]bool    // runs of which it is known whether they stand for a time
	files  *batch            // of new paths
	old    *batch
	added  int64 // versions that were not known
}

func newMerger(tx tx) *merger {
	return &merger{tx: tx, totals: map[int64]*totals{}, founds: map[int64]bool{}, files: insertRevisions.batch(tx), old: insertOldRevisions.batch(tx)}
}

var (
	insertRevisions = newBulk(`INSERT INTO file (dir, name, since, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs, seen)
		VALUES `, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)", "")
	insertOldRevisions = newBulk(`INSERT INTO version (dir, name, since, until, mode, size, mtime, mtime_ns, uid, gid, archive, member, target, link_group, attrs)
		VALUES `, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?)", "")
)

// insert adds a row for a version of which the tables have none.
func (m *merger) insert(tree int64, s slot, r *revision) error {
	if r.until != 0 {
		return m.old.add(s.dir, []byte(s.name), r.since, r.until, r.mode, r.size, r.mtime, r.mtimeNs, r.uid, r.gid,
			r.where.archive, r.where.member, r.target, r.group, r.attrs)
	}
	m.count(tree, r, 1)
	return m.files.add(s.dir, []byte(s.name), r.since, r.mode, r.size, r.mtime, r.mtimeNs, r.uid, r.gid,
		r.where.archive, r.where.member, r.target, r.group, r.attrs, r.seen)
}

// count keeps the sums of a tree's current entries.
func (m *merger) count(tree int64, r *revision, n int64) {
	t := m.totals[tree]
	if t == nil {
		t = &totals{}
		m.totals[tree] = t
	}
	t.add(r.mode, n, n*r.size)
}

// merge adds versions of one path, which may have a history.
func (m *merger) merge(tree int64, s slot, revisions []revision) error {
	if err := m.flush(); err != nil {
		return err
	}
	all, err := history(m.tx, s)
	if err != nil {
		return err
	}
	if n := len(all); n > 0 && all[n-1].until == 0 {
		m.count(tree, &all[n-1], -1)
	}
	if all, revisions, err = m.settleFound(tree, all, revisions); err != nil {
		return err
	}
	before := len(all)
	for i := range revisions {
		all = mergeRevision(all, revisions[i])
	}
	line(all)
	m.added += int64(len(all) - before)
	for _, clear := range []string{"DELETE FROM file WHERE dir = ? AND name = ?", "DELETE FROM version WHERE dir = ? AND name = ?"} {
		if err := m.exec(clear, s.dir, []byte(s.name)); err != nil {
			return err
		}
	}
	for i := range all {
		if err := m.insert(tree, s, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// add adds versions of a path that has no history, the oldest first.
func (m *merger) add(tree int64, s slot, revisions []revision) error {
	m.added += int64(len(revisions))
	for i := range revisions {
		if err := m.insert(tree, s, &revisions[i]); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) flush() error {
	if err := m.files.flush(); err != nil {
		return err
	}
	return m.old.flush()
}

// finish writes what was gathered.
func (m *merger) finish() error {
	if err := m.flush(); err != nil {
		return err
	}
	for tree, t := range m.totals {
		if err := t.addTo(m.tx, tree); err != nil {
			return err
		}
	}
	return nil
}

var (
	slotsOfFiles    = newBulk("SELECT v.column1 FROM (VALUES ", "(?, ?, ?)", ") v CROSS JOIN file f ON f.dir = v.column2 AND f.name = v.column3")
	slotsOfVersions = newBulk("SELECT v.column1 FROM (VALUES ", "(?, ?, ?)", ") v CROSS JOIN version f ON f.dir = v.column2 AND f.name = v.column3")
)

// taken tells which of the slots have a history.
func taken(tx tx, slots []slot) (has []bool, err error) {
	has = make([]bool, len(slots))
	scan := func(rows *sql.Rows) error {
		var i int
		err := rows.Scan(&i)
		has[i] = true
		return err
	}
	for _, bulk := range []*bulk{slotsOfFiles, slotsOfVersions} {
		b := bulk.batch(tx)
		for i, s := range slots {
			b.args = append(b.args, i, s.dir, []byte(s.name))
			if b.full() || i == len(slots)-1 {
				if err := b.query(scan); err != nil {
					return nil, err
				}
			}
		}
	}
	return has, nil
}
