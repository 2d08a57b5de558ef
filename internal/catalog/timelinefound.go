package catalog

import (
	"cmp"
	"slices"
	"time"
)

// settleFound compares the history of a path with what comes to it where one of
// them knows a version from its archive alone, as one of a run that stands for a
// time, and the other knows the run that made it. That is better, and the one
// that was found gives way, whichever came first. What both have found is one
// version, and two versions that were found at one time get times of their own.
func (m *merger) settleFound(tree int64, history, came []revision) (kept, more []revision, err error) {
	some := false
	for _, side := range [][]revision{history, came} {
		for i := range side {
			if side[i].found, err = m.isFound(side[i].since); err != nil {
				return nil, nil, err
			}
			some = some || side[i].found
		}
	}
	if !some {
		return history, came, nil
	}
	kept, gone := without(history, func(h *revision) bool {
		return givesWay(h, came, func(c *revision) bool { return replaces(c, h, came) })
	})
	if err := m.endAs(came, gone); err != nil {
		return nil, nil, err
	}
	more, gone = without(came, func(c *revision) bool {
		return givesWay(c, history, func(h *revision) bool { return !replaces(c, h, came) })
	})
	if err := m.endAs(kept, gone); err != nil {
		return nil, nil, err
	}
	return m.apart(tree, kept, more)
}

// isSame reports whether two versions of a path are of the same archive, or, of
// what needs none, are alike.
func (r *revision) isSame(o *revision) bool {
	if r.where != o.where || r.where != (place{}) {
		return r.where == o.where
	}
	return r.mode == o.mode && r.size == o.size && r.mtime == o.mtime && r.mtimeNs == o.mtimeNs && r.uid == o.uid && r.gid == o.gid && string(r.target) == string(o.target)
}

// givesWay reports whether a version that was found is better known to the other
// side: by the run that made it, or, where that found it too at another time, as
// isBetter says of that one.
func givesWay(r *revision, other []revision, isBetter func(*revision) bool) bool {
	if !r.found {
		return false
	}
	real := false
	var twin *revision
	for i := range other {
		o := &other[i]
		switch {
		case !o.isSame(r):
		case !o.found:
			real = true
		case o.since == r.since:
			return false // it is the same version
		default:
			twin = o
		}
	}
	if twin == nil || r.where == (place{}) {
		return real && twin == nil
	}
	return isBetter(twin)
}

// replaces reports whether c, which came, takes the place of the same version h,
// which was found at another time: one that is known to come late does that of an
// early one, and any does where another version came for the time of h.
func replaces(c, h *revision, came []revision) bool {
	if c.since > 0 || h.since > 0 {
		return c.since > 0
	}
	return slices.ContainsFunc(came, func(o revision) bool { return o.since == h.since })
}

// without takes out the versions that are to go.
func without(all []revision, goes func(*revision) bool) (left, gone []revision) {
	for i := range all {
		r := &all[i]
		if !goes(r) {
			left = append(left, *r)
			continue
		}
		gone = append(gone, *r)
		if n := len(left); n > 0 && left[n-1].until == r.since {
			left[n-1].until = 0 // what follows it now ends it
		}
	}
	return left, gone
}

// endAs lets versions end as those did that gave way to them, if a run ended
// these: what was replaced or removed stays so.
func (m *merger) endAs(all, gone []revision) error {
	for i := range gone {
		g := &gone[i]
		if found, err := m.isFound(g.until); g.until == 0 || found || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		for j := len(all) - 1; j >= 0; j-- {
			if r := &all[j]; r.isSame(g) {
				if r.until == 0 && r.since < g.until {
					r.until = g.until
				}
				break
			}
		}
	}
	return nil
}

// apart gives versions that were found, and come for a time for which another
// one is known, runs of their own: the earlier one keeps the time's.
func (m *merger) apart(tree int64, history, came []revision) (kept, more []revision, err error) {
	for i := range came {
		c := &came[i]
		if !c.found || c.since >= 0 {
			continue
		}
		j := slices.IndexFunc(history, func(h revision) bool { return h.since == c.since && !h.isSame(c) })
		if j < 0 {
			continue
		}
		later := c
		made, err := m.madeAt(c)
		if err != nil {
			return nil, nil, err
		}
		before, err := m.madeAt(&history[j])
		if err != nil {
			return nil, nil, err
		}
		if before.After(made) {
			later, made = &history[j], before
		}
		if later.since, err = m.freeRun(tree, made, history, came); err != nil {
			return nil, nil, err
		}
	}
	bySince := func(a, b revision) int { return cmp.Compare(a.since, b.since) }
	slices.SortFunc(history, bySince)
	slices.SortFunc(came, bySince)
	return history, came, nil
}

// madeAt is when a version that was found was made: its archive, or what its run
// stands for.
func (m *merger) madeAt(r *revision) (time.Time, error) {
	var sec int64
	err := m.row("SELECT coalesce((SELECT created FROM archive WHERE id = ?), (SELECT started FROM run WHERE id = ?), 0)", r.where.archive, r.since).Scan(&sec)
	return at(sec, 0), err
}

// freeRun gives the run of a time, or the next one, that made none of these
// versions.
func (m *merger) freeRun(tree int64, when time.Time, sides ...[]revision) (int64, error) {
	t := taker{tx: m.tx, runs: map[foundRun]int64{}}
	if err := m.row("SELECT store FROM tree WHERE id = ?", tree).Scan(&t.run.Store); err != nil {
		return 0, err
	}
	for run := foundAt(tree, when, false); ; run.sec++ {
		id, err := t.runOf(run)
		if err != nil {
			return 0, err
		}
		m.founds[id] = true
		isUsed := func(side []revision) bool {
			return slices.ContainsFunc(side, func(r revision) bool { return r.since == id })
		}
		if !slices.ContainsFunc(sides, isUsed) {
			return id, nil
		}
	}
}

// isFound reports whether a run stands for a time.
func (m *merger) isFound(run int64) (is bool, err error) {
	is, known := m.founds[run]
	if !known {
		if err = m.row("SELECT command = 'found' FROM run WHERE id = ?", run).Scan(&is); err == nil {
			m.founds[run] = is
		}
	}
	return is, ignoreNoRows(err)
}
