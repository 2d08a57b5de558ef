package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
)

// Parts of statements about a tree's versions.
const (
	ofTreeFile    = "file.dir IN (SELECT id FROM dir WHERE tree = ?1)"
	ofTreeVersion = "version.dir IN (SELECT id FROM dir WHERE tree = ?1)"
	// referredBy are the archives that versions of a tree are in.
	referredBy = `SELECT file.archive FROM dir CROSS JOIN file ON file.dir = dir.id WHERE dir.tree = ?1 AND file.archive != 0
		UNION SELECT version.archive FROM dir CROSS JOIN version ON version.dir = dir.id WHERE dir.tree = ?1 AND version.archive != 0`
)

// MoveTree gives a tree of the source to the target: all its versions are from now
// on in the copies, and its runs are the target's. What was lost before stays lost.
// It does nothing, and gives false, while one of its archives isn't copied, or is
// being sent to the source, and while a restore from the source isn't done. What
// needs the tree's lock must not go on meanwhile.
// Said again of a tree that has moved it does nothing.
// Errors: Conflict (the target has another tree of this name).
func (c *Catalog) MoveTree(ctx context.Context, m Migration, tree Tree) (moved bool, err error) {
	if err := c.tidy(ctx); err != nil {
		return false, err
	}
	err = c.write(ctx, "move tree", tree.Name, func(tx tx) error {
		moved = false
		var store int64
		if err := tx.row("SELECT store FROM tree WHERE id = ?", tree.ID).Scan(&store); err != nil {
			return err
		}
		if store == m.Target {
			moved = true
			return nil
		}
		if err := checkTreeClash(tx, m, tree.Name); err != nil {
			return err
		}
		var missing bool
		err := tx.row(`SELECT EXISTS (SELECT 1 FROM (`+referredBy+`) r CROSS JOIN archive a ON a.id = r.archive
			WHERE a.state < 20 AND NOT EXISTS (SELECT 1 FROM copy WHERE migration = ?2 AND archive = a.id AND state = 10 AND `+copyStands+`))
			OR EXISTS (SELECT 1 FROM intent i CROSS JOIN archive a ON a.id = i.archive WHERE i.tree = ?1 AND a.store = ?3)
			OR EXISTS (SELECT 1 FROM restore WHERE store = ?3 AND state = 2)`, tree.ID, m.ID, m.Source).Scan(&missing)
		if err != nil || missing {
			return err
		}
		if err := c.carryLost(tx, m, tree); err != nil {
			return err
		}
		moved = true
		return flip(tx, m, tree)
	})
	return moved && err == nil, err
}

// TreeClash says which tree of the source the target has a namesake of; nil: none.
// Errors: Conflict.
func (c *Catalog) TreeClash(ctx context.Context, m Migration) error {
	trees, err := c.Trees(ctx, m.Source)
	if err != nil {
		return err
	}
	return c.read(ctx, "look for trees", fmt.Sprint("of store ", m.Target), func(tx tx) error {
		for _, t := range trees {
			if m.Only != "" && t.Name != m.Only {
				continue
			}
			if err := checkTreeClash(tx, m, t.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func checkTreeClash(tx tx, m Migration, name string) error {
	var there bool
	err := tx.row("SELECT EXISTS (SELECT 1 FROM tree WHERE store = ? AND name = ?)", m.Target, name).Scan(&there)
	if err != nil || !there {
		return err
	}
	return &firn.Error{Op: "migrate", Subject: name, Kind: firn.Conflict, Err: errors.New("the target has a tree of this name already"),
		Hint: "move to another store, or below another prefix"}
}

// carryLost gives versions whose archive is gone, or never came to be, a row of the
// target that says so. There are few of them.
func (c *Catalog) carryLost(tx tx, m Migration, tree Tree) error {
	var lost []int64
	err := tx.each(func(rows *sql.Rows) error {
		lost = append(lost, 0)
		return rows.Scan(&lost[len(lost)-1])
	}, `SELECT a.id FROM (`+referredBy+`) r CROSS JOIN archive a ON a.id = r.archive
		WHERE a.state >= 20 AND NOT EXISTS (SELECT 1 FROM copy WHERE migration = ?2 AND archive = a.id AND state IN (10, 13)) ORDER BY a.id`, tree.ID, m.ID)
	if err != nil || len(lost) == 0 {
		return err
	}
	for _, archive := range lost {
		if err := c.carry(tx, m, archive); err != nil {
			return err
		}
	}
	return sumCopies(tx, m.ID)
}

// carry makes the row of an archive that is lost, as one of the target.
func (c *Catalog) carry(tx tx, m Migration, archive int64) error {
	id, err := tx.insert(`INSERT INTO archive (store, kind, state, run, settled, remote, size, tree, created, created_ns, note, came, ended)
		SELECT ?, kind, state, 0, settled, remote, size, tree, created, created_ns, note, came, ended FROM archive WHERE id = ?`, m.Target, archive)
	if err != nil {
		return err
	}
	err = tx.exec(`INSERT INTO copy (migration, archive, state, copy, size, created, created_ns)
		SELECT ?, id, 13, ?, size, coalesce(created, 0), coalesce(created_ns, 0) FROM archive WHERE id = ?
		ON CONFLICT DO UPDATE SET state = 13, copy = excluded.copy, member = 0`, m.ID, id, archive)
	if err != nil {
		return err
	}
	var remote sql.NullString
	if err := tx.row("SELECT remote FROM archive WHERE id = ?", id).Scan(&remote); err != nil {
		return err
	}
	if remote.Valid {
		c.remotes.fresh.Add(1)
		if err := tx.exec("INSERT OR IGNORE INTO by_remote_new (h64, archive) VALUES (?, ?)", remote64(firn.ArchiveID(remote.String)), id); err != nil {
			return err
		}
	}
	holds, err := heldBy(tx, archive)
	if err == nil {
		err = c.hold(tx, id, holds)
	}
	if err == nil {
		err = takeOver(tx, id, archive, ForeignArchive)
	}
	return err
}

// flip moves the rows of a tree, all of whose archives have copies.
func flip(tx tx, m Migration, tree Tree) error {
	for _, statement := range []string{
		"UPDATE file SET archive = c.copy, member = c.member + file.member FROM copy c WHERE c.migration = ?2 AND c.archive = file.archive AND c.state IN (10, 13) AND " + ofTreeFile,
		"UPDATE version SET archive = c.copy, member = c.member + version.member FROM copy c WHERE c.migration = ?2 AND c.archive = version.archive AND c.state IN (10, 13) AND " + ofTreeVersion,
	} {
		if err := tx.exec(statement, tree.ID, m.ID); err != nil {
			return err
		}
	}
	for _, statement := range []string{"UPDATE tree SET store = ? WHERE id = ?", "UPDATE run SET store = ? WHERE tree = ?"} {
		if err := tx.exec(statement, m.Target, tree.ID); err != nil {
			return err
		}
	}
	if err := tx.exec("DELETE FROM sample WHERE store = ? AND tree = ?", m.Source, tree.ID); err != nil {
		return err
	}
	if err := disown(tx, m.Source); err != nil {
		return err
	}
	return disown(tx, m.Target)
}
