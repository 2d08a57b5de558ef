package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/firn-archive/firn"
)

// A Retirement says what becomes of archives that no version is in any more.
type Retirement struct {
	// MinAge is how long the store charges for an archive at the least of which no
	// storage class was recorded: it is deleted when it is as old as that, or as its
	// class wants.
	MinAge time.Duration
	Why    string // for people: "removed from photos"
}

// Retire forgets versions that are not current, as Files or History gave them,
// for good. Their archives become candidates for deletion: see
// QueueDeletions. Passed over is what is current, and what may be the last
// version that the store has of its path, since the current one is on its way,
// never came there, or is lost. It gives how many versions were forgotten.
func (c *Catalog) Retire(ctx context.Context, run Run, r Retirement, versions []Entry) (n int, err error) {
	for len(versions) > 0 {
		some := versions[:min(len(versions), int(c.sizes.batch))]
		var forgotten int
		err := c.write(ctx, "forget version", some[0].Path, func(tx tx) (err error) {
			if forgotten, err = c.retire(tx, run, r, some); err != nil || forgotten == 0 {
				return err
			}
			return disown(tx, run.Store) // they have what is forgotten now
		})
		if err != nil {
			return n, err
		}
		n += forgotten
		versions = versions[len(some):]
	}
	return n, nil
}

// retire is Retire within a transaction.
func (c *Catalog) retire(tx tx, run Run, r Retirement, versions []Entry) (n int, err error) {
	type treePath struct {
		tree int64
		path string
	}
	dirs := map[treePath]int64{}
	last := int64(0) // archive
	for i := range versions {
		e := &versions[i]
		dir, name := split(e.Path)
		if e.Kind == firn.Directory {
			dir, name = e.Path, ""
		}
		id, known := dirs[treePath{e.Tree, dir}]
		if !known {
			if id, err = dirRow(tx, e.Tree, dir); err != nil {
				return n, err
			}
			dirs[treePath{e.Tree, dir}] = id
		}
		archive, found, err := forget(tx, id, []byte(name), e.Run)
		if err != nil {
			return n, err
		}
		if !found {
			continue
		}
		n++
		if archive == 0 || archive == last {
			continue
		}
		last = archive
		if err := c.suspect(tx, run, r, archive); err != nil {
			return n, err
		}
	}
	return n, nil
}

// forget deletes a version that is not current, if its path is removed or the
// store has the current one. It gives the archive of its content.
func forget(tx tx, dir int64, name []byte, since int64) (archive int64, found bool, err error) {
	err = tx.row(`DELETE FROM version WHERE dir = ? AND name = ? AND since = ? AND NOT EXISTS (
		SELECT 1 FROM file f CROSS JOIN archive a ON a.id = f.archive WHERE f.dir = version.dir AND f.name = version.name AND a.state != 10)
		RETURNING archive`, dir, name, since).Scan(&archive)
	if isNoRows(err) {
		return 0, false, nil
	}
	return archive, err == nil, err
}

// suspect makes an archive a candidate for deletion. One of which the store
// didn't say when it was made is taken for as young as it can be.
func (c *Catalog) suspect(tx tx, run Run, r Retirement, archive int64) error {
	return tx.exec(`INSERT INTO deletion (archive, store, run, not_before, state, why)
		SELECT a.id, a.store, ?, coalesce(a.created, (SELECT ended FROM run WHERE id = a.settled), ?) + `+shortestOf("o.class", "?")+`, 0, ?
		FROM archive a LEFT JOIN object o ON o.archive = a.id WHERE a.id = ? AND (a.state <= 10) ON CONFLICT (archive) DO NOTHING`,
		run.ID, c.clock.Now().Unix(), int64(r.MinAge/time.Second), r.Why, archive)
}

// QueueDeletions looks through all versions of all trees for those that refer
// to the candidates of the run's store, and queues the archives that nothing
// refers to. Candidates whose archive has no outcome yet stay what they are. A
// run must not call it twice at once. It gives what was queued.
func (c *Catalog) QueueDeletions(ctx context.Context, run Run) (queued firn.Count, err error) {
	any, err := c.claimCandidates(ctx, run)
	if err != nil || !any {
		return queued, err
	}
	// What moves while this looks moves from the first table to the second; and
	// what is referred to anew is taken off the list by whoever does that.
	for _, s := range []scanned{currentRows, oldRows} {
		if err := c.clearReferred(ctx, run, s); err != nil {
			return queued, err
		}
	}
	return c.queueClaimed(ctx, run)
}

// claimCandidates marks the candidates as those of this run, so that it takes
// none for unreferred that comes up while it looks.
func (c *Catalog) claimCandidates(ctx context.Context, run Run) (any bool, err error) {
	err = c.inBatches(ctx, run, "SELECT archive FROM deletion WHERE store = ? AND state = 0 AND archive > ? ORDER BY archive LIMIT 1 OFFSET ?",
		func(tx tx, after, to int64) error {
			const these = " WHERE store = ? AND state = 0 AND archive > ? AND archive <= ?"
			if err := tx.exec("DELETE FROM deletion"+these+" AND (SELECT state FROM archive WHERE id = deletion.archive) > 10", run.Store, after, to); err != nil {
				return err
			}
			result, err := tx.Exec(tx.ctx, "UPDATE deletion SET sweep = ?"+these+" AND (SELECT state FROM archive WHERE id = deletion.archive) = 10",
				run.ID, run.Store, after, to)
			if err != nil {
				return err
			}
			changed, err := result.RowsAffected()
			any = any || changed > 0
			return err
		})
	return any, err
}

// queueClaimed queues what is left of the candidates that this run claimed.
func (c *Catalog) queueClaimed(ctx context.Context, run Run) (queued firn.Count, err error) {
	err = c.inBatches(ctx, run, "SELECT archive FROM deletion WHERE store = ? AND state = 0 AND archive > ? ORDER BY archive LIMIT 1 OFFSET ?",
		func(tx tx, after, to int64) error {
			const these = " WHERE store = ? AND state = 0 AND archive > ? AND archive <= ? AND sweep = ?"
			var n firn.Count
			err := tx.row("SELECT count(*), coalesce(sum((SELECT size FROM archive WHERE id = deletion.archive)), 0) FROM deletion"+these,
				run.Store, after, to, run.ID).Scan(&n.Files, &n.Bytes)
			if err != nil {
				return err
			}
			if err := tx.exec("UPDATE deletion SET state = 1, sweep = NULL"+these, run.Store, after, to, run.ID); err != nil {
				return err
			}
			if n.Files > 0 {
				if err := disown(tx, run.Store); err != nil { // they have these as stored
					return err
				}
			}
			queued.Files += n.Files
			queued.Bytes += n.Bytes
			return nil
		})
	return queued, err
}

// inBatches calls fn with bounds of ids, each in a transaction of its own. The
// query gives the last id of a batch, if there is more than that.
func (c *Catalog) inBatches(ctx context.Context, run Run, bound string, fn func(tx tx, after, to int64) error) error {
	for after, more := int64(0), true; more; {
		err := c.write(ctx, "queue deletions", fmt.Sprint("of store ", run.Store), func(tx tx) error {
			var to int64
			err := tx.row(bound, run.Store, after, c.sizes.batch-1).Scan(&to)
			if isNoRows(err) {
				to, more, err = 1<<63-1, false, nil
			}
			if err == nil {
				err = fn(tx, after, to)
			}
			after = to
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A scanned is a table that refers to archives, read in the order of its key:
// what a page of it refers to, and the page's last key.
type scanned struct{ refers, last string }

var (
	currentRows = scanned{
		refers: "SELECT d.archive FROM (SELECT archive FROM file WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name LIMIT ?) f" + referred,
		last:   "SELECT dir, name, since FROM file WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name LIMIT 1 OFFSET ?",
	}
	oldRows = scanned{
		refers: "SELECT d.archive FROM (SELECT archive FROM version WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name, since LIMIT ?) f" + referred,
		last:   "SELECT dir, name, since FROM version WHERE (dir, name, since) > (?, ?, ?) ORDER BY dir, name, since LIMIT 1 OFFSET ?",
	}
)

const referred = " CROSS JOIN deletion d ON d.archive = f.archive AND d.sweep = ? AND d.state = 0"

// A passage is how far a reader has come in the table of current or of old
// versions, by its key. Begin with newPassage.
type passage struct {
	dir   int64
	name  []byte
	since int64
}

// newPassage is one before all keys.
func newPassage() passage {
	return passage{math.MinInt64, []byte{}, math.MinInt64} // not nil, which would be NULL
}

// advance goes on behind a page of so many rows, whose last key the query gives,
// and reports whether there may be more.
func (p *passage) advance(tx tx, last string, page int64) (more bool, err error) {
	err = tx.row(last, p.dir, p.name, p.since, page-1).Scan(&p.dir, &p.name, &p.since)
	if isNoRows(err) {
		return false, nil
	}
	p.name = append([]byte{}, p.name...) // not nil
	return true, err
}

// clearReferred takes the candidates off the list that a table refers to.
func (c *Catalog) clearReferred(ctx context.Context, run Run, s scanned) error {
	at := newPassage()
	for more := true; more; {
		found := map[int64]bool{}
		err := c.read(ctx, "look for versions", c.db.Path(), func(tx tx) error {
			err := tx.each(func(rows *sql.Rows) error {
				var archive int64
				err := rows.Scan(&archive)
				found[archive] = true
				return err
			}, s.refers, at.dir, at.name, at.since, c.sizes.page, run.ID)
			if err == nil {
				more, err = at.advance(tx, s.last, int64(c.sizes.page))
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		err = c.write(ctx, "queue deletions", "", func(tx tx) error {
			for archive := range found {
				if err := tx.exec("DELETE FROM deletion WHERE archive = ? AND sweep = ? AND state = 0", archive, run.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
