package glacierd

import (
	"os"
	"time"
)

// deletedKept is how long the row of a deleted archive stays: longer than an
// inventory may lag, whatever the timing of the process that asks for one.
const deletedKept = MaxInventoryEvery + 24*time.Hour

// tidyBatch bounds what one round of tidying takes on.
const tidyBatch = 500

// removeBody removes the body of a number that is in the table garbage. That
// it is gone is noted with the next one, to save a commit. What fails is left
// to tidy, and so is what is noted by nobody.
func (v *vault) removeBody(number int64) {
	if os.RemoveAll(v.path(number)) != nil {
		return
	}
	w := &v.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed = append(w.removed, number)
}

func (v *vault) takeRemoved() []int64 {
	w := &v.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.removed
	w.removed = nil
	return list
}

// tidy removes what nobody can ask for any more. It runs with a request, now
// and then; a round is short, and what it leaves is for the next.
func (v *vault) tidy(c *call) error {
	if err := v.tidyBodies(c); err != nil {
		return err
	}
	return c.write(v, func(t tx) error {
		now := t.now()
		old := now - deletedKept.Milliseconds()
		for _, step := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM job WHERE number IN (SELECT number FROM job WHERE expires <= ? LIMIT ?)", []any{now, tidyBatch}},
			{"DELETE FROM upload WHERE number IN (SELECT number FROM upload WHERE ended <= ? LIMIT ?)", []any{now - uploadMemory.Milliseconds(), tidyBatch}},
			// Those that a job still names stay; so does what has a body.
			{`DELETE FROM archive WHERE number IN (
				SELECT number FROM archive WHERE deleted_seq IS NOT NULL
				AND deleted_seq <= coalesce((SELECT seq FROM change WHERE at <= ?1 ORDER BY at DESC, seq DESC LIMIT 1), 0)
				AND deleted_seq <= coalesce((SELECT min(seq) FROM job WHERE seq IS NOT NULL), deleted_seq)
				AND NOT EXISTS (SELECT 1 FROM job WHERE job.archive = archive.number)
				AND NOT EXISTS (SELECT 1 FROM garbage WHERE garbage.number = archive.number)
				ORDER BY deleted_seq LIMIT ?2)`, []any{old, tidyBatch}},
			// The last change before the horizon says what was there at it.
			{`DELETE FROM change WHERE (at, seq) IN (
				SELECT at, seq FROM change WHERE at < (SELECT max(at) FROM change WHERE at <= ?1) ORDER BY at, seq LIMIT ?2)`, []any{old, tidyBatch}},
		} {
			if err := t.exec(step.query, step.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// tidyBodies removes the bodies whose time has come.
func (v *vault) tidyBodies(c *call) error {
	var due []int64
	err := c.read(v, func(t tx) error {
		return t.each("SELECT number FROM garbage WHERE due <= ? ORDER BY number LIMIT ?", []any{t.now(), tidyBatch}, func(scan func(...any) error) error {
			var n int64
			err := scan(&n)
			due = append(due, n)
			return err
		})
	})
	if err != nil || len(due) == 0 {
		return err
	}
	for _, n := range due {
		if err := os.RemoveAll(v.path(n)); err != nil {
			return err
		}
	}
	if len(due) == tidyBatch {
		v.tidied.Store(0) // the next request goes on
	}
	return c.write(v, func(t tx) error { return t.forget(due) })
}

// forget drops what is known of bodies that are gone.
func (t tx) forget(numbers []int64) error {
	for _, n := range numbers {
		if err := t.exec("DELETE FROM part WHERE key BETWEEN ? AND ?", partKey(n, 0), partKey(n, maxParts)); err != nil {
			return err
		}
		for _, table := range []string{"small", "garbage"} {
			if err := t.exec("DELETE FROM "+table+" WHERE number = ?", n); err != nil {
				return err
			}
		}
	}
	return nil
}
