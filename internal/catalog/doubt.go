package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// A DoubtfulUpload is one of which the store may hold an archive that the
// catalog doesn't know.
type DoubtfulUpload struct {
	ID      int64 // of the doubt
	Archive int64 // row of its intent
	State   State // of that: Doubt while it waits, another after it was sent again or dropped
	Token   firn.Token
	Since   time.Time // by the store's clock
	Size    int64     // bytes, as expected
	Tree    int64     // 0 where it is for no file
	Path    string
	Resent  bool // sent again since: if it did arrive it is a double
}

// Doubts lists a store's doubts, oldest first.
func (c *Catalog) Doubts(ctx context.Context, store int64) (doubts []DoubtfulUpload, err error) {
	err = c.read(ctx, "list doubts", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			var d DoubtfulUpload
			var token []byte
			var sec, nsec int64
			err := rows.Scan(&d.ID, &d.Archive, &d.State, &token, &sec, &nsec, &d.Size, &d.Tree, &d.Path, &d.Resent)
			copy(d.Token[:], token)
			d.Since = at(sec, nsec)
			doubts = append(doubts, d)
			return err
		}, `SELECT d.id, d.archive, a.state, a.token, d.since, d.since_ns, d.size, d.tree, coalesce(d.path, ''), d.resent
			FROM doubt d CROSS JOIN archive a ON a.id = d.archive WHERE d.store = ? ORDER BY d.id`, store)
	})
	return doubts, err
}

// ResolveDoubt takes a doubt off the list, after an inventory dated after it
// was looked at. Errors: NotFound.
func (c *Catalog) ResolveDoubt(ctx context.Context, doubt int64) error {
	return c.write(ctx, "resolve doubt", fmt.Sprint(doubt), func(tx tx) error {
		return tx.row("DELETE FROM doubt WHERE id = ? RETURNING id", doubt).Scan(&doubt)
	})
}

// MarkDeleted records that an archive was deleted from the store, and takes it
// off the queue of Deletions. Its row stays, as a tombstone: an inventory made
// before may list it still.
// Errors: NotFound, Conflict (it was never stored).
func (c *Catalog) MarkDeleted(ctx context.Context, run Run, archive int64) error {
	return c.end(ctx, "record deletion", run, Deleted, []int64{archive})
}

// MarkLost records that archives that were stored are missing from an
// inventory dated after their creation. Versions in them are lost, and their
// content is not found any more. Archives that are not stored are passed over.
func (c *Catalog) MarkLost(ctx context.Context, run Run, archives []int64) error {
	return c.end(ctx, "record loss", run, Lost, archives)
}

// end takes archives out of what the store holds.
func (c *Catalog) end(ctx context.Context, op string, run Run, to State, archives []int64) error {
	return c.write(ctx, op, "", func(tx tx) error {
		for _, id := range archives {
			s, err := readState(tx, id)
			if err != nil {
				return wrap(ctx, op, fmt.Sprint("archive ", id), err)
			}
			switch {
			case s.State == to, s.State != Stored && to == Lost:
				continue
			case s.State < Stored, s.State == Dropped:
				return s.conflict(op)
			}
			if to == Deleted {
				if err := c.chargeDeletion(tx, s); err != nil {
					return err
				}
			}
			if err := tx.exec("UPDATE archive SET state = ?, settled = ?, ended = ? WHERE id = ?", to, run.ID, c.clock.Now().Unix(), id); err != nil {
				return err
			}
			if err := tx.exec("DELETE FROM deletion WHERE archive = ?", id); err != nil {
				return err
			}
			if s.State != Stored {
				continue
			}
			if err := tx.exec("UPDATE store SET archives = archives - 1, bytes = bytes - ? WHERE id = ?", s.Size, s.Store); err != nil {
				return err
			}
		}
		return nil
	})
}

// Bury records an archive that was deleted from the store before it ever was
// recorded, such as a double: a tombstone, so that an inventory made before
// doesn't bring it back. One that is recorded already is left as it is.
func (c *Catalog) Bury(ctx context.Context, run Run, archive firn.Archive) error {
	return c.write(ctx, "record deletion", string(archive.ID), func(tx tx) error {
		row, err := archiveByRemote(tx, run.Store, archive.ID)
		if err != nil || row != 0 {
			return err
		}
		created, createdNs := instant(archive.Created)
		row, err = tx.insert(`INSERT INTO archive (store, kind, state, run, settled, remote, size, tree, created, created_ns)
			VALUES (?, ?, 22, 0, ?, ?, ?, ?, ?, ?)`,
			run.Store, string(ForeignArchive), run.ID, string(archive.ID), archive.Size, archive.Tree[:], created, createdNs)
		if err != nil {
			return err
		}
		if err := keepReceipt(tx, row, archive.Receipt); err != nil {
			return err
		}
		c.remotes.fresh.Add(1)
		return tx.exec("INSERT INTO by_remote_new (h64, archive) VALUES (?, ?)", remote64(archive.ID), row)
	})
}
