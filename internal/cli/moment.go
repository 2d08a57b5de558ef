package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
	"github.com/firn-archive/firn/internal/clock"
)

// A moment is a point of the past as users write it: a time, which is the last
// instant of the day, minute or second that they name, or a run. The zero
// moment is now.
type moment struct {
	text string // as it was given
	time time.Time
	run  int64 // where it isn't 0, that run stands for the time
}

// isNow reports whether no point of the past was named.
func (m moment) isNow() bool { return m.text == "" }

// atHelp is the part of a command's help that explains --at.
const atHelp = `TIME is a day (2026-11-21), a day and hour (2026-11-21 14:00, in local time), a
time of RFC 3339 (2026-11-21T14:00:00Z), so long ago (12h, 3d, 2w, 1y), or a run
that firn history names (run:17). A day, a minute or a second is meant to its end.
What was there is what the last run that had begun by then left.`

// momentForms are the ways to write a time. One without a zone is local.
var momentForms = []struct {
	layout string
	last   func(time.Time) time.Time
}{
	{time.DateOnly, lastOfDay},
	{"2006-01-02 15:04", lastOfMinute},
	{"2006-01-02T15:04", lastOfMinute},
	{time.DateTime, lastOfSecond},
	{"2006-01-02T15:04:05", lastOfSecond},
	{time.RFC3339, lastOfSecond},
}

func lastOfDay(t time.Time) time.Time    { return t.AddDate(0, 0, 1).Add(-1) } // not always 24 hours
func lastOfMinute(t time.Time) time.Time { return t.Add(time.Minute - 1) }
func lastOfSecond(t time.Time) time.Time { return t.Add(time.Second - 1) }

// parseMoment reads what --at says. now gives the time that "3d" counts back
// from, and the zone.
func parseMoment(s string, now time.Time) (moment, error) {
	if number, ok := strings.CutPrefix(s, "run:"); ok {
		run, err := strconv.ParseUint(number, 10, 63)
		if err != nil || run == 0 {
			return moment{}, fmt.Errorf("%q is no run; write for example run:17", s)
		}
		return moment{text: s, run: int64(run)}, nil
	}
	if t, ok := timeAgo(s, now); ok {
		return moment{text: s, time: t}, nil
	}
	for _, form := range momentForms {
		t, err := time.ParseInLocation(form.layout, s, now.Location())
		if err != nil {
			continue
		}
		if !strings.ContainsAny(s, ".,") { // a fraction of a second is exact
			t = form.last(t)
		}
		return moment{text: s, time: t}, nil
	}
	return moment{}, fmt.Errorf("%q is no time; write for example 2026-11-21, \"2026-11-21 14:00\", 2026-11-21T14:00:00Z, 3d or 2w (ago), or run:17", s)
}

// timeAgo reads 12h, 3d, 2w and 1y, to the second.
func timeAgo(s string, now time.Time) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	unit := s[len(s)-1]
	number, err := strconv.ParseUint(s[:len(s)-1], 10, 16)
	if err != nil {
		return time.Time{}, false
	}
	n, t := int(number), now
	switch unit {
	case 'h':
		t = now.Add(-time.Duration(n) * time.Hour)
	case 'd':
		t = now.AddDate(0, 0, -n)
	case 'w':
		t = now.AddDate(0, 0, -7*n)
	case 'y':
		t = now.AddDate(-n, 0, 0)
	default:
		return time.Time{}, false
	}
	return lastOfSecond(t.Truncate(time.Second)), t.Year() > 0
}

// An atValue is the option --at.
type atValue struct {
	moment
	clock clock.Clock
}

func (v *atValue) addFlag(f *pflag.FlagSet, a *app, usage string) {
	v.clock = a.env.Clock
	f.Var(v, "at", usage)
}

// Set reads a moment.
func (v *atValue) Set(s string) (err error) {
	v.moment, err = parseMoment(s, v.clock.Now())
	return err
}

// String gives what was set.
func (v *atValue) String() string { return v.text }

// Type names the value in help.
func (v *atValue) Type() string { return "TIME" }

// storeTrees are trees of a store at a moment.
type storeTrees struct {
	store catalog.Store
	all   []catalog.Tree
	// runs has, for each tree, the run after which it was as it was then, by
	// the tree's ID; nil means now. A tree that was first synced later isn't
	// in it.
	runs map[int64]int64
}

// then gives the trees that were there, with their runs as ListQuery.At wants
// them.
func (t *storeTrees) then(yield func(tree catalog.Tree, run int64) bool) {
	for _, tree := range t.all {
		run, there := t.runs[tree.ID]
		if (there || t.runs == nil) && !yield(tree, run) {
			return
		}
	}
}

// treesAt gives the tree of that name, or all trees of the store, as they were
// at m. Errors: NotFound (no tree, no run, or nothing was synced by then).
func (s *session) treesAt(ctx context.Context, name string, m moment) (t storeTrees, err error) {
	if t.store, err = s.row(ctx); err != nil {
		return t, err
	}
	if t.all, err = s.trees(ctx, t.store.ID, name); err != nil || m.isNow() {
		return t, err
	}
	when, err := s.timeOf(ctx, t.store.ID, m)
	if err != nil {
		return t, err
	}
	t.runs = make(map[int64]int64, len(t.all))
	for _, tree := range t.all {
		run, err := s.catalog.RunAt(ctx, tree.ID, when)
		if firn.KindOf(err) == firn.NotFound {
			continue
		}
		if err != nil {
			return t, err
		}
		t.runs[tree.ID] = run.ID
	}
	if len(t.runs) == 0 {
		return t, s.tooEarly(ctx, t.all, m)
	}
	return t, nil
}

// timeOf gives the time of a moment: a run's is when it began.
func (s *session) timeOf(ctx context.Context, store int64, m moment) (time.Time, error) {
	if m.run == 0 {
		return m.time, nil
	}
	run, err := s.catalog.Run(ctx, m.run)
	if firn.KindOf(err) == firn.NotFound || err == nil && run.Store != store {
		return time.Time{}, &firn.Error{Op: "go back to", Subject: m.text, Kind: firn.NotFound,
			Err: fmt.Errorf("%s has no such run", s.loc), Hint: "see its runs with: firn history " + s.loc.String()}
	}
	return run.Started, err
}

// tooEarly says since when there is something to go back to.
func (s *session) tooEarly(ctx context.Context, trees []catalog.Tree, m moment) error {
	var first catalog.Run
	for _, tree := range trees {
		run, err := s.catalog.FirstRun(ctx, tree.ID)
		if firn.KindOf(err) == firn.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		if first.ID == 0 || run.Started.Before(first.Started) {
			first = run
		}
	}
	e := &firn.Error{Op: "go back to", Subject: m.text, Kind: firn.NotFound, Err: errors.New("nothing was synced yet")}
	if first.ID != 0 {
		e.Err = fmt.Errorf("nothing had been synced by then; the first sync began at %s", first.Started.In(s.env.Clock.Now().Location()).Format(time.RFC3339))
		e.Hint = "give a later time"
		if first.ID > 0 { // below that it stands for a time
			e.Hint += fmt.Sprintf(", or --at run:%d", first.ID)
		}
	}
	return e
}
