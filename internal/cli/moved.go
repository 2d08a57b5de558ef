package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/snapshot"
	"github.com/firn-archive/firn/internal/ui"
)

// An afterMove says what a command does that names a store whose archives were moved
// to another one.
type afterMove uint8

const (
	stays   afterMove = iota // it is about that store, whatever became of it
	follows                  // it goes on with the other one
	stops                    // what it would do belongs there by now
)

// afterMoveOf gives what a command does.
func afterMoveOf(command string) afterMove {
	switch command {
	case "restore", "ls", "find", "history", "verify", "status":
		return follows
	case "sync", "prune", "adopt", "archive upload", "upload resume":
		return stops
	}
	return stays
}

// maxMoves bounds how many moves are followed, one after the other.
const maxMoves = 16

// followMove looks whether the session's store was moved to another one, by what the
// catalog knows. Commands that read go on with that, and say so; those that write
// stop with Conflict, and say where it went.
func (a *app) followMove(ctx context.Context, s *session) error {
	what := afterMoveOf(a.command)
	if what == stays {
		return nil
	}
	from := s.loc
	for range maxMoves {
		m, moved, err := s.whereTo(ctx)
		if err != nil || !moved {
			return err
		}
		if what == stops {
			return a.movedAway(from.String(), m.URL)
		}
		if a.command == "status" && !m.Finished {
			s.ui.Notice(fmt.Sprintf("%s was moved to %s; what is left of it:", s.loc, m.URL))
			return nil
		}
		s.ui.Notice(fmt.Sprintf("%s was moved to %s; this is from there", s.loc, m.URL))
		if s.loc, err = config.ParseLocation(m.URL, a.env.Dir); err != nil {
			return err
		}
		s.moved = true
	}
	return &firn.Error{Op: a.command, Subject: from.String(), Kind: firn.Conflict, Err: errors.New("it was moved in a circle")}
}

// whereTo says where the session's store was moved to, and whether all that it had is
// there. One that was made anew under its name has moved nowhere.
func (s *session) whereTo(ctx context.Context) (m catalog.Moved, moved bool, err error) {
	m, found, err := s.catalog.MovedTo(ctx, s.loc.String())
	if err != nil || !found {
		return m, false, err
	}
	row, err := s.catalog.StoreByURL(ctx, s.loc.String())
	switch {
	case firn.KindOf(err) == firn.NotFound:
		return m, m.Finished || m.Copied && m.Only == "", nil
	case err != nil || row.ID != m.Source:
		return m, false, err
	case m.Copied && m.Only == "":
		return m, true, nil
	}
	// A part of it is there: the trees move one by one.
	here, err := s.catalog.Trees(ctx, m.Source)
	if err != nil || len(here) > 0 {
		return m, false, err
	}
	there, err := s.catalog.Trees(ctx, m.Target)
	return m, len(there) > 0, err
}

// movedAway is the error of a command that would write to a store that was moved.
func (a *app) movedAway(from, to string) error {
	e := &firn.Error{Op: a.command, Subject: from, Kind: firn.Conflict, Err: fmt.Errorf("it was moved to %s", ui.Text(to))}
	switch a.command {
	case "sync":
		e.Hint = "go on there with: firn sync DIR " + ui.Text(to)
	case "upload resume":
		e.Hint = "give the upload up with: firn upload abort " + from
	default:
		e.Hint = "go on there with: firn " + a.command + " " + ui.Text(to)
	}
	return e
}

// checkMovedTag stops a command that would write to a store of whose move the store
// itself tells: another machine did that. A store that can't be asked is asked again
// by the command.
func (a *app) checkMovedTag(ctx context.Context, s *session) error {
	if afterMoveOf(a.command) != stops {
		return nil
	}
	tags, err := s.store.Tags(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if to := snapshot.Moved(tags); err == nil && to != "" {
		return a.movedAway(s.loc.String(), to)
	}
	return nil
}

// checkTreeMoved stops a sync of a tree that went to another store already, while
// others of its store are still on their way: it would send everything again.
func (a *app) checkTreeMoved(ctx context.Context, s *session, row catalog.Store, name, host, root string) error {
	if row.ID == 0 {
		return nil // of a dry run: nobody knows the store
	}
	migrations, err := s.catalog.Migrations(ctx, row.ID)
	if err != nil || len(migrations) == 0 {
		return err
	}
	if _, err := s.catalog.Tree(ctx, row.ID, name); firn.KindOf(err) != firn.NotFound {
		return err
	}
	stores, err := s.catalog.Stores(ctx)
	if err != nil {
		return err
	}
	for _, m := range migrations {
		if m.State == catalog.MigrationGivenUp {
			continue
		}
		tree, err := s.catalog.Tree(ctx, m.Target, name)
		if firn.KindOf(err) == firn.NotFound || err == nil && (tree.Host != host || tree.Root != root) {
			continue
		}
		if err != nil {
			return err
		}
		for _, store := range stores {
			if store.ID == m.Target {
				return a.movedAway(name+" in "+s.loc.String(), store.URL)
			}
		}
	}
	return nil
}
