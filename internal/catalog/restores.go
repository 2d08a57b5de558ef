package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// A RestoreState says how far a restore is.
type RestoreState uint8

// The states of a restore. Below 10 it is open.
const (
	RestorePlanned   RestoreState = 1 // its ranges are being collected, nothing was asked for
	RestoreGoing     RestoreState = 2
	RestoreDone      RestoreState = 10
	RestoreCancelled RestoreState = 11
	RestoreFailed    RestoreState = 12
)

// restoreDropped is the state of a restore that counts as gone, whose rows are
// deleted in batches.
const restoreDropped RestoreState = 20

// Open reports whether a restore may still bring something.
func (s RestoreState) Open() bool { return s < RestoreDone }

// String names the state, for people.
func (s RestoreState) String() string {
	switch s {
	case RestorePlanned:
		return "planned"
	case RestoreGoing:
		return "going on"
	case RestoreDone:
		return "done"
	case RestoreCancelled:
		return "cancelled"
	case RestoreFailed:
		return "failed"
	}
	return "unknown"
}

// A Restore is one that lasts: what it needs of the store is asked for, and
// comes hours later. Key, Target and What hold any bytes.
type Restore struct {
	ID, Store int64
	// Key tells whether a command means this restore, since it is made of the
	// target and of what is selected. Of the open restores of a store one has a
	// key; an empty one finds nothing, and is nobody's.
	Key     string
	Target  string // the folder, for people and for locks
	What    string // what it brings, for people: "photos/2019 and 2 more paths"
	Options string // JSON of whoever made it; the catalog doesn't look into it
	State   RestoreState
	Started time.Time // by the local clock
	Ended   time.Time // by the local clock; zero while it is open
	Why     string    // it was cancelled, or failed; empty else
}

const restoreColumns = "id, store, key, target, what, options, state, started, started_ns, coalesce(ended, -62135596800), coalesce(ended_ns, 0), why"

func scanRestore(row interface{ Scan(...any) error }) (r Restore, err error) {
	var started, startedNs, ended, endedNs int64
	err = row.Scan(&r.ID, &r.Store, &r.Key, &r.Target, &r.What, &r.Options, &r.State, &started, &startedNs, &ended, &endedNs, &r.Why)
	r.Started, r.Ended = at(started, startedNs), at(ended, endedNs)
	return r, err
}

// PlanRestore records a restore in state RestorePlanned, begun now, and gives
// its ID, which no other restore of this catalog ever gets. Of r it takes Store, Key, Target, What and Options.
// Errors: Conflict (an open restore of the store has this key).
func (c *Catalog) PlanRestore(ctx context.Context, r Restore) (id int64, err error) {
	if err := c.sweepRestores(ctx); err != nil {
		return 0, err
	}
	err = c.write(ctx, "plan restore", r.What, func(tx tx) error {
		open, there, err := openRestore(tx, r.Store, r.Key)
		if err != nil {
			return err
		}
		if there {
			return &firn.Error{
				Op: "plan restore", Subject: r.What, Kind: firn.Conflict,
				Err:  fmt.Errorf("restore %d, which began on %s, is the same, and is still open", open.ID, open.Started.Format(time.DateOnly)),
				Hint: "go on with that one, or cancel it first",
			}
		}
		sec, nsec := instant(c.clock.Now())
		id, err = tx.insert("INSERT INTO restore (store, key, target, what, options, state, started, started_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			r.Store, []byte(r.Key), []byte(r.Target), []byte(r.What), r.Options, RestorePlanned, sec, nsec)
		return err
	})
	return id, err
}

// SetRestore gives a restore another state: one that it has already changes
// nothing. With one from RestoreDone on it has ended, now; why is for people. Of
// a restore that has ended the verified pieces are dropped, and of those of its
// store that ended the old ones go: the last 100 are kept, but no more than a
// million ranges beside those of the last. Where that fails, the state is set all
// the same, and the rest is done by whoever plans or ends one next.
// Errors: NotFound, Conflict (it has ended otherwise), Invalid (no such state).
func (c *Catalog) SetRestore(ctx context.Context, id int64, state RestoreState, why string) error {
	subject := restoreSubject(id)
	if state.String() == "unknown" {
		return &firn.Error{Op: "record restore", Subject: subject, Kind: firn.Invalid, Err: fmt.Errorf("there is no state %d", state)}
	}
	err := c.write(ctx, "record restore", subject, func(tx tx) error {
		now, err := restoreByID(tx, "record restore", id)
		if err != nil || now.State == state {
			return err
		}
		if !now.State.Open() {
			return hasEnded("record restore", now)
		}
		if state.Open() {
			return tx.exec("UPDATE restore SET state = ? WHERE id = ?", state, id)
		}
		sec, nsec := instant(c.clock.Now())
		if err := tx.exec("UPDATE restore SET state = ?, ended = ?, ended_ns = ?, why = ? WHERE id = ?", state, sec, nsec, words(why), id); err != nil {
			return err
		}
		return dropOld(tx, now.Store)
	})
	if err != nil || state.Open() {
		return err
	}
	return c.sweepRestores(ctx)
}

// SetRestoreOptions replaces the options of an open restore.
// Errors: NotFound, Conflict (it has ended).
func (c *Catalog) SetRestoreOptions(ctx context.Context, id int64, options string) error {
	return c.write(ctx, "record restore", restoreSubject(id), func(tx tx) error {
		if err := mustBeOpen(tx, "record restore", id); err != nil {
			return err
		}
		return tx.exec("UPDATE restore SET options = ? WHERE id = ?", options, id)
	})
}

// RestoreByID finds a restore. Errors: NotFound.
func (c *Catalog) RestoreByID(ctx context.Context, id int64) (r Restore, err error) {
	err = c.read(ctx, "find restore", restoreSubject(id), func(tx tx) error {
		r, err = restoreByID(tx, "find restore", id)
		return err
	})
	return r, err
}

func restoreByID(tx tx, op string, id int64) (Restore, error) {
	r, err := scanRestore(tx.row("SELECT "+restoreColumns+" FROM restore WHERE id = ? AND state < 20", id))
	return r, notThere(err, op, restoreSubject(id), "there is no such restore")
}

// Restores lists the restores of a store, or of all where that is 0, oldest
// first; with open only those that have not ended.
func (c *Catalog) Restores(ctx context.Context, store int64, open bool) (all []Restore, err error) {
	query, args := "SELECT "+restoreColumns+" FROM restore WHERE id > 0 AND state < 20 ORDER BY id", []any{}
	switch {
	case store != 0 && open:
		query, args = "SELECT "+restoreColumns+" FROM restore WHERE store = ? AND state < 10 ORDER BY id", []any{store}
	case store != 0:
		query, args = "SELECT "+restoreColumns+" FROM restore WHERE id > 0 AND store = ? AND state < 20 ORDER BY id", []any{store}
	case open:
		query = "SELECT " + restoreColumns + " FROM restore WHERE id > 0 AND state < 10 ORDER BY id"
	}
	err = c.read(ctx, "list restores", c.db.Path(), func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			r, err := scanRestore(rows)
			all = append(all, r)
			return err
		}, query, args...)
	})
	return all, err
}

// OpenRestore finds the open restore of a store that has a key.
func (c *Catalog) OpenRestore(ctx context.Context, store int64, key string) (r Restore, ok bool, err error) {
	err = c.read(ctx, "find restore", fmt.Sprint("of store ", store), func(tx tx) error {
		r, ok, err = openRestore(tx, store, key)
		return err
	})
	return r, ok, err
}

func openRestore(tx tx, store int64, key string) (Restore, bool, error) {
	r, err := scanRestore(tx.row("SELECT "+restoreColumns+" FROM restore WHERE store = ? AND key = ? AND key != x'' AND state < 10", store, []byte(key)))
	if err != nil {
		return Restore{}, false, ignoreNoRows(err)
	}
	return r, true, nil
}

// mustBeOpen refuses what would change a restore that has ended.
func mustBeOpen(tx tx, op string, id int64) error {
	r, err := restoreByID(tx, op, id)
	if err == nil && !r.State.Open() {
		err = hasEnded(op, r)
	}
	return err
}

func hasEnded(op string, r Restore) error {
	return &firn.Error{Op: op, Subject: restoreSubject(r.ID), Kind: firn.Conflict, Err: fmt.Errorf("it has ended: it is %s", r.State)}
}

func restoreSubject(id int64) string { return fmt.Sprint("restore ", id) }

// words makes UTF-8 of a text for people, which may have a file's name in it.
func words(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
