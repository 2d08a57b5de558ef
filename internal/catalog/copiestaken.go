package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/firn-archive/firn"
)

// A CopyPair is an archive that was copied, and what it is a copy of, by the stores'
// ids: so that another catalog can be told of it.
type CopyPair struct {
	Source, Target firn.ArchiveID
	Member         int64 // that its first is of the target's archive
}

// CopyPairs gives what a migration has copied, in the order of the source's rows. It
// holds no lock while the consumer works, and ends with the first error.
func (c *Catalog) CopyPairs(ctx context.Context, migration int64) iter.Seq2[CopyPair, error] {
	return paged(ctx, c, "list copies", fmt.Sprint("of migration ", migration), func() pager[CopyPair] {
		last := int64(0)
		return func(tx tx, page []CopyPair) (_ []CopyPair, more bool, err error) {
			err = tx.each(func(rows *sql.Rows) error {
				var p CopyPair
				var source, target string
				err := rows.Scan(&last, &source, &target, &p.Member)
				p.Source, p.Target = firn.ArchiveID(source), firn.ArchiveID(target)
				page = append(page, p)
				return err
			}, `SELECT c.archive, s.remote, t.remote, c.member FROM copy c CROSS JOIN archive s ON s.id = c.archive CROSS JOIN archive t ON t.id = c.copy
				WHERE c.migration = ? AND c.archive > ? AND c.state = 10 ORDER BY c.archive LIMIT ?`, migration, last, c.sizes.page)
			return page, len(page) == c.sizes.page, err
		}
	})
}

// TakeCopies records what another catalog has copied for a migration, some thousands at
// a time: both archives must be known here, as stored. It gives how many are; the
// others are passed over. Said again it changes nothing.
func (c *Catalog) TakeCopies(ctx context.Context, m Migration, pairs []CopyPair) (taken int, err error) {
	if err := c.tidy(ctx); err != nil {
		return 0, err
	}
	err = c.write(ctx, "take in copies", fmt.Sprint("of migration ", m.ID), func(tx tx) error {
		taken = 0
		for _, p := range pairs {
			ok, err := takeCopy(tx, m, p)
			if err != nil {
				return err
			}
			if ok {
				taken++
			}
		}
		return sumCopies(tx, m.ID)
	})
	return taken, err
}

func takeCopy(tx tx, m Migration, p CopyPair) (ok bool, err error) {
	source, err := archiveByRemote(tx, m.Source, p.Source)
	if err != nil || source == 0 {
		return false, err
	}
	target, err := archiveByRemote(tx, m.Target, p.Target)
	if err != nil || target == 0 {
		return false, err
	}
	err = tx.row("SELECT EXISTS (SELECT 1 FROM archive WHERE id = ? AND state = 10) AND EXISTS (SELECT 1 FROM archive WHERE id = ? AND state IN (10, 11, 22))", target, source).Scan(&ok)
	if err != nil || !ok {
		return false, err
	}
	return true, tx.exec(`INSERT INTO copy (migration, archive, state, copy, member, size, created, created_ns)
		SELECT ?, id, 10, ?, ?, size, coalesce(created, came, 0), coalesce(created_ns, 0) FROM archive WHERE id = ?
		ON CONFLICT DO UPDATE SET state = 10, copy = excluded.copy, member = excluded.member, why = '' WHERE state != 10`, m.ID, target, p.Member, source)
}
