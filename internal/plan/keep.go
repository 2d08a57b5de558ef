package plan

import (
	"slices"
	"sort"
	"time"
)

// Keep says which versions of files stay. What several rules keep adds up. The
// current version of a path stays whatever the rules say, and where the path is
// gone its last version, unless RemovedOlderThan lets it go.
type Keep struct {
	// Last keeps so many versions of each path, the newest, the current one among
	// them; 0: no such rule, here and below.
	Last int
	// Daily and the others keep what was current at the end of each of so many
	// days, weeks (which end on Sunday), months and years: the last that are over.
	Daily, Weekly, Monthly, Yearly int
	// Within keeps what was current at any time since; OlderThan keeps the same,
	// told from the other end: only what was replaced longer ago goes.
	Within, OlderThan *Span
	// RemovedOlderThan lets all versions go of paths that are gone for so long.
	// Last doesn't keep any of those; the other rules do.
	RemovedOlderThan *Span
}

// IsZero reports whether there is no rule.
func (k Keep) IsZero() bool { return k == Keep{} }

// CountsTime reports whether any rule goes by what time it is.
func (k Keep) CountsTime() bool {
	k.Last = 0
	return !k.IsZero()
}

// letsOldGo reports whether any rule is about paths that are not gone for long.
func (k Keep) letsOldGo() bool {
	k.RemovedOlderThan = nil
	return !k.IsZero()
}

// A Life is one version of a path: from the moment of the sync that recorded it
// until that of the sync which found it replaced or removed.
type Life struct {
	From, Until time.Time // Until is zero while the version is current
	// Lost: the store doesn't have its content, so that it can't stand for the
	// versions that a rule counts.
	Lost bool
}

func (l *Life) isCurrent() bool { return l.Until.IsZero() }

// A Keeper is a Keep at a moment.
type Keeper struct {
	Keep
	ends    []time.Time // of the days, weeks, months and years that are kept, sorted
	since   []time.Time // what was current since any of these stays
	removed time.Time   // what was gone by then may go
}

// At makes the rules those of a moment; days begin in its zone.
func (k Keep) At(now time.Time) *Keeper {
	r := &Keeper{Keep: k}
	year, month, day := now.Date()
	begins := func(y int, m time.Month, d int) {
		r.ends = append(r.ends, time.Date(y, m, d, 0, 0, 0, 0, now.Location()))
	}
	for i := range k.Daily {
		begins(year, month, day-i)
	}
	monday := day - (int(now.Weekday())+6)%7
	for i := range k.Weekly {
		begins(year, month, monday-7*i)
	}
	for i := range k.Monthly {
		begins(year, month-time.Month(i), 1)
	}
	for i := range k.Yearly {
		begins(year-i, time.January, 1)
	}
	slices.SortFunc(r.ends, time.Time.Compare)
	for _, span := range []*Span{k.Within, k.OlderThan} {
		if span != nil {
			r.since = append(r.since, span.Before(now))
		}
	}
	if k.RemovedOlderThan != nil {
		r.removed = k.RemovedOlderThan.Before(now)
	}
	return r
}

// Keeps says of each version of one path, oldest first, whether it stays. It
// appends to into.
func (r *Keeper) Keeps(path []Life, into []bool) []bool {
	if len(path) == 0 {
		return into
	}
	last := &path[len(path)-1]
	gone := !last.isCurrent()
	longGone := gone && r.RemovedOlderThan != nil && !last.Until.After(r.removed)
	if !longGone && !r.letsOldGo() || !gone && last.Lost {
		// Of a current version that isn't there the ones before are all there is.
		return append(into, slices.Repeat([]bool{true}, len(path))...)
	}
	newest := len(into)
	into = append(into, make([]bool, len(path))...)
	counted := 0
	for i, l := range slices.Backward(path) {
		keep := l.isCurrent() || r.hasEnd(&l) || r.isSince(&l)
		if !l.Lost {
			keep = keep || !longGone && (counted < r.Last || gone && counted == 0)
			counted++
		}
		into[newest+i] = keep
	}
	return into
}

// hasEnd reports whether the version was current at the end of a period that is
// kept: a moment that itself belongs to the period after.
func (r *Keeper) hasEnd(l *Life) bool {
	i := sort.Search(len(r.ends), func(i int) bool { return r.ends[i].After(l.From) })
	return i < len(r.ends) && !l.Until.Before(r.ends[i])
}

// isSince reports whether the version was current at a time that is kept.
func (r *Keeper) isSince(l *Life) bool {
	return slices.ContainsFunc(r.since, func(t time.Time) bool { return l.Until.After(t) })
}
