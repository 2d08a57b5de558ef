package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"
)

// A Standing is how a stored archive stands, where it is asked whether it goes.
type Standing struct {
	ID    int64 // row
	Kind  ArchiveKind
	Size  int64  // bytes as stored
	Class string // storage class of S3; empty elsewhere
	// Free is when the store ceases to charge for it, whether it is there or not,
	// by the store's clock; whole seconds.
	Free time.Time
	// Queued: nothing refers to it, and it is deleted when that is due. Candidate:
	// it may go, if nothing refers to it.
	Queued, Candidate bool
	// Held: a restore waits for it, or there may be two of it.
	Held bool
}

// Standings gives the archives that a store holds, in the order in which they were
// recorded. It charges for each as the storage class says that was recorded of it;
// where none was, for minAge at the least. It holds no lock while the consumer works,
// and ends with the first error.
func (c *Catalog) Standings(ctx context.Context, store int64, minAge time.Duration) iter.Seq2[Standing, error] {
	return archivePages(ctx, c, store, func(tx tx, page []Standing, after, to int64) ([]Standing, error) {
		err := tx.each(func(rows *sql.Rows) error {
			s, err := scanStanding(rows)
			page = append(page, s)
			return err
		}, `SELECT a.id, a.kind, a.size, `+classOf+`, coalesce(d.not_before, coalesce(a.created, (SELECT ended FROM run WHERE id = a.settled), ?) + `+shortestOf("o.class", "?")+`),
			coalesce(d.state, -1), `+doubted+" OR "+wanted+`
			FROM store s CROSS JOIN archive a LEFT JOIN deletion d ON d.archive = a.id LEFT JOIN object o ON o.archive = a.id
			WHERE a.id > ? AND a.id <= ? AND s.id = ? AND a.store = s.id AND a.state = 10 ORDER BY a.id`,
			c.clock.Now().Unix(), int64(minAge/time.Second), c.wantedSince(), c.wantedSince(), after, to, store)
		return page, err
	})
}

func scanStanding(rows *sql.Rows) (s Standing, err error) {
	var free, state int64
	err = rows.Scan(&s.ID, &s.Kind, &s.Size, &s.Class, &free, &state, &s.Held)
	s.Free, s.Queued, s.Candidate = at(free, 0), state > 0, state == 0
	return s, err
}

// MemberSizes gives the sizes of the contents of an archive, in their order.
func (c *Catalog) MemberSizes(ctx context.Context, archive int64) (sizes []int64, err error) {
	err = c.read(ctx, "list members", fmt.Sprint("of archive ", archive), func(tx tx) error {
		sizes = nil
		return tx.each(func(rows *sql.Rows) error {
			sizes = append(sizes, 0)
			return rows.Scan(&sizes[len(sizes)-1])
		}, "SELECT size FROM location WHERE archive = ? ORDER BY member", archive)
	})
	return sizes, err
}

// A Call is how a command called a store: what firn resume needs to reach it.
type Call struct {
	Store string   // as it was named: a location, or a profile
	Dir   string   // the folder that it was called in
	Env   []string // NAME=value, of the environment; no secrets
}

// SetDeletionCall records how a store was called by a command that left deletions
// to be done, in place of any earlier one.
func (c *Catalog) SetDeletionCall(ctx context.Context, store int64, call Call) error {
	return c.write(ctx, "record deletions", fmt.Sprint("of store ", store), func(tx tx) error {
		return tx.exec(`INSERT INTO deletion_call (store, name, dir, env) VALUES (?, ?, ?, ?)
			ON CONFLICT (store) DO UPDATE SET name = excluded.name, dir = excluded.dir, env = excluded.env`,
			store, []byte(call.Store), []byte(call.Dir), joinTexts(call.Env))
	})
}

// DeletionCall gives what SetDeletionCall recorded. Errors: NotFound.
func (c *Catalog) DeletionCall(ctx context.Context, store int64) (call Call, err error) {
	subject := fmt.Sprint("of store ", store)
	err = c.read(ctx, "look up deletions", subject, func(tx tx) error {
		var name, dir, env []byte
		err := tx.row("SELECT name, dir, env FROM deletion_call WHERE store = ?", store).Scan(&name, &dir, &env)
		call = Call{string(name), string(dir), splitTexts(env)}
		return notThere(err, "look up deletions", subject, "no command on this machine left any")
	})
	return call, err
}
