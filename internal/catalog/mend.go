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

// mendAtOnce bounds how many lost contents are in memory at a time.
const mendAtOnce = 1 << 16

// Mend gives versions whose archive was lost the place of the same content in an
// archive that the run's store has, such as a copy that was made anew: they stay what
// they are, in whatever tree, and can be restored again. What is in no other archive
// stays lost. It gives how many versions that are. Cut short it has mended some; said
// again, it mends the others.
func (c *Catalog) Mend(ctx context.Context, run Run) (n int64, err error) {
	m := &mender{cat: c, run: run, to: map[Place]Place{}}
	last := int64(0)
	for more := true; more && err == nil; {
		var lost []int64
		if lost, last, more, err = m.page(ctx, last); err != nil {
			break
		}
		for _, archive := range lost {
			if err = m.look(ctx, archive); err == nil && len(m.to) >= mendAtOnce {
				err = m.apply(ctx)
			}
			if err != nil {
				return m.mended, err
			}
		}
	}
	if err == nil {
		err = m.apply(ctx)
	}
	return m.mended, err
}

// A mender is one Mend.
type mender struct {
	cat    *Catalog
	run    Run
	to     map[Place]Place
	mended int64
}

// page gives the lost archives of the store among some that follow a row.
func (m *mender) page(ctx context.Context, after int64) (lost []int64, last int64, more bool, err error) {
	err = m.cat.read(ctx, "look for what was lost", fmt.Sprint("of store ", m.run.Store), func(tx tx) error {
		lost = nil
		err := tx.row("SELECT coalesce(max(id), 0) FROM (SELECT id FROM archive WHERE id > ? ORDER BY id LIMIT ?)", after, m.cat.sizes.batch).Scan(&last)
		if more = last != 0; err != nil || !more {
			return err
		}
		return tx.each(func(rows *sql.Rows) error {
			lost = append(lost, 0)
			return rows.Scan(&lost[len(lost)-1])
		}, "SELECT a.id FROM archive a WHERE a.id > ? AND a.id <= ? AND a.store = ? AND a.state = 21 ORDER BY a.id", after, last, m.run.Store)
	})
	return lost, last, more, err
}

// look finds the contents of a lost archive in others.
func (m *mender) look(ctx context.Context, archive int64) error {
	var held []held
	var sealed Recipients
	err := m.cat.read(ctx, "look for contents", fmt.Sprint("of archive ", archive), func(tx tx) (err error) {
		var recipients []byte
		err = tx.row("SELECT recipients FROM seal WHERE archive = ?", archive).Scan(&recipients)
		if err = ignoreNoRows(err); err != nil {
			return err
		}
		copy(sealed[:], recipients)
		held, err = heldBy(tx, archive)
		return err
	})
	if err != nil || len(held) == 0 {
		return err
	}
	contents := make([]firn.Content, len(held))
	for i, h := range held {
		contents[i] = h.Content
	}
	found, err := m.cat.FindContents(ctx, m.run.Store, sealed, contents)
	for i, at := range found {
		if at.Archive != 0 {
			m.to[Place{archive, held[i].number}] = Place{at.Archive, at.Member}
		}
	}
	return err
}

// apply moves the versions of what was found.
func (m *mender) apply(ctx context.Context) (err error) {
	if len(m.to) == 0 {
		return nil
	}
	from := map[int64]bool{}
	for p := range m.to {
		from[p.Archive] = true
	}
	move := &mover{cat: m.cat, run: m.run, to: m.to}
	if move.archives, err = json.Marshal(slices.Sorted(maps.Keys(from))); err != nil {
		return err
	}
	for _, s := range []movedRows{movedFiles, movedVersions} {
		if err == nil {
			err = move.table(ctx, s)
		}
	}
	m.mended += move.moved
	clear(m.to)
	return err
}
