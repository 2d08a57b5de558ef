package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/firn-archive/firn"
)

// RepackRun is the command of runs that send again what is stored, since it lies
// in bundles of which most is needed by nothing.
const RepackRun = "repack"

// A Place is where a content is: in an archive, at a place of its order.
type Place struct{ Archive, Member int64 }

// A Resident is a content that versions need, and the current version of a file
// that has it.
type Resident struct {
	Change
	At   []Place  // all of that content
	Same []Change // other files of the tree that have it, perhaps not all
}

// A Move is a content that has another place.
type Move struct{ From, To Place }

// IntendCopies records an intent as IntendBundle does, but no version is in its
// archive: it will hold contents that are stored already, until Relocate gives
// them its places. As long as nothing refers to it, it is a candidate for
// deletion, so that none stays if that never happens.
// Errors: Invalid, as IntendBundle.
func (c *Catalog) IntendCopies(ctx context.Context, in *Intent, run Run, r Retirement, members []Member) error {
	return c.intendBundle(ctx, in, run, members, func(tx tx) error { return c.suspect(tx, run, r, in.ID) })
}

// FindCopies is FindContents, but for archives that are to go: those that old
// reports, and what may be deleted soon, unless it is there since IntendCopies
// and waits to be referred to.
func (c *Catalog) FindCopies(ctx context.Context, run Run, contents []firn.Content, old func(archive int64) bool) (found []Place, err error) {
	found = make([]Place, len(contents))
	err = c.read(ctx, "find copies", "", func(tx tx) error {
		all := make([][]place, len(contents))
		err := lookUpContents(tx, run.Store, run.Recipients, contents, func(int) bool { return true }, func(i int, p place) {
			if !old(p.archive) {
				all[i] = append(all[i], p)
			}
		})
		for i, places := range all {
			for _, p := range places {
				var stays bool
				if err != nil || found[i] != (Place{}) {
					break
				}
				err = tx.row(`SELECT NOT EXISTS (SELECT 1 FROM deletion d CROSS JOIN archive a ON a.id = d.archive WHERE d.archive = ? AND d.run != a.run)`, p.archive).Scan(&stays)
				if stays {
					found[i] = Place{p.archive, p.member}
				}
			}
		}
		return err
	})
	return found, err
}

// Relocate gives all versions whose content is at one place of a move the other
// one, whatever tree they are of: they stay what they are. The archives that they
// were in become candidates for deletion. Passed over are moves to what isn't
// stored, is about to be deleted, or holds another content, and those from an
// archive that a restore waits for. It gives how many versions were moved. Cut
// short it has moved some; said again, it moves the others.
func (c *Catalog) Relocate(ctx context.Context, run Run, r Retirement, moves []Move) (n int64, err error) {
	m := &mover{cat: c, run: run, to: make(map[Place]Place, len(moves))}
	for _, move := range moves {
		m.to[move.From] = move.To
	}
	from := map[int64]bool{}
	letGo := func(tx tx) error { // before and after: others may take candidates off the list meanwhile
		for _, archive := range slices.Sorted(maps.Keys(from)) {
			if err := c.suspect(tx, run, r, archive); err != nil {
				return err
			}
		}
		return nil
	}
	err = c.write(ctx, "move versions", "", func(tx tx) error {
		clear(from)
		if err := m.check(tx, from); err != nil {
			return err
		}
		return letGo(tx)
	})
	if err != nil || len(from) == 0 {
		return 0, err
	}
	if m.archives, err = json.Marshal(slices.Sorted(maps.Keys(from))); err != nil {
		return 0, err
	}
	// A version that is replaced meanwhile goes from the first table to the second.
	for _, s := range []movedRows{movedFiles, movedVersions} {
		if err := m.table(ctx, s); err != nil {
			return m.moved, err
		}
	}
	return m.moved, c.write(ctx, "move versions", "", letGo)
}

// A mover is one Relocate.
type mover struct {
	cat      *Catalog
	run      Run
	to       map[Place]Place
	archives []byte // those that versions are moved from, as JSON
	moved    int64
}

// check drops the moves that can't be, and gives the archives of the others.
func (m *mover) check(tx tx, from map[int64]bool) error {
	for _, p := range slices.SortedFunc(maps.Keys(m.to), comparePlaces) {
		var good bool
		to := m.to[p]
		err := tx.row(`SELECT EXISTS (SELECT 1 FROM location o CROSS JOIN location n ON n.archive = ? AND n.member = ? AND n.size = o.size AND n.tree = o.tree
			CROSS JOIN archive a ON a.id = o.archive WHERE o.archive = ? AND o.member = ? AND a.state = 10 AND a.store = ? AND NOT `+wanted+")",
			to.Archive, to.Member, p.Archive, p.Member, m.run.Store, m.cat.wantedSince(), m.cat.wantedSince()).Scan(&good)
		if err != nil {
			return err
		}
		if !good {
			delete(m.to, p)
			continue
		}
		from[p.Archive] = true
	}
	return nil
}

func comparePlaces(a, b Place) int {
	if a.Archive != b.Archive {
		return int(min(max(a.Archive-b.Archive, -1), 1))
	}
	return int(min(max(a.Member-b.Member, -1), 1))
}

// movedRows are the statements for a table that refers to archives: what of a
// page is in those that are given, the page's last key, and the change.
type movedRows struct{ page, last, move string }

var (
	movedFiles = movedRows{
		page: "SELECT dir, name, since, archive, member FROM (SELECT dir, name, since, archive, member FROM file WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name LIMIT ?)" + inArchives,
		last: currentRows.last,
		move: "UPDATE file SET archive = ?, member = ?" + asRead,
	}
	movedVersions = movedRows{
		page: "SELECT dir, name, since, archive, member FROM (SELECT dir, name, since, archive, member FROM version WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name, since LIMIT ?)" + inArchives,
		last: oldRows.last,
		move: "UPDATE version SET archive = ?, member = ?" + asRead,
	}
)

const (
	inArchives = " WHERE archive IN (SELECT value FROM json_each(?))"
	asRead     = " WHERE dir = ? AND name = ? AND since = ? AND archive = ? AND member = ?"
)

// A movedVersion is the key of a version that is to be moved.
type movedVersion struct {
	dir, since int64
	name       []byte
	from       Place
}

// table moves what of a table is to be moved.
func (m *mover) table(ctx context.Context, s movedRows) error {
	at := newPassage()
	for more := true; more; {
		var found []movedVersion
		err := m.cat.read(ctx, "look for versions", m.cat.db.Path(), func(tx tx) error {
			found = nil
			err := tx.each(func(rows *sql.Rows) error {
				v := movedVersion{name: []byte{}}
				err := rows.Scan(&v.dir, &v.name, &v.since, &v.from.Archive, &v.from.Member)
				if _, moves := m.to[v.from]; moves {
					if v.name == nil {
						v.name = []byte{} // not NULL
					}
					found = append(found, v)
				}
				return err
			}, s.page, at.dir, at.name, at.since, m.cat.sizes.page, string(m.archives))
			if err == nil {
				more, err = at.advance(tx, s.last, int64(m.cat.sizes.page))
			}
			return err
		})
		if err == nil && len(found) > 0 {
			err = m.move(ctx, s, found)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// move moves some versions, those of them that are as they were read.
func (m *mover) move(ctx context.Context, s movedRows, versions []movedVersion) error {
	moved := int64(0)
	err := m.cat.write(ctx, "move versions", fmt.Sprint("of store ", m.run.Store), func(tx tx) error {
		moved = 0
		stays := map[int64]bool{} // archives, whether they can be referred to
		for i := range versions {
			v := &versions[i]
			to := m.to[v.from]
			ok, known := stays[to.Archive]
			if !known {
				var err error
				if ok, err = m.revive(tx, to.Archive); err != nil {
					return err
				}
				stays[to.Archive] = ok
			}
			if !ok {
				continue
			}
			result, err := tx.Exec(tx.ctx, s.move, to.Archive, to.Member, v.dir, v.name, v.since, v.from.Archive, v.from.Member)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			moved += n
		}
		return disown(tx, m.run.Store) // they have these where they were
	})
	if err == nil {
		m.moved += moved
	}
	return err
}

// revive takes an archive off the queue, so that it can be referred to, and
// reports whether it is there and stays.
func (m *mover) revive(tx tx, archive int64) (ok bool, err error) {
	err = tx.row("SELECT EXISTS (SELECT 1 FROM archive WHERE id = ? AND store = ? AND state = 10) AND NOT EXISTS (SELECT 1 FROM deletion WHERE archive = ? AND state = 2)",
		archive, m.run.Store, archive).Scan(&ok)
	if err != nil || !ok {
		return false, err
	}
	return true, tx.exec("DELETE FROM deletion WHERE archive = ? AND state < 2", archive)
}
