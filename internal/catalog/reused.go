package catalog

import (
	"context"
	"fmt"

	"github.com/firn-archive/firn"
)

// Replaced reports whether another archive is stored under the id of this one. That
// is so where ids are names which are free again once an archive is gone: then this
// one is, whatever is recorded, and to delete it would delete the other.
// Errors: NotFound.
func (c *Catalog) Replaced(ctx context.Context, archive int64) (is bool, err error) {
	subject := fmt.Sprint("archive ", archive)
	err = c.read(ctx, "look for archives", subject, func(tx tx) error {
		var store int64
		var remote string
		err := tx.row("SELECT store, coalesce(remote, '') FROM archive WHERE id = ?", archive).Scan(&store, &remote)
		if err != nil || remote == "" {
			return notThere(err, "look for archives", subject, "there is no such archive")
		}
		for _, index := range []string{"by_remote_new", "by_remote"} {
			err := tx.row("SELECT EXISTS (SELECT 1 FROM "+index+` b CROSS JOIN archive a ON a.id = b.archive
				WHERE b.h64 = ? AND a.remote = ? AND a.store = ? AND a.id != ? AND a.state = 10)`, remote64(firn.ArchiveID(remote)), remote, store, archive).Scan(&is)
			if is || err != nil {
				return err
			}
		}
		return nil
	})
	return is, err
}

// best picks, of the archives that have rows, one for each place of the list: ids
// that are names are used again, and then the archive that is there is the one that
// is as listed, or else the one that was recorded last. What another machine's
// snapshots tell of may be older than what is recorded already.
func best(parts [][]compared, places int) []*compared {
	chosen := make([]*compared, places)
	for _, part := range parts {
		for i := range part {
			one := &part[i]
			if old := chosen[one.place]; old == nil || one.isRatherThan(old) {
				chosen[one.place] = one
			}
		}
	}
	return chosen
}

// isRatherThan reports whether an archive is the one that is listed, rather than
// another of the same id.
func (one *compared) isRatherThan(other *compared) bool {
	const listed = sameSize | sameTree | sameWords
	is, otherIs := one.agrees&listed == listed, other.agrees&listed == listed
	if is != otherIs {
		return is
	}
	return one.row > other.row
}
