package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/firn-archive/firn"
)

// Learn records what an inventory tells of archives that are as they were
// recorded, and nobody knew before: when they were made, their tree hashes, and in
// which storage class they are, which somebody may have changed. Their verdict is Untold.
func (c *Catalog) Learn(ctx context.Context, run Run, untold []Difference) error {
	return c.write(ctx, "record what the inventory tells", fmt.Sprint("of store ", run.Store), func(tx tx) error {
		b, classes := tellArchives.batch(tx), tellClasses.batch(tx)
		for i := range untold {
			d := &untold[i]
			var tree any
			if !d.Archive.Tree.IsZero() {
				tree = d.Archive.Tree[:]
			}
			sec, nsec := instant(d.Archive.Created)
			if err := b.add(d.Row, sec, nsec, tree); err != nil {
				return err
			}
			class := told(d.Archive.Receipt).Class
			if class == "" {
				continue
			}
			if err := classes.add(d.Row, class); err != nil {
				return err
			}
		}
		if err := classes.flush(); err != nil {
			return err
		}
		return b.flush()
	})
}

// What is known stays.
var tellArchives = newBulk(`UPDATE archive SET tree = coalesce(tree, v.column4),
	created = coalesce(nullif(created, -62135596800), v.column2), created_ns = iif(coalesce(created, -62135596800) = -62135596800, v.column3, created_ns)
	FROM (VALUES `, "(?, ?, ?, ?)", ") v WHERE archive.id = v.column1")

// Correct records archives as the store lists them, of which it says something
// else than is recorded: the description of those of OtherWords, or the token in
// it; the hash of those of OtherTree, and of what they hold; the size as well of
// those of which nobody knows what they hold. It passes over those that hold what
// can't be in an archive of that size, or that firn sent itself and knows by their
// hash: these aren't what they were, see MarkLost.
func (c *Catalog) Correct(ctx context.Context, run Run, wrong []Difference) (corrected int, err error) {
	err = c.write(ctx, "correct archives", fmt.Sprint("of store ", run.Store), func(tx tx) error {
		corrected = 0
		for i := range wrong {
			d := &wrong[i]
			if !d.Correctable() {
				continue
			}
			if err := c.correct(tx, d); err != nil {
				return wrap(ctx, "correct archive", string(d.Archive.ID), err)
			}
			corrected++
		}
		return nil
	})
	return corrected, err
}

// Correctable reports whether Correct would correct it.
func (d *Difference) Correctable() bool {
	switch d.Verdict {
	case OtherWords:
		return true
	case OtherTree:
		return d.Kind == ForeignArchive && d.State == Stored || d.State == Foreign
	case OtherSize:
		return d.State == Foreign
	}
	return false
}

func (c *Catalog) correct(tx tx, d *Difference) error {
	if d.Verdict == OtherWords {
		return correctWords(tx, d)
	}
	if err := tx.exec("UPDATE archive SET size = ?, tree = ? WHERE id = ?", max(d.Archive.Size, 0), d.Archive.Tree[:], d.Row); err != nil {
		return err
	}
	// What fills the archive is the archive.
	var member int64
	err := tx.row("UPDATE location SET tree = ? WHERE archive = ? AND offset = 0 AND size = ? AND tree = ? RETURNING member",
		d.Archive.Tree[:], d.Row, d.Size, d.Tree[:]).Scan(&member)
	if err != nil {
		return ignoreNoRows(err)
	}
	c.trees.fresh.Add(1)
	return tx.exec("INSERT OR IGNORE INTO by_tree_new (h64, archive, member) VALUES (?, ?, ?)", hash64(d.Archive.Tree), d.Row, member)
}

func correctWords(tx tx, d *Difference) error {
	if d.Kind == ForeignArchive || d.Kind == LooseArchive {
		return tx.exec("UPDATE description SET text = ? WHERE archive = ?", d.Archive.Description, d.Row)
	}
	return tx.exec("UPDATE archive SET token = ? WHERE id = ?", tokenIn(d.Archive.Description), d.Row)
}

// MarkReturned records that archives that were lost are in the store after all:
// versions in them can be had again.
func (c *Catalog) MarkReturned(ctx context.Context, run Run, archives []int64) error {
	return c.write(ctx, "record archives", fmt.Sprint("of store ", run.Store), func(tx tx) error {
		for _, id := range archives {
			if err := restate(tx, run, id, Lost); err != nil {
				return err
			}
		}
		return nil
	})
}

// restate records that an archive of a state is stored, or foreign where nobody
// knows what it holds.
func restate(tx tx, run Run, id int64, from State) error {
	var state State
	var size int64
	err := tx.row(`UPDATE archive SET settled = ?, ended = NULL,
		state = iif(kind = 'foreign' AND NOT EXISTS (SELECT 1 FROM location WHERE archive = archive.id), 11, 10)
		WHERE id = ? AND state = ? RETURNING state, size`, run.ID, id, from).Scan(&state, &size)
	if err != nil || state == Foreign {
		return ignoreNoRows(err)
	}
	return tx.exec("UPDATE store SET archives = archives + 1, bytes = bytes + ? WHERE id = ?", size, run.Store)
}

// MarkDeparted records that archives of other programs, that nobody took in, are
// gone.
func (c *Catalog) MarkDeparted(ctx context.Context, run Run, archives []int64) error {
	return c.write(ctx, "record archives", fmt.Sprint("of store ", run.Store), func(tx tx) error {
		for _, id := range archives {
			if err := tx.exec("UPDATE archive SET state = 21, settled = ?, ended = ? WHERE id = ? AND state = 11", run.ID, c.clock.Now().Unix(), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Undelete records that archives weren't deleted after all, and makes candidates
// for deletion of them: see QueueDeletions.
func (c *Catalog) Undelete(ctx context.Context, run Run, r Retirement, lingering []Difference) error {
	return c.write(ctx, "queue deletions", fmt.Sprint("of store ", run.Store), func(tx tx) error {
		for i := range lingering {
			d := &lingering[i]
			// It is deleted as any archive is that no version is in, if only it can be.
			if err := restate(tx, run, d.Row, Deleted); err != nil {
				return err
			}
			if err := restateForeign(tx, run, d.Row, d.Size); err != nil {
				return err
			}
			if err := c.suspect(tx, run, r, d.Row); err != nil {
				return err
			}
		}
		return disown(tx, run.Store) // they have these as deleted
	})
}

// restateForeign makes an archive one that the queue of deletions can have.
func restateForeign(tx tx, run Run, id, size int64) error {
	var state State
	err := tx.row("UPDATE archive SET state = 10 WHERE id = ? AND state = 11 RETURNING state", id).Scan(&state)
	if err != nil {
		return ignoreNoRows(err)
	}
	return tx.exec("UPDATE store SET archives = archives + 1, bytes = bytes + ? WHERE id = ?", size, run.Store)
}

// An Attempt is an archive that was to be stored, and isn't, as far as is known.
type Attempt struct {
	State State  // below Stored: it is on its way, or in doubt; Dropped: it was given up
	Tree  string // name of the tree that it was for; empty: none
}

// Attempts gives a store's attempts by the tokens that they were to have in their
// descriptions.
func (c *Catalog) Attempts(ctx context.Context, store int64, tokens []firn.Token) (found map[firn.Token]Attempt, err error) {
	err = c.read(ctx, "look up archives", fmt.Sprint("of store ", store), func(tx tx) error {
		found = map[firn.Token]Attempt{}
		for _, some := range attempted { // of several of one token the one that is on its way counts
			b := some.batch(tx, store)
			for i, token := range tokens {
				b.args = append(b.args, i, token[:])
				if !b.full() && i < len(tokens)-1 {
					continue
				}
				err := b.query(func(rows *sql.Rows) error {
					var place int
					var a Attempt
					err := rows.Scan(&place, &a.State, &a.Tree)
					found[tokens[place]] = a
					return err
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	return found, err
}

var attempted = []*bulk{attemptsOf("a.state = 20"), attemptsOf("a.state < 10")}

// attemptsOf looks attempts up in the index of those that fulfil a condition.
func attemptsOf(condition string) *bulk {
	return newBulk("SELECT v.column1, a.state, coalesce(t.name, '') FROM (VALUES ", "(?, ?)", `) v
		CROSS JOIN archive a ON a.token = v.column2 AND `+condition+` AND a.store = ?
		LEFT JOIN run r ON r.id = a.run LEFT JOIN tree t ON t.id = r.tree`)
}

// AwaitedInventory gives since when, by the store's clock, an inventory must have
// been asked for that somebody wants to be a new one; zero: nobody does.
func (c *Catalog) AwaitedInventory(ctx context.Context, store int64) (since time.Time, err error) {
	err = c.read(ctx, "look for an inventory", fmt.Sprint("of store ", store), func(tx tx) error {
		var sec int64
		err := tx.row("SELECT since FROM awaited WHERE store = ?", store).Scan(&sec)
		if err == nil {
			since = at(sec, 0)
		}
		return ignoreNoRows(err)
	})
	return since, err
}

// AwaitInventory records that an inventory is wanted that is asked for at that
// time, by the store's clock, or later; zero: none is any more.
func (c *Catalog) AwaitInventory(ctx context.Context, store int64, since time.Time) error {
	return c.write(ctx, "wait for an inventory", fmt.Sprint("of store ", store), func(tx tx) error {
		if since.IsZero() {
			return tx.exec("DELETE FROM awaited WHERE store = ?", store)
		}
		return tx.exec("INSERT OR REPLACE INTO awaited (store, since) VALUES (?, ?)", store, since.Unix())
	})
}
