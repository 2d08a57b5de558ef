package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

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
