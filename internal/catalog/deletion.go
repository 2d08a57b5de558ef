package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/firn-archive/firn"
)

// A Deletion is an archive that is to be deleted.
type Deletion struct {
	Archive   int64 // row
	Remote    firn.ArchiveID
	Size      int64      // bytes as stored
	Class     string     // storage class of S3; empty elsewhere
	Created   time.Time  // by the store's clock; zero where it didn't say
	NotBefore time.Time  // free of fees from then on; whole seconds
	Asked     bool       // DeletionAsked was said, and no outcome since
	Run       int64      // that made it a candidate
	Token     firn.Token // that its description has; zero: none
	Why       string     // for people
}

// jobLife is how long the output of a job can be hoped for: a bulk retrieval
// takes up to 48 hours, and what it brings stays for 24 more. An open job that
// is older was forgotten by whoever asked for it.
// (https://docs.aws.amazon.com/amazonglacier/latest/dev/downloading-an-archive-two-steps.html)
const jobLife = 7 * 24 * time.Hour

// wanted holds for an archive a that a restore waits for; its two parameters are
// both the time since when jobs count, and restores that are planned and never
// began: those of processes that were killed. What couldn't be brought may be
// asked for again while its restore is open. doubted holds for an archive that
// there may be two of.
const (
	wanted = `(EXISTS (SELECT 1 FROM restore_range g CROSS JOIN restore r ON r.id = g.restore
			WHERE g.archive = a.id AND g.state != 10 AND (r.state = 2 OR r.state = 1 AND r.started > ?))
		OR EXISTS (SELECT 1 FROM job WHERE archive = a.id AND state < 10 AND asked > ?))`
	doubted = "EXISTS (SELECT 1 FROM doubt WHERE archive = a.id)"
)

// wantedSince is each parameter of wanted.
func (c *Catalog) wantedSince() int64 { return c.clock.Now().Add(-jobLife).Unix() }

// Deletions lists a store's queue as far as it is due at a time, by NotBefore,
// without what a restore waits for and what is in doubt. It holds no lock while
// the consumer works; what DeletionAsked and MarkDeleted are said of meanwhile
// is listed once. It ends with the first error.
func (c *Catalog) Deletions(ctx context.Context, store int64, now time.Time) iter.Seq2[Deletion, error] {
	return paged(ctx, c, "list deletions", fmt.Sprint("of store ", store), func() pager[Deletion] {
		after := Deletion{NotBefore: time.Unix(-1<<62, 0)}
		return func(tx tx, page []Deletion) (_ []Deletion, more bool, err error) {
			err = tx.each(func(rows *sql.Rows) (err error) {
				after, err = scanDeletion(rows)
				page = append(page, after)
				return err
			}, `SELECT a.id, a.remote, a.size, coalesce(a.created, -62135596800), coalesce(a.created_ns, 0), d.not_before, d.state = 2, d.run, d.why, a.token, `+classOf+`
				FROM deletion d CROSS JOIN archive a ON a.id = d.archive CROSS JOIN store s ON s.id = a.store LEFT JOIN object o ON o.archive = a.id
				WHERE d.store = ? AND d.state > 0 AND (d.not_before, d.archive) > (?, ?) AND d.not_before <= ?
				AND a.state = 10 AND NOT `+doubted+" AND NOT "+wanted+" ORDER BY d.not_before, d.archive LIMIT ?",
				store, after.NotBefore.Unix(), after.Archive, now.Unix(), c.wantedSince(), c.wantedSince(), c.sizes.page)
			return page, len(page) == c.sizes.page, err
		}
	})
}

func scanDeletion(rows *sql.Rows) (d Deletion, err error) {
	var created, createdNs, notBefore int64
	var token sql.RawBytes
	err = rows.Scan(&d.Archive, &d.Remote, &d.Size, &created, &createdNs, &notBefore, &d.Asked, &d.Run, &d.Why, &token, &d.Class)
	copy(d.Token[:], token)
	d.Created, d.NotBefore = at(created, createdNs), at(notBefore, 0)
	return d, err
}

// Deletable is what the store is told of it.
func (d *Deletion) Deletable() firn.Deletable {
	return firn.Deletable{Archive: firn.Archive{ID: d.Remote, Size: d.Size, Created: d.Created}, Token: d.Token}
}

// DeletionAsked records that the store is about to be asked to delete an
// archive that Deletions listed: from now on its content counts as gone. When
// it is gone, that is said with MarkDeleted. Said twice it changes nothing.
// Errors: NotFound (it is not in the queue any more, since something refers to
// it again, or it is gone), Conflict (a restore waits for it, or it is in
// doubt).
func (c *Catalog) DeletionAsked(ctx context.Context, archive int64) error {
	subject := fmt.Sprint("archive ", archive)
	refuse := func(kind firn.Kind, why string) error {
		return &firn.Error{Op: "delete", Subject: subject, Kind: kind, Err: errors.New(why)}
	}
	return c.write(ctx, "delete", subject, func(tx tx) error {
		var isWanted, isDoubted bool
		err := tx.row("SELECT "+wanted+", "+doubted+` FROM deletion d CROSS JOIN archive a ON a.id = d.archive
			WHERE d.archive = ? AND d.state > 0 AND a.state = 10`, c.wantedSince(), c.wantedSince(), archive).Scan(&isWanted, &isDoubted)
		switch {
		case isNoRows(err):
			return refuse(firn.NotFound, "it is not to be deleted any more")
		case err != nil:
			return err
		case isWanted:
			return refuse(firn.Conflict, "a restore waits for it")
		case isDoubted:
			return refuse(firn.Conflict, "there may be two of it, which shows in an inventory dated later")
		}
		return tx.exec("UPDATE deletion SET state = 2 WHERE archive = ?", archive)
	})
}

// WantedByRestore reports whether an archive must not be deleted, since an open
// restore has a range of it that is not done, or a job that lately was asked for
// brings it. Errors: NotFound.
func (c *Catalog) WantedByRestore(ctx context.Context, archive int64) (is bool, err error) {
	subject := fmt.Sprint("archive ", archive)
	err = c.read(ctx, "look for restores", subject, func(tx tx) error {
		err := tx.row("SELECT "+wanted+" FROM archive a WHERE a.id = ?", c.wantedSince(), c.wantedSince(), archive).Scan(&is)
		return notThere(err, "look for restores", subject, "there is no such archive")
	})
	return is, err
}

// unqueue takes archives off the queue that something refers to again.
func (r *recorder) unqueue(places []place) error {
	last := int64(0)
	for _, p := range places {
		if p.archive == last {
			continue
		}
		last = p.archive
		if err := r.exec("DELETE FROM deletion WHERE archive = ? AND state < 2", p.archive); err != nil {
			return err
		}
	}
	return nil
}

// A DeletionQueue sums up the archives of a store that are to be deleted, also
// those that a restore waits for or that are in doubt.
type DeletionQueue struct {
	Archives firn.Count
	First    time.Time // when the first of them is free of fees; zero where there is none
	Last     time.Time // and the last
	// Unsettled: a command was killed that forgot versions, or moved them, before
	// it was known whether others refer to their archives. See QueueDeletions.
	Unsettled bool
}

// PruneRun is the command of runs that forget versions by rules.
const PruneRun = "prune"

// DeletionQueue sums up a store's queue. It is quick with a hundred thousand
// archives.
func (c *Catalog) DeletionQueue(ctx context.Context, store int64) (q DeletionQueue, err error) {
	err = c.read(ctx, "count deletions", fmt.Sprint("of store ", store), func(tx tx) error {
		var first, last sql.NullInt64
		err := tx.row(`SELECT count(*), coalesce(sum(a.size), 0), min(d.not_before), max(d.not_before)
			FROM deletion d CROSS JOIN archive a ON a.id = d.archive WHERE d.store = ? AND d.state > 0 AND a.state = 10`, store).
			Scan(&q.Archives.Files, &q.Archives.Bytes, &first, &last)
		if err != nil {
			return err
		}
		if first.Valid {
			q.First, q.Last = at(first.Int64, 0), at(last.Int64, 0)
		}
		return tx.row(`SELECT EXISTS (SELECT 1 FROM deletion d CROSS JOIN archive a ON a.id = d.archive CROSS JOIN run r ON r.id = d.run
			WHERE d.store = ? AND d.state = 0 AND a.state = 10 AND r.command IN (?, ?))`, store, PruneRun, RepackRun).Scan(&q.Unsettled)
	})
	return q, err
}
